/* SPDX-License-Identifier: Apache-2.0 */
/* Making a call of a sequence, on the context of one actor. */
#include "inside.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>

void forget(struct context *c)
{
    for (enum actor who = CARD; who < ACTORS; who++) {
        EVP_CIPHER_CTX_reset(c->of[who]);
        EVP_CIPHER_CTX_free(c->before[who]);
        c->before[who] = NULL;
        c->agrees[who] = who <= twin;
    }
    c->started = false;
}

/* The actor's input and output, with room around them. Output may be in place. */
static void lay_out(enum actor who, struct call *own)
{
    unsigned char *arena = arenas[who] + AROUND;
    size_t len = own->len < 0 ? 0 : (size_t)own->len, in_len = own->in == NULL ? 0 : len;
    size_t out_len = own->out == NULL ? 0 : len + (size_t)2 * BLOCK;
    bool in_place = own->in == own->out;

    if (own->kind == CALL_COMMAND) {
        in_place = true;
        in_len = own->in != NULL && own->len < 0 ? IV_MAX : in_len; /* a whole IV */
        out_len = COMMAND_ROOM;
    } else if (own->kind == CALL_LOOK) {
        out_len = CALL_LOOK_MAX;
    }
    results[who].out = call_shift > 0 ? arena + call_shift : in_place ? arena : arena + in_len + AROUND;
    results[who].span = (size_t)(results[who].out - arenas[who]) + out_len + AROUND;
    memset(arenas[who], 0xa5, results[who].span);
    if (own->in != NULL) {
        memcpy(arena, own->in, in_len);
        own->in = arena;
    }
    if (own->out != NULL || (own->kind == CALL_COMMAND && own->in != NULL))
        own->out = results[who].out;
}

void perform(struct context *c, enum actor who)
{
    struct result *result = &results[who];
    struct call own = call;
    bool by_default = setting->by_default && who == CARD && own.kind == CALL_START;

    lay_out(who, &own);
    own.to = &contexts[call_to].of[who];
    if (by_default)
        setting->make_default(true);
    result->done = call_make(&c->of[who], &implementations[who][call_cipher], &own);
    if (by_default)
        setting->make_default(false);
    result->len = result->done ? own.got : 0;
    result->error = ERR_peek_error() != 0;
    ERR_clear_error();
}

void keep(struct context *c, enum actor who)
{
    EVP_CIPHER_CTX_free(c->before[who]);
    c->before[who] = EVP_CIPHER_CTX_new();
    if (EVP_CIPHER_CTX_copy(c->before[who], c->of[who]) > 0)
        return;
    EVP_CIPHER_CTX_free(c->before[who]);
    c->before[who] = NULL;
}

bool go_back(struct context *c, enum actor who)
{
    if (c->before[who] == NULL)
        return false;
    EVP_CIPHER_CTX_free(c->of[who]);
    c->of[who] = c->before[who];
    c->before[who] = NULL;
    if (who == OLDER && c->iv_on_heap)
        c->iv_room = c->iv_len;
    return true;
}

void trace(const struct context *c)
{
    static const char *const kinds[] = {
        "start", "init", "update", "final", "command", "record", "EVP_Cipher", "look", "copy", "padding"};

    if (setting->trace)
        fprintf(stderr,
            "  context %d, %s of %s: number %d, %d bytes, in %d, out %d, in place %d, key %d, IV %d; stage "
            "%d, IV of "
            "%d: engine %d, provider %d%s, older %d%s\n",
            c == &contexts[1], kinds[call.kind],
            OBJ_nid2sn(nids[call.kind == CALL_START ? call_cipher : c->cipher]), call.number, call.len,
            call.in != NULL, call.out != NULL, call.in == call.out, call.key != NULL, call.iv != NULL,
            (int)c->stage, c->iv_len, results[CARD].done, results[PROVIDER].done,
            c->agrees[PROVIDER] ? "" : " (no more)", results[OLDER].done,
            c->agrees[OLDER] ? "" : " (no more)");
}
