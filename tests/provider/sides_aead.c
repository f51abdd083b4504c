/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in GCM and CCM on both sides: see sides.h. */
#include <openssl/err.h>
#include <string.h>

#include "check.h"
#include "sides.h"

/* A message of which both sides are told the same, in any order. */
struct message {
    bool is_ccm, encrypt;
    bool started, has_text;
    unsigned char key[32], iv[128];
};

static unsigned char in[TEXT_MAX];

/* False: the length of IV or tag was refused. */
static bool begin(struct message *m)
{
    unsigned char tag[16];
    int encrypt = m->encrypt, iv_len, tag_len;

    renew();
    fill(in, sizeof(in));
    fill(m->key, sizeof(m->key));
    fill(m->iv, sizeof(m->iv));
    fill(tag, sizeof(tag));
    BOTH("cipher", EVP_CipherInit_ex2(s->context, s->cipher, NULL, NULL, encrypt, NULL));
    if (m->is_ccm || lot(3) == 0) {
        iv_len = (int)(m->is_ccm ? 7 + lot(7) : 1 + lot(40));
        BOTH("length of the IV", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_SET_IVLEN, iv_len, NULL));
    }
    if (m->is_ccm || !encrypt) {
        tag_len = (int)(m->is_ccm ? 4 + 2 * lot(7) : 1 + lot(16));
        BOTH("tag", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_SET_TAG, tag_len, encrypt ? NULL : tag));
    }
    if (sides[0].result <= 0)
        return false;
    BOTH("key and IV", EVP_CipherInit_ex2(s->context, NULL, m->key, m->iv, -1, NULL));
    return true;
}

/* In the middle of a message, too. Not for CCM: libcrypto holds on to what was said of the message before. */
static void new_iv_or_direction(struct message *m)
{
    if (lot(2) == 0) {
        fill(m->iv, sizeof(m->iv));
        BOTH("new IV", EVP_CipherInit_ex2(s->context, NULL, NULL, m->iv, -1, NULL));
    } else {
        m->encrypt = !m->encrypt;
        BOTH("other direction", EVP_CipherInit_ex2(s->context, NULL, NULL, NULL, m->encrypt, NULL));
    }
}

static void one_call(struct message *m)
{
    int len = (int)(lot(3) == 0 ? lot(TEXT_MAX) : lot(80));

    switch (lot(12)) {
    case 0:
    case 1:
        if (m->is_ccm && m->started) /* too late, or a second time, which libcrypto takes and computes a
                                        wrong tag */
            break;
        m->started = true;
        BOTH("associated data", EVP_CipherUpdate(s->context, NULL, &s->len, in, len));
        break;
    case 2:
        if (!m->is_ccm)
            break;
        m->started = true;
        BOTH("length of the text", EVP_CipherUpdate(s->context, NULL, &s->len, NULL, len));
        break;
    case 3:
        if (!m->is_ccm)
            new_iv_or_direction(m);
        break;
    case 4:
        if (m->started) /* libcrypto goes on with the message, by another key */
            break;
        fill(m->key, sizeof(m->key));
        BOTH("new key", EVP_CipherInit_ex2(s->context, NULL, m->key, NULL, -1, NULL));
        break;
    case 5:
        copy_both();
        break;
    case 6:
        BOTH("get a tag", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_GET_TAG, 16, s->out));
        break;
    default:
        if (m->is_ccm && m->started) /* of another length than was said, which libcrypto may take */
            break;
        m->started = m->has_text = true;
        BOTH("text", EVP_CipherUpdate(s->context, s->out, &s->len, in, len));
    }
}

