/* SPDX-License-Identifier: Apache-2.0 */
/* The record: a file that outlives its process, one for each child; and what happens where none can be. */
#include <dirent.h>
#include <errno.h>
#include <ersatz/record.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "child.h"
#include "scratch.h"

static struct ersatz_record *read_record(long pid, const char *suffix)
{
    struct ersatz_error error;
    struct ersatz_record *record;
    uid_t owner;
    char name[64];
    int fd = open(scratch_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    snprintf(name, sizeof(name), "%ld%s.record", pid, suffix);
    record = ersatz_record_read(fd, name, true, &owner, &error);
    if (record == NULL)
        fprintf(stderr, "%s\n", error.text);
    CHECK(record != NULL);
    CHECK_EQ(record->head.pid, pid);
    CHECK_EQ(owner, geteuid());
    close(fd);
    return record;
}

static void end(pid_t pid, int wanted)
{
    int status;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, wanted);
}

static void keep(struct ersatz_record_place *place)
{
    struct ersatz_error error;

    CHECK(ersatz_record_init(place));
    place->record->stats.orphans = 41;
    if (!ersatz_record_keep(place, scratch_directory, &error))
        FAIL(error.text);
    CHECK_EQ(place->record->stats.orphans, 41); /* what it said goes along */
}

/* Killed: the counts are there, the trace is there, the process never got to say that it ended. */
static void be_killed(void)
{
    struct ersatz_record_place place;
    struct ersatz_error error;
    struct ersatz_record *before;

    keep(&place);
    before = place.record;
    ersatz_count(&place.record->stats.orphans, 1);
    CHECK(ersatz_record_reserve_trace(&place, &error));
    place.record->head.traced = true;
    place.record->trace.entries[ERSATZ_TRACE_ENTRIES - 1].number = 99;
    CHECK(place.record == before); /* the address stays */
    kill(getpid(), SIGKILL);
}

static void killed(void)
{
    pid_t pid = child_start(be_killed, 7);
    struct ersatz_record *record;

    end(pid, SIGKILL);
    record = read_record(pid, "");
    CHECK_EQ(record->stats.orphans, 42);
    CHECK_EQ(record->trace.entries[ERSATZ_TRACE_ENTRIES - 1].number, 99);
    CHECK_EQ(record->head.state, ERSATZ_RECORD_RUNNING);
    CHECK_EQ(record->head.parent, getpid());
    CHECK(strcmp(record->head.program, program_invocation_short_name) == 0);
    free(record);
}

static struct ersatz_record_place family;

static void be_a_child(void)
{
    struct ersatz_error error;

    CHECK(ersatz_record_after_fork(&family, &error));
    CHECK_EQ(family.record->stats.orphans, 0);
    CHECK_EQ(family.record->head.pid, getpid());
    ersatz_count(&family.record->stats.orphans, 5);
}

/* A child's counts are its own, and the parent's stay. Whether the program has closed the descriptor of the
 * directory, or given its number to another directory, or not. */
static void be_a_family(void)
{
    for (int way = 0; way < 3; way++) {
        int other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct ersatz_record *child;
        pid_t pid;

        if (way == 1)
            close(family.fd);
        else if (way == 2)
            CHECK(other >= 0 && dup2(other, family.fd) == family.fd);
        pid = child_start(be_a_child, 7);
        end(pid, 7 << 8);
        child = read_record(pid, "");
        CHECK_EQ(child->stats.orphans, 5);
        CHECK_EQ(family.record->stats.orphans, 41);
        free(child);
        close(other);
    }
}

static void forked(void)
{
    keep(&family);
    be_a_family();
    CHECK_EQ(family.record->head.pid, getpid());
}

/* The directory is gone: the child goes on without a file, and not in its parent's. */
static void be_without(void)
{
    struct ersatz_error error;

    CHECK(!ersatz_record_after_fork(&family, &error));
    CHECK(strstr(error.text, "a forked child keeps no record") != NULL);
    CHECK(strstr(error.text, scratch_directory) != NULL);
    CHECK_EQ(family.record->stats.orphans, 0);
    CHECK_EQ(family.record->head.pid, getpid());
    ersatz_count(&family.record->stats.orphans, 5);
}

static void without(void)
{
    char moved[sizeof(scratch_directory) + 8];

    snprintf(moved, sizeof(moved), "%s.moved", scratch_directory);
    close(family.fd);
    CHECK_EQ(rename(scratch_directory, moved), 0);
    end(child_start(be_without, 7), 7 << 8);
    CHECK_EQ(family.record->stats.orphans, 41);
    CHECK_EQ(rename(moved, scratch_directory), 0);
}

/* How many names in the directory begin with this process's number; and one of them, if name is not NULL,
 * that goes on with `after`. */
