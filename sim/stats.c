/* The statistics as one JSON object. */
#include "ersatz/stats.h"

#include <inttypes.h>

#include "ersatz/device.h"

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Those in use, and how many operations each one computed, on the card and on calling cores. */
static void write_kernels(const struct ersatz_stats *stats, FILE *stream)
{
    unsigned in_use = ersatz_kernels_in_use();
    const char *between = "";

    fputs(",\n  \"kernels\": {", stream);
    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++) {
        uint64_t count =
            read_counter(&stats->by_kernel[kernel]) + read_counter(&stats->computed_inline[kernel]);

        if ((in_use & 1u << kernel) == 0 && count == 0)
            continue;
        fprintf(stream, "%s\"%s\": %" PRIu64, between, ersatz_kernel_name(kernel), count);
        between = ", ";
    }
    fputs("}", stream);
}

int ersatz_stats_write(const struct ersatz_stats *stats, FILE *stream)
{
    static const char *const names[ERSATZ_REQUEST_NAMES] = {
        [ERSATZ_REQUEST_RSA_PRIV] = "rsa_priv",
        [ERSATZ_REQUEST_RSA_PUB] = "rsa_pub",
        [ERSATZ_REQUEST_AES_CBC] = "aes_cbc",
        [ERSATZ_REQUEST_AES_CTR] = "aes_ctr",
        [ERSATZ_REQUEST_AES_GCM] = "aes_gcm",
        [ERSATZ_REQUEST_AES_XTS] = "aes_xts",
        [ERSATZ_REQUEST_AES_ECB] = "aes_ecb",
        [ERSATZ_REQUEST_AES_CFB] = "aes_cfb",
        [ERSATZ_REQUEST_AES_OFB] = "aes_ofb",
        [ERSATZ_REQUEST_AES_CCM] = "aes_ccm",
        [ERSATZ_REQUEST_AES_CBC_HMAC_SHA1] = "aes_cbc_hmac_sha1",
        [ERSATZ_REQUEST_AES_CBC_HMAC_SHA256] = "aes_cbc_hmac_sha256",
    };
    const struct {
        const char *name;
        const _Atomic uint64_t *counter;
    } rest[] = {
        {"completed", &stats->completed},
        {"failed", &stats->failed},
        {"retries", &stats->retries},
        {"batches", &stats->batches},
        {"io_uring_enters", &stats->io_uring_enters},
        {"wakeups", &stats->wakeups},
        {"messages", &stats->messages},
        {"callbacks", &stats->callbacks},
        {"sleeps", &stats->sleeps},
        {"early_resumes", &stats->early_resumes},
        {"orphans", &stats->orphans},
        {"in_flight_max", &stats->in_flight_max},
    };
    uint64_t computed_inline = 0;

    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++)
        computed_inline += read_counter(&stats->computed_inline[kernel]);
    fputs("{\n  \"requests\": {", stream);
    for (unsigned i = 0; i < ERSATZ_REQUEST_NAMES; i++)
        fprintf(
            stream, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ", names[i], read_counter(&stats->requests[i]));
    fputs("}", stream);
    for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        fprintf(stream, ",\n  \"%s\": %" PRIu64, rest[i].name, read_counter(rest[i].counter));
    fprintf(stream, ",\n  \"inline\": %" PRIu64, computed_inline);
    write_kernels(stats, stream);
    fputs("\n}\n", stream);
    return fflush(stream) == 0 && !ferror(stream);
}
