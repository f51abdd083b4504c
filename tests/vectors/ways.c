/* SPDX-License-Identifier: Apache-2.0 */
/* Runs operations outside a job, inside one, or on the calling core. */
#include "ways.h"

#include <openssl/err.h>

#include "check.h"

static struct card *card;
static enum way way;
static struct job job;
static bool job_made;

struct card *way_begin(int argc, char **argv)
{
    static const char *const names[] = {"outside", "fd", "callback", "inline"};

    CHECK_EQ(argc, 2);
    for (way = OUTSIDE; way <= INLINE && strcmp(names[way], argv[1]) != 0; way++)
        ;
    CHECK(way <= INLINE);
    card = card_load(way == INLINE ? NULL : ALL_SIZES ";SYNC_OFFLOAD:1");
    return card;
}

void way_run(int (*work)(void *), void *arg)
{
    if (way == OUTSIDE || way == INLINE) {
        int done = work(&arg);

        if (done != 1)
            ERR_print_errors_fp(stderr);
        CHECK_EQ(done, 1);
        return;
    }
    if (!job_made)
        job_init(&job, way == IN_JOB_BY_FD ? BY_FD : BY_CALLBACK, work, arg);
    job_made = true;
    job.work = work;
    job.arg = arg;
    job.callbacks = 0;
    job_run(&job);
    CHECK_EQ(job_finish(&job), 1);
}

void way_check_card(const char *name, long at_least)
{
    long done = card_count(card, name);

    if (way == INLINE)
        CHECK_EQ(done, 0);
    else
        CHECK(done >= at_least);
    printf("%s: %ld requests on the card, %ld on the calling core\n", name, done, card_count(card, "inline"));
}

void way_check_kernels(long at_least)
{
    const char *settings = getenv("ERSATZ_CTRL");
    bool portable = settings != NULL && strstr(settings, "KERNELS:portable") != NULL;
    long fast;

    CHECK(card_count(card, "portable") >= 0);
    if (portable) {
        CHECK(!card_has_count(card, "x86"));
        return;
    }
    if (!card_has_count(card, "x86")) {
        printf("libcrypto did everything: nothing else is there\n");
        return;
    }
    fast = card_count(card, "x86");
    printf("%ld operations by x86\n", fast);
    CHECK(fast >= at_least);
}
