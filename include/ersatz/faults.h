/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults: which mistakes the card makes, on which requests. A list of rules is parsed from text and given to
 * a device in its configuration (struct ersatz_config). Requests are numbered from 1 in the order of
 * submission; a request that is submitted again keeps its number. Which requests a rule strikes depends only
 * on the number and on the configuration's seed. docs/faults.md describes each fault.
 *
 * C and POSIX only, and the conventions of device.h.
 */
#ifndef ERSATZ_FAULTS_H
#define ERSATZ_FAULTS_H

#include "ersatz/device.h"

enum ersatz_fault_when {
    ERSATZ_WHEN_CHANCE, /* every request, with a probability */
    ERSATZ_WHEN_FIRST,  /* the first requests */
    ERSATZ_WHEN_NUMBER, /* one request */
    ERSATZ_WHEN_ALWAYS, /* burst, slow, boot */
};

#define ERSATZ_FAULT_CERTAIN 1000000000u /* a probability of 1 */

struct ersatz_fault_rule {
    enum ersatz_fault fault;
    enum ersatz_fault_when when;
    uint64_t value;   /* the probability, the count, or the number; burst: completions per burst;
                       * slow: enum ersatz_request_name */
    uint64_t time_ns; /* how long the fault lasts; 0 for a fault without a time */
};

#define ERSATZ_FAULT_RULES_MAX 32u

/* Plain data; may be copied. */
struct ersatz_faults {
    unsigned count;
    struct ersatz_fault_rule rules[ERSATZ_FAULT_RULES_MAX];
};

/* Parses a list such as "late=5%:2ms, fail=#100"; "none" is the empty list. ERSATZ_BAD_CONFIG: there is an
 * error at *offset, error->text says what was expected there, and *faults must not be used. */
enum ersatz_result ersatz_faults_parse(
    const char *text, struct ersatz_faults *faults, size_t *offset, struct ersatz_error *error);

/* The whole grammar, in several lines, without a newline at the end. */
extern const char ersatz_faults_grammar[];

/* "ring_full", "late", ... */
const char *ersatz_fault_name(enum ersatz_fault fault);

/* A description of the fault. */
const char *ersatz_fault_text(enum ersatz_fault fault);

/* The first rule that strikes request `number` with that fault, or NULL. Not for slow, which depends on the
 * operation. A pure function. */
const struct ersatz_fault_rule *ersatz_fault_strikes(
    const struct ersatz_faults *faults, uint64_t seed, uint64_t number, enum ersatz_fault fault);

/* The rule that makes operations of that name slow, or NULL. A pure function. */
const struct ersatz_fault_rule *ersatz_fault_slows(
    const struct ersatz_faults *faults, enum ersatz_request_name name);

/*
 * What follows may be called while the device runs, on one that was opened as steered or with a list that is
 * not empty; on others it changes nothing, and the answer is false or ERSATZ_TOO_LATE.
 *
 * The list of faults is replaced. Requests that were submitted before keep the faults that they have; the
 * next request is the first that the new list counts. ERSATZ_NO_MEMORY: the old list stays.
 */
enum ersatz_result ersatz_device_replace_faults(
    struct ersatz_device *device, const struct ersatz_faults *faults);

/* As the faults reset (the card accepts nothing for so many nanoseconds; 0: it is back at once) and gone. A
 * card that is down already is not reset. */
bool ersatz_device_reset(struct ersatz_device *device, uint64_t time_ns);
bool ersatz_device_remove(struct ersatz_device *device);

/* The card that was reset, or is gone, accepts requests again. */
bool ersatz_device_bring_back(struct ersatz_device *device);

/* True if an injected fault made the request, or one of its group, fail or be refused; error->text then names
 * the fault and the request's number. Call before ersatz_request_finish(). */
bool ersatz_request_blame(const struct ersatz_request *request, struct ersatz_error *error);

#endif
