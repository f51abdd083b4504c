/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: AES through EVP. An input is a program of calls: initialise, update in pieces of any size, set
 * and get tags, copy, finish, start again, and which core computes. Each call is made on a context of the
 * engine and on one of libcrypto's older implementations behind an ENGINE of the target's own, so that EVP
 * treats both alike; they must return the same and put out the same.
 *
 * Where libcrypto's older GCM goes on after a failure, or takes an IV from where an older one lay, there is
 * nothing to hold on to: the message is murky until both have a new IV. Each such place says which it is.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rand.h>
#include <string.h>

#include "driver/card.h"
#include "fuzz.h"

#define PIECE_MAX 3000u
#define CALLS_MAX 64u
#define PAIRS 2u
#define ROOM (PIECE_MAX + 64)
#define GCM_IV_MAX 128
#define INVOCATION 8 /* bytes of a GCM IV that a generator counts in */
#define TAG_MAX 16
#define TLS_OVERHEAD (EVP_GCM_TLS_EXPLICIT_IV_LEN + EVP_GCM_TLS_TAG_LEN)

/* What a message of GCM is at. The other modes need no watching. */
enum stage {
    NO_IV, /* none yet, or the one there was is used up: both refuse what comes */
    FRESH, /* an IV is set, nothing was done with it */
    ACTIVE,
    MURKY
};

struct pair {
    EVP_CIPHER_CTX *card, *plain;
    bool started; /* with a cipher */
    int mode;
    bool encrypting, keyed;
    /* of GCM: */
    enum stage stage;
    int iv_len;    /* EVP remembers what it once said of an engine's cipher, and does not learn of a change */
    int iv_room;   /* of what libcrypto has for an IV; a copy of a context gets no more than is in use */
    bool iv_whole; /* the generator has every byte of its IV: from the caller, or drawn */
    bool tag_known; /* the tag is the last message's, not what a TLS record left in its place */
};

static struct pair pairs[PAIRS];

static const int nids[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc, NID_aes_128_ctr,
    NID_aes_192_ctr, NID_aes_256_ctr, NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm, NID_aes_128_xts,
    NID_aes_256_xts, NID_aes_128_ecb, NID_aes_256_ecb, NID_aes_128_cfb128, NID_aes_256_cfb128,
    NID_aes_128_ofb128, NID_aes_256_ofb128};
#define CIPHERS (sizeof(nids) / sizeof(nids[0]))

static ENGINE *reference;

static int reference_ciphers(ENGINE *engine, const EVP_CIPHER **cipher, const int **list, int nid)
{
    (void)engine;
    if (cipher == NULL) {
        *list = nids;
        return CIPHERS;
    }
    *cipher = EVP_get_cipherbynid(nid);
    return *cipher != NULL;
}

/* The library's random bytes, which SET_IV_FIXED draws: the same for both of a pair. The card's workers have
 * their own. */
static int constant_bytes(unsigned char *out, int len)
{
    memset(out, 0x5c, (size_t)len);
    return 1;
}

static int constant_status(void)
{
    return 1;
}

/* In modes that encrypt with the block cipher both ways a key serves both directions. */
static bool can_turn(int mode)
{
    return mode == EVP_CIPH_GCM_MODE || mode == EVP_CIPH_CTR_MODE || mode == EVP_CIPH_CFB_MODE ||
           mode == EVP_CIPH_OFB_MODE;
}

static bool is_gcm(const struct pair *pair)
{
    return pair->mode == EVP_CIPH_GCM_MODE;
}

static bool is_murky(const struct pair *pair)
{
    return is_gcm(pair) && pair->stage == MURKY;
}

/* libcrypto's older implementations of these modes follow a NULL where there is no key. */
static bool breaks_libcrypto(const struct pair *pair)
{
    return !pair->keyed && pair->mode != EVP_CIPH_GCM_MODE && pair->mode != EVP_CIPH_XTS_MODE;
}

