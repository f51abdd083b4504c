/* Between bytes and digits of 52 bits, without a branch or an address that depends on the number. */
#include "digits.h"

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

/* Bit i * 52 stands in byte i * 13 / 2, at bit 0 or 4 of it. */
void digits_from_bytes(uint64_t *digits, unsigned count, const uint8_t *bytes, size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        size_t first = (size_t)i * 13 / 2;
        uint64_t word = 0;

        for (unsigned byte = 0; byte < 7; byte++)
            if (first + byte < len)
                word |= (uint64_t)bytes[len - 1 - first - byte] << (8 * byte);
        digits[i] = (i % 2 == 0 ? word : word >> 4) & DIGIT_MASK;
    }
}

void digits_to_bytes(uint8_t *bytes, size_t len, const uint64_t *digits, unsigned count)
{
    for (size_t byte = 0; byte < len; byte++) {
        size_t bit = 8 * byte;
        size_t digit = bit / DIGIT_BITS, shift = bit % DIGIT_BITS;
        uint64_t value = digit < count ? digits[digit] >> shift : 0;

        if (shift > DIGIT_BITS - 8 && digit + 1 < count)
            value |= digits[digit + 1] << (DIGIT_BITS - shift);
        bytes[len - 1 - byte] = (uint8_t)value;
    }
}

uint64_t digits_below(const uint64_t *a, const uint64_t *b, unsigned count)
{
    uint64_t borrow = 0;

    for (unsigned i = 0; i < count; i++)
        borrow = (a[i] - b[i] - borrow) >> 63; /* digits have 52 bits: the top bit is the borrow */
    return 0 - borrow;
}
