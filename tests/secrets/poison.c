/* SPDX-License-Identifier: Apache-2.0 */
/* See poison.h. */
#include "poison.h"

#include <valgrind/memcheck.h>

#include "check.h"

/* As it is in every libcrypto 3.x; there is no other way to the words. */
struct bignum_st {
    BN_ULONG *words;
    int count, room, negative, flags;
};

void poison(void *bytes, size_t len)
{
    VALGRIND_MAKE_MEM_UNDEFINED(bytes, len);
}

void poison_number(BIGNUM *number)
{
    poison(number->words, (size_t)number->room * sizeof(BN_ULONG));
}

void declassify(void *bytes, size_t len)
{
    VALGRIND_MAKE_MEM_DEFINED(bytes, len);
}

/* Asked so that it is no error of its own. */
bool is_poisoned(const void *bytes, size_t len)
{
    unsigned char undefined[1024];

    CHECK(len <= sizeof(undefined) && VALGRIND_GET_VBITS(bytes, undefined, len) == 1);
    for (size_t i = 0; i < len; i++) {
        if (undefined[i] != 0)
            return true;
    }
    return false;
}

bool is_poisoned_number(const BIGNUM *number)
{
    return is_poisoned(number->words, sizeof(BN_ULONG));
}

unsigned errors(void)
{
    return (unsigned)VALGRIND_COUNT_ERRORS;
}

void see_a_leak(void)
{
    unsigned char bytes[16] = {1};
    unsigned before = errors();
    BIGNUM *number;

    CHECK(RUNNING_ON_VALGRIND);
    poison(bytes, sizeof(bytes));
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    CHECK(errors() > before);
    BN_free(number);
}
