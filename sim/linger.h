/* Before it sleeps, a worker looks out for work a moment longer. */
#ifndef ERSATZ_SIM_LINGER_H
#define ERSATZ_SIM_LINGER_H

#include <stdbool.h>

struct ersatz_device;

/* Whether there is something to do, after a moment at most. Two workers of a device may look out at a time;
 * to another, and when the moment is over, the answer is no, and the worker may sleep. */
bool linger(struct ersatz_device *device);

#endif
