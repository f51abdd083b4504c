/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control commands for the provider, while it runs. OpenSSL has no call that hands a setting to a provider
 * that is loaded, so they travel as the name of a capability: OSSL_PROVIDER_get_capabilities(3). The names
 * and values of the commands are those of the engine: docs/commands.md.
 *
 * This header is all an application needs: it links with libcrypto alone. Any thread may call these
 * functions.
 *
 *     ersatz_control(provider, "HOLD:compute", NULL, NULL);
 *     ersatz_control(provider, "GET_NUM_REQUESTS_IN_FLIGHT:1", &in_flight, NULL);
 */
#ifndef ERSATZ_CONTROL_H
#define ERSATZ_CONTROL_H

#include <openssl/core.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ERSATZ_CONTROL "ersatz:"
#define ERSATZ_CONTROL_NUMBER "number"
#define ERSATZ_CONTROL_TEXT "text"

struct ersatz_control_answer {
    int64_t *number;
    char **text;
};

static inline int ersatz_control_take(const OSSL_PARAM params[], void *arg)
{
    const struct ersatz_control_answer *answer = (const struct ersatz_control_answer *)arg;
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, ERSATZ_CONTROL_NUMBER);

    if (answer->number != NULL && (param == NULL || !OSSL_PARAM_get_int64(param, answer->number)))
        return 0;
    param = OSSL_PARAM_locate_const(params, ERSATZ_CONTROL_TEXT);
    return answer->text == NULL || (param != NULL && OSSL_PARAM_get_utf8_string(param, answer->text, 0));
}

/*
 * Run a command, "NAME" or "NAME:VALUE", on the provider "ersatz". number, text: where its answer goes, or
 * NULL; *text becomes a string that the caller gives back by OPENSSL_free(3).
 *
 * Returns 1, or 0 where the command was refused: then OpenSSL's error queue says what was wrong and what was
 * expected. A provider that is not ersatz refuses, or takes no notice.
 */
static inline int ersatz_control(
    const OSSL_PROVIDER *provider, const char *command, int64_t *number, char **text)
{
    struct ersatz_control_answer answer;
    size_t size = sizeof(ERSATZ_CONTROL) + strlen(command);
    char *name = (char *)OPENSSL_malloc(size);
    int done;

    if (name == NULL)
        return 0;
    answer.number = number;
    answer.text = text;
    if (number != NULL)
        *number = 0;
    if (text != NULL)
        *text = NULL;
    (void)snprintf(name, size, ERSATZ_CONTROL "%s", command);
    done = OSSL_PROVIDER_get_capabilities(provider, name, ersatz_control_take, &answer);
    OPENSSL_free(name);
    return done;
}

#endif
