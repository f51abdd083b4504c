/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles: the speed and shape of a modelled card. A request that the card accepts waits for a free unit.
 * The unit serves it for a time that depends on the operation, the size of its key and its bytes. After a
 * fixed latency and some jitter, the request is signalled. The host computes the result meanwhile. If the
 * host takes longer than the modelled card would, the statistics say so: see struct ersatz_stats.
 *
 * docs/profiles.md describes the file format.
 */
#ifndef ERSATZ_PROFILE_H
#define ERSATZ_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "ersatz/device.h"

#define ERSATZ_PROFILE_NAME_MAX 32u /* including the terminating zero */
#define ERSATZ_PROFILE_TEXT_MAX 512u
#define ERSATZ_PROFILE_SIZES_MAX 12u
#define ERSATZ_PROFILE_UNITS_MAX 4096u
#define ERSATZ_PROFILE_TIME_MAX UINT64_C(3600000000000) /* an hour, in nanoseconds */

enum ersatz_jitter_kind {
    ERSATZ_JITTER_NONE,
    ERSATZ_JITTER_UNIFORM,     /* between a and b */
    ERSATZ_JITTER_NORMAL,      /* mean a, standard deviation b; never below 0 */
    ERSATZ_JITTER_EXPONENTIAL, /* mean a: mostly short, sometimes long */
};

struct ersatz_jitter {
    enum ersatz_jitter_kind kind;
    uint64_t a_ns, b_ns;
};

/* How long a unit works on an operation with an RSA key, by key size, smallest first. Between and beyond
 * these sizes, the time grows by a power of the size (docs/profiles.md). No sizes: no time. */
struct ersatz_rsa_times {
    unsigned count;
    struct {
        unsigned bits;
        uint64_t ns;
    } size[ERSATZ_PROFILE_SIZES_MAX];
};

/* How long a unit works on a cipher operation: ns, plus ps_per_byte for each byte. */
struct ersatz_cipher_time {
    uint64_t ns;
    uint64_t ps_per_byte;
};

struct ersatz_profile {
    char name[ERSATZ_PROFILE_NAME_MAX];
    char about[ERSATZ_PROFILE_TEXT_MAX];     /* the card that it models, in a line */
    char source[ERSATZ_PROFILE_TEXT_MAX];    /* the source of its figures */
    unsigned workers, instances, ring_depth; /* as in struct ersatz_config; 0: the default */
    uint64_t latency_ns;
    struct ersatz_jitter jitter;
    unsigned units;                /* for all operations; 0: see the next two */
    unsigned rsa_units, aes_units; /* 0: no limit */
    struct ersatz_rsa_times rsa_private, rsa_public;
    struct ersatz_cipher_time aes[ERSATZ_REQUEST_NAMES]; /* the entries of RSA are ignored */
    /* a bit 1 << name for each operation that the card lacks; the calling core computes it */
    uint32_t software;
};

/* The built-in profiles, from index 0 on; the first is "none". NULL: there are no more. */
const struct ersatz_profile *ersatz_profile_builtin(unsigned index);

/* Reads a profile: name_or_path is the name of a built-in one, or the path of a file (with a slash in it).
 * ERSATZ_BAD_CONFIG: *error names the line, the mistake, and what was expected. */
enum ersatz_result ersatz_profile_read(
    const char *name_or_path, struct ersatz_profile *profile, struct ersatz_error *error);

/* True if the profile changes nothing. */
bool ersatz_profile_is_none(const struct ersatz_profile *profile);

/* How long a unit works on an operation of this name: with a key of that many bits (RSA), or on that many
 * bytes (AES). */
uint64_t ersatz_profile_service_ns(
    const struct ersatz_profile *profile, enum ersatz_request_name name, uint64_t bits_or_bytes);

#endif
