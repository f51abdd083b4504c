/* SPDX-License-Identifier: Apache-2.0 */
/* See transcript.h. */
#include "transcript.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdarg.h>

#include "check.h"
#include "sequence/source.h"

/* The library's random bytes while a script runs: those of SET_IV_FIXED have to repeat too. The card's
 * workers have their own. */
static _Thread_local uint64_t random_state;

static int repeatable_bytes(unsigned char *out, int len)
{
    for (int i = 0; i < len; i++)
        out[i] = (unsigned char)random_of(&random_state);
    return 1;
}

static int random_is_there(void)
{
    return 1;
}

void make_random_repeat(uint64_t number)
{
    static RAND_METHOD method;

    random_state = number;
    method.bytes = method.pseudorand = repeatable_bytes;
    method.status = random_is_there;
    CHECK(RAND_set_rand_method(&method));
}

uint64_t transcript_digest(const unsigned char *bytes, size_t len)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325); /* FNV-1a, eight bytes at a time */

    for (; len >= 8; len -= 8, bytes += 8) {
        uint64_t word;

        memcpy(&word, bytes, 8);
        value = (value ^ word) * UINT64_C(0x100000001b3);
        value ^= value >> 29;
    }
    for (; len > 0; len--)
        value = (value ^ *bytes++) * UINT64_C(0x100000001b3);
    return value;
}

void transcript_note(struct transcript *transcript, bool failed, const char *format, ...)
{
    struct line *line = &transcript->lines[transcript->count++];
    va_list arguments;

    CHECK(transcript->count < TRANSCRIPT_LINES_MAX);
    va_start(arguments, format);
    vsnprintf(line->text, sizeof(line->text), format, arguments);
    va_end(arguments);
    line->failed = failed;
    line->error = ERR_peek_error() != 0;
    ERR_clear_error();
}

/* An engine may say more of a failure than libcrypto does; nothing of a success. */
static bool is_same(const struct line *wanted, const struct line *got)
{
    return strcmp(wanted->text, got->text) == 0 && (got->failed ? got->error || !wanted->error : !got->error);
}

void transcript_compare(const char *name, const struct transcript *wanted, const struct transcript *got)
{
    for (int i = 0; i < wanted->count || i < got->count; i++) {
        const struct line *a = &wanted->lines[i], *b = &got->lines[i];

        if (i < wanted->count && i < got->count && is_same(a, b))
            continue;
        fprintf(stderr, "%s, call %d:\n", name, i);
        for (int before = i < 20 ? 0 : i - 20; before < i; before++)
            fprintf(stderr, "  both:   %s\n", wanted->lines[before].text);
        fprintf(stderr, "  wanted: %s%s\n  got:    %s%s\n", i < wanted->count ? a->text : "(nothing)",
            a->error ? " and an error" : "", i < got->count ? b->text : "(nothing)",
            b->error ? " and an error" : "");
        FAIL("the implementations differ");
    }
}
