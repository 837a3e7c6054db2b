/* self.h - which process this is, in a word that says the same to a process on any other host. A
 * host's name does not: containers may share one, each with numbers of its own for its processes.
 */
#ifndef ZX_BASE_SELF_H
#define ZX_BASE_SELF_H

#include <stdbool.h>

/* "BOOT:NAMESPACE:PID:RANDOM": which start of which kernel, which of its spaces of process numbers,
 * the number, and what no later process of that number has. At most 80 characters. Any thread. */
const char *self_word(void);

/* The process of that word is known to have ended: its numbers are ours, and nobody has its own.
 * False when it lives, and when nobody here can know. */
bool self_has_ended(const char *word);

#endif
