/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timing report: whether the time of what works on secrets hangs on them. A report, not a test: it says
 * what was measured on this machine, and nobody's verdict hangs on it.
 *
 * timing [SECONDS [rsa|records ...]]
 */
#include "timing.h"

#include "check.h"

static const struct {
    const char *name;
    bool (*measure)(double seconds); /* whether its own controls came out right */
} parts[] = {{"rsa", measure_rsa}, {"records", measure_records}};

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc <= 2;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
    bool fit;

    CHECK(seconds > 0);
    printf("%-42s %-17s %-17s %8s %12s %10s %8s %7s\n", "what", "class 0", "class 1", "measured", "ticks",
        "difference", "t", "kept");
    fit = measure_controls(seconds / 5);
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (wanted(parts[i].name, argc, argv))
            fit &= parts[i].measure(seconds);
    }
    printf(
        "\nHow to read it: t is the largest of Welch's t-tests over all measurements and over the quickest\n"
        "25 to 99.9 %% of them (\"kept\" says which). Below 4.5 nothing was found with so many "
        "measurements;\n"
        "above 10 the two classes do take different times, by \"difference\"; in between, measure longer: a "
        "real\n"
        "difference grows with the square root of the measurements, chance does not.\n");
    if (!fit)
        printf("\nThe controls did not come out as they should: this machine is too busy for the rest to "
               "mean much.\n");
    return 0;
}
