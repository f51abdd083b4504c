/* SPDX-License-Identifier: Apache-2.0 */
/* See json.h. */
#include "json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "clock.h"
#include "ersatz/output.h"

/* How many bytes a character takes that begins here and is right UTF-8 (RFC 3629); 0: it is not. */
static size_t utf8_length(const unsigned char *text, size_t size)
{
    unsigned char first = text[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xc2 ? 0
                    : first < 0xe0 ? 2
                    : first < 0xf0 ? 3
                    : first < 0xf5 ? 4
                                   : 0;

    if (length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90) || /* longer than need be */
        (first == 0xed && text[1] > 0x9f) || (first == 0xf4 && text[1] > 0x8f))   /* no characters */
        return 0;
    return length;
}

void ersatz_json_string(const char *text, size_t size, FILE *stream)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + strnlen(text, size);

    fputc('"', stream);
    while (at < end) {
        size_t length = utf8_length(at, (size_t)(end - at));

        if (length == 0)
            fputs("\\ufffd", stream); /* "replacement character" */
        else if (*at == '"' || *at == '\\')
            fprintf(stream, "\\%c", *at);
        else if (*at == '\n')
            fputs("\\n", stream);
        else if (*at < 0x20 || *at == 0x7f)
            fprintf(stream, "\\u%04x", *at);
        else
            fwrite(at, 1, length, stream);
        at += length == 0 ? 1 : length;
    }
    fputc('"', stream);
}

void json_value(struct json *json, const char *name)
{
    if (json->more)
        fputs(json->compact || json->line != NULL ? "," : ", ", json->stream);
    if (json->line != NULL)
        fprintf(json->stream, "\n%s", json->line);
    if (name != NULL)
        fprintf(json->stream, json->compact ? "\"%s\":" : "\"%s\": ", name);
    json->more = true;
    json->line = NULL;
}

void json_line(struct json *json, const char *spaces)
{
    json->line = spaces;
}

void json_open(struct json *json, const char *name, char bracket)
{
    json_value(json, name);
    fputc(bracket, json->stream);
    json->more = false;
}

void json_close(struct json *json, char bracket)
{
    if (json->line != NULL)
        fprintf(json->stream, "\n%s", json->line);
    fputc(bracket, json->stream);
    json->more = true;
    json->line = NULL;
}

void json_number(struct json *json, const char *name, uint64_t number)
{
    json_value(json, name);
    fprintf(json->stream, "%" PRIu64, number);
}

void json_signed(struct json *json, const char *name, int64_t number)
{
    json_value(json, name);
    fprintf(json->stream, "%" PRId64, number);
}

void json_bool(struct json *json, const char *name, bool value)
{
    json_value(json, name);
    fputs(value ? "true" : "false", json->stream);
}

void json_seconds(struct json *json, const char *name, uint64_t ns)
{
    json_value(json, name);
    fprintf(json->stream, "%.6f", (double)ns / (double)NS_PER_S);
}

void json_microseconds(struct json *json, const char *name, uint64_t ns)
{
    json_value(json, name);
    fprintf(json->stream, "%" PRIu64 ".%03u", ns / 1000, (unsigned)(ns % 1000));
}

void json_string(struct json *json, const char *name, const char *text, size_t size)
{
    json_value(json, name);
    ersatz_json_string(text, size, json->stream);
}

void json_text(struct json *json, const char *name, const char *text)
{
    json_string(json, name, text, strlen(text));
}

void json_format(struct json *json, const char *name, const char *format, ...)
{
    char text[128];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_text(json, name, text);
}