static void forget(struct pair *pair)
{
    EVP_CIPHER_CTX_reset(pair->card);
    EVP_CIPHER_CTX_reset(pair->plain);
    *pair = (struct pair){.card = pair->card, .plain = pair->plain};
}

/* What follows what a piece of a message, or its end, returned. */
static void follow(struct pair *pair, int done)
{
    if (done == 1 && pair->stage == FRESH)
        pair->stage = ACTIVE;
    if (done != 1 && pair->stage != NO_IV) /* the engine ends the message, libcrypto lets it go on */
        pair->stage = MURKY;
}

/* ---------------------------------------------------------------------------------------------------- calls
 */

/* A new cipher, with or without key and IV. */
static void start(struct pair *pair, struct fuzz_input *input)
{
    uint8_t key[EVP_MAX_KEY_LENGTH], iv[EVP_MAX_IV_LENGTH];
    unsigned what = fuzz_byte(input);
    const EVP_CIPHER *cipher = EVP_get_cipherbynid(nids[fuzz_byte(input) % CIPHERS]);
    size_t key_len = (size_t)EVP_CIPHER_get_key_length(cipher);
    bool with_key = (what & 3) != 3, with_iv = (what & 12) != 12;
    int encrypt = (what & 16) != 0;
    int card, plain;

    fuzz_fill(input, key, sizeof(key));
    fuzz_fill(input, iv, sizeof(iv));
    if ((what & 96) == 96) /* XTS with equal halves */
        memcpy(key + key_len / 2, key, key_len / 2);
    if ((what & 128) != 0)
        memset(iv, 0xff, sizeof(iv)); /* the counter overflows */
    forget(pair);
    card = EVP_CipherInit_ex(
        pair->card, cipher, fuzz_engine(), with_key ? key : NULL, with_iv ? iv : NULL, encrypt);
    plain = EVP_CipherInit_ex(
        pair->plain, cipher, reference, with_key ? key : NULL, with_iv ? iv : NULL, encrypt);
    FUZZ_SAME(card == plain);
    if (card != 1)
        return;
    pair->started = true;
    pair->mode = EVP_CIPHER_get_mode(cipher);
    pair->encrypting = encrypt;
    pair->keyed = with_key;
    pair->stage = with_iv ? FRESH : NO_IV;
    pair->iv_len = 12;
    pair->iv_room = EVP_MAX_IV_LENGTH;
}

/* The same cipher again, with a new key or IV or both or neither, perhaps in the other direction. */
static void restart(struct pair *pair, struct fuzz_input *input)
{
    uint8_t key[EVP_MAX_KEY_LENGTH], iv[GCM_IV_MAX];
    unsigned what = fuzz_byte(input);
    bool with_key = (what & 1) != 0, with_iv = (what & 2) != 0;
    bool turns = (what & 12) == 12 && (with_key || can_turn(pair->mode));
    int encrypt = turns ? !pair->encrypting : pair->encrypting;
    int said = (what & 8) != 0 ? encrypt : -1;
    int card, plain;

    fuzz_fill(input, key, sizeof(key));
    fuzz_fill(input, iv, sizeof(iv));
    card = EVP_CipherInit_ex(pair->card, NULL, NULL, with_key ? key : NULL, with_iv ? iv : NULL, said);
    plain = EVP_CipherInit_ex(pair->plain, NULL, NULL, with_key ? key : NULL, with_iv ? iv : NULL, said);
    fuzz_trace("key %d, IV %d, direction %d: %d", with_key, with_iv, said, card);
    FUZZ_SAME(card == plain);
    if (card != 1) {
        forget(pair);
        return;
    }
    pair->encrypting = encrypt;
    /* A message that is turned around in its middle, or goes on with another key: libcrypto takes the IV for
     * the key from where the last but one may lie. */
    if (pair->stage != NO_IV && ((turns && pair->stage == ACTIVE) || (with_key && pair->keyed)))
        pair->stage = MURKY;
    pair->keyed |= with_key;
    if (with_iv) {
        pair->stage = FRESH;
        pair->iv_whole = false; /* the generator is off; with a new key libcrypto leaves it on */
    }
}

