/* SPDX-License-Identifier: Apache-2.0 */
/* See times.h. */
#include "times.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/threads.h"
#include "device.h"

void times_reset(struct ersatz_request *request)
{
    if (!request->device->keeps_times)
        return;
    memset(&request->times, 0, sizeof(request->times));
    request->times.at[ERSATZ_POINT_CREATED] = clock_now();
}

void times_submit(struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    if (!device->keeps_times)
        return;
    request->times.submitter = thread_self();
    /* Relaxed: it is enough that each number is given once. A request that was refused keeps its number. */
    if (request->times.number == 0)
        request->times.number = atomic_fetch_add_explicit(&device->last_number, 1, memory_order_relaxed) + 1;
    request->times.at[ERSATZ_POINT_SUBMITTED] = clock_now();
}

void times_take_up(struct ersatz_request *request, unsigned worker, unsigned batch, uint64_t now)
{
    if (!request->device->keeps_times)
        return;
    request->times.worker = worker;
    request->times.batch = batch;
    request->times.at[ERSATZ_POINT_STARTED] = now;
}

void times_return(struct ersatz_request *request)
{
    if (!request->device->keeps_times)
        return;
    request->times.returner = thread_self();
    request->times.at[ERSATZ_POINT_RETURNED] = clock_now();
}

void times_mark(struct ersatz_request *request, enum ersatz_point point)
{
    if (request->device->keeps_times)
        request->times.at[point] = clock_now();
}
