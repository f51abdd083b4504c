/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of the card's work. They exist apart from any device, so they include several devices, one after
 * the other, and operations that the calling core computed.
 */
#ifndef ERSATZ_STATS_H
#define ERSATZ_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Names of operations, as in the "requests" object of the statistics. */
enum ersatz_request_name {
    ERSATZ_REQUEST_RSA_PRIV,
    ERSATZ_REQUEST_RSA_PUB,
    ERSATZ_REQUEST_AES_CBC,
    ERSATZ_REQUEST_AES_CTR,
    ERSATZ_REQUEST_AES_GCM,
    ERSATZ_REQUEST_AES_XTS,
    ERSATZ_REQUEST_AES_ECB,
    ERSATZ_REQUEST_AES_CFB,
    ERSATZ_REQUEST_AES_OFB,
    ERSATZ_REQUEST_AES_CCM,
    ERSATZ_REQUEST_AES_CBC_HMAC_SHA1,
    ERSATZ_REQUEST_AES_CBC_HMAC_SHA256,
    ERSATZ_REQUEST_NAMES
};

/* "rsa_priv", ... */
const char *ersatz_request_name_text(enum ersatz_request_name name);

/* A title for reports: "RSA private-key", "AES-GCM", ... */
const char *ersatz_request_name_title(enum ersatz_request_name name);

/* Kernels: the code that computes operations. */
enum ersatz_kernel {
    ERSATZ_KERNEL_PORTABLE, /* libcrypto: any operation, on any processor */
    ERSATZ_KERNEL_X86,      /* AES, one operation at a time, with the processor's AES instructions */
    ERSATZ_KERNEL_IPSEC_MB, /* AES by Intel's multi-buffer library, several at once */
    ERSATZ_KERNEL_IFMA,     /* RSA, several at once, with AVX-512 multiply-add of 52-bit integers */
    ERSATZ_KERNELS
};

/* "portable", "x86", "ipsec-mb", "ifma". */
const char *ersatz_kernel_name(enum ersatz_kernel kernel);

/* Kinds of request whose number in flight an application can read. The values are those of
 * GET_NUM_REQUESTS_IN_FLIGHT in Intel's QAT_Engine (docs/engine_specific_messages.md there). */
enum ersatz_flight {
    ERSATZ_FLIGHT_ALL = 0,
    ERSATZ_FLIGHT_ASYM = 1,
    ERSATZ_FLIGHT_KDF = 2,
    ERSATZ_FLIGHT_CIPHER = 3,
    ERSATZ_FLIGHTS
};

/* The mistakes that FAULTS can make the card make: see faults.h. */
enum ersatz_fault {
    ERSATZ_FAULT_RING_FULL, /* a request finds its ring full */
    ERSATZ_FAULT_LATE,      /* a completion comes late */
    ERSATZ_FAULT_REORDER,   /* a completion is overtaken by others */
    ERSATZ_FAULT_BURST,     /* completions are held back and come together; counted once per burst */
    ERSATZ_FAULT_SPURIOUS,  /* a descriptor is readable before its request is complete */
    ERSATZ_FAULT_FAIL,      /* an operation fails */
    ERSATZ_FAULT_CORRUPT,   /* a result is wrong */
    ERSATZ_FAULT_RESET,     /* the card resets, and works again after a while */
    ERSATZ_FAULT_GONE,      /* the card is gone for good */
    ERSATZ_FAULT_HANG,      /* a request does not complete */
    ERSATZ_FAULT_SLOW,      /* an operation of one kind takes longer, each time */
    ERSATZ_FAULT_BOOT,      /* a request waits until the card is up */
    ERSATZ_FAULT_FORK,      /* a request completes while the program forks */
    ERSATZ_FAULT_EARLY,     /* a request completes only after its job has been resumed early */
    ERSATZ_FAULT_READY,     /* a request is complete, and signalled, before its job pauses */
    ERSATZ_FAULTS
};

