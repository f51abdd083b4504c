/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands as a door uses it that is no ENGINE: find a command, run it, get an answer or an
 * error. */
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "driver/card.h"
#include "driver/commands.h"
#include "ersatz/faults.h"

static struct ersatz_error error;
static struct command_answer answer;

/* By number where text is NULL. */
static bool run(const char *name, const char *text, long number)
{
    const struct command *command = command_find(name, &error);

    CHECK(command != NULL);
    memset(&answer, 0, sizeof(answer));
    return command_run(command, text, number, command->answers == ANSWERS_NOTHING ? NULL : &answer, &error);
}

static bool refuses(
    const char *name, const char *text, long number, enum ersatz_result result, const char *said)
{
    if (run(name, text, number) || error.result != result || strstr(error.text, said) == NULL) {
        fprintf(stderr, "%s %s %ld: result %d, \"%s\"\n", name, text, number, error.result, error.text);
        return false;
    }
    return true;
}

/* Each row is complete, and its name is its own. */
static void rows(void)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        char text[512];

        command_describe(command, text, sizeof(text));
        CHECK(command->words != NULL && strlen(text) < sizeof(text) - 1);
        CHECK(command_find(command->name, &error) == command);
        CHECK(command->takes != TAKES_TEXT || command->parse != NULL || command->function != NULL);
        CHECK((command->place == IN_CARD) <= (command->when == BEFORE_START));
    }
    CHECK(command_find("NONE_SUCH", &error) == NULL && strstr(error.text, "\"NONE_SUCH\"") != NULL);
}

/* Each number is refused just outside its bounds, as a number and as a text, and nothing is stored. */
static void bounds(void)
{
    unsigned checked = 0;

    for (const struct command *command = commands; command->name != NULL; command++) {
        char text[64], said[96];

        if (command->takes != TAKES_NUMBER || command->when == WHEN_POLLED)
            continue;
        checked++;
        snprintf(said, sizeof(said), "%s is %ld; it must be ", command->name, command->least - 1);
        CHECK(refuses(command->name, NULL, command->least - 1, ERSATZ_BAD_CONFIG, said));
        snprintf(text, sizeof(text), "%ld", command->least - 1);
        CHECK(refuses(command->name, text, 0, ERSATZ_BAD_CONFIG, said));
        if (command->most < LONG_MAX)
            CHECK(refuses(command->name, NULL, command->most + 1, ERSATZ_BAD_CONFIG, "; it must be "));
        CHECK(refuses(command->name, "1 or 2", 0, ERSATZ_BAD_CONFIG, "expected a number, "));
        if (command->place == NOWHERE)
            continue;
        CHECK(run(command->name, NULL, command->least) && run(command->name, NULL, command->most));
    }
    CHECK(checked > 10);
    commands_reset();
}

static void values(void)
{
    const struct card_policy *policy = card_policy();
    size_t grammar = strlen(ersatz_faults_grammar), said;

    CHECK(run("OFFLOAD", "fastest", 0) && policy->fastest);
    CHECK(refuses(
        "OFFLOAD", "slowest", 0, ERSATZ_BAD_CONFIG, "OFFLOAD is \"slowest\"; expected card or fastest"));
    CHECK(policy->fastest);
    CHECK(run("ENABLE_SW_FALLBACK", NULL, 0) && policy->fallback);
    CHECK(run("SET_MAX_RETRY_COUNT", "7", 0) && policy->max_retries == 7);
    CHECK(run("SET_INTERNAL_POLL_INTERVAL", NULL, 5000) && policy->polling.interval_ns == 5000);
    CHECK(refuses("PROFILE", "none-such", 0, ERSATZ_BAD_CONFIG, "PROFILE: unknown profile \"none-such\""));
    CHECK(refuses("PROFILE", NULL, 0, ERSATZ_BAD_CONFIG, "PROFILE needs a text"));
    CHECK(refuses("FAULTS", "late=1", 0, ERSATZ_BAD_CONFIG, "FAULTS is wrong at character 7"));
    said = strlen(error.text); /* nothing of the grammar is cut off */
    CHECK(said > grammar && strcmp(error.text + said - grammar, ersatz_faults_grammar) == 0);
    CHECK(refuses("CHECK_LIMITS", "early=0", 0, ERSATZ_BAD_CONFIG, "expected a number from 1 to 1000000000"));
    CHECK(refuses("SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", "AES:1", 0, ERSATZ_BAD_CONFIG, "\"AES:1\""));
    commands_reset();
    CHECK(!policy->fastest && !policy->fallback && policy->max_retries == -1);
    CHECK_EQ(policy->polling.interval_ns, 10000);
}

static void with_card(void)
{
    CHECK(run("INSTANCES", "2", 0) && run("SEED", "7", 0) && run("PROFILE", "none", 0));
    CHECK(run("GET_NUM_CRYPTO_INSTANCES", NULL, 0) && answer.given && answer.number == 2);
    CHECK(refuses("HEARTBEAT_POLL", NULL, 0, ERSATZ_BAD_CONFIG, "needs ENABLE_EXTERNAL_POLLING"));
    CHECK(run("ENABLE_EXTERNAL_POLLING", NULL, 0) && run("INIT_ENGINE", NULL, 0));
    CHECK(run("INSTANCES", NULL, 2) && run("SEED", NULL, 7));
    CHECK(refuses("INSTANCES", NULL, 3, ERSATZ_TOO_LATE, "INSTANCES must come before the first operation"));
    CHECK(refuses("SEED", "8", 0, ERSATZ_TOO_LATE, "SEED must come before"));
    CHECK(refuses("PROFILE", "qat-c62x", 0, ERSATZ_TOO_LATE, "PROFILE must come before"));
    CHECK(run("HEARTBEAT_POLL", NULL, 0) && answer.given && answer.number == 0);
    CHECK(run("GET_EXTERNAL_POLLING_FD", NULL, 1) && answer.given && answer.number > 2);
    CHECK(refuses("GET_EXTERNAL_POLLING_FD", NULL, 2, ERSATZ_BAD_CONFIG, "is 2; it must be from 0 to 1"));
    CHECK(run("GET_NUM_REQUESTS_IN_FLIGHT", NULL, 0) && answer.counter == &card_stats()->in_flight[0]);
    CHECK(run("STATS", NULL, 0) && answer.given && strstr(answer.text, "\"completed\": 0") != NULL);
    free(answer.text);
    CHECK(!command_run(command_find("GET_NUM_OP_RETRIES", &error), NULL, 0, NULL, &error));
    CHECK(strstr(error.text, "GET_NUM_OP_RETRIES needs the address") != NULL);
    card_stop();
    CHECK(refuses("HOLD", "compute", 0, ERSATZ_STOPPED, "HOLD: the engine's last user"));
    commands_reset();
}

static void environment(void)
{
    setenv("ERSATZ_CTRL", "ENABLE_INLINE_POLLING;SEED:-1;ENABLE_SW_FALLBACK", 1);
    CHECK(!commands_from_environment(&error));
    CHECK(strstr(error.text, "SEED is -1; it must be 0 or more") != NULL);
    CHECK(card_policy()->spin && !card_policy()->fallback);
    commands_reset();
    setenv("ERSATZ_CTRL", "OFFLOAD:fastest;", 1);
    CHECK(commands_from_environment(&error) && card_policy()->fastest);
    unsetenv("ERSATZ_CTRL");
}

int main(void)
{
    test_begin(60);
    CHECK(card_set_up());
    commands_reset();
    rows();
    bounds();
    values();
    with_card();
    environment();
    return 0;
}
