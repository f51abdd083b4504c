/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that are measured: RSA and AES through EVP. */
#include "operation.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "check.h"

#define DIGEST_LEN 32u
#define SIGNATURE_MAX 2048u
#define MESSAGE_MAX (1u << 20)
#define TAG_LEN 16u

struct operation {
    void (*act)(struct operation *);
    EVP_PKEY_CTX *key; /* RSA */
    size_t signature_len;
    unsigned char digest[DIGEST_LEN], signature[SIGNATURE_MAX];
    EVP_CIPHER_CTX *cipher; /* AES */
    unsigned char *in, *out;
    int len;
    int mode; /* EVP_CIPH_CBC_MODE and so on */
    unsigned char iv[16], tag[TAG_LEN];
};

static void require(bool good, const char *what)
{
    if (good)
        return;
    ERR_print_errors_fp(stderr);
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

/* ---------------------------------------------------------------------------------------------------- RSA */

static void sign(struct operation *operation)
{
    operation->signature_len = SIGNATURE_MAX;
    require(EVP_PKEY_sign(operation->key, operation->signature, &operation->signature_len, operation->digest,
                DIGEST_LEN) == 1,
        "EVP_PKEY_sign");
}

static void verify(struct operation *operation)
{
    require(EVP_PKEY_verify(operation->key, operation->signature, operation->signature_len, operation->digest,
                DIGEST_LEN) == 1,
        "EVP_PKEY_verify");
}

static EVP_PKEY *read_key(unsigned bits)
{
    const char *directory = getenv("ERSATZ_TEST_KEYS");
    char path[4096];
    EVP_PKEY *key;
    FILE *file;

    require(directory != NULL, "ERSATZ_TEST_KEYS is to name the directory of keys");
    snprintf(path, sizeof(path), "%s/%u.pem", directory, bits);
    file = fopen(path, "re");
    require(file != NULL, path);
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    require(key != NULL, path);
    return key;
}

static EVP_PKEY_CTX *new_key_context(EVP_PKEY *key, bool signs)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);

    require(context != NULL && (signs ? EVP_PKEY_sign_init(context) : EVP_PKEY_verify_init(context)) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1,
        "an RSA operation");
    return context;
}

static void init_rsa(struct operation *operation, unsigned bits, bool signs)
{
    EVP_PKEY *key = read_key(bits);

    operation->act = sign;
    operation->key = new_key_context(key, true);
    if (!signs) {
        sign(operation); /* there is no job yet: nothing pauses */
        EVP_PKEY_CTX_free(operation->key);
        operation->key = new_key_context(key, false);
        operation->act = verify;
    }
    EVP_PKEY_free(key);
}

/* ---------------------------------------------------------------------------------------------------- AES */

static bool has_tag(const struct operation *operation)
{
    return operation->mode == EVP_CIPH_GCM_MODE || operation->mode == EVP_CIPH_CCM_MODE;
}

static bool set_tag(struct operation *operation)
{
    return EVP_CIPHER_CTX_ctrl(operation->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, operation->tag) == 1;
}

/* CCM's first block has the length in it. */
static bool announce_length(struct operation *operation)
{
    int done;

    return EVP_CipherUpdate(operation->cipher, NULL, &done, NULL, operation->len) == 1;
}

static void encrypt(struct operation *operation)
{
    int done, rest;

    require(EVP_EncryptInit_ex(operation->cipher, NULL, NULL, NULL, operation->iv) &&
                (operation->mode != EVP_CIPH_CCM_MODE || announce_length(operation)) &&
                EVP_EncryptUpdate(operation->cipher, operation->out, &done, operation->in, operation->len) &&
                EVP_EncryptFinal_ex(operation->cipher, operation->out + done, &rest) &&
                done + rest == operation->len,
        "encryption");
    if (has_tag(operation))
        require(EVP_CIPHER_CTX_ctrl(operation->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, operation->tag) == 1,
            "the tag");
}

