/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fork while the card has a piece of a message. In the child nobody can tell whether that piece was
 * computed: where it stands alone, as the first piece of a GCM message does, which brings IV and associated
 * data, the calling core computes it there; where the state carries the message over, the message is lost,
 * and the operation says so. Nothing wrong is ever taken for a success, and the parent notices nothing.
 */
#include <openssl/err.h>

#include "all_ways.h"
#include "child.h"
#include "tls_records.h"

#define PIECE 2048
#define PIECES 3
#define TOTAL (PIECE * PIECES)

static struct card *card;
static const char *hold; /* where the card stops: "compute" or "signal" */
static const unsigned char key[64] = "two halves of a key for AES-XTS, which must not be like another";
static const unsigned char iv[16] = "not a number";
static unsigned char text[TOTAL];

struct message {
    const EVP_CIPHER *cipher;
    struct card *impl;
    EVP_CIPHER_CTX *ctx;
    int pieces;
    int hold_at; /* the piece from which on the card is held; `pieces` is the end of the message; -1: none */
    bool with_aad;
    long computed_before; /* once the card is held: what it had computed; -1 before that */
    unsigned char out[TOTAL + 16], tag[16];
};

static bool has_mode(const struct message *m, int mode)
{
    return EVP_CIPHER_get_mode(m->cipher) == mode;
}

static void hold_before(struct message *m, int piece)
{
    if (piece != m->hold_at)
        return;
    m->computed_before = card_count(card, "completed");
    card_command(card, "HOLD", hold);
}

static int take_tag(struct message *m)
{
    if (has_mode(m, EVP_CIPH_GCM_MODE))
        return EVP_CIPHER_CTX_ctrl(m->ctx, EVP_CTRL_AEAD_GET_TAG, 16, m->tag) > 0;
    return !has_mode(m, EVP_CIPH_CCM_MODE) ||
           EVP_CIPHER_CTX_ctrl(m->ctx, EVP_CTRL_AEAD_GET_TAG, 12, m->tag) > 0;
}

/* Fails with whatever is in the error queue. */
static int encrypt(struct message *m)
{
    int len, size = TOTAL / m->pieces;

    if (!ways_cipher_init(m->impl, m->ctx, m->cipher, key, iv, 1) || !EVP_CIPHER_CTX_set_padding(m->ctx, 0))
        return 0;
    if (m->with_aad && !EVP_EncryptUpdate(m->ctx, NULL, &len, text, 100))
        return 0;
    for (int i = 0; i < m->pieces; i++) {
        hold_before(m, i);
        if (!EVP_EncryptUpdate(m->ctx, m->out + i * size, &len, text + i * size, size) || len != size)
            return 0;
    }
    hold_before(m, m->pieces);
    return EVP_EncryptFinal_ex(m->ctx, m->out + TOTAL, &len) && len == 0 && take_tag(m);
}

static int work(void *arg)
{
    struct message *m = *(struct message **)arg;
    int done;

    m->ctx = EVP_CIPHER_CTX_new();
    done = encrypt(m);
    EVP_CIPHER_CTX_free(m->ctx);
    m->ctx = NULL;
    return done;
}

static bool is_right(const struct message *m)
{
    struct message plain = {.cipher = m->cipher, .pieces = m->pieces, .hold_at = -1, .with_aad = m->with_aad},
                   *arg = &plain;

    CHECK(work(&arg));
    return memcmp(m->out, plain.out, TOTAL) == 0 && memcmp(m->tag, plain.tag, sizeof(plain.tag)) == 0;
}

/* However often that takes: in a child nobody is told. */
static int resume_to_the_end(struct job *job)
{
    while (job_run(job) == ASYNC_PAUSE)
        usleep(100);
    return job->result;
}

/* Run the child, which tells by exit(7); the card is the parent's again afterwards. */
static void in_child(void (*child)(struct job *, struct message *), struct job *job, struct message *m)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        test_begin(60);
        child(job, m);
        _exit(7);
    }
    child_exits_with(pid, 7);
}

static bool is_lost(const struct message *m)
{
    return has_mode(m, EVP_CIPH_GCM_MODE) && m->hold_at > 0;
}

static void resumes(struct job *job, struct message *m)
{
    card_command(card, "HOLD", "none");
    CHECK_EQ(resume_to_the_end(job), !is_lost(m));
    if (is_lost(m))
        CHECK(error_speaks_of("lost in the child"));
    else
        CHECK(is_right(m));
    m->hold_at = -1; /* the next message is as any other */
    CHECK_EQ(resume_to_the_end(job), 1);
    CHECK(is_right(m));
}

/* Whether the card was at work: what it has computed, it has let go of. */
static bool was_at_work(void)
{
    return strcmp(hold, "compute") == 0;
}

/* The context that the card had, without its job: a copy of it knows no more of the message. */
static void copies(struct job *job, struct message *m)
{
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();
    unsigned char out[TOTAL];
    int len;

    (void)job;
    card_command(card, "HOLD", "none");
    CHECK(EVP_CIPHER_CTX_copy(copy, m->ctx));
    if (is_lost(m) && was_at_work()) {
        CHECK(!EVP_EncryptUpdate(copy, out, &len, text, PIECE));
        CHECK(error_speaks_of("lost in the child"));
    }
    CHECK(EVP_EncryptInit_ex(copy, NULL, NULL, NULL, iv));
    if (m->with_aad)
        CHECK(EVP_EncryptUpdate(copy, NULL, &len, text, 100));
    CHECK(EVP_EncryptUpdate(copy, m->out, &len, text, TOTAL) && EVP_EncryptFinal_ex(copy, out, &len));
    EVP_CIPHER_CTX_free(m->ctx);
    m->ctx = copy;
    CHECK(take_tag(m));
    CHECK(is_right(m));
}

