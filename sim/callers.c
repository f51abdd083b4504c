/* Return addresses by backtrace(3), names by dladdr(3). */
#include "callers.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

void callers_prepare(void)
{
    void *at[2];

    backtrace(at, 2); /* loads the unwinder */
}

__attribute__((noinline)) void callers_take(struct callers *callers)
{
    int count = backtrace(callers->at, (int)CALLERS_MAX);

    callers->count = count < 0 ? 0 : (unsigned)count;
}

/* A return address is behind its call, and may be behind the function that never returns. */
static bool look_up(void *address, Dl_info *info)
{
    return dladdr((char *)address - 1, info) != 0 && info->dli_fname != NULL;
}

static size_t write_line(void *address, char *text, size_t size)
{
    Dl_info info;
    int put;

    if (!look_up(address, &info))
        put = snprintf(text, size, "%p\n", address);
    else if (info.dli_sname == NULL)
        put = snprintf(text, size, "%s+0x%zx\n", info.dli_fname,
            (size_t)((uintptr_t)address - (uintptr_t)info.dli_fbase));
    else
        put = snprintf(text, size, "%s+0x%zx %s+0x%zx\n", info.dli_fname,
            (size_t)((uintptr_t)address - (uintptr_t)info.dli_fbase), info.dli_sname,
            (size_t)((uintptr_t)address - (uintptr_t)info.dli_saddr));
    if (put < 0 || (size_t)put >= size) { /* whole lines only */
        text[0] = '\0';
        return 0;
    }
    return (size_t)put;
}

/* The first that is not in this module; where all are (a program that has the device in it), the first. */
static unsigned first_outside(const struct callers *callers)
{
    Dl_info own, info;
    unsigned first = 0;

    if (!look_up((char *)(uintptr_t)callers_take + 1, &own))
        return 0;
    while (first < callers->count && look_up(callers->at[first], &info) && info.dli_fbase == own.dli_fbase)
        first++;
    return first == callers->count ? 0 : first;
}

void callers_name(const struct callers *callers, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = first_outside(callers); i < callers->count; i++) {
        size_t line = write_line(callers->at[i], text + used, size - used);

        if (line == 0)
            break;
        used += line;
    }
}
