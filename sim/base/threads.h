/* Why a thread could not be had, in words a person can act on. */
#ifndef ERSATZ_SIM_BASE_THREADS_H
#define ERSATZ_SIM_BASE_THREADS_H

#include "ersatz/device.h"

/* After device_start_thread() has failed, and errno says why. what: which thread, in words. Returns
 * ERSATZ_NO_THREADS. */
enum ersatz_result threads_explain(struct ersatz_error *error, const char *what);

#endif
