/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one job: started, paused, resumed, checked; or abandoned. */
#include <openssl/err.h>

#include "application.h"
#include "check.h"
#include "support/card.h"
#include "totals.h"
#include "watch.h"

/* ---------------------------------------------------------------------------------------------- state */

static void add_waiting(struct slot *slot, enum slot_state state)
{
    struct application *application = slot->application;

    slot->state = state;
    slot->waiting_index = application->waiting_count;
    application->waiting[application->waiting_count++] = slot;
    application->retrying_count += state == SLOT_RETRYING;
}

static void remove_waiting(struct slot *slot)
{
    struct application *application = slot->application;
    struct slot *last = application->waiting[--application->waiting_count];

    application->waiting[slot->waiting_index] = last;
    last->waiting_index = slot->waiting_index;
    application->retrying_count -= slot->state == SLOT_RETRYING;
}

/* ------------------------------------------------------------------------------------------ operations */

static void prepare_key(struct slot *slot)
{
    const struct round *round = slot->application->round;
    struct attempt *attempt = &slot->attempt;
    unsigned key = attempt->question->rsa.key;

    if (card_is_provider()) {
        bool is_own = random_percent(&attempt->random, 30);
        EVP_PKEY *pkey = is_own ? keys_of_card(key, round->by_name) : round->pkeys[key];

        CHECK(attempt_take(attempt, round->by_name, pkey));
        if (is_own)
            EVP_PKEY_free(pkey); /* the context has it */
        return;
    }
    if (random_percent(&attempt->random, 30)) {
        attempt->rsa = keys_copy(key, round->route);
    } else {
        attempt->rsa = round->keys[key];
        RSA_up_ref(attempt->rsa);
    }
}

/* The next question, with memory of its own to answer it in. */
static void prepare(struct slot *slot)
{
    struct application *application = slot->application;
    const struct round *round = application->round;
    struct attempt *attempt = &slot->attempt;
    const struct question *question;

    *attempt = (struct attempt){.engine = round->route};
    attempt->random =
        random_from(round->plan->seed ^ round->plan->round, 2000 + application->number, application->started);
    application->started++;
    application->left--;
    question = random_percent(&attempt->random, round->plan->value[AXIS_RSA])
                   ? &round->rsa[random_below(&attempt->random, round->rsa_count)]
                   : &round->aes[random_below(&attempt->random, round->aes_count)];
    attempt->question = question;
    slot->pages = pages_new(question->in_len, question_room(question));
    attempt->in = slot->pages.in;
    attempt->out = slot->pages.out;
    memcpy(attempt->in, question->in, question->in_len);
    if (question->is_rsa) {
        prepare_key(slot);
        return;
    }
    attempt->aes.ctx = EVP_CIPHER_CTX_new();
    CHECK(attempt->aes.ctx != NULL);
    if (card_is_provider())
        CHECK(attempt_take(attempt, round->by_name, NULL));
    /* In place, where no piece can be written over one that is still to be read. */
    if (!question->aes.padding && question->aes.mode != CBC && question->aes.mode != ECB &&
        random_percent(&attempt->random, 30)) {
        memcpy(attempt->out, question->in, question->in_len);
        attempt->in = attempt->out;
    }
}

static void answer(struct attempt *attempt)
{
    if (attempt->question->is_rsa)
        attempt_rsa(attempt);
    else
        attempt_aes(attempt);
}

static int work(void *arg)
{
    struct slot *slot = *(struct slot **)arg;

    slot->stack = &slot;
    if (slot->blocks)
        ASYNC_block_pause();
    answer(&slot->attempt);
    if (slot->blocks)
        ASYNC_unblock_pause();
    return 1;
}

static void check(struct slot *slot)
{
    const struct attempt *attempt = &slot->attempt;
    const struct question *question = attempt->question;

    count(&totals.operations, 1);
    watch_progress();
    if (!answer_is_right(attempt)) {
        bool is_error = attempt->refused;

        if (is_error && plan_may_refuse(slot->application->round->plan)) {
            count(&totals.refusals, 1);
            if (ERR_peek_error() == 0)
                watch_report("refused without a word");
            count(&totals.errors, ERR_peek_error() == 0);
            ERR_clear_error();
            return;
        }

        count(is_error ? &totals.errors : &totals.wrong, 1);
        if (is_error)
            ERR_print_errors_fp(stderr);
        watch_report("%s: %s %s, %zu bytes", is_error ? "refused" : "wrong answer",
            question->is_rsa ? "RSA work" : OBJ_nid2sn(EVP_CIPHER_get_nid(question->aes.cipher)),
            question->is_rsa ? "" : (question->aes.encrypt ? "encryption" : "decryption"), question->in_len);
    }
    ERR_clear_error();
}

static void drop_attempt(struct slot *slot)
{
    EVP_CIPHER_CTX_free(slot->attempt.aes.ctx);
    RSA_free(slot->attempt.rsa);
    slot->attempt.aes.ctx = NULL;
    slot->attempt.rsa = NULL;
    attempt_give_back(&slot->attempt);
}

/* ------------------------------------------------------------------------------------------------ jobs */

