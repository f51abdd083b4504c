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
#include "driver/commands.h"
#include "fuzz.h"

#define TEXT_MAX 4096u

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

    for (const struct command *command = commands; command->name != NULL; command++) {
        bool is_text = command->takes == TAKES_TEXT || command->takes == TAKES_CHOICE;

        if (strcmp(command->name, name) == 0 && is_text)
            pointer = number == -7 ? NULL : value; /* one value stands for no text at all */
    }
    if (strcmp(name, "STATS") == 0 || strcmp(name, "FINDINGS") == 0)
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
    commands_reset(); /* what an input left behind would keep a finding from repeating */
    ERR_clear_error();
    return 0;
}
