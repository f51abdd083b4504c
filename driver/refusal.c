/* SPDX-License-Identifier: Apache-2.0 */
/* Says on standard error that the module or a command was refused. */
#include "refusal.h"

#include <openssl/err.h>
#include <stdatomic.h>
#include <string.h>

#include "ersatz/output.h"

/* Relaxed, both: each stands for itself. */
static _Atomic bool in_use, said_of_command;

void refusal_say(void)
{
    const char *data = NULL, *text;
    int flags = 0;
    unsigned long error = ERR_peek_last_error_data(&data, &flags);

    text = (flags & ERR_TXT_STRING) != 0 && data[0] != '\0' ? data : ERR_reason_error_string(error);
    if (text == NULL)
        text = "libcrypto gave no reason";
    ersatz_say(ERSATZ_REFUSED "%.*s", (int)strcspn(text, "\n"), text);
}

void refusal_say_command(void)
{
    if (!refusal_is_over() && !atomic_exchange_explicit(&said_of_command, true, memory_order_relaxed))
        refusal_say();
}

void refusal_end(void)
{
    atomic_store_explicit(&in_use, true, memory_order_relaxed);
}

bool refusal_is_over(void)
{
    return atomic_load_explicit(&in_use, memory_order_relaxed);
}
