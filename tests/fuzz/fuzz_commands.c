/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the control commands. An input is text. Its first line is ERSATZ_CTRL; each of the others is a
 * command for the engine that came of it, by name:
 *
 *   NAME          ENGINE_ctrl_cmd_string() without a value
 *   NAME:VALUE    ENGINE_ctrl_cmd_string() with one
 *   =NAME:VALUE   ENGINE_ctrl_cmd(), with VALUE as text or number, and room for an answer
 *
 * The property: nothing crashes, leaks or hangs, a refusal leaves an error that says why, and the engine
 * comes apart again.
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/card.h"
#include "driver/thresholds.h"
#include "ersatz/commands.h"
#include "fuzz.h"

#define TEXT_MAX 4096u

enum takes { NOTHING, NUMBER, STRING, POINTER, QUERY };

static const struct {
    const char *name;
    enum takes takes;
} commands[] = {
#define ENTRY_OF(name, takes, description) {#name, takes},
    ERSATZ_COMMANDS(ENTRY_OF)
#undef ENTRY_OF
};

static void reset_config(struct ersatz_config *config, unsigned value)
{
    (void)value;
    ersatz_config_init(config, card_stats());
    config->polling = card_polling();
}

/* What an input left behind must not be there for the next one: a finding would not repeat. */
static void reset_settings(void)
{
    struct card_policy *policy = card_policy();
    struct ersatz_polling *polling = card_polling();

    atomic_store(&policy->fallback, false);
    atomic_store(&policy->sync_offload, false);
    atomic_store(&policy->spin, false);
    atomic_store(&policy->max_retries, -1);
    atomic_store(&polling->timed, false);
    atomic_store(&polling->interval_ns, 10000);
    atomic_store(&polling->timeout_ms, 0);
    FUZZ_SAME(card_configure(reset_config, 0));
    FUZZ_SAME(card_set_stats_file("/dev/null"));
    FUZZ_SAME(thresholds_parse(
        "AES-128-CBC:2048,AES-192-CBC:2048,AES-256-CBC:2048,AES-128-CTR:2048,AES-192-CTR:2048,"
        "AES-256-CTR:2048,AES-128-GCM:2048,AES-192-GCM:2048,AES-256-GCM:2048,AES-128-XTS:2048,"
        "AES-256-XTS:2048"));
    ERR_clear_error();
}

/* A call with everything the command may want to follow: text, or room for any of the answers. */
static int call(ENGINE *engine, const char *name, char *value)
{
    union {
        int number;
        unsigned count;
        int *counter;
    } answer = {0};
    long number = strtol(value, NULL, 10);
    void *pointer = &answer;
    BIO *bio = NULL;
    int done;

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0 && commands[i].takes == STRING)
            pointer = number == -7 ? NULL : value; /* one value stands for no text at all */
    }
    if (strcmp(name, "STATS") == 0)
        pointer = bio = BIO_new(BIO_s_mem());
    done = ENGINE_ctrl_cmd(engine, name, number, pointer, NULL, 0);
    BIO_free(bio);
    return done;
}

static void run_line(ENGINE *engine, char *line)
{
    bool direct = line[0] == '=';
    char *name = line + direct;
    char *value = strchr(name, ':');
    int done;

    if (value != NULL)
        *value++ = '\0';
    ERR_clear_error();
    if (direct)
        done = call(engine, name, value == NULL ? name + strlen(name) : value);
    else
        done = ENGINE_ctrl_cmd_string(engine, name, value, 0);
    FUZZ_SAME(done > 0 || ERR_peek_error() != 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* STATS without a BIO writes there. */
    return freopen("/dev/null", "w", stdout) == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    char *rest = text;
    char *environment;
    ENGINE *engine;

    if (size > TEXT_MAX)
        return -1; /* of no interest */
    memcpy(text, data, size);
    text[size] = '\0';
    environment = strsep(&rest, "\n");
    ERR_clear_error();
    engine = fuzz_bind(environment);
    FUZZ_SAME(engine != NULL || ERR_peek_error() != 0);
    while (engine != NULL && rest != NULL)
        run_line(engine, strsep(&rest, "\n"));
    card_stop(); /* a refused ERSATZ_CTRL may have started it */
    if (engine != NULL)
        ENGINE_free(engine);
    reset_settings();
    return 0;
}
