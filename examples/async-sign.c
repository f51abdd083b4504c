/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 64 RSA signatures in flight from one thread, with ASYNC_start_job(3) and poll(2), without TLS.
 *
 *   async-sign [KEY.pem]
 *
 * The program names no engine and no provider: OpenSSL's configuration does. Without an accelerator it works,
 * too, but no job ever pauses. docs/async-guide.md explains each step.
 */
#include <openssl/async.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define TASKS 64     /* signatures in flight */
#define EACH 4       /* signatures of each task, one after the other */
#define FDS_MAX 4    /* of one job: one for each accelerator, so nearly always one */
#define SIG_MAX 2048 /* bytes: RSA-16384, the longest key that OpenSSL uses */

/* What one job works on. It must stay where it is until the job has finished. */
struct task {
    ASYNC_WAIT_CTX *wait; /* connects the job with its descriptors; used for one job at a time */
    ASYNC_JOB *job;       /* NULL: none is paused */
    EVP_PKEY *key;        /* borrowed; many jobs may use one key */
    int done;             /* signatures */
    bool not_started;     /* there was no job to be had */
    bool readable;        /* a descriptor of the paused job */
    unsigned char message[32];
    unsigned char signature[SIG_MAX];
    size_t signature_len;
};

static int paused, paused_max; /* jobs: now, and the most at a time */
static int failed;             /* signatures */

static void die(const char *text)
{
    fprintf(stderr, "async-sign: %s\n", text);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static bool sign(struct task *task)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok;

    task->signature_len = sizeof(task->signature);
    ok = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, task->key) == 1 &&
         EVP_DigestSign(
             context, task->signature, &task->signature_len, task->message, sizeof(task->message)) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

static bool verify(struct task *task)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok;

    ok = context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, task->key) == 1 &&
         EVP_DigestVerify(
             context, task->signature, task->signature_len, task->message, sizeof(task->message)) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

/*
 * The job. It runs on a stack of its own, and looks like any synchronous code: inside EVP_DigestSign the
 * engine or provider submits the operation and pauses the job; that call returns when somebody has resumed
 * the job and the result is there. So a job pauses as often as it has operations for the accelerator. The
 * argument is a copy of the bytes that ASYNC_start_job was given, here of a pointer.
 */
static int sign_and_verify(void *arg)
{
    struct task *task = *(struct task **)arg;

    task->message[0]++;
    return sign(task) && verify(task);
}

/* Starts the task's next job, or resumes the one that is paused: the same call does both. */
static void start_or_resume(struct task *task)
{
    int result = 0;

    if (task->job != NULL)
        paused--;
    task->not_started = false;
    switch (ASYNC_start_job(&task->job, task->wait, &result, sign_and_verify, &task, sizeof(task))) {
    case ASYNC_PAUSE: /* the accelerator works; task->job is set */
        paused++;
        if (paused > paused_max)
            paused_max = paused;
        break;
    case ASYNC_FINISH: /* task->job is NULL again, and result is the return value of sign_and_verify() */
        if (result !=
            1) { /* an accelerator may fail; the other jobs still have to be resumed to their ends */
            fputs("async-sign: a signature failed, or is wrong\n", stderr);
            ERR_print_errors_fp(stderr);
            failed++;
        }
        task->done++;
        break;
    case ASYNC_NO_JOBS: /* all jobs that ASYNC_init_thread allows are in use, or memory is short: try again
                           later */
        task->not_started = true;
        break;
    default: /* ASYNC_ERR */
        die("ASYNC_start_job");
    }
}

/* Adds the descriptors of the task's job to those to wait for; returns how many they are now. */
static size_t add_descriptors(struct task *task, struct pollfd *fds, struct task **owners, size_t count)
{
    OSSL_ASYNC_FD own[FDS_MAX];
    size_t len = 0;

    /* First how many, then which: the call cannot know how long the array is. */
    if (!ASYNC_WAIT_CTX_get_all_fds(task->wait, NULL, &len) || len > FDS_MAX ||
        !ASYNC_WAIT_CTX_get_all_fds(task->wait, own, &len))
        die("ASYNC_WAIT_CTX_get_all_fds");
    for (size_t i = 0; i < len; i++) {
        fds[count] = (struct pollfd){.fd = own[i], .events = POLLIN};
        owners[count++] = task;
    }
    return count;
}

/* Waits until a job can be resumed. Nobody here reads from the descriptors: the engine or provider does, on
 * resumption. */
static void wait_for_results(struct task *tasks)
{
    struct pollfd fds[TASKS * FDS_MAX];
    struct task *owners[TASKS * FDS_MAX];
    size_t count = 0;
    bool without = false;

    for (int i = 0; i < TASKS; i++) {
        size_t before = count;

        tasks[i].readable = false;
        if (tasks[i].job == NULL)
            continue;
        count = add_descriptors(&tasks[i], fds, owners, count);
        if (count == before) { /* allowed, if rare: such a job can only be resumed on suspicion */
            tasks[i].readable = true;
            without = true;
        }
    }
    /* With no job paused there was no memory for one: wait a little. */
    if (poll(fds, count, without || paused == 0 ? 1 : -1) < 0)
        die("poll");
    for (size_t i = 0; i < count; i++)
        owners[i]->readable |= fds[i].revents != 0;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);

    if (file != NULL)
        fclose(file);
    return key;
}

static bool can_run(const struct task *task)
{
    return task->job != NULL ? task->readable : task->done < EACH;
}

int main(int argc, char **argv)
{
    static struct task tasks[TASKS];
    EVP_PKEY *key;
    int signatures = 0;

    /* libssl reads openssl.cnf by itself; a program that uses libcrypto alone should ask for it. */
    if (!OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL))
        die("OpenSSL's configuration");
    /* Optional: at most TASKS jobs for this thread, none of them made in advance. */
    if (!ASYNC_is_capable() || !ASYNC_init_thread(TASKS, 0))
        die("this OpenSSL has no asynchronous jobs here");
    key = argc > 1 ? read_key(argv[1]) : EVP_RSA_gen(2048);
    if (key == NULL)
        die("no key");
    for (int i = 0; i < TASKS; i++) {
        tasks[i].key = key;
        tasks[i].message[1] = (unsigned char)i;
        tasks[i].wait = ASYNC_WAIT_CTX_new();
        if (tasks[i].wait == NULL)
            die("ASYNC_WAIT_CTX_new");
    }

    while (signatures < TASKS * EACH) {
        bool progress = false;

        signatures = 0;
        for (int i = 0; i < TASKS; i++) {
            if (can_run(&tasks[i])) {
                start_or_resume(&tasks[i]);
                progress |= !tasks[i].not_started && tasks[i].job == NULL;
            }
            signatures += tasks[i].done;
        }
        if (!progress) /* else a task has something new to start */
            wait_for_results(tasks);
    }
    printf("%d signatures; at most %d jobs were paused at a time\n", signatures - failed, paused_max);

    /* A wait context may be freed only now, when no job of it is paused. That closes its descriptors. */
    for (int i = 0; i < TASKS; i++)
        ASYNC_WAIT_CTX_free(tasks[i].wait);
    EVP_PKEY_free(key);
    ASYNC_cleanup_thread();
    return failed == 0 ? 0 : 1;
}
