/* SPDX-License-Identifier: Apache-2.0 */
/* See ersatz/record.h: memory at a fixed address, in whose place a file can be mapped. */
#include "ersatz/record.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "ersatz/output.h"

#define NEW_FILE (O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define NAMES_MAX 100u

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older headers do not know it */
#endif

_Static_assert(
    sizeof(ERSATZ_RECORD_MAGIC) == sizeof(((struct ersatz_record_head *)0)->magic), "the magic fits");

static bool complain(struct ersatz_error *error, const char *directory, const char *problem, int err)
{
    error->result = ERSATZ_NO_MEMORY;
    snprintf(error->text, sizeof(error->text), "%s %.120s: %s", problem, directory, strerror(err));
    return false;
}

static bool complain_of_file_system(struct ersatz_error *error, const char *directory)
{
    error->result = ERSATZ_BAD_INPUT;
    snprintf(error->text, sizeof(error->text),
        "the file system of %.80s may need new space to rewrite a page, which on a full disk would kill the "
        "program; use one of tmpfs, ext4 or xfs, such as /dev/shm",
        directory);
    return false;
}

static void fill_head(struct ersatz_record *record)
{
    struct ersatz_record_head *head = &record->head;

    head->size = sizeof(*record);
    head->pid = getpid();
    head->parent = getppid();
    head->made = clock_now();
    atomic_store_explicit(&head->state, ERSATZ_RECORD_RUNNING, memory_order_relaxed);
    snprintf(head->program, sizeof(head->program), "%s", program_invocation_short_name);
    memcpy(head->magic, ERSATZ_RECORD_MAGIC, sizeof(head->magic));
}

/* Map memory that belongs to this process alone, at that address, or anywhere if it is NULL. */
static struct ersatz_record *map_own(struct ersatz_record *at)
{
    void *memory = mmap(at, sizeof(*at), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at == NULL ? 0 : MAP_FIXED), -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static struct ersatz_record *map_file(struct ersatz_record *at, int fd)
{
    void *memory =
        mmap(at, sizeof(*at), PROT_READ | PROT_WRITE, MAP_SHARED | (at == NULL ? 0 : MAP_FIXED), fd, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* Allocate the pages of a part of the record now. A later write to a page for which the file system has no
 * room would raise SIGBUS. */
static bool populate(struct ersatz_record *record, size_t from, size_t to)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), start = from / page * page;

    return madvise((char *)record + start, to - start, MADV_POPULATE_WRITE) == 0;
}

bool ersatz_record_init(struct ersatz_record_place *place)
{
    place->directory = NULL;
    place->record = map_own(NULL);
    if (place->record == NULL)
        return false;
    fill_head(place->record);
    return true;
}

/*
 * Whether a page that is allocated once stays allocated. A copy-on-write file system (btrfs, bcachefs, ZFS,
 * NILFS, F2FS) needs new room for each page that is written again, and neither MADV_POPULATE_WRITE nor
 * fallocate(2) reserves it. An unknown file system may do the same. overlayfs passes on the numbers of the
 * file system below it; btrfs has no number of inodes.
 */
bool ersatz_record_suits(int directory)
{
    struct statfs system;

    if (fstatfs(directory, &system) != 0)
        return false;
    switch ((unsigned long)system.f_type) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case EXT4_SUPER_MAGIC: /* of ext2 and ext3, too */
    case XFS_SUPER_MAGIC:
        return true;
    case OVERLAYFS_SUPER_MAGIC:
        return system.f_files != 0;
    default:
        return false;
    }
}

struct name {
    char text[64];
};

/* Make a new file in the directory, named after the process: PID.record. Where that exists, its name has a
 * random number, too. -1: errno says why. */
static int make_file(int directory, struct name *name)
{
    unsigned long number;
    int fd;

    snprintf(name->text, sizeof(name->text), "%ld" ERSATZ_RECORD_SUFFIX, (long)getpid());
    fd = openat(directory, name->text, NEW_FILE, 0600);
    for (unsigned i = 0; i < NAMES_MAX && fd < 0 && errno == EEXIST; i++) {
        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
            return -1;
        snprintf(name->text, sizeof(name->text), "%ld-%016lx" ERSATZ_RECORD_SUFFIX, (long)getpid(), number);
        fd = openat(directory, name->text, NEW_FILE, 0600);
    }
    return fd;
}

/* Make the file as long as a record. Where the size of files is limited, that may raise SIGXFSZ, which the
 * application must not get. */
static bool stretch(int fd)
{
    struct ersatz_writing writing;
    bool ok;

    ersatz_writing_begin(&writing);
    ok = ftruncate(fd, sizeof(struct ersatz_record)) == 0;
    ersatz_writing_end(&writing, !ok);
    return ok;
}

/* Map a new file in the record's place, with a copy of its contents, or empty. False: errno says why, and
 * nothing has changed. */
