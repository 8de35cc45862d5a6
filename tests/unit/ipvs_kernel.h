/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_IPVS_KERNEL_H
#define FAIRLEAD_TESTS_IPVS_KERNEL_H

/*
 * A made-up kernel's IPVS, for programs that are linked with IPVS_KERNEL (tests/unit/automake.mk):
 * the linker leads the functions of src/proxy/ipvs/channel.h here, and those of settings.h that
 * belong to a batch.  What it tells are the messages that the kernel sends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/ipvs/messages.h"

#define KERNEL_SERVERS 64
#define KERNEL_ENDPOINTS 32

struct kernel_endpoint {
	struct virtual_endpoint at;
	uint32_t weight, active, idle;
	bool tunnels; /* as somebody else wants it */
};

struct kernel_server {
	struct virtual_id id;
	char scheduler[VIRTUAL_SCHEDULER_SIZE];
	uint32_t flags, timeout_s;
	struct kernel_endpoint list[KERNEL_ENDPOINTS]; /* the newest first */
	size_t n;
};

struct ipvs_kernel {
	struct kernel_server servers[KERNEL_SERVERS];
	size_t n;
	size_t n_operations, n_batches; /* that were tried, but to probe */
	const char *schedulers;         /* "mh rr wlc": those that it has */
	bool lacks_v6;
	bool is_expiry_off; /* connections to an endpoint that is gone do not end now */

	/* ---- what goes wrong ---- */
	int error; /* of the next so many operations, which are not done */
	unsigned int n_errors;
	unsigned int n_lost;        /* so many batches are done, but their answers lost */
	unsigned int n_interrupted; /* so many lists */
	unsigned int n_gaps;        /* so many lists of all lack one */
	const struct virtual_endpoint *poisoned; /* is never added */
};

extern struct ipvs_kernel kernel;

void ipvs_kernel_init(void);
struct kernel_server *ipvs_kernel_find(struct virtual_id id);
struct kernel_endpoint *ipvs_kernel_endpoint(struct kernel_server *s,
                                             const struct virtual_endpoint *e);
/* As somebody else does it; not stamped. */
struct kernel_server *ipvs_kernel_add(struct virtual_id id, const char *scheduler);
/* As `ipvsadm -E` does: all that was said of it is said anew, and it has no stamp. */
void ipvs_kernel_edit(struct kernel_server *s, const char *scheduler);
void ipvs_kernel_remove(struct kernel_server *s);
void ipvs_kernel_add_endpoint(struct kernel_server *s, const struct virtual_endpoint *e,
                              uint32_t weight);
void ipvs_kernel_remove_endpoint(struct kernel_server *s, size_t i);

#endif
