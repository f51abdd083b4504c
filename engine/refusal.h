/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nobody may otherwise hear of. A program that loads the engine by its configuration mostly goes on
 * without it when it, or one of its commands, is refused: in silence, on plain OpenSSL, with exit status 0.
 * So the engine itself says a line on standard error. A program that was served once has its errors on its
 * own queue, and is left in peace.
 */
#ifndef ERSATZ_ENGINE_REFUSAL_H
#define ERSATZ_ENGINE_REFUSAL_H

/* Say what the newest error of ours on the calling thread's queue is, as the reason why the engine was not
 * loaded or not started. */
void refusal_say(void);

/* The same of a command; once for the process, and only before the engine was first in use. */
void refusal_say_command(void);

/*
 * This command was asked for by name, and is expected; 0: it has come. libcrypto may refuse it in between,
 * for a value that it does not take or lacks, and then nothing more is heard of it. All that is left to do is
 * to say so at the end, if the engine was never in use.
 */
void refusal_expect(int command);
void refusal_say_at_end(void);

/* The engine is in use: a program that gives a wrong command from now on is there to hear of it. */
void refusal_end(void);

#endif
