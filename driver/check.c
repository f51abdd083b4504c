/* SPDX-License-Identifier: Apache-2.0 */
/* Begins the findings of a check, and says what was found. */
#include "check.h"

#include <stdlib.h>

#include "ersatz/output.h"

/* How many findings were said. Of the process, however often the module is loaded. */
static uint64_t said;

void findings_begin(struct ersatz_findings *findings, const struct ersatz_check_limits *limits)
{
    if (atomic_load_explicit(&findings->began_ns, memory_order_relaxed) != 0)
        return;
    ersatz_findings_init(findings, limits);
    said = 0;
}

void findings_say(const struct ersatz_findings *findings)
{
    uint64_t found = ersatz_findings_total(findings);
    char *text = NULL;
    size_t len = 0;
    FILE *memory = found > said ? open_memstream(&text, &len) : NULL;

    said = found;
    if (memory == NULL)
        return;
    ersatz_findings_write(findings, memory);
    if (fclose(memory) == 0)
        ersatz_say_text(text, len);
    free(text);
}
