/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what the control socket answers: for its clients. */
#include <string.h>

#include "base/json_read.h"
#include "ersatz/control_socket.h"

#define OK "{\"ok\": true"
#define ANSWER ", \"answer\": "

bool ersatz_control_read_answer(char *line, bool *ok, const char **text)
{
    struct json_member members[2];
    struct ersatz_error error;
    size_t len = strlen(line);

    *ok = strncmp(line, OK, strlen(OK)) == 0 && line[len - 1] == '}';
    if (*ok) { /* an answer may be any JSON value, and stays as it is */
        *text = line + strlen(OK);
        line[len - 1] = '\0';
        if (strncmp(*text, ANSWER, strlen(ANSWER)) == 0)
            *text += strlen(ANSWER);
        return true;
    }
    if (json_read_object(line, len, members, 2, &error) != 2 || strcmp(members[0].name, "ok") != 0 ||
        strcmp(members[1].name, "error") != 0)
        return false;
    *text = members[1].text;
    return true;
}
