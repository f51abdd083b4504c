/* SPDX-License-Identifier: Apache-2.0 */
/* See json_read.h. A decoded string is never longer than its source, so it is written over that. */
#include "json_read.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

struct reader {
    char *start, *at, *end; /* *end is zero */
    struct ersatz_error *error;
};

static bool expect(struct reader *reader, const char *expected)
{
    reader->error->result = ERSATZ_BAD_INPUT;
    snprintf(reader->error->text, sizeof(reader->error->text), "wrong at character %zu: expected %s",
        (size_t)(reader->at - reader->start) + 1, expected);
    return false;
}

static void skip_spaces(struct reader *reader)
{
    reader->at += strspn(reader->at, " \t\r\n");
}

static bool take(struct reader *reader, char c, const char *expected)
{
    skip_spaces(reader);
    if (*reader->at != c)
        return expect(reader, expected);
    reader->at++;
    return true;
}

/* Four hexadecimal digits. */
static bool read_unit(struct reader *reader, uint32_t *unit)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    *unit = 0;
    for (unsigned i = 0; i < 4; i++, reader->at++) {
        const char *digit = *reader->at == '\0' ? NULL : strchr(digits, *reader->at);

        if (digit == NULL)
            return expect(reader, "four hexadecimal digits after \\u");
        *unit = *unit << 4 | (uint32_t)(digit - digits < 16 ? digit - digits : digit - digits - 6);
    }
    return true;
}

/* A character after \u, which may take two units (a surrogate pair). */
static bool read_point(struct reader *reader, uint32_t *point)
{
    uint32_t low;

    if (!read_unit(reader, point))
        return false;
    if (*point >= 0xd800 && *point < 0xdc00) {
        if (reader->at[0] != '\\' || reader->at[1] != 'u')
            return expect(reader, "the second half of a surrogate pair");
        reader->at += 2;
        if (!read_unit(reader, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return expect(reader, "the second half of a surrogate pair before this");
        *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
    } else if (*point >= 0xdc00 && *point < 0xe000) {
        return expect(reader, "the first half of a surrogate pair before this");
    }
    return *point != 0 || expect(reader, "no zero character before this");
}

static char *write_point(char *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (char)point;
        return out;
    }
    if (point >= 0x10000)
        *out++ = (char)(0xf0 | point >> 18);
    if (point >= 0x800)
        *out++ = (char)(point >= 0x10000 ? 0x80 | (point >> 12 & 0x3f) : 0xe0 | point >> 12);
    *out++ = (char)(point >= 0x800 ? 0x80 | (point >> 6 & 0x3f) : 0xc0 | point >> 6);
    *out++ = (char)(0x80 | (point & 0x3f));
    return out;
}

static bool read_escape(struct reader *reader, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name;
    uint32_t point;

    reader->at++; /* the backslash */
    if (*reader->at == 'u') {
        reader->at++;
        if (!read_point(reader, &point))
            return false;
        *out = write_point(*out, point);
        return true;
    }
    name = *reader->at == '\0' ? NULL : strchr(names, *reader->at);
    if (name == NULL)
        return expect(reader, "one of \" \\ / b f n r t u after a backslash");
    *(*out)++ = values[name - names];
    reader->at++;
    return true;
}

static bool read_string(struct reader *reader, const char *expected, const char **text)
{
    char *out;
    uint32_t point;

    if (!take(reader, '"', expected))
        return false;
    *text = out = reader->at;
    while (*reader->at != '"') {
        size_t length;

        if (reader->at == reader->end)
            return expect(reader, "\" at the end of a string");
        if (*reader->at == '\\') {
            if (!read_escape(reader, &out))
                return false;
            continue;
        }
        length = utf8_character(reader->at, (size_t)(reader->end - reader->at), &point);
        if (length == 0)
            return expect(reader, "UTF-8");
        if (point < 0x20)
            return expect(reader, "no control character in a string; write it as \\n or \\u000a");
        memmove(out, reader->at, length);
        out += length;
        reader->at += length;
    }
    reader->at++;
    *out = '\0'; /* at the closing quote or before it */
    return true;
}

static bool read_digits(struct reader *reader)
{
    size_t digits = strspn(reader->at, "0123456789");

    reader->at += digits;
    return digits > 0 || expect(reader, "a digit");
}

static bool read_number(struct reader *reader)
{
    if (*reader->at == '-')
        reader->at++;
    if (*reader->at == '0')
        reader->at++;
    else if (!read_digits(reader))
        return false;
    if (*reader->at == '.') {
        reader->at++;
        if (!read_digits(reader))
            return false;
    }
    if (*reader->at == 'e' || *reader->at == 'E') {
        reader->at++;
        reader->at += *reader->at == '+' || *reader->at == '-';
        if (!read_digits(reader))
            return false;
    }
    return true;
}

static bool read_word(struct reader *reader)
{
    static const char *const words[] = {"true", "false", "null"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);

        if (strncmp(reader->at, words[i], length) == 0) {
            reader->at += length;
            return true;
        }
    }
    return expect(reader, "a string or a number");
}

/* end: behind the value, where the string's zero goes once the next character has been read; NULL: it has
 * one. */
static bool read_value(struct reader *reader, struct json_member *member, char **end)
{
    bool ok;

    skip_spaces(reader);
    *end = NULL;
    member->kind = *reader->at == '"'                                                 ? JSON_STRING
                   : *reader->at == '-' || (*reader->at >= '0' && *reader->at <= '9') ? JSON_NUMBER
                                                                                      : JSON_WORD;
    if (member->kind == JSON_STRING)
        return read_string(reader, "a string", &member->text);
    member->text = reader->at;
    ok = member->kind == JSON_NUMBER ? read_number(reader) : read_word(reader);
    *end = reader->at;
    return ok;
}

static bool is_new(struct reader *reader, const struct json_member *members, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(members[i].name, members[count].name) == 0)
            return expect(reader, "each name once");
    }
    return true;
}

/* A member, and the comma or the brace behind it, which *last tells. */
static bool read_member(struct reader *reader, struct json_member *members, unsigned count, bool *last)
{
    char *end;

    if (!read_string(reader, "a name in quotes", &members[count].name) || !is_new(reader, members, count) ||
        !take(reader, ':', "a colon") || !read_value(reader, &members[count], &end))
        return false;
    skip_spaces(reader);
    *last = *reader->at == '}';
    if (!*last && *reader->at != ',')
        return expect(reader, "a comma or }");
    reader->at++;
    if (end != NULL)
        *end = '\0';
    return true;
}

int json_read_object(
    char *text, size_t len, struct json_member *members, unsigned most, struct ersatz_error *error)
{
    struct reader reader = {.start = text, .at = text, .end = text + len, .error = error};
    unsigned count = 0;
    bool last;

    if (!take(&reader, '{', "{"))
        return -1;
    skip_spaces(&reader);
    last = *reader.at == '}';
    if (last)
        reader.at++;
    while (!last) {
        if (count == most) {
            expect(&reader, "no more members");
            return -1;
        }
        if (!read_member(&reader, members, count, &last))
            return -1;
        count++;
    }
    skip_spaces(&reader);
    if (reader.at != reader.end) {
        expect(&reader, "nothing after the }");
        return -1;
    }
    return (int)count;
}
