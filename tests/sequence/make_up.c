/* SPDX-License-Identifier: Apache-2.0 */
/* Making up the calls of a sequence, from its source. */
#include "inside.h"

#include <string.h>

/* Lengths where something may go wrong: none, within a block, about a block, about a threshold, long. */
int text_length(void)
{
    static const int thresholds[] = {64, 256, 2048, 4096, 16384};

    if (!setting->long_texts)
        return (int)below(TEXT_MAX + 1);
    if (one_in(250))
        return (int)below(LONG_TEXT_MAX);
    switch (below(4)) {
    case 0:
        return (int)below(2 * BLOCK);
    case 1:
        return BLOCK * (int)below(40) + (int)below(3);
    case 2:
        return thresholds[below(sizeof(thresholds) / sizeof(thresholds[0]))] - 2 + (int)below(5);
    default:
        return (int)below(5000);
    }
}

static void make_up_bytes(int len)
{
    source_fill(source, given, (size_t)len);
}

/* Any IV, or a counter that is about to wrap in its low 32, 64, 96 or 128 bits. */
void make_up_iv(unsigned what)
{
    source_fill(source, iv, sizeof(iv));
    if (what > 230) {
        unsigned ones = 4 * (1 + what % 4);

        memset(iv + BLOCK - ones, 0xff, ones);
        iv[BLOCK - 1] = (unsigned char)(0xff - what / 4 % 4);
    }
}

static void make_up_init(void)
{
    unsigned what = below(256);

    call.kind = CALL_INIT;
    call.key = what % 3 != 0 ? key : NULL;
    call.iv = what / 3 % 3 != 0 ? iv : NULL;
    call.number = (int)below(6) - 1;
    if (call.number > 1)
        call.number = -1;
    source_fill(source, key, sizeof(key));
    make_up_iv(what);
    if (what == 230) /* XTS with equal halves */
        memcpy(key + sizeof(key) / 4, key, sizeof(key) / 4);
}

void make_up_start(unsigned cipher)
{
    make_up_init();
    call.kind = CALL_START;
    call.number = (int)below(2);
    call_cipher = cipher < SEQUENCE_CIPHERS ? cipher : below(SEQUENCE_CIPHERS);
}

/* Where part of a block is held back, output in place would overwrite input. EVP refuses that only of an
 * engine's cipher. */
static bool may_be_in_place(const struct context *c)
{
    return twin == OLDER || (c->mode != EVP_CIPH_CBC_MODE && c->mode != EVP_CIPH_ECB_MODE) ||
           (c->encrypting && c->held >= 0 && c->held % BLOCK == 0);
}

static void make_up_update(const struct context *c)
{
    unsigned what = below(256);

    call.kind = CALL_UPDATE;
    call.len = what % 3 == 0 ? text_length() : (int)below(40);
    call.in = given;
    call.out = what % 5 == 0 && may_be_in_place(c) ? given : taken;
    make_up_bytes(call.len);
    if (what / 8 % 4 == 0)
        memset(given, 0, (size_t)call.len); /* looks like key stream for the random generator */
    if (!is_aead(c) && what % 2 == 0)
        call.len &= ~15;
    if (is_aead(c) && what % 7 < 2)
        call.out = NULL; /* associated data */
    else if (is_aead(c) && what % 11 == 0) {
        call.in = NULL; /* CCM: the text's length; else an end in other words */
        call.out = one_in(2) ? taken : NULL;
        if (is_ccm(c) && call.out == NULL && call.len == 0)
            call.len = 1; /* EVP_CipherFinal() with NULL, which the engine lets pass after a message */
    }
}

