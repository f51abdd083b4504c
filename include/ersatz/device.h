/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device: a simulated asynchronous crypto card. A program describes an operation (struct ersatz_op),
 * makes a request from it and submits the request to an instance. When the request is complete, the device
 * signals that by an eventfd or a callback, or the program waits for it. This header is all that a front door
 * (the OpenSSL ENGINE in engine/, a test, a program of twenty lines) needs. It uses C and POSIX only.
 *
 * Unless a function says otherwise: any thread may call it; lengths are in bytes; numbers are big-endian; a
 * pointer argument must not be NULL; the device does not use the caller's memory after the call returns.
 */
#ifndef ERSATZ_DEVICE_H
#define ERSATZ_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ersatz/findings.h"
#include "ersatz/result.h"
#include "ersatz/stats.h"
#include "ersatz/trace.h"

struct ersatz_profile;
struct ersatz_faults;

/* ------------------------------------------------------------------------------------------------ device */

#define ERSATZ_WORKERS_MAX 1024u
#define ERSATZ_INSTANCES_MAX 1024u
#define ERSATZ_RING_DEPTH_MAX 32768u /* io_uring's own limit on completion-queue entries is twice that */

/* How the device's own threads take completions off the response rings. May be changed while the device runs.
 * Each field is relaxed and independent of the others. */
struct ersatz_polling {
    _Atomic bool timed;           /* at every interval, instead of when a completion arrives */
    _Atomic uint32_t interval_ns; /* 1 to 10,000,000 */
    _Atomic int timeout_ms;       /* look at least this often; 0: sleep until something arrives */
};

struct ersatz_config {
    unsigned workers;      /* threads that compute: 1 to ERSATZ_WORKERS_MAX */
    unsigned instances;    /* ring pairs: 1 to ERSATZ_INSTANCES_MAX */
    unsigned ring_depth;   /* requests in flight per instance: a power of two, 1 to ERSATZ_RING_DEPTH_MAX */
    bool external_polling; /* callbacks run in ersatz_device_poll() only, not on a thread of the device */
    bool keeps_in_flight;  /* as after ersatz_device_keep_in_flight() */
    uint64_t seed;         /* of the card's random choices: faults, jitter */

    /* Read only while the device opens. NULL: as fast as possible (profile.h); no faults (faults.h). */
    const struct ersatz_profile *profile;
    const struct ersatz_faults *faults;

    /* The device may be steered while it runs: ersatz_device_replace_faults() and what follows it in
     * faults.h. Has the costs of a list of faults, even if that is empty. */
    bool steered;

    /* Owned by the caller; must outlive the device and its requests. */
    struct ersatz_stats *stats;           /* the device counts here */
    const struct ersatz_polling *polling; /* NULL: take completions when they arrive */
    struct ersatz_findings *findings; /* NULL: no check. Else check the application, report mistakes here */
    struct ersatz_trace *trace;       /* NULL: no trace */
    struct ersatz_latency *latency;   /* NULL: none are counted */
    struct ersatz_load *load;         /* NULL: not shown */

    /* For the check: a pause that returns faster than this did not pause (ASYNC_block_pause). 0: assume that
     * every pause did. */
    uint32_t pause_ns;
};

struct ersatz_device;

/* The defaults: one worker and one instance per core that the process may run on, but not more than the
 * limits above; depth 512, callbacks on the device's own threads. */
void ersatz_config_init(struct ersatz_config *config, struct ersatz_stats *stats);

/* Checks that this process can use the io_uring features that the device needs: ERSATZ_OK, or
 * ERSATZ_NO_URING, ERSATZ_NO_DESCRIPTORS, ERSATZ_NO_MEMORY or ERSATZ_NO_THREADS with *error filled in. Does
 * so on a temporary thread, because Linux interrupts a thread that has made a ring when the ring is taken
 * apart. */
enum ersatz_result ersatz_device_probe(struct ersatz_error *error);

