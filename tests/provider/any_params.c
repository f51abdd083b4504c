/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters as nobody should give them: of any name, type, size and value, at any moment of a text, and
 * commands, to a cipher of the provider and to libcrypto's own of the same name. Both take them or refuse
 * them, for the reason that libcrypto gives, answer the same, and compute the same afterwards.
 * CIPHER SEED ROUNDS
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sides.h"

#define BYTES_MAX 40
#define PARAMS_MAX 2u

static const char *const numbers[] = {"padding", "num", "keylen", "ivlen", "taglen", "tlsaadpad",
    "tls-mac-size", "mode", "blocksize", "custom-iv", "nobody's"};
static const char *const strings[] = {"tag", "iv", "updated-iv", "tlsivinv", "mackey", "nobody's"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A parameter that was made up. */
struct made_up {
    const char *name;
    char misspelt[32];
    unsigned type;
    size_t size;
    bool is_null;
    unsigned char bytes[BYTES_MAX];
};

static struct made_up made[PARAMS_MAX]; /* for the call under way, */
static unsigned count;                  /* so many */

static int mode;
static unsigned long taken, refused;                      /* calls with parameters */
static unsigned char key[64], iv[128], in[BYTES_MAX * 2]; /* an IV of GCM has up to 128 bytes */

/* ------------------------------------------------------------------------------------------- parameters */

static bool is_named(const struct made_up *p, const char *name)
{
    return strcmp(p->name, name) == 0;
}

static void make_up_number(struct made_up *p)
{
    static const uint64_t values[] = {0, 1, 2, 7, 8, 12, 13, 15, 16, 17, 24, 32, 48, 64, 128, 129, 1000};
    uint64_t value = values[lot(COUNT(values))];

    p->name = numbers[lot(COUNT(numbers))];
    if (is_named(p, "num") || (is_named(p, "tls-mac-size") && value > 64))
        value = 0; /* later versions of libcrypto take no other number; none looks at the size */
    p->type = lot(6) == 0 ? OSSL_PARAM_INTEGER : OSSL_PARAM_UNSIGNED_INTEGER;
    p->size = lot(2) == 0 ? sizeof(uint32_t) : sizeof(uint64_t);
    memset(p->bytes, 0, sizeof(p->bytes));
    memcpy(p->bytes, &value, sizeof(value)); /* the low half in front */
}

static void make_up_string(struct made_up *p)
{
    static const size_t sizes[] = {0, 1, 4, 8, 12, 13, 16, 16, 17, 20, 32};

    p->name = strings[lot(COUNT(strings))];
    p->type = OSSL_PARAM_OCTET_STRING;
    p->size = sizes[lot(COUNT(sizes))];
    p->is_null = lot(10) == 0 && !is_named(p, "mackey"); /* which libcrypto reads without looking */
    fill(p->bytes, sizeof(p->bytes));
}

/* Give it a name that nobody has: a known one without its last letter, with another, or with one more. */
static void misspell(struct made_up *p)
{
    size_t len = strlen(p->name);

    CHECK(len >= 2 && len + 1 < sizeof(p->misspelt));
    memset(p->misspelt, 0, sizeof(p->misspelt));
    memcpy(p->misspelt, p->name, len);
    switch (lot(3)) {
    case 0:
        p->misspelt[len - 1] = 0;
        break;
    case 1:
        p->misspelt[len - 1] ^= 1;
        break;
    default:
        p->misspelt[len] = 'x';
    }
    p->name = p->misspelt;
}

static void make_up(struct made_up *p)
{
    p->is_null = false;
    if (lot(2) == 0)
        make_up_number(p);
    else
        make_up_string(p);
    if (lot(8) == 0)
        p->type = lot(2) == 0 ? OSSL_PARAM_UTF8_STRING : OSSL_PARAM_REAL;
    if (lot(4) == 0)
        misspell(p);
}

/* What the two sides are known to answer in different ways. */
static bool is_left_out(const struct made_up *p, bool asks)
{
    bool has_tag = mode == EVP_CIPH_GCM_MODE || mode == EVP_CIPH_CCM_MODE;

    if (is_named(p, "tls-mac-size")) /* only CBC reads it */
        return mode != EVP_CIPH_CBC_MODE;
    if (!asks)
        return false;
    if (is_named(p, "tag")) /* of the wrong type, at the wrong time: which of both counts */
        return has_tag && p->type != OSSL_PARAM_OCTET_STRING;
    if (!is_named(p, "iv") && !is_named(p, "updated-iv"))
        return false;
    /* libcrypto's CCM gives as many bytes as are asked for, and has 16. Without memory, some versions of GCM
     * give the length, and some want room for it all the same. */
    return mode == EVP_CIPH_CCM_MODE ? p->size > 16 : mode == EVP_CIPH_GCM_MODE && p->is_null;
}

static void make_up_all(bool asks)
{
    count = 1 + (lot(4) == 0);
    for (unsigned i = 0; i < count; i++) {
        do
            make_up(&made[i]);
        while (is_left_out(&made[i], asks) || (i > 0 && is_named(&made[i], made[0].name)));
    }
}

/* The parameters for a side, in memory of its own. */
static const OSSL_PARAM *given(const struct side *s)
{
    static OSSL_PARAM params[SIDES][PARAMS_MAX + 1];
    static unsigned char bytes[SIDES][PARAMS_MAX][BYTES_MAX];
    OSSL_PARAM *own = params[s - sides];

    for (unsigned i = 0; i < count; i++) {
        unsigned char *at = bytes[s - sides][i];

        memcpy(at, made[i].bytes, BYTES_MAX);
        own[i] = (OSSL_PARAM){
            made[i].name, made[i].type, made[i].is_null ? NULL : at, made[i].size, OSSL_PARAM_UNMODIFIED};
    }
    own[count] = (OSSL_PARAM)OSSL_PARAM_END;
    return own;
}

/* ------------------------------------------------------------------------------------------------ calls */

/* Make a call on both sides, and compare. Where two parameters are wrong, the reason may be either. */
static void both(const char *what, void (*call)(struct side *))
{
    unsigned long errors[SIDES];
    bool same_reason;

    for (struct side *s = sides; s < sides + SIDES; s++) {
        ERR_clear_error();
        s->len = 0;
        call(s);
        s->result = s->result > 0;
        errors[s - sides] = ERR_peek_last_error();
    }
    same_reason = sides[1].result || errors[1] == 0 || count > 1 ||
                  ERR_GET_REASON(errors[0]) == ERR_GET_REASON(errors[1]);
    if (sides[0].result != sides[1].result || !same_reason) {
        fprintf(stderr, "%s", what);
        for (unsigned i = 0; i < count; i++)
            fprintf(stderr, ", %s of type %u with %zu bytes %02x %02x%s", made[i].name, made[i].type,
                made[i].size, made[i].bytes[0], made[i].bytes[1], made[i].is_null ? " at NULL" : "");
        fprintf(
            stderr, ": reason %d; libcrypto's %d\n", ERR_GET_REASON(errors[0]), ERR_GET_REASON(errors[1]));
        CHECK_EQ(sides[0].result, sides[1].result);
        CHECK(same_reason);
    }
    same(what);
}

static void set(struct side *s)
{
    s->result = EVP_CIPHER_CTX_set_params(s->context, given(s));
}

static void get(struct side *s)
{
    const OSSL_PARAM *params = given(s);

    s->result = EVP_CIPHER_CTX_get_params(s->context, (OSSL_PARAM *)params);
    for (unsigned i = 0; s->result > 0 && i < count; i++) {
        unsigned char *at = s->out + (size_t)i * (BYTES_MAX + sizeof(size_t));

        memcpy(at, &params[i].return_size, sizeof(size_t));
        if (params[i].data != NULL)
            memcpy(at + sizeof(size_t), params[i].data, BYTES_MAX);
    }
}

static void begin_with(struct side *s)
{
    s->result = EVP_CipherInit_ex2(s->context, NULL, key, iv, -1, given(s));
}

static int command, argument;
static bool with_null;

static void run_command(struct side *s)
{
    unsigned char bytes[256];

    memcpy(bytes, in, sizeof(in));
    s->result = EVP_CIPHER_CTX_ctrl(s->context, command, argument, with_null ? NULL : bytes);
}

static void make_up_command(void)
{
    static const int arguments[] = {-1, 0, 1, 4, 12, 16, 17, 24, 32, 1000};

    argument = arguments[lot(COUNT(arguments))];
    with_null = lot(4) == 0;
    command = lot(2) == 0 ? EVP_CTRL_SET_KEY_LENGTH : EVP_CTRL_AEAD_SET_TAG;
    if (!with_null && argument > (int)sizeof(in))
        argument = 17;
}

static void update(struct side *s)
{
    s->result = EVP_CipherUpdate(s->context, s->out, &s->len, in, 16 * (1 + in[0] % 4));
}

static void one_call(void)
{
    bool asks = lot(2) == 0;

    count = 0;
    switch (lot(8)) {
    case 0:
        if (mode == EVP_CIPH_CCM_MODE) /* libcrypto goes on with the lengths from when the key was set */
            break;
        fill(in, sizeof(in));
        both("update", update);
        break;
    case 1:
        fill(in, sizeof(in));
        make_up_command();
        both(command == EVP_CTRL_AEAD_SET_TAG ? "tag" : "length of the key", run_command);
        sides[0].result = 1; /* a refused command changes nothing */
        break;
    case 2:
        make_up_all(false);
        both("init", begin_with);
        break;
    default:
        make_up_all(asks);
        both(asks ? "get" : "set", asks ? get : set);
        *(sides[0].result ? &taken : &refused) += 1;
        if (count == 1)
            sides[0].result = 1; /* the other parameter may have been taken before this one was refused */
    }
}

static void begin(int encrypt)
{
    renew();
    fill(key, sizeof(key));
    fill(iv, sizeof(iv));
    BOTH("init", EVP_CipherInit_ex2(s->context, s->cipher, key, iv, encrypt, NULL));
}

static void any_round(void)
{
    begin((int)lot(2));
    for (uint32_t calls = 1 + lot(8); calls > 0 && sides[0].result > 0; calls--)
        one_call();
    if (sides[0].result > 0)
        same_context_answers();
}

/* ----------------------------------------------------------------------------------------- single cases */

static void begin_with_equal_halves(struct side *s)
{
    static const unsigned char equal[64];

    s->result = EVP_CipherInit_ex2(s->context, s->cipher, equal, iv, 1, NULL);
}

static void fix_too_little(struct side *s)
{
    s->result = EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_SET_IV_FIXED, 3, in);
}