/* What comes too early or twice is refused by both, or by none. */
void aead_round(bool is_ccm)
{
    struct message m = {.is_ccm = is_ccm, .encrypt = lot(2) != 0};
    int tag_len;

    if (!begin(&m))
        return;
    /* CCM takes a message's text in one call; what comes after it libcrypto takes, but does not do right. */
    for (uint32_t calls = lot(10); calls > 0 && sides[0].result > 0 && !(is_ccm && m.has_text); calls--)
        one_call(&m);
    if (sides[0].result <= 0 ||
        (is_ccm && !m.has_text)) /* libcrypto lets CCM end without the text that was announced */
        return;
    BOTH("final", EVP_CipherFinal_ex(s->context, s->out, &s->len));
    tag_len = is_ccm ? (int)(4 + 2 * lot(7)) : 16;
    if (sides[0].result > 0 && m.encrypt)
        BOTH("get the tag", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_GET_TAG, tag_len, s->out));
}

/* A message as it should be. */
struct whole {
    bool is_ccm;
    unsigned char text[TEXT_MAX], sealed[TEXT_MAX];
    unsigned char key[32], iv[12], aad[100], tag[16];
    int len, aad_len, tag_len;
};

/* Key, IV, lengths and associated data; tag: NULL to encrypt. */
static void start(const struct whole *w, struct side *side, const unsigned char *tag)
{
    EVP_CIPHER_CTX *ctx = side->context;
    int encrypt = tag == NULL, n;

    CHECK_EQ(EVP_CipherInit_ex2(ctx, side->cipher, NULL, NULL, encrypt, NULL), 1);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, sizeof(w->iv), NULL), 1);
    if (w->is_ccm || !encrypt)
        CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, w->tag_len, (void *)(uintptr_t)tag), 1);
    CHECK_EQ(EVP_CipherInit_ex2(ctx, NULL, w->key, w->iv, encrypt, NULL), 1);
    if (w->is_ccm)
        CHECK_EQ(EVP_CipherUpdate(ctx, NULL, &n, NULL, w->len), 1);
    CHECK_EQ(EVP_CipherUpdate(ctx, NULL, &n, w->aad, w->aad_len), 1);
}

/* The text in pieces, for CCM in one. Returns whether all of it was taken. */
static bool give_text(const struct whole *w, struct side *side, unsigned char *out, const unsigned char *from)
{
    int n, total = 0;

    if (w->is_ccm)
        return EVP_CipherUpdate(side->context, out, &n, from, w->len) > 0 &&
               (!EVP_CIPHER_CTX_is_encrypting(side->context) ||
                   EVP_CipherFinal_ex(side->context, out + n, &n) > 0);
    while (total < w->len) {
        int piece = 1 + (int)lot((uint32_t)(w->len - total));

        if (EVP_CipherUpdate(side->context, out + total, &n, from + total, piece) <= 0)
            return false;
        CHECK_EQ(n, piece);
        total += n;
    }
    return EVP_CipherFinal_ex(side->context, out + total, &n) > 0;
}

/* One side seals, the other opens; then with one bit of the tag turned. */
void sealed_and_opened(bool is_ccm)
{
    static struct whole w;
    static unsigned char opened[TEXT_MAX];
    struct side *sealer = &sides[lot(2)], *opener = sealer == sides ? &sides[1] : sides;

    w.is_ccm = is_ccm;
    w.len = (int)lot(TEXT_MAX);
    w.aad_len = (int)lot(sizeof(w.aad));
    w.tag_len = is_ccm ? (int)(4 + 2 * lot(7)) : 16;
    renew();
    fill(w.text, sizeof(w.text));
    fill(w.key, sizeof(w.key));
    fill(w.iv, sizeof(w.iv));
    fill(w.aad, sizeof(w.aad));
    start(&w, sealer, NULL);
    CHECK(give_text(&w, sealer, w.sealed, w.text));
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(sealer->context, EVP_CTRL_AEAD_GET_TAG, w.tag_len, w.tag), 1);
    for (int wrong = 0; wrong < 2; wrong++) {
        w.tag[lot((uint32_t)w.tag_len)] ^= (unsigned char)wrong;
        start(&w, opener, w.tag);
        CHECK_EQ(give_text(&w, opener, opened, w.sealed), !wrong);
        if (!wrong)
            CHECK_EQ(memcmp(w.text, opened, (size_t)w.len), 0);
        ERR_clear_error();
    }
}
