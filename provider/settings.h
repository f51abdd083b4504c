/* SPDX-License-Identifier: Apache-2.0 */
/* The control commands (driver/commands.h) of a provider: from its section of the configuration, and while it
 * runs. */
#ifndef ERSATZ_PROVIDER_SETTINGS_H
#define ERSATZ_PROVIDER_SETTINGS_H

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <stdbool.h>

/* What OSSL_provider_init() was given. */
struct configuration {
    const OSSL_CORE_HANDLE *handle;
    const OSSL_DISPATCH *in;
};

/* Run the commands in the provider's section, each a line NAME = VALUE, and look for names that are no
 * commands; for door_open(). arg: a struct configuration. False, with an error raised: one of them
 * is wrong. */
bool settings_configure(void *arg);

/* Read the value of a line that turns something on or off. False, with an error raised: it does neither. */
bool settings_read_flag(const char *name, const char *value, bool *on);

/* Whether a capability that is asked for is a command in truth, see ersatz/control.h. */
bool settings_are_asked(const char *capability);

/* Run it. 0, with an error raised: it was refused. */
int settings_run(const char *capability, OSSL_CALLBACK *callback, void *arg);

#endif
