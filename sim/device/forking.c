/* SPDX-License-Identifier: Apache-2.0 */
/* What a device does when the program is about to fork. */
#include "device.h"
#include "faults.h"
#include "watch/check.h"

void ersatz_device_forking(struct ersatz_device *device)
{
    if (device->faults != NULL)
        faults_forking(device->faults);
    if (device->check != NULL)
        check_forking(device->check);
}