/* Starts a device; its threads run when this returns. On failure *device is NULL, everything that was started
 * is stopped again, and *error describes the error (ERSATZ_BAD_CONFIG, _NO_MEMORY, _NO_DESCRIPTORS,
 * _NO_THREADS, _NO_URING). The caller frees the device with ersatz_device_free(). */
enum ersatz_result ersatz_device_open(
    const struct ersatz_config *config, struct ersatz_device **device, struct ersatz_error *error);

/*
 * Stops the device: requests that no worker has taken complete with ERSATZ_STOPPED, requests that are being
 * computed finish, every thread ends. Requests that the caller still has stay valid; their memory is freed
 * with the last of them, after ersatz_device_free(). For the end of a process: the calling thread may be in a
 * callback, in a signal handler, or hold a lock that a callback is waiting for. So this takes none of the
 * device's locks, and returns after five seconds at the latest. False: some thread has not ended (the calling
 * one, if it is in a callback, or one whose callback does not return); such threads are abandoned.
 */
bool ersatz_device_stop(struct ersatz_device *device);

/*
 * Frees the device, and stops it first if it runs. When this returns, its descriptors are closed and its
 * threads have ended; so no other thread may be submitting or polling. If this is called in a callback on a
 * thread of the device, or if a callback does not return for five seconds, the device closes its descriptors
 * and ends its threads later, when that callback has returned. With external polling, callbacks that no
 * ersatz_device_poll() has run by then do not run any more. NULL is allowed.
 */
void ersatz_device_free(struct ersatz_device *device);

/* ersatz_device_free() in two parts, for a caller with a lock that a callback may want. Call the first under
 * the lock: it waits for nobody. Call the second without the lock: it waits. A fork between the two still
 * finds the device. */
struct ersatz_ending {
    bool wait;
    pthread_t thread;
};
void ersatz_device_begin_free(struct ersatz_device *device, struct ersatz_ending *ending);
void ersatz_device_end_free(const struct ersatz_ending *ending);

/* Waits until all devices that any thread is freeing are gone, but at most five seconds. */
void ersatz_devices_wait_for_end(void);

/* True if the calling thread belongs to a device and is in a callback. */
bool ersatz_thread_is_the_cards(void);

/* Call in the parent before fork(2). The check records the requests in flight; requests with the fault `fork`
 * complete, for which this waits 20 ms at most. */
void ersatz_device_forking(struct ersatz_device *device);

/* Call in the child of a fork. Closes the descriptors of the parent's device that the child inherited. The
 * device's memory is leaked, since a thread that does not exist in the child may hold its locks. Call nothing
 * else on the device afterwards; requests that were in flight can still be asked for their state, which is
 * ERSATZ_STOPPED. */
void ersatz_device_forget(struct ersatz_device *device);

/* How many instances the device has. */
unsigned ersatz_device_instances(const struct ersatz_device *device);

/* The calling thread submits to this instance from now on, modulo the number of instances. Threads that never
 * call this are distributed over the instances in turn. */
void ersatz_thread_bind(unsigned instance);

/* External polling: takes completions off every response ring and runs their callbacks on the calling thread.
 * Returns the number of completions. Any thread may poll. No lock is held while a callback runs, so a
 * callback may submit, poll, or resume its job. */
unsigned ersatz_device_poll(struct ersatz_device *device);

/* External polling: takes completions off every response ring, which frees their slots, but leaves their
 * callbacks to the next ersatz_device_poll(). For a thread that waits for a slot and may itself be the thread
 * that polls. Without external polling, and in a callback on a thread of the device: does this for the
 * completions that this thread would take next. Otherwise does nothing. */
void ersatz_device_make_room(struct ersatz_device *device);

/* The descriptor of an instance's response ring, for poll(2) and the like: readable while completions wait
 * for ersatz_device_poll(). The device owns it. -1: there is no such instance, or no descriptor, thread or
 * memory for a ring. */
int ersatz_device_response_fd(struct ersatz_device *device, unsigned instance);

