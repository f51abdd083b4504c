/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one flat JSON object (RFC 8259), strictly: names with strings, numbers, true, false or null. */
#ifndef ERSATZ_SIM_BASE_JSON_READ_H
#define ERSATZ_SIM_BASE_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "ersatz/result.h"

enum json_kind { JSON_STRING, JSON_NUMBER, JSON_WORD /* true, false, null */ };

struct json_member {
    const char *name;
    enum json_kind kind;
    const char *text; /* a string is decoded, the others are as they stand */
};

/*
 * Reads an object out of a text of len bytes with a zero behind them. The text is changed: names and values
 * become strings in it. At most `most` members; none may come twice, and no string may contain a zero
 * character. Returns how many there are; -1: error->text says where the text is wrong and what was expected.
 */
int json_read_object(
    char *text, size_t len, struct json_member *members, unsigned most, struct ersatz_error *error);

#endif
