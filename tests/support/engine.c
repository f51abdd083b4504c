/* SPDX-License-Identifier: Apache-2.0 */
/* The engine under test and the jobs that use it. */
#include "support/engine.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdatomic.h>

#include "check.h"

static void set(ENGINE *engine, char *command, bool *ok)
{
    char *value = strchr(command, ':');

    if (value != NULL)
        *value++ = '\0';
    *ok = *ok && ENGINE_ctrl_cmd_string(engine, command, value, 0);
}

ENGINE *engine_try(const char *commands)
{
    const char *module = getenv("ERSATZ_MODULE");
    ENGINE *engine;
    bool ok = true;

    CHECK(module != NULL);
    ENGINE_load_dynamic();
    engine = ENGINE_by_id("dynamic");
    CHECK(engine != NULL);
    ok = ENGINE_ctrl_cmd_string(engine, "SO_PATH", module, 0) &&
         ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0);
    if (ok && commands != NULL) {
        char *copy = strdup(commands), *rest = copy, *item;

        while ((item = strsep(&rest, ";")) != NULL)
            set(engine, item, &ok);
        free(copy);
    }
    if (ok && ENGINE_init(engine))
        return engine;
    ENGINE_free(engine);
    return NULL;
}

ENGINE *engine_load(const char *commands)
{
    ENGINE *engine = engine_try(commands);

    if (engine == NULL)
        ERR_print_errors_fp(stderr);
    CHECK(engine != NULL);
    CHECK(strcmp(ENGINE_get_id(engine), "ersatz") == 0);
    return engine;
}

void engine_unload(ENGINE *engine)
{
    CHECK(ENGINE_finish(engine));
    CHECK(ENGINE_free(engine));
}

void engine_command(ENGINE *engine, const char *name, const char *value)
{
    if (!ENGINE_ctrl_cmd_string(engine, name, value, 0)) {
        ERR_print_errors_fp(stderr);
        FAIL("the command was refused");
    }
}

bool error_speaks_of(const char *text)
{
    const char *data = NULL;
    int flags = 0;
    bool found = false;
    unsigned long code;

    while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        char line[512];

        ERR_error_string_n(code, line, sizeof(line));
        found =
            found || strstr(line, text) != NULL || ((flags & ERR_TXT_STRING) && strstr(data, text) != NULL);
    }
    return found;
}

bool engine_refuses(ENGINE *engine, const char *name, const char *value, const char *text)
{
    ERR_clear_error();
    return !ENGINE_ctrl_cmd_string(engine, name, value, 0) && error_speaks_of(text);
}

/* -1: there is none. */
static long find_count(ENGINE *engine, const char *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char quoted[64], *text, *at;
    long count = -1;

    CHECK(bio != NULL && ENGINE_ctrl_cmd(engine, "STATS", 0, bio, NULL, 0));
    BIO_write(bio, "", 1);
    BIO_get_mem_data(bio, &text);
    snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    at = strstr(text, quoted);
    if (at != NULL)
        count = strtol(at + strlen(quoted), NULL, 10);
    BIO_free(bio);
    return count;
}

long engine_count(ENGINE *engine, const char *name)
{
    long count = find_count(engine, name);

    CHECK(count >= 0);
    return count;
}

bool engine_has_count(ENGINE *engine, const char *name)
{
    return find_count(engine, name) >= 0;
}

void engine_wait_for(ENGINE *engine, const char *name, long value)
{
    while (engine_count(engine, name) < value)
        usleep(200);
}

RSA *test_rsa(ENGINE *engine)
{
    static RSA *source;
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
    RSA *rsa;

    if (source == NULL) {
        BIGNUM *f4 = BN_new();

        source = RSA_new();
        CHECK(RSA_set_method(source, RSA_PKCS1_OpenSSL()));
        CHECK(BN_set_word(f4, RSA_F4) && RSA_generate_key_ex(source, 2048, f4, NULL));
        BN_free(f4);
    }
    rsa = RSA_new_method(engine);
    CHECK(rsa != NULL);
    if (engine == NULL)
        CHECK(RSA_set_method(rsa, RSA_PKCS1_OpenSSL()));
    RSA_get0_key(source, &n, &e, &d);
    RSA_get0_factors(source, &p, &q);
    RSA_get0_crt_params(source, &dp, &dq, &qi);
    CHECK(RSA_set0_key(rsa, BN_dup(n), BN_dup(e), BN_dup(d)) && RSA_set0_factors(rsa, BN_dup(p), BN_dup(q)) &&
          RSA_set0_crt_params(rsa, BN_dup(dp), BN_dup(dq), BN_dup(qi)));
    return rsa;
}

/* -------------------------------------------------------------------------------------------------------
 * jobs */

static int count_callback(void *arg)
{
    struct job *job = arg;

    atomic_fetch_add(&job->callbacks, 1);
    sem_post(&job->told);
    return 1;
}

void job_init(struct job *job, enum told_by told_by, int (*work)(void *), void *arg)
{
    *job = (struct job){.told_by = told_by, .work = work, .arg = arg, .context = ASYNC_WAIT_CTX_new()};
    CHECK(job->context != NULL);
    CHECK_EQ(sem_init(&job->told, 0, 0), 0);
    if (told_by == BY_CALLBACK)
        CHECK(ASYNC_WAIT_CTX_set_callback(job->context, count_callback, job));
}

void job_free(struct job *job)
{
    ASYNC_WAIT_CTX_free(job->context);
    job->context = NULL;
    sem_destroy(&job->told);
}

int job_run(struct job *job)
{
    /* The function gets a copy of its argument: here, of the pointer. */
    job->status =
        ASYNC_start_job(&job->job, job->context, &job->result, job->work, &job->arg, sizeof(job->arg));
    CHECK(job->status == ASYNC_PAUSE || job->status == ASYNC_FINISH);
    return job->status;
}

int job_fd(struct job *job)
{
    OSSL_ASYNC_FD fd;
    size_t count = 0;

    CHECK(ASYNC_WAIT_CTX_get_all_fds(job->context, NULL, &count));
    CHECK_EQ(count, 1);
    CHECK(ASYNC_WAIT_CTX_get_all_fds(job->context, &fd, &count));
    return fd;
}

bool fd_is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN);
}

static void wait_to_be_told(struct job *job)
{
    struct pollfd poll_fd = {.events = POLLIN};

    if (job->told_by == BY_FD) {
        poll_fd.fd = job_fd(job);
        CHECK_EQ(poll(&poll_fd, 1, -1), 1);
    } else if (ASYNC_WAIT_CTX_get_status(job->context) == ASYNC_STATUS_OK) {
        while (sem_wait(&job->told) != 0)
            ;
    } else {
        usleep(50); /* the ring was full: try again */
    }
}

int job_finish(struct job *job)
{
    while (job->status == ASYNC_PAUSE) {
        wait_to_be_told(job);
        job_run(job);
    }
    CHECK_EQ(job->status, ASYNC_FINISH);
    return job->result;
}
