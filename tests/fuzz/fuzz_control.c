/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a line that a client of the control socket sends. The property: nothing crashes or leaks, the
 * answer is one line that a client can read, and what a command gets are strings that lay in the line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "watch/control_clients.h"

static size_t line_len;

/* Refuses a value that ends in a question mark. */
static bool run(const char *command, const char *value, FILE *answer, struct ersatz_error *error)
{
    size_t len = value == NULL ? 0 : strlen(value);

    if (strlen(command) + len > line_len)
        abort();
    if (len > 0 && value[len - 1] == '?') {
        snprintf(error->text, sizeof(error->text), "%s: \"%s\"", command, value);
        return false;
    }
    fprintf(answer, "[%zu,\n  %zu]", strlen(command), len);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1), *answer;
    const char *text;
    struct control_owners owners = {0};
    size_t len = 0;
    bool ok;

    if (line == NULL)
        return 0;
    if (size > 0)
        memcpy(line, data, size);
    line[size] = '\0';
    line_len = size;
    answer = control_answer(line, size, run, &line, &owners, &len);
    control_undo(&line, &owners, run);
    if (answer == NULL || strlen(answer) != len || memchr(answer, '\n', len) != answer + len - 1)
        abort();
    answer[len - 1] = '\0';
    if (!ersatz_control_read_answer(answer, &ok, &text) || (ok && text[0] != '[') || (!ok && text[0] == '\0'))
        abort();
    free(answer);
    free(line);
    return 0;
}
