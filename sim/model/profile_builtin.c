/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles that are built in. Where a figure has no source it is an estimate, and says so. */
#include <stddef.h>

#include "ersatz/profile.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

#define RSA_BITS (1u << ERSATZ_REQUEST_RSA_PRIV | 1u << ERSATZ_REQUEST_RSA_PUB)
#define ALL_AES (((1u << ERSATZ_REQUEST_NAMES) - 1) & ~RSA_BITS)

/* Every kind of AES alike. */
#define EACH_AES(time_ns, time_ps_per_byte)                                                                  \
    {                                                                                                        \
        [ERSATZ_REQUEST_AES_CBC... ERSATZ_REQUEST_AES_CBC_HMAC_SHA256] = {                                   \
            .ns = (time_ns),                                                                                 \
            .ps_per_byte = (time_ps_per_byte)                                                                \
        }                                                                                                    \
    }

static const struct ersatz_profile profiles[] = {
    {
        .name = "none",
        .about = "no modelled card: as fast as the host (default)",
    },
    {
        .name = "qat-c62x",
        .about = "Intel QuickAssist in a C62x chipset (2017), all three of its endpoints",
        .source =
            "RSA-2048: 101,000 signs and 877,000 verifications a second with 9 processes "
            "(github.com/intel/QAT_Engine, issue 93); one at a time 433 us and 74 us (issue 132). From "
            "these follow 42 units, 415 us and 48 us of service, 26 us of latency. AES, jitter and rings: "
            "estimates; 100 Gbit/s in 12 units.",
        .instances = 3,
        .ring_depth = 64,
        .latency_ns = 26 * US,
        .jitter = {ERSATZ_JITTER_EXPONENTIAL, 2 * US, 0},
        .rsa_units = 42,
        .aes_units = 12,
        .rsa_private = {1, {{2048, 415 * US}}},
        .rsa_public = {1, {{2048, 48 * US}}},
        .aes = EACH_AES(1 * US, 960),
    },
    {
        .name = "qat-4xxx",
        .about = "Intel QuickAssist in a 4th generation Xeon Scalable (2023), one device",
        .source =
            "AES: about 12 GB/s at 4 KB in two engines (G. Cabiddu, Intel, linux-crypto, 16 June 2025, on "
            "AES-128-XTS; taken for every mode). RSA-2048: estimate, 74,000 signs a second, from 56 times "
            "a core's 1,000 to 1,700 (A. Sakhala, QAT Engine: Hardware Crypto Acceleration, 2026). "
            "Latency, units of RSA, jitter and rings: estimates.",
        .instances = 2,
        .ring_depth = 128,
        .latency_ns = 15 * US,
        .jitter = {ERSATZ_JITTER_EXPONENTIAL, 1 * US, 0},
        .rsa_units = 17,
        .aes_units = 2,
        .rsa_private = {1, {{2048, 230 * US}}},
        .rsa_public = {1, {{2048, 20 * US}}},
        .aes = EACH_AES(100, 142),
    },
    {
        .name = "network-hsm",
        .about = "a hardware security module across the network, like SafeNet's Luna SA: only private RSA",
        .source =
            "7,000 operations a second (demos.ru on the Luna SA; no key size is named, taken for 2048 bits) "
            "with about 30 threads, which Thales recommends (Luna 7.1 documentation, HA, Performance): 30 "
            "in 4.3 ms. The share of the network in it, 0.3 ms, its jitter, and the ring: estimates.",
        .instances = 1,
        .ring_depth = 64,
        .latency_ns = 250 * US,
        .jitter = {ERSATZ_JITTER_EXPONENTIAL, 50 * US, 0},
        .units = 30,
        .rsa_private = {1, {{2048, 4 * MS}}},
        .software = ALL_AES | 1u << ERSATZ_REQUEST_RSA_PUB,
    },
    {
        .name = "usb-token",
        .about =
            "a USB token that computes one operation at a time, like Yubico's YubiHSM 2: only private RSA",
        .source = "estimate: about 139, 504 and 852 ms for RSA-2048, 3072 and 4096, after the examples under "
                  "Performance in Yubico's YubiHSM 2 User Guide, as remembered and not looked up again. The "
                  "share of USB in it, 2 ms, its jitter, and the ring: estimates.",
        .instances = 1,
        .ring_depth = 16,
        .latency_ns = 1 * MS,
        .jitter = {ERSATZ_JITTER_UNIFORM, 0, 2 * MS},
        .units = 1,
        .rsa_private = {3, {{2048, 137 * MS}, {3072, 502 * MS}, {4096, 850 * MS}}},
        .software = ALL_AES | 1u << ERSATZ_REQUEST_RSA_PUB,
    },
};

const struct ersatz_profile *ersatz_profile_builtin(unsigned index)
{
    return index < sizeof(profiles) / sizeof(profiles[0]) ? &profiles[index] : NULL;
}
