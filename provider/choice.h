/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the application the card is to serve, where the application does not ask by itself: three lines of
 * the provider's section that are no control commands, since they are for a library context and not for the
 * card. docs/provider.md describes them.
 */
#ifndef ERSATZ_PROVIDER_CHOICE_H
#define ERSATZ_PROVIDER_CHOICE_H

#include "provider.h"
#include "settings.h"

/* Whether a line of the section is one of these. */
bool choice_is_named(const char *name);

/* Do what the lines say. False, with an error raised: one of them is wrong, or it cannot be done. */
bool choice_make(struct provider *provider, const struct configuration *configuration);

/* Take the method back. Default properties stay, since they prefer nothing without this provider; so does the
 * default provider. */
void choice_undo(struct provider *provider);

#endif
