/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the engine under test, for real, and reads what the card says it did. */
#ifndef ERSATZ_TESTS_ENGINE_H
#define ERSATZ_TESTS_ENGINE_H

#include <openssl/engine.h>

#include "support/card.h"

/* The module named by ERSATZ_MODULE, loaded through `dynamic` and initialised after the commands (NAME or
 * NAME:VALUE, separated by semicolons; may be NULL). Anything that fails ends the test. */
ENGINE *engine_load(const char *commands);

/* As above, but NULL if it does not load or initialise; errors are left on the queue. */
ENGINE *engine_try(const char *commands);

/* Give both references back. */
void engine_unload(ENGINE *engine);

/* Run one command; ends the test if it fails. */
void engine_command(ENGINE *engine, const char *name, const char *value);

/* Whether the command is refused with an error whose text has `text` in it. Clears the queue. */
bool engine_refuses(ENGINE *engine, const char *name, const char *value, const char *text);

/* A counter of the statistics, by name ("completed", "rsa_priv", ...). */
long engine_count(ENGINE *engine, const char *name);

/* Whether there is such a counter: those of kernels that are not in use are left out. */
bool engine_has_count(ENGINE *engine, const char *name);

/* Waits until a counter has reached a value: the card is another thread. */
void engine_wait_for(ENGINE *engine, const char *name, long value);

/* A key of 2048 bits that stays the same for the process, with the engine's method (explicit) or libcrypto's
 * (NULL). */
RSA *engine_rsa(ENGINE *engine);

#endif
