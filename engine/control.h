/* SPDX-License-Identifier: Apache-2.0 */
/* The control commands as ENGINE has them: numbers, flags, and pointers to answers. The commands themselves
 * are in driver/commands.h. */
#ifndef ERSATZ_ENGINE_CONTROL_H
#define ERSATZ_ENGINE_CONTROL_H

#include <openssl/engine.h>
#include <stdbool.h>

/* Make the definitions, unless they are there. False: no memory; an error is raised. */
bool control_create(void);
void control_destroy(void);

/* For ENGINE_set_cmd_defns() and ENGINE_set_ctrl_function(). control() raises an error where it fails. */
const ENGINE_CMD_DEFN *control_definitions(void);
int control(ENGINE *engine, int number, long i, void *p, void (*f)(void));

/* The engine goes. Says on standard error if libcrypto refused a command by itself, and the program never
 * used the engine. */
void control_end(void);

#endif
