/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the report as text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "crash.h"
#include "ersatz/faults.h"
#include "totals.h"

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void write_ending(const struct outcome *outcome, FILE *stream)
{
    const struct totals *totals = outcome->totals;
    int status = outcome->ending->status;

    fprintf(stream, "\nersatz-run: %s ", outcome->options->command[0]);
    if (outcome->ending->too_long)
        fputs("was killed because it did not end", stream);
    else if (WIFSIGNALED(status))
        fprintf(stream, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        fprintf(stream, "ended with %d", WEXITSTATUS(status));
    fprintf(stream, " after %.1f s; %u process%s loaded the %s, %u started the card\n",
        outcome->ending->seconds, totals->loaded, totals->loaded == 1 ? "" : "es",
        door_name(outcome->config->door), totals->started);
}

/* The settings of the card. The seed is shown if something is random. */
static void write_settings(const struct outcome *outcome, FILE *stream)
{
    const struct options *options = outcome->options;
    const struct totals *totals = outcome->totals;
    bool seed = !options->seed_chosen || options->faults != NULL || options->profile != NULL ||
                totals->injected > 0 || totals->profile;
    char *number = text("%" PRIu64, totals->seed);
    const struct {
        const char *name, *value;
    } all[] = {{"profile", options->profile}, {"faults", options->faults}, {"seed", seed ? number : NULL},
        {"commands", options->control}};
    const char *between = "  settings: ";

    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].value == NULL)
            continue;
        fprintf(stream, "%s%s %s", between, all[i].name, all[i].value);
        between = ", ";
    }
    if (seed && options->seed_chosen)
        fprintf(stream, " (--seed %s repeats it)", number);
    if (between[0] == ',')
        fputc('\n', stream);
    free(number);
}

/* Whether operations went where they are done sooner. What the program commands itself is not known. */
static bool was_for_speed(const struct outcome *outcome)
{
    const char *value = control_setting(outcome->options->control, "OFFLOAD");

    if (value == NULL)
        value = control_setting(getenv("ERSATZ_CTRL"), "OFFLOAD");
    if (value == NULL)
        value = config_setting(outcome->config, "OFFLOAD");
    return value != NULL && strncmp(value, "fastest", 7) == 0;
}

static bool has_profile(const struct outcome *outcome)
{
    return outcome->totals->profile || outcome->options->profile != NULL;
}

static void write_work(const struct outcome *outcome, FILE *stream)
{
    const struct totals *totals = outcome->totals;
    const char *between = "";

    fprintf(stream, "  card:     %" PRIu64 " operation%s (", totals->accepted, plural(totals->accepted));
    for (enum ersatz_request_name name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
        if (totals->requests[name] == 0)
            continue;
        fprintf(stream, "%s%" PRIu64 " %s", between, totals->requests[name], ersatz_request_name_title(name));
        between = ", ";
    }
    fprintf(stream, "), %" PRIu64 " completed in %" PRIu64 " batch%s", totals->completed, totals->batches,
        totals->batches == 1 ? "" : "es");
    if (totals->failed > 0)
        fprintf(stream, ", of which %" PRIu64 " failed", totals->failed);
    fprintf(stream, "; at most %" PRIu64 " in flight at a time\n", totals->in_flight_max);
    if (totals->wakeups + totals->callbacks == 0)
        fputs("  jobs:     none was woken: the operations were called outside of jobs, and the calling "
              "thread waited\n",
            stream);
    else
        fprintf(stream,
            "  jobs:     woken %" PRIu64 " time%s by a file descriptor, %" PRIu64 " time%s by a callback\n",
            totals->wakeups, plural(totals->wakeups), totals->callbacks, plural(totals->callbacks));
    if (totals->orphans > 0)
        fprintf(stream,
            "            %" PRIu64 " operation%s lost its job: the wait context was freed or used again "
            "before the job was resumed\n",
            totals->orphans, plural(totals->orphans));
    if (totals->retries > 0)
        fprintf(stream, "            an operation found the request ring full %" PRIu64 " time%s\n",
            totals->retries, plural(totals->retries));
    if (totals->computed_inline > 0)
        fprintf(stream,
            "  software: %" PRIu64
            " operation%s computed by the calling thread: %s%stoo short for the card%s, or "
            "AES outside of jobs, or the card refused\n",
            totals->computed_inline, plural(totals->computed_inline),
            has_profile(outcome) ? "none of the modelled card's, or " : "",
            was_for_speed(outcome) ? "sooner done there (OFFLOAD:fastest), or " : "",
            outcome->config->door == DOOR_ENGINE ? " (random numbers, too)" : "");
}