void slot_close_context(struct slot *slot)
{
    struct account *before;

    if (slot->context == NULL)
        return;
    before = account_use(slot->account);
    ASYNC_WAIT_CTX_free(slot->context);
    account_use(before);
    slot->context = NULL;
    slot->fd = -1;
    slot->has_orphan = false;
}

static void open_context(struct slot *slot)
{
    slot->context = ASYNC_WAIT_CTX_new();
    slot->fd = -1;
    CHECK(slot->context != NULL);
}

/* What libcrypto says of the job after it ran. */
static void ran(struct slot *slot, int status, int result)
{
    if (status == ASYNC_FINISH) {
        CHECK_EQ(result, 1);
        if (slot->teller != NULL)
            atomic_store(&slot->teller->may_come, false);
        slot->state = SLOT_IDLE;
        if (slot->fd >= 0 && !slot->has_orphan && told_fd_is_readable(slot->fd)) {
            count(&totals.stale, 1);
            watch_report("the operation has returned, and its descriptor is readable");
        }
        check(slot);
        drop_attempt(slot);
        pages_free(&slot->pages);
        return;
    }
    if (status != ASYNC_PAUSE)
        ERR_print_errors_fp(stderr);
    CHECK_EQ(status, ASYNC_PAUSE);
    count(&totals.pauses, 1);
    if (slot->teller == NULL) {
        slot->has_orphan = false; /* a new request has taken its place */
        told_watch_fd(slot);
        add_waiting(slot, SLOT_WAITING);
        return;
    }
    status = ASYNC_WAIT_CTX_get_status(slot->context);
    CHECK(status == ASYNC_STATUS_OK || status == ASYNC_STATUS_EAGAIN);
    add_waiting(slot, status == ASYNC_STATUS_OK ? SLOT_WAITING : SLOT_RETRYING);
}

static void run(struct slot *slot)
{
    struct account *before = account_use(slot->account);
    int result = 0;
    int status = ASYNC_start_job(&slot->job, slot->context, &result, work, &slot, sizeof(slot));

    account_use(before);
    ran(slot, status, result);
}

static enum doom draw_doom(struct slot *slot)
{
    const struct plan *plan = slot->application->round->plan;

    if (!random_percent(&slot->attempt.random, plan->value[AXIS_ABANDON]))
        return DOOM_NONE;
    return (enum doom)(DOOM_AT_ONCE + random_below(&slot->attempt.random, 3));
}

void slot_start(struct slot *slot)
{
    const struct plan *plan = slot->application->round->plan;

    prepare(slot);
    if (random_percent(&slot->attempt.random, plan->value[AXIS_OUTSIDE])) {
        answer(&slot->attempt);
        check(slot);
        drop_attempt(slot);
        pages_free(&slot->pages);
        return;
    }
    if (slot->context != NULL && !slot->has_orphan && random_percent(&slot->attempt.random, 10))
        slot_close_context(slot);
    if (slot->context == NULL)
        open_context(slot);
    slot->doom = draw_doom(slot);
    slot->blocks = random_percent(&slot->attempt.random, plan->value[AXIS_BLOCK]);
    if (plan_by_callback(plan)) {
        if (slot->teller == NULL)
            slot->teller = teller_new(slot);
        atomic_store(&slot->teller->may_come, true);
        CHECK(ASYNC_WAIT_CTX_set_callback(slot->context, told_callback, slot->teller));
    }
    count(&totals.jobs, 1);
    slot->state = SLOT_RUNNING;
    run(slot);
    if (slot->state != SLOT_IDLE && slot->doom == DOOM_AT_ONCE)
        slot_abandon(slot);
}

void slot_resume(struct slot *slot)
{
    remove_waiting(slot);
    slot->state = SLOT_RUNNING;
    run(slot);
}

void slot_told(struct slot *slot)
{
    if (slot->doom == DOOM_WHEN_TOLD)
        slot_abandon(slot);
    else
        slot_resume(slot);
}

/* ------------------------------------------------------------------------------------------- abandoned */

/* Its callback may still come, to a teller that knows no slot. */
static void retire_teller(struct slot *slot)
{
    struct application *application = slot->application;
    struct teller *teller = slot->teller;

    if (teller == NULL)
        return;
    pthread_mutex_lock(&application->inbox.lock);
    teller->slot = NULL;
    pthread_mutex_unlock(&application->inbox.lock);
    teller->next_old = application->old_tellers;
    application->old_tellers = teller;
    slot->teller = NULL;
}

void slot_abandon(struct slot *slot)
{
    const struct plan *plan = slot->application->round->plan;
    /* With a callback the wait context's status and callback belong to the job under way. */
    bool reuse = !plan_by_callback(plan) && random_percent(&slot->attempt.random, plan->value[AXIS_REUSE]);

    remove_waiting(slot);
    retire_teller(slot);
    if (reuse)
        slot->has_orphan = true;
    else
        slot_close_context(slot);
    drop_attempt(slot);
    pages_spoil(&slot->pages);
    account_abandon(slot->account, slot->stack, slot->job);
    slot->account = account_new();
    slot->job = NULL;
    slot->state = SLOT_IDLE;
    count(&totals.abandons, 1);
    watch_progress();
}
