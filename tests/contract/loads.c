/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a card that was unloaded, or did not load: nothing. */
#include "proc.h"
#include "support/card.h"
#include "support/work.h"

/* Settings go with the card: the next one starts from the defaults. */
static void defaults(void)
{
    struct card *card = card_load("ENABLE_EXTERNAL_POLLING;SYNC_OFFLOAD:1;INSTANCES:5;"
                                  "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:AES-128-CBC:16384");
    struct work *work;
    struct job job;

    card_unload(card);
    card = card_load(NULL);
    CHECK(card_refuses(card, "POLL", NULL, "needs ENABLE_EXTERNAL_POLLING"));
    CHECK(card_number(card, "GET_NUM_CRYPTO_INSTANCES") != 5);
    work = work_aes(card, 1);
    CHECK_EQ(work_do(&work), 1);
    CHECK_EQ(card_count(card, "aes_cbc"), 0); /* SYNC_OFFLOAD is off again */
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* and the threshold is 2,048 */
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
    card_unload(card);
}

/* A load that fails, after a command that has started the device, leaves no thread behind. */
static void failed_load(int tasks)
{
    setenv("ERSATZ_CTRL", "INIT_ENGINE;NONSENSE", 1);
    CHECK(card_try(NULL) == NULL);
    CHECK(error_speaks_of("NONSENSE"));
    unsetenv("ERSATZ_CTRL");
    while (count_threads() != tasks)
        usleep(1000); /* joined, but the kernel still takes it apart; one that stays hangs the test */
    card_unload(card_load("WORKERS:1"));
}

int main(void)
{
    int tasks = count_threads();

    test_begin(100);
    defaults();
    failed_load(tasks);
    return 0;
}
