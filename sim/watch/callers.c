/* SPDX-License-Identifier: Apache-2.0 */
/* Return addresses by backtrace(3), names by dladdr(3). */
#include "callers.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

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

/* A return address is behind its call, where the next line of the source begins, or the next function if the
 * call never returns. The byte before it is in the call. */
static char *call_before(void *address)
{
    return (char *)address - 1;
}

static bool look_up(void *address, Dl_info *info)
{
    return dladdr(call_before(address), info) != 0 && info->dli_fname != NULL;
}

/* Whether the module at that base is the program. Linux says where the program's headers are, and they are at
 * its start. */
static bool is_program(const void *base)
{
    return getauxval(AT_PHDR) - (uintptr_t)base < sizeof(ElfW(Ehdr)) + 1;
}

/* The module's path. The loader knows the program only by the name with which it was started. */
static const char *path_of(const Dl_info *info, char *path, size_t size)
{
    ssize_t length;

    if (info->dli_fname[0] == '/' || !is_program(info->dli_fbase))
        return info->dli_fname;
    length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0)
        return info->dli_fname;
    path[length] = '\0';
    return path;
}

static size_t write_line(void *address, char *text, size_t size)
{
    const char *call = call_before(address);
    char path[512];
    Dl_info info;
    int put;

    if (!look_up(address, &info))
        put = snprintf(text, size, "%p\n", (const void *)call);
    else if (info.dli_sname == NULL)
        put = snprintf(text, size, "%s+0x%zx\n", path_of(&info, path, sizeof(path)),
            (size_t)(call - (const char *)info.dli_fbase));
    else
        put = snprintf(text, size, "%s+0x%zx %s+0x%zx\n", path_of(&info, path, sizeof(path)),
            (size_t)(call - (const char *)info.dli_fbase), info.dli_sname,
            (size_t)(call - (const char *)info.dli_saddr));
    if (put < 0 || (size_t)put >= size) { /* whole lines only */
        text[0] = '\0';
        return 0;
    }
    return (size_t)put;
}

void callers_be(struct callers *callers, uintptr_t function)
{
    callers->count = 1;
    callers->at[0] = (void *)(function + 1);
}

bool callers_on_stack_of_thread(void)
{
    pthread_attr_t attributes;
    void *lowest = NULL;
    size_t size = 0;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return false;
    pthread_attr_getstack(&attributes, &lowest, &size);
    pthread_attr_destroy(&attributes);
    return (uintptr_t)__builtin_frame_address(0) - (uintptr_t)lowest < size;
}

/* The base of this module. NULL if it is part of the program, whose functions are to be reported. */
static const void *own_base(void)
{
    Dl_info own;

    if (!look_up((char *)(uintptr_t)callers_take + 1, &own))
        return NULL;
    return is_program(own.dli_fbase) ? NULL : own.dli_fbase;
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
