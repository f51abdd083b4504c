/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device: a simulated asynchronous crypto card. A program describes an operation (struct ersatz_op),
 * makes a request of it, submits the request to an instance and is told when it is complete: by an eventfd,
 * by a callback, or by waiting for it. This header is all that a front door (the OpenSSL ENGINE in engine/, a
 * test, a program of twenty lines) needs; it knows C and POSIX only.
 *
 * Unless a function says otherwise: any thread may call it; lengths are in bytes; numbers are big-endian; a
 * pointer argument must not be NULL; nothing is kept of the caller's memory after the call returns.
 */
#ifndef ERSATZ_DEVICE_H
#define ERSATZ_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ersatz/findings.h"
#include "ersatz/stats.h"
#include "ersatz/trace.h"

struct ersatz_profile;

/* What came of an operation, or of a call. ersatz_result_text() says it in words. */
enum ersatz_result {
    ERSATZ_OK = 0,
    ERSATZ_RING_FULL,      /* the instance has RING_DEPTH requests in flight; try again when one is done */
    ERSATZ_BUSY,           /* the cipher state is in use by a request that is still in flight */
    ERSATZ_BAD_CONFIG,     /* a size is out of range; struct ersatz_error names it */
    ERSATZ_BAD_KEY,        /* the key lacks a part the operation needs, or its parts do not fit together */
    ERSATZ_BAD_INPUT,      /* a length or a number is out of the range the operation takes */
    ERSATZ_BAD_TAG,        /* authenticated decryption: the tag does not match; the output is cleansed */
    ERSATZ_LOST,           /* a fork caught a piece of the message on the card; in the child it is over */
    ERSATZ_COMPUTE_FAILED, /* libcrypto refused the computation, or its result did not verify */
    ERSATZ_NO_MEMORY,
    ERSATZ_NO_DESCRIPTORS, /* no file descriptor was free for an eventfd or a ring */
    ERSATZ_NO_THREADS,     /* a worker or reaper thread could not be started */
    ERSATZ_NO_URING,       /* io_uring is missing, forbidden or too old; struct ersatz_error names which */
    ERSATZ_STOPPED,        /* the device was closed before it took up the request, or the process forked */
    ERSATZ_DEVICE_ERROR,   /* the card failed at it; only by an injected fault, as the next two: faults.h */
    ERSATZ_DEVICE_RESET,   /* the card was reset before it took up the request, or is still being reset */
    ERSATZ_DEVICE_GONE,    /* the card is gone */
    ERSATZ_TOO_LATE,       /* the setting is fixed while the device runs, and has another value */
};

/* An error that a sentence describes better than a code. */
struct ersatz_error {
    enum ersatz_result result;
    char text[1024]; /* mostly one sentence: cause and remedy; always terminated */
};

/* A constant sentence for result, never NULL. */
const char *ersatz_result_text(enum ersatz_result result);

/* True where result is the device's own fault, so that the calling core may do the work instead. */
bool ersatz_result_is_device_fault(enum ersatz_result result);

/* ------------------------------------------------------------------------------------------------ device */

#define ERSATZ_WORKERS_MAX 64u /* one bit each in the mask of sleeping workers */
#define ERSATZ_INSTANCES_MAX 64u
#define ERSATZ_RING_DEPTH_MAX 32768u /* io_uring's own limit on completion-queue entries is twice that */

/* How the device's own threads take completions off the response rings. May be changed while the device runs;
 * each field is relaxed and stands for itself. */
struct ersatz_polling {
    _Atomic bool timed;           /* at ticks of the interval, instead of when a completion arrives */
    _Atomic uint32_t interval_ns; /* 1 to 10,000,000 */
    _Atomic int
        timeout_ms; /* look at least so often even if nothing arrived; 0: sleep until something does */
};

struct ersatz_faults;

