/* The report for people. */
#include <inttypes.h>
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

static void write_ending(const struct outcome *outcome, const struct totals *totals, FILE *stream)
{
    int status = outcome->ending->status;

    fprintf(stream, "\nersatz-run: %s ", outcome->options->command[0]);
    if (WIFSIGNALED(status))
        fprintf(stream, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        fprintf(stream, "ended with %d", WEXITSTATUS(status));
    fprintf(stream, " after %.1f s; %u process%s loaded the engine, %u started the card\n",
        outcome->ending->seconds, totals->loaded, totals->loaded == 1 ? "" : "es", totals->started);
}

static void write_card(const struct options *options, FILE *stream)
{
    const struct {
        const char *name, *value;
    } all[] = {{"profile", options->profile}, {"faults", options->faults}, {"seed", options->seed},
        {"commands", options->control}};
    const char *between = "  card:     ";

    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].value == NULL)
            continue;
        fprintf(stream, "%s%s %s", between, all[i].name, all[i].value);
        between = ", ";
    }
    if (between[0] == ',')
        fputc('\n', stream);
}

static void write_work(const struct totals *totals, FILE *stream)
{
    const char *between = "";

    fprintf(stream, "  work:     %" PRIu64 " request%s (", totals->accepted, plural(totals->accepted));
    for (enum ersatz_request_name name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
        if (totals->requests[name] == 0)
            continue;
        fprintf(stream, "%s%s %" PRIu64, between, ersatz_request_name_text(name), totals->requests[name]);
        between = ", ";
    }
    fprintf(stream, "), %" PRIu64 " completed", totals->completed);
    if (totals->failed > 0)
        fprintf(stream, " and %" PRIu64 " of these failed", totals->failed);
    fprintf(stream, ", in %" PRIu64 " batch%s; at most %" PRIu64 " in flight\n", totals->batches,
        totals->batches == 1 ? "" : "es", totals->in_flight_max);
    fprintf(stream, "  told:     %" PRIu64 " by descriptor, %" PRIu64 " by callback", totals->wakeups,
        totals->callbacks);
    if (totals->wakeups + totals->callbacks == 0)
        fputs("; no jobs: the program waited for each operation where it called", stream);
    if (totals->orphans > 0)
        fprintf(stream, "; for %" PRIu64 " nobody came back", totals->orphans);
    if (totals->retries > 0)
        fprintf(stream, "; the ring was full %" PRIu64 " time%s", totals->retries, plural(totals->retries));
    fputc('\n', stream);
    if (totals->computed_inline > 0)
        fprintf(stream,
            "  inline:   %" PRIu64
            " operation%s computed where called: small, or outside jobs, or the card could not\n",
            totals->computed_inline, plural(totals->computed_inline));
}

/* Why there may be nothing. Most common first. */
static void write_no_work(const struct totals *totals, const struct records *records, FILE *stream)
{
    const char *refused = "";

    for (unsigned i = 0; i < records->count; i++)
        refused = records->of[i]->head.refused[0] != '\0' ? records->of[i]->head.refused : refused;
    fputs("  THE CARD DID NO WORK.\n", stream);
    if (refused[0] != '\0') {
        fprintf(stream, "    It could not be started: %s\n", refused);
    } else if (totals->loaded == 0) {
        fputs(
            "    No process loaded the engine. Perhaps the program does not use OpenSSL's libcrypto, or has "
            "one\n"
            "    built in; or it does not read OpenSSL's configuration (OPENSSL_CONF); or it clears its\n"
            "    environment or runs with another user's rights, where OPENSSL_CONF does not count; or what\n"
            "    it was to do came to an end before. If it can be told to load an engine, name ersatz.\n",
            stream);
    } else if (totals->computed_inline > 0) {
        fprintf(stream,
            "    The engine is loaded, and computed %" PRIu64
            " operation%s on the calling core: AES outside of\n"
            "    jobs, or shorter than the threshold. To send such to the card: --ctrl SYNC_OFFLOAD:1, or\n"
            "    SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD. An asynchronous program may need to be told to "
            "be\n"
            "    one (HAProxy: ssl-mode-async; s_server: -async).\n",
            totals->computed_inline, plural(totals->computed_inline));
    } else {
        fputs("    The engine is loaded, and was asked for nothing that it does: RSA with 512 to 16,384 "
              "bits, and AES.\n"
              "    TLS with an ECDSA certificate and ChaCha20, say, has neither. Or there was nothing to do "
              "yet.\n",
            stream);
    }
}

