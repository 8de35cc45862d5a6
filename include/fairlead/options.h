/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_OPTIONS_H
#define FAIRLEAD_OPTIONS_H

/*
 * Command lines: a table of long options that parses, prints --help and explains what is wrong.
 *
 * `--flag VALUE` and `--flag=VALUE`; `--` ends the options; operands may stand between them.  The
 * target of each row holds the default before and the answer afterwards.  --help and --version need
 * no row.
 *
 *	static const char *node;
 *	static const struct option_row rows[] = {
 *		OPTIONS_KUBE(kube),
 *		{ "node", 0, "NAME", "this node's name", OPTION_STRING, &node },
 *		{ 0 },
 *	};
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "fairlead/log.h"

enum option_kind {
	OPTION_STRING, /* const char **; points into argv */
	OPTION_INT,    /* int *, within min and max */
	OPTION_CHOICE, /* const char **: one word of choices */
	OPTION_SWITCH, /* bool *; takes no value, sets true */
	OPTION_LEVEL,  /* enum log_level * */
	OPTION_LIST,   /* struct option_list *; may be given again and again */
};

#define OPTION_LIST_MAX 64

struct option_list {
	const char *items[OPTION_LIST_MAX]; /* point into argv */
	size_t n;
};

struct option_row {
	const char *name;  /* without the dashes; NULL ends the table */
	char letter;       /* its short form, 0: none */
	const char *value; /* what --help calls the value: "FILE" */
	const char *help;  /* one sentence; the default is added from the target */
	enum option_kind kind;
	void *target;
	int min, max; /* OPTION_INT */
	/*
	 * the value if none is given (a given one then follows "=" only); NULL: a value is required
	 */
	const char *implied;
	const char *choices; /* OPTION_CHOICE: "none|iptables" */
};

struct options {
	const char *usage; /* "fairlead-speaker [OPTION…]" */
	const char *about; /* a paragraph for --help */
	const char *after; /* printed last by --help: commands, exit codes; NULL: nothing */
	const struct option_row *rows;
	size_t max_operands;
	/* Set instead of printing the help at once; NULL: it is printed. */
	bool *help;
	uint64_t *given; /* a bit for each row that was on the command line; NULL: not needed */
};

enum { OPTIONS_RUN = 0, OPTIONS_DONE = 1 /* --help or --version was printed: exit 0 */ };

/* Prints what --help prints. */
void options_help(const struct options *o);
/* Adds @name, and @text in a column beside it, as --help shows its flags. */
void options_put(struct buf *out, const char *name, const char *text);

/*
 * Parses argv.  Operands are moved to the front, argv[1] … argv[*ret_n_operands].  -EINVAL: @e
 * names the flag, and what would be right.
 */
int options_parse(const struct options *o, int argc, char **argv, size_t *ret_n_operands,
                  struct err *e);

/*
 * Whether a rule can name an interface so: 1 to 15 letters, digits, '.', '_' and '-', no '-' first.
 * The kernel allows more, of which iptables or nft would take some for a pattern.
 */
bool options_is_interface(const char *name);

/* ---- what the programs have in common ---- */

struct options_kube {
	const char *kubeconfig, *context, *namespace; /* NULL: not given */
};
/* clang-format off */
#define OPTIONS_KUBE(k) \
	{ "kubeconfig", 0, "FILE", \
	  "how to reach the API server; without it the Pod's service account, else $KUBECONFIG, else ~/.kube/config", \
	  OPTION_STRING, &(k).kubeconfig }, \
	{ "context", 0, "NAME", "context of the kubeconfig, if not its current one", \
	  OPTION_STRING, &(k).context }, \
	{ "namespace", 0, "NAME", \
	  "namespace of our ConfigMaps and Lease; without it the Pod's own, else fairlead-system", \
	  OPTION_STRING, &(k).namespace }
/* clang-format on */

/*
 * The namespace to use: the one given, in a Pod without --kubeconfig the Pod's own, else
 * "fairlead-system".  A new string.
 */
char *options_namespace(const struct options_kube *k);

struct options_daemon {
	struct options_kube kube;
	const char *load_balancer_class; /* NULL: Services without a class are ours */
	const char *http;                /* default: the program's */
	const char *http_status;         /* "all" or "host" */
	const char *http_token_file;     /* NULL: no token */
	enum log_level log_level;        /* LOG_INFO */
};
/* clang-format off */
#define OPTIONS_DAEMON(d) \
	OPTIONS_KUBE((d).kube), \
	{ "load-balancer-class", 0, "NAME", \
	  "handle the Services of this loadBalancerClass only; without it those that have none", \
	  OPTION_STRING, &(d).load_balancer_class }, \
	{ "http", 0, "ADDRESS:PORT", "where /metrics, /healthz, /readyz and /status are served", \
	  OPTION_STRING, &(d).http }, \
	{ "http-status", 0, "WHO", \
	  "who may read /status and /loglevel without a token: all, or clients on this host (host)", \
	  OPTION_CHOICE, &(d).http_status, .choices = "all|host" }, \
	{ "http-token-file", 0, "FILE", \
	  "clients of other hosts need the token in FILE for /status and /loglevel, as " \
	  "Authorization: Bearer TOKEN", \
	  OPTION_STRING, &(d).http_token_file }, \
	{ "log-level", 0, "LEVEL", "error, warn, info or debug", OPTION_LEVEL, &(d).log_level }
/* clang-format on */

#endif
