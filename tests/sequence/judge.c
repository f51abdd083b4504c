/* SPDX-License-Identifier: Apache-2.0 */
/* Judging a call of a sequence: how far the card and libcrypto have to agree, and whether they did. */
#include "inside.h"

#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>

/* Calls that one of libcrypto's two survives badly, or answers in a way that says nothing; it is left out. */
void leave_out(struct context *c)
{
    if (is_command(EVP_CTRL_AEAD_SET_IVLEN) && is_gcm(c) && !takes_memory_for_iv(c) &&
        call.len > c->iv_room) /* it writes behind its room */
        c->agrees[OLDER] = false;
    if (is_command(EVP_CTRL_AEAD_SET_IV_FIXED) && is_gcm(c) && call.len >= 0 &&
        c->iv_len < call.len + INVOCATION) /* it fills in more than there is */
        c->agrees[PROVIDER] = false;
    /* Whose tag it is that waits once another message has begun, or was tried, is everybody's own affair. */
    if (is_command(EVP_CTRL_AEAD_GET_TAG) && c->tag_is_old)
        c->agrees[PROVIDER] = false;
    /* A copy of its XTS that has no key follows a NULL. */
    if (call.kind == CALL_START && EVP_CIPHER_get_mode(cipher_of(call_cipher)) == EVP_CIPH_XTS_MODE &&
        call.key == NULL)
        c->agrees[PROVIDER] = false;
}

/* Both of libcrypto's would write where they must not. The engine puts out nothing, or counts in what there
 * is. */
bool is_for_the_engine_alone(const struct context *c)
{
    if ((call.kind == CALL_UPDATE || call.kind == CALL_FINAL || call.kind == CALL_DIRECT) && !c->keyed &&
        !is_aead(c))
        return true;
    if (!is_gcm(c))
        return false;
    return (is_command(EVP_CTRL_GCM_IV_GEN) && c->iv_len < INVOCATION) ||
           (is_command(EVP_CTRL_GCM_SET_IV_INV) && (call.len < 1 || call.len > c->iv_len));
}

enum exactness exactness_of(const struct context *c)
{
    if (call.kind == CALL_START)
        return EVERYTHING;
    if (is_ccm(c) || is_hmac(c)) /* the engine refuses more, in more states than a model here would have */
        return ANYTHING;
    if (call.kind == CALL_INIT)
        return turns_without_key(c) ? ANYTHING : EVERYTHING;
    if (c->turned)
        return ANYTHING;
    if (call.kind == CALL_COPY || call.kind == CALL_PADDING || call.kind == CALL_LOOK ||
        call.kind == CALL_DIRECT)
        return EVERYTHING;
    if (!is_gcm(c))
        return twin == PROVIDER || call.kind == CALL_UPDATE || call.kind == CALL_FINAL ? EVERYTHING
                                                                                       : ANYTHING;
    if (twin == PROVIDER && c->generates && c->stage == NO_IV &&
        (call.kind == CALL_UPDATE || call.kind == CALL_FINAL))
        return ANYTHING; /* libcrypto's takes an IV that nobody asked it to make from what was set */
    switch (call.kind) {
    case CALL_UPDATE: /* with NULL it is an end; no bytes at all after text are too late only for libcrypto */
        return c->stage == MURKY || call.in == NULL || (call.out == NULL && call.len == 0) ? ANYTHING
                                                                                           : EVERYTHING;
    case CALL_FINAL:
        return c->stage == MURKY ? ANYTHING : EVERYTHING;
    case CALL_RECORD:
        return c->keyed && c->iv_whole && !c->unclear && c->iv_len >= INVOCATION ? EVERYTHING : ANYTHING;
    default:
        break;
    }
    switch (call.number) {
    case EVP_CTRL_AEAD_SET_IVLEN:
        return call.len <= IV_MAX ? RETURNS : ANYTHING; /* libcrypto takes longer ones, too */
    case EVP_CTRL_AEAD_GET_TAG:
        return !c->encrypting ? ANYTHING : c->tag_known ? EVERYTHING : RETURNS;
    case EVP_CTRL_AEAD_SET_TAG:
        return c->encrypting ? ANYTHING : RETURNS;
    case EVP_CTRL_AEAD_SET_IV_FIXED:
        return RETURNS;
    case EVP_CTRL_GCM_SET_IV_INV:
        return c->unclear ? ANYTHING : RETURNS;
    case EVP_CTRL_GCM_IV_GEN:
        return c->unclear || !c->iv_whole ? ANYTHING : EVERYTHING;
    default:
        return ANYTHING;
    }
}

/* EVP tells less of an engine's cipher than of the provider's, and refuses output that overlaps input. */
bool is_of_engines_only(void)
{
    return call.kind == CALL_LOOK || call_shift > 0;
}

bool is_asked(const struct context *c, enum actor who)
{
    return c->agrees[who] && (who == CARD || who == twin || !is_of_engines_only());
}

enum verdict fault(const char *rule)
{
    fprintf(stderr, "%s: %s\n", OBJ_nid2sn(nids[contexts[0].cipher]), rule);
    return FAULT;
}

/* Behind what it puts out, the provider leaves other bytes. */
static bool is_same(enum actor who)
{
    const struct result *a = &results[who], *b = &results[CARD];

    if (a->done != b->done || a->len != b->len)
        return false;
    if (!a->done)
        return true;
    if (who == PROVIDER && call.kind != CALL_COMMAND)
        return call.out == NULL || memcmp(a->out, b->out, (size_t)a->len) == 0;
    return a->span == b->span && memcmp(arenas[who], arenas[CARD], a->span) == 0;
}

enum verdict judge(struct context *c, enum exactness exactness)
{
    bool asked = false, backed = false;

    if (call.kind != CALL_LOOK && results[CARD].done && results[CARD].error)
        return fault("the card leaves an error behind of what succeeded");
    for (enum actor who = PROVIDER; who < ACTORS; who++) {
        if (!is_asked(c, who))
            continue;
        asked = true;
        if (!results[CARD].done && results[who].done) { /* the call was never made */
            if (who == twin && exactness != ANYTHING)
                return fault("the card refuses what libcrypto lets pass");
            c->agrees[who] = go_back(c, who);
        } else if (who == twin && exactness == RETURNS) {
            if (results[CARD].done != results[who].done)
                return fault("the card lets pass what libcrypto refuses");
        } else {
            c->agrees[who] = is_same(who);
            if (who == twin && exactness == EVERYTHING && !c->agrees[who])
                return fault("libcrypto returns something else");
        }
        if (who == twin && !results[CARD].done && results[who].error && !results[CARD].error)
            return fault("the card refuses without an error");
        backed |= c->agrees[who];
    }
    if (results[CARD].done && asked && !backed)
        return fault("neither of libcrypto's implementations lets this pass with the same result");
    setting->passed[call.kind == CALL_START ? call_cipher : c->cipher] += backed && results[CARD].done;
    return backed ? GOES_ON : START_AGAIN;
}
