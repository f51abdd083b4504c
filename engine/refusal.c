/* SPDX-License-Identifier: Apache-2.0 */
/* Says aloud that the engine was refused. */
#include "refusal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "command_handlers.h"
#include "driver/error.h"
#include "ersatz/output.h"

/* Relaxed, all: each stands for itself. */
static _Atomic bool in_use, said_of_command;
static _Atomic int expected;

void refusal_say(void)
{
    const char *data = NULL, *text;
    int flags = 0;
    unsigned long error = ERR_peek_last_error_data(&data, &flags);

    text = (flags & ERR_TXT_STRING) != 0 && data[0] != '\0' ? data : ERR_reason_error_string(error);
    if (text == NULL)
        text = "for a reason that libcrypto does not name";
    ersatz_say(
        "refused, so that the program may go on without this engine: %.*s", (int)strcspn(text, "\n"), text);
}

void refusal_say_command(void)
{
    if (!atomic_load_explicit(&in_use, memory_order_relaxed) &&
        !atomic_exchange_explicit(&said_of_command, true, memory_order_relaxed))
        refusal_say();
}

void refusal_expect(int command)
{
    atomic_store_explicit(&expected, command, memory_order_relaxed);
}

void refusal_say_at_end(void)
{
    int command = atomic_exchange_explicit(&expected, 0, memory_order_relaxed);

    if (command != 0 && !atomic_load_explicit(&in_use, memory_order_relaxed))
        ersatz_say("was refused, and the program went on without this engine: %s was given a value that it "
                   "does not take, or lacked one",
            command_name(command));
}

void refusal_end(void)
{
    atomic_store_explicit(&in_use, true, memory_order_relaxed);
}