/* How the times of the profile were kept, by process. */
static void write_profile(const struct records *records, FILE *stream)
{
    for (unsigned i = 0; i < records->count; i++) {
        const struct ersatz_stats *stats = &records->of[i]->stats;
        uint64_t told = read_counter(&stats->profile_told), late = read_counter(&stats->profile_late);

        if (told == 0)
            continue;
        fprintf(stream,
            "  profile:  process %" PRId64 ": an answer took %.1f us on average, %.1f us were asked",
            records->of[i]->head.pid, (double)read_counter(&stats->profile_reached_ns) / 1e3 / (double)told,
            (double)read_counter(&stats->profile_asked_ns) / 1e3 / (double)told);
        if (late > 0)
            fprintf(stream,
                "; WARNING: this host computed %" PRIu64
                " (%.1f %%) later than such a card would have, by %.1f us at most",
                late, 100 * (double)late / (double)told,
                (double)read_counter(&stats->profile_late_max_ns) / 1e3);
        fputc('\n', stream);
    }
}

static void write_faults(const struct totals *totals, FILE *stream)
{
    const char *between = "  injected: ";

    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        if (totals->faults[fault] == 0)
            continue;
        fprintf(stream, "%s%s %" PRIu64, between, ersatz_fault_name(fault), totals->faults[fault]);
        between = ", ";
    }
    if (between[0] == ',')
        fputc('\n', stream);
}

/* Nothing was found; which has several meanings. */
static void write_nothing_found(const struct totals *totals, enum crash_doubt doubt, FILE *stream)
{
    static const char *const but[] = {
        [CRASH_NONE] = "no mistake found",
        [CRASH_SIGNAL] = "nothing found, and then it CRASHED: no clean bill",
        [CRASH_IN_CALLBACK] = "nothing found, and then a process ENDED IN A CALLBACK: no clean bill",
        [CRASH_UNSEEN] = "no mistake found, unless it is how the process below ended",
    };

    if (!totals->checked)
        return;
    if (totals->watched == 0)
        fputs("  verdict:  none; no operation of a job was seen, and only those are checked\n", stream);
    else
        fprintf(stream, "  verdict:  %" PRIu64 " operation%s of jobs watched, %s\n", totals->watched,
            plural(totals->watched), but[doubt]);
}

static void write_findings(const struct totals *totals, const struct records *records, FILE *stream)
{
    fprintf(stream, "  verdict:  %" PRIu64 " finding%s\n", totals->findings, plural(totals->findings));
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
    struct totals totals;

    totals_of(&totals, records);
    write_ending(outcome, &totals, stream);
    write_card(outcome->options, stream);
    if (totals.accepted == 0)
        write_no_work(&totals, records, stream);
    else
        write_work(&totals, stream);
    write_profile(records, stream);
    write_faults(&totals, stream);
    if (totals.findings == 0)
        write_nothing_found(&totals, crash_doubt(outcome->ending, records), stream);
    else
        write_findings(&totals, records, stream);
    crash_write(outcome->ending, records, stream);
    for (unsigned i = 0; i < records->trouble_count; i++)
        fprintf(stream, "  not read: %s\n", records->troubles[i]);
    if (records->more_troubles > 0)
        fprintf(stream, "  not read: and %u more\n", records->more_troubles);
    if (outcome->trace != NULL)
        fprintf(stream, "  timeline: %s (open it in https://ui.perfetto.dev)\n", outcome->trace);
}
