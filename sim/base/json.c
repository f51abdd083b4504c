/* SPDX-License-Identifier: Apache-2.0 */
/* See json.h. */
#include "json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "clock.h"
#include "ersatz/output.h"
#include "utf8.h"

void ersatz_json_string(const char *text, size_t size, FILE *stream)
{
    const char *at = text, *end = text + strnlen(text, size);

    fputc('"', stream);
    while (at < end) {
        uint32_t point;
        size_t length = utf8_character(at, (size_t)(end - at), &point);

        if (length == 0)
            fputs("\\ufffd", stream); /* the replacement character */
        else if (point == '"' || point == '\\')
            fprintf(stream, "\\%c", *at);
        else if (point == '\n')
            fputs("\\n", stream);
        else if (point < 0x20 || point == 0x7f)
            fprintf(stream, "\\u%04x", (unsigned)point);
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