static void decrypt(struct operation *operation)
{
    int done = 0, rest = 0;

    require(EVP_DecryptInit_ex(operation->cipher, NULL, NULL, NULL, operation->iv) &&
                (!has_tag(operation) || set_tag(operation)) &&
                (operation->mode != EVP_CIPH_CCM_MODE || announce_length(operation)) &&
                EVP_DecryptUpdate(operation->cipher, operation->out, &done, operation->in, operation->len),
        "decryption");
    if (operation->mode != EVP_CIPH_CCM_MODE) /* which has opened the message, or has not */
        require(EVP_DecryptFinal_ex(operation->cipher, operation->out + done, &rest), "the message's end");
    require(done + rest == operation->len, "all of the text");
}

static void set_key(struct operation *operation, const EVP_CIPHER *cipher, bool encrypts)
{
    unsigned char key[EVP_MAX_KEY_LENGTH];

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i; /* XTS refuses two equal halves */
    require(EVP_CipherInit_ex(operation->cipher, cipher, NULL, NULL, NULL, encrypts) &&
                (operation->mode != EVP_CIPH_CCM_MODE ||
                    EVP_CIPHER_CTX_ctrl(operation->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, NULL) == 1) &&
                EVP_CipherInit_ex(operation->cipher, NULL, NULL, key, operation->iv, encrypts) &&
                EVP_CIPHER_CTX_set_padding(operation->cipher, 0),
        EVP_CIPHER_get0_name(cipher));
}

static void init_aes(struct operation *operation, const char *name, unsigned len, bool encrypts)
{
    const EVP_CIPHER *cipher = EVP_get_cipherbyname(name);

    require(cipher != NULL, name);
    operation->mode = EVP_CIPHER_get_mode(cipher);
    operation->len = (int)len;
    operation->in = malloc(len);
    operation->out = malloc(len + EVP_MAX_BLOCK_LENGTH);
    operation->cipher = EVP_CIPHER_CTX_new();
    require(operation->in != NULL && operation->out != NULL && operation->cipher != NULL, "memory");
    memset(operation->in, 'e', len);
    set_key(operation, cipher, true);
    operation->act = encrypt;
    if (encrypts)
        return;
    encrypt(operation); /* there is no job yet: nothing pauses */
    memcpy(operation->in, operation->out, len);
    set_key(operation, cipher, false);
    operation->act = decrypt;
}

/* ------------------------------------------------------------------------------------------------ borders */

struct operation *operation_new(const char *name)
{
    struct operation *operation = calloc(1, sizeof(*operation));
    const char *colon = strchr(name, ':'), *decrypts = strstr(name, "-decrypt:");
    char what[16] = "", cipher[64];
    unsigned number;
    int end = 0;

    require(operation != NULL, "memory");
    if (sscanf(name, "rsa%u-%15s%n", &number, what, &end) == 2 && name[end] == '\0' &&
        (strcmp(what, "sign") == 0 || strcmp(what, "verify") == 0)) {
        init_rsa(operation, number, strcmp(what, "sign") == 0);
    } else if (colon != NULL && sscanf(colon, ":%u%n", &number, &end) == 1 && colon[end] == '\0' &&
               number > 0 && number % 16 == 0 && number <= MESSAGE_MAX) {
        snprintf(cipher, sizeof(cipher), "%.*s", (int)((decrypts != NULL ? decrypts : colon) - name), name);
        init_aes(operation, cipher, number, decrypts == NULL);
    } else {
        fprintf(stderr,
            "%s: rsa2048-sign, rsa2048-verify, aes-128-cbc:16384 (a multiple of 16) or "
            "aes-128-cbc-decrypt:16384 expected\n",
            name);
        exit(2);
    }
    return operation;
}

void operation_free(struct operation *operation)
{
    EVP_PKEY_CTX_free(operation->key);
    EVP_CIPHER_CTX_free(operation->cipher);
    free(operation->in);
    free(operation->out);
    free(operation);
}

void operation_do(struct operation *operation)
{
    operation->act(operation);
}
