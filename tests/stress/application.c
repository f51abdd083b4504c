/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of the application: keeps its slots filled until it has done its share. */
#include "application.h"

#include <sys/epoll.h>

#include "check.h"
#include "support/card.h"
#include "totals.h"
#include "watch.h"

static void start_idle(struct application *application)
{
    for (unsigned i = 0; i < application->slot_count && application->left > 0; i++) {
        while (application->slots[i].state == SLOT_IDLE && application->left > 0)
            slot_start(&application->slots[i]);
    }
}

/* Those that found the ring full: some of them, each time. */
static void retry(struct application *application)
{
    for (unsigned i = application->waiting_count; i-- > 0 && application->retrying_count > 0;) {
        if (i < application->waiting_count && application->waiting[i]->state == SLOT_RETRYING)
            slot_resume(application->waiting[i]);
    }
}

static struct slot *any_waiting(struct application *application)
{
    return application->waiting[random_below(&application->random, application->waiting_count)];
}

static void misbehave(struct application *application)
{
    const struct plan *plan = application->round->plan;

    for (int i = 0; i < 4 && application->waiting_count > 0; i++) {
        if (random_percent(&application->random, plan->value[AXIS_EARLY])) {
            count(&totals.early, 1);
            slot_resume(any_waiting(application));
        }
    }
    for (int i = 0; i < 4 && application->waiting_count > 0; i++) {
        struct slot *slot = any_waiting(application);

        if (slot->doom == DOOM_AT_RANDOM)
            slot_abandon(slot);
    }
}

static void be_told(struct application *application)
{
    static void (*const ways[])(struct application *) = {
        [TOLD_LEVEL] = told_by_epoll,
        [TOLD_EDGE] = told_by_epoll,
        [TOLD_POLL] = told_by_poll,
        [TOLD_BUSY] = told_by_trying,
        [TOLD_QUEUE] = told_by_queue,
        [TOLD_EXTERNAL] = told_by_polling,
        [TOLD_SPOT] = told_by_polling,
    };

    ways[application->round->plan->value[AXIS_TOLD]](application);
}

void *application_run(void *arg)
{
    struct application *application = arg;

    thread_begin();
    CHECK(ASYNC_init_thread(0, 0));
    if (application->round->by_name == NULL && card_is_provider())
        OSSL_LIB_CTX_set0_default(card_context(application->round->card));
    application->thread = pthread_self();
    while (application->left > 0 || application->waiting_count > 0) {
        start_idle(application);
        if (application->retrying_count > 0)
            retry(application);
        if (application->waiting_count > 0) {
            misbehave(application);
            if (application->waiting_count > 0)
                be_told(application);
        }
    }
    for (unsigned i = 0; i < application->slot_count; i++)
        slot_close_context(&application->slots[i]);
    ASYNC_cleanup_thread();
    return NULL;
}

void application_init(struct application *application, const struct round *round, unsigned number,
    unsigned slots, unsigned operations)
{
    *application = (struct application){.round = round, .number = number, .slot_count = slots};
    application->left = operations;
    application->random = random_from(round->plan->seed ^ round->plan->round, 3000, number);
    application->slots = calloc(slots, sizeof(*application->slots));
    application->waiting = calloc(slots, sizeof(struct slot *));
    application->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(application->slots != NULL && application->waiting != NULL && application->epoll >= 0);
    CHECK_EQ(pthread_mutex_init(&application->inbox.lock, NULL), 0);
    CHECK_EQ(pthread_cond_init(&application->inbox.filled, NULL), 0);
    for (unsigned i = 0; i < slots; i++) {
        application->slots[i].application = application;
        application->slots[i].fd = -1;
        application->slots[i].account = account_new();
    }
}

void application_destroy(struct application *application)
{
    while (application->old_tellers != NULL) {
        struct teller *teller = application->old_tellers;

        application->old_tellers = teller->next_old;
        free(teller);
    }
    for (unsigned i = 0; i < application->slot_count; i++) {
        free(application->slots[i].teller);
        account_close(application->slots[i].account);
    }
    close(application->epoll);
    pthread_mutex_destroy(&application->inbox.lock);
    pthread_cond_destroy(&application->inbox.filled);
    free(application->waiting);
    free(application->slots);
}
