/* SPDX-License-Identifier: Apache-2.0 */
/* See message.h. */
#include "message.h"

#define BLOCK 16
#define SHORT_PIECE 40

struct run {
    struct message *message;
    struct source *source; /* NULL: nothing to decide */
    message_maker *make;
    void *arg;
};

static bool make(const struct run *run, struct call call)
{
    return run->make(run->arg, &call, true);
}

static unsigned decide(const struct run *run, unsigned choices)
{
    return run->source == NULL ? 0 : source_below(run->source, choices);
}

static bool command(const struct run *run, int number, int len, unsigned char *bytes)
{
    return make(
        run, (struct call){.kind = CALL_COMMAND, .number = number, .len = len, .in = bytes, .out = bytes});
}

static bool maybe_copy(const struct run *run)
{
    return decide(run, 8) != 7 || make(run, (struct call){.kind = CALL_COPY});
}

/* ---------------------------------------------------------------------------------------- before the text */

static bool init(const struct run *run, enum call_kind kind, bool with_key, bool with_iv)
{
    const struct message *message = run->message;

    return make(run, (struct call){.kind = kind,
                         .number = kind == CALL_START || decide(run, 2) == 0 ? message->encrypt : -1,
                         .key = with_key ? message->key : NULL,
                         .iv = with_iv ? message->iv : NULL});
}

/* At once or apart, in either order. kind is of the first call. */
static bool set_key_and_iv(const struct run *run, enum call_kind kind)
{
    switch (decide(run, 3)) {
    case 0:
        return init(run, kind, true, true);
    case 1:
        return init(run, kind, true, false) && init(run, CALL_INIT, false, true);
    default:
        /* A copy of libcrypto's XTS follows a NULL where there is no key. */
        return init(run, kind, run->message->mode == EVP_CIPH_XTS_MODE, true) &&
               init(run, CALL_INIT, true, false);
    }
}

static bool set_tag(const struct run *run)
{
    return command(run, EVP_CTRL_AEAD_SET_TAG, run->message->tag_len, run->message->tag);
}

static bool set_up(const struct run *run, bool tag_first)
{
    const struct message *message = run->message;

    if (!message_has_tag(message))
        return set_key_and_iv(run, CALL_START) &&
               make(run, (struct call){.kind = CALL_PADDING, .number = message->padding});
    if (!init(run, CALL_START, false, false) || !command(run, EVP_CTRL_AEAD_SET_IVLEN, message->iv_len, NULL))
        return false;
    if (message->encrypt && message->mode == EVP_CIPH_CCM_MODE &&
        !command(run, EVP_CTRL_AEAD_SET_TAG, message->tag_len, NULL))
        return false;
    if (!message->encrypt && tag_first && !set_tag(run))
        return false;
    return set_key_and_iv(run, CALL_INIT);
}

/* ----------------------------------------------------------------------------------------------- the text */

/* The length of the next piece; 0 is possible, forever not. */
static int piece(const struct run *run, int at, int left)
{
    unsigned what = decide(run, 4);

    if (what == 0 && at == 0 && run->source != NULL && !source_is_over(run->source))
        what = 2;
    switch (what) {
    case 0:
        return left;
    case 1:
        return (int)decide(run, (unsigned)(left < SHORT_PIECE ? left : SHORT_PIECE) + 1);
    case 2:
        return 1 + (int)decide(run, (unsigned)left);
    default:
        return BLOCK * (1 + (int)decide(run, (unsigned)left / BLOCK + 1));
    }
}

/* CCM takes associated data at once, after the length of the text. */
static bool give_aad(const struct run *run)
{
    const struct message *message = run->message;
    bool whole = message->mode == EVP_CIPH_CCM_MODE;

    if (whole && message->aad_len > 0 &&
        !make(run, (struct call){.kind = CALL_UPDATE, .len = message->in_len}))
        return false;
    for (int at = 0, len; at < message->aad_len; at += len) {
        len = whole ? message->aad_len : piece(run, at, message->aad_len - at);
        if (len > message->aad_len - at)
            len = message->aad_len - at;
        if (!make(run, (struct call){.kind = CALL_UPDATE, .len = len, .in = message->aad + at}) ||
            !maybe_copy(run))
            return false;
    }
    return true;
}

/* In CCM the text is the end of the message, and there may be none. */
static bool give_text(const struct run *run)
{
    struct message *message = run->message;
    bool is_ccm = message->mode == EVP_CIPH_CCM_MODE, whole = is_ccm || message->mode == EVP_CIPH_XTS_MODE;
    int at = 0;

    while (at < message->in_len || (is_ccm && at == 0)) {
        int len = whole ? message->in_len : piece(run, at, message->in_len - at);
        struct call call = {.kind = CALL_UPDATE};

        /* In place, EVP must not hold back part of a block. */
        if (message_is_of_blocks(message) && message->in == message->out)
            len = (len + BLOCK - 1) / BLOCK * BLOCK;
        if (len > message->in_len - at)
            len = message->in_len - at;
        call.len = len;
        call.in = message->in + at;
        call.out = message->out + message->out_len;
        if (!run->make(run->arg, &call, !(is_ccm && message->wrong)))
            return false;
        message->out_len += call.got;
        at += len;
        if (is_ccm)
            break;
        if (!maybe_copy(run))
            return false;
    }
    return true;
}

static bool finish(const struct run *run)
{
    struct message *message = run->message;
    struct call call = {.kind = CALL_FINAL, .out = message->out + message->out_len};

    if (!run->make(run->arg, &call, !message->wrong))
        return false;
    message->out_len += call.got;
    return true;
}

bool message_run(struct message *message, struct source *source, message_maker *maker, void *arg)
{
    struct run run = {message, source, maker, arg};
    bool is_ccm = message->mode == EVP_CIPH_CCM_MODE;
    bool tag_first = is_ccm || decide(&run, 2) == 0;

    message->out_len = 0;
    return set_up(&run, tag_first) && give_aad(&run) && give_text(&run) &&
           (tag_first || message->encrypt || !message_has_tag(message) || set_tag(&run)) &&
           (is_ccm || finish(&run)) &&
           (!message->encrypt || !message_has_tag(message) ||
               command(&run, EVP_CTRL_AEAD_GET_TAG, message->tag_len, message->tag));
}

bool message_make_once(void *arg, struct call *call, bool is_right)
{
    struct message_context *context = arg;

    (void)is_right;
    call->to = &context->ctx;
    return call_make(&context->ctx, &context->whose, call);
}
