/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_ENGINE_H
#define FAIRLEAD_BGP_ENGINE_H

/*
 * The inside of the engine, for engine.c, batch.c and status.c; everything else uses
 * fairlead/bgp.h.
 */

#include "bgp/bfd.h"
#include "bgp/client.h"
#include "bgp/diff.h"
#include "bgp/sessions.h"
#include "bgp/want.h"
#include "fairlead/bgp.h"

struct event;

/* an administrator may be clearing the way */
#define BGP_RESYNC_MS 30000
#define BGP_REFUSED_RESYNC_MS 5000
/*
 * After a connection was made, and then at growing intervals: bgpd may be given saved lines of ours
 * only now.
 */
#define BGP_FIRST_RESYNC_MS 1000
/*
 * A running configuration of up to this size is read within a millisecond or two, so it is read
 * before every batch.
 */
#define BGP_LOOK_FIRST_MAX_BYTES (32u << 10)
#define BGP_COMMAND_TIMEOUT_MS 10000
/* if the last instance belonged to others: it will come back */
#define BGP_SETTLE_MS 2000
#define BGP_SETTLE_OTHERS_MS 10000
#define BGP_SETTLE_READ_MS 100
#define BGP_RETRY_MIN_MS 1000
#define BGP_RETRY_MAX_MS 60000
/* How long a batch may take while something else is wanted already. */
#define BGP_BATCH_MS 1000

enum engine_phase {
	ENGINE_DOWN,
	ENGINE_READING, /* the running configuration is under way */
	ENGINE_IDLE,
	ENGINE_APPLYING, /* a batch is */
};

enum {
	TAG_SETUP = 1,
	TAG_RUNNING,
	TAG_PARK_BGP,
	TAG_PARK_AF,
	TAG_BATCH = SESSIONS_TAG_END, /* + the index of the command */
};

struct bgp {
	struct event_base *base;
	struct bgp_options opts;
	char *bgpd_socket, *bfdd_socket;
	struct bgp_ops ops;
	void *arg;
	struct vty_client *client;
	struct bgp_bfd *bfd; /* NULL until there is something for it */
	struct event *ev_resync, *ev_kick, *ev_notify;

	struct bgp_want *want; /* NULL before the first publication */
	struct bgp_state want_state;
	uint64_t generation, applied;

	enum engine_phase phase;
	bool tried; /* the first attempt to connect has ended */
	enum bgp_node node;
	bool parking; /* the connection is on its way to another node */
	struct bgp_have have;
	bool have_valid;
	size_t have_bytes;   /* of the running configuration read last */
	bool looking_first;  /* it is being read only because there is something to send */
	bool looked;         /* that was done */
	bool just_read;      /* no diff was made since the running configuration was read */
	bool collect;        /* classes that nothing wants go with the next batch */
	uint64_t last_drift; /* hash of the last batch if a reading led to it, else 0 */
	uint64_t hidden;     /* hash of commands that a second reading did not find done */
	bool verifying;      /* the next reading is that second one */
	enum {
		FORMER_UNKNOWN,
		FORMER_OWN,
		/* whose instance was last seen */
		FORMER_OTHERS
	} former;
	int64_t up_ms;          /* when the connection was made */
	int64_t settle_from_ms; /* no instance since then; 0: there is one, or no reading yet */
	bool settling;
	bool seen_instance;  /* on this connection, so its absence is deliberate */
	bool instance_stays; /* bgpd refused to remove it: treated as others' */
	bool held;           /* something of ours was in bgpd once */
	unsigned int retry_ms;
	int64_t retry_at_ms; /* of what was refused */
	struct bgp_verdict verdict;
	bool refused;             /* the last batch had failures */
	char error[ERR_MSG_SIZE]; /* of the connection or the batch; "" */

	struct bgp_state pending; /* what bgpd has once the batch is through */
	struct bgp_script script;
	size_t answered, failures;
	uint64_t batch_generation;
	int64_t batch_start_ns; /* when what it does was decided */
	int64_t sent_ns;        /* when it was sent */
	int64_t decided_ns;     /* when the oldest publication not yet in a batch came; 0: none */

	struct sessions *sessions;
	struct bgp_stats stats;
};

/* batch.c: the commands. */
uint64_t engine_script_hash(const struct bgp_script *s);
void engine_batch_send(struct bgp *b);
enum batch_outcome {
	BATCH_GOES_ON,
	BATCH_IS_OVER,   /* all of it is answered, or no more of it is sent */
	BATCH_GIVES_WAY, /* likewise; some of it is still to be answered */
};
/* The reply to its command @i. */
enum batch_outcome engine_batch_reply(struct bgp *b, size_t i, uint8_t status, const char *text);

void engine_doubt(struct bgp *b);  /* the running configuration is read as soon as may be */
void engine_notify(struct bgp *b); /* ops.changed() from the event loop's next turn */

#endif