struct ersatz_config {
    unsigned workers;      /* threads that compute: 1 to ERSATZ_WORKERS_MAX */
    unsigned instances;    /* ring pairs: 1 to ERSATZ_INSTANCES_MAX */
    unsigned ring_depth;   /* requests in flight per instance: a power of two, 1 to ERSATZ_RING_DEPTH_MAX */
    bool external_polling; /* callbacks run in ersatz_device_poll() only, not on a thread of the device */
    struct ersatz_stats *stats; /* counted into; the caller's, must outlive the device and its requests */
    const struct ersatz_profile *profile; /* the timing of a modelled card, see profile.h; NULL: as fast as it
                                             goes. The caller's, looked at only while the device opens */
    const struct ersatz_faults *faults;   /* to inject, see faults.h; NULL: none. As the profile */
    uint64_t seed;                        /* what is random in the card's behaviour follows from it */
    const struct ersatz_polling
        *polling; /* the caller\'s, must outlive the device; NULL: when completions arrive */
    struct ersatz_findings *findings; /* check the application, and write down here what it does wrong; the
                                         caller's, must outlive the device and its requests; NULL: do not */
    uint32_t pause_ns; /* for the check: what is back sooner after a pause has not paused; 0: has */
    struct ersatz_trace
        *trace; /* filled; the caller's, must outlive the device and its requests; NULL: no trace */
};

struct ersatz_device;

/* The defaults: one worker and one instance per core, depth 512, callbacks on the device's own threads. */
void ersatz_config_init(struct ersatz_config *config, struct ersatz_stats *stats);

/* Whether this kernel gives the process the io_uring that the device needs: ERSATZ_OK, or ERSATZ_NO_URING,
 * ERSATZ_NO_DESCRIPTORS, ERSATZ_NO_MEMORY, ERSATZ_NO_THREADS with *error filled in. Asks on a thread of its
 * own: what the kernel does to one that makes a ring is not for the application's. */
enum ersatz_result ersatz_device_probe(struct ersatz_error *error);

/* Start a device: its threads run when this returns. On failure *device is NULL, everything that was started
 * is stopped again, and *error says what is wrong (ERSATZ_BAD_CONFIG, _NO_MEMORY, _NO_DESCRIPTORS,
 * _NO_THREADS, _NO_URING). The caller closes the device with ersatz_device_close(). */
enum ersatz_result ersatz_device_open(
    const struct ersatz_config *config, struct ersatz_device **device, struct ersatz_error *error);

/*
 * Stop: requests that no worker has taken up complete with ERSATZ_STOPPED, those being computed finish, every
 * thread ends. Requests that are still out stay valid; the memory goes when the last of them is freed and
 * ersatz_device_free() was called. For the end of a process: the calling thread may be in a callback, in a
 * handler of a signal, or hold what a callback is waiting for. So nothing of the device's is locked here, and
 * this returns after five seconds at the latest. False: not every thread has ended, the calling one if it is
 * in a callback, or one whose callback does not return; they are left alone from then on.
 */
bool ersatz_device_stop(struct ersatz_device *device);

/*
 * Give the device up. Stops it first if that was not done. Its descriptors are closed and its threads have
 * ended when this returns, so no other thread may be submitting or polling. In a callback on a thread of the
 * device, and where a callback does not return for five seconds, both come later, by themselves: when that
 * callback has returned. With external polling, callbacks that no ersatz_device_poll() has run by then do not
 * run any more. NULL is allowed.
 */
void ersatz_device_free(struct ersatz_device *device);

/* The same in two parts, for who holds a lock that a callback may want: begin under the lock, which waits for
 * nobody, and wait for the end without. A fork that comes between them finds the device. */
struct ersatz_ending {
    bool wait;
    pthread_t thread;
};
void ersatz_device_begin_free(struct ersatz_device *device, struct ersatz_ending *ending);
void ersatz_device_end_free(const struct ersatz_ending *ending);

/* Wait until all devices that are being freed, by whatever thread, are gone; for five seconds at the most. */
void ersatz_devices_wait_for_end(void);

/* Whether the calling thread is a device's own, in a callback. */
bool ersatz_thread_is_the_cards(void);

/* Before a fork, in the parent: nothing is done but by the check, which notes what is in flight. */
void ersatz_device_forking(struct ersatz_device *device);

/* In the child of a fork: close the descriptors inherited with the parent's device. Its memory is given up,
 * since a thread that is not here may hold its locks. Nothing else may be called on it afterwards, but
 * requests that were in flight may still be asked for their state: they are ERSATZ_STOPPED. */
void ersatz_device_forget(struct ersatz_device *device);

unsigned ersatz_device_instances(const struct ersatz_device *device);

/* Let the calling thread submit to this instance from now on, modulo the number of instances. Threads that
 * never call this are spread over the instances in turn. */
