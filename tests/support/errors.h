/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's error queue. */
#ifndef ERSATZ_TESTS_ERRORS_H
#define ERSATZ_TESTS_ERRORS_H

#include <openssl/err.h>
#include <stdbool.h>
#include <string.h>

/* Whether any error on the queue speaks of `text`. Clears the queue. */
static inline bool error_speaks_of(const char *text)
{
    const char *data = NULL;
    int flags = 0;
    bool found = false;
    unsigned long code;

    while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        char line[512];

        ERR_error_string_n(code, line, sizeof(line));
        found =
            found || strstr(line, text) != NULL || ((flags & ERR_TXT_STRING) && strstr(data, text) != NULL);
    }
    return found;
}

/* What a thread calls first. At a thread's first call libcrypto makes what it keeps for it. If that call
 * looks into the table of engines, this is done under the table's lock, and another thread that ends, with a
 * random generator that refers to an engine, takes the two locks the other way round: see docs/limits.md. */
static inline void thread_begin(void)
{
    ERR_clear_error();
}

#endif