static unsigned look_for(const char *after, char *name)
{
    DIR *stream = opendir(scratch_directory);
    struct dirent *entry;
    char own[32];
    unsigned count = 0;

    CHECK(stream != NULL);
    snprintf(own, sizeof(own), "%ld%s", (long)getpid(), after);
    while ((entry = readdir(stream)) != NULL) {
        if (strncmp(entry->d_name, own, strlen(own)) != 0)
            continue;
        count++;
        if (name != NULL)
            snprintf(name, 64, "%.63s", entry->d_name);
    }
    closedir(stream);
    return count;
}

static bool find_another(const char *after, char *suffix)
{
    char name[64] = "";
    unsigned count = look_for(after, name);

    if (count > 0 && suffix != NULL) {
        name[strlen(name) - strlen(".record")] = '\0';
        snprintf(suffix, 64, "%s", strchr(name, '-'));
    }
    return count > 0;
}

static unsigned count_own(void)
{
    return look_for("", NULL);
}

/* The same process again: another program, after exec(2). */
static void twice(void)
{
    struct ersatz_record_place place;
    struct ersatz_record *record;
    struct ersatz_error error;
    char name[64];

    keep(&place); /* family's is there */
    CHECK(find_another("-", name));
    record = read_record(getpid(), name);
    CHECK_EQ(record->stats.orphans, 41);
    free(record);
    CHECK(ersatz_record_keep(&place, scratch_directory, &error)); /* the same engine, loaded again */
    CHECK_EQ(count_own(), 2);
    free(place.directory);
}

/* Somebody has made all names that can be known beforehand, among them a link to a file of root's. */
static void be_expected(void)
{
    struct ersatz_record_place place;
    char name[64], target[64];
    int fd = open(scratch_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    snprintf(target, sizeof(target), "%ld.victim", (long)getpid());
    snprintf(name, sizeof(name), "%ld.record", (long)getpid());
    CHECK_EQ(symlinkat(target, fd, name), 0);
    for (unsigned i = 2; i < 1100; i++) {
        snprintf(name, sizeof(name), "%ld-%u.record", (long)getpid(), i);
        close(openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    }
    keep(&place);
    CHECK(faccessat(fd, target, F_OK, 0) != 0);
    CHECK_EQ(count_own(), 1100);
}

static void refuse(const char *where, const char *text)
{
    struct ersatz_record_place place;
    struct ersatz_error error;

    CHECK(ersatz_record_init(&place));
    CHECK(!ersatz_record_keep(&place, where, &error));
    CHECK(strstr(error.text, text) != NULL);
    CHECK(strstr(error.text, where) != NULL);
    CHECK(place.directory == NULL);
    place.record->stats.orphans = 1; /* it is still there to be written to */
}

/* No more may be written than that, as on a file system that is full. Who asks for more is sent SIGXFSZ,
 * which is not for the application; and nothing half-made is left. */
static void be_limited(void)
{
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};

    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    refuse(scratch_directory, "a file cannot be made in");
    CHECK(!find_another("", NULL));
}

static void refused(void)
{
    refuse("/nowhere", "expected a directory that exists, got");
    refuse("/dev/null", "Not a directory");
    refuse("/proc", "use one of tmpfs, ext4 or xfs"); /* a page there may not stay */
    end(child_start(be_limited, 7), 7 << 8);
}

static void refuse_to_read(const char *name, const char *text)
{
    struct ersatz_error error;
    uid_t owner;
    int fd = open(scratch_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(ersatz_record_read(fd, name, true, &owner, &error) == NULL);
    if (strstr(error.text, text) == NULL)
        FAIL(error.text);
    close(fd);
}

/* What somebody else may have put there. */
static void not_records(void)
{
    int fd = open(scratch_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), file;

    CHECK_EQ(mkfifoat(fd, "1.record", 0600), 0);
    CHECK_EQ(symlinkat("/dev/zero", fd, "2.record"), 0);
    file = openat(fd, "3.record", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(ftruncate(file, 100), 0);
    close(file);
    file = openat(fd, "4.record", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(ftruncate(file, sizeof(struct ersatz_record)), 0);
    close(file);
    refuse_to_read("1.record", "not a record of this build");
    refuse_to_read("2.record", "Too many levels");
    refuse_to_read("3.record", "not a record of this build");
    refuse_to_read("4.record", "not a record, or the process ended");
    refuse_to_read("5.record", "No such file");
    close(fd);
}

int main(void)
{
    test_begin(60);
    scratch_make();
    killed();
    refused();
    forked();
    twice();
    without();
    end(child_start(be_expected, 7), 7 << 8);
    not_records();
    scratch_leave();
    return 0;
}
