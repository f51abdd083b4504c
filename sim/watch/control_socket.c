/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See ersatz/control_socket.h. The thread takes a descriptor table of its own before it opens anything
 * (close_range(2)). So clients use up none of the program's descriptors; a program that closes all that it
 * does not know cannot close the socket, and none of its own files gets the socket's number; and a forked
 * child inherits nothing. Only the eventfd that ends the thread is in both tables.
 */
#include "ersatz/control_socket.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/descriptor.h"
#include "base/threads.h"
#include "control_clients.h"

#define PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define WAITING_MAX 64 /* clients that the thread has not accepted yet */

struct ersatz_control_socket {
    char path[PATH_BYTES];
    ersatz_control_run *run;
    pthread_t thread;
    _Atomic bool ending; /* sequentially consistent: set before the thread is woken */
    int wake;            /* an eventfd, which the program may have closed */
    uint32_t wake_serial;

    /* The thread's own. */
    int listener, directory;
    struct stat made; /* the socket in the file system */

    /* Between the starter and the thread, until `started` is posted. */
    sem_t started;
    bool is_open;
    struct ersatz_error *error;
};

/* ---------------------------------------------------------------------------------------------- the path */

static bool complain(struct ersatz_error *error, const char *path, const char *problem)
{
    error->result = ERSATZ_BAD_CONFIG;
    snprintf(error->text, sizeof(error->text), "the path \"%.200s\" %s", path, problem);
    return false;
}

