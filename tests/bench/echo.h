/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the card's requests cost where there is no card: threads that do the same waits, and nothing else. A
 * thread puts the number of an eventfd into its queue; one of a few other threads takes it, up to 16 at a
 * time, and writes to all of these by one io_uring_enter, as a worker does.
 */
#ifndef ERSATZ_TESTS_ECHO_H
#define ERSATZ_TESTS_ECHO_H

#include <stdint.h>

#define ECHO_QUEUE 512u /* so many of each thread may be in flight */

/* Starts as many threads that answer as a card of so many workers would keep awake, for so many that ask. */
void echo_open(unsigned threads, unsigned workers);

/* By the thread of that number: have 1 written to the eventfd. */
void echo_ask(unsigned thread, int fd);

/* Ends the threads that answer. Nothing may be in flight. */
void echo_close(void);

/* How often one of them wrote to eventfds, as many as it had found, and how often one slept. */
uint64_t echo_batches(void);
uint64_t echo_sleeps(void);

#endif
