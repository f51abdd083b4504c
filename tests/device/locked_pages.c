/* SPDX-License-Identifier: Apache-2.0 */
/* How many rings a limit on locked memory is for, with pages of 4, 16 and 64 KiB, as Linux for arm64 has. */
#include "device/locked_memory.h"

#include "check.h"

#define MIB (UINT64_C(1) << 20)

int main(void)
{
    test_begin(60);
    CHECK_EQ(locked_memory_rings_within(8 * MIB, 4096), 4);
    CHECK_EQ(locked_memory_rings_within(8 * MIB, 16384), 1);
    CHECK_EQ(locked_memory_rings_within(8 * MIB, 65536), 1);
    CHECK_EQ(locked_memory_rings_within(0, 65536), 1);
    CHECK_EQ(locked_memory_rings_within(1024 * MIB, 4096), 512);
    CHECK_EQ(locked_memory_rings_within(1024 * MIB, 65536), 32);
    CHECK_EQ(locked_memory_rings_within(UINT64_MAX - 1, 4096), UINT32_MAX);
    return 0;
}