/* True if the device accepts requests: it was not stopped, and no injected fault has reset or removed it. */
bool ersatz_device_is_running(const struct ersatz_device *device);

/* How many requests are in flight: from their submission until they are signalled, or their callback begins
 * to run. Each instance counts its own, so that threads which submit to different ones do not write to the
 * same cache line; this adds them up. in_flight_max of the statistics is the largest sum that was seen: an
 * instance looks when it has more in flight than ever, and at every 64th request. */
int ersatz_device_in_flight(struct ersatz_device *device, enum ersatz_flight kind);

/* Whether any of this kind are. One that begins or ends meanwhile may be overlooked. Costs less with many
 * instances, because it looks at those only that have requests, or had of late. */
bool ersatz_device_is_busy(struct ersatz_device *device, enum ersatz_flight kind);

/* From now on, keep in_flight of the statistics up to date, for an application that reads it at an address.
 * Each request then writes to that one cache line, too. */
void ersatz_device_keep_in_flight(struct ersatz_device *device);

/* Where ersatz_device_hold() stops a request. */
enum ersatz_hold {
    ERSATZ_HOLD_NONE = 0,
    ERSATZ_HOLD_COMPUTE, /* in the request ring, before a worker takes it */
    ERSATZ_HOLD_SIGNAL,  /* computed, before it is signalled */
};

/* For tests: ersatz_device_hold() stops every request at one point until it is released; ERSATZ_HOLD_NONE
 * releases all. ersatz_device_release() lets count requests pass, in the order in which they reached that
 * point in their worker. */
void ersatz_device_hold(struct ersatz_device *device, enum ersatz_hold where);
void ersatz_device_release(struct ersatz_device *device, unsigned count);

/* ----------------------------------------------------------------------------------------------- kernels */

/* A set of kernels is a mask with bit 1 << kernel for each. */
#define ERSATZ_KERNELS_ALL ((1u << ERSATZ_KERNELS) - 1)

/* The kernels that were built in and that this processor can run; always includes the portable kernel. */
unsigned ersatz_kernels_available(void);

/* Sets the kernels that compute from now on, on the card and on calling cores, for the whole process. The
 * portable kernel computes everything that no kernel in the set computes, even if it is not in the set.
 * Unavailable kernels are ignored. A message in pieces stays with the kernel it began with. Default: all. */
void ersatz_kernels_choose(unsigned set);

/* The kernels in use: chosen and available. */
unsigned ersatz_kernels_in_use(void);

/* ---------------------------------------------------------------------------------------------- RSA keys */

struct ersatz_bytes {
    const uint8_t *data; /* NULL: not given */
    size_t len;
};

#define ERSATZ_RSA_EXTRA_PRIMES_MAX 3u /* RFC 8017 multi-prime keys, up to OpenSSL's limit */

/* The numbers of a key, RFC 8017 section 3. n and e are required, d for a private key too; p, q, dmp1, dmq1
 * and iqmp either all or not at all. */
struct ersatz_rsa_numbers {
    struct ersatz_bytes n, e, d, p, q, dmp1, dmq1, iqmp;
    unsigned extra_primes;
    struct {
        struct ersatz_bytes r, d, t; /* prime, exponent, coefficient */
    } extra[ERSATZ_RSA_EXTRA_PRIMES_MAX];
};

struct ersatz_rsa_key;

/* Copies the key into the device's memory. The caller owns one reference. ERSATZ_BAD_KEY if the numbers are
 * not a key of 512 to 16,384 bits, ERSATZ_NO_MEMORY. */
enum ersatz_result ersatz_rsa_key_new(const struct ersatz_rsa_numbers *numbers, struct ersatz_rsa_key **key);

/* Adds a reference; ersatz_rsa_key_free() drops it. */
void ersatz_rsa_key_reference(struct ersatz_rsa_key *key);

/* Drops a reference; requests in flight keep theirs. The last one cleanses the key. NULL is allowed. */
void ersatz_rsa_key_free(struct ersatz_rsa_key *key);

