/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a symbolizer about the callers in the records, one file after the other. A faulty program may have
 * written the records. So only regular files are opened, and the time for all symbolizers is limited.
 */
#include "symbols.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_IN_ALL 20 /* a large program with all its symbols takes a few seconds */
#define FRAMES_MAX 4096u
#define LINE_MAX_BYTES 512u

extern char **environ;

/* One line of callers: "FILE+0xOFFSET", followed by " NAME+0xOFFSET" if the program knew the name. */
struct frame {
    char *file;
    unsigned long offset;
    bool named;
    char *function, *place; /* from the symbolizer; NULL: not found */
};

struct frames {
    struct frame *of;
    unsigned count;
    time_t until; /* the time limit for symbolizers */
};

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* ---------------------------------------------------------------------------------------------- the lines */

/* The beginning of "+0x..." at the end of the text; NULL: the text does not end with one. */
static const char *offset_in(const char *text, size_t length)
{
    size_t digits = 0;

    while (digits < length && isxdigit((unsigned char)text[length - digits - 1]))
        digits++;
    if (digits == 0 || digits + 3 > length || strncmp(text + length - digits - 3, "+0x", 3) != 0)
        return NULL;
    return text + length - digits - 3;
}

/* Parses a line. False: the line does not name a file. A path may contain spaces. */
static bool parse(const char *line, size_t length, struct frame *frame)
{
    const char *space = memrchr(line, ' ', length), *offset = NULL;

    *frame = (struct frame){.named = false};
    if (space != NULL)
        offset = offset_in(line, (size_t)(space - line));
    frame->named = offset != NULL;
    if (offset == NULL)
        offset = offset_in(line, length);
    if (offset == NULL || line[0] != '/')
        return false;
    frame->offset = strtoul(offset + 1, NULL, 16);
    frame->file = strndup(line, (size_t)(offset - line));
    return frame->file != NULL;
}

static struct frame *find(const struct frames *frames, const struct frame *like)
{
    for (unsigned i = 0; i < frames->count; i++) {
        if (frames->of[i].offset == like->offset && strcmp(frames->of[i].file, like->file) == 0)
            return &frames->of[i];
    }
    return NULL;
}

static void collect(struct frames *frames, const char *text, size_t size)
{
    const char *end = text + strnlen(text, size);

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline == NULL ? end : newline) - text);
        struct frame frame;
        bool is_file = parse(text, length, &frame);

        if (is_file && frames->count < FRAMES_MAX && find(frames, &frame) == NULL)
            frames->of[frames->count++] = frame;
        else
            free(frame.file);
        text += length + 1;
    }
}

/* The text to append to the line of a frame; "" if nothing was found. */
static void describe(const struct frame *known, char *more, size_t size)
{
    bool has_place = known != NULL && known->place != NULL;

    more[0] = '\0';
    if (known != NULL && !known->named && known->function != NULL)
        snprintf(more, size, " in %.200s%s%.200s%s", known->function, has_place ? " (" : "",
            has_place ? known->place : "", has_place ? ")" : "");
    else if (has_place)
        snprintf(more, size, " (%.200s)", known->place);
}

/* Appends to each line what was found, if there is room for all lines. */
static void rewrite(const struct frames *frames, char *text, size_t size)
{
    const char *from = text, *end = text + strnlen(text, size);
    char *copy = malloc(size);
    size_t used = 0;
    bool fits = copy != NULL;

    while (fits && from < end) {
        const char *newline = memchr(from, '\n', (size_t)(end - from));
        size_t length = (size_t)((newline == NULL ? end : newline) - from);
        char more[LINE_MAX_BYTES] = "";
        struct frame frame;
        int put;

        if (parse(from, length, &frame))
            describe(find(frames, &frame), more, sizeof(more));
        free(frame.file);
        put = snprintf(
            copy + used, size - used, "%.*s%s%s", (int)length, from, more, newline == NULL ? "" : "\n");
        fits = put > 0 && (size_t)put < size - used;
        used += fits ? (size_t)put : 0;
        from += length + 1;
    }
    if (fits && used > 0)
        memcpy(text, copy, used + 1);
    ersatz_text_clean(text, size, true); /* names in a file may contain any bytes */
    free(copy);
}