void ersatz_thread_bind(unsigned instance);

/* External polling: take completions off every response ring and run their callbacks here, on the calling
 * thread. Returns how many were taken. Any thread may poll; no lock is held while a callback runs, so a
 * callback may submit, poll, or resume the job it belongs to. */
unsigned ersatz_device_poll(struct ersatz_device *device);

/* External polling: take completions off every response ring, so that their slots come free, but leave their
 * callbacks to the next ersatz_device_poll(). For a thread that waits for a slot and may be the very one that
 * polls. Without external polling, does the same for a callback that runs on a thread of the device, with
 * what that thread would take next. Otherwise does nothing. */
void ersatz_device_make_room(struct ersatz_device *device);

/* The descriptor of an instance's response ring, for poll(2) and its like: readable while completions wait to
 * be taken with ersatz_device_poll(). It belongs to the device. -1: there is no such instance, or
 * no descriptor or no memory for a ring. */
int ersatz_device_response_fd(struct ersatz_device *device, unsigned instance);

/* Whether the device takes requests: it was not stopped, and no injected fault has it reset or gone. */
bool ersatz_device_is_running(const struct ersatz_device *device);

/* Where ersatz_device_hold() stops a request. */
enum ersatz_hold {
    ERSATZ_HOLD_NONE = 0,
    ERSATZ_HOLD_COMPUTE, /* in the request ring, before a worker takes it up */
    ERSATZ_HOLD_SIGNAL,  /* computed and complete, before the waiting job is told */
};

/* For tests: hold every request at a point of its life until it is released. ERSATZ_HOLD_NONE lets everything
 * go. Release lets count requests pass, in the order in which they came to that point in their worker. */
void ersatz_device_hold(struct ersatz_device *device, enum ersatz_hold where);
void ersatz_device_release(struct ersatz_device *device, unsigned count);

/* ----------------------------------------------------------------------------------------------- kernels */

/* Sets of kernels have a bit 1 << kernel for each. */
#define ERSATZ_KERNELS_ALL ((1u << ERSATZ_KERNELS) - 1)

/* Those that were built in and that this processor runs; the portable one is always among them. */
unsigned ersatz_kernels_available(void);

/* Let operations from now on be computed by kernels of this set, on the card and on calling cores. The
 * portable kernel does whatever no other one of them does, in the set or not; what is not available is left
 * out. A message that comes in pieces stays with the kernel it began with. For the whole process; all, until
 * this is called. */
void ersatz_kernels_choose(unsigned set);

/* Those in use: chosen and available. */
unsigned ersatz_kernels_in_use(void);

/* ---------------------------------------------------------------------------------------------- RSA keys */

struct ersatz_bytes {
    const uint8_t *data; /* NULL: not given */
    size_t len;
};

#define ERSATZ_RSA_EXTRA_PRIMES_MAX 3u /* RFC 8017 multi-prime keys, as many as OpenSSL takes */

/* The numbers of a key, RFC 8017 section 3. n and e are needed; d for a private key; p, q, dmp1, dmq1 and
 * iqmp together or not at all. */
struct ersatz_rsa_numbers {
    struct ersatz_bytes n, e, d, p, q, dmp1, dmq1, iqmp;
    unsigned extra_primes;
    struct {
        struct ersatz_bytes r, d, t; /* prime, exponent, coefficient */
    } extra[ERSATZ_RSA_EXTRA_PRIMES_MAX];
};

struct ersatz_rsa_key;

/* A copy of the key in the device's memory, with one reference that belongs to the caller. ERSATZ_BAD_KEY if
 * the numbers do not make a key of 512 to 16,384 bits, ERSATZ_NO_MEMORY. */
enum ersatz_result ersatz_rsa_key_new(const struct ersatz_rsa_numbers *numbers, struct ersatz_rsa_key **key);

/* Add a reference, for ersatz_rsa_key_free() to drop. */
void ersatz_rsa_key_reference(struct ersatz_rsa_key *key);

/* Drop a reference; requests in flight keep theirs. The last one cleanses the key. NULL is allowed. */
void ersatz_rsa_key_free(struct ersatz_rsa_key *key);

/* The length of the modulus, which is the length of every input and output of the key. */
size_t ersatz_rsa_key_size(const struct ersatz_rsa_key *key);