static void update(struct pair *pair, struct fuzz_input *input)
{
    static uint8_t in[ROOM], card_out[ROOM], plain_out[ROOM];
    unsigned what = fuzz_byte(input);
    int len = (int)((what & 1) ? fuzz_number(input, PIECE_MAX) : fuzz_number(input, 48));
    bool in_place = (what & 2) != 0;
    int card, plain, card_len = 0, plain_len = 0;

    if (is_murky(pair))
        return;
    fuzz_fill(input, in, (size_t)len);
    if ((what & 12) == 12)
        memset(in, 0, (size_t)len); /* looks like key stream for the random generator */
    memcpy(card_out, in, (size_t)len);
    memcpy(plain_out, in, (size_t)len);
    card = EVP_CipherUpdate(pair->card, card_out, &card_len, in_place ? card_out : in, len);
    if (breaks_libcrypto(pair)) {
        FUZZ_SAME(card != 1 || card_len == 0);
        forget(pair);
        return;
    }
    plain = EVP_CipherUpdate(pair->plain, plain_out, &plain_len, in_place ? plain_out : in, len);
    fuzz_trace(
        "%d bytes, in place %d: %d, %d bytes; %d, %d bytes", len, in_place, card, card_len, plain, plain_len);
    FUZZ_SAME(card == plain);
    if (card == 1)
        FUZZ_SAME(card_len == plain_len && memcmp(card_out, plain_out, (size_t)card_len) == 0);
    if (len > 0 || card != 1)
        follow(pair, card);
}

static void associate(struct pair *pair, struct fuzz_input *input)
{
    static uint8_t aad[ROOM];
    int len =
        1 + (int)fuzz_number(input, 80); /* no bytes at all after text are too late only for libcrypto */
    int card, plain, card_len = 0, plain_len = 0;

    if (!is_gcm(pair) || is_murky(pair))
        return;
    fuzz_fill(input, aad, (size_t)len);
    card = EVP_CipherUpdate(pair->card, NULL, &card_len, aad, len);
    plain = EVP_CipherUpdate(pair->plain, NULL, &plain_len, aad, len);
    FUZZ_SAME(card == plain && (card != 1 || card_len == plain_len));
    follow(pair, card);
}

static void finish(struct pair *pair, struct fuzz_input *input)
{
    uint8_t card_out[ROOM] = {0}, plain_out[ROOM] = {0};
    int card, plain, card_len = 0, plain_len = 0;

    (void)input;
    if (is_murky(pair))
        return;
    card = EVP_CipherFinal_ex(pair->card, card_out, &card_len);
    if (breaks_libcrypto(pair)) {
        FUZZ_SAME(card != 1 || card_len == 0);
        forget(pair);
        return;
    }
    plain = EVP_CipherFinal_ex(pair->plain, plain_out, &plain_len);
    FUZZ_SAME(card == plain);
    if (card == 1)
        FUZZ_SAME(card_len == plain_len && memcmp(card_out, plain_out, (size_t)card_len) == 0);
    follow(pair, card);
    if (card == 1) {
        pair->stage = NO_IV;
        pair->tag_known |= pair->encrypting;
    }
}

/* Encrypting: get the tag. Decrypting: set one, which is right only in seal_and_open(). */
static void tag(struct pair *pair, struct fuzz_input *input)
{
    uint8_t card_tag[32] = {0}, plain_tag[32] = {0};
    int len = (int)fuzz_number(input, 20);
    int card, plain;

    if (!is_gcm(pair))
        return;
    if (!pair->encrypting) {
        fuzz_take(input, card_tag, sizeof(card_tag));
        card = EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_AEAD_SET_TAG, len, card_tag);
        plain = EVP_CIPHER_CTX_ctrl(pair->plain, EVP_CTRL_AEAD_SET_TAG, len, card_tag);
        FUZZ_SAME(card == plain);
        return;
    }
    card = EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_AEAD_GET_TAG, len, card_tag);
    plain = EVP_CIPHER_CTX_ctrl(pair->plain, EVP_CTRL_AEAD_GET_TAG, len, plain_tag);
    FUZZ_SAME(card == plain);
    if (pair->tag_known)
        FUZZ_SAME(memcmp(card_tag, plain_tag, sizeof(card_tag)) == 0);
}

