/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults: what the card is told to do wrong, to which requests. A list of rules is made from text and given
 * to a device in its configuration (struct ersatz_config). Requests are numbered as they are submitted, from
 * 1, each once however often it is tried again; which of them a rule strikes follows from the configuration's
 * seed and the number alone. docs/faults.md says what each fault does.
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
    ERSATZ_WHEN_ALWAYS, /* burst */
};

#define ERSATZ_FAULT_CERTAIN 1000000000u /* chances are out of so many */

struct ersatz_fault_rule {
    enum ersatz_fault fault;
    enum ersatz_fault_when when;
    uint64_t value;   /* the chance, how many, the number; burst: how many come together */
    uint64_t time_ns; /* how long it lasts; 0 for a fault that takes no time */
};

#define ERSATZ_FAULT_RULES_MAX 32u

/* Plain data, to be copied at will. */
struct ersatz_faults {
    unsigned count;
    struct ersatz_fault_rule rules[ERSATZ_FAULT_RULES_MAX];
};

/* Read a list: "late=5%:2ms, fail=#100". "none" is the empty one. ERSATZ_BAD_CONFIG: it is wrong at *offset,
 * and error->text says what was expected there; *faults is not to be used. */
enum ersatz_result ersatz_faults_parse(
    const char *text, struct ersatz_faults *faults, size_t *offset, struct ersatz_error *error);

/* The whole grammar, lines of it without a newline at the end. */
extern const char ersatz_faults_grammar[];

/* "ring_full", "late", ... */
const char *ersatz_fault_name(enum ersatz_fault fault);

/* What it does, in a sentence. */
const char *ersatz_fault_text(enum ersatz_fault fault);

/* The first rule by which request `number` has that fault, or NULL. A pure function. */
const struct ersatz_fault_rule *ersatz_fault_strikes(
    const struct ersatz_faults *faults, uint64_t seed, uint64_t number, enum ersatz_fault fault);

/* Whether it was an injected fault that made a request, or one of its group, fail or be refused: then
 * error->text says which, and the request's number. Before ersatz_request_finish(). */
bool ersatz_request_blame(const struct ersatz_request *request, struct ersatz_error *error);

#endif