static void make_up_command(const struct context *c)
{
    static const int tag_lengths[] = {16, 16, 12, 8, 4, 5, 0, 17};
    static const int iv_lengths[] = {12, 12, 8, 16, 7, 13, 11, 1, 0, 17, 100, 128, 129};

    call.kind = CALL_COMMAND;
    make_up_bytes(IV_MAX);
    switch (below(8)) {
    case 0:
        call.number = EVP_CTRL_AEAD_SET_IVLEN;
        call.len = one_in(4) ? (int)below(IV_MAX + 3) - 1
                             : iv_lengths[below(sizeof(iv_lengths) / sizeof(iv_lengths[0]))];
        break;
    case 1:
        call.number = EVP_CTRL_AEAD_SET_TAG;
        call.len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call.in = !is_ccm(c) || one_in(2) ? given : NULL; /* in CCM, NULL means: how long tags are */
        break;
    case 2:
    case 3:
        call.number = EVP_CTRL_AEAD_GET_TAG;
        call.len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call.out = taken;
        break;
    case 4:
        call.number = EVP_CTRL_AEAD_SET_IV_FIXED;
        call.len = is_ccm(c) ? FIXED : one_in(3) ? (int)below(IV_MAX) : one_in(2) ? FIXED : -1;
        call.in = given;
        if (one_in(4))
            memset(given, 0xff, IV_MAX);
        break;
    case 5:
        call.number = EVP_CTRL_GCM_IV_GEN;
        call.len = (int)below(one_in(4) ? IV_MAX : 16);
        call.out = taken;
        break;
    case 6:
        call.number = EVP_CTRL_GCM_SET_IV_INV;
        call.len = (int)below(one_in(4) ? IV_MAX : INVOCATION + 1);
        call.in = given;
        break;
    default:
        call.number = EVP_CTRL_AEAD_SET_MAC_KEY;
        call.len = 20;
        call.in = given;
    }
}

void describe_record(bool encrypts, int len)
{
    int says = encrypts ? len - EVP_GCM_TLS_TAG_LEN : len;

    aad[EVP_AEAD_TLS1_AAD_LEN - 2] = (unsigned char)(says >> 8);
    aad[EVP_AEAD_TLS1_AAD_LEN - 1] = (unsigned char)says;
    call.aad = aad;
}

static void make_up_record(const struct context *c)
{
    unsigned what = below(256);

    call.kind = CALL_RECORD;
    call.len = (int)(RECORD_FRAME + below(TEXT_MAX - RECORD_FRAME));
    source_fill(source, aad, sizeof(aad));
    describe_record(c->encrypting, what % 8 == 7 ? (int)below(TEXT_MAX) : call.len);
    if (what < 32) /* shorter than it says */
        call.len = (int)what;
    make_up_bytes(call.len);
    call.in = given;
    call.out = what % 16 == 5 ? taken : given; /* apart: refused */
    call.direct = is_gcm(c) && what % 3 == 0;
}

/* Past EVP's buffering, where that holds nothing back. */
static void make_up_direct(const struct context *c)
{
    unsigned what = below(256);

    call.kind = CALL_DIRECT;
    call.len = 1 + (what % 2 == 0 ? text_length() : (int)below(40));
    if (c->mode == EVP_CIPH_CBC_MODE || c->mode == EVP_CIPH_ECB_MODE)
        call.len = (call.len + 15) & ~15;
    else if (c->mode == EVP_CIPH_XTS_MODE && call.len < BLOCK)
        call.len = BLOCK;
    make_up_bytes(call.len);
    call.in = given;
    call.out = what % 3 == 0 ? given : taken;
}

static void make_up_overlap(void)
{
    call.kind = CALL_UPDATE;
    call.len = BLOCK + (int)below(100);
    call.in = given;
    call.out = taken;
    call_shift = 1 + below(BLOCK - 1);
    make_up_bytes(call.len);
}

static void make_up_look(const struct context *c)
{
    call.kind = CALL_LOOK;
    call.out = taken;
    call.with_iv = c->has_iv && !is_aead(c);
}

void make_up(const struct context *c)
{
    unsigned what = below(16);

    memset(&call, 0, sizeof(call));
    call_shift = 0;
    if (!c->keyed && !is_aead(c) && what % 4 != 3)
        what = 0;
    switch (what) {
    case 0:
    case 1:
    case 2:
        make_up_init();
        break;
    case 3:
        call.kind = CALL_FINAL;
        call.out = taken;
        break;
    case 4:
        call.kind = CALL_COPY;
        call_to = below(CONTEXTS);
        break;
    case 5:
        if (one_in(2)) {
            make_up_look(c);
            break;
        }
        call.kind = CALL_PADDING;
        call.number = (int)below(2);
        break;
    case 6:
    case 7:
    case 8:
        make_up_command(c);
        break;
    case 9:
        if (is_aead(c) && c->iv_len >= INVOCATION) {
            make_up_record(c);
            break;
        }
        /* fall through */
    case 10:
        if (c->held == 0 && !is_aead(c) && !is_hmac(c)) {
            make_up_direct(c);
            break;
        }
        /* fall through */
    case 11:
        if (twin == OLDER && one_in(4)) {
            make_up_overlap();
            break;
        }
        /* fall through */
    default:
        make_up_update(c);
    }
}