/* ----------------------------------------------------------------------------------------- the symbolizer */

/* Properties of a file that are needed before a symbolizer is asked. */
struct file {
    unsigned long base; /* address of its first segment; offsets in the records count from there */
    bool has_symbols;   /* true: it has a table of all symbols, static ones too */
};

/* Reads an entry of a table in the file. */
static bool read_at(int fd, uint64_t table, uint64_t entry, void *to, size_t size)
{
    return pread(fd, to, size, (off_t)(table + entry * size)) == (ssize_t)size;
}

/* False: not a 64-bit ELF file. */
static bool read_elf(int fd, struct file *file)
{
    unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
    Elf64_Ehdr head;
    Elf64_Phdr segment = {0};
    Elf64_Shdr section;

    if (!read_at(fd, 0, 0, &head, sizeof(head)) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(segment))
        return false;
    for (unsigned i = 0; i < head.e_phnum && segment.p_type != PT_LOAD; i++) {
        if (!read_at(fd, head.e_phoff, i, &segment, sizeof(segment)))
            return false;
    }
    file->base = segment.p_vaddr - segment.p_vaddr % page;
    file->has_symbols = false;
    for (unsigned i = 0; i < head.e_shnum && head.e_shentsize == sizeof(section); i++) {
        if (!read_at(fd, head.e_shoff, i, &section, sizeof(section)))
            break;
        file->has_symbols = file->has_symbols || section.sh_type == SHT_SYMTAB;
    }
    return segment.p_type == PT_LOAD;
}

static bool read_file(const char *path, struct file *file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    bool ok = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && read_elf(fd, file);

    if (fd >= 0)
        close(fd);
    return ok;
}

/* A copy of the environment without the variable that makes symbolizers ask servers. */
static char **quiet_environment(void)
{
    size_t count = 0, kept = 0;
    char **copy;

    while (environ[count] != NULL)
        count++;
    copy = calloc(count + 1, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < count; i++) {
        if (strncmp(environ[i], "DEBUGINFOD_URLS=", strlen("DEBUGINFOD_URLS=")) != 0)
            copy[kept++] = environ[i];
    }
    return copy;
}

/* Starts a symbolizer, whose output can be read from *output. -1: there is no such program. */
static pid_t start(char *const *arguments, int *output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **environment = quiet_environment();
    sigset_t none;
    int ends[2];
    pid_t pid;

    if (environment == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        free(environment);
        return -1;
    }
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments, environment) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(environment);
    close(ends[1]);
    *output = ends[0];
    if (pid < 0)
        close(ends[0]);
    return pid;
}

