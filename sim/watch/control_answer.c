/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a client of the control socket, and the answer to it. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_read.h"
#include "control_clients.h"

#define MEMBERS_MAX 8u

/* Finds command and value among the members. */
static bool sort(const struct json_member *members, int count, const char **command, const char **value,
    struct ersatz_error *error)
{
    *command = *value = NULL;
    error->result = ERSATZ_BAD_INPUT;
    for (int i = 0; i < count; i++) {
        bool is_value = strcmp(members[i].name, "value") == 0;

        if (!is_value && strcmp(members[i].name, "command") != 0) {
            snprintf(error->text, sizeof(error->text), "unknown name \"%.100s\"; expected command and value",
                members[i].name);
            return false;
        }
        if (members[i].kind == JSON_WORD || (!is_value && members[i].kind != JSON_STRING)) {
            snprintf(error->text, sizeof(error->text), "%s is %.100s; expected a string%s", members[i].name,
                members[i].text, is_value ? " or a number" : "");
            return false;
        }
        *(is_value ? value : command) = members[i].text;
    }
    if (*command == NULL)
        snprintf(
            error->text, sizeof(error->text), "no command; expected {\"command\": NAME, \"value\": VALUE}");
    return *command != NULL;
}

static bool run_line(
    char *line, size_t len, ersatz_control_run *run, FILE *answer, struct ersatz_error *error)
{
    struct json_member members[MEMBERS_MAX];
    int count = json_read_object(line, len, members, MEMBERS_MAX, error);
    const char *command, *value;

    return count >= 0 && sort(members, count, &command, &value, error) && run(command, value, answer, error);
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

char *control_answer(char *line, size_t len, ersatz_control_run *run, size_t *answer_len)
{
    char *text = NULL, *whole = NULL;
    size_t text_len = 0;
    FILE *answer = open_memstream(&text, &text_len), *stream = open_memstream(&whole, answer_len);
    struct ersatz_error error = {.text = ""};
    bool ok = answer != NULL && stream != NULL;

    if (ok) {
        bool done = run_line(line, len, run, answer, &error);

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
