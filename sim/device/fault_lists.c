/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and frees the faults of a device, and replaces their list of rules while it runs. */
#include <stdlib.h>

#include "faults_inside.h"

/* NULL: out of memory. */
static struct fault_list *list_new(const struct ersatz_faults *rules)
{
    struct fault_list *list = calloc(1, sizeof(*list));

    if (list == NULL)
        return NULL;
    list->rules.count = rules->count;
    for (unsigned i = 0; i < rules->count; i++) {
        list->rules.rules[i] = rules->rules[i];
        list->present |= 1u << rules->rules[i].fault;
        if (rules->rules[i].fault == ERSATZ_FAULT_BURST) {
            list->burst_size = rules->rules[i].value;
            list->burst_ns = rules->rules[i].time_ns;
        }
    }
    return list;
}

bool faults_new(struct ersatz_device *device, struct faults **out)
{
    static const struct ersatz_faults none;
    const struct ersatz_faults *rules = device->config.faults == NULL ? &none : device->config.faults;
    struct faults *faults;

    *out = NULL;
    if (rules->count == 0 && !device->config.steered)
        return true;
    faults = calloc(1, sizeof(*faults));
    if (faults == NULL)
        return false;
    faults->lists = list_new(rules);
    if (faults->lists == NULL) {
        free(faults);
        return false;
    }
    atomic_init(&faults->list, faults->lists);
    faults->device = device;
    faults->seed = device->config.seed;
    faults->opened_at = clock_now();
    faults->hung_end = &faults->hung_first;
    ersatz_lock_renew(&faults->lock);
    *out = faults;
    return true;
}

void faults_free(struct faults *faults)
{
    while (faults != NULL && faults->lists != NULL) {
        struct fault_list *list = faults->lists;

        faults->lists = list->older;
        free(list);
    }
    free(faults);
}

static bool is_rule(const struct ersatz_fault_rule *a, const struct ersatz_fault_rule *b)
{
    return a->fault == b->fault && a->when == b->when && a->value == b->value && a->time_ns == b->time_ns;
}

static bool is_list_of(const struct fault_list *list, const struct ersatz_faults *rules)
{
    unsigned same = 0;

    while (same < rules->count && is_rule(&list->rules.rules[same], &rules->rules[same]))
        same++;
    return list->rules.count == rules->count && same == rules->count;
}

enum ersatz_result ersatz_device_replace_faults(
    struct ersatz_device *device, const struct ersatz_faults *rules)
{
    struct faults *faults = device->faults;
    struct fault_list *list;
    struct ersatz_locked locked;

    if (faults == NULL)
        return ERSATZ_TOO_LATE;
    ersatz_lock(&faults->lock, &locked);
    list = faults->lists;
    while (list != NULL && !is_list_of(list, rules))
        list = list->older;
    if (list == NULL && (list = list_new(rules)) != NULL) {
        list->older = faults->lists;
        faults->lists = list;
    }
    if (list != NULL) {
        atomic_store_explicit(&list->from, atomic_load_explicit(&device->last_number, memory_order_relaxed),
            memory_order_relaxed);
        atomic_store_explicit(&faults->list, list, memory_order_release);
    }
    ersatz_unlock(&locked);
    return list != NULL ? ERSATZ_OK : ERSATZ_NO_MEMORY;
}
