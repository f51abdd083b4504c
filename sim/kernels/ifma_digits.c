/* SPDX-License-Identifier: Apache-2.0 */
/* Between bytes and digits of 52 bits, without a branch or an address that depends on the number. */
#include "ifma_digits.h"

#include <endian.h>
#include <string.h>

/* A shape wastes at most a few digits: with blocks of 8, 9 and 10, every count from 24 digits on is within 2
 * of its multiple. */
bool shape_for(unsigned bits, struct shape *shape)
{
    unsigned needed = (bits + 2 + DIGIT_BITS - 1) / DIGIT_BITS;
    unsigned best = DIGITS_MAX + 1;

    for (unsigned block = BLOCK_MAX; block >= BLOCK_MIN; block--) {
        unsigned blocks = (needed + block - 1) / block;

        if (blocks * block < best) { /* of two that are as long, the one with fewer blocks */
            best = blocks * block;
            *shape = (struct shape){block, blocks};
        }
    }
    return best <= DIGITS_MAX;
}

/* The 64 bits from bit 8 * byte on. */
static uint64_t word_from(const uint8_t *bytes, size_t len, size_t byte)
{
    uint64_t word = 0;

    if (byte + sizeof(word) <= len) {
        memcpy(&word, bytes + len - byte - sizeof(word), sizeof(word));
        return be64toh(word);
    }
    for (unsigned i = 0; byte + i < len; i++)
        word |= (uint64_t)bytes[len - 1 - byte - i] << (8 * i);
    return word;
}

/* Bit i * 52 stands in byte i * 13 / 2, at bit 0 or 4 of it. */
void digits_from_bytes(uint64_t *digits, unsigned count, const uint8_t *bytes, size_t len)
{
    for (unsigned i = 0; i < count; i++)
        digits[i] = word_from(bytes, len, (size_t)i * 13 / 2) >> (i % 2 * 4) & DIGIT_MASK;
}

static uint64_t digit_at(const uint64_t *digits, unsigned count, size_t index)
{
    return index < count ? digits[index] : 0;
}

/* The 64 bits from a bit of a digit on: they may end in the next but one. */
static uint64_t word_of(const uint64_t *digits, unsigned count, size_t first, unsigned bit)
{
    uint64_t word = digit_at(digits, count, first) >> bit;

    word |= digit_at(digits, count, first + 1) << (DIGIT_BITS - bit);
    if (2 * DIGIT_BITS - bit < 64)
        word |= digit_at(digits, count, first + 2) << (2 * DIGIT_BITS - bit);
    return word;
}

void digits_to_bytes(uint8_t *bytes, size_t len, const uint64_t *digits, unsigned count)
{
    size_t first = 0;
    unsigned bit = 0;

    for (size_t byte = 0; byte < len; byte += sizeof(uint64_t)) {
        uint64_t word = htobe64(word_of(digits, count, first, bit));

        if (len - byte >= sizeof(word))
            memcpy(bytes + len - byte - sizeof(word), &word, sizeof(word));
        else
            memcpy(bytes, (const uint8_t *)&word + sizeof(word) - (len - byte), len - byte);
        bit += 64 - DIGIT_BITS; /* and a whole digit */
        first += bit < DIGIT_BITS ? 1 : 2;
        bit -= bit < DIGIT_BITS ? 0 : DIGIT_BITS;
    }
}

uint64_t digits_below(const uint64_t *a, const uint64_t *b, unsigned count)
{
    uint64_t borrow = 0;

    for (unsigned i = 0; i < count; i++)
        borrow = (a[i] - b[i] - borrow) >> 63; /* digits have 52 bits: the top bit is the borrow */
    return 0 - borrow;
}
