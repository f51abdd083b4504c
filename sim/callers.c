/* Return addresses by backtrace(3), names by dladdr(3). */
#include "callers.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>

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

/* Where this module lies; NULL if it is part of the program, whose functions are of interest. */
static const void *own_base(void)
{
    Dl_info own;

    if (!look_up((char *)(uintptr_t)callers_take + 1, &own))
        return NULL;
    /* The kernel says where the program's headers are, which is right at its start. */
    return getauxval(AT_PHDR) - (uintptr_t)own.dli_fbase < sizeof(ElfW(Ehdr)) + 1 ? NULL : own.dli_fbase;
}

void callers_name(const struct callers *callers, char *text, size_t size)
{
    const void *own = own_base();
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < callers->count; i++) {
        Dl_info info;
        size_t line;

        if (own != NULL && look_up(callers->at[i], &info) && info.dli_fbase == own)
            continue;
        line = write_line(callers->at[i], text + used, size - used);
        if (line == 0)
            break;
        used += line;
    }
}
