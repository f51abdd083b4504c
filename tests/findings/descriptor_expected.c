/* SPDX-License-Identifier: Apache-2.0 */
/* Sets a callback, and then waits for a descriptor of the job's: in callback mode there is none. */
#include <poll.h>
#include <sys/eventfd.h>

#include "wrong.h"

int main(int argc, char **argv)
{
    struct card *card = load_checked(NULL);
    struct pollfd other = {
        .fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN}; /* of the program's other business */
    struct job job;

    CHECK(other.fd >= 0);
    start_signing(card, &job, BY_CALLBACK);
    while (!has_argument(argc, argv, "mended") && card_count(card, "descriptor_expected") == 0)
        CHECK_EQ(poll(&other, 1, 300), 0);
    finish_signing(&job);
    close(other.fd);
    unload_used(card);
    return 0;
}
