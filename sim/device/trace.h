/* SPDX-License-Identifier: Apache-2.0 */
/* Filling the trace: a place when a request was accepted, the rest when it ends. */
#ifndef ERSATZ_SIM_DEVICE_TRACE_H
#define ERSATZ_SIM_DEVICE_TRACE_H

#include "ersatz/trace.h"

struct ersatz_request;

/* Its submitter, once the request was accepted: note it as open, so that one which never ends is seen too. */
void trace_begin(struct ersatz_trace *trace, struct ersatz_request *request);

/* Whoever drops the last reference. */
void trace_end(struct ersatz_trace *trace, const struct ersatz_request *request);

#endif