/* Of what was encrypted the IV was made up, and so is no text to compare. */
static void encrypt_without_iv(struct side *s)
{
    unsigned char out[16];
    int len;

    s->result = EVP_CipherUpdate(s->context, out, &len, in, sizeof(out));
}

static void look_for_iv(struct side *s)
{
    unsigned char bytes[16];

    s->result = EVP_CIPHER_CTX_get_updated_iv(s->context, bytes, sizeof(bytes));
}

/* What is refused for the type of the tag in front leaves the IV's length as it was. */
static void set_wrong_tag_and_length(struct side *s)
{
    char text[] = "no tag";
    size_t len = 8;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_CIPHER_PARAM_AEAD_TAG, text, 0),
        OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &len), OSSL_PARAM_END};

    s->result = EVP_CIPHER_CTX_set_params(s->context, params);
}

static void ask_for_length(struct side *s)
{
    size_t len = 0;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &len), OSSL_PARAM_END};

    s->result = EVP_CIPHER_CTX_get_params(s->context, params);
    memcpy(s->out, &len, sizeof(len));
}

/* Some versions of libcrypto want room for the IV even here. */
static void ask_ours_for_length_of_iv(void)
{
    OSSL_PARAM params[] = {OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_UPDATED_IV, NULL, 0), OSSL_PARAM_END};

    CHECK_EQ(EVP_CIPHER_CTX_get_params(sides[0].context, params), 1);
    CHECK_EQ(params[0].return_size, 12);
}

