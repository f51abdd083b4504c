/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a second job with the wait context of one that is not finished; both are told by descriptor, or
 * (`callback`) by callback. */
#include <poll.h>

#include "wrong.h"

/* Resumes each of the two as soon as it is told: neither waits for the other. */
static void finish_both(struct job *first, struct job *second)
{
    struct job *jobs[] = {first, second};
    struct pollfd told[2];

    while (first->status == ASYNC_PAUSE || second->status == ASYNC_PAUSE) {
        for (int i = 0; i < 2; i++)
            told[i] = (struct pollfd){jobs[i]->status == ASYNC_PAUSE ? job_fd(jobs[i]) : -1, POLLIN, 0};
        CHECK(poll(told, 2, -1) > 0);
        for (int i = 0; i < 2; i++) {
            if (told[i].revents != 0)
                job_run(jobs[i]);
        }
    }
}

int main(int argc, char **argv)
{
    enum told_by told_by = has_argument(argc, argv, "callback") ? BY_CALLBACK : BY_FD;
    struct card *card = load_checked(NULL);
    struct job first, second;
    ASYNC_WAIT_CTX *own;

    card_command(card, "HOLD", "compute");
    start_signing(card, &first, told_by);
    job_init(&second, told_by, work_do, work_rsa(card, 2));
    own = second.context;
    if (!has_argument(argc, argv, "mended"))
        second.context = first.context;
    CHECK_EQ(job_run(&second), ASYNC_PAUSE);
    card_command(card, "HOLD", "none");
    if (told_by == BY_CALLBACK && second.context == first.context) {
        /* The context's callback posts the first one's semaphore for both. */
        for (int i = 0; i < 2; i++) {
            while (sem_wait(&first.told) != 0)
                ;
        }
        sem_post(&second.told);
    }
    if (told_by == BY_FD && second.context == own)
        finish_both(&first, &second);
    CHECK_EQ(job_finish(&second), 1);
    if (has_argument(argc, argv, "mended"))
        finish_signing(&first);
    work_free(second.arg);
    second.context = own;
    job_free(&second);
    card_wait_for(card, "completed", 2);
    unload_used(card);
    return 0;
}
