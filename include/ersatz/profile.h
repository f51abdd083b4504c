/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles: the timing and shape of a modelled card. A request that the card accepts waits for a free unit,
 * is served there for a time that hangs on the operation, the size of its key and its bytes, and is told of
 * after a fixed latency and some jitter. The host computes the result meanwhile. Where it takes longer than
 * the modelled card would, the statistics say so: see struct ersatz_stats.
 *
 * docs/profiles.md explains the files that hold one.
 */
#ifndef ERSATZ_PROFILE_H
#define ERSATZ_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "ersatz/device.h"

#define ERSATZ_PROFILE_NAME_MAX 32u /* with its end */
#define ERSATZ_PROFILE_TEXT_MAX 512u
#define ERSATZ_PROFILE_SIZES_MAX 12u
#define ERSATZ_PROFILE_UNITS_MAX 4096u
#define ERSATZ_PROFILE_TIME_MAX UINT64_C(3600000000000) /* an hour, in nanoseconds */

enum ersatz_jitter_kind {
    ERSATZ_JITTER_NONE,
    ERSATZ_JITTER_UNIFORM,     /* between a and b */
    ERSATZ_JITTER_NORMAL,      /* mean a, standard deviation b; never below 0 */
    ERSATZ_JITTER_EXPONENTIAL, /* mean a: mostly little, now and then a lot */
};

struct ersatz_jitter {
    enum ersatz_jitter_kind kind;
    uint64_t a_ns, b_ns;
};

/* How long a unit works on an operation with an RSA key. By size, smallest first; between two sizes and
 * beyond them it grows by a power of the size, see docs/profiles.md. None: no time at all. */
struct ersatz_rsa_times {
    unsigned count;
    struct {
        unsigned bits;
        uint64_t ns;
    } size[ERSATZ_PROFILE_SIZES_MAX];
};

/* How long it works on a cipher operation: so much, and for each byte so much more. */
struct ersatz_cipher_time {
    uint64_t ns;
    uint64_t ps_per_byte;
};

struct ersatz_profile {
    char name[ERSATZ_PROFILE_NAME_MAX];
    char about[ERSATZ_PROFILE_TEXT_MAX];     /* what it models, in a line */
    char source[ERSATZ_PROFILE_TEXT_MAX];    /* where its figures come from */
    unsigned workers, instances, ring_depth; /* as in struct ersatz_config; 0: as without a profile */
    uint64_t latency_ns;
    struct ersatz_jitter jitter;
    unsigned units;                /* for everything; 0: see the next two */
    unsigned rsa_units, aes_units; /* 0: as many as there are requests */
    struct ersatz_rsa_times rsa_private, rsa_public;
    struct ersatz_cipher_time aes[ERSATZ_REQUEST_NAMES]; /* those of RSA are not looked at */
    uint32_t
        software; /* a bit 1 << name for each operation that the card has not, and the calling core does */
};

/* Those built in, from 0 in the order of a list for people; the first is "none". NULL: there are no more. */
const struct ersatz_profile *ersatz_profile_builtin(unsigned index);

/* Read one: the name of one built in, or the path of a file (it has a slash in it). ERSATZ_BAD_CONFIG: *error
 * names the line, what is wrong with it and what was expected. */
enum ersatz_result ersatz_profile_read(
    const char *name_or_path, struct ersatz_profile *profile, struct ersatz_error *error);

/* Whether nothing in it makes a difference. */
bool ersatz_profile_is_none(const struct ersatz_profile *profile);

/* How long a unit works on an operation of this name: with a key of so many bits (RSA), or on so many bytes
 * (AES). */
uint64_t ersatz_profile_service_ns(
    const struct ersatz_profile *profile, enum ersatz_request_name name, uint64_t bits_or_bytes);

#endif
