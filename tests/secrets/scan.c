/* SPDX-License-Identifier: Apache-2.0 */
/* See scan.h. */
#include "scan.h"

#include <fcntl.h>

#include "check.h"

#define MASK 0xa5
#define PAGE 4096u /* no page is smaller; larger ones are scanned in pieces */

struct scan scan_for(const void *bytes, size_t len)
{
    struct scan scan = {.len = len};

    CHECK(len >= 8 && len <= SCAN_LEN);
    for (size_t i = 0; i < len; i++)
        scan.masked[i] = ((const uint8_t *)bytes)[i] ^ MASK;
    return scan;
}

struct scan scan_for_digit(const uint8_t *number, size_t len, unsigned index)
{
    uint64_t digit = 0;
    struct scan scan;

    for (unsigned bit = 52; bit-- > 0;) {
        unsigned from = 52 * index + bit;

        CHECK(from / 8 < len);
        digit = digit << 1 | (number[len - 1 - from / 8] >> from % 8 & 1);
    }
    scan = scan_for(&digit, sizeof(digit));
    *(volatile uint64_t *)&digit = 0;
    return scan;
}

static bool is_here(const struct scan *scan, const uint8_t *at)
{
    size_t same = 0;

    while (same < scan->len && (at[same] ^ MASK) == scan->masked[same])
        same++;
    return same == scan->len;
}

/* A page, and the beginning of the next for what lies across. The buffer itself is of no interest. */
static unsigned scan_page(const struct scan *scan, int memory, uintptr_t at, const char *map)
{
    static uint8_t page[PAGE + SCAN_LEN];
    ssize_t got = pread(memory, page, sizeof(page), (off_t)at);
    unsigned found = 0;

    if (at + sizeof(page) > (uintptr_t)page && at < (uintptr_t)page + sizeof(page))
        return 0;
    for (ssize_t i = 0; i < PAGE && i + (ssize_t)scan->len <= got; i++) {
        if (!is_here(scan, page + i))
            continue;
        fprintf(stderr, "at %lx in %s", (unsigned long)at + (unsigned long)i, map);
        found++;
    }
    return found;
}

unsigned scan_memory(const struct scan *scan)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[512];
    unsigned found = 0;

    CHECK(maps != NULL && memory >= 0);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from, to;
        char mode[5];

        CHECK_EQ(sscanf(line, "%lx-%lx %4s", &from, &to, mode), 3);
        for (uintptr_t at = from; mode[0] == 'r' && mode[1] == 'w' && at < to; at += PAGE)
            found += scan_page(scan, memory, at, line);
    }
    fclose(maps);
    close(memory);
    return found;
}

void scan_until_none(const char *what, const struct scan scans[], unsigned count)
{
    unsigned found = 1;

    for (useconds_t ms = 0; found != 0; ms++) {
        usleep(ms * 1000);
        found = 0;
        for (unsigned i = 0; i < count; i++)
            found += scan_memory(&scans[i]);
        fprintf(stderr, "%s: %u left\n", what, found);
    }
}