static void set_iv_len(struct pair *pair, struct fuzz_input *input)
{
    int len = (int)fuzz_number(input, GCM_IV_MAX + 3) - 1; /* libcrypto takes more than 128, too */
    int card, plain;

    if (!is_gcm(pair))
        return;
    card = EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_AEAD_SET_IVLEN, len, NULL);
    if (len > GCM_IV_MAX) {
        FUZZ_SAME(card <= 0);
        return;
    }
    if (len > EVP_MAX_IV_LENGTH && len > pair->iv_len) {
        pair->iv_room = len;
    } else if (len > pair->iv_room) { /* libcrypto writes behind it */
        forget(pair);
        return;
    }
    plain = EVP_CIPHER_CTX_ctrl(pair->plain, EVP_CTRL_AEAD_SET_IVLEN, len, NULL);
    FUZZ_SAME(card == plain);
    if (card != 1)
        return;
    if (len != pair->iv_len && pair->stage != NO_IV) /* an IV of the old length; the engine forgets it */
        pair->stage = MURKY;
    pair->iv_whole &= len == pair->iv_len; /* libcrypto takes new memory for it */
    pair->iv_len = len;
}

/* An IV to count on from, whole or with a fixed part, and the next one of it. */
static void generate_iv(struct pair *pair, struct fuzz_input *input)
{
    uint8_t iv[GCM_IV_MAX], card_iv[GCM_IV_MAX] = {0}, plain_iv[GCM_IV_MAX] = {0};
    unsigned what = fuzz_byte(input);
    int len = (int)fuzz_number(input, GCM_IV_MAX);
    int fixed = (what & 8) != 0 ? len - 2 : -1;
    int card, plain;

    if (!is_gcm(pair))
        return;
    fuzz_fill(input, iv, sizeof(iv));
    if ((what & 2) != 0)
        memset(iv, 0xff, sizeof(iv));
    card = EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_AEAD_SET_IV_FIXED, fixed, iv);
    plain = EVP_CIPHER_CTX_ctrl(pair->plain, EVP_CTRL_AEAD_SET_IV_FIXED, fixed, iv);
    FUZZ_SAME(card == plain);
    if (card != 1)
        return;
    pair->iv_whole = pair->encrypting || fixed < 0;
    if (pair->stage != NO_IV) /* the engine ends the message */
        pair->stage = MURKY;
    /* Decrypting, nothing fills in what the fixed part leaves open but the peer. */
    if (!pair->encrypting && fixed >= 0 && (what & 4) != 0 && len >= pair->iv_len - fixed)
        what &= 63;
    else if (!pair->encrypting && fixed >= 0) {
        forget(pair);
        return;
    }
    for (unsigned times = what >> 6; times > 0; times--) {
        card = EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_GCM_IV_GEN, len, card_iv);
        if (pair->iv_len < INVOCATION) { /* libcrypto counts in front of the IV */
            int kept = 0;

            FUZZ_SAME(
                EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_GET_IVLEN, 0, &kept) == 1 && kept == pair->iv_len);
            forget(pair);
            return;
        }
        plain = EVP_CIPHER_CTX_ctrl(pair->plain, EVP_CTRL_GCM_IV_GEN, len, plain_iv);
        FUZZ_SAME(card == plain && memcmp(card_iv, plain_iv, sizeof(card_iv)) == 0);
        if (card == 1)
            pair->stage = FRESH;
    }
    if ((what & 4) == 0)
        return;
    card = EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_GCM_SET_IV_INV, len, iv);
    if (len < 1 || len > pair->iv_len) { /* libcrypto writes in front of the IV, or nothing */
        FUZZ_SAME(card <= 0);
        return;
    }
    plain = EVP_CIPHER_CTX_ctrl(pair->plain, EVP_CTRL_GCM_SET_IV_INV, len, iv);
    FUZZ_SAME(card == plain);
    if (card == 1)
        pair->stage = FRESH;
}