/* All output of a symbolizer; NULL: it failed, or took too long. */
static char *run(char *const *arguments, time_t until)
{
    int output, status = 0;
    pid_t pid = start(arguments, &output);
    char *answer = NULL, *more;
    size_t used = 0;
    ssize_t got = -1;

    if (pid < 0)
        return NULL;
    while (now() < until) {
        struct pollfd readable = {.fd = output, .events = POLLIN};

        if (poll(&readable, 1, 1000) <= 0)
            continue;
        more = realloc(answer, used + 65536);
        if (more == NULL)
            break;
        answer = more;
        got = read(output, answer + used, 65535);
        if (got <= 0)
            break;
        used += (size_t)got;
        answer[used] = '\0';
    }
    if (got != 0)
        kill(pid, SIGKILL);
    close(output);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (got == 0 && used > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return answer;
    free(answer);
    return NULL;
}

/* The next line of an answer, terminated; NULL: there is none. */
static char *next_line(char **at)
{
    char *line = *at, *end = line == NULL ? NULL : strchr(line, '\n');

    if (end == NULL)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

/* Reads two lines for each frame: the function, and its place in the source. Without a symbol table,
 * addr2line returns the nearest exported function before the address, which is a guess and not used. */
static void take_answer(char *answer, const struct file *file, struct frame *const *asked, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char *function = next_line(&answer), *place = next_line(&answer), *slash;
        bool has_place;

        if (function == NULL || place == NULL)
            return;
        has_place = place[0] != '?' && place[0] != ':';
        slash = strrchr(place, '/');
        place = slash == NULL ? place : slash + 1;
        place[strcspn(place, " ")] = '\0'; /* " (discriminator 3)" */
        if (function[0] != '?' && (file->has_symbols || has_place))
            asked[i]->function = text("%s", function);
        if (has_place)
            asked[i]->place = text("%s", place);
    }
}

static void ask_about(const char *path, struct frame *const *asked, unsigned count, time_t until)
{
    char *addr2line[] = {"addr2line", "-f", "-e", NULL};
    char *llvm[] = {"llvm-symbolizer", "--output-style=GNU", "--no-inlines", "-e", NULL};
    char **const symbolizers[] = {addr2line, llvm};
    struct file file;
    char *answer = NULL;

    if (!read_file(path, &file))
        return;
    for (unsigned which = 0; which < 2 && answer == NULL; which++) {
        char **arguments = calloc(count + 8, sizeof(*arguments));
        unsigned n = 0, first;

        while (arguments != NULL && symbolizers[which][n] != NULL) {
            arguments[n] = symbolizers[which][n];
            n++;
        }
        if (arguments == NULL)
            return;
        arguments[n++] = (char *)path;
        first = n;
        for (unsigned i = 0; i < count; i++)
            arguments[n++] = text("0x%lx", file.base + asked[i]->offset);
        answer = run(arguments, until);
        while (n > first)
            free(arguments[--n]);
        free(arguments);
    }
    if (answer != NULL)
        take_answer(answer, &file, asked, count);
    free(answer);
}

/* -------------------------------------------------------------------------------------------- all of them */

/* Calls each() for every text of callers in the records, except in records of other users: root would open
 * any file that they name. */
static void for_all(const struct records *records, struct frames *frames,
    void (*each)(struct frames *frames, char *text, size_t size))
{
    for (unsigned i = 0; i < records->count; i++) {
        struct ersatz_findings *findings = &records->of[i]->findings;

        if (records->owners[i] != geteuid())
            continue;
        for (unsigned finding = 0; finding < ERSATZ_FINDINGS; finding++) {
            for (unsigned n = 0; n < ERSATZ_SIGHTINGS_KEPT; n++) {
                struct ersatz_sighting *sighting = &findings->of[finding].first[n];

                each(frames, sighting->submitted, sizeof(sighting->submitted));
                each(frames, sighting->happened, sizeof(sighting->happened));
            }
        }
        each(frames, records->of[i]->crash.stack, sizeof(records->of[i]->crash.stack));
        for (unsigned n = 0; n < ERSATZ_CALLBACK_NAMES; n++)
            each(frames, findings->callbacks[n].text, sizeof(findings->callbacks[n].text));
    }
}

static void collect_one(struct frames *frames, char *text, size_t size)
{
    collect(frames, text, size);
}

static void rewrite_one(struct frames *frames, char *text, size_t size)
{
    rewrite(frames, text, size);
}

/* Asks about all frames of one file at once, because reading its symbols takes most of the time. */
static void ask(struct frames *frames)
{
    struct frame **asked = calloc(frames->count + 1, sizeof(struct frame *));
    bool *done = calloc(frames->count + 1, sizeof(*done));

    for (unsigned i = 0; asked != NULL && done != NULL && i < frames->count; i++) {
        unsigned count = 0;

        for (unsigned j = i; j < frames->count; j++) {
            if (done[j] || strcmp(frames->of[j].file, frames->of[i].file) != 0)
                continue;
            asked[count++] = &frames->of[j];
            done[j] = true;
        }
        if (count > 0)
            ask_about(frames->of[i].file, asked, count, frames->until);
    }
    free(asked);
    free(done);
}

void symbols_add(const struct records *records)
{
    struct frames frames = {.of = calloc(FRAMES_MAX, sizeof(*frames.of)), .until = now() + SECONDS_IN_ALL};

    if (frames.of == NULL)
        return;
    for_all(records, &frames, collect_one);
    ask(&frames);
    for_all(records, &frames, rewrite_one);
    for (unsigned i = 0; i < frames.count; i++) {
        free(frames.of[i].file);
        free(frames.of[i].function);
        free(frames.of[i].place);
    }
    free(frames.of);
}