/* Whether a public operation takes in: ersatz_rsa_key_size() bytes, a number below the modulus. Its time
 * depends on in. */
bool ersatz_rsa_key_takes(const struct ersatz_rsa_key *key, const uint8_t *in);

/* False in the child of a fork for a key made before it: make it anew, its locks may be held by nobody. */
bool ersatz_rsa_key_is_current(const struct ersatz_rsa_key *key);

/* --------------------------------------------------------------------------------------------- AES states */

enum ersatz_mode {
    ERSATZ_CBC,
    ERSATZ_CTR,
    ERSATZ_GCM,
    ERSATZ_XTS,
    ERSATZ_ECB,
    ERSATZ_CFB, /* with 128 bits of feedback */
    ERSATZ_OFB,
    ERSATZ_CCM,
    ERSATZ_CBC_HMAC_SHA1, /* TLS records: MAC, then pad, then encrypt */
    ERSATZ_CBC_HMAC_SHA256,
    ERSATZ_MODES
};

/* A keyed AES state. For GCM it also carries a message from one operation to the next; the other modes carry
 * nothing over, each operation brings its IV, and for CCM the whole message. One operation at a time: a
 * second one while the first is in flight is refused with ERSATZ_BUSY. In the child of a fork that took place
 * while the card had an operation on it, its message is lost: whatever would go on with it gets ERSATZ_LOST.
 */
struct ersatz_cipher;

/* Whether there is a kernel for it: CBC with HMAC needs AES instructions of the processor's. */
bool ersatz_cipher_is_available(enum ersatz_mode mode, unsigned key_bits);

/* key_bits: 128, 192 or 256; for XTS (where the key itself is twice that: IEEE 1619) and CBC with HMAC, 128
 * or 256. One reference, the caller's. ERSATZ_BAD_KEY for other sizes, ERSATZ_NO_MEMORY,
 * ERSATZ_COMPUTE_FAILED if libcrypto's default provider cannot be had or has no such cipher. */
enum ersatz_result ersatz_cipher_new(enum ersatz_mode mode, unsigned key_bits, struct ersatz_cipher **cipher);
void ersatz_cipher_free(struct ersatz_cipher *cipher);

/* Set the key, for encryption or decryption. ERSATZ_BAD_KEY (XTS: halves that are equal), ERSATZ_BUSY. The
 * state that GCM carries is dropped: the next operation must bring an IV. CBC with HMAC: set the MAC key anew
 * after it. */
enum ersatz_result ersatz_cipher_set_key(
    struct ersatz_cipher *cipher, const uint8_t *key, size_t key_len, bool encrypt);

/* CBC with HMAC: set the key of the HMAC, of any length. ERSATZ_BAD_KEY: no cipher key was set, or the mode
 * has no MAC key. ERSATZ_BUSY. */
enum ersatz_result ersatz_cipher_set_mac_key(struct ersatz_cipher *cipher, const uint8_t *key, size_t len);

/* Use the key that is set for the other direction. The modes that encrypt with the block cipher both ways
 * (CTR, GCM, CCM, CFB, OFB) take it for their next message; for the others the key must be set anew, as in
 * libcrypto. ERSATZ_BUSY. */
enum ersatz_result ersatz_cipher_set_direction(struct ersatz_cipher *cipher, bool encrypt);

/* An independent copy, in the middle of a GCM message too. ERSATZ_BUSY, ERSATZ_NO_MEMORY. */
enum ersatz_result ersatz_cipher_dup(struct ersatz_cipher *cipher, struct ersatz_cipher **copy);

/* ---------------------------------------------------------------------------------------- random numbers */

/* Bytes from a generator that is the device's own, seeded by the operating system; in the child of a fork
 * from another one. secret: for a key, as RAND_priv_bytes(3). Not from the card: on the calling core. Any
 * thread. ERSATZ_COMPUTE_FAILED: libcrypto's default provider cannot be had, or the system gives no seed. */
enum ersatz_result ersatz_random(uint8_t *out, size_t len, bool secret);

/* Let libcrypto's functions on the calling thread take random numbers from the device's generator, by a
 * library context of the device's own, until ersatz_random_leave() with what this returned. A generator of
 * the application's could be built on an engine in front of this device. No job may pause in between. */