/* The module was loaded, and the calling thread did it all. */
static void write_computed_inline(const struct outcome *outcome, FILE *stream)
{
    uint64_t count = outcome->totals->computed_inline;

    fprintf(stream, "    The %s was loaded, and %" PRIu64 " operation%s computed by the calling thread: ",
        door_name(outcome->config->door), count, count == 1 ? " was" : "s were");
    if (has_profile(outcome))
        fprintf(stream,
            "the\n"
            "    modelled card does no such operations (docs/profiles.md), or %s",
            was_for_speed(outcome) ? "" : "they were ");
    if (was_for_speed(outcome))
        fputs("with\n"
              "    OFFLOAD:fastest each goes where it is done sooner. That is never the card for AES whose\n"
              "    blocks are independent (GCM, CTR, XTS, ...), and for others only if many jobs are in "
              "flight.\n"
              "    To test how a program works with a card: --ctrl OFFLOAD:card.\n",
            stream);
    else
        fputs("AES\n"
              "    outside of jobs, or shorter than the threshold. To send such AES to the card:\n"
              "    --ctrl SYNC_OFFLOAD:1, or SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD. Some programs use "
              "jobs\n"
              "    only when told to (HAProxy: ssl-mode-async; openssl s_server: -async).\n",
            stream);
}

/* No process loaded the module. */
static void write_not_loaded(const struct outcome *outcome, FILE *stream)
{
    const struct libcryptos *libcryptos = outcome->libcryptos;
    const char *door = door_name(outcome->config->door);

    fprintf(stream, "    No process loaded the %s. ", door);
    if (libcryptos->differ) {
        fprintf(stream,
            "The program loads %s,\n"
            "    and ersatz was built for %s. Build it for the program's OpenSSL, and use --module.\n",
            libcryptos->programs, libcryptos->modules);
        return;
    }
    if (libcryptos->programs != NULL)
        fprintf(stream, "The program loads %s. The likely causes:\n", libcryptos->programs);
    else
        fputs(
            "The likely causes:\n"
            "    - the program does not use OpenSSL's libcrypto, or has its own copy linked in (the dynamic\n"
            "      loader names no libcrypto for it; programs that it starts were not looked at);\n",
            stream);
    fprintf(stream,
        "    - it does not read OpenSSL's configuration (the file that OPENSSL_CONF names);\n"
        "    - it clears its environment, or it is a set-user-ID program, for which OpenSSL\n"
        "      ignores OPENSSL_CONF;\n"
        "    - it ended before it used OpenSSL.\n"
        "    If the program has an option that loads %s %s, use the name ersatz.\n",
        outcome->config->door == DOOR_PROVIDER ? "a" : "an", door);
}

static void write_source(const char *name, const char *source, FILE *stream)
{
    if (source[0] == '\0')
        fprintf(stream, "%s from no provider", name);
    else
        fprintf(stream, "%s from the provider %s", name, source);
}

