/* SPDX-License-Identifier: Apache-2.0 */
/* An application has small stacks for its threads, as small as Linux allows. The card's threads work all the
 * same: workers, timers, a reaper, the check. */
#include <limits.h>

#include "card_rsa.h"
#include "fault_card.h"

static void ask_for_small_stacks(void)
{
    pthread_attr_t attributes;

    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN), 0);
    CHECK_EQ(pthread_setattr_default_np(&attributes), 0);
    CHECK_EQ(pthread_attr_destroy(&attributes), 0);
}

/* The check finds that it is left alone, and looks up from where it was submitted. */
static void leave_alone(struct ersatz_device *device, const struct ersatz_findings *findings, struct aes *aes)
{
    struct ersatz_request *request;
    struct ersatz_waker *waker;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    while (ersatz_findings_total(findings) == 0)
        usleep(1000);
    card_finish(request);
    ersatz_waker_free(waker);
}

static void use_card(struct aes *aes, struct rsa *rsa)
{
    static struct ersatz_findings findings;
    const struct ersatz_check_limits limits = {.answer_ms = 40, .callback_ms = 10, .early = 10};
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_request *request;
    struct ersatz_error error;
    size_t offset;

    ersatz_config_init(&config, &stats);
    ersatz_findings_init(&findings, &limits);
    CHECK_EQ(ersatz_faults_parse("late=#1:1ms", &faults, &offset, &error), ERSATZ_OK);
    config.faults = &faults;
    config.findings = &findings;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    leave_alone(device, &findings, aes);
    card_use_callback(device);
    CHECK_EQ(ersatz_request_new(device, &rsa->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(rsa_is_right(rsa));
    ersatz_device_free(device);
}

int main(void)
{
    struct aes *aes = aes_new(1);
    struct rsa *rsa = rsa_new();

    test_begin(60);
    ask_for_small_stacks();
    use_card(aes, rsa);
    rsa_free(rsa);
    aes_free(aes);
    return 0;
}
