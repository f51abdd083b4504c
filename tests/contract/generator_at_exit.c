/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process ends when libcrypto has made a random generator, on the AES of this engine, and no random
 * number was ever asked for: as `openssl list -random-instances` does. libcrypto's way out must not meet the
 * generator after the engines are gone; the exit code tells.
 */
#include <openssl/engine.h>
#include <openssl/rand.h>

#include "check.h"
#include "support/card.h"

int main(int argc, char **argv)
{
    struct card *card;

    CHECK_EQ(argc, 2);
    test_begin(100);
    card = card_load(NULL);
    card_set_default(card);
    if (strcmp(argv[1], "primary") == 0)
        CHECK(RAND_get0_primary(NULL) != NULL);
    else if (strcmp(argv[1], "public") == 0)
        CHECK(RAND_get0_public(NULL) != NULL);
    else
        CHECK(RAND_get0_private(NULL) != NULL);
    CHECK(card_count(card, "inline") > 0); /* the generator is built on the engine */
    /* As with a configuration: the default stays, the reference of one's own goes. */
    CHECK(ENGINE_finish(card_engine(card)) && ENGINE_free(card_engine(card)));
    free(card);
    return 0;
}
