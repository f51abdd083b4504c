/* SPDX-License-Identifier: Apache-2.0 */
/*
 * N3, N4, N10: an application that frees its wait context, key, cipher context and buffers while the card
 * works hurts nobody: the descriptor is closed at once, its number gets no signal when others have it, and
 * the resources come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define OTHERS 16

/* AES from and to pages that go away while the card works. */
struct pages {
    unsigned char *memory;
    EVP_CIPHER_CTX *ctx;
};

static int encrypt_pages(void *arg)
{
    struct pages *pages = *(struct pages **)arg;
    int len;

    EVP_EncryptUpdate(pages->ctx, pages->memory, &len, pages->memory, WORK_BYTES);
    FAIL("a job whose wait context is gone came back");
    return 0;
}

static int sign_and_vanish(void *arg)
{
    EVP_PKEY_CTX *signer = *(EVP_PKEY_CTX **)arg;
    unsigned char in[32] = {1}, out[256];
    size_t len = sizeof(out);

    EVP_PKEY_sign(signer, out, &len, in, sizeof(in));
    FAIL("a job whose wait context is gone came back");
    return 0;
}

/* The lowest numbers: whoever had one before us has it no longer. */
static void open_others(int *others)
{
    for (int i = 0; i < OTHERS; i++) {
        others[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        CHECK(others[i] >= 0);
    }
}

static void check_and_close_others(int *others)
{
    for (int i = 0; i < OTHERS; i++) {
        CHECK(!fd_is_readable(others[i]));
        close(others[i]);
    }
}

static void wait_until_back(struct card *card, long completed)
{
    card_wait_for(card, "completed", completed);
    card_wait_in_flight(card, 0);
    usleep(10000);
}

static void abandon(
    struct card *card, const char *where, struct job *job, void (*destroy)(void *), void *what)
{
    int others[OTHERS], fd = -1;
    long completed = card_count(card, "completed"), orphans = card_count(card, "orphans");

    card_command(card, "HOLD", where);
    CHECK_EQ(job_run(job), ASYNC_PAUSE);
    if (strcmp(where, "signal") == 0)
        card_wait_for(card, "completed", completed + 1);
    if (job->told_by == BY_FD)
        fd = job_fd(job);
    destroy(what);
    job_free(job);
    if (fd >= 0) {
        CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF); /* N4: closed, now */
        CHECK_EQ(card_count(card, "orphans"), orphans + 1);
    }
    open_others(others);
    card_command(card, "HOLD", "none");
    wait_until_back(card, completed + 1);
    check_and_close_others(others);
}

static void destroy_pages(void *arg)
{
    struct pages *pages = arg;

    EVP_CIPHER_CTX_free(pages->ctx);
    munmap(pages->memory, WORK_BYTES); /* a touch by the card would end the test */
}

static void destroy_signer(void *arg)
{
    EVP_PKEY_CTX_free(arg);
}

static void abandon_aes(struct card *card, enum told_by told_by, const char *where)
{
    static const unsigned char zero[32];
    struct pages pages = {.ctx = EVP_CIPHER_CTX_new()};
    struct job job;

    pages.memory = mmap(NULL, WORK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages.memory != MAP_FAILED);
    CHECK(card_cipher_init(card, pages.ctx, "AES-256-GCM", zero, zero, 1));
    job_init(&job, told_by, encrypt_pages, &pages);
    abandon(card, where, &job, destroy_pages, &pages);
}

static void abandon_rsa(struct card *card, enum told_by told_by, const char *where)
{
    EVP_PKEY *key = test_key(card);
    EVP_PKEY_CTX *signer = card_key_context(card, key, EVP_PKEY_sign_init, RSA_PKCS1_PADDING);
    struct job job;

    CHECK(signer != NULL);
    EVP_PKEY_free(key); /* the context has the last reference */
    job_init(&job, told_by, sign_and_vanish, signer);
    abandon(card, where, &job, destroy_signer, signer);
}

/* The wait context of an orphan, used for the next job while the orphan is in flight: told of its own
 * completion only. */
static void reuse(struct card *card, const char *where)
{
    struct work *lost = work_aes(card, 3), *next = work_aes(card, 4);
    long completed = card_count(card, "completed");
    struct job job;

    card_command(card, "HOLD", where);
    job_init(&job, BY_FD, work_do, lost);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (strcmp(where, "signal") == 0)
        card_wait_for(card, "completed", completed + 1);
    job.job = NULL; /* never resumed */
    job.arg = next;
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (strcmp(where, "signal") == 0)
        card_wait_for(card, "completed", completed + 2);
    card_command(card, "RELEASE", "1"); /* the orphan's: nobody is told */
    usleep(20000);
    CHECK(!fd_is_readable(job_fd(&job)));
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    usleep(10000);
    CHECK(!fd_is_readable(job_fd(&job)));
    job_free(&job);
    work_free(lost);
    work_free(next);
}

int main(void)
{
    static const char *const places[] = {"compute", "signal"};
    struct card *card;

    test_begin(60);
    card = card_load("WORKERS:1");
    for (int place = 0; place < 2; place++) {
        for (int told_by = BY_FD; told_by <= BY_CALLBACK; told_by++) {
            abandon_aes(card, (enum told_by)told_by, places[place]);
            abandon_rsa(card, (enum told_by)told_by, places[place]);
        }
        reuse(card, places[place]);
    }
    card_unload(card);
    return 0;
}
