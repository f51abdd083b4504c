/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory in which the program finds its configuration and leaves its records.
 *
 * A server that root starts changes its user, and perhaps its root directory, and its children make their
 * records as that user. So root's records lie in a directory in which everybody may make files, but whose
 * name nobody else knows: the name is random, and the directory above can be traversed but not listed.
 * Somebody who learns the name can read the memory or the environment of one of the program's processes, and
 * could harm that process as well as its record.
 *
 * Everything is made and removed through descriptors of directories, not by paths, because the target of a
 * name can change between two accesses. Only files that were made here, and records, are removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ersatz/crash.h"
#include "ersatz/output.h"
#include "run.h"

#define CONFIG "openssl.cnf"
#define ENGINES "engines"
#define MODULES "modules"

static void cannot_make(const char *path)
{
    give_up("%s: %s%s", path, strerror(errno),
        errno == ENOSPC || errno == EDQUOT ? "; free a few MiB there" : "");
}

/* True if nobody else can rename a directory that we make in this one. */
static bool is_a_safe_parent(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (!ersatz_others_may_write(&status) || (status.st_mode & S_ISVTX) != 0);
}

/* Makes the directory in one of three places, preferably in memory and not on a disk, because records are
 * written to all the time. */
static void make_directory(struct place *place)
{
    const char *const places[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};
    int err = ENOENT;

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *parent = places[i];

        if (parent == NULL || parent[0] == '\0')
            continue;
        place->parent = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        place->directory = text("%s/ersatz-run-XXXXXX", parent);
        if (place->parent < 0)
            err = errno;
        else if (!is_a_safe_parent(place->parent))
            err = EPERM;
        else if (mkdtemp(place->directory) != NULL)
            return;
        else
            err = errno;
        if (place->parent >= 0)
            close(place->parent);
        free(place->directory);
    }
    give_up("cannot make a directory in /dev/shm, TMPDIR or /tmp; the last error: %s%s", strerror(err),
        err == ENOSPC || err == EDQUOT ? "; make room in one of them"
                                       : "; set TMPDIR to a directory that only you can write to");
}

/* Makes a directory with exactly this mode. Returns its descriptor. */
static int make_inner(const struct place *place, const char *name, mode_t mode)
{
    int fd = -1;

    if (mkdirat(place->fd, name, 0700) == 0)
        fd = openat(place->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) != 0)
        cannot_make(place->directory);
    return fd;
}

/* Makes links to our module and to the files in the directory that an environment variable names, for
 * programs that load engines or providers by name. The links are absolute, since the program may change its
 * directory. */
static void link_modules(int directory, const char *variable, const char *usual, const char *module)
{
    const char *named = getenv(variable);
    char *from = realpath(named == NULL ? usual : named, NULL);
    DIR *stream = from == NULL ? NULL : opendir(from);
    struct dirent *entry;

    if (symlinkat(module, directory, "ersatz.so") != 0)
        cannot_make("ersatz.so");
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        char *target = text("%s/%s", from, entry->d_name);

        if (entry->d_name[0] != '.' && symlinkat(target, directory, entry->d_name) != 0 && errno != EEXIST)
            cannot_make(target);
        free(target);
    }
    if (stream != NULL)
        closedir(stream);
    free(from);
}

/* Removed at exit, also after give_up(). */
static struct place *made;

static void remove_at_exit(void)
{
    if (made != NULL)
        place_remove(made);
}

void place_make(struct place *place, const struct config *config, const char *control)
{
    bool is_root = geteuid() == 0;
    unsigned char secret[16];
    FILE *stream;

    *place = (struct place){.fd = -1, .records_fd = -1, .engines_fd = -1, .modules_fd = -1};
    make_directory(place);
    made = place;
    atexit(remove_at_exit);
    place->fd =
        openat(place->parent, basename(place->directory), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place->fd < 0 || getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
        cannot_make(place->directory);
    place->records_name = text("records-");
    for (unsigned i = 0; i < sizeof(secret); i++) {
        char *longer = text("%s%02x", place->records_name, secret[i]);

        free(place->records_name);
        place->records_name = longer;
    }
    place->records = text("%s/%s", place->directory, place->records_name);
    place->config = text("%s/" CONFIG, place->directory);
    place->engines = text("%s/" ENGINES, place->directory);
    place->modules = text("%s/" MODULES, place->directory);
    place->records_fd = make_inner(place, place->records_name, is_root ? 01733 : 0700);
    place->engines_fd = make_inner(place, ENGINES, 0755);
    link_modules(place->engines_fd, "OPENSSL_ENGINES", ENGINES_DIRECTORY, config->module);
    place->modules_fd = make_inner(place, MODULES, 0755);
    link_modules(place->modules_fd, "OPENSSL_MODULES", PROVIDERS_DIRECTORY, config->module);
    stream = file_make(place->fd, CONFIG, 0644);
    if (stream == NULL)
        cannot_make(place->config);
    config_write(stream, config, control);
    if ((ferror(stream) | fclose(stream)) != 0)
        cannot_make(place->config);
    if (fchmod(place->fd, is_root ? 0711 : 0700) != 0)
        cannot_make(place->directory);
}

/* Removes the files in a directory that `wanted` accepts, but nothing in directories below it. */
static void remove_files(int directory, bool (*wanted)(const char *name))
{
    DIR *stream = directory_stream(directory);
    struct dirent *entry;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (wanted(entry->d_name))
            (void)!unlinkat(directory, entry->d_name, 0);
    }
    if (stream != NULL)
        closedir(stream);
}

static bool is_a_link_of_ours(const char *name)
{
    return name[0] != '.';
}

static bool is_of_records(const char *name)
{
    return ersatz_record_is_named_so(name) || strcmp(name, ERSATZ_CRASH_SOCKET) == 0;
}

static void remove_inner(int directory, int fd, const char *name, bool (*wanted)(const char *name))
{
    if (fd < 0)
        return;
    remove_files(fd, wanted);
    (void)!unlinkat(directory, name, AT_REMOVEDIR);
    close(fd);
}

void place_remove(struct place *place)
{
    made = NULL;
    if (place->fd >= 0) {
        remove_inner(place->fd, place->records_fd, place->records_name, is_of_records);
        remove_inner(place->fd, place->engines_fd, ENGINES, is_a_link_of_ours);
        remove_inner(place->fd, place->modules_fd, MODULES, is_a_link_of_ours);
        (void)!unlinkat(place->fd, CONFIG, 0);
        close(place->fd);
    }
    if (unlinkat(place->parent, basename(place->directory), AT_REMOVEDIR) != 0)
        fprintf(stderr, "ersatz-run: cannot remove %s: %s\n", place->directory, strerror(errno));
    close(place->parent);
    free(place->directory);
    free(place->records_name);
    free(place->records);
    free(place->config);
    free(place->engines);
    free(place->modules);
}
