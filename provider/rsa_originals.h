/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA by libcrypto's own provider functions: padding, parameters, encodings and checks are those of the
 * libcrypto that runs, and only the modular exponentiations are the card's. A key of the default provider is
 * an RSA object, which we give the card's RSA_METHOD wherever one is made: RSA_set_method(3).
 *
 * libcrypto's functions find their own context by the first argument that they are given. So every function
 * that takes a provider context is replaced by one that hands on the default provider's, and all others are
 * handed on as they are. Functions whose number this file does not know are left out, since their arguments
 * are not known either.
 */
#ifndef ERSATZ_PROVIDER_RSA_ORIGINALS_H
#define ERSATZ_PROVIDER_RSA_ORIGINALS_H

#include "provider.h"

/*
 * Find libcrypto's RSA and make ours of it, for provider->keys, signatures, encryptions and encapsulations.
 * False, with an error raised: there is no memory, or a key of this libcrypto does not take the card's
 * method; then no RSA is offered.
 */
bool rsa_originals_wrap(struct provider *provider);
void rsa_originals_unwrap(struct provider *provider);

#endif
