/* SPDX-License-Identifier: Apache-2.0 */
/* Which sanitizers are compiled in, for gcc and for clang. */
#ifndef ERSATZ_SANITIZER_H
#define ERSATZ_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ERSATZ_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define ERSATZ_THREAD_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ERSATZ_ADDRESS_SANITIZER
#endif
#if defined(__SANITIZE_THREAD__)
#define ERSATZ_THREAD_SANITIZER
#endif

#endif
