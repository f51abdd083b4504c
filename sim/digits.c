/* Between bytes and digits of 52 bits, without a branch or an address that depends on the number. */
#include "digits.h"

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

/* The 64 bits from bit 64 * index on: they may begin in one digit and end in the next but one. */
static uint64_t word_of(const uint64_t *digits, unsigned count, size_t index)
{
    size_t bit = 64 * index, first = bit / DIGIT_BITS, shift = bit % DIGIT_BITS, next = DIGIT_BITS - shift;
    uint64_t word = 0;

    if (first < count)
        word = digits[first] >> shift;
    if (first + 1 < count)
        word |= digits[first + 1] << next;
    if (first + 2 < count && next + DIGIT_BITS < 64)
        word |= digits[first + 2] << (next + DIGIT_BITS);
    return word;
}

void digits_to_bytes(uint8_t *bytes, size_t len, const uint64_t *digits, unsigned count)
{
    for (size_t byte = 0; byte < len; byte += sizeof(uint64_t)) {
        uint64_t word = htobe64(word_of(digits, count, byte / sizeof(word)));
        size_t take = len - byte < sizeof(word) ? len - byte : sizeof(word);

        memcpy(bytes + len - byte - take, (const uint8_t *)&word + sizeof(word) - take, take);
    }
}

uint64_t digits_below(const uint64_t *a, const uint64_t *b, unsigned count)
{
    uint64_t borrow = 0;

    for (unsigned i = 0; i < count; i++)
        borrow = (a[i] - b[i] - borrow) >> 63; /* digits have 52 bits: the top bit is the borrow */
    return 0 - borrow;
}
