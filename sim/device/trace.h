/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the trace: a request gets an entry when it is accepted, and the rest is written when it is
 * released. */
#ifndef ERSATZ_SIM_DEVICE_TRACE_H
#define ERSATZ_SIM_DEVICE_TRACE_H

#include "ersatz/trace.h"

struct ersatz_request;

/* The request was accepted: write what is known by now, so that one which is never released is seen, too. For
 * its submitter. */
void trace_begin(struct ersatz_trace *trace, struct ersatz_request *request);

/* Write the rest. For the thread that drops the last reference. */
void trace_end(struct ersatz_trace *trace, const struct ersatz_request *request);

#endif
