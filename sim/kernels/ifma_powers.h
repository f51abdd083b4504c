/* SPDX-License-Identifier: Apache-2.0 */
/* Looks into the table of powers. All of it is compiled into ifma_montgomery.c. */
#ifndef ERSATZ_SIM_KERNELS_IFMA_POWERS_H
#define ERSATZ_SIM_KERNELS_IFMA_POWERS_H

#include "ifma_columns.h"

/*
 * The next digits of each lane's power. Every power is read, by loads without a mask (with one, a core need
 * not touch what no lane wants). Of four powers, a group, the window's lower two bits choose one; then, of
 * every two groups, two pairs of groups and so on, one of its upper bits does. That takes as many masked
 * moves as a mask for each power would, but six masks in all, which stay in registers: making a mask costs a
 * core as much as a product, and loading one half of that. Beside products, loads and moves cost nothing.
 */
struct look_up {
    const __m512i *table;
    __m512i *out;
    __m512i waiting[WINDOW_BITS - 2]; /* of a group, two groups, four groups: for the other half */
    struct window window;
};

/* Into a register for masks, where compilers would keep it in one for integers. */
INLINE __mmask8 load_mask(const __mmask8 *mask)
{
    __mmask8 loaded = *mask;

    __asm__("" : "+Yk"(loaded));
    return loaded;
}

/* The last digits are looked up again where there are fewer than count left. */
INLINE void look_up_begin(const unsigned count, struct look_up *look_up, struct montgomery *mont)
{
    const unsigned last = shape_digits(mont->shape) - count;
    const unsigned first = mont->looked_up < last ? mont->looked_up : last;

    look_up->table = mont->table + first * POWERS;
    look_up->out = mont->operand + first;
    UNROLL for (unsigned i = 0; i < 3; i++) look_up->window.lower_is[i] =
        load_mask(mont->window.lower_is + i);
    UNROLL for (unsigned i = 0; i < WINDOW_BITS - 2; i++) look_up->window.upper[i] =
        load_mask(mont->window.upper + i);
    mont->looked_up = first + count;
}

INLINE void look_up_group(struct look_up *look_up, unsigned digit, unsigned group)
{
    const __m512i *powers = look_up->table + digit * POWERS + 4 * group;
    __m512i found = load_once(powers);
    unsigned level = 0;

    UNROLL for (unsigned i = 1; i < 4; i++) found =
        _mm512_mask_mov_epi64(found, look_up->window.lower_is[i - 1], load_once(powers + i));
    for (; (group >> level & 1) != 0; level++)
        found = _mm512_mask_mov_epi64(look_up->waiting[level], look_up->window.upper[level], found);
    if (level == WINDOW_BITS - 2)
        look_up->out[digit] = found;
    else
        look_up->waiting[level] = found;
}

/* Part of 0 to parts - 1 of the powers. */
INLINE void look_up_part(const unsigned count, struct look_up *look_up, unsigned part, unsigned parts)
{
    const unsigned groups = POWERS / 4;

    UNROLL for (unsigned i = part * count * groups / parts; i < (part + 1) * count * groups / parts; i++)
        look_up_group(look_up, i / groups, i % groups);
}

#endif