/* What the threads of the card count, most of it once a batch: see ersatz_stats_count(). */
enum ersatz_counter {
    ERSATZ_COUNTER_COMPLETED, /* operations that were computed, with any result */
    ERSATZ_COUNTER_FAILED,    /* how many of these had another result than ERSATZ_OK */
    ERSATZ_COUNTER_BATCHES,
    ERSATZ_COUNTER_IO_URING_ENTERS, /* io_uring_enter calls of workers that posted completions */
    ERSATZ_COUNTER_WAKEUPS,         /* eventfd signals posted */
    ERSATZ_COUNTER_MESSAGES,        /* completions sent to a response ring */
    ERSATZ_COUNTER_CALLBACKS,       /* counted by the thread that reaps */
    ERSATZ_COUNTER_SLEEPS,          /* times a worker found nothing to do and went to sleep */
    ERSATZ_COUNTERS
};

#define ERSATZ_STATS_NAME_WORDS 4u /* of a profile: 31 characters and a zero */
#define ERSATZ_STATS_SHARDS 256u   /* see ersatz_stats_requests() */

/* All counters are relaxed: they order nothing, and a reader may see one updated before another. All may be
 * read at any time. A zeroed structure is ready for use. */
struct ersatz_stats {
    /* written by submitters */
    _Alignas(64) _Atomic uint64_t retries; /* times a request found its ring full */
    _Atomic uint64_t early_resumes;        /* times a job was resumed before its request was done */
    _Atomic uint64_t orphans; /* requests whose wait context was freed or used again before they were done */
    _Atomic uint64_t in_flight_max; /* exact for one thread; of several, see ersatz_device_in_flight() */
    /* Requests in flight, counted here only for a device that was told to: ersatz_device_keep_in_flight().
     * The application may hold the address of these (heuristic polling), hence int. */
    _Alignas(64) _Atomic int in_flight[ERSATZ_FLIGHTS];
    _Alignas(64) _Atomic uint64_t faults[ERSATZ_FAULTS]; /* injected */
    /* how well the card kept the times of its profile; written by workers and the timer thread */
    _Alignas(64) _Atomic uint64_t profile_name[ERSATZ_STATS_NAME_WORDS]; /* text; empty: no profile */
    _Atomic uint64_t profile_told;        /* requests that were signalled; a group is one */
    _Atomic uint64_t profile_late;        /* how many of these were computed after they were due */
    _Atomic uint64_t profile_late_max_ns; /* the longest delay among these */
    _Atomic uint64_t profile_asked_ns;    /* sums over the signalled requests: from acceptance until due, */
    _Atomic uint64_t profile_reached_ns;  /* and from acceptance until signalled */
    /* The workers of the card that was started last: those that have an io_uring of their own, and those that
     * have none, since locked memory was short (RLIMIT_MEMLOCK), and signal by write(2). And how often a
     * thread of that card, a worker or the timer thread, lost its io_uring, as io_uring_enter failed. */
    _Alignas(64) _Atomic uint64_t workers_with_ring;
    _Atomic uint64_t workers_without_ring;
    _Atomic uint64_t rings_failed;
    /* 1: an operation was asked for that libcrypto's random generator does not ask for, which takes
     * AES-256-ECB and AES-256-CTR from an engine. 0: there may be no others. Written by submitters. */
    _Atomic uint64_t asked;
    /* what each thread counts, of the application and of the card: see ersatz_stats_requests(),
     * ersatz_stats_inline(), ersatz_stats_count(), ersatz_stats_by_kernel() */
    struct {
        _Alignas(64) _Atomic uint64_t computed_inline[ERSATZ_KERNELS];
        _Atomic uint64_t requests[ERSATZ_REQUEST_NAMES];
        _Atomic uint64_t counters[ERSATZ_COUNTERS];
        _Atomic uint64_t by_kernel[ERSATZ_KERNELS];
    } shards[ERSATZ_STATS_SHARDS];
};

#define ERSATZ_WORKER_THREAD                                                                                 \
    "ersatz-worker" /* the name of workers' threads, for those who look at their load */

