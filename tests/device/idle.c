/* SPDX-License-Identifier: Apache-2.0 */
/* Idle is idle: no thread of the device runs while nothing is in flight. Counted in context switches, not in
 * time: on a busy machine a thread may be late to go to sleep, but one that never does fails. */
#include <dirent.h>

#include "card.h"

static long switches(void)
{
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    long total = 0;

    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        char path[300], line[256];
        FILE *file;
        long count;

        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        file = fopen(path, "re");
        CHECK(file != NULL);
        while (fgets(line, sizeof(line), file) != NULL) {
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1)
                total += count;
        }
        fclose(file);
    }
    closedir(directory);
    return total;
}

static int ignore(void *arg)
{
    (void)arg;
    return 1;
}

int main(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 0, 0, false);
    struct aes *aes = aes_new(1);
    struct ersatz_request *request;
    long before;

    test_begin(60);
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, ignore, NULL), ERSATZ_OK); /* so that there is a reaper, too */
    card_finish(request);
    do {
        before = switches();
        usleep(500000);
    } while (before == 0 || switches() != before); /* who is never idle keeps us here until the alarm */
    aes_free(aes);
    ersatz_device_free(device);
    return 0;
}
