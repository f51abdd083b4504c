/* SPDX-License-Identifier: Apache-2.0 */
/* Sets the check up, and says what it found. */
#include "check.h"

#include <stdlib.h>

#include "ersatz/output.h"

void findings_reset(struct findings_settings *settings)
{
    *settings =
        (struct findings_settings){.said = settings->said}; /* of the process, however often it loads */
    ersatz_check_limits_init(&settings->limits);
}

void findings_begin(
    struct findings_settings *settings, struct ersatz_findings *findings, struct ersatz_config *config)
{
    config->findings = NULL;
    if (!settings->check)
        return;
    if (atomic_load_explicit(&findings->began_ns, memory_order_relaxed) == 0) {
        ersatz_findings_init(findings, &settings->limits);
        settings->said = 0;
    }
    config->findings = findings;
    config->pause_ns = settings->pause_ns;
}

void findings_say(struct findings_settings *settings, const struct ersatz_findings *findings)
{
    uint64_t found = ersatz_findings_total(findings);
    char *text = NULL;
    size_t len = 0;
    FILE *memory = found > settings->said ? open_memstream(&text, &len) : NULL;

    settings->said = found;
    if (memory == NULL)
        return;
    ersatz_findings_write(findings, memory);
    if (fclose(memory) == 0)
        ersatz_say_text(text, len);
    free(text);
}
