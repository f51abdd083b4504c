/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES on several vector registers at once, whatever their width: the AES instructions of some hide the
 * latency of the others. Included by x86_aes.h (128 bits, a block) and by x86_vaes.h (512 bits, four blocks),
 * each of which has defined before:
 *
 *   TARGET, INLINE                 attributes of functions that use these registers
 *   vector, VECTOR                 the type of a register, and its size in bytes
 *   VECTORS                        how many registers are worked on at once, at most
 *   load(), store()                a whole register
 *   load_part(), store_part()      its first bytes only; the others are zero, or are not written
 *   spread()                       a block, into every lane of 128 bits
 *   xor_vectors(), xor_three()
 *   encrypt_round(), encrypt_last_round(), decrypt_round(), decrypt_last_round()
 *
 * In all of them, count is a constant: loops are unrolled, and arrays are registers. What depends on data or
 * keys are the operands of instructions, never an address or a branch.
 */
#ifndef ERSATZ_SIM_KERNELS_X86_VECTORS_H
#define ERSATZ_SIM_KERNELS_X86_VECTORS_H

/* Arrays of vectors are then memory: up to 190 KiB in a frame, where a job's whole stack has 32. */
#ifndef __OPTIMIZE__
#error "kernels need optimization: kernel_flags in sim/meson.build"
#endif

/* clang 21 warns of the copy of a function that it then inlines, where count is no constant yet;
 * tests/kernels/unrolled looks at what was built. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

/* A loop that must be unrolled, at most so many times: only then do arrays of vectors become registers. Each
 * compiler ignores the other's words. */
#ifdef __clang__
#define UNROLLED(most) _Pragma("clang loop unroll(full)")
#else
#define UNROLLED_PRAGMA(text) _Pragma(#text)
#define UNROLLED(most) UNROLLED_PRAGMA(GCC unroll most)
#endif

/* A loop over registers, of which count is a constant. */
#define EACH(i, count) UNROLLED(8) for (unsigned i = 0; i < (count); i++)

/* All rounds but the last: those of a key of 128 bits, then two more for each longer key. one_round(keys,
 * vectors, count, round). */
#define ROUNDS(one_round, keys, vectors, count)                                                              \
    do {                                                                                                     \
        UNROLLED(9) for (unsigned round = 1; round < 10; round++) one_round(keys, vectors, count, round);    \
        LONG_KEY_ROUNDS(one_round, keys, vectors, count);                                                    \
    } while (0)

/* Of these, the ones that a key of 128 bits does not have. */
#define LONG_KEY_ROUNDS(one_round, keys, vectors, count)                                                     \
    do {                                                                                                     \
        if ((keys).rounds > 10) {                                                                            \
            one_round(keys, vectors, count, 10);                                                             \
            one_round(keys, vectors, count, 11);                                                             \
        }                                                                                                    \
        if ((keys).rounds > 12) {                                                                            \
            one_round(keys, vectors, count, 12);                                                             \
            one_round(keys, vectors, count, 13);                                                             \
        }                                                                                                    \
    } while (0)

/* count registers of text, or one of which there are only len bytes. */
INLINE void load_all(const uint8_t *in, vector vectors[], unsigned count, size_t len)
{
    if (len < VECTOR)
        vectors[0] = load_part(in, len);
    else
        EACH (i, count)
            vectors[i] = load(in + i * VECTOR);
}

INLINE void store_all(uint8_t *out, const vector vectors[], unsigned count, size_t len)
{
    if (len < VECTOR)
        store_part(out, vectors[0], len);
    else
        EACH (i, count)
            store(out + i * VECTOR, vectors[i]);
}

INLINE void xor_all(vector vectors[], const vector others[], unsigned count)
{
    EACH (i, count)
        vectors[i] = xor_vectors(vectors[i], others[i]);
}

INLINE vector round_key(struct round_keys keys, unsigned round)
{
    return spread(keys.key[round]);
}

INLINE void add_first_key(struct round_keys keys, vector vectors[], unsigned count)
{
    EACH (i, count)
        vectors[i] = xor_vectors(vectors[i], round_key(keys, 0));
}

INLINE void encrypt_round_all(struct round_keys keys, vector vectors[], unsigned count, unsigned round)
{
    EACH (i, count)
        vectors[i] = encrypt_round(vectors[i], round_key(keys, round));
}

INLINE void encrypt_last_round_all(struct round_keys keys, vector vectors[], unsigned count)
{
    EACH (i, count)
        vectors[i] = encrypt_last_round(vectors[i], round_key(keys, keys.rounds));
}

/* After the first key was added. */
INLINE void encrypt_rounds_all(struct round_keys keys, vector vectors[], unsigned count)
{
    ROUNDS(encrypt_round_all, keys, vectors, count);
    encrypt_last_round_all(keys, vectors, count);
}

INLINE void encrypt_all(struct round_keys keys, vector vectors[], unsigned count)
{
    add_first_key(keys, vectors, count);
    encrypt_rounds_all(keys, vectors, count);
}

INLINE void decrypt_round_all(struct round_keys keys, vector vectors[], unsigned count, unsigned round)
{
    EACH (i, count)
        vectors[i] = decrypt_round(vectors[i], round_key(keys, round));
}

/* encrypt_rounds_all(), and then xor_all() with others: one instruction less for each. */
INLINE void encrypt_rounds_and_xor(
    struct round_keys keys, vector vectors[], const vector others[], unsigned count)
{
    ROUNDS(encrypt_round_all, keys, vectors, count);
    EACH (i, count)
        vectors[i] = encrypt_last_round(vectors[i], xor_vectors(others[i], round_key(keys, keys.rounds)));
}

INLINE void decrypt_rounds_and_xor(
    struct round_keys keys, vector vectors[], const vector others[], unsigned count)
{
    ROUNDS(decrypt_round_all, keys, vectors, count);
    EACH (i, count)
        vectors[i] = decrypt_last_round(vectors[i], xor_vectors(others[i], round_key(keys, keys.rounds)));
}

INLINE void decrypt_all(struct round_keys keys, vector vectors[], unsigned count)
{
    add_first_key(keys, vectors, count);
    ROUNDS(decrypt_round_all, keys, vectors, count);
    EACH (i, count)
        vectors[i] = decrypt_last_round(vectors[i], round_key(keys, keys.rounds));
}

#endif
