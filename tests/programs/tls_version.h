/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of TLS as the clients' arguments name them. */
#ifndef ERSATZ_TESTS_TLS_VERSION_H
#define ERSATZ_TESTS_TLS_VERSION_H

#include <openssl/ssl.h>
#include <string.h>

#include "check.h"

/* "1.0" to "1.3"; ends the test at any other name. */
static inline int tls_version(const char *name)
{
    static const char *const names[] = {"1.0", "1.1", "1.2", "1.3"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0)
            return TLS1_VERSION + i;
    }
    FAIL("unknown version of TLS");
}

#endif
