/* The watchdog, and the last words of a process that crashes. */
#include "watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "check.h"

#define REPORTS_MAX 20

static char repeat_line[2048];
static _Atomic unsigned long progress;
static _Atomic int reports;
static _Atomic bool ending;
static pthread_t watchdog;
static unsigned limit;

/* In a signal handler: write(2) only. */
static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return;
}

static void say_repeat(void)
{
    say("\nrepeat with: stress ");
    say(repeat_line);
    say("\n");
}

static void crashed(int signal_number)
{
    say(signal_number == SIGABRT ? "\naborted" : "\ncrashed: memory was touched that nobody may touch");
    say_repeat();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void *watch(void *arg)
{
    unsigned long seen = 0;
    unsigned idle = 0;

    (void)arg;
    while (!atomic_load(&ending)) {
        unsigned long now;

        usleep(100000);
        now = atomic_load(&progress);
        idle = now == seen ? idle + 1 : 0;
        seen = now;
        if (idle > limit * 10) {
            say("\nhang: nothing was finished for too long");
            abort();
        }
    }
    return NULL;
}

void watch_begin(unsigned seconds)
{
    static unsigned char stack[65536]; /* the jobs' own are small */
    stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK};

    limit = seconds;
    CHECK_EQ(sigaltstack(&other, NULL), 0);
    CHECK_EQ(sigaction(SIGABRT, &action, NULL), 0);
#ifndef __SANITIZE_ADDRESS__ /* which tells more */
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    CHECK_EQ(sigaction(SIGBUS, &action, NULL), 0);
#endif
    CHECK_EQ(pthread_create(&watchdog, NULL, watch, NULL), 0);
}

void watch_end(void)
{
    atomic_store(&ending, true);
    pthread_join(watchdog, NULL);
}

void watch_round(const char *repeat)
{
    snprintf(repeat_line, sizeof(repeat_line), "%s", repeat);
    watch_progress();
}

void watch_progress(void)
{
    atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
}

void watch_report(const char *format, ...)
{
    va_list arguments;

    if (atomic_fetch_add(&reports, 1) >= REPORTS_MAX)
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nrepeat with: stress %s\n", repeat_line);
}