void *ersatz_random_enter(void);
void ersatz_random_leave(void *before);

/* -------------------------------------------------------------------------------------------- operations */

enum ersatz_op_kind { ERSATZ_RSA_PRIVATE, ERSATZ_RSA_PUBLIC, ERSATZ_CIPHER };

/* One operation. in and out may be the same; otherwise they must not overlap. */
struct ersatz_op {
    enum ersatz_op_kind kind;
    union {
        struct {
            struct ersatz_rsa_key *key;
            const uint8_t *in; /* ersatz_rsa_key_size() bytes, a number below the modulus */
            uint8_t *out;      /* ersatz_rsa_key_size() bytes */
            bool blinded;      /* the caller has blinded the input: the card need not do so again */
        } rsa;
        struct {
            struct ersatz_cipher *cipher;
            uint8_t iv[16]; /* CBC (with HMAC too), CFB, OFB, XTS: the IV; CTR: the first counter block; GCM,
                               CCM: see long_iv; ECB: not looked at */
            const uint8_t *long_iv; /* GCM: a new message with this IV; NULL: go on with the message. CCM: the
                                       nonce, always */
            size_t iv_len;          /* GCM: 1 to 128; CCM: 7 to 13 */
            const uint8_t *aad;     /* GCM: more associated data, before any text. The portable kernel
                                       computes a message whose first operation has neither text nor tag,
                                       since more associated data may follow it. CCM: all of it; NULL with
                                       length 0. CBC with HMAC: the 13 bytes of RFC 5246, 6.2.3.1, with the
                                       record's length as libssl gives it, and in and out are a record; NULL:
                                       plain CBC */
            size_t aad_len;
            const uint8_t *in; /* len bytes: CBC, ECB a multiple of 16, XTS 16 to 2^24, CCM less than
                                  256^(15 - iv_len), else any; may be 0 for GCM and CCM */
            uint8_t *out;
            size_t len;
            uint8_t *tag;   /* GCM: end the message, encrypting: written; decrypting: compared; NULL: go on.
                               CCM: always */
            size_t tag_len; /* GCM: 1 to 16; CCM: 4 to 16 and even */
        } cipher;
    } u;
};

/* The operation on a text by itself in CBC, CTR, ECB, XTS, CFB or OFB. iv: for ECB it may be NULL. */
struct ersatz_op ersatz_text_op(
    struct ersatz_cipher *cipher, const uint8_t iv[16], uint8_t *out, const uint8_t *in, size_t len);

/* Do op on the calling core, with the same code the card runs. Counted in stats->computed_inline. A cipher
 * state that a request in flight has is ERSATZ_BUSY; no other thread may be using it. */
enum ersatz_result ersatz_compute(const struct ersatz_op *op, struct ersatz_stats *stats);

/* The same for what ersatz_text_op() would make. For short texts, where the way to the kernel takes as long
 * as the kernel. */
enum ersatz_result ersatz_compute_text(struct ersatz_cipher *cipher, const uint8_t iv[16], uint8_t *out,
    const uint8_t *in, size_t len, struct ersatz_stats *stats);

/* Whether one core computes op as fast by itself as in a batch: because it computes the blocks of one message
 * side by side, or because no kernel computes several such messages side by side. */
bool ersatz_op_is_fastest_alone(const struct ersatz_op *op);

/* Under which name the statistics count op. */
enum ersatz_request_name ersatz_op_name(const struct ersatz_op *op);

/* ---------------------------------------------------------------------------------------------- requests */

struct ersatz_request;

/* A request for op. With copy, everything op points to is copied into the device's memory now, and the
 * results reach op's output pointers in ersatz_request_finish(): for a caller that may go away. Without, the
 * card works on the caller's memory, which must stay until the request is complete: for a thread that waits.
 * ERSATZ_NO_MEMORY, ERSATZ_BUSY, ERSATZ_BAD_INPUT (lengths that nothing in memory has). The caller ends the
 * request with ersatz_request_finish(). */
enum ersatz_result ersatz_request_new(
    struct ersatz_device *device, const struct ersatz_op *op, bool copy, struct ersatz_request **request);

/* Make request part of first's group, which is submitted, waited for and finished as one, through first: told
 * of once, when all are complete. Each is computed by whichever worker takes it up. The operations are of one
 * kind, on states of their own. Before submission; first may not itself be in another's group. */
