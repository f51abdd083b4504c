/* SPDX-License-Identifier: Apache-2.0 */
/* Control commands that take a text: makes a value of it, or says where it is wrong. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_functions.h"
#include "error.h"
#include "ersatz/faults.h"
#include "ersatz/profile.h"
#include "thresholds.h"

/* ---------------------------------------------------------------------------------------------- PROFILE */

bool parse_profile(const struct command_call *call, void *value)
{
    struct ersatz_profile *profile = value;
    struct ersatz_error error;

    if (ersatz_profile_read(call->text, profile, &error) != ERSATZ_OK)
        return error_set(call->error, ERSATZ_BAD_CONFIG, "%s: %.900s", call->name, error.text);
    if (ersatz_profile_is_none(profile)) /* it may have a name; what makes no difference compares equal */
        memset(profile, 0, sizeof(*profile));
    return true;
}

/* ----------------------------------------------------------------------------------------------- FAULTS */

#define SHOWN_BEFORE 50u /* characters of the text before and after the place where it is wrong */
#define SHOWN_AFTER 20u

/* The error with the text, and a caret under the place; of a long text the part around it. */
static bool point_at(const struct command_call *call, size_t offset, const struct ersatz_error *error)
{
    size_t from = offset > SHOWN_BEFORE ? offset - SHOWN_BEFORE : 0;
    const char *text = call->text + from, *dots = from > 0 ? "..." : "";
    char shown[SHOWN_BEFORE + SHOWN_AFTER + 1];
    size_t len = strnlen(text, sizeof(shown) - 1);

    for (size_t n = 0; n < len; n++)
        shown[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
    shown[len] = '\0';
    return error_set(call->error, ERSATZ_BAD_CONFIG,
        "%s is wrong at character %zu: %.240s\n  %s%s%s\n  %*s\n%s", call->name, offset + 1, error->text,
        dots, shown, text[len] != '\0' ? "..." : "", (int)(strlen(dots) + offset - from) + 1, "^",
        ersatz_faults_grammar);
}

bool parse_faults(const struct command_call *call, void *value)
{
    struct ersatz_error error;
    size_t offset;

    return ersatz_faults_parse(call->text, value, &offset, &error) == ERSATZ_OK ||
           point_at(call, offset, &error);
}

/* ----------------------------------------------------------------------------------------- CHECK_LIMITS */

static const struct limit {
    const char *name;
    size_t offset;
    long least, most;
} limits[] = {
    {"answer", offsetof(struct ersatz_check_limits, answer_ms), 40, 3600000},
    {"callback", offsetof(struct ersatz_check_limits, callback_ms), 1, 3600000},
    {"early", offsetof(struct ersatz_check_limits, early), 1, 1000000000},
};

#define LIMITS (sizeof(limits) / sizeof(limits[0]))

static const struct limit *find_limit(const char *name, size_t len)
{
    for (size_t n = 0; n < LIMITS; n++) {
        if (strlen(limits[n].name) == len && strncmp(limits[n].name, name, len) == 0)
            return &limits[n];
    }
    return NULL;
}

/* One NAME=NUMBER of the list. */
static bool parse_limit(const struct command_call *call, const char *item, struct ersatz_check_limits *out)
{
    const char *number = strchr(item, '=');
    const struct limit *limit = number == NULL ? NULL : find_limit(item, (size_t)(number - item));
    char *end;
    long value;

    if (limit == NULL)
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s has \"%.200s\" in it; expected a list of answer=MILLISECONDS, callback=MILLISECONDS, "
            "early=TIMES",
            call->name, item);
    errno = 0;
    value = strtol(++number, &end, 10);
    if (errno != 0 || end == number || *end != '\0' || value < limit->least || value > limit->most)
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s: %s is \"%.200s\"; expected a number from %ld to %ld", call->name, limit->name, number,
            limit->least, limit->most);
    *(uint32_t *)(void *)((char *)out + limit->offset) = (uint32_t)value;
    return true;
}

bool parse_check_limits(const struct command_call *call, void *value)
{
    char *copy = strdup(call->text), *rest = copy, *item;
    bool ok = true;

    if (copy == NULL)
        return error_set(call->error, ERSATZ_NO_MEMORY, "%s", call->name);
    ersatz_check_limits_init(value);
    while (ok && (item = strsep(&rest, ",")) != NULL)
        ok = parse_limit(call, item, value);
    free(copy);
    return ok;
}

/* ------------------------------------------------------------------------------------------- thresholds */

bool set_thresholds(const struct command_call *call)
{
    return thresholds_set(call->text, call->error);
}

/* ---------------------------------------------------------------------------------------------- KERNELS */

/* "portable, x86": the names of a set of kernels. */
static const char *kernel_names(unsigned set, char *out, size_t size)
{
    size_t used = 0;

    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++) {
        if ((set & 1u << kernel) != 0 && used < size)
            used += (size_t)snprintf(
                out + used, size - used, "%s%s", used == 0 ? "" : ", ", ersatz_kernel_name(kernel));
    }
    return out;
}

/* The kernel of this name. ERSATZ_KERNELS: there is none. */
static enum ersatz_kernel find_kernel(const char *name, size_t len)
{
    enum ersatz_kernel kernel = 0;

    while (kernel < ERSATZ_KERNELS &&
           (strlen(ersatz_kernel_name(kernel)) != len || strncmp(ersatz_kernel_name(kernel), name, len) != 0))
        kernel++;
    return kernel;
}

/* One name of the list. */
static bool add_kernel(const struct command_call *call, const char *name, size_t len, unsigned *set)
{
    enum ersatz_kernel kernel = find_kernel(name, len);
    unsigned available = ersatz_kernels_available();
    int shown = len < 200 ? (int)len : 200;
    char names[64];

    if (kernel == ERSATZ_KERNELS)
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s has \"%.*s\" in it; expected auto, or a list of %s", call->name, shown, name,
            kernel_names(ERSATZ_KERNELS_ALL, names, sizeof(names)));
    if ((available & 1u << kernel) == 0)
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s: \"%.*s\" was not built in, or this processor does not run it; available: %s", call->name,
            shown, name, kernel_names(available, names, sizeof(names)));
    *set |= 1u << kernel;
    return true;
}

bool choose_kernels(const struct command_call *call)
{
    unsigned set = 0;

    if (strcmp(call->text, "auto") == 0) {
        ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
        return true;
    }
    for (const char *at = call->text;;) {
        size_t len = strcspn(at, ",");

        if (!add_kernel(call, at, len, &set))
            return false;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    ersatz_kernels_choose(set);
    return true;
}