/* The context itself, for what stays on the calling core. */
static void uses(struct job *job, struct message *m)
{
    unsigned char out[16];
    int len;

    (void)job;
    card_command(card, "HOLD", "none");
    ways_set_thresholds(card, PIECE);
    if (!is_lost(m) || !was_at_work())
        return;
    if (m->hold_at % 2 == 0)
        CHECK(!EVP_EncryptFinal_ex(m->ctx, out, &len));
    else
        CHECK(!EVP_EncryptUpdate(m->ctx, out, &len, text, sizeof(out)));
    CHECK(error_speaks_of("lost in the child"));
}

static void fork_in_message(struct message m, enum told_by told_by)
{
    struct job job;

    m.impl = card;
    m.computed_before = -1;
    job_init(&job, told_by, work, &m);
    while (m.computed_before < 0) {
        CHECK_EQ(job_run(&job), ASYNC_PAUSE);
        usleep(100);
    }
    if (!was_at_work())
        card_wait_for(card, "completed", m.computed_before + 1);
    in_child(resumes, &job, &m);
    in_child(copies, &job, &m);
    in_child(uses, &job, &m);
    card_command(card, "HOLD", "none");
    CHECK_EQ(resume_to_the_end(&job), 1);
    CHECK(is_right(&m));
    job_free(&job);
}

static void fork_in_messages(enum told_by told_by)
{
    const EVP_CIPHER *streams[] = {
        EVP_aes_128_cbc(), EVP_aes_128_ctr(), EVP_aes_128_ecb(), EVP_aes_128_cfb128(), EVP_aes_128_ofb()};

    for (unsigned i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        fork_in_message((struct message){.cipher = streams[i], .pieces = PIECES, .hold_at = 1}, told_by);
    fork_in_message((struct message){.cipher = EVP_aes_128_xts(), .pieces = 1}, told_by);
    fork_in_message((struct message){.cipher = EVP_aes_128_ccm(), .pieces = 1}, told_by);
    for (int at = 0; at <= PIECES; at++) {
        for (int with_aad = 0; with_aad < 2; with_aad++)
            fork_in_message(
                (struct message){
                    .cipher = EVP_aes_256_gcm(), .pieces = PIECES, .hold_at = at, .with_aad = with_aad},
                told_by);
    }
}

/* ------------------------------------------------------------------------------------------------ records */

static struct record_keys keys;
static struct record record;
static EVP_CIPHER_CTX *sealing;

static int seal(void *arg)
{
    (void)arg;
    record_announce(sealing, &record);
    return record_seal(sealing, &record);
}

static void check_record(void)
{
    EVP_CIPHER_CTX *opening = record_context(&keys, NULL, false);
    static unsigned char out[RECORD_MAX];

    record_announce(opening, &record);
    CHECK(record_open(opening, &record, out, true) && record_is_open(&record, out));
    EVP_CIPHER_CTX_free(opening);
}

/* A record stands alone. Text that is none must not be taken for the one that was on its way. */
static void seals(struct job *job, struct message *m)
{
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();
    unsigned char out[64];
    int len;

    (void)m;
    CHECK(EVP_CIPHER_CTX_copy(copy, sealing));
    CHECK(EVP_Cipher(copy, out, text, 15) <= 0); /* as a record, it is refused: no record is announced now */
    ERR_clear_error();
    CHECK_EQ(EVP_EncryptUpdate(copy, out, &len, text, 64), !was_at_work());
    CHECK_EQ(error_speaks_of("lost in the child"), was_at_work());
    EVP_CIPHER_CTX_free(copy);
    card_command(card, "HOLD", "none");
    CHECK_EQ(resume_to_the_end(job), 1);
    check_record();
    CHECK_EQ(resume_to_the_end(job), 1); /* one more */
    check_record();
    CHECK(EVP_EncryptUpdate(sealing, out, &len, text, 64));
}

static void fork_in_record(const EVP_CIPHER *cipher, enum told_by told_by)
{
    struct numbers numbers = {7};
    long before = card_count(card, "completed");
    struct job job;

    record_keys_make_up(&keys, cipher, &numbers);
    record_make_up(&record, 0x0303, &numbers);
    sealing = record_context(&keys, card, true);
    card_command(card, "HOLD", hold);
    job_init(&job, told_by, seal, NULL);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (!was_at_work())
        card_wait_for(card, "completed", before + 1);
    in_child(seals, &job, NULL);
    card_command(card, "HOLD", "none");
    CHECK_EQ(resume_to_the_end(&job), 1);
    check_record();
    job_free(&job);
    EVP_CIPHER_CTX_free(sealing);
}

int main(void)
{
    static const char *const holds[] = {"compute", "signal"};
    struct numbers numbers = {1};

    test_begin(120);
    number_fill(&numbers, text, sizeof(text));
    card = ways_card("ENABLE_SW_FALLBACK");
    for (unsigned i = 0; i < 2; i++) {
        hold = holds[i];
        fork_in_messages(BY_FD);
        fork_in_messages(BY_CALLBACK);
        if (ways_have_cipher(card, EVP_aes_128_cbc_hmac_sha1())) {
            fork_in_record(EVP_aes_128_cbc_hmac_sha1(), BY_FD);
            fork_in_record(EVP_aes_256_cbc_hmac_sha256(), BY_CALLBACK);
        }
        ERR_clear_error();
    }
    card_unload(card);
    return 0;
}
