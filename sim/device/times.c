/* Stamps the points of a request's life. */
#include "times.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/threads.h"
#include "device.h"

void life_begin(struct ersatz_request *request)
{
    if (!request->device->watched)
        return;
    memset(&request->life, 0, sizeof(request->life));
    request->life.at[ERSATZ_POINT_CREATED] = clock_now();
}

void life_submit(struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    if (!device->watched)
        return;
    request->life.submitter = thread_self();
    /* Relaxed: a number is only to be had once. It is kept when a request that was refused comes again. */
    if (request->life.number == 0)
        request->life.number = atomic_fetch_add_explicit(&device->last_number, 1, memory_order_relaxed) + 1;
    request->life.at[ERSATZ_POINT_SUBMITTED] = clock_now();
}

void life_start(struct ersatz_request *request, unsigned worker, unsigned batch, uint64_t now)
{
    if (!request->device->watched)
        return;
    request->life.worker = worker;
    request->life.batch = batch;
    request->life.at[ERSATZ_POINT_STARTED] = now;
}

void life_return(struct ersatz_request *request)
{
    if (!request->device->watched)
        return;
    request->life.returner = thread_self();
    request->life.at[ERSATZ_POINT_RETURNED] = clock_now();
}

void life_mark(struct ersatz_request *request, enum ersatz_point point)
{
    if (request->device->watched)
        request->life.at[point] = clock_now();
}
