/* SPDX-License-Identifier: Apache-2.0 */
/* See sequence.h. */
#include "sequence.h"

#include <openssl/err.h>
#include <string.h>

#include "inside.h"

enum actor twin;
struct context contexts[CONTEXTS];
struct sequence_setting *setting;
struct source *source;

struct call call;
unsigned call_cipher, call_to, call_shift;
unsigned char key[EVP_MAX_KEY_LENGTH], iv[IV_MAX], given[LONG_TEXT_MAX + AROUND],
    taken[LONG_TEXT_MAX + AROUND], aad[EVP_AEAD_TLS1_AAD_LEN];
unsigned char arenas[ACTORS][2 * LONG_TEXT_MAX + 4 * AROUND];
struct result results[ACTORS];

/* Of what none of libcrypto's is to be asked. */
static enum verdict ask_engine_alone(struct context *c)
{
    perform(c, CARD);
    trace(c);
    if (results[CARD].done && (is_command(EVP_CTRL_GCM_SET_IV_INV) || results[CARD].len != 0))
        return fault("the card lets pass what cannot be done");
    return START_AGAIN;
}

/* A command that need not exist, with an argument that need not make sense: nothing may break. Two are EVP's
 * own, and no application's: one takes its argument for a context, one for the context's birth. */
static void any_command(struct context *c)
{
    static unsigned char room[COMMAND_ROOM];
    int type = (int)below(0x30), argument = (int)below(163) - 2;

    memset(room, 0, sizeof(room));
    if (type != EVP_CTRL_COPY && type != EVP_CTRL_INIT)
        EVP_CIPHER_CTX_ctrl(c->of[CARD], type, argument, room);
}

enum verdict make(struct context *c)
{
    enum exactness exactness;
    enum verdict verdict;

    memset(results, 0, sizeof(results));
    random_state++;
    if (c->started && is_for_the_engine_alone(c))
        return ask_engine_alone(c);
    leave_out(c);
    exactness = exactness_of(c);
    for (enum actor who = CARD; who < ACTORS; who++) {
        if (!is_asked(c, who))
            continue;
        if (who != CARD && call.kind != CALL_START)
            keep(c, who);
        perform(c, who);
    }
    trace(c);
    verdict = judge(c, exactness);
    if (verdict == GOES_ON)
        verdict = follow(c);
    if (verdict == START_AGAIN && call.kind == CALL_COPY)
        forget(&contexts[call_to]); /* some actors may have copied, and some not */
    return verdict;
}

/* Where the older implementation may return anything, and the provider has left, or is not asked. */
static bool says_nothing(const struct context *c)
{
    return twin == OLDER && exactness_of(c) == ANYTHING &&
           (is_of_engines_only() || (is_gcm(c) && !c->agrees[PROVIDER]));
}

static enum verdict step(struct context *c, unsigned cipher)
{
    unsigned what = below(32);

    if (setting->vary != NULL)
        setting->vary(below(8));
    if (what == 31)
        return talk(c, cipher);
    if (!c->started || what == 30) {
        forget(c);
        memset(&call, 0, sizeof(call));
        call_shift = 0;
        make_up_start(cipher);
        if (sequence_cipher_name(setting, call_cipher) == NULL)
            return START_AGAIN; /* CBC with HMAC needs AES instructions */
        return make(c);
    }
    if (what == 29) {
        any_command(c);
        return START_AGAIN;
    }
    make_up(c);
    return says_nothing(c) ? GOES_ON : make(c);
}

bool sequence_run(struct sequence_setting *of, struct source *from, unsigned first)
{
    enum verdict verdict = GOES_ON;

    setting = of;
    source = from;
    twin = of->engine != NULL ? OLDER : PROVIDER;
    random_state = 0;
    for (unsigned i = 0; i < CONTEXTS; i++) {
        contexts[i] = (struct context){.cipher = 0};
        for (enum actor who = CARD; who < ACTORS; who++)
            contexts[i].of[who] = EVP_CIPHER_CTX_new();
        forget(&contexts[i]);
    }
    for (unsigned calls = 0; calls < of->calls_max && !source_is_over(from) && verdict != FAULT; calls++) {
        struct context *c = &contexts[below(8) == 0];

        verdict = step(c, first);
        if (verdict == START_AGAIN)
            forget(c);
        ERR_clear_error();
    }
    for (unsigned i = 0; i < CONTEXTS; i++) {
        forget(&contexts[i]);
        for (enum actor who = CARD; who < ACTORS; who++)
            EVP_CIPHER_CTX_free(contexts[i].of[who]);
    }
    return verdict != FAULT;
}
