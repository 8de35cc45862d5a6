/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_OWNED_H
#define FAIRLEAD_PROXY_OWNED_H

/*
 * Sysctls that are off or on, and that the service proxy needs on.  They outlive the process, and
 * others may need them, too.  The kernel takes every value but 0 for "on", and whoever else sets
 * one writes 1; so ours is 2, by which any later process knows that it was off before, and is ours
 * to take back.
 */

#include <stdbool.h>

/* Switches it on unless it is on already, by whomever.  A negative errno. */
int owned_take(const char *path);
/* Whether it has our value. */
bool owned_is_ours(const char *path);
/* Switches it off if it has our value. */
int owned_give_back(const char *path);

/*
 * Switches it off for a moment: what it was, for owned_resume(), or a negative errno, for which
 * there is nothing to be resumed.
 */
int owned_suspend(const char *path);
void owned_resume(const char *path, int value);

#endif