/* The length of the modulus, and so of every input and output of the key. */
size_t ersatz_rsa_key_size(const struct ersatz_rsa_key *key);

/* True if in (ersatz_rsa_key_size() bytes) is a number below the modulus, so that a public operation accepts
 * it. The time that this takes depends on in. */
bool ersatz_rsa_key_takes(const struct ersatz_rsa_key *key, const uint8_t *in);

/* False in the child of a fork, for a key made before the fork: make a new key, because a thread that does
 * not exist in the child may hold this key's locks. */
bool ersatz_rsa_key_is_current(const struct ersatz_rsa_key *key);

/* --------------------------------------------------------------------------------------------- AES states */

/* In the order of enum ersatz_request_name. */
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

/* "CBC", ...: as in libcrypto's names of ciphers. */
const char *ersatz_mode_name(enum ersatz_mode mode);

/* An AES state with its key. For GCM it also carries a message from one operation to the next. In the other
 * modes it carries nothing: each operation has its own IV, and for CCM the whole message. One operation at a
 * time: a second one while the first is in flight is refused with ERSATZ_BUSY. If the process forks while the
 * card has an operation on the state, the message is lost in the child: an operation that continues it fails
 * with ERSATZ_LOST. */
struct ersatz_cipher;

/* True if a kernel computes this mode: CBC with HMAC needs a processor with AES instructions. */
bool ersatz_cipher_is_available(enum ersatz_mode mode, unsigned key_bits);

/* key_bits: 128, 192 or 256; for XTS (whose key is twice as long: IEEE 1619) and CBC with HMAC, 128 or 256.
 * The caller owns one reference. ERSATZ_BAD_KEY for other sizes, ERSATZ_NO_MEMORY, ERSATZ_COMPUTE_FAILED if
 * libcrypto's default provider cannot be loaded or lacks the cipher. */
enum ersatz_result ersatz_cipher_new(enum ersatz_mode mode, unsigned key_bits, struct ersatz_cipher **cipher);
void ersatz_cipher_free(struct ersatz_cipher *cipher);

/* From the next key on: whether operations that are computed alone are computed by whatever code is fastest
 * on this processor, libcrypto's or another, or by the kernels' fixed order, which is the default. The first
 * key of each cipher and direction then measures for some 100 microseconds. Kernels that were chosen by name
 * are used in any case. */
void ersatz_cipher_go_by_speed(struct ersatz_cipher *cipher, bool by_speed);

/* Whom ersatz_update_text() tells why it fails, also in copies made from now on. Nobody by default. */
void ersatz_cipher_tell_failures(struct ersatz_cipher *cipher, void (*tell)(enum ersatz_result result));

/* Sets the key, for encryption or decryption. ERSATZ_BAD_KEY (XTS: equal halves), ERSATZ_BUSY,
 * ERSATZ_NO_MEMORY. Drops the message that GCM carries: the next operation must have an IV. CBC with HMAC:
 * then set the MAC key anew. */
enum ersatz_result ersatz_cipher_set_key(
    struct ersatz_cipher *cipher, const uint8_t *key, size_t key_len, bool encrypt);

/* CBC with HMAC: sets the HMAC key, of any length. ERSATZ_BAD_KEY: no cipher key was set, or the mode has no
 * MAC key. ERSATZ_BUSY. */
enum ersatz_result ersatz_cipher_set_mac_key(struct ersatz_cipher *cipher, const uint8_t *key, size_t len);

/* Switches to the other direction with the same key. The modes that use the block cipher's encryption in both
 * directions (CTR, GCM, CCM, CFB, OFB) use it for their next text, and GCM for the rest of a message, as
 * libcrypto does; in the others the key must be set again. ERSATZ_BUSY, ERSATZ_COMPUTE_FAILED. */
enum ersatz_result ersatz_cipher_set_direction(struct ersatz_cipher *cipher, bool encrypt);

/* Makes an independent copy, also in the middle of a GCM message. ERSATZ_BUSY, ERSATZ_NO_MEMORY. */
enum ersatz_result ersatz_cipher_dup(struct ersatz_cipher *cipher, struct ersatz_cipher **copy);

