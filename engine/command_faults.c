/* SPDX-License-Identifier: Apache-2.0 */
/* FAULTS and SEED: what the card does wrong, and to which requests. */
#include <ctype.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"
#include "ersatz/faults.h"

#define SHOWN_BEFORE 50u /* characters of the text, around the place where it is wrong */
#define SHOWN_AFTER 20u

/* The card's configuration points to it. Under the card's lock. */
static struct ersatz_faults current;

static void set_faults(struct ersatz_config *config, const void *faults)
{
    memcpy(&current, faults, sizeof(current));
    config->faults = current.count > 0 ? &current : NULL;
}

static bool has_faults(const struct ersatz_config *config, const void *what)
{
    const struct ersatz_faults *faults = what;

    /* Both were zeroed before they were filled. */
    return config->faults == NULL ? faults->count == 0 : memcmp(config->faults, faults, sizeof(*faults)) == 0;
}

static bool has_seed(const struct ersatz_config *config, const void *seed)
{
    return config->seed == *(const uint64_t *)seed;
}

static void set_seed(struct ersatz_config *config, const void *seed)
{
    config->seed = *(const uint64_t *)seed;
}

/* A text that is wrong somewhere, with a caret under the place; of a long one what is around it. */
static int complain(const char *text, size_t offset, const struct ersatz_error *error)
{
    size_t from = offset > SHOWN_BEFORE ? offset - SHOWN_BEFORE : 0;
    const char *dots = from > 0 ? "..." : "";
    char shown[SHOWN_BEFORE + SHOWN_AFTER + 1];
    size_t len = strnlen(text + from, sizeof(shown) - 1);

    for (size_t n = 0; n < len; n++)
        shown[n] = isprint((unsigned char)text[from + n]) ? text[from + n] : '?';
    shown[len] = '\0';
    error_raise(REASON_BAD_COMMAND, "FAULTS is wrong at character %zu: %s\n  %s%s%s\n  %*s\n%s", offset + 1,
        error->text, dots, shown, text[from + len] != '\0' ? "..." : "",
        (int)(strlen(dots) + offset - from) + 1, "^", ersatz_faults_grammar);
    return 0;
}

int command_faults(int command, long i, void *p)
{
    struct ersatz_faults faults;
    struct ersatz_error error;
    size_t offset;

    (void)i;
    if (ersatz_faults_parse(p, &faults, &offset, &error) != ERSATZ_OK)
        return complain(p, offset, &error);
    return card_configure_with(set_faults, has_faults, &faults) || command_too_late(command);
}

int command_seed(int command, long i, void *p)
{
    uint64_t seed = (uint64_t)i;

    (void)p;
    return command_check_range(command, i, 0, LONG_MAX) &&
           (card_configure_with(set_seed, has_seed, &seed) || command_too_late(command));
}
