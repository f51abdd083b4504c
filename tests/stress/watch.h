/* SPDX-License-Identifier: Apache-2.0 */
/* What watches the campaign itself: that it goes on, and that whoever finds a fault says how to repeat it. */
#ifndef ERSATZ_STRESS_WATCH_H
#define ERSATZ_STRESS_WATCH_H

/* Go on in a child, and wait for it: a crash may come on a thread of the card, which handles no signals, so
 * it is told from here. To be called first, before there are threads. */
void watch_from_outside(void);

/* Start the thread that ends the process when nothing progresses for seconds. */
void watch_begin(unsigned seconds);
void watch_end(void);

/* The command line that repeats what is done from now on. */
void watch_round(const char *repeat);

/* Something was finished. */
void watch_progress(void);

/* Say what was found, and how to repeat it; the first few times only. */
__attribute__((format(printf, 1, 2))) void watch_report(const char *format, ...);

#endif
