/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_COMMANDS_H
#define FAIRLEAD_CLI_COMMANDS_H

/*
 * The commands of fairlead(1): each prints its answer, and returns the exit status.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/gather.h"
#include "fairlead/err.h"
#include "fairlead/facts.h"
#include "fairlead/options.h"
#include "fairlead/out.h"

enum command_exit {
	COMMAND_OK = 0,
	COMMAND_FAILED =
		1, /* no answer, or an answer of no; @e says why where nothing was printed */
	COMMAND_DEGRADED = 1, /* status, pools, bgp: the verdict */
	COMMAND_DOWN = 2,
	COMMAND_CHANGES =
		2, /* plan, proxy diff, config convert, move: moved, different, lost, refused */
	COMMAND_NOT_RUN = 2,    /* test: nothing is known about what was to be tested */
	COMMAND_NOTHING = 2,    /* sysdump */
	COMMAND_INCOMPLETE = 3, /* explain, rebalance: printed, but a speaker did not answer */
	COMMAND_USAGE = 64,     /* wrong command line; as in sysexits.h */
};

struct command_test_options {
	const char *image, *address_pool, *namespace; /* NULL: not given */
	int port;
	bool keep, clean_up, host_network;
};

/* The speakers' flags of the same names, and what else the data plane is asked. */
struct command_proxy_options {
	const char *mode, *family; /* "any": both */
	struct facts_flags flags;
};

/* --from, --to, which is an address alone for move; NULL: not given */
struct command_packet_options {
	const char *from, *to;
};

struct command_options {
	struct options_kube kube;
	enum out_format format;
	bool release_addresses, yes, dry_run;
	struct command_test_options test;
	struct command_proxy_options proxy;
	struct command_packet_options packet;
	struct gather_port speaker;
	int timeout_s;
	int wait_s; /* until the verdict is OK; 0: not at all */
	bool watch, summary, markdown;
	bool exit_by_answer;                             /* 0 whatever the verdict */
	const char *service_namespace, *selector;        /* of the Services to show; NULL: all */
	const char *config, *load_balancer_class, *node; /* NULL: not given */
	const char *pool;                                /* likewise */
	bool addresses;                                  /* each of them */
	const char *config_map; /* the name of the administrator's; likewise */
	bool client_only;
	const char *file, *since;    /* of sysdump; NULL: not given */
	const char *kube_proxy_args; /* of config convert; likewise */
	int tail_lines;
	struct option_list state; /* manifests; none: the live cluster */
	char **operands;          /* behind the command's words */
	size_t n_operands;
};

/* What a command prints: it writes to @out, and calls command_print() in the end. */
struct command_answer {
	struct out out;
	struct buf text;
};
void command_answer_init(struct command_answer *a, const struct command_options *o);
void command_answer_fini(struct command_answer *a);
void command_print(struct command_answer *a);
/*
 * The same over what stands on the terminal; elsewhere it is one text behind the other.  False:
 * nobody reads it any more.
 */
bool command_redraw(struct command_answer *a);
/* What went wrong, for a command that goes on; it is forgotten then. */
void command_tell(struct err *e);

