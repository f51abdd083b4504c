/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler runs in a process that has crashed anywhere, perhaps with the locks of malloc or of the dynamic
 * linker held. So it calls only functions that are safe in a signal handler: backtrace(3), whose unwinder
 * is loaded before, and _dl_find_object(3), which takes no lock. It formats text by itself.
 */
#include "ersatz/crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/threads.h"
#include "ersatz/sum.h"
#include "watch/callers.h"

#define FRAMES_MAX 48u   /* the handler's own included */
#define PLACE_FRAMES 4u  /* of these the place of a crash is made */
#define OTHER_WAITS 1000 /* milliseconds for another thread that writes its stack */

/* All constant while a handler is installed. */
static struct ersatz_record *record;
static char program[512];                      /* its path */
static const struct link_map *own, *c_library; /* own: NULL if this module is part of the program */
static struct sockaddr_un listener;            /* no path: there is none */

static atomic_bool shown; /* the first crash is written, and a listener, if there is one, has looked */

/* ------------------------------------------------------------------------------------------ the stack */

struct frame {
    const struct link_map *module; /* NULL: not in a file */
    uintptr_t offset;              /* in it, of the call; without a module the address */
};

struct stack {
    struct frame frames[FRAMES_MAX];
    unsigned count;
};

static const struct link_map *module_of(uintptr_t address, uintptr_t *start)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
    struct dl_find_object found;

    if (_dl_find_object((void *)address, &found) != 0)
        return NULL;
    *start = (uintptr_t)found.dlfo_map_start;
    return found.dlfo_link_map;
#else /* takes the loader's lock: a crash within the loader may then hang */
    struct link_map *module;
    Dl_info info;

    if (dladdr1((void *)address, &info, (void **)&module, RTLD_DL_LINKMAP) == 0)
        return NULL;
    *start = (uintptr_t)info.dli_fbase;
    return module;
#endif
}

static void add_frame(struct stack *stack, uintptr_t address)
{
    uintptr_t start = 0;
    const struct link_map *module = module_of(address, &start);

    if (stack->count < FRAMES_MAX)
        stack->frames[stack->count++] = (struct frame){.module = module, .offset = address - start};
}

/* Where the crash interrupted the thread, and to where a function returns that has just been called: a jump
 * to an address without code has no frame. 0: not known. */
static void read_context(const ucontext_t *context, uintptr_t *at, uintptr_t *returns_to)
{
#if defined(__x86_64__)
    *at = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    *returns_to = *(const uintptr_t *)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    *at = context->uc_mcontext.pc;
    *returns_to = context->uc_mcontext.regs[30];
#else
    (void)context;
    *at = *returns_to = 0;
#endif
}

static void take_stack(struct stack *stack, const ucontext_t *context)
{
    void *found[FRAMES_MAX];
    int count = backtrace(found, FRAMES_MAX), first = 0;
    uintptr_t at, returns_to;

    read_context(context, &at, &returns_to);
    stack->count = 0;
    while (first < count && (uintptr_t)found[first] != at)
        first++;
    add_frame(stack, at);
    if (first >= count)
        add_frame(stack, returns_to - 1);
    for (int i = first + 1; i < count; i++)
        add_frame(stack, (uintptr_t)found[i] - 1);
}

/* ------------------------------------------------------------------------------------------- its text */

static const char *path_of(const struct link_map *module)
{
    return module->l_name[0] == '\0' ? program : module->l_name;
}

struct line {
    char text[sizeof(program) + 64];
    size_t used;
};

static void put_text(struct line *line, const char *text)
{
    for (; *text != '\0' && line->used < sizeof(line->text); text++)
        line->text[line->used++] = *text;
}

static void put_hex(struct line *line, uintptr_t number)
{
    char digits[2 * sizeof(number) + 1], *at = digits + sizeof(digits) - 1;

    *at = '\0';
    do {
        *--at = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number != 0);
    put_text(line, "0x");
    put_text(line, at);
}

/* Write the lines of a stack as callers_name() does, without symbols: whole lines only. */
static void write_stack(const struct stack *stack, char *text, size_t size)
{
    size_t used = 0;

    for (unsigned i = 0; i < stack->count; i++) {
        struct line line = {.used = 0};

        if (stack->frames[i].module != NULL) {
            put_text(&line, path_of(stack->frames[i].module));
            put_text(&line, "+");
        }
        put_hex(&line, stack->frames[i].offset);
        put_text(&line, "\n");
        if (used + line.used >= size)
            break;
        memcpy(text + used, line.text, line.used);
        used += line.used;
    }
    text[used] = '\0';
}

/* ---------------------------------------------------------------------------------------------- its place */

/* Functions of the C library (abort) and of this module say little about which mistake it is, and on which of
 * the card's threads a callback ran says nothing. */
static bool tells(const struct frame *frame)
{
    return frame->module != NULL && frame->module != own && frame->module != c_library;
}

