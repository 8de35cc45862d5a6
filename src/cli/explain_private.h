/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_EXPLAIN_PRIVATE_H
#define FAIRLEAD_CLI_EXPLAIN_PRIVATE_H

/* The tables of an explanation, for what combines (explain.c) and what prints (explain_print.c). */

#include "cli/explain.h"
#include "fairlead/decide.h"

/* What is reported about one address on one node by one protocol. */
struct explain_row {
	char *node;
	enum protocol protocol;
	bool announce;
	char *reason, *message;
};

struct explain_address {
	struct addr addr;
	struct decision decision;
	struct explain_row *rows;
	size_t n_rows;
};

struct explain {
	const struct view *view;
	const struct view_service *service;
	struct explain_address *addresses;
	size_t n_addresses;
	bool is_live; /* speakers were asked */
	bool incomplete;
};

#endif
