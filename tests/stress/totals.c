/* SPDX-License-Identifier: Apache-2.0 */
/* The table at the end. */
#include "totals.h"

#include <stdio.h>

struct totals totals;

#define TOTALS_ROW(name, is_fault, what) {#name, what, is_fault, &totals.name},

static const struct {
    const char *name, *what;
    bool is_fault;
    _Atomic long *value;
} rows[] = {TOTALS(TOTALS_ROW)};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

long totals_faults(void)
{
    long faults = 0;

    for (unsigned i = 0; i < ROWS; i++)
        faults += rows[i].is_fault ? atomic_load(rows[i].value) : 0;
    return faults;
}

void totals_print(double seconds)
{
    printf("\n");
    for (unsigned i = 0; i < ROWS; i++)
        printf("%-26s %12ld%s\n", rows[i].what, atomic_load(rows[i].value),
            rows[i].is_fault && atomic_load(rows[i].value) != 0 ? "  <-- must be 0" : "");
    printf("%-26s %12.0f\n", "seconds", seconds);
}

void totals_print_line(double seconds)
{
    printf("%6.0f s  %ld rounds, %ld scenarios, %ld operations, %ld early resumes, %ld abandons, %ld "
           "orphans; %ld faults\n",
        seconds, atomic_load(&totals.rounds), atomic_load(&totals.scenarios), atomic_load(&totals.operations),
        atomic_load(&totals.early), atomic_load(&totals.abandons), atomic_load(&totals.orphans),
        totals_faults());
    fflush(stdout);
}

bool totals_write_json(const char *path, unsigned long long seed, double seconds)
{
    FILE *file = fopen(path, "we");

    if (file == NULL)
        return false;
    fprintf(file, "{\"seed\": %llu, \"seconds\": %.1f", seed, seconds);
    for (unsigned i = 0; i < ROWS; i++)
        fprintf(file, ", \"%s\": %ld", rows[i].name, atomic_load(rows[i].value));
    fprintf(file, ", \"faults\": %ld}\n", totals_faults());
    return fclose(file) == 0;
}