/* The provider was loaded, but nothing that the card computes was asked of it. */
static void write_not_asked(const struct outcome *outcome, FILE *stream)
{
    const struct config *config = outcome->config;
    const struct sources *sources = outcome->sources;

    fputs("    The provider was loaded, and no operation came that the card computes.\n    ", stream);
    write_source("With the program's configuration, OpenSSL takes RSA", sources->rsa, stream);
    write_source(", and AES", sources->aes, stream);
    fputs(".\n", stream);
    if (config->properties != NULL) {
        fprintf(stream, "    Its default properties are \"%s\"", config->properties);
        if (strcmp(config->properties, "?provider=ersatz") != 0)
            fprintf(stream, ", those of %s among them", config->file);
        fputs(".\n", stream);
        if (strcasestr(config->properties, "fips=yes") != NULL)
            fputs("    Nothing of the card has fips=yes.\n", stream);
    }
    if (strcmp(sources->rsa, "ersatz") != 0 && strcmp(sources->aes, "ersatz") != 0)
        return;
    fputs(
        "    The likely causes:\n"
        "    - it needed only other things: digests, elliptic curves, ChaCha20-Poly1305. (The card computes\n"
        "      RSA with 512 to 16,384 bits, and AES);\n"
        "    - it ended before it needed anything;\n"
        "    - it sets other properties itself (EVP_set_default_properties, an option such as -propquery);\n"
        "    - it uses a library context of its own (OSSL_LIB_CTX_new), which loads no configuration;\n"
        "    - it calls RSA_sign() and other functions of an RSA object, which no provider sees unless its "
        "section\n"
        "      has the line every_rsa_key = yes.\n",
        stream);
}

/* The engine was loaded, and nothing was asked of it that the card computes, or random numbers alone, for
 * which libcrypto's generator gets its AES from an engine that has it. (A provider is not asked for that.) */
static void write_only_random_numbers(uint64_t count, FILE *stream)
{
    fputs("    The engine was loaded, and no operation came that the card computes: RSA with 512 to 16,384\n"
          "    bits, and AES. It ended before, or uses neither (TLS with an ECDSA certificate and\n"
          "    ChaCha20-Poly1305).\n",
        stream);
    if (count > 0)
        fprintf(stream,
            "    %" PRIu64
            " operation%s computed by the calling thread: AES-256-ECB and CTR, as libcrypto makes\n"
            "    random numbers. (If the program itself uses these: --ctrl SYNC_OFFLOAD:1.)\n",
            count, count == 1 ? " was" : "s were");
}

/* The likely reasons why the card did no work, most common first. */
static void write_no_work(const struct outcome *outcome, FILE *stream)
{
    const struct totals *totals = outcome->totals;
    const struct records *records = outcome->records;
    bool is_provider = outcome->config->door == DOOR_PROVIDER;
    const char *refused = "";

    for (unsigned i = 0; i < records->count; i++)
        refused = records->of[i]->head.refused[0] != '\0' ? records->of[i]->head.refused : refused;
    fputs("  THE CARD DID NO WORK.\n", stream);
    if (refused[0] != '\0') {
        fprintf(stream, "    The card could not be started: %s\n", refused);
    } else if (totals->loaded == 0) {
        write_not_loaded(outcome, stream);
    } else if (totals->computed_inline > 0 && (is_provider || totals->asked)) {
        write_computed_inline(outcome, stream);
    } else if (is_provider) {
        write_not_asked(outcome, stream);
    } else {
        write_only_random_numbers(totals->computed_inline, stream);
    }
}

/* For each process: whether this host was as fast as the modelled card. */
static void write_profile(const struct records *records, FILE *stream)
{
    for (unsigned i = 0; i < records->count; i++) {
        const struct ersatz_stats *stats = &records->of[i]->stats;
        uint64_t told = read_counter(&stats->profile_told), late = read_counter(&stats->profile_late);

        if (told == 0)
            continue;
        fprintf(stream,
            "  profile:  process %" PRId64
            ": an operation took %.1f us on average; the modelled card takes %.1f us",
            records->of[i]->head.pid, (double)read_counter(&stats->profile_reached_ns) / 1e3 / (double)told,
            (double)read_counter(&stats->profile_asked_ns) / 1e3 / (double)told);
        if (late > 0)
            fprintf(stream,
                "\n            WARNING: this host is too slow for that card: %" PRIu64
                " operation%s (%.1f %%) completed late, by %.1f us at most",
                late, plural(late), 100 * (double)late / (double)told,
                (double)read_counter(&stats->profile_late_max_ns) / 1e3);
        fputc('\n', stream);
    }
}

