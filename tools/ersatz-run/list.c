/* SPDX-License-Identifier: Apache-2.0 */
/* --list: profiles, faults and findings. */
#include "ersatz/faults.h"
#include "ersatz/profile.h"
#include "run.h"

static void list_profiles(FILE *stream)
{
    const struct ersatz_profile *profile;

    fputs("Profiles, for --profile (or the path of a file, see docs/profiles.md):\n", stream);
    for (unsigned i = 0; (profile = ersatz_profile_builtin(i)) != NULL; i++)
        fprintf(stream, "  %-22s %s\n", profile->name, profile->about);
}

static void list_faults(FILE *stream)
{
    fputs("\nFaults, for --faults (a list, see docs/faults.md):\n", stream);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++)
        fprintf(stream, "  %-22s %s\n", ersatz_fault_name(fault), ersatz_fault_text(fault));
    fprintf(stream, "\n%s\n", ersatz_faults_grammar);
}

static void list_checks(FILE *stream)
{
    fputs("\nFindings: mistakes that the check looks for (see docs/findings.md):\n", stream);
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++)
        fprintf(stream, "  %-22s %s\n", ersatz_finding_name(finding), ersatz_finding_description(finding));
}

void list_all(FILE *stream)
{
    list_profiles(stream);
    list_faults(stream);
    list_checks(stream);
}
