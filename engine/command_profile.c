/* SPDX-License-Identifier: Apache-2.0 */
/* The command that says which card is modelled. */
#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"

int command_profile(int command, long i, void *p)
{
    struct ersatz_profile profile;
    struct ersatz_error error;

    (void)i;
    if (ersatz_profile_read(p, &profile, &error) != ERSATZ_OK) {
        error_raise(REASON_BAD_COMMAND, "%s: %s", command_name(command), error.text);
        return 0;
    }
    return card_set_profile(&profile) || command_too_late(command);
}
