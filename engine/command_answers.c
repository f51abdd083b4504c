/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that ask. */
#include <stdio.h>
#include <stdlib.h>

#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"
#include "ersatz/output.h"

int command_retries(int command, long i, void *p)
{
    (void)command;
    (void)i;
    *(unsigned *)p = (unsigned)atomic_load(&card_stats()->retries);
    return 1;
}

/* QAT_Engine's next three are items in the queues of its software batches, asymmetric, key derivation and
 * symmetric. Nothing of ours waits outside a ring. */
#define KINDS_OF_QAT_ENGINE 7

int command_in_flight(int command, long i, void *p)
{
    static _Atomic int none; /* stays 0 */

    if (!command_check_range(command, i, 0, KINDS_OF_QAT_ENGINE - 1))
        return 0;
    /* The interface is older than _Atomic; an aligned int is read whole on every machine we build for. */
    *(int **)p = i < (long)ERSATZ_FLIGHTS ? (int *)&card_stats()->in_flight[i] : (int *)&none;
    return 1;
}

int command_count_instances(int command, long i, void *p)
{
    (void)command;
    (void)i;
    *(int *)p = (int)card_config().instances;
    return 1;
}

static int write_to_bio(BIO *bio)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    int ok =
        memory != NULL && ersatz_stats_write(card_stats(), card_findings(), ersatz_kernels_in_use(), memory);

    if (memory != NULL)
        fclose(memory);
    ok = ok && BIO_write(bio, text, (int)size) == (int)size;
    free(text);
    if (!ok)
        error_raise(REASON_OPERATION, "STATS could not be written to the BIO");
    return ok;
}

static int write_to_standard_output(void)
{
    if (ersatz_stats_write(card_stats(), card_findings(), ersatz_kernels_in_use(), stdout))
        return 1;
    error_raise(REASON_OPERATION, "STATS could not be written to standard output");
    return 0;
}

int command_statistics(int command, long i, void *p)
{
    struct ersatz_writing writing;
    int ok;

    (void)command;
    (void)i;
    ersatz_writing_begin(&writing);
    ok = p != NULL ? write_to_bio(p) : write_to_standard_output();
    ersatz_writing_end(&writing, !ok);
    return ok;
}
