/* SPDX-License-Identifier: Apache-2.0 */
/* The view that changes: on a terminal in its place, else one text after the other. */
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "top.h"

#define PLAIN_COLUMNS 80u

static volatile sig_atomic_t ended, resized;

static void note_signal(int number)
{
    if (number == SIGWINCH)
        resized = 1;
    else
        ended = 1;
}

static bool is_dumb(void)
{
    const char *terminal = getenv("TERM");

    return terminal == NULL || terminal[0] == '\0' || strcmp(terminal, "dumb") == 0;
}

/* Whether lines can be drawn over. */
static bool has_screen(void)
{
    return isatty(STDOUT_FILENO) && !is_dumb();
}

struct look screen_look(void)
{
    const char *no_color = getenv("NO_COLOR");
    struct look look = {
        .color = has_screen() && (no_color == NULL || no_color[0] == '\0'),
        .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 && !is_dumb(),
    };

    return look;
}

struct view {
    bool is_screen;
    unsigned rows, row;
};

static void put_line(void *arg, const char *line)
{
    struct view *view = arg;

    view->row++;
    if (!view->is_screen)
        puts(line);
    else if (view->row < view->rows) /* the last row stays free: a newline there would scroll */
        printf("%s\033[K\n", line);
}

static void measure(struct view *view, struct look *look)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;

    view->rows = known ? size.ws_row : 24;
    look->columns = known ? size.ws_col : PLAIN_COLUMNS;
    view->row = 0;
}

static void show(const struct cards *cards, const struct look *wanted, struct view *view)
{
    struct look look = *wanted;

    measure(view, &look);
    if (view->is_screen)
        fputs("\033[H", stdout);
    draw(cards, &look, put_line, view);
    if (view->is_screen) {
        fputs("\033[J", stdout);
        if (view->row >= view->rows)
            printf("\033[%u;1H%u lines more; q ends\033[K", view->rows, view->row - view->rows + 1);
    } else {
        putchar('\n');
    }
    if (fflush(stdout) != 0)
        ended = 1; /* nobody reads it */
}

/* Until the interval is over, the window has another size, or the user ends it. */
static void wait_for_user(double interval, bool keys)
{
    struct pollfd key = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
    struct timespec time = timespec_of(interval);
    sigset_t none;
    char byte;

    sigemptyset(&none);
    if (ppoll(&key, 1, &time, &none) > 0 && (read(STDIN_FILENO, &byte, 1) <= 0 || byte == 'q' || byte == 3))
        ended = 1;
}

static bool set_keys(struct termios *before)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, before) != 0 ||
        tcgetpgrp(STDIN_FILENO) != getpgrp()) /* in the background, the keys are not ours */
        return false;
    raw = *before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Signals come only while we wait. */
static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    struct sigaction action = {.sa_handler = note_signal};
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaddset(&set, signals[i]);
        sigaction(signals[i], &action, NULL);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void screen_run(struct cards *cards, const struct look *look, double interval)
{
    struct view view = {.is_screen = has_screen()};
    struct termios before;
    bool keys;

    catch_signals();
    keys = view.is_screen && set_keys(&before);
    if (view.is_screen)
        fputs("\033[?1049h\033[?25l\033[2J", stdout); /* another screen, without a cursor */
    while (!ended) {
        if (!resized)
            cards_sample(cards);
        resized = 0;
        show(cards, look, &view);
        wait_for_user(interval, keys);
    }
    if (view.is_screen)
        fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
}
