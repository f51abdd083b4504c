/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a client of the control socket, and the answer to it. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_read.h"
#include "control_clients.h"

#define MEMBERS_MAX 8u

/* A line of a client. */
struct order {
    const char *command, *value, *until;
};

/* What may be in force until the connection closes, and what undoes it then, in this order. */
static const struct {
    const char *command, *undo, *value;
} undone[] = {{"FAULTS", "FAULTS", "none"}, {"GONE", "BACK", NULL}, {"HOLD", "HOLD", "none"}};

#define UNDONE (sizeof(undone) / sizeof(undone[0]))

_Static_assert(UNDONE == sizeof(struct control_owners) / sizeof(void *), "one owner for each");

static bool has_undo(const char *command)
{
    for (unsigned i = 0; i < UNDONE; i++) {
        if (strcmp(command, undone[i].command) == 0)
            return true;
    }
    return false;
}

/* Finds what the members are. */
static bool sort(
    const struct json_member *members, int count, struct order *order, struct ersatz_error *error)
{
    *order = (struct order){0};
    error->result = ERSATZ_BAD_INPUT;
    for (int i = 0; i < count; i++) {
        const struct json_member *member = &members[i];
        bool is_value = strcmp(member->name, "value") == 0, is_until = strcmp(member->name, "until") == 0;

        if (!is_value && !is_until && strcmp(member->name, "command") != 0) {
            snprintf(error->text, sizeof(error->text),
                "unknown name \"%.100s\"; expected command, value and until", member->name);
            return false;
        }
        if (member->kind == JSON_WORD || (!is_value && member->kind != JSON_STRING)) {
            snprintf(error->text, sizeof(error->text), "%s is %.100s; expected a string%s", member->name,
                member->text, is_value ? " or a number" : "");
            return false;
        }
        *(is_value ? &order->value : is_until ? &order->until : &order->command) = member->text;
    }
    if (order->command == NULL)
        snprintf(
            error->text, sizeof(error->text), "no command; expected {\"command\": NAME, \"value\": VALUE}");
    else if (order->until != NULL && strcmp(order->until, "close") != 0)
        snprintf(error->text, sizeof(error->text), "until is \"%.100s\"; expected close", order->until);
    else if (order->until != NULL && !has_undo(order->command))
        snprintf(error->text, sizeof(error->text),
            "until is for FAULTS, GONE and HOLD, and not for \"%.100s\"", order->command);
    else
        return true;
    return false;
}

/* The newest command, of whichever client, decides whether something is undone. */
static void note_until(const struct order *order, const void *client, struct control_owners *owners)
{
    for (unsigned i = 0; i < UNDONE; i++) {
        if (strcmp(order->command, undone[i].command) == 0 || strcmp(order->command, undone[i].undo) == 0)
            owners->of[i] = order->until != NULL ? client : NULL;
    }
}

void control_undo(const void *client, struct control_owners *owners, ersatz_control_run *run)
{
    struct ersatz_error error; /* a card that stops or that others have brought back is no mistake */

    for (unsigned i = 0; i < UNDONE; i++) {
        if (owners->of[i] != client)
            continue;
        owners->of[i] = NULL;
        (void)run(undone[i].undo, undone[i].value, NULL, &error);
    }
}

static bool run_line(char *line, size_t len, ersatz_control_run *run, FILE *answer, const void *client,
    struct control_owners *owners, struct ersatz_error *error)
{
    struct json_member members[MEMBERS_MAX];
    int count = json_read_object(line, len, members, MEMBERS_MAX, error);
    struct order order;

    if (count < 0 || !sort(members, count, &order, error) || !run(order.command, order.value, answer, error))
        return false;
    note_until(&order, client, owners);
    return true;
}

/* An answer is one line: what was written in several is joined. In JSON, a newline stands between values
 * only. */
static void write_joined(const char *text, size_t len, FILE *stream)
{
    for (size_t i = 0; i < len; i++) {
        fputc(text[i] == '\n' ? ' ' : text[i], stream);
        if (text[i] == '\n')
            i += strspn(text + i + 1, " ");
    }
}

static void write_answer(
    const char *text, size_t len, bool ok, const struct ersatz_error *error, FILE *stream)
{
    struct json json = {.stream = stream};

    json_open(&json, NULL, '{');
    json_bool(&json, "ok", ok);
    if (!ok) {
        json_string(&json, "error", error->text, sizeof(error->text));
    } else if (len > 0) {
        json_value(&json, "answer");
        write_joined(text, len, stream);
    }
    json_close(&json, '}');
    fputc('\n', stream);
}

char *control_answer(char *line, size_t len, ersatz_control_run *run, const void *client,
    struct control_owners *owners, size_t *answer_len)
{
    char *text = NULL, *whole = NULL;
    size_t text_len = 0;
    FILE *answer = open_memstream(&text, &text_len), *stream = open_memstream(&whole, answer_len);
    struct ersatz_error error = {.text = ""};
    bool ok = answer != NULL && stream != NULL;

    if (ok) {
        bool done = run_line(line, len, run, answer, client, owners, &error);

        ok = fflush(answer) == 0;
        write_answer(text, text_len, done, &error, stream);
    }
    if (answer != NULL)
        fclose(answer);
    free(text);
    ok = stream != NULL && fclose(stream) == 0 && ok;
    if (!ok) {
        free(whole);
        whole = NULL;
    }
    return whole;
}
