/* SPDX-License-Identifier: Apache-2.0 */
/* The control commands, as ENGINE sees them. */
#ifndef ERSATZ_ENGINE_COMMANDS_H
#define ERSATZ_ENGINE_COMMANDS_H

#include <openssl/engine.h>

/* For ENGINE_set_cmd_defns() and ENGINE_set_ctrl_function(). */
extern const ENGINE_CMD_DEFN command_definitions[];
int command_run(ENGINE *engine, int command, long i, void *p, void (*f)(void));

/* Take the commands of ERSATZ_CTRL. 0, with an error raised, at the first that is wrong. */
int commands_from_environment(void);

#endif
