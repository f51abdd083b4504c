/* SPDX-License-Identifier: Apache-2.0 */
/* A libcrypto of another version, without engines, and a program that loads it: with PROGRAM defined, the
 * program. */
int other_libcrypto(void);

#ifdef PROGRAM
int main(void)
{
    return other_libcrypto();
}
#else
__attribute__((visibility("default"))) int other_libcrypto(void)
{
    return 0;
}
#endif
