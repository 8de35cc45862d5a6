/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_SOLE_H
#define FAIRLEAD_PROXY_SOLE_H

/*
 * One service proxy at a time writes the rules of a network namespace: two, of another release or
 * started by hand, would each take the other's rules for damage, for ever.  The second one waits
 * for the first one's end, of which the kernel tells at once.
 */

#include <stdbool.h>
#include <sys/types.h>

struct event_base;
struct sole;

#define SOLE_NAME "fairlead-proxy"
/* As long as the other one cannot be asked to tell of its end. */
#define SOLE_RETRY_MS 1000

struct sole_ops {
	/* Another one is at work: at the start, and whenever that is another one. */
	void (*waits)(pid_t other, void *arg);
	/* From now on this is the one; not if sole_is() was true from the beginning. */
	void (*alone)(void *arg);
};

/*
 * Never fails: where the kernel does not let us ask, nobody else is taken to be there.  @name is
 * that of an abstract socket, of which each network namespace has its own; others than us and root
 * cannot keep us waiting with it.
 */
struct sole *sole_new(struct event_base *base, const char *name, const struct sole_ops *ops,
                      void *arg);
void sole_free(struct sole *s);
bool sole_is(const struct sole *s);
/* Who is waited for; 0: nobody, or nobody knows. */
pid_t sole_other(const struct sole *s);

#endif
