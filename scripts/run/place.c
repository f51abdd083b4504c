/* The directory in which the program finds its configuration and leaves its records. */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

/* In memory rather than on a disk: the records are written to all the time. */
static char *make_directory(void)
{
    const char *const places[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *path = places[i] == NULL ? NULL : text("%s/ersatz-run-XXXXXX", places[i]);

        if (path != NULL && mkdtemp(path) != NULL)
            return path;
        free(path);
    }
    give_up("no directory can be made in /dev/shm, TMPDIR or /tmp: %s", strerror(errno));
}

/* For programs that name engines: those that OpenSSL has, and ours. */
static void link_engines(const char *directory, const char *module)
{
    const char *from = getenv("OPENSSL_ENGINES");
    char *own = text("%s/ersatz.so", directory);
    DIR *stream;
    struct dirent *entry;

    from = from == NULL ? ENGINES_DIRECTORY : from;
    stream = opendir(from);
    if (symlink(module, own) != 0)
        give_up("%s: %s", own, strerror(errno));
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        char *target = text("%s/%s", from, entry->d_name), *path = text("%s/%s", directory, entry->d_name);

        if (entry->d_name[0] != '.' && symlink(target, path) != 0 && errno != EEXIST)
            give_up("%s: %s", path, strerror(errno));
        free(target);
        free(path);
    }
    if (stream != NULL)
        closedir(stream);
    free(own);
}

/* Whatever ends the program, give_up() too, it leaves nothing behind. */
static const struct place *made;

static void remove_at_exit(void)
{
    if (made != NULL)
        place_remove(made);
}

void place_make(struct place *place, const char *module)
{
    /* A server that root starts changes its user, and its children make their records as that one. What they
     * leave is read with care: see ersatz_record_read(). */
    bool open = geteuid() == 0;

    place->directory = make_directory();
    made = place;
    atexit(remove_at_exit);
    place->records = text("%s/records", place->directory);
    place->config = text("%s/openssl.cnf", place->directory);
    place->engines = text("%s/engines", place->directory);
    if (mkdir(place->records, 0700) != 0 || mkdir(place->engines, 0755) != 0 ||
        chmod(place->records, open ? 01733 : 0700) != 0 || chmod(place->directory, open ? 0711 : 0700) != 0)
        give_up("%s: %s", place->directory, strerror(errno));
    link_engines(place->engines, module);
    config_write(place->config, module);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    if (remove(path) != 0)
        fprintf(stderr, "ersatz-run: %s: %s\n", path, strerror(errno));
    return 0;
}

void place_remove(const struct place *place)
{
    nftw(place->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    made = NULL;
    free(place->directory);
    free(place->records);
    free(place->config);
    free(place->engines);
}
