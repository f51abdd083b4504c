/* SPDX-License-Identifier: Apache-2.0 */
/*
 * N3 and N10 under race: wait contexts are freed at any moment of a request's life, the descriptor's number
 * is at once somebody else's, and nothing ever arrives there. When the module is unloaded all that was
 * abandoned has come back: the device could not be taken apart before.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <time.h>

#include "proc.h"
#include "support/card.h"
#include "support/work.h"

#define ROUNDS 2000
#define BATCH 8 /* computed and told together: the first one's signal takes the longest to be posted */
#define TEXT_BYTES 4096
#define HEAVY_ROUNDS 200
#define HEAVY_BYTES 120000 /* what a request keeps of it is more than what libcrypto loses of a job */
#define LOSS_MAX 60000     /* of a job that is never resumed: its stack, mostly */

struct text {
    EVP_CIPHER_CTX *ctx;
    unsigned char *bytes;
    int len;
};

static int encrypt_and_vanish(void *arg)
{
    struct text *text = *(struct text **)arg;
    int len;

    EVP_EncryptUpdate(text->ctx, text->bytes, &len, text->bytes, text->len);
    FAIL("a job whose wait context is gone came back");
    return 0;
}

static void start(struct card *card, struct job *job, enum told_by told_by, struct text *text, int len)
{
    static const unsigned char key[32] = {1};

    *text = (struct text){.ctx = EVP_CIPHER_CTX_new(), .bytes = calloc(1, (size_t)len), .len = len};
    CHECK(text->bytes != NULL && card_cipher_init(card, text->ctx, "AES-128-CBC", key, key, 1));
    job_init(job, told_by, encrypt_and_vanish, text);
    CHECK_EQ(job_run(job), ASYNC_PAUSE);
}

static void forget(struct text *text)
{
    EVP_CIPHER_CTX_free(text->ctx);
    memset(text->bytes, 0xdb, (size_t)text->len);
    free(text->bytes);
}

static void spin(long ns)
{
    struct timespec now;
    long end;

    clock_gettime(CLOCK_MONOTONIC, &now);
    end = now.tv_sec * 1000000000 + now.tv_nsec + ns;
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec * 1000000000 + now.tv_nsec < end);
}

/* Somebody else gets the number: the end of a pipe for writing, where a signal would come out at the other,
 * or an eventfd. Returns what to look at. */
static int take_number(int fd, const int pipes[2], bool as_pipe)
{
    if (as_pipe) {
        CHECK_EQ(dup2(pipes[1], fd), fd);
        return pipes[0];
    }
    CHECK_EQ(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), fd); /* the lowest number that is free */
    return fd;
}

static void race(struct card *card)
{
    struct work *works[BATCH];
    struct job jobs[BATCH];
    struct text text;
    int pipes[2];
    unsigned char byte;

    CHECK_EQ(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    for (int i = 1; i < BATCH; i++) {
        works[i] = work_aes(card, (unsigned char)i);
        job_init(&jobs[i], BY_FD, work_do, works[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int fd, other;

        card_command(card, "HOLD", "compute");
        start(card, &jobs[0], BY_FD, &text, TEXT_BYTES);
        for (int i = 1; i < BATCH; i++)
            CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
        fd = job_fd(&jobs[0]);
        card_command(card, "HOLD", "none");
        spin(round * 37 % 400 * 250);
        ASYNC_WAIT_CTX_free(jobs[0].context);
        CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
        other = take_number(fd, pipes, round % 2 == 0);
        forget(&text);
        for (int i = 1; i < BATCH; i++)
            CHECK_EQ(job_finish(&jobs[i]), 1); /* by then the whole batch has been told */
        CHECK(!fd_is_readable(other));
        close(fd);
    }
    CHECK_EQ(read(pipes[0], &byte, 1), -1);
    close(pipes[0]);
    close(pipes[1]);
    for (int i = 1; i < BATCH; i++) {
        job_free(&jobs[i]);
        work_free(works[i]);
    }
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* The memory of each is there for the next one. */
static void memory_returns(struct card *card)
{
    size_t before = 0;
    struct text text;
    struct job job;

    for (int round = 0; round < HEAVY_ROUNDS; round++) {
        long completed = card_count(card, "completed");

        if (round == 5)
            before = allocated();
        start(card, &job, BY_FD, &text, HEAVY_BYTES);
        ASYNC_WAIT_CTX_free(job.context);
        card_wait_for(card, "completed", completed + 1);
        forget(&text);
        usleep(500); /* the worker's last look at it */
    }
    CHECK(allocated() < before + (size_t)HEAVY_ROUNDS * LOSS_MAX);
}

/* Nobody knows that the job is abandoned; its callback runs, and no descriptor is left of it in the end. */
static void with_callback(struct card *card)
{
    struct text text;
    struct job job;

    start(card, &job, BY_CALLBACK, &text, TEXT_BYTES);
    while (job.callbacks == 0)
        usleep(100);
    ASYNC_WAIT_CTX_free(job.context);
    forget(&text);
}

int main(void)
{
    struct card *card;
    int before;

    test_begin(100);
    card_unload(card_load(NULL)); /* what libcrypto opens once and keeps */
    before = count_descriptors();
    card = card_load("WORKERS:1;INSTANCES:1");
    race(card);
    CHECK_EQ(card_count(card, "orphans"), ROUNDS);
    memory_returns(card);
    card_unload(card);
    CHECK_EQ(count_descriptors(), before);

    card = card_load(NULL);
    with_callback(card);
    card_unload(card);
    CHECK_EQ(count_descriptors(), before);
    return 0;
}