static void end(struct side *s)
{
    s->result = EVP_CipherFinal_ex(s->context, s->out, &s->len);
}

static void single_cases(void)
{
    count = 0;
    renew();
    if (mode == EVP_CIPH_XTS_MODE) {
        both("equal halves", begin_with_equal_halves);
        CHECK_EQ(sides[0].result, 0);
    } else if (mode == EVP_CIPH_GCM_MODE) {
        BOTH("key", EVP_CipherInit_ex2(s->context, s->cipher, key, NULL, 1, NULL));
        both("a fixed IV that is too short", fix_too_little);
        CHECK_EQ(sides[0].result, 0);
        both("look for the IV", look_for_iv);
        both("text without an IV", encrypt_without_iv);
        CHECK_EQ(sides[0].result, 1);
        begin(0);
        ask_ours_for_length_of_iv();
        both("end without a tag", end);
        CHECK_EQ(sides[0].result, 0);
    }
    if (mode == EVP_CIPH_GCM_MODE || mode == EVP_CIPH_CCM_MODE) {
        begin(0);
        both("a wrong tag, and the length of the IV", set_wrong_tag_and_length);
        CHECK_EQ(sides[0].result, 0);
        both("length of the IV", ask_for_length);
        CHECK_EQ(sides[0].result, 1);
    }
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 4);
    sides_begin(argv[1], argv[2]);
    mode = EVP_CIPHER_get_mode(sides[0].cipher);
    single_cases();
    for (unsigned long rounds = strtoul(argv[3], NULL, 10); rounds > 0; rounds--) {
        say_state();
        any_round();
    }
    CHECK(taken > 0 && refused > 0);
    sides_end();
    return 0;
}
