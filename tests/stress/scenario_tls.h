/* SPDX-License-Identifier: Apache-2.0 */
/* TLS connections with SSL_MODE_ASYNC, many at once; some are freed in the middle of something. */
#ifndef ERSATZ_STRESS_SCENARIO_TLS_H
#define ERSATZ_STRESS_SCENARIO_TLS_H

#include <openssl/engine.h>

#include "random.h"

/* The engine is the default for everything. Ends the process if anything is wrong. */
void tls_talk(struct random *random);

#endif
