/*
 * N3 and N10 under race: wait contexts are freed at any moment of a request's life, the descriptor's number
 * is at once somebody else's, and nothing ever arrives there. When the engine is unloaded all that was
 * abandoned has come back: the device could not be taken apart before.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "check.h"
#include "support/engine.h"

#define ROUNDS 1500
#define TEXT_BYTES 4096

static EVP_CIPHER_CTX *ctx;

static int encrypt_and_vanish(void *arg)
{
    unsigned char *text = *(unsigned char **)arg;
    int len;

    EVP_EncryptUpdate(ctx, text, &len, text, TEXT_BYTES);
    FAIL("a job whose wait context is gone came back");
    return 0;
}

static void spin(int turns)
{
    for (volatile int i = 0; i < turns; i++)
        ;
}

static int descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* A job that is abandoned after a while that differs every time. Returns its descriptor's number, or -1. */
static int abandon(ENGINE *engine, enum told_by told_by, int delay)
{
    static const unsigned char key[32] = {1};
    unsigned char *text = calloc(1, TEXT_BYTES);
    struct job job;
    int fd = -1;

    ctx = EVP_CIPHER_CTX_new();
    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), engine, key, key));
    job_init(&job, told_by, encrypt_and_vanish, text);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (told_by == BY_FD)
        fd = job_fd(&job);
    spin(delay);
    if (told_by == BY_CALLBACK) {
        while (job.callbacks == 0) /* the callback's argument is ours to keep until it was called */
            usleep(50);
    }
    ASYNC_WAIT_CTX_free(job.context);
    EVP_CIPHER_CTX_free(ctx);
    memset(text, 0xdb, TEXT_BYTES);
    free(text);
    return fd;
}

static void race(ENGINE *engine)
{
    int pipes[2];
    unsigned char byte;

    CHECK_EQ(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int fd = abandon(engine, BY_FD, i % 50 * 200), other;

        CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
        if (i % 2 == 0) { /* a pipe's end for writing: a signal would come out at the other */
            CHECK_EQ(dup2(pipes[1], fd), fd);
            spin(i % 50 * 200);
            other = pipes[0];
        } else {
            other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
            CHECK_EQ(other, fd); /* the lowest number that is free */
            spin(i % 50 * 200);
        }
        CHECK(!fd_is_readable(other));
        close(fd);
    }
    usleep(20000);
    CHECK_EQ(read(pipes[0], &byte, 1), -1);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    ENGINE *engine;
    int before;
    long orphans;

    test_begin(100);
    engine_unload(engine_load(NULL)); /* what libcrypto opens once and keeps */
    before = descriptors();
    engine = engine_load("WORKERS:1;INSTANCES:1");
    race(engine);
    orphans = engine_count(engine, "orphans");
    CHECK_EQ(orphans, ROUNDS);
    engine_wait_for(engine, "completed", ROUNDS);
    engine_unload(engine);
    CHECK_EQ(descriptors(), before);

    engine = engine_load(NULL);
    abandon(engine, BY_CALLBACK, 0);
    engine_unload(engine);
    CHECK_EQ(descriptors(), before);
    return 0;
}