/* The shape of a running card, and how full its rings are. Zeroed: no card uses it. */
#define ERSATZ_LOAD_INSTANCES 64u /* further ones are not shown */
#define ERSATZ_FLIGHTS_CIPHER_SHIFT 31

/* The counts of one instance, which its card works with. They share a cache line, as all of them are written
 * with every request. */
struct ersatz_ring_counts {
    /* slots taken; sequentially consistent, see instance_enqueue() */
    _Alignas(64) _Atomic uint32_t in_flight;
    _Atomic uint32_t lenders; /* calls of lend() that compute; sequentially consistent, see lend.c */
    /* 1 for each RSA operation in flight, 1 << ERSATZ_FLIGHTS_CIPHER_SHIFT for each cipher operation, and in
     * the highest bits whether the statistics count them, too. Sequentially consistent to add, and for a
     * worker that drops idle instances; else relaxed, as the next two. */
    _Atomic uint64_t flights;
    _Atomic uint32_t flights_most;  /* at a time */
    _Atomic uint32_t flights_begun; /* roughly: every so often the device's sum is taken */
};

/* How many operations in flight of this kind a value of `flights` counts. */
static inline unsigned ersatz_flights_of(uint64_t flights, enum ersatz_flight kind)
{
    const uint64_t most = (UINT64_C(1) << ERSATZ_FLIGHTS_CIPHER_SHIFT) - 1;
    bool all = kind == ERSATZ_FLIGHT_ALL;
    uint64_t asym = all || kind == ERSATZ_FLIGHT_ASYM ? flights & most : 0;
    uint64_t cipher = all || kind == ERSATZ_FLIGHT_CIPHER ? flights >> ERSATZ_FLIGHTS_CIPHER_SHIFT & most : 0;

    return (unsigned)(asym + cipher);
}

struct ersatz_load {
    _Atomic uint32_t taken; /* 1: a card uses it, until its memory is freed; the others use none */
    _Atomic uint32_t workers, instances, ring_depth; /* relaxed */
    struct ersatz_ring_counts of[ERSATZ_LOAD_INSTANCES];
};

/* How many operations of this name request rings have accepted. Each thread counts in a shard of its own, so
 * that threads do not write to the same cache lines. The last 64 shards are for the threads that found none
 * of the others free, which share them. */
uint64_t ersatz_stats_requests(const struct ersatz_stats *stats, enum ersatz_request_name name);

/* How many operations calling cores have computed with this kernel. */
uint64_t ersatz_stats_inline(const struct ersatz_stats *stats, enum ersatz_kernel kernel);

/* The sum of what the threads of the card have counted; how many operations the card has computed with this
 * kernel. */
uint64_t ersatz_stats_count(const struct ersatz_stats *stats, enum ersatz_counter counter);
uint64_t ersatz_stats_by_kernel(const struct ersatz_stats *stats, enum ersatz_kernel kernel);

/* The name of the profile that the card models; empty: none. */
void ersatz_stats_profile(const struct ersatz_stats *stats, char name[ERSATZ_STATS_NAME_WORDS * 8]);

struct ersatz_findings;

struct ersatz_latency;

/* Writes the counters as one JSON object and a newline, including the findings unless that is NULL, and the
 * latencies of the kinds of which any were counted, unless that is NULL. Kernels that computed nothing are
 * listed if their bit is set in `kernels` (bit 0: the portable one). False: the stream reported an error. */
int ersatz_stats_write(const struct ersatz_stats *stats, const struct ersatz_findings *findings,
    const struct ersatz_latency *latency, unsigned kernels, FILE *stream);

/* Adds to a counter. */
static inline void ersatz_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Raises a maximum to at least value. */
static inline void ersatz_count_max(_Atomic uint64_t *max, uint64_t value)
{
    uint64_t now = atomic_load_explicit(max, memory_order_relaxed);

    while (value > now && !atomic_compare_exchange_weak_explicit(
                              max, &now, value, memory_order_relaxed, memory_order_relaxed))
        ;
}

#endif
