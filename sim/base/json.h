/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON, value by value: commas, names and escapes. */
#ifndef ERSATZ_SIM_BASE_JSON_H
#define ERSATZ_SIM_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Begins as {.stream = stream}. Errors stay in the stream. */
struct json {
    FILE *stream;
    bool compact;     /* no spaces: for long files */
    bool more;        /* a value stands before, so that a comma comes first */
    const char *line; /* the next value begins a line, with these spaces; NULL: it does not */
};

/* Each writes one value. name: of a member of an object, which needs no escapes; NULL: an element of an
 * array, or the outermost value. */
void json_open(struct json *json, const char *name, char bracket); /* '{' or '[', and then its values */
void json_close(struct json *json, char bracket);                  /* '}' or ']' */
void json_number(struct json *json, const char *name, uint64_t number);
void json_signed(struct json *json, const char *name, int64_t number);
void json_bool(struct json *json, const char *name, bool value);

/* Nanoseconds, written as seconds with six decimals, or as microseconds with three. */
void json_seconds(struct json *json, const char *name, uint64_t ns);
void json_microseconds(struct json *json, const char *name, uint64_t ns);

/* A string of at most size bytes, which ends before its first zero, if there is one. */
void json_string(struct json *json, const char *name, const char *text, size_t size);
void json_text(struct json *json, const char *name, const char *text); /* whole */

/* A string that is put together (printf style); at most 127 bytes of it. */
void json_format(struct json *json, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What is written to the stream next is a value of this name. */
void json_value(struct json *json, const char *name);

/* The next value, or bracket, begins a line, with so many spaces. */
void json_line(struct json *json, const char *spaces);

#endif