/* Groups of flags, as bits; a command refuses those of the groups that it does not look at. */
enum command_flags {
	FLAGS_NODE = 1 << 0,      /* --node */
	FLAGS_CONFIG = 1 << 1,    /* --config, --state, --load-balancer-class */
	FLAGS_UNINSTALL = 1 << 2, /* --release-addresses, --timeout, --yes */
	FLAGS_VERDICT = 1 << 3,   /* --watch, --wait, --exit-code, and the formats wide and name */
	FLAGS_SERVICES = 1 << 4,  /* --service-namespace, --selector, --summary */
	FLAGS_CLUSTER = 1 << 5,   /* --kubeconfig and the like; every command accepts these */
	FLAGS_SPEAKERS = 1 << 6,  /* where speakers are asked; likewise */
	FLAGS_OUTPUT = 1 << 7,    /* likewise */
	FLAGS_TEST = 1 << 8,      /* --image and the like */
	FLAGS_ADMIN = 1 << 9,     /* --config-map */
	FLAGS_CLIENT = 1 << 10,   /* --client */
	FLAGS_SYSDUMP = 1 << 11,  /* --file, --since, --tail-lines */
	FLAGS_PROXY = 1 << 12,  /* --mode, --cluster-cidr and the like, as the speakers have them */
	FLAGS_FAMILY = 1 << 13, /* --family */
	FLAGS_PACKET = 1 << 14, /* --from, --to */
	FLAGS_CONVERT = 1 << 15,     /* --kube-proxy-args */
	FLAGS_STATE = 1 << 16,       /* --state alone */
	FLAGS_POOL = 1 << 17,        /* --pool */
	FLAGS_ADDRESSES = 1 << 18,   /* --addresses */
	FLAGS_SINCE = 1 << 19,       /* --since */
	FLAGS_WIDE = 1 << 20,        /* the format wide */
	FLAGS_MARKDOWN = 1 << 21,    /* the format markdown */
	FLAGS_SUMMARY = 1 << 22,     /* --summary alone */
	FLAGS_EDIT = 1 << 23,        /* --dry-run, --yes */
	FLAGS_TO = 1 << 24,          /* --to alone */
	FLAGS_CLASS = 1 << 25,       /* --load-balancer-class alone */
	FLAGS_CONFIG_FILE = 1 << 26, /* --config alone */
	FLAGS_WATCH = 1 << 27,       /* --watch alone */
};

/* What words on the command line stand for, to complete them. */
enum command_names {
	NAMES_NONE,
	NAMES_FILES,
	NAMES_SERVICES,
	NAMES_NAMESPACES,
	NAMES_NODES,
	NAMES_COMMANDS,
	NAMES_SHELLS
};

#define COMMAND_EXITS 4
#define COMMAND_NAME_SIZE 32

/*
 * Everything about a command: each file of them exports a row or a few, and commands.c lists these.
 */
struct command {
	const char *words[2];     /* the second one NULL: one word */
	const char *operands;     /* as usage has them; "": none */
	enum command_names names; /* what they are */
	size_t n;                 /* how many; behind them may stand more files of --state */
	bool more;                /* n, or more of the same, which are no files of --state */
	bool optional;            /* or none */
	unsigned int flags;       /* FLAGS_… */
	const char *summary;      /* for the list of commands */
	/* a paragraph for its own help, after the summary; NULL: none */
	const char *about;
	/*
	 * what the exit statuses mean; NULL: it has none of these, or 0 means only that all went
	 * well
	 */
	const char *exits[COMMAND_EXITS];
	/* the one where an object or the API server could not be read; 0: COMMAND_FAILED */
	int unreadable;
	int (*run)(const struct command_options *o, struct err *e);
};

/* All of them by name: command_bgp and so on, each in its own file. */
#define COMMANDS(X)       \
	X(bgp)            \
	X(completion)     \
	X(config_check)   \
	X(config_convert) \
	X(config_schema)  \
	X(explain)        \
	X(help)           \
	X(journal)        \
	X(l2)             \
	X(move)           \
	X(plan)           \
	X(pools)          \
	X(proxy_diff)     \
	X(proxy_render)   \
	X(rebalance)      \
	X(release)        \
	X(reserve)        \
	X(status)         \
	X(sysdump)        \
	X(test)           \
	X(uninstall)      \
	X(version)

#define COMMAND_DECLARE(name) extern const struct command command_##name;
COMMANDS(COMMAND_DECLARE)

/* NULL behind the last. */
extern const struct command *const commands[];

/* Says that these words are no command, and what would be one. */
int command_missing(char *const *words, size_t n, struct err *e);
/* The command that these words begin with, or NULL. */
const struct command *command_find(char *const *words, size_t n, size_t *ret_n_words);
/* "config check" */
const char *command_name(const struct command *c, char out[static COMMAND_NAME_SIZE]);

#endif
