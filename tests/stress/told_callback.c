/* SPDX-License-Identifier: Apache-2.0 */
/* Told by a callback: on a thread of the card, or in POLL. */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <time.h>

#include "application.h"
#include "check.h"
#include "support/card.h"
#include "totals.h"
#include "watch.h"

struct teller *teller_new(struct slot *slot)
{
    struct teller *teller = calloc(1, sizeof(*teller));

    CHECK(teller != NULL);
    teller->application = slot->application;
    teller->slot = slot;
    teller->random = slot->attempt.random;
    return teller;
}

/* Random numbers make libcrypto keep a generator for the thread, with a reference to the engine that is the
 * default for its AES. A thread of the card ends with the engine: neither would ever go. With a provider the
 * generator is its library context's, and gone before the thread, which would look for it. */
static bool draws_numbers(const struct question *question)
{
    return question->is_rsa && (question->rsa.work == RSA_ENCRYPT || question->rsa.work == RSA_SIGN_PSS);
}

static const struct question *any_question(struct teller *teller)
{
    const struct round *round = teller->application->round;
    const struct question *rsa = &round->rsa[random_below(&teller->random, round->rsa_count)];

    if (random_percent(&teller->random, round->plan->value[AXIS_RSA]) &&
        ((round->by_name != NULL && !card_is_provider()) || !draws_numbers(rsa)))
        return rsa;
    return &round->aes[random_below(&teller->random, round->aes_count)];
}

/* A callback may use libcrypto, and so the engine: outside any job. */
static void use_crypto(struct teller *teller)
{
    const struct round *round = teller->application->round;
    const struct question *question = any_question(teller);
    struct attempt attempt = {.question = question, .random = teller->random, .engine = round->route};

    attempt.in = question->in;
    attempt.out = malloc(question_room(question));
    CHECK(attempt.out != NULL);
    if (card_is_provider()) /* which is the default of the application's threads, not of the card's */
        CHECK(attempt_take(&attempt, round->card, question->is_rsa ? round->pkeys[question->rsa.key] : NULL));
    if (question->is_rsa) {
        attempt.rsa = round->keys[question->rsa.key];
        attempt_rsa(&attempt);
    } else {
        attempt.aes.ctx = EVP_CIPHER_CTX_new();
        CHECK(attempt.aes.ctx != NULL);
        attempt_aes(&attempt);
    }
    if (!answer_is_right(&attempt) && !(attempt.refused && plan_may_refuse(round->plan))) {
        count(&totals.wrong, 1);
        watch_report("wrong answer in a callback");
    }
    ERR_clear_error();
    EVP_CIPHER_CTX_free(attempt.aes.ctx);
    attempt_give_back(&attempt);
    free(attempt.out);
}

static void post(struct teller *teller)
{
    struct application *application = teller->application;

    pthread_mutex_lock(&application->inbox.lock);
    if (teller->slot != NULL && !teller->is_queued) {
        teller->is_queued = true;
        teller->next = application->inbox.first;
        application->inbox.first = teller;
        pthread_cond_signal(&application->inbox.filled);
    }
    pthread_mutex_unlock(&application->inbox.lock);
}

/* On the thread that owns the job, and only there, it may be resumed on the spot. */
static bool resumes_on_the_spot(const struct teller *teller)
{
    struct application *application = teller->application;

    return application->round->plan->value[AXIS_TOLD] == TOLD_SPOT &&
           pthread_equal(pthread_self(), application->thread) && teller->slot != NULL;
}

int told_callback(void *arg)
{
    struct teller *teller = arg;
    struct application *application = teller->application;

    count(&totals.callbacks, 1);
    if (!atomic_load(&teller->may_come)) {
        count(&totals.stale, 1);
        watch_report("a callback came for a job that had returned");
    }
    if (random_percent(&teller->random, application->round->plan->value[AXIS_NESTED]))
        use_crypto(teller);
    if (resumes_on_the_spot(teller)) {
        struct slot *slot = teller->slot;

        CHECK_EQ(slot->state, SLOT_WAITING);
        slot_told(slot);
        if (slot->state == SLOT_IDLE && application->left > 0 && random_percent(&teller->random, 50))
            slot_start(slot);
    } else {
        post(teller);
    }
    return 1;
}

static struct teller *take_all(struct application *application, long wait_ns)
{
    struct teller *first;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += wait_ns;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&application->inbox.lock);
    while (application->inbox.first == NULL && wait_ns > 0 &&
           pthread_cond_timedwait(&application->inbox.filled, &application->inbox.lock, &until) != ETIMEDOUT)
        ;
    first = application->inbox.first;
    application->inbox.first = NULL;
    pthread_mutex_unlock(&application->inbox.lock);
    return first;
}

/* Whether there was anything. */
static bool resume_posted(struct application *application, long wait_ns)
{
    struct teller *teller = take_all(application, wait_ns);
    bool any = teller != NULL;

    while (teller != NULL) {
        struct slot *slot;
        struct teller *next = teller->next;

        /* From here on another callback posts it anew. */
        pthread_mutex_lock(&application->inbox.lock);
        teller->is_queued = false;
        slot = teller->slot;
        pthread_mutex_unlock(&application->inbox.lock);
        /* Its job may have been resumed early, and be done. */
        if (slot != NULL && (slot->state == SLOT_WAITING || slot->state == SLOT_RETRYING))
            slot_told(slot);
        teller = next;
    }
    return any;
}

void told_by_queue(struct application *application)
{
    resume_posted(application, application->retrying_count > 0 ? 100000 : 20000000);
}

void told_by_polling(struct application *application)
{
    const struct round *round = application->round;
    int status = -1;
    struct pollfd fds[64];

    CHECK(card_ask(round->card, "POLL", &status));
    CHECK_EQ(status, 0);
    if (resume_posted(application, 0) || application->waiting_count == 0)
        return;
    /* Nothing now: spin, or sleep until a response ring has something. */
    if (round->response_fd_count == 0 || random_percent(&application->random, 50))
        return;
    for (unsigned i = 0; i < round->response_fd_count; i++)
        fds[i] = (struct pollfd){.fd = round->response_fds[i], .events = POLLIN};
    poll(fds, round->response_fd_count, 1);
}