/* ---------------------------------------------------------------------------------------- random numbers */

/* Fills out from the device's own generator, which the operating system seeds; the child of a fork has
 * another one. secret: for a key, as RAND_priv_bytes(3). Computed on the calling core, on any thread.
 * ERSATZ_COMPUTE_FAILED: libcrypto's default provider cannot be loaded, or the system gives no seed. */
enum ersatz_result ersatz_random(uint8_t *out, size_t len, bool secret);

/* Makes libcrypto's functions on the calling thread use the device's generator, through a library context of
 * the device's own. ersatz_random_leave() with the returned value ends that. (The application's generator
 * could be built on an engine in front of this device.) No job may pause in between. */
void *ersatz_random_enter(void);
void ersatz_random_leave(void *before);

/* -------------------------------------------------------------------------------------------- operations */

enum ersatz_op_kind { ERSATZ_RSA_PRIVATE, ERSATZ_RSA_PUBLIC, ERSATZ_CIPHER };

/* One operation. in and out may be equal; otherwise they must not overlap. */
struct ersatz_op {
    enum ersatz_op_kind kind;
    union {
        struct {
            struct ersatz_rsa_key *key;
            const uint8_t *in; /* ersatz_rsa_key_size() bytes, a number below the modulus */
            uint8_t *out;      /* ersatz_rsa_key_size() bytes */
            bool blinded;      /* the caller has blinded the input, so the card does not */
        } rsa;
        struct {
            struct ersatz_cipher *cipher;
            uint8_t iv[16]; /* CBC (with HMAC too), CFB, OFB, XTS: the IV; CTR: the first counter block; GCM,
                               CCM: see long_iv; ECB: ignored */
            const uint8_t *long_iv; /* GCM: begin a message with this IV; NULL: continue the message. CCM: the
                                       nonce, required */
            size_t iv_len;          /* GCM: 1 to 128; CCM: 7 to 13 */
            const uint8_t *aad;     /* GCM: more associated data, before any text. The portable kernel
                                       computes a message whose first operation has neither text nor tag,
                                       since more associated data may follow it. CCM: all of it; NULL with
                                       length 0. CBC with HMAC: the 13 bytes of RFC 5246, 6.2.3.1, with the
                                       record's length as libssl gives it; in and out are then a record. NULL:
                                       plain CBC */
            size_t aad_len;
            const uint8_t *in; /* len bytes: CBC, ECB a multiple of 16, XTS 16 to 2^24, CCM less than
                                  256^(15 - iv_len), else any; 0 only for GCM and CCM */
            uint8_t *out;
            size_t len;
            uint8_t *tag;   /* GCM: ends the message (NULL: it continues); CCM: required. Written when
                               encrypting, compared when decrypting */
            size_t tag_len; /* GCM: 1 to 16; CCM: 4 to 16 and even */
        } cipher;
    } u;
};

/* Describes an operation on one text in CBC, CTR, ECB, XTS, CFB or OFB. iv may be NULL for ECB. */
struct ersatz_op ersatz_text_op(
    struct ersatz_cipher *cipher, const uint8_t iv[16], uint8_t *out, const uint8_t *in, size_t len);

/* Computes op on the calling core, with the code that the card runs. Counted: see ersatz_stats_inline().
 * ERSATZ_BUSY if a request in flight uses the cipher state. No other thread may be using the state. */
enum ersatz_result ersatz_compute(const struct ersatz_op *op, struct ersatz_stats *stats);

/* ersatz_compute() of an operation that ersatz_text_op() would describe, with an IV in any mode. For short
 * texts, where the call takes as long as the kernel, and for callers that end with it: its parameters stand
 * where those of a cipher's function do. Returns 1, and iv is that of the next text: see ersatz_next_iv();
 * after a text that ends inside a block, what is in iv is not defined. Or returns 0, after it has told the
 * result: see ersatz_cipher_tell_failures(). */
