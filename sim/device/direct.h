/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that the card reads and writes in the application's memory, as hardware does by DMA: requests of
 * ersatz_request_new_direct(). The application must leave such a text alone while the request is in flight.
 * This file makes it known where it does not: to the address sanitizer of an application that has one, and to
 * the check.
 */
#ifndef ERSATZ_SIM_DEVICE_DIRECT_H
#define ERSATZ_SIM_DEVICE_DIRECT_H

#include "request.h"

/* Whether the card may compute op where its text is: a cipher, and in and out are the same or lie apart. */
bool direct_is_possible(const struct ersatz_op *op);

/* Whether computing the request overwrites its input in the application's memory. */
bool direct_overwrites_input(const struct ersatz_request *request);

/* For a request that is direct: it is made, by the application's thread. */
void direct_made(struct ersatz_request *request);

/* The worker is about to compute it, and has computed it. Between the two it reads and writes the text. */
void direct_begins(struct ersatz_request *request);
void direct_ends(struct ersatz_request *request);

/* Where there is a check: the job was resumed, and the request is complete. */
void direct_resumed(struct ersatz_request *request);

#endif
