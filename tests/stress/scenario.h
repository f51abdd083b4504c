/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to whole processes with work in flight: forks, ends, loads and unloads, two copies of the
 * engine. Each runs in a process of its own, started anew.
 */
#ifndef ERSATZ_STRESS_SCENARIO_H
#define ERSATZ_STRESS_SCENARIO_H

#include <stdint.h>

/* Names, ended by NULL. */
extern const char *const scenario_names[];

/* In a process of its own: returns, or exits, with SCENARIO_DONE if all was well. */
int scenario_run(unsigned scenario, uint64_t seed, unsigned round);

#define SCENARIO_DONE 7

/* Start this program again for the scenario, and count what came of it. repeat: what is said if it fails. */
void scenario_start(unsigned scenario, uint64_t seed, unsigned round);

#endif
