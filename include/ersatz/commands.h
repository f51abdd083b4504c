/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's control commands. Names and parameters are those of Intel's QAT_Engine wherever it has the
 * same thing (docs/engine_specific_messages.md there), so that a program written for that engine drives this
 * one unchanged.
 *
 * A command is given by ENGINE_ctrl_cmd(3) or ENGINE_ctrl_cmd_string(3), by a line in an engine section of
 * openssl.cnf, by `openssl engine -pre NAME:VALUE`, or in the environment: ERSATZ_CTRL="NAME:VALUE;NAME;...",
 * read with secure_getenv(3) when the engine is loaded.
 */
#ifndef ERSATZ_COMMANDS_H
#define ERSATZ_COMMANDS_H

/*
 * X(name, takes, description). takes:
 *   NOTHING  no value
 *   NUMBER   a decimal number (parameter i of ENGINE_ctrl_cmd)
 *   STRING   text (parameter p)
 *   POINTER  no value in text; in a program, parameter p is where the answer goes
 *   QUERY    a number i says what is asked, parameter p is where the answer goes
 *
 * What may be set only before the device starts says so; the device starts with the first operation that goes
 * to the card, or with INIT_ENGINE. While it runs, the value in force may be repeated.
 */
#define ERSATZ_COMMANDS(X)                                                                                   \
    X(WORKERS, NUMBER, "Worker threads, 1 to 64 (default: one per core). Before the device starts.")         \
    X(INSTANCES, NUMBER,                                                                                     \
        "Instances (ring pairs), 1 to 64 (default: one per core). Before the device starts.")                \
    X(RING_DEPTH, NUMBER,                                                                                    \
        "Requests in flight per instance, a power of two, 1 to 32768 (default 512). Before the device "      \
        "starts.")                                                                                           \
    X(PROFILE, STRING,                                                                                       \
        "Model this card: none (default), qat-c62x, qat-4xxx, network-hsm, usb-token, or the path of a "     \
        "file "                                                                                              \
        "(with a slash in it). Before the device starts.")                                                   \
    X(ENABLE_EXTERNAL_POLLING, NOTHING,                                                                      \
        "Run callbacks in the application's POLL, not on the device's threads. Before the device starts.")   \
    X(POLL, POINTER,                                                                                         \
        "Take completions off the response rings and run their callbacks; int *: 0 is success.")             \
    X(ENABLE_SW_FALLBACK, NOTHING, "Compute on the calling core whenever the device cannot.")                \
    X(OFFLOAD, STRING, "card (default): jobs' operations go to the card. fastest: if it is the faster.")     \
    X(SYNC_OFFLOAD, NUMBER, "1: AES goes to the card outside a job too, and the thread waits (default 0).")  \
    X(SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD, STRING,                                                     \
        "What is longer goes to the card, by cipher: AES-128-CBC:4096,AES-256-GCM:8192 (default 2048).")     \
    X(SET_MAX_RETRY_COUNT, NUMBER,                                                                           \
        "How often a synchronous request tries again on a full ring, -1 to 100000 (default -1: waits for "   \
        "room).")                                                                                            \
    X(GET_NUM_OP_RETRIES, POINTER, "How often a request found its ring full; unsigned int *.")               \
    X(GET_NUM_REQUESTS_IN_FLIGHT, QUERY,                                                                     \
        "0 all, 1 asymmetric, 2 key derivation, 3 cipher, 4 to 6 always 0; int **: the address of the live " \
        "counter.")                                                                                          \
    X(GET_NUM_CRYPTO_INSTANCES, POINTER, "How many instances there are; int *.")                             \
    X(SET_INSTANCE_FOR_THREAD, NUMBER,                                                                       \
        "Submit from the calling thread to this instance, from 0; beyond the last it begins again.")         \
    X(ENABLE_EVENT_DRIVEN_POLLING_MODE, NOTHING,                                                             \
        "Take completions when they arrive (default); with external polling, response rings can be polled. " \
        "Before the device starts.")                                                                         \
    X(DISABLE_EVENT_DRIVEN_POLLING_MODE, NOTHING,                                                            \
        "Take completions at ticks of SET_INTERNAL_POLL_INTERVAL. Before the device starts.")                \
    X(GET_EXTERNAL_POLLING_FD, QUERY,                                                                        \
        "The descriptor of instance i's response ring, readable while completions wait for POLL; int *.")    \
    X(SET_INTERNAL_POLL_INTERVAL, NUMBER, "Nanoseconds between ticks, 1 to 10000000 (default 10000).")       \
    X(SET_EPOLL_TIMEOUT, NUMBER,                                                                             \
        "Milliseconds a reaper sleeps at most in event-driven mode, 1 to 10000 (default: until a "           \
        "completion arrives).")                                                                              \
    X(ENABLE_INLINE_POLLING, NOTHING,                                                                        \
        "A thread that waits for RSA without a job spins instead of sleeping.")                              \
    X(ENABLE_HEURISTIC_POLLING, NOTHING,                                                                     \
        "The application polls by GET_NUM_REQUESTS_IN_FLIGHT; needs ENABLE_EXTERNAL_POLLING. Before the "    \
        "device starts.")                                                                                    \
    X(HEARTBEAT_POLL, POINTER, "Whether the device works; int *: 0 is success, -1 failure.")                 \
    X(INIT_ENGINE, NOTHING, "Start the device now; in the child of a fork, its own.")                        \
    X(INIT_AFTER_FORK, NUMBER,                                                                               \
        "1: where the device runs at a fork, the child starts its own within the fork, before a server can " \
        "forbid itself threads (default 0). For servers that fork before they start threads.")               \
    X(STATS, POINTER, "Write the statistics as JSON to standard output, or to a BIO *.")                     \
    X(STATS_FILE, STRING,                                                                                    \
        "Write them to this file when the device stops or the process exits; %p is the process id.")         \
    X(CHECK, NUMBER,                                                                                         \
        "1: watch what the application does with its jobs, and say at the end what was wrong (default 0). "  \
        "Before the device starts.")                                                                         \
    X(CHECK_LIMITS, STRING,                                                                                  \
        "What is not wrong yet: answer=MS (default 500), callback=MS (10), early=TIMES (10). Before the "    \
        "device starts.")                                                                                    \
    X(TRACE, STRING,                                                                                         \
        "Write a timeline of the newest requests, for ui.perfetto.dev, to this file when the device stops. " \
        "Before the device starts.")                                                                         \
    X(RECORD, STRING,                                                                                        \
        "Keep statistics and timeline in a file of this directory that outlives the process, however it "    \
        "ends: for ersatz-run. Before the device starts.")                                                   \
    X(HOLD, STRING,                                                                                          \
        "For tests: hold requests before they are computed (compute), before their job is told (signal), "   \
        "or not (none).")                                                                                    \
    X(RELEASE, NUMBER, "For tests: let so many held requests pass.")                                         \
    X(KERNELS, STRING,                                                                                       \
        "Which code computes, from now on: auto (default: whatever this processor runs best), portable, or " \
        "a "                                                                                                 \
        "list of ipsec-mb, ifma.")                                                                           \
    X(FAULTS, STRING,                                                                                        \
        "What the card does wrong, and when: none (default), or a list such as "                             \
        "ring_full=1%,late=5%:2ms,fail=#100. Before the device starts.")                                     \
    X(SEED, NUMBER,                                                                                          \
        "What is random follows from it: faults, jitter; 0 or more (default 1). Before the device starts.")

#endif