/* A record of TLS 1.2, in one call. */
static void tls_record(struct pair *pair, struct fuzz_input *input)
{
    static uint8_t card_record[ROOM], plain_record[ROOM];
    uint8_t aad[EVP_AEAD_TLS1_AAD_LEN];
    unsigned what = fuzz_byte(input);
    unsigned len = TLS_OVERHEAD + fuzz_number(input, PIECE_MAX - TLS_OVERHEAD);
    unsigned said = pair->encrypting ? len - EVP_GCM_TLS_TAG_LEN : len;
    int card, plain, card_len = 0, plain_len = 0;

    if (!is_gcm(pair) || !pair->keyed || !pair->iv_whole || pair->iv_len < INVOCATION)
        return;
    fuzz_fill(input, aad, sizeof(aad));
    aad[11] = (uint8_t)(said >> 8);
    aad[12] = (uint8_t)said;
    if ((what & 15) == 15) /* shorter than it says */
        len = what >> 4;
    fuzz_fill(input, card_record, len);
    memcpy(plain_record, card_record, len);
    card = EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad);
    plain = EVP_CIPHER_CTX_ctrl(pair->plain, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad);
    FUZZ_SAME(card == plain);
    card = EVP_CipherUpdate(pair->card, card_record, &card_len, card_record, (int)len);
    plain = EVP_CipherUpdate(pair->plain, plain_record, &plain_len, plain_record, (int)len);
    FUZZ_SAME(card == plain);
    if (card == 1)
        FUZZ_SAME(card_len == plain_len && memcmp(card_record, plain_record, len) == 0);
    pair->stage = NO_IV;
    pair->tag_known = false; /* libcrypto keeps the associated data where it keeps the tag */
    if (len < TLS_OVERHEAD)
        forget(pair); /* libcrypto waits for the record still */
}

/* In the engine alone: a right tag is accepted, a wrong one is not. */
static void seal_and_open(struct pair *pair, struct fuzz_input *input)
{
    static uint8_t text[ROOM], sealed[ROOM], opened[ROOM];
    uint8_t key[32], iv[12], mac[16];
    unsigned what = fuzz_byte(input);
    int len = 1 + (int)fuzz_number(input, 600), out_len = 0, done;

    fuzz_fill(input, key, sizeof(key));
    fuzz_fill(input, iv, sizeof(iv));
    fuzz_fill(input, text, (size_t)len);
    forget(pair);
    FUZZ_SAME(EVP_EncryptInit_ex(pair->card, EVP_aes_256_gcm(), fuzz_engine(), key, iv) == 1);
    FUZZ_SAME(EVP_EncryptUpdate(pair->card, sealed, &out_len, text, len) == 1 && out_len == len);
    FUZZ_SAME(EVP_EncryptFinal_ex(pair->card, sealed + len, &out_len) == 1);
    FUZZ_SAME(EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_AEAD_GET_TAG, sizeof(mac), mac) == 1);
    if (what & 1)
        mac[what >> 4] ^= (uint8_t)(1u << (what >> 1 & 7));
    /* The key stays where it is: EVP allows that for GCM. */
    FUZZ_SAME(EVP_DecryptInit_ex(pair->card, NULL, NULL, (what & 2) ? key : NULL, iv) == 1);
    FUZZ_SAME(EVP_CIPHER_CTX_ctrl(pair->card, EVP_CTRL_AEAD_SET_TAG, sizeof(mac), mac) == 1);
    FUZZ_SAME(EVP_DecryptUpdate(pair->card, opened, &out_len, sealed, len) == 1 && out_len == len);
    FUZZ_SAME(memcmp(opened, text, (size_t)len) == 0);
    done = EVP_DecryptFinal_ex(pair->card, opened + len, &out_len);
    FUZZ_SAME((done == 1) == !(what & 1));
    forget(pair);
}

