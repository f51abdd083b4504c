/* SPDX-License-Identifier: Apache-2.0 */
/* See rsa_side.h. */
#include "rsa_side.h"

#include <openssl/err.h>

#include "check.h"

void rsa_note(struct side *side, const char *what, long result, const unsigned char *out, size_t len)
{
    unsigned long first = ERR_peek_error(), last = ERR_peek_last_error();

    transcript_note(&side->transcript, result <= 0, "%s: %s, %zu, %llx", what,
        result > 0 ? "done" : "refused", result > 0 ? len : 0,
        result > 0 ? (unsigned long long)transcript_digest(out, len) : 0);
    transcript_note(&side->transcript, false, "%s: returned %ld, reasons %d and %d", what, result,
        result > 0 ? 0 : ERR_GET_REASON(first), result > 0 ? 0 : ERR_GET_REASON(last));
}

void rsa_note_private(struct side *side, const char *what, long result, const unsigned char *out, size_t len)
{
    rsa_note(side, what, result, out, len);
    side->private_done += result > 0;
}

void rsa_note_public(struct side *side, const char *what, long result, const unsigned char *out, size_t len)
{
    rsa_note(side, what, result, out, len);
    side->public_done += result > 0;
}

size_t rsa_side_size(const struct side *side)
{
    return (size_t)BN_num_bytes(side->n);
}

bool rsa_add_modulus(const struct side *side, unsigned char *number)
{
    size_t size = rsa_side_size(side);
    BIGNUM *sum = BN_bin2bn(number, (int)size, NULL);
    bool fits;

    CHECK(BN_add(sum, sum, side->n));
    fits = (size_t)BN_num_bytes(sum) <= size;
    if (fits)
        CHECK(BN_bn2binpad(sum, number, (int)size) == (int)size);
    BN_free(sum);
    return fits;
}

void rsa_put_modulus(const struct side *side, unsigned char *number)
{
    CHECK(BN_bn2binpad(side->n, number, (int)rsa_side_size(side)) > 0);
}
