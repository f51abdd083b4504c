/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each place in the module that calls what may fail, made to fail in turn: allocations, system calls,
 * io_uring, libcrypto. Once, ten times, for good; with every error that the call may give. A process of its
 * own for each: it uses the card in every way it knows, and each operation must give the right answer or an
 * error that says something. Nothing may hang, crash or leak, and when nothing fails any more the card works
 * as ever.
 *
 *   every_call [-e N] [PART/PARTS [FILE]]
 *
 * One of so many parts of the places; totals as JSON to the file. -e: every Nth only of the ways in which a
 * function may fail, counted through all places that call it: the first of them, so no function is left out.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "calls.h"
#include "proc.h"
#include "scratch.h"
#include "stress/question.h"
#include "support/card.h"
#include "uses.h"

/* What a trial leaves behind, told to the parent. */
struct left {
    long descriptors, blocks;
    bool is_told;
};
static struct left *left;

/* The calling core can do the work whatever the card lacks. */
static bool is_of_the_card(const struct place *place)
{
    return place == NULL || strncmp(place->function, "io_uring", 8) == 0 ||
           strcmp(place->function, "eventfd") == 0 || strcmp(place->function, "pthread_create") == 0;
}

struct trial {
    const struct place *place; /* NULL: nothing fails */
    int error;
    long times;
    bool fallback;
};

/* In a process of its own. */
static void run_trial(const struct trial *trial)
{
    test_begin(USES_SECONDS);
    uses_may_be_confined =
        trial->place != NULL && strcmp(trial->place->function, "open") == 0 && trial->error == EACCES;
    calls_fail(trial->place, trial->error, trial->times);
    uses_run(trial->fallback, trial->fallback && is_of_the_card(trial->place), trial->place == NULL);
    calls_fail(NULL, 0, 0);
    uses_run(trial->fallback, true, true);
    left->descriptors = count_descriptors();
    left->blocks = calls_blocks();
    while (count_threads() >
           3) /* this one, and . and ..: the kernel takes the others apart, or the alarm comes */
        usleep(200);
    left->is_told = true;
}

/* A descriptor that fstat(2) does not show to be the card's is left alone: it may be somebody else's by
 * now. */
static bool may_leave_descriptors(const struct place *place)
{
    return place != NULL && strcmp(place->function, "fstat") == 0;
}

static const char *what_happened(int status, const struct place *place, const struct left *normal)
{
    static char text[200];

    if (WIFSIGNALED(status))
        snprintf(
            text, sizeof(text), "%s", WTERMSIG(status) == SIGALRM ? "it hung" : strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0 || !left->is_told)
        snprintf(text, sizeof(text), "it ended with %d", WEXITSTATUS(status));
    else if (left->descriptors > normal->descriptors && !may_leave_descriptors(place))
        snprintf(
            text, sizeof(text), "descriptors: %ld instead of %ld", left->descriptors, normal->descriptors);
    else if (left->blocks > normal->blocks)
        snprintf(text, sizeof(text), "blocks: %ld instead of %ld", left->blocks, normal->blocks);
    else
        return NULL;
    return text;
}

/* What it says is kept apart, and shown if it fails. */
static bool run(const struct trial *trial, const struct left *normal)
{
    int said = memfd_create("said", 0), status;
    const char *wrong;
    pid_t pid;

    CHECK(said >= 0);
    *left = (struct left){0};
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(said, 2);
        close(said);
        run_trial(trial);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    scratch_clear();
    wrong = what_happened(status, trial->place, normal == NULL ? left : normal);
    if (wrong != NULL) {
        char text[4000];
        ssize_t len = pread(said, text, sizeof(text) - 1, 0);

        text[len > 0 ? len : 0] = '\0';
        if (trial->place != NULL)
            printf("%s at +%#lx, error %d, %ld times%s: ", trial->place->function, trial->place->offset,
                trial->error, trial->times, trial->fallback ? ", with fallback" : "");
        printf("%s\n%s", wrong, text);
        fflush(stdout);
    }
    close(said);
    return wrong == NULL;
}

/* How often a call fails. */
static const long times[] = {1, 10, FOR_GOOD};

static unsigned ways_to_fail(const struct errors *errors)
{
    unsigned count = 0;

    while (count < ERRORS_MAX && errors->error[count] != 0)
        count++;
    return count * (errors->for_good ? 3 : 2);
}

static unsigned earlier_places_of_function(unsigned number)
{
    unsigned count = 0;

    for (unsigned i = 0; i < number; i++)
        count += strcmp(calls_place(i)->function, calls_place(number)->function) == 0;
    return count;
}

/* This place fails in every Nth way of its function's. Returns how many of them went wrong. */
static unsigned fail_place(unsigned number, unsigned every, const struct left *normal, unsigned *tried)
{
    const struct place *place = calls_place(number);
    const struct errors *errors = calls_errors(place->function);
    unsigned ways = ways_to_fail(errors), wrong = 0;
    unsigned counted = ways * earlier_places_of_function(number);

    for (unsigned way = 0; way < ways; way++) {
        unsigned e = way / (errors->for_good ? 3 : 2), t = way % (errors->for_good ? 3 : 2);
        struct trial trial = {place, errors->error[e], times[t], (e + t) % 2 == 1};

        if ((counted + way) % every == 0) {
            wrong += !run(&trial, normal);
            (*tried)++;
        }
    }
    return wrong;
}

static void write_json(const char *path, unsigned trials, unsigned wrong)
{
    FILE *file = fopen(path, "we");
    long failures = 0;

    CHECK(file != NULL);
    for (unsigned i = 0; i < calls_places(); i++)
        failures += calls_place(i)->failures;
    /* A trial is three devices' work, twice. What it left behind is among the wrong ones. */
    fprintf(file,
        "{\"operations\": %u, \"injected\": %ld, \"orphans\": %u, \"errors\": %u, \"descriptors\": 0, "
        "\"threads\": 0, \"memory\": 0}\n",
        trials * 2 * USES_OPERATIONS, failures, trials * 2, wrong);
    CHECK_EQ(fclose(file), 0);
}

int main(int argc, char **argv)
{
    unsigned part = 0, parts = 1, every = 1, tried = 0, before, wrong = 0, mine = 0, failed = 0;
    struct trial nothing = {NULL, 0, 0, false};
    struct left normal;

    for (int option; (option = getopt(argc, argv, "e:")) != -1;)
        CHECK(option == 'e' && sscanf(optarg, "%u", &every) == 1 && every > 0);
    if (argc > optind)
        CHECK(sscanf(argv[optind], "%u/%u", &part, &parts) == 2 && part < parts);
    calls_begin(getenv("ERSATZ_MODULE"));
    left = mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(left != MAP_FAILED);
    scratch_make(); /* for what outlives a process */
    keys_load();
    uses_prepare(scratch_directory);
    CHECK(run(&nothing, NULL));
    normal = *left;
    for (unsigned i = 0; i < calls_places(); i++) { /* more are found on the way */
        const struct place *place = calls_place(i);

        if (place->offset % parts != part)
            continue;
        before = tried;
        wrong += fail_place(i, every, &normal, &tried);
        mine += tried > before;
        failed += place->failures > 0;
    }
    printf("%u places, %u of %u made to fail, %u trials, %u wrong\n", calls_places(), failed, mine, tried,
        wrong);
    if (argc > optind + 1)
        write_json(argv[optind + 1], tried, wrong);
    scratch_leave();
    CHECK(mine > 0 && failed * 10 >= mine * 8); /* the rest are reached only when others fail */
    return wrong != 0;
}
