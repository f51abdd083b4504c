/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages and records of TLS within a sequence. Each of their calls has to succeed, or to fail. */
#include "inside.h"

#include <string.h>

#include "message.h"

/* One call of a message, which has to succeed, or to fail, in the engine and in libcrypto's two alike. */
static bool pass(void *arg, struct call *wanted, bool is_right)
{
    struct context *c = arg;
    size_t len;

    if (wanted->kind == CALL_UPDATE && wanted->in != NULL && wanted->len == 0 && !is_ccm(c))
        return true; /* libcrypto's older GCM takes that for the end of the associated data */
    call = *wanted;
    call_to = (unsigned)(c - contexts);
    call_shift = 0;
    if (make(c) == FAULT)
        return false;
    if (results[CARD].done != is_right) {
        fault(is_right ? "the card refuses what is right" : "the card takes what is wrong");
        return false;
    }
    wanted->got = results[CARD].len;
    len = call.kind == CALL_COMMAND ? (size_t)(call.len < 0 ? 0 : call.len) : (size_t)results[CARD].len;
    if (results[CARD].done && wanted->out != NULL)
        memcpy(wanted->out, results[CARD].out, len);
    return true;
}

static bool pass_one(struct context *c, struct call one)
{
    return pass(c, &one, true);
}

/* Room for a record, too. */
static unsigned char plain[LONG_TEXT_MAX + AROUND], sealed[LONG_TEXT_MAX + AROUND],
    opened[LONG_TEXT_MAX + AROUND], associated[LONG_TEXT_MAX];

static void take_cipher(struct context *c, unsigned cipher)
{
    forget(c);
    call_cipher = cipher;
    c->cipher = cipher;
    c->mode = EVP_CIPHER_get_mode(cipher_of(cipher));
}

/* Lengths, key, IV and texts of a message; what of it is secret is in plain. */
static void make_up_message(const struct context *c, struct message *m)
{
    unsigned what = below(256);

    make_up_iv(what);
    *m = (struct message){.mode = c->mode, .encrypt = true, .key = key, .iv = iv, .aad = associated};
    m->in_len = setting->long_texts ? text_length() : (int)below(what % 2 == 0 ? 600 : 2900);
    m->iv_len = what % 3 == 0 ? 1 + (int)below(one_in(2) ? BLOCK : IV_MAX) : 12;
    m->tag_len = what % 5 == 0 ? 1 + (int)below(TAG_MAX) : TAG_MAX;
    if (is_ccm(c)) {
        m->iv_len = 7 + (int)below(7);
        m->tag_len = 4 + 2 * (int)below(7);
    }
    if (is_aead(c))
        m->aad_len = setting->long_texts && one_in(4) ? text_length() : (int)below(41);
    if (m->in_len < BLOCK)
        m->in_len += BLOCK;
    if (is_ccm(c) && m->iv_len == 13 && m->in_len > UINT16_MAX)
        m->in_len = UINT16_MAX;
    m->padding = what / 8 % 2 == 0;
    if (message_is_of_blocks(m) && !m->padding)
        m->in_len &= ~15;
    source_fill(source, key, sizeof(key));
    source_fill(source, associated, (size_t)m->aad_len);
    source_fill(source, plain, (size_t)m->in_len);
}

/* The other half of a message, decrypted; in it everything is right, or one bit is wrong. */
static bool open_again(struct context *c, struct message *m, bool is_right)
{
    unsigned where = below(3);
    int len = m->out_len;
    unsigned char *changed = where == 0 || (where == 1 && m->aad_len == 0)
                                 ? m->tag + below((unsigned)m->tag_len)
                             : where == 1 ? associated + below((unsigned)m->aad_len)
                                          : sealed + below((unsigned)len < 65536 ? (unsigned)len : 65536);

    if (!is_right)
        *changed ^= (unsigned char)(1u << below(8));
    m->encrypt = false;
    m->wrong = !is_right;
    m->in = sealed;
    m->in_len = len;
    m->out = one_in(3) && !m->padding ? sealed : opened;
    forget(c);
    if (!message_run(m, source, pass, c))
        return false;
    if (is_right && memcmp(m->out, plain, (size_t)m->out_len) != 0) {
        fault("a message is not the same again");
        return false;
    }
    return true;
}

