/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a record. The file is not trusted: any user who may write to the directory may have made it. So it
 * must be a plain file of the right size, and its contents are made safe for the code that uses them: strings
 * end, flags are 0 or 1, and no text can control a terminal.
 */
#include "ersatz/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

static bool read_exactly(int fd, void *to, size_t size)
{
    char *at = to;

    while (size > 0) {
        ssize_t got = read(fd, at, size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

/* The length of the character at the beginning of the text; 0: it is not UTF-8, or controls a terminal. */
static size_t printable_character(const char *text, size_t size)
{
    uint32_t point;
    size_t length = utf8_character(text, size, &point);

    return length > 0 && (point < 0x20 || (point >= 0x7f && point < 0xa0)) ? 0 : length;
}

void ersatz_text_clean(char *text, size_t size, bool lines)
{
    size_t i = 0;

    text[size - 1] = '\0';
    while (text[i] != '\0') {
        size_t length = printable_character(text + i, size - 1 - i);

        if (length == 0 && (text[i] != '\n' || !lines))
            text[i] = '?';
        i += length == 0 ? 1 : length;
    }
    memset(text + i, 0, size - i);
}

/* A bool is one byte of which only 0 and 1 have a meaning. */
static void clean_flag(void *flag)
{
    unsigned char byte;

    memcpy(&byte, flag, 1);
    byte = byte != 0;
    memcpy(flag, &byte, 1);
}

static void clean_findings(struct ersatz_findings *findings)
{
    for (unsigned finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
            struct ersatz_sighting *sighting = &findings->of[finding].first[i];

            ersatz_text_clean(sighting->thread_name, sizeof(sighting->thread_name), false);
            ersatz_text_clean(sighting->note, sizeof(sighting->note), false);
            ersatz_text_clean(sighting->submitted, sizeof(sighting->submitted), true);
            ersatz_text_clean(sighting->happened, sizeof(sighting->happened), true);
        }
    }
    for (unsigned i = 0; i < ERSATZ_CALLBACKS_SEEN; i++)
        clean_flag(&findings->running[i].is_applications);
    for (unsigned i = 0; i < ERSATZ_CALLBACK_NAMES; i++)
        ersatz_text_clean(findings->callbacks[i].text, sizeof(findings->callbacks[i].text), false);
}

static void clean(struct ersatz_record *record)
{
    struct ersatz_record_head *head = &record->head;

    _Static_assert(sizeof(_Atomic bool) == 1 && sizeof(bool) == 1, "clean_flag() looks at all of a flag");
    clean_flag(&head->started);
    clean_flag(&head->traced);
    ersatz_text_clean(head->refused, sizeof(head->refused), false);
    ersatz_text_clean(head->program, sizeof(head->program), false);
    ersatz_text_clean((char *)record->stats.profile_name, sizeof(record->stats.profile_name), false);
    clean_findings(&record->findings);
    ersatz_text_clean(record->crash.stack, sizeof(record->crash.stack), true);
    for (unsigned i = 0; i < ERSATZ_TRACE_ENTRIES && record->trace.begun > 0; i++) {
        clean_flag(&record->trace.entries[i].ended);
        clean_flag(&record->trace.entries[i].orphan);
    }
}

bool ersatz_record_is_named_so(const char *name)
{
    size_t length = strlen(name), suffix = strlen(ERSATZ_RECORD_SUFFIX);

    return length > suffix && strcmp(name + length - suffix, ERSATZ_RECORD_SUFFIX) == 0;
}

/* Whether the name is that of the process's record: PID.record, or PID, a dash, and any characters. */
static bool is_named_after(const char *name, int64_t pid)
{
    char *end;
    long number = strtol(name, &end, 10);

    return number > 0 && number == pid && (*end == '-' || *end == '.');
}

/* Returns what is wrong, or NULL. */
static const char *read_parts(int fd, struct ersatz_record *record, bool with_trace)
{
    if (!read_exactly(fd, record, offsetof(struct ersatz_record, trace)))
        return "it could not be read completely";
    if (memcmp(record->head.magic, ERSATZ_RECORD_MAGIC, sizeof(record->head.magic)) != 0 ||
        record->head.size != sizeof(*record))
        return "it is not a record, or the process ended while it was writing it";
    clean_flag(&record->head.traced);
    if (with_trace && record->head.traced) {
        if (!read_exactly(fd, &record->trace, sizeof(record->trace)))
            return "it could not be read completely";
    } else {
        record->trace.begun = record->trace.late = 0; /* the entries are not used */
    }
    return NULL;
}

struct ersatz_record *ersatz_record_read(
    int directory, const char *name, bool with_trace, uid_t *owner, struct ersatz_error *error)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct ersatz_record *record = aligned_alloc(_Alignof(struct ersatz_record), sizeof(*record));
    struct stat status;
    const char *wrong;

    if (fd < 0 || record == NULL || fstat(fd, &status) != 0)
        wrong = strerror(errno);
    else if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_size != (off_t)sizeof(*record))
        wrong = "it is not a record of this build of ersatz";
    else
        wrong = read_parts(fd, record, with_trace);
    if (wrong == NULL && !is_named_after(name, record->head.pid))
        wrong = "it describes another process than its name says";
    if (fd >= 0)
        close(fd);
    if (wrong == NULL) {
        clean(record);
        *owner = status.st_uid;
        return record;
    }
    error->result = ERSATZ_BAD_INPUT;
    snprintf(error->text, sizeof(error->text), "the record %.100s: %s", name, wrong);
    ersatz_text_clean(error->text, sizeof(error->text), false);
    free(record);
    return NULL;
}