static void write_faults(const struct totals *totals, FILE *stream)
{
    const char *between = "  faults:   injected ";

    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        if (totals->faults[fault] == 0)
            continue;
        fprintf(stream, "%s%s %" PRIu64 " time%s", between, ersatz_fault_name(fault), totals->faults[fault],
            plural(totals->faults[fault]));
        between = ", ";
    }
    if (between[0] == ',')
        fputc('\n', stream);
}

/* The verdict if there are no findings, which has several reasons. */
static void write_nothing_found(const struct totals *totals, enum crash_doubt doubt, FILE *stream)
{
    static const char *const but[] = {
        [CRASH_NONE] = "no mistake found",
        [CRASH_SIGNAL] = "nothing found before the program CRASHED",
        [CRASH_IN_CALLBACK] = "nothing found before a process ENDED IN A CALLBACK",
        [CRASH_UNSEEN] = "no mistake found, except perhaps in how the process below ended",
    };

    if (!totals->checked)
        return;
    if (totals->watched == 0)
        fputs(
            "  verdict:  none; no operation was part of a job, so nothing asynchronous was tested\n", stream);
    else
        fprintf(stream, "  verdict:  %" PRIu64 " operation%s of jobs watched, %s\n", totals->watched,
            plural(totals->watched), but[doubt]);
}

/* The kinds of mistake; one kind may have many sightings. */
static void write_mistakes(const struct outcome *outcome, FILE *stream)
{
    const struct totals *totals = outcome->totals;
    unsigned kinds = 0;
    const char *between = "";

    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++)
        kinds += totals->by_finding[finding] > 0;
    fprintf(stream, "  verdict:  %u kind%s of mistake: ", kinds, plural(kinds));
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        uint64_t count = totals->by_finding[finding];

        if (count == 0)
            continue;
        fprintf(stream, "%s%s (seen %" PRIu64 " time%s%s)", between, ersatz_finding_name(finding), count,
            plural(count), outcome->options->allowed[finding] ? ", allowed" : "");
        between = ", ";
    }
    fputc('\n', stream);
}

static void write_findings(const struct outcome *outcome, FILE *stream)
{
    const struct records *records = outcome->records;

    write_mistakes(outcome, stream);
    for (unsigned i = 0; i < records->count; i++) {
        const struct ersatz_record *record = records->of[i];

        if (ersatz_findings_total(&record->findings) == 0)
            continue;
        fprintf(stream, "\nprocess %" PRId64 " (%s): ", record->head.pid, record->head.program);
        ersatz_findings_write(&record->findings, stream);
    }
    fputc('\n', stream);
}

void report_text(const struct outcome *outcome, FILE *stream)
{
    const struct records *records = outcome->records;

    write_ending(outcome, stream);
    write_settings(outcome, stream);
    if (outcome->totals->accepted == 0)
        write_no_work(outcome, stream);
    else
        write_work(outcome, stream);
    write_profile(records, stream);
    write_faults(outcome->totals, stream);
    if (outcome->totals->findings == 0)
        write_nothing_found(outcome->totals, crash_doubt(outcome->ending, records), stream);
    else
        write_findings(outcome, stream);
    for (unsigned i = 0; i < sizeof(outcome->growths) / sizeof(outcome->growths[0]); i++) {
        if (outcome->growths[i] != NULL)
            fprintf(stream, "  growth:   %s\n", outcome->growths[i]);
    }
    if (outcome->options->growth && !outcome->growth_judged)
        fputs("  growth:   not judged: no process sent 64 operations, in a second or more\n", stream);
    crash_write(outcome->ending, records, stream);
    for (unsigned i = 0; i < records->trouble_count; i++)
        fprintf(stream, "  not read: %s\n", records->troubles[i]);
    if (records->more_troubles > 0)
        fprintf(stream, "  not read: and %u more\n", records->more_troubles);
    if (outcome->trace != NULL)
        fprintf(stream, "  timeline: %s (open it in https://ui.perfetto.dev)\n", outcome->trace);
    if (status_is_our_own(outcome, outcome->status)) {
        fputs("  ended:    ", stream);
        status_explain(outcome, outcome->totals, outcome->status, stream);
        fputc('\n', stream);
    }
}
