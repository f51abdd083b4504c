/* Stamps the points of a request's life. */
#include "times.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "device.h"

#define NS_PER_S UINT64_C(1000000000)

uint64_t life_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void life_begin(struct ersatz_request *request)
{
    if (!request->device->watched)
        return;
    memset(&request->life, 0, sizeof(request->life));
    request->life.at[LIFE_CREATED] = life_now();
}

/* Asked for each time: a fibre may be on another thread than before. */
static pid_t own_thread(void)
{
    return (pid_t)syscall(SYS_gettid);
}

void life_submit(struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    if (!device->watched)
        return;
    request->life.submitter = own_thread();
    /* Relaxed: a number is only to be had once. It is kept when a request that was refused comes again. */
    if (request->life.number == 0)
        request->life.number = atomic_fetch_add_explicit(&device->last_number, 1, memory_order_relaxed) + 1;
    request->life.at[LIFE_SUBMITTED] = life_now();
}

void life_start(struct ersatz_request *request, unsigned worker, unsigned batch, uint64_t now)
{
    if (!request->device->watched)
        return;
    request->life.worker = worker;
    request->life.batch = batch;
    request->life.at[LIFE_STARTED] = now;
}

void life_return(struct ersatz_request *request)
{
    if (!request->device->watched)
        return;
    request->life.returner = own_thread();
    request->life.at[LIFE_RETURNED] = life_now();
}

void life_mark(struct ersatz_request *request, enum life_point point)
{
    if (request->device->watched)
        request->life.at[point] = life_now();
}
