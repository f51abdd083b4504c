/* SPDX-License-Identifier: Apache-2.0 */
/* Forks, loading and unloading, and ends of the process with work in flight. */
#include <openssl/crypto.h>

#include "child.h"
#include "proc.h"
#include "scratch.h"
#include "support/card.h"
#include "support/work.h"

#ifdef __SANITIZE_ADDRESS__
#define GROWTH_MAX_KIB 300000 /* freed memory is kept away for a while */
#else
#define GROWTH_MAX_KIB 4096
#endif

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    CHECK(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* In the child: the job it inherited has lost its request; its wait context and key serve for new ones. */
static int child(struct card *card, struct job *inherited, int depth)
{
    struct work *work = work_rsa(card, 9), *aes = work_aes(card, 8);
    struct job job;

    test_begin(60); /* alarms are not inherited */
    CHECK_EQ(card_count(card, "completed"), 0);
    CHECK_EQ(job_run(inherited), ASYNC_FINISH);
    CHECK_EQ(inherited->result, 0);
    CHECK(error_speaks_of("stopped before"));
    CHECK_EQ(job_run(inherited), ASYNC_PAUSE);
    CHECK_EQ(job_finish(inherited), 1);
    job_init(&job, BY_FD, work_do, aes);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (depth > 0) {
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0)
            exit(child(card, &job, depth - 1));
        child_exits_with(pid, 7);
    }
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(work_do(&work), 1);
    CHECK_EQ(card_count(card, "completed"), 3);
    job_free(inherited);
    return 7;
}

static void fork_in_flight(struct card *card)
{
    struct work *rsa = work_rsa(card, 1);
    long completed = card_count(card, "completed");
    struct job job;
    char path[64];
    pid_t pid;

    card_command(card, "STATS_FILE", "contract-processes.json");
    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, rsa);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        exit(child(card, &job, 1));
    child_exits_with(pid, 7);
    snprintf(path, sizeof(path), "contract-processes.json.%d", (int)pid);
    CHECK_EQ(access(path, R_OK), 0); /* the child wrote its own */
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(card_count(card, "completed") - completed, 1);
    job_free(&job);
    work_free(rsa);
}

/* A thousand times: no thread, no descriptor, no memory is left. */
static void load_often(void)
{
    int tasks = count_threads(), descriptors = count_descriptors();
    long resident = 0;

    for (int i = 0; i < 1000; i++) {
        struct card *card = card_load("WORKERS:1;INSTANCES:1;RING_DEPTH:4");
        struct work *work = work_aes(card, (unsigned char)i);
        struct job job;

        job_init(&job, i % 2 == 0 ? BY_FD : BY_CALLBACK, work_do, work);
        job_run(&job);
        CHECK_EQ(job_finish(&job), 1);
        job_free(&job);
        work_free(work);
        card_unload(card);
        while (count_threads() != tasks)
            usleep(
                100); /* joined, but the kernel still takes it apart; one that stayed would hang the test */
        CHECK_EQ(count_descriptors(), descriptors);
        if (i == 200)
            resident = resident_kib();
    }
    CHECK(resident_kib() - resident < GROWTH_MAX_KIB);
}

/* Ends with a job in flight, in every way; the exit code must survive, and the end must come. */
static void end(const char *how, enum told_by told_by, const char *where)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        struct card *card = card_load_for_good(NULL);
        struct work *work = work_rsa(card, 1);
        struct job job;

        test_begin(60);
        card_command(card, "HOLD", where);
        job_init(&job, told_by, work_do, work);
        CHECK_EQ(job_run(&job), ASYNC_PAUSE);
        if (strcmp(how, "cleanup") == 0)
            OPENSSL_cleanup();
        else if (strcmp(how, "finish") == 0)
            card_finish(card);
        exit(7);
    }
    child_exits_with(pid, 7);
}

int main(void)
{
    static const char *const ways[] = {"exit", "cleanup", "finish"};
    static const char *const places[] = {"compute", "signal", "none"};
    struct card *card;

    test_begin(120);
    scratch_enter();
    for (int way = 0; way < 3; way++) {
        for (int place = 0; place < 3; place++) {
            end(ways[way], BY_FD, places[place]);
            end(ways[way], BY_CALLBACK, places[place]);
        }
    }
    load_often();
    card = card_load(NULL);
    fork_in_flight(card);
    card_unload(card);
    scratch_leave();
    return 0;
}