int ersatz_update_text(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len,
    uint8_t iv[16], struct ersatz_stats *stats);

/* The first text of a GCM message, with what comes before it. Like the next two functions it does what
 * ersatz_compute() would do: see struct ersatz_op. For short messages, as ersatz_update_text(). */
struct ersatz_gcm_piece {
    const uint8_t *iv;
    size_t iv_len; /* 1 to 128 */
    const uint8_t *aad;
    size_t aad_len;
    const uint8_t *in;
    uint8_t *out;
    size_t len; /* 1 or more */
};
enum ersatz_result ersatz_compute_gcm_text(
    struct ersatz_cipher *cipher, const struct ersatz_gcm_piece *piece, struct ersatz_stats *stats);

/* More text of a GCM message. */
enum ersatz_result ersatz_compute_gcm_more(
    struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len, struct ersatz_stats *stats);

/* The end of a GCM message, with nothing but its tag. */
enum ersatz_result ersatz_compute_gcm_end(
    struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len, struct ersatz_stats *stats);

/* After a text of one or more whole blocks was computed with that IV: make iv that of a text that continues
 * it. last_in, last_out: its last block before and after. Constant in ECB and XTS. */
void ersatz_next_iv(const struct ersatz_cipher *cipher, uint8_t iv[16], const uint8_t last_in[16],
    const uint8_t last_out[16], size_t len);

/* True if one core computes op as fast alone as in a batch: because it computes the blocks of one message
 * side by side, or because no kernel computes several such messages side by side. */
bool ersatz_op_is_fastest_alone(const struct ersatz_op *op);

/* The name under which the statistics count op. */
enum ersatz_request_name ersatz_op_name(const struct ersatz_op *op);

/* ---------------------------------------------------------------------------------------------- requests */

struct ersatz_request;

/* Makes a request for op. With copy, everything that op points to is copied into the device's memory now, and
 * ersatz_request_finish() writes the results to op's output pointers; for a caller that may go away. Without
 * copy, the card works on the caller's memory, which must stay valid until the request is complete; for a
 * thread that waits. ERSATZ_NO_MEMORY, ERSATZ_BUSY, ERSATZ_BAD_INPUT (impossible lengths). The caller ends
 * the request with ersatz_request_finish(). */
enum ersatz_result ersatz_request_new(
    struct ersatz_device *device, const struct ersatz_op *op, bool copy, struct ersatz_request **request);

/* ersatz_request_new() with copy, but the card reads and writes the text of a cipher in the caller's memory,
 * as hardware does by DMA. The text must stay valid and untouched until ersatz_request_finish() returns: a
 * caller that goes away earlier has its memory overwritten. If the device is at fault (see
 * ersatz_result_is_device_fault()), the text is unchanged. Where in and out overlap in part, the text is
 * copied. */
enum ersatz_result ersatz_request_new_direct(
    struct ersatz_device *device, const struct ersatz_op *op, struct ersatz_request **request);

/* Adds request to the group of first. A group is submitted, waited for and finished as one, through first,
 * and is signalled once, when all of its requests are complete. Any worker may compute any of them. The
 * operations are of one kind, each on a state of its own. Call before submission; first must not be a member
 * of another group. */
void ersatz_request_join(struct ersatz_request *first, struct ersatz_request *request);

/* Submits the request; the waker's eventfd signals its completion. If the ring is full, the request waits in
 * line at the instance and is admitted in order. Always accepted, unless the device has stopped
 * (ERSATZ_STOPPED). */
struct ersatz_waker;
enum ersatz_result ersatz_submit_fd(struct ersatz_request *request, struct ersatz_waker *waker);

/* Submits the request; callback(arg) runs exactly once, after the request is complete: on a thread of the
 * device, or with external polling in ersatz_device_poll(). ERSATZ_RING_FULL: not accepted, no callback will
 * come; submit again later. ERSATZ_STOPPED. */
enum ersatz_result ersatz_submit_callback(struct ersatz_request *request, int (*callback)(void *), void *arg);

