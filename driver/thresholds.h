/* SPDX-License-Identifier: Apache-2.0 */
/* From which size on a cipher's operations are worth the way to the card. */
#ifndef ERSATZ_DRIVER_THRESHOLDS_H
#define ERSATZ_DRIVER_THRESHOLDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "ersatz/device.h"

#define THRESHOLD_DEFAULT 2048u
#define THRESHOLD_MAX 16384u /* as in QAT_Engine */

/* Threshold less default, by mode and key size, so that zero-initialised means default. Relaxed: each stands
 * for itself. */
extern _Atomic int thresholds_from_default[ERSATZ_MODES][3];

/* In place of one of these: nothing stays. */
extern const _Atomic int thresholds_none;

/* Where a key size is in there. key_bits: 128, 192 or 256. */
static inline unsigned threshold_size(unsigned key_bits)
{
    return (key_bits - 128) / 64;
}

/* Whether so many bytes, not 0, stay on the calling core, by their threshold in thresholds_from_default: as
 * in QAT_Engine, those of the threshold itself do, and of 0 nothing does. Few instructions, for texts of
 * which each counts. Any thread, at any time. */
static inline bool threshold_keeps_some(const _Atomic int *from_default, size_t bytes)
{
    return bytes - 1 <
           (size_t)((int)THRESHOLD_DEFAULT + atomic_load_explicit(from_default, memory_order_relaxed));
}

/* The same of any number of bytes. The empty end of a message stays where one byte would. */
static inline bool threshold_keeps(enum ersatz_mode mode, unsigned size, size_t bytes)
{
    return threshold_keeps_some(&thresholds_from_default[mode][size], bytes == 0 ? 1 : bytes);
}

/* Set the thresholds that a list names: "AES-128-CBC:4096,AES-256-GCM:8192". A number below the range counts
 * as 0, one above it as THRESHOLD_MAX, as in QAT_Engine; an algorithm that only that engine has is accepted
 * and ignored. False: the list is wrong, *error says where, and nothing has changed. */
bool thresholds_set(const char *list, struct ersatz_error *error);

/* Set the threshold of every cipher to the default. */
void thresholds_reset(void);

#endif
