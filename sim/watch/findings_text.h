/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that write findings. */
#ifndef ERSATZ_SIM_WATCH_FINDINGS_TEXT_H
#define ERSATZ_SIM_WATCH_FINDINGS_TEXT_H

#include <stdint.h>
#include <stdio.h>

#include "base/json.h"

/* Which request, for people, and as members of a JSON object. A killed process may have left a number of an
 * operation that does not exist. */
void findings_write_request(uint64_t request, uint32_t operation, uint32_t bytes, FILE *stream);
void findings_write_request_json(uint64_t request, uint32_t operation, uint32_t bytes, struct json *json);

#endif