/* For the check: the wait context of a request with a callback was freed, or is used for another request
 * (reused), before the request was finished. silence: its callback must not run any more, unless it runs
 * already, because its argument is gone. Any thread; the submitter still owns the request. */
void ersatz_request_lost(struct ersatz_request *request, bool reused, bool silence);

/* Submits the request and waits for it. retries: how often to try again while the ring is full, every 100
 * microseconds; -1: wait in line without limit. ERSATZ_RING_FULL, ERSATZ_STOPPED, or ERSATZ_OK when the
 * request is complete. */
enum ersatz_result ersatz_submit_wait(struct ersatz_request *request, int retries);

/* The same, spinning instead of sleeping: the lowest latency, for a core that has nothing else to do. */
enum ersatz_result ersatz_submit_spin(struct ersatz_request *request, int retries);

/* True when the request is complete and no signal for it can still arrive, so that the submitter may finish
 * it. The submitter calls this each time it is resumed. With an eventfd, this clears the signal. With a
 * callback, it is true once the callback runs on this very thread, or has returned on another. */
bool ersatz_request_is_done(struct ersatz_request *request);

/* Sleeps until ersatz_request_is_done() may have become true, but at most timeout_ms. Replaces a pause where
 * a job cannot pause. With external polling and a callback, the submitter takes the request itself, and its
 * callback does not run: the application was never told to wait for it. */
void ersatz_request_wait(struct ersatz_request *request, int timeout_ms);

/* Sleeps for so long, and takes completions off the response rings as ersatz_device_make_room() does.
 * Replaces the pause of a job whose request a full ring has refused, where the job cannot pause. */
void ersatz_request_wait_for_room(struct ersatz_request *request, unsigned interval_ms);

/* Ends a request that is done or was never accepted: copies the results to the outputs of its op, cleanses
 * and returns its memory, and returns the result of the operation. For a group: the first result that is not
 * ERSATZ_OK; outputs are written only if all succeeded. */
enum ersatz_result ersatz_request_finish(struct ersatz_request *request);

/* Of a request that is done, before it is finished: whether others of its kind were in flight in its instance
 * as it was submitted, or are in any instance now. Costs less than to ask ersatz_device_is_busy() before the
 * submission, which reads what workers have just written and the submission writes next. */
bool ersatz_request_had_company(const struct ersatz_request *request);

/* ------------------------------------------------------------------------------------------------ wakers */

/* A waker is an eventfd that signals the requests of one waiting context (such as an ASYNC_WAIT_CTX), one
 * after the other. The descriptor, non-blocking and close-on-exec, stays the same for the waker's life. */

/* Makes a waker. ERSATZ_NO_DESCRIPTORS, ERSATZ_NO_MEMORY. */
enum ersatz_result ersatz_waker_new(struct ersatz_stats *stats, struct ersatz_waker **waker);

/* The descriptor, which the waker owns. It is readable from the completion of a request until its submitter
 * has called ersatz_request_is_done(). */
int ersatz_waker_fd(const struct ersatz_waker *waker);

/* Closes the descriptor and frees the waker. Requests submitted with it that were not finished become
 * orphans: the card still computes them, does not signal them, and frees their memory. After this returns, no
 * signal goes to the descriptor's number. No other thread may be using the waker. */
void ersatz_waker_free(struct ersatz_waker *waker);

/* False if the program has closed the waker's descriptor (by closefrom(3), for example), so that the number
 * may belong to another file. Such a waker cannot signal anything. Free it, which leaves the number alone,
 * and make another. */
bool ersatz_waker_is_whole(const struct ersatz_waker *waker);

/* Call in the child of a fork before using a waker that is whole. Puts an eventfd of the child's own behind
 * the descriptor's number and forgets the parent's requests. Does nothing in the process that made the waker.
 * ERSATZ_NO_DESCRIPTORS. */
enum ersatz_result ersatz_waker_after_fork(struct ersatz_waker *waker);

#endif
