/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the two forms in which the test vectors come, as records of named values. */
#ifndef ERSATZ_TESTS_RECORDS_H
#define ERSATZ_TESTS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#define FIELDS_MAX 32
#define VALUE_MAX 20000

struct field {
    char name[48]; /* upper case */
    char text[VALUE_MAX];
    unsigned char bytes[VALUE_MAX / 2]; /* if the text is hexadecimal */
    size_t len;
};

struct record {
    char section[64]; /* the last [line] that is not an assignment */
    bool fails;       /* the file says that the operation must fail */
    int count;
    struct field fields[FIELDS_MAX];
};

/* NULL: the record has no such field. */
const struct field *record_field(const struct record *record, const char *name);

/*
 * NIST's form: "NAME = value" lines, a record ended by a blank line. `handle` is called for each record that
 * has a field named `key`; the fields named in `kept` (ends with NULL) stay for the records that follow.
 * Returns how many were handled; ends the test if the file cannot be read.
 */
int read_nist(
    const char *path, const char *key, const char *const *kept, void (*handle)(const struct record *));

/*
 * RSA Laboratories' form: "# Name:" and lines of hexadecimal digits. `handle` is called after each field
 * named `key`; all fields stay until they are given again.
 */
int read_labs(const char *path, const char *key, void (*handle)(const struct record *));

/* Where Debian's python3-cryptography-vectors lies; ends the test if it is not installed. */
const char *vectors_directory(void);

#endif
