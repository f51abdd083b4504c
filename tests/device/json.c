/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as it is written: escapes, UTF-8 that is right and that is not, commas and lines. */
#include "base/json.h"

#include "check.h"
#include "ersatz/output.h"

static char written[512];

static FILE *begin(void)
{
    FILE *stream = fmemopen(written, sizeof(written), "w");

    CHECK(stream != NULL);
    return stream;
}

static void end(FILE *stream, const char *expected)
{
    CHECK(fclose(stream) == 0);
    if (strcmp(written, expected) != 0) {
        fprintf(stderr, "written:  %s\nexpected: %s\n", written, expected);
        FAIL("other JSON than expected");
    }
}

static void check_string(const char *text, size_t size, const char *expected)
{
    FILE *stream = begin();

    ersatz_json_string(text, size, stream);
    end(stream, expected);
}

static void test_strings(void)
{
    static const struct {
        const char *text, *expected;
    } known[] = {
        {"", "\"\""},
        {"a \"b\" \\ c\n\t\x7f", "\"a \\\"b\\\" \\\\ c\\n\\u0009\\u007f\""},
        {"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x94\x91", "\"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x94\x91\""},
        {"\xc3", "\"\\ufffd\""},                                  /* cut */
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},                       /* cut */
        {"na\xefve", "\"na\\ufffdve\""},                          /* Latin-1 */
        {"\x80", "\"\\ufffd\""},                                  /* no beginning */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},                       /* longer than need be */
        {"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},            /* the same */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* half a surrogate pair */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* beyond U+10FFFF */
        {"\xfc\x88\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* no first byte */
        {"\xff", "\"\\ufffd\""},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        check_string(known[i].text, strlen(known[i].text), known[i].expected);
    check_string("abc", 2, "\"ab\"");
    check_string("ab\0cd", 5, "\"ab\"");
    check_string("a\xc3\xa4", 2, "\"a\\ufffd\""); /* the size cuts a character in two */
}

static void test_values(void)
{
    FILE *stream = begin();
    struct json json = {.stream = stream}, compact;

    json_open(&json, NULL, '{');
    json_line(&json, "  ");
    json_number(&json, "a", UINT64_MAX);
    json_signed(&json, "b", -1);
    json_line(&json, "  ");
    json_open(&json, "c", '[');
    json_bool(&json, NULL, true);
    json_text(&json, NULL, "x");
    json_open(&json, NULL, '{');
    json_close(&json, '}');
    json_close(&json, ']');
    json_seconds(&json, "d", 1500000000);
    json_line(&json, "");
    json_close(&json, '}');
    end(stream,
        "{\n  \"a\": 18446744073709551615, \"b\": -1,\n  \"c\": [true, \"x\", {}], \"d\": 1.500000\n}");

    stream = begin();
    compact = (struct json){.stream = stream, .compact = true};
    json_open(&compact, NULL, '[');
    json_open(&compact, NULL, '{');
    json_microseconds(&compact, "ts", 1002003);
    json_format(&compact, "id", "0x%x", 255u);
    json_close(&compact, '}');
    json_value(&compact, NULL);
    fputs("null", stream);
    json_close(&compact, ']');
    end(stream, "[{\"ts\":1002.003,\"id\":\"0xff\"},null]");
}

int main(void)
{
    test_begin(60);
    test_strings();
    test_values();
    return 0;
}
