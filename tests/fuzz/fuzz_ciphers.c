/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: AES through EVP. An input is a sequence of calls: see sequence/sequence.h for what they are
 * and what is compared. It also says which core and which kernel computes each call: pieces of one message
 * are computed by the card, and on this core.
 */
#include <stdlib.h>

#include "driver/card.h"
#include "fuzz.h"
#include "sequence/sequence.h"

#define CALLS_MAX 64u

static struct sequence_setting setting = {.calls_max = CALLS_MAX};

static void vary(unsigned eighth)
{
    atomic_store(&card_policy()->sync_offload, (eighth & 1) == 0);
    if (eighth / 2 != 3)
        fuzz_choose_kernels(eighth / 2);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setting.engine = fuzz_engine();
    sequence_begin(&setting);
    setting.vary = vary;
    setting.trace = getenv("FUZZ_TRACE") != NULL;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1];
    struct source source = source_of_bytes(size == 0 ? nothing : data, size);

    fuzz_choose_kernels(0);
    FUZZ_SAME(sequence_run(&setting, &source, SEQUENCE_CIPHERS));
    return 0;
}