static bool move_to_file(struct ersatz_record *record, int directory, bool empty)
{
    struct name name;
    int fd = make_file(directory, &name), err = 0;
    struct ersatz_record *copy = fd >= 0 && stretch(fd) ? map_file(NULL, fd) : NULL;

    if (copy == NULL || !populate(copy, 0, offsetof(struct ersatz_record, trace))) {
        err = copy != NULL && errno == EFAULT ? ENOSPC : errno; /* EFAULT is how populate reports a SIGBUS */
    } else if (empty) {
        fill_head(copy);
    } else {
        /* The trace is empty: only a device fills it, and none has run yet. */
        memcpy(copy, record, offsetof(struct ersatz_record, trace));
    }
    if (err == 0 && map_file(record, fd) == NULL)
        err = errno;
    if (copy != NULL)
        munmap(copy, sizeof(*copy));
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && err != 0)
        (void)unlinkat(directory, name.text, 0);
    errno = err;
    return err == 0;
}

/* Open a directory in which to make files. O_PATH: a server's children, which run as another user, may be
 * allowed to make files there, but not to list them. */
static int open_directory(const char *path)
{
    return descriptor_above_standard_streams(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Whether the descriptor is the directory. The program may have closed it, and opened another file under its
 * number. */
static bool is_directory(const struct ersatz_record_place *place, int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_dev == place->device && status.st_ino == place->inode;
}

bool ersatz_record_keep(struct ersatz_record_place *place, const char *directory, struct ersatz_error *error)
{
    struct stat status;
    char *copy;
    bool ok = false;
    int fd;

    if (place->directory != NULL && strcmp(place->directory, directory) == 0)
        return true; /* the engine was unloaded, and loaded again */
    fd = open_directory(directory);
    copy = strdup(directory);
    if (copy == NULL)
        complain(error, directory, "out of memory for the name of", ENOMEM);
    else if (fd < 0 || fstat(fd, &status) != 0)
        complain(error, directory, "expected a directory that exists, got", errno);
    else if (!ersatz_record_suits(fd))
        complain_of_file_system(error, directory);
    else if (!move_to_file(place->record, fd, false))
        complain(error, directory, "a file cannot be made in", errno);
    else
        ok = true;
    if (!ok) {
        if (fd >= 0)
            close(fd);
        free(copy);
        return false;
    }
    if (place->directory != NULL) {
        if (is_directory(place, place->fd))
            close(place->fd);
        free(place->directory);
    }
    *place = (struct ersatz_record_place){
        .record = place->record,
        .directory = copy,
        .fd = fd,
        .device = status.st_dev,
        .inode = status.st_ino,
    };
    return true;
}

/* A descriptor of the directory: the one that was kept, if it is still the directory, or else a new one,
 * opened by its name, if that still leads to it. -1: errno says why. */
static int directory_again(const struct ersatz_record_place *place)
{
    int fd;

    if (is_directory(place, place->fd))
        return place->fd;
    fd = open_directory(place->directory);
    if (fd < 0 || is_directory(place, fd))
        return fd;
    close(fd);
    errno = ESTALE;
    return -1;
}

/* Map an empty record that belongs to this process alone. False: Linux refuses. */
static bool empty_own(struct ersatz_record *record)
{
    if (map_own(record) == NULL)
        return false;
    fill_head(record);
    return true;
}

/* Empty a record that belongs to this process alone already. */
static void empty_in_place(struct ersatz_record *record)
{
    bool traced = atomic_load_explicit(&record->head.traced, memory_order_relaxed);

    memset(record, 0, traced ? sizeof(*record) : offsetof(struct ersatz_record, trace));
    fill_head(record);
}

bool ersatz_record_after_fork(struct ersatz_record_place *place, struct ersatz_error *error)
{
    int fd;
    bool ok;

    if (place->directory == NULL) {
        if (!empty_own(place->record))
            empty_in_place(place->record);
        return true;
    }
    fd = directory_again(place);
    ok = fd >= 0 && move_to_file(place->record, fd, true);
    if (!ok) {
        complain(error, place->directory, "a forked child keeps no record: no file can be made in", errno);
        /* The program goes on without a record. If this fails, too, the child counts in its parent's. */
        (void)empty_own(place->record);
    }
    if (fd >= 0 && fd != place->fd)
        close(fd);
    return ok;
}

bool ersatz_record_reserve_trace(const struct ersatz_record_place *place, struct ersatz_error *error)
{
    if (place->directory == NULL) /* it is the process's own memory, allocated as it is written */
        return true;
    if (populate(place->record, offsetof(struct ersatz_record, trace), sizeof(*place->record)))
        return true;
    return complain(error, place->directory, "no room for a trace in", errno == EFAULT ? ENOSPC : errno);
}