/* A message is encrypted, and decrypted again. */
static enum verdict seal_and_open(struct context *c)
{
    static unsigned char tag[TAG_MAX];
    struct message m;
    bool is_right;
    int len;

    make_up_message(c, &m);
    len = m.in_len;
    m.in = plain;
    m.out = sealed;
    m.tag = tag;
    if (one_in(3) && !m.padding) {
        memcpy(sealed, plain, (size_t)len);
        m.in = sealed;
    }
    if (!message_run(&m, source, pass, c))
        return FAULT;
    is_right = !message_has_tag(&m) || !one_in(4);
    if (!open_again(c, &m, is_right))
        return FAULT;
    if (is_right && m.out_len != len)
        return fault("a message is not the same again");
    return is_right ? GOES_ON : START_AGAIN;
}

static bool pass_fixed_iv(struct context *c, bool encrypt, int len)
{
    return pass_one(c, (struct call){.kind = CALL_START, .number = encrypt, .key = key}) &&
           pass_one(c, (struct call){.kind = CALL_COMMAND,
                           .number = EVP_CTRL_AEAD_SET_IV_FIXED,
                           .len = len,
                           .in = iv,
                           .out = iv});
}

static bool pass_record(struct context *c, bool encrypts, unsigned char *record, int len, bool is_right)
{
    struct call one = {
        .kind = CALL_RECORD, .len = len, .in = record, .out = record, .aad = aad, .direct = one_in(2)};
    bool passes;

    describe_record(encrypts, len);
    passes = pass(c, &one, is_right);
    if (results[CARD].done)
        memcpy(record, results[CARD].out, (size_t)len);
    return passes;
}

/* Records of GCM as libssl has them: one connection seals them, another opens them. */
static enum verdict records(struct context *c)
{
    unsigned char *record = sealed;
    int lens[RECORDS_MAX];
    unsigned count = 1 + below(RECORDS_MAX);
    bool is_right = true;

    source_fill(source, key, sizeof(key));
    source_fill(source, iv, sizeof(iv));
    source_fill(source, aad, sizeof(aad));
    if (!pass_fixed_iv(c, true, one_in(2) ? -1 : FIXED))
        return FAULT;
    for (unsigned i = 0; i < count; i++, record += lens[i - 1]) {
        lens[i] = (int)(RECORD_FRAME + below(setting->long_texts ? 16385 : 600));
        source_fill(source, record, (size_t)lens[i]);
        memcpy(plain + (record - sealed), record, (size_t)lens[i]);
        if (!pass_record(c, true, record, lens[i], true))
            return FAULT;
    }
    forget(c);
    if (!pass_fixed_iv(c, false, FIXED))
        return FAULT;
    record = sealed;
    for (unsigned i = 0; i < count && is_right; i++, record += lens[i - 1]) {
        is_right = !one_in(8);
        if (!is_right)
            record[below((unsigned)lens[i])] ^= (unsigned char)(1u << below(8));
        if (!pass_record(c, false, record, lens[i], is_right))
            return FAULT;
        if (is_right &&
            memcmp(record + EVP_GCM_TLS_EXPLICIT_IV_LEN,
                plain + (record - sealed) + EVP_GCM_TLS_EXPLICIT_IV_LEN, (size_t)lens[i] - RECORD_FRAME) != 0)
            return fault("a record is not the same again");
    }
    return START_AGAIN;
}

enum verdict talk(struct context *c, unsigned cipher)
{
    take_cipher(c, cipher < SEQUENCE_CIPHERS ? cipher : below(SEQUENCE_CIPHERS));
    if (sequence_cipher_name(setting, c->cipher) == NULL || is_hmac(c))
        return START_AGAIN;
    return is_gcm(c) && one_in(4) ? records(c) : seal_and_open(c);
}