static void find_place(const struct stack *stack, struct ersatz_crash *crash)
{
    uint64_t sum = ERSATZ_SUM_EMPTY;
    unsigned used = 0;

    for (unsigned i = 0; i < stack->count && used < PLACE_FRAMES; i++) {
        const struct frame *frame = &stack->frames[i];

        if (!tells(frame))
            continue;
        if (used++ == 0)
            crash->line = i;
        sum = ersatz_sum_add(sum, path_of(frame->module), strlen(path_of(frame->module)));
        sum = ersatz_sum_add(sum, &frame->offset, sizeof(frame->offset));
    }
    crash->place = used == 0 ? 0 : sum;
}

/* -------------------------------------------------------------------------------------------- the handler */

static void write_crash(struct ersatz_crash *crash, int signal, const ucontext_t *context)
{
    struct stack stack;

    crash->signal = signal;
    crash->thread = thread_self();
    /* A stack that cannot be read raises a signal, which ends the process: what is written so far stays. */
    take_stack(&stack, context);
    write_stack(&stack, crash->stack, sizeof(crash->stack));
    find_place(&stack, crash);
    /* Pairs with the acquire of a thread that waits for this. */
    atomic_store_explicit(&crash->state, ERSATZ_CRASH_WRITTEN, memory_order_release);
}

/* The listener, if there is one, ends its look by itself, or by its own end. */
static void wait_for_other(const struct ersatz_crash *crash)
{
    static const struct timespec ms = {.tv_nsec = 1000000};

    for (int i = 0; !atomic_load(&shown); i++) {
        if (i >= OTHER_WAITS &&
            atomic_load_explicit(&crash->state, memory_order_acquire) != ERSATZ_CRASH_WRITTEN)
            return;
        nanosleep(&ms, NULL);
    }
}

/* Lets a listener look at all threads: it stops the process, and closes the connection when it has seen them.
 * The process does not stop by itself, for if the listener ends meanwhile, nobody would let it go on. Without
 * a device, the process may be in a sandbox that would kill it for these calls. */
static void show_threads(void)
{
    bool may =
        listener.sun_path[0] != '\0' && atomic_load_explicit(&record->head.started, memory_order_relaxed);
    int s = may ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    if (s < 0)
        return;
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* a debugger that is no ancestor may attach */
    if (connect(s, (const struct sockaddr *)&listener, sizeof(listener)) == 0) {
        struct pollfd closed = {.fd = s, .events = POLLIN};

        while (poll(&closed, 1, -1) < 0 && errno == EINTR)
            ;
    }
    close(s);
}

static void on_crash(int signal_number, siginfo_t *info, void *context)
{
    struct ersatz_crash *crash = &record->crash;
    uint32_t none = ERSATZ_CRASH_NONE;

    (void)info;
    signal(signal_number, SIG_DFL);
    /* The child of a vfork(2) has its parent's record. */
    if (record->head.pid == getpid()) {
        if (atomic_compare_exchange_strong(&crash->state, &none, ERSATZ_CRASH_BEGUN)) {
            write_crash(crash, signal_number, context);
            show_threads();
            atomic_store(&shown, true);
        } else {
            wait_for_other(crash);
        }
    }
    raise(signal_number); /* blocked until the handler returns */
}

static bool is_ours(int signal)
{
    struct sigaction action;

    return sigaction(signal, NULL, &action) == 0 && (action.sa_flags & SA_SIGINFO) != 0 &&
           action.sa_sigaction == on_crash;
}

static bool is_default(int signal)
{
    struct sigaction action;

    return sigaction(signal, NULL, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
           action.sa_handler == SIG_DFL;
}

/* Where to find a listener in the directory, if its path is short enough for a socket. */
static void find_listener(const char *directory)
{
    int length = directory == NULL ? -1
                                   : snprintf(listener.sun_path, sizeof(listener.sun_path),
                                         "%s/" ERSATZ_CRASH_SOCKET, directory);

    listener.sun_family = AF_UNIX;
    if (length < 0 || (size_t)length >= sizeof(listener.sun_path))
        listener.sun_path[0] = '\0';
}

void ersatz_crash_watch(struct ersatz_record *into, const char *directory)
{
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    uintptr_t start;

    program[length > 0 ? length : 0] = '\0';
    record = into;
    find_listener(directory);
    own = module_of((uintptr_t)on_crash, &start);
    own = own != NULL && own->l_name[0] == '\0' ? NULL : own;
    c_library = module_of((uintptr_t)abort, &start);
    callers_prepare();
    threads_handle_crashes();
    sigfillset(&action.sa_mask);
    for (unsigned i = 0; i < CRASH_SIGNALS; i++) {
        if (is_default(crash_signals[i]))
            sigaction(crash_signals[i], &action, NULL);
    }
}

void ersatz_crash_unwatch(void)
{
    for (unsigned i = 0; i < CRASH_SIGNALS; i++) {
        if (is_ours(crash_signals[i]))
            signal(crash_signals[i], SIG_DFL);
    }
}