static void copy(struct pair *pair, struct fuzz_input *input)
{
    struct pair *other = &pairs[pair == &pairs[0]];
    EVP_CIPHER_CTX *card = other->card, *plain = other->plain;

    (void)input;
    FUZZ_SAME(EVP_CIPHER_CTX_copy(card, pair->card) == EVP_CIPHER_CTX_copy(plain, pair->plain));
    *other = *pair;
    other->card = card;
    other->plain = plain;
    if (pair->iv_room != EVP_MAX_IV_LENGTH)
        other->iv_room = pair->iv_len;
}

static void set_padding(struct pair *pair, struct fuzz_input *input)
{
    int padding = fuzz_byte(input) & 1;

    FUZZ_SAME(
        EVP_CIPHER_CTX_set_padding(pair->card, padding) == EVP_CIPHER_CTX_set_padding(pair->plain, padding));
}

/* A command that need not exist, with an argument that need not make sense: nothing may break. Two are EVP's
 * own, and no application's: one takes its argument for a context, one for the context's birth. */
static void any_command(struct pair *pair, struct fuzz_input *input)
{
    uint8_t room[512] = {0};
    int type = fuzz_byte(input) % 0x30;
    int arg = (int)fuzz_number(input, 160) - 2;

    if (type != EVP_CTRL_COPY && type != EVP_CTRL_INIT)
        EVP_CIPHER_CTX_ctrl(pair->card, type, arg, room);
    forget(pair);
}

/* ------------------------------------------------------------------------------------------------------- run
 */

static void run_call(struct pair *pair, struct fuzz_input *input, unsigned which)
{
    static const struct {
        const char *name;
        void (*run)(struct pair *, struct fuzz_input *);
    } calls[] = {{"init", restart}, {"update", update}, {"update", update}, {"update", update},
        {"AAD", associate}, {"final", finish}, {"tag", tag}, {"IV length", set_iv_len},
        {"generate an IV", generate_iv}, {"TLS record", tls_record}, {"copy", copy}, {"padding", set_padding},
        {"any command", any_command}};

    fuzz_trace("context %d, %s: mode %d, encrypting %d, keyed %d, stage %d, IV of %d", pair == &pairs[1],
        which < sizeof(calls) / sizeof(calls[0]) ? calls[which].name : "start", pair->mode, pair->encrypting,
        pair->keyed, (int)pair->stage, pair->iv_len);
    if (which == 15)
        seal_and_open(pair, input);
    else if (!pair->started || which >= sizeof(calls) / sizeof(calls[0]))
        start(pair, input);
    else
        calls[which].run(pair, input);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static RAND_METHOD constant = {
        .bytes = constant_bytes, .pseudorand = constant_bytes, .status = constant_status};

    (void)argc;
    (void)argv;
    fuzz_engine();
    reference = ENGINE_new();
    if (!ENGINE_set_id(reference, "reference") || !ENGINE_set_ciphers(reference, reference_ciphers) ||
        !RAND_set_rand_method(&constant))
        return 1;
    for (unsigned i = 0; i < PAIRS; i++) {
        pairs[i].card = EVP_CIPHER_CTX_new();
        pairs[i].plain = EVP_CIPHER_CTX_new();
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    fuzz_choose_kernels(0);
    for (unsigned calls = 0; input.left > 0 && calls < CALLS_MAX; calls++) {
        unsigned which = fuzz_byte(&input);

        /* Pieces of one message are computed by the card, and on this core. */
        atomic_store(&card_policy()->sync_offload, (which & 64) == 0);
        if ((which & 32) != 0)
            fuzz_choose_kernels(which >> 4 & 1);
        run_call(&pairs[which >> 7], &input, which & 15);
    }
    for (unsigned i = 0; i < PAIRS; i++)
        forget(&pairs[i]);
    ERR_clear_error();
    return 0;
}
