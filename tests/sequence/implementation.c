/* SPDX-License-Identifier: Apache-2.0 */
/* The card's ciphers, for call.h. Apart from it: the fuzz targets have the card within them. */
#include "call.h"
#include "support/card.h"

struct implementation implementation_of(struct card *card, const char *name)
{
    struct implementation whose = {.cipher = EVP_get_cipherbyname(name), .engine = card_engine(card)};

    if (card != NULL && card_is_provider())
        whose.cipher = whose.fetched = EVP_CIPHER_fetch(card_context(card), name, "provider=ersatz");
    return whose;
}

void implementation_free(struct implementation *whose)
{
    EVP_CIPHER_free(whose->fetched);
}
