/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and times as a person writes them. */
#include "base/units.h"

#include "check.h"

static void test_whole(void)
{
    const char *text = "0012x";
    uint64_t number;

    CHECK(units_whole(text, 12, &number) == text + 4);
    CHECK_EQ(number, 12);
    CHECK(units_whole(text, 11, &number) == NULL);
    CHECK(units_whole("", 11, &number) == NULL);
    CHECK(units_whole("-1", 11, &number) == NULL);
    CHECK(units_whole("5", 4, &number) == NULL);
    CHECK(units_whole("18446744073709551615", UINT64_MAX, &number) != NULL && number == UINT64_MAX);
    CHECK(units_whole("18446744073709551616", UINT64_MAX, &number) == NULL);
    CHECK(units_whole("99999999999999999999999", UINT64_MAX, &number) == NULL);
}

static void test_decimal(void)
{
    static const struct {
        const char *text;
        uint64_t scale, max, number;
        size_t read; /* 0: refused */
    } known[] = {
        {"1.5ms", 1000, 10000, 1500, 3},
        {"1.", 1000, 10000, 1000, 2},
        {"1.23456", 1000, 10000, 1234, 7}, /* cut off */
        {"10", 1000, 10000, 10000, 2},
        {"10.001", 1000, 10000, 0, 0},
        {"11", 1000, 10000, 0, 0},
        {".5", 1000, 10000, 0, 0},
        {"1.5", 1, 10, 1, 3},
        {"18446744073709551616.5", 10, UINT64_MAX, 0, 0},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint64_t number = 0;
        const char *end = units_decimal(known[i].text, known[i].scale, known[i].max, &number);

        CHECK_EQ(end == NULL, known[i].read == 0);
        CHECK(end == NULL || end == known[i].text + known[i].read);
        CHECK(end == NULL || number == known[i].number);
    }
}

static void test_time(void)
{
    const char *text = "msx";
    uint64_t ps;

    CHECK(units_time(text, &ps) == text + 2);
    CHECK_EQ(ps, UINT64_C(1000000000));
    CHECK(units_time("ns", &ps) != NULL && ps == UNITS_PS_PER_NS);
    CHECK(units_time("us", &ps) != NULL && ps == 1000 * UNITS_PS_PER_NS);
    CHECK(units_time("s", &ps) != NULL && ps == UINT64_C(1000000000000));
    CHECK(units_time("min", &ps) == NULL);
    CHECK(units_time("", &ps) == NULL);
}

int main(void)
{
    test_begin(60);
    test_whole();
    test_decimal();
    test_time();
    return 0;
}
