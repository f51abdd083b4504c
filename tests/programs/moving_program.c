/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the card that ERSATZ_CTRL has set up, changes its working directory, as daemons do, says so, and
 * ends when its standard input does. */
#include <unistd.h>

#include "check.h"
#include "support/card.h"

int main(void)
{
    struct card *card;
    char byte;

    test_begin(60);
    card = card_load("INIT_ENGINE");
    CHECK_EQ(chdir("/"), 0);
    CHECK(puts("moved") >= 0 && fflush(stdout) == 0);
    CHECK_EQ(read(0, &byte, 1), 0);
    card_unload(card);
    return 0;
}
