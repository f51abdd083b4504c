/* Whether a sanitizer is built in that brings its own malloc(3), in the words of gcc and of clang. */
#ifndef ERSATZ_TESTS_SANITIZER_H
#define ERSATZ_TESTS_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER_ALLOCATES
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER_ALLOCATES
#endif

#endif