void ersatz_request_join(struct ersatz_request *first, struct ersatz_request *request);

/* Submit, and be told through the waker's eventfd. A full ring does not refuse the request: it waits in line
 * at the instance and is taken up in order. Always accepted, unless the device has stopped (ERSATZ_STOPPED).
 */
struct ersatz_waker;
enum ersatz_result ersatz_submit_fd(struct ersatz_request *request, struct ersatz_waker *waker);

/* Submit, and be told by callback(arg), exactly once, after the request is complete: on a thread of the
 * device, or in ersatz_device_poll() with external polling. ERSATZ_RING_FULL: not accepted, no callback will
 * come, submit again later. ERSATZ_STOPPED. */
enum ersatz_result ersatz_submit_callback(struct ersatz_request *request, int (*callback)(void *), void *arg);

/* For the check of the application: the wait context that the callback of a request tells is gone, or was
 * given to another request (reused), and the request is not finished. silence: its callback is not to run any
 * more, unless it runs already; what it works on is gone. Any thread; the request stays the submitter's. */
void ersatz_request_lost(struct ersatz_request *request, bool reused, bool silence);

/* Submit and wait. retries: how often to try again while the ring is full, 100 microseconds apart; -1 waits
 * in line for as long as it takes. ERSATZ_RING_FULL, ERSATZ_STOPPED, or ERSATZ_OK when the request is
 * complete. */
enum ersatz_result ersatz_submit_wait(struct ersatz_request *request, int retries);

/* The same, but the thread spins instead of sleeping: the quickest answer, for a core that has nothing else
 * to do. */
enum ersatz_result ersatz_submit_spin(struct ersatz_request *request, int retries);

/* Whether the caller may go on: true when the request is complete and no signal for it can still arrive.
 * Called by the one who submitted, each time it is resumed. For an eventfd this clears the signal. For a
 * callback it is true from the moment the callback runs on this very thread, or has returned on another. */
bool ersatz_request_is_done(struct ersatz_request *request);

/* Sleep until ersatz_request_is_done() may have become true, or for at most timeout_ms. Takes the place of a
 * pause where a job cannot pause. With external polling and a callback, the request is taken from the
 * response ring by its submitter instead, and its callback does not run: nobody was told to wait for it. */
void ersatz_request_wait(struct ersatz_request *request, int timeout_ms);

/* End a request that is done, or that was never accepted: copies the results to the outputs of its op, gives
 * the memory back (cleansed) and returns what came of the operation. Of a group: the first result that is not
 * a success; results are copied only if all were. */
enum ersatz_result ersatz_request_finish(struct ersatz_request *request);

/* ------------------------------------------------------------------------------------------------ wakers */

/* An eventfd that tells one waiting context (an ASYNC_WAIT_CTX, say) of its requests, one after the other.
 * The descriptor stays the same for the waker's life, whatever happens; it is non-blocking and close-on-exec.
 */

/* ERSATZ_NO_DESCRIPTORS, ERSATZ_NO_MEMORY. */
enum ersatz_result ersatz_waker_new(struct ersatz_stats *stats, struct ersatz_waker **waker);

/* The descriptor; the waker owns it. Readable from when a request is complete until its submitter has seen
 * that. */
int ersatz_waker_fd(const struct ersatz_waker *waker);

/* Close the descriptor and free the waker. Requests submitted with it that were not finished become orphans:
 * the card still computes them, nobody is told, and their memory comes back by itself. No signal goes to the
 * descriptor's number after this returns. Not while another thread uses the waker. */
void ersatz_waker_free(struct ersatz_waker *waker);

/* Whether the descriptor is still the waker's. False: the program closed it (closefrom(3), say), and the
 * number may be another file's. Such a waker cannot tell of anything; free it, which leaves the number alone,
 * and make another. */
bool ersatz_waker_is_whole(const struct ersatz_waker *waker);

/* In the child of a fork, before use of a waker that is whole: put an eventfd of the child's own behind the
 * same descriptor number, and forget the parent's requests. Does nothing in the process that made the waker.
 * ERSATZ_NO_DESCRIPTORS.
 */
enum ersatz_result ersatz_waker_after_fork(struct ersatz_waker *waker);

#endif
