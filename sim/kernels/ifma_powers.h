/* SPDX-License-Identifier: Apache-2.0 */
/* Looks into the table of powers. All of it is compiled into ifma_montgomery.c. */
#ifndef ERSATZ_SIM_KERNELS_IFMA_POWERS_H
#define ERSATZ_SIM_KERNELS_IFMA_POWERS_H

#include "ifma_columns.h"

/*
 * The next digits, at most LOOK_UP_MAX, of each lane's power. Every power is read. Beside products, loads
 * cost a core nothing; making a mask costs it as much as a product, so they are made once for all digits.
 */
struct look_up {
    unsigned first;
    const __m512i *table;
    __m512i found[LOOK_UP_MAX];
};

/* The last digits are looked up again where there are fewer than count left. */
INLINE void look_up_begin(const unsigned count, struct look_up *look_up, const struct montgomery *mont)
{
    const unsigned last = shape_digits(mont->shape) - count;

    look_up->first = mont->looked_up < last ? mont->looked_up : last;
    look_up->table = mont->table + look_up->first * POWERS;
    UNROLL for (unsigned i = 0; i < count; i++) look_up->found[i] = _mm512_setzero_si512();
}

/* Part of 0 to parts - 1 of the powers. */
INLINE void look_up_part(const unsigned count, struct look_up *look_up, const struct montgomery *mont,
    unsigned part, unsigned parts)
{
    UNROLL for (unsigned power = part * POWERS / parts; power < (part + 1) * POWERS / parts; power++)
    {
        __mmask8 here = mont->here[power];

        UNROLL for (unsigned i = 0; i < count; i++) look_up->found[i] =
            _mm512_mask_mov_epi64(look_up->found[i], here, load_once(look_up->table + i * POWERS + power));
    }
}

INLINE void look_up_end(const unsigned count, const struct look_up *look_up, struct montgomery *mont)
{
    UNROLL for (unsigned i = 0; i < count; i++) mont->operand[look_up->first + i] = look_up->found[i];
    mont->looked_up = look_up->first + count;
}

#endif
