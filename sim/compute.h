/* From an operation to the kernel that computes it. */
#ifndef ERSATZ_SIM_COMPUTE_H
#define ERSATZ_SIM_COMPUTE_H

#include "ersatz/device.h"

/* Do op, whose cipher state the caller has entered. */
enum ersatz_result compute_op(const struct ersatz_op *op);

#endif
