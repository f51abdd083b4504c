/* Sets rings up, and finds out why where that fails. */
#include "uring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define RESPONSE_SUBMISSIONS 4u /* a response ring submits nothing but the stop message */

static int read_sysctl_disabled(void)
{
    int value = -1;
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");

    if (file != NULL) {
        if (fscanf(file, "%d", &value) != 1)
            value = -1;
        fclose(file);
    }
    return value;
}

/* Says what a failed io_uring_setup(2) means. */
static enum ersatz_result explain(int err, struct ersatz_error *error)
{
    struct utsname kernel;
    int disabled;

    if (uname(&kernel) != 0)
        strcpy(kernel.release, "unknown");
    switch (err) {
    case EPERM:
    case EACCES:
        error->result = ERSATZ_NO_URING;
        disabled = read_sysctl_disabled();
        if (disabled > 0)
            snprintf(error->text, sizeof(error->text),
                "io_uring is forbidden: kernel.io_uring_disabled is %d; set it to 0 (sysctl "
                "kernel.io_uring_disabled=0)%s",
                disabled, disabled == 1 ? ", or run in the group kernel.io_uring_group" : "");
        else
            snprintf(error->text, sizeof(error->text),
                "io_uring is forbidden to this process (%s), by a seccomp profile as containers have or by a "
                "security module; allow io_uring_setup, io_uring_enter and io_uring_register there",
                strerror(err));
        break;
    case ENOSYS:
        error->result = ERSATZ_NO_URING;
        snprintf(error->text, sizeof(error->text),
            "io_uring is missing: the kernel (%s) was built without it, or a seccomp profile hides it; Linux "
            "6.1 or "
            "later with CONFIG_IO_URING is needed",
            kernel.release);
        break;
    case EINVAL:
    case EOPNOTSUPP:
        error->result = ERSATZ_NO_URING;
        snprintf(error->text, sizeof(error->text),
            "io_uring of this kernel (%s) is too old: Linux 6.1 or later is needed", kernel.release);
        break;
    case EMFILE:
    case ENFILE:
        error->result = ERSATZ_NO_DESCRIPTORS;
        snprintf(error->text, sizeof(error->text),
            "no file descriptor is free for an io_uring (%s); raise the limit (ulimit -n)", strerror(err));
        break;
    case ENOMEM:
        error->result = ERSATZ_NO_MEMORY;
        snprintf(error->text, sizeof(error->text),
            "no memory for an io_uring; raise the limit on locked memory (ulimit -l) or lower RING_DEPTH or "
            "WORKERS");
        break;
    default:
        error->result = ERSATZ_NO_URING;
        snprintf(error->text, sizeof(error->text), "io_uring_setup failed: %s", strerror(err));
    }
    return error->result;
}

static enum ersatz_result lacks(const char *what, struct ersatz_error *error)
{
    struct utsname kernel;

    if (uname(&kernel) != 0)
        strcpy(kernel.release, "unknown");
    error->result = ERSATZ_NO_URING;
    snprintf(error->text, sizeof(error->text),
        "io_uring of this kernel (%s) lacks %s: Linux 6.1 or later is needed", kernel.release, what);
    return ERSATZ_NO_URING;
}

/* Everything the card asks of io_uring, so that nothing is found missing in the middle of work. */
static enum ersatz_result check_operations(struct io_uring *ring, struct ersatz_error *error)
{
    static const struct {
        int operation;
        const char *name;
    } needed[] = {
        {IORING_OP_WRITE, "IORING_OP_WRITE"},
        {IORING_OP_READ, "IORING_OP_READ"},
        {IORING_OP_MSG_RING, "IORING_OP_MSG_RING"},
        {IORING_OP_NOP, "IORING_OP_NOP"},
        {IORING_OP_TIMEOUT, "IORING_OP_TIMEOUT"},
        {IORING_OP_TIMEOUT_REMOVE, "IORING_OP_TIMEOUT_REMOVE"},
    };
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    const char *missing = probe == NULL ? "IORING_REGISTER_PROBE" : NULL;

    if (!(ring->features & IORING_FEAT_CQE_SKIP))
        missing = "IORING_FEAT_CQE_SKIP";
    for (unsigned i = 0; missing == NULL && i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (!io_uring_opcode_supported(probe, needed[i].operation))
            missing = needed[i].name;
    }
    io_uring_free_probe(probe);
    return missing == NULL ? ERSATZ_OK : lacks(missing, error);
}

static enum ersatz_result init(
    struct io_uring *ring, unsigned entries, struct io_uring_params *params, struct ersatz_error *error)
{
    int err = io_uring_queue_init_params(entries, ring, params);

    return err == 0 ? ERSATZ_OK : explain(-err, error);
}

enum ersatz_result uring_init_worker(struct io_uring *ring, unsigned entries, struct ersatz_error *error)
{
    /* The worker is the only one who submits, and asks for completions whenever it enters: the kernel need
     * not interrupt it to deliver them. */
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};

    return init(ring, entries, &params, error);
}

enum ersatz_result uring_init_response(
    struct io_uring *ring, unsigned completions, struct ersatz_error *error)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE, .cq_entries = completions + RESPONSE_SUBMISSIONS};

    return init(ring, RESPONSE_SUBMISSIONS, &params, error);
}

enum ersatz_result ersatz_device_probe(struct ersatz_error *error)
{
    struct io_uring ring;
    enum ersatz_result result = uring_init_worker(&ring, RESPONSE_SUBMISSIONS, error);

    if (result != ERSATZ_OK)
        return result;
    result = check_operations(&ring, error);
    io_uring_queue_exit(&ring);
    return result;
}
