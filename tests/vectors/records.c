/* SPDX-License-Identifier: Apache-2.0 */
/* Test vector files, line by line. */
#include "records.h"

#include <ctype.h>
#include <strings.h>

#include "check.h"

const struct field *record_field(const struct record *record, const char *name)
{
    for (int i = 0; i < record->count; i++) {
        if (strcasecmp(record->fields[i].name, name) == 0)
            return &record->fields[i];
    }
    return NULL;
}

static struct field *own_field(struct record *record, const char *name)
{
    struct field *field = (struct field *)record_field(record, name);

    if (field == NULL) {
        CHECK(record->count < FIELDS_MAX);
        field = &record->fields[record->count++];
        CHECK(strlen(name) < sizeof(field->name));
        strcpy(field->name, name);
    }
    return field;
}

static int digit(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : tolower(c) >= 'a' && tolower(c) <= 'f' ? tolower(c) - 'a' + 10
                                                    : -1;
}

/* An odd number of digits has a zero in front. */
static void decode(struct field *field)
{
    size_t digits = strlen(field->text);

    field->len = 0;
    for (size_t i = 0; i < digits; i++) {
        int value = digit(field->text[i]);
        size_t at = (i + digits % 2) / 2;

        if (value < 0)
            return; /* a word or a name, not a number */
        if ((i + digits % 2) % 2 == 0 || (i == 0 && digits % 2))
            field->bytes[at] = 0;
        field->bytes[at] = (unsigned char)(field->bytes[at] << 4 | value);
        field->len = at + 1;
    }
}

static void trim(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
}

static void forget(struct record *record, const char *const *kept)
{
    int count = 0;

    for (int i = 0; i < record->count; i++) {
        bool keep = false;

        for (const char *const *name = kept; *name != NULL; name++)
            keep = keep || strcasecmp(record->fields[i].name, *name) == 0;
        if (keep && count != i)
            record->fields[count] = record->fields[i];
        count += keep;
    }
    record->count = count;
    record->fails = false;
}

static void assign(struct record *record, char *line, char *equals)
{
    char *value = equals + 1;
    struct field *field;

    *equals = '\0';
    trim(line);
    while (isspace((unsigned char)*value))
        value++;
    field = own_field(record, line);
    CHECK(strlen(value) < sizeof(field->text));
    strcpy(field->text, value);
    decode(field);
}

static FILE *open_file(const char *path)
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        perror(path);
    CHECK(file != NULL);
    return file;
}

int read_nist(
    const char *path, const char *key, const char *const *kept, void (*handle)(const struct record *))
{
    static struct record record;
    static char line[VALUE_MAX + 100];
    FILE *file = open_file(path);
    int handled = 0;

    record.count = 0;
    record.fails = false;
    record.section[0] = '\0';
    for (bool more = true; more;) {
        char *equals;

        more = fgets(line, sizeof(line), file) != NULL;
        if (!more)
            line[0] = '\0';
        trim(line);
        equals = strchr(line, '=');
        if (line[0] == '\0') {
            if (record_field(&record, key) != NULL) {
                handle(&record);
                handled++;
                forget(&record, kept);
            }
        } else if (strcmp(line, "FAIL") == 0) {
            record.fails = true;
        } else if (line[0] == '[' && equals == NULL) {
            snprintf(record.section, sizeof(record.section), "%.60s", line);
        } else if (line[0] != '#' && line[0] != '[' && equals != NULL) {
            assign(&record, line, equals);
        }
    }
    fclose(file);
    return handled;
}

static void append_digits(struct field *field, const char *line)
{
    size_t len = strlen(field->text);

    for (; *line != '\0'; line++) {
        if (digit(*line) >= 0) {
            CHECK(len + 1 < sizeof(field->text));
            field->text[len++] = *line;
        }
    }
    field->text[len] = '\0';
    decode(field);
}

int read_labs(const char *path, const char *key, void (*handle)(const struct record *))
{
    static struct record record;
    char line[1024];
    FILE *file = open_file(path);
    struct field *field = NULL;
    int handled = 0;

    record.count = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        bool ends = field != NULL && field->text[0] != '\0';

        trim(line);
        if (line[0] != '#' && line[0] != '\0') {
            if (field != NULL)
                append_digits(field, line);
            continue;
        }
        if (ends && strcasecmp(field->name, key) == 0) {
            handle(&record);
            handled++;
        }
        if (ends)
            field = NULL;
        if (line[0] == '#' && line[1] == ' ' && line[strlen(line) - 1] == ':') {
            line[strlen(line) - 1] = '\0';
            field = own_field(&record, line + 2);
            field->text[0] = '\0';
            field->len = 0;
        }
    }
    fclose(file);
    return handled;
}

const char *vectors_directory(void)
{
    const char *directory = "/usr/lib/python3/dist-packages/cryptography_vectors";

    if (access(directory, R_OK) != 0)
        fprintf(stderr, "%s is missing: install python3-cryptography-vectors\n", directory);
    CHECK(access(directory, R_OK) == 0);
    return directory;
}
