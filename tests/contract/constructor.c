/* SPDX-License-Identifier: Apache-2.0 */
/* A library whose constructor runs code of the program that loads it: see fork_in_constructor.c. */
void in_constructor(void);

__attribute__((constructor)) static void constructor(void)
{
    in_constructor();
}
