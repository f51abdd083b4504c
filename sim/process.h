/* Which process of a family of forks this is. */
#ifndef ERSATZ_SIM_PROCESS_H
#define ERSATZ_SIM_PROCESS_H

/* A number that every fork changes in the child: what carries an older one was made in an ancestor, where
 * threads that are not here may have been using it. Any thread; async-signal-safe after the first call. */
unsigned process_generation(void);

#endif
