/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_SETTINGS_H
#define FAIRLEAD_PROXY_IPVS_SETTINGS_H

/*
 * The sysctls that IPVS needs, of this network namespace; they are there once its module is loaded.
 * They are ours or others' (proxy/owned.h).
 */

#include <stdbool.h>

#include "fairlead/err.h"

/* A negative errno, as of a read-only /proc/sys; @e names the sysctl. */
int settings_open(struct err *e);
/* Whether any has our value. */
bool settings_any(void);
/* Takes them back. */
int settings_close(struct err *e);

/*
 * While an endpoint is removed to be added at another place, its connections must not end: what
 * settings_resume() needs.
 */
int settings_suspend_expiry(void);
void settings_resume_expiry(int was);

#endif
