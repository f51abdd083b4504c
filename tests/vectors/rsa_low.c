/* SPDX-License-Identifier: Apache-2.0 */
/* What is compared through the RSA_...() functions. */
#include "check.h"
#include "rsa_side.h"

typedef int rsa_function(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding);

static int call(struct side *side, const char *name, rsa_function *function, bool is_private, int padding,
    int len, const unsigned char *in, unsigned char *out)
{
    char what[64];
    int done;

    snprintf(what, sizeof(what), "%s, padding %d, %d bytes", name, padding, len);
    make_random_repeat(RANDOM_SEED);
    done = function(len, in, out, side->rsa, padding);
    if (done == 0) /* no text is text too */
        transcript_note(&side->transcript, false, "%s: empty", what);
    else if (is_private)
        rsa_note_private(side, what, done, out, (size_t)(done < 0 ? 0 : done));
    else
        rsa_note_public(side, what, done, out, (size_t)(done < 0 ? 0 : done));
    return done;
}

/* There and back, and what must be refused on either way. */
static void low_pair(struct side *side, bool private_first, int padding)
{
    rsa_function *there = private_first ? RSA_private_encrypt : RSA_public_encrypt;
    rsa_function *back = private_first ? RSA_public_decrypt : RSA_private_decrypt;
    unsigned char text[SIZE_MAX_BYTES + 1], out[SIZE_MAX_BYTES + 1] = {0}, again[SIZE_MAX_BYTES + 1];
    int size = (int)rsa_side_size(side), len = padding == RSA_NO_PADDING ? size : 20;

    memset(text, 0x33, sizeof(text));
    text[0] = 0x01;
    if (call(side, "there", there, private_first, padding, len, text, out) == size) {
        call(side, "back", back, !private_first, padding, size, out, again);
        call(side, "back", back, !private_first, padding, size - 1, out, again);
        call(side, "back", back, !private_first, padding, 0, out, again);
        memmove(out + 1, out, (size_t)size);
        out[0] = 0;
        call(side, "back", back, !private_first, padding, size + 1, out, again);
        memmove(out, out + 1, (size_t)size);
        if (rsa_add_modulus(side, out))
            call(side, "back, too large", back, !private_first, padding, size, out, again);
    }
    if (side->work == SHORTEST)
        return;
    rsa_put_modulus(side, out);
    call(side, "back, the modulus", back, !private_first, padding, size, out, again);
    call(side, "there, the modulus", there, private_first, padding, size, out, again);
    for (int less = 0; less < 12; less++)
        call(side, "there", there, private_first, padding, size - less, text, out);
    call(side, "there", there, private_first, padding, size + 1, text, out);
    memset(text, 0, sizeof(text));
    call(side, "there, zeros", there, private_first, padding, size, text, out);
    call(side, "back, zeros", back, !private_first, padding, size, text, out);
}

static void low_signature(struct side *side, int nid, unsigned len)
{
    unsigned char digest[64] = {1, 2, 3}, signature[SIZE_MAX_BYTES];
    unsigned signature_len = 0;
    int done = RSA_sign(nid, digest, len, signature, &signature_len, side->rsa);

    rsa_note_private(side, "RSA_sign", done, signature, signature_len);
    if (done != 1)
        return;
    rsa_note_public(
        side, "RSA_verify", RSA_verify(nid, digest, len, signature, signature_len, side->rsa), NULL, 0);
    rsa_note_public(side, "RSA_verify, short",
        RSA_verify(nid, digest, len, signature, signature_len - 1, side->rsa), NULL, 0);
    if (rsa_add_modulus(side, signature))
        rsa_note_public(side, "RSA_verify, s + n",
            RSA_verify(nid, digest, len, signature, signature_len, side->rsa), NULL, 0);
}

void rsa_low_level(struct side *side)
{
    low_pair(side, true, RSA_PKCS1_PADDING);
    low_pair(side, false, RSA_PKCS1_OAEP_PADDING);
    low_signature(side, NID_sha256, 32);
    if (side->work == SHORTEST)
        return;
    low_pair(side, true, RSA_NO_PADDING);
    low_pair(side, true, RSA_X931_PADDING);
    low_pair(side, false, RSA_PKCS1_PADDING);
    low_pair(side, false, RSA_NO_PADDING);
    low_pair(side, true, 99); /* no such padding */
    low_pair(side, false, 99);
    low_signature(side, NID_sha1, 20);
    low_signature(side, NID_md5_sha1, 36);
    low_signature(side, NID_sha512, 64);
    low_signature(side, NID_sha512, 63);
}