static bool complain_errno(struct ersatz_error *error, const char *path, const char *problem)
{
    char text[200];

    snprintf(text, sizeof(text), "%s: %s", problem, strerror(errno));
    return complain(error, path, text);
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* -1: errno says why. */
static int open_directory_of(const char *path)
{
    char copy[PATH_BYTES];

    snprintf(copy, sizeof(copy), "%s", path);
    return open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool ersatz_control_path_suits(const char *path, struct ersatz_error *error)
{
    struct stat status;
    int directory;
    bool is_free;

    if (strlen(path) >= PATH_BYTES)
        return complain(error, path, "is too long; the path of a socket has at most 107 bytes");
    if (name_in(path)[0] == '\0')
        return complain(error, path, "names no file; expected the path of a socket that can be made");
    directory = open_directory_of(path);
    if (directory < 0)
        return complain_errno(error, path, "is in a directory that cannot be opened");
    is_free = fstatat(directory, name_in(path), &status, AT_SYMLINK_NOFOLLOW) != 0;
    close(directory);
    return is_free || S_ISSOCK(status.st_mode) ||
           complain(error, path, "exists, and is not a socket; expected a free name");
}

_Static_assert(PATH_BYTES == 108, "as the text above says");

/* --------------------------------------------------------------------------------------------- the thread */

/* A descriptor table of the thread's own, in which nothing is open but `kept`; it stands for the standard
 * streams, too, so that nothing else gets their numbers. */
static bool isolate(int kept)
{
    return close_range((unsigned)kept + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) == 0 &&
           close_range(0, (unsigned)kept - 1, 0) == 0 && dup2(kept, 0) == 0 && dup2(kept, 1) == 1 &&
           dup2(kept, 2) == 2;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static struct sockaddr_un address_of(const struct ersatz_control_socket *socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, socket->path, sizeof(address.sun_path));
    return address;
}

/* The socket that has the name: nobody listens on it. */
static bool is_stale(const struct ersatz_control_socket *control)
{
    struct sockaddr_un address = address_of(control);
    int fd = new_socket();
    bool refused =
        fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return refused;
}

/* Before bind(2), fchmod(2) sets the mode with which the socket is made, less the umask. */
static bool bind_once(struct ersatz_control_socket *control)
{
    struct sockaddr_un address = address_of(control);

    return fchmod(control->listener, 0600) == 0 &&
           bind(control->listener, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool bind_in_place(struct ersatz_control_socket *control)
{
    const char *name = name_in(control->path);

    if (bind_once(control))
        return true;
    if (errno != EADDRINUSE)
        return complain_errno(control->error, control->path, "cannot be made a socket");
    if (fstatat(control->directory, name, &control->made, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISSOCK(control->made.st_mode))
        return complain(control->error, control->path, "exists, and is not a socket; expected a free name");
    if (!is_stale(control))
        return complain(control->error, control->path,
            "is the socket of another process, which serves it; expected a free name, such as one with %p "
            "for the process id");
    return (unlinkat(control->directory, name, 0) == 0 && bind_once(control)) ||
           complain_errno(control->error, control->path, "is a socket that cannot be replaced");
}

/* Another umask than the usual may have taken permissions away from the owner. */
static bool set_mode(struct ersatz_control_socket *control)
{
    const char *name = name_in(control->path);

    if (fstatat(control->directory, name, &control->made, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    return (control->made.st_mode & 0777) == 0600 || fchmodat(control->directory, name, 0600, 0) == 0;
}

static bool open_socket(struct ersatz_control_socket *control)
{
    if (!isolate(control->wake))
        return complain_errno(
            control->error, control->path, "needs a descriptor table of its own, by close_range(2)");
    control->directory = open_directory_of(control->path);
    if (control->directory < 0)
        return complain_errno(control->error, control->path, "is in a directory that cannot be opened");
    control->listener = new_socket();
    if (control->listener < 0)
        return complain_errno(control->error, control->path, "gets no socket");
    if (!bind_in_place(control))
        return false;
    return (set_mode(control) && listen(control->listener, WAITING_MAX) == 0) ||
           complain_errno(control->error, control->path, "cannot be made a socket that listens");
}

/* Remove the socket, unless another has its name by now. */
static void remove_socket(const struct ersatz_control_socket *control, int directory)
{
    const char *name = directory == AT_FDCWD ? control->path : name_in(control->path);
    struct stat status;

    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_dev == control->made.st_dev && status.st_ino == control->made.st_ino)
        (void)unlinkat(directory, name, 0);
}

/* Its descriptors are closed when it ends: their table goes with it. */
static void *run(void *arg)
{
    struct ersatz_control_socket *control = arg;
    bool is_open;

    pthread_setname_np(pthread_self(), ERSATZ_CONTROL_THREAD);
    control->is_open = is_open = open_socket(control);
    sem_post(&control->started);
    if (!is_open)
        return NULL;
    control_serve(control->listener, control->wake, control->run, &control->ending);
    remove_socket(control, control->directory);
    return NULL;
}

/* ----------------------------------------------------------------------------------------- open and close */

static struct ersatz_control_socket *no_memory(struct ersatz_error *error)
{
    error->result = ERSATZ_NO_MEMORY;
    snprintf(error->text, sizeof(error->text), "no memory for the control socket");
    return NULL;
}

static void free_socket(struct ersatz_control_socket *control)
{
    if (control->wake >= 0 && descriptor_is_eventfd(control->wake, control->wake_serial))
        close(control->wake);
    sem_destroy(&control->started);
    free(control);
}

static bool start(struct ersatz_control_socket *control, struct ersatz_error *error)
{
    control->wake = descriptor_eventfd(&control->wake_serial);
    if (control->wake < 0) {
        error->result = ERSATZ_NO_DESCRIPTORS;
        snprintf(
            error->text, sizeof(error->text), "no descriptor for the control socket: %s", strerror(errno));
        return false;
    }
    if (!thread_start(&control->thread, run, control)) {
        threads_explain(error, "the thread of the control socket");
        return false;
    }
    while (sem_wait(&control->started) != 0)
        ; /* interrupted by a signal of the application's */
    if (!control->is_open)
        pthread_join(control->thread, NULL);
    return control->is_open;
}

struct ersatz_control_socket *ersatz_control_open(
    const char *path, ersatz_control_run *run_command, struct ersatz_error *error)
{
    struct ersatz_control_socket *control;

    if (!ersatz_control_path_suits(path, error))
        return NULL;
    control = calloc(1, sizeof(*control));
    if (control == NULL)
        return no_memory(error);
    memcpy(control->path, path, strlen(path) + 1);
    control->run = run_command;
    control->error = error;
    sem_init(&control->started, 0, 0);
    if (start(control, error))
        return control;
    free_socket(control);
    return NULL;
}

void ersatz_control_close(struct ersatz_control_socket *control)
{
    bool woken;
    int cancel_state;

    if (control == NULL)
        return;
    atomic_store(&control->ending, true);
    woken =
        descriptor_is_eventfd(control->wake, control->wake_serial) && eventfd_write(control->wake, 1) == 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    if (woken && thread_join_patiently(control->thread)) {
        free_socket(control);
    } else { /* the program has closed the eventfd, or a command hangs: the thread is left alone */
        remove_socket(control, AT_FDCWD);
        pthread_detach(control->thread);
    }
    pthread_setcancelstate(cancel_state, NULL);
}

/* So that leak checkers find it. */
static struct ersatz_control_socket *volatile forgotten;

void ersatz_control_forget(struct ersatz_control_socket *control)
{
    if (control == NULL)
        return;
    if (descriptor_is_eventfd(control->wake, control->wake_serial))
        close(control->wake);
    forgotten = control;
}
