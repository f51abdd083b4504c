/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program closes every descriptor that it does not know, as daemons do, and opens files of its own, which
 * get the old numbers. The card goes on, and neither writes to those files nor closes them. And where a
 * program was started without standard descriptors, the card does not take their numbers.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define FILES 40
#define STANDARD 3

static int files[FILES], first_file;

/* Everything above the standard descriptors goes, and the numbers are taken. */
static void close_all(void)
{
    closefrom(STANDARD);
    first_file = memfd_create("files", 0);
    CHECK(first_file >= 0);
    for (int i = 0; i < FILES; i++) {
        files[i] = dup(first_file); /* so that there is one to look at */
        CHECK(files[i] >= 0);
    }
}

static void check_files(void)
{
    struct stat first, each;

    CHECK_EQ(fstat(first_file, &first), 0);
    CHECK_EQ(first.st_size, 0);
    for (int i = 0; i < FILES; i++) {
        CHECK_EQ(fstat(files[i], &each), 0);
        CHECK_EQ(each.st_ino, first.st_ino);
    }
}

/* A job that goes on with a wait context from before: it is shown another descriptor. */
static void use_old_context(struct job *old)
{
    CHECK_EQ(job_run(old), ASYNC_PAUSE);
    CHECK_EQ(job_finish(old), 1);
}

static void use_in_child(struct work *work)
{
    check_files();
    CHECK_EQ(work_do(&work), 1);
    work_in_job(work, BY_FD, NULL);
    check_files();
}

static void go_on(bool external)
{
    struct card *card = card_load(external ? "ENABLE_EXTERNAL_POLLING" : NULL);
    struct work *rsa = work_rsa(card, 1), *aes = work_aes(card, 2);
    struct card *polled = external ? card : NULL;
    struct job kept, freed;

    job_init(&kept, BY_FD, work_do, aes);
    job_init(&freed, BY_FD, work_do, aes);
    use_old_context(&kept);
    use_old_context(&freed);
    work_in_job(aes, BY_CALLBACK, polled);
    if (external)
        CHECK(card_number(card, "GET_EXTERNAL_POLLING_FD") >= 0);
    card_wait_for(card, "completed", 3);
    close_all();
    CHECK_EQ(work_do(&rsa), 1);
    work_in_job(rsa, BY_FD, polled);
    work_in_job(aes, BY_CALLBACK, polled);
    job_free(&freed);
    use_old_context(&kept);
    job_free(&kept);
    check_files();
    if (!external)
        work_in_child(use_in_child, rsa);
    work_free(aes);
    work_free(rsa);
    card_unload(card);
    check_files();
    close_all();
}

/* Nothing of ours is below 3, whatever was asked of the card. */
static void without_standard(bool external)
{
    int errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    struct stat status;
    struct work *aes;
    struct job job;
    struct card *card;

    CHECK(errors >= 0);
    for (int i = 0; i < STANDARD; i++)
        close(i);
    card = card_load(external ? "RECORD:.;ENABLE_EXTERNAL_POLLING" : "RECORD:.");
    aes = work_aes(card, 1);
    job_init(&job, BY_FD, work_do, aes);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK(job_fd(&job) >= STANDARD);
    CHECK_EQ(job_finish(&job), 1);
    work_in_job(aes, BY_CALLBACK, external ? card : NULL);
    if (external)
        CHECK(card_number(card, "GET_EXTERNAL_POLLING_FD") >= STANDARD);
    for (int i = 0; i < STANDARD; i++) {
        if (fstat(i, &status) == 0) {
            dprintf(errors, "descriptor %d is taken\n", i);
            _exit(1);
        }
    }
    job_free(&job);
    work_free(aes);
    card_unload(card);
    _exit(0);
}

/* Argument: closed, or standard; and external with external polling. */
int main(int argc, char **argv)
{
    bool external = argc == 3 && strcmp(argv[2], "external") == 0;

    test_begin(60);
    CHECK(argc >= 2);
    if (strcmp(argv[1], "standard") == 0)
        without_standard(external);
    go_on(external);
    return 0;
}
