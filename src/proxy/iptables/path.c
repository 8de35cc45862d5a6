/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule refuses whatever comes if it has no match but one that each new connection passes: a
 * comment, the protocol, the state NEW.  A jump without more of a match than that is followed, so
 * that a firewall that ends in a chain of its own (ufw-reject-forward) gets our jump there, behind
 * what the administrator refuses by name.  Where a chain of network policies is only reached after
 * that, accepting before would overrule it, so the jump stays at the end and the node says that
 * forwarding is refused.
 */
#include "config.h"

#include "proxy/iptables/path.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define ACCEPT_CHAIN "FL-ACC"

/*
 * Chains in which network policies, or rules that administrators were asked to put there, refuse
 * packets of Pods.
 */
static const char *const policies[] = {
	"KUBE-ROUTER-", "KUBE-NWPLCY", "KUBE-POD-FW", "KUBE-NETWORK-POL", "KUBE-PROXY-FIREWALL",
	"cali-",        "felix-",      "CILIUM_",     "OLD_CILIUM_",      "WEAVE-NPC",
	"ANTREA-",      "AZURE-NPM",   "OVN-KUBE-",   "DOCKER-USER",
};

bool path_is_policy(const char *chain)
{
	for (size_t i = 0; i < ARRAY_LEN(policies); i++)
		if (!strncmp(chain, policies[i], strlen(policies[i])))
			return true;
	return false;
}

void path_fini(struct path *p)
{
	struct path_chain *c, *next;

	HASH_ITER(hh, p->chains, c, next) {
		HASH_DEL(p->chains, c);
		free(c->rules);
		free(c);
	}
	*p = (struct path){ .n_rules = 0 };
}

static struct path_chain *find(const struct path *p, const char *name)
{
	struct path_chain *c;

	HASH_FIND_STR(p->chains, name, c);
	return c;
}

static struct path_chain *get(struct path *p, const char *name)
{
	struct path_chain *c = find(p, name);

	if (c)
		return c;
	if (HASH_COUNT(p->chains) >= PATH_MAX_CHAINS) {
		p->n_left_out++;
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	memccpy(c->name, name, '\0', sizeof(c->name) - 1);
	HASH_ADD_STR(p->chains, name, c);
	return c;
}

/* What a rule says, as far as it was understood. */
struct reading {
	bool sweeping; /* whatever comes, or at least every new connection of a protocol */
	bool whole;    /* whatever comes */
	bool goes;     /* -g */
	char target[CHAIN_NAME_SIZE];
};

static void copy_word(char *to, size_t size, const char *from)
{
	size_t len = strcspn(from, " ");

	len = len < size ? len : size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
}

static bool is_word(const char *at, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(at, word, len) && (at[len] == ' ' || at[len] == '\0');
}

static bool names_new(const char *states)
{
	size_t len = strcspn(states, " ");

	for (const char *at = states; at < states + len; at += strcspn(at, ", ") + 1)
		if (!strncmp(at, "NEW", 3) && strchr(", ", at[3]))
			return true;
	return false;
}

/*
 * One option before the target and its value; false for a match that some connections do not pass.
 */
static bool passes_all(const char *option, const char *value)
{
	static const char *const modules[] = {
		"comment", "conntrack", "state", "tcp", "udp", "sctp"
	};
	if (is_word(option, "--comment"))
		return true;
	if (is_word(option, "-p"))
		return is_word(value, "tcp") || is_word(value, "udp") || is_word(value, "sctp");
	if (is_word(option, "--ctstate") || is_word(option, "--state"))
		return names_new(value);
	for (size_t i = 0; is_word(option, "-m") && i < ARRAY_LEN(modules); i++)
		if (is_word(value, modules[i]))
			return true;
	return false;
}

static struct reading read_rule(const char *spec)
{
	struct reading r = { .sweeping = true, .whole = true };

	for (const char *at = spec; *at;) {
		const char *value = chain_next_argument(at);
		if (is_word(at, "-j") || is_word(at, "-g")) {
			r.goes = at[1] == 'g';
			copy_word(r.target, sizeof(r.target), value);
			break; /* what follows are the target's own options */
		}
		r.sweeping = r.sweeping && passes_all(at, value);
		r.whole = r.whole && (is_word(at, "--comment") || is_word(value, "comment"));
		at = chain_next_argument(value);
	}
	return r;
}

/* False: the rule means nothing to us. */
static bool classify(const struct reading *r, enum path_kind *ret_kind)
{
	static const struct {
		const char *target;
		enum path_kind kind;
	} verdicts[] = {
		{ "DROP", PATH_REFUSE },
		{ "REJECT", PATH_REFUSE },
		{ "ACCEPT", PATH_ACCEPT },
		{ "RETURN", PATH_RETURN },
	};

	if (!strcmp(r->target, ACCEPT_CHAIN)) {
		*ret_kind = PATH_OURS;
		return true;
	}
	if (path_is_policy(r->target)) {
		*ret_kind = PATH_POLICY;
		return true;
	}
	if (!r->sweeping || !*r->target)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
		if (!strcmp(r->target, verdicts[i].target)) {
			*ret_kind = verdicts[i].kind;
			return true;
		}
	/* A target like LOG is taken for a chain that does not exist. */
	*ret_kind = r->goes ? PATH_GOTO : PATH_JUMP;
	return strncmp(r->target, CHAIN_PREFIX, strlen(CHAIN_PREFIX)) != 0;
}

void path_add_rule(struct path *p, const char *chain, const char *spec)
{
	struct path_chain *c;
	enum path_kind kind;

	if (path_is_policy(chain) || !(c = get(p, chain)))
		return;
	c->n_seen++;
	struct reading r = read_rule(spec);
	if (!classify(&r, &kind))
		return;
	if (p->n_rules >= PATH_MAX_RULES) {
		p->n_left_out++;
		return;
	}
	p->n_rules++;
	ARRAY_RESERVE(c->rules, c->cap, c->n + 1);
	struct path_rule *rule = &c->rules[c->n++];
	*rule = (struct path_rule){ .kind = kind, .number = c->n_seen, .whole = r.whole };
	memcpy(rule->target, r.target, sizeof(rule->target));
}

/* What was met on the way so far. */
struct walk {
	const struct path *p;
	struct path_place place;
	size_t n_steps;
	bool found;        /* the first rule that refuses everything: the place is before it */
	bool ours;         /* our jump was met */
	bool ours_is_late; /* behind that rule, or twice */
	bool policy_late;  /* a network policy behind our jump */
};

static void meet(struct walk *w, const struct path_chain *c, const struct path_rule *r)
{
	if (r->kind == PATH_REFUSE && !w->found) {
		w->found = true;
		memcpy(w->place.chain, c->name, sizeof(w->place.chain));
		w->place.number = r->number;
	}
	if (r->kind == PATH_OURS) {
		w->ours_is_late = w->ours_is_late || w->found || w->ours;
		w->ours = true;
	}
	if (r->kind == PATH_POLICY) {
		w->place.refused = w->place.refused || w->found;
		w->policy_late = w->policy_late || w->ours;
	}
}

/*
 * Goes on after the rule that refuses everything, to see what would be overruled.  True: no packet
 * returns from the chain.
 */
static bool walk(struct walk *w, const char *name, unsigned int depth)
{
	const struct path_chain *c = find(w->p, name);

	for (size_t i = 0; c && i < c->n; i++) {
		const struct path_rule *r = &c->rules[i];
		if (w->n_steps == PATH_MAX_STEPS) {
			w->place.beyond = true;
			return false;
		}
		w->n_steps++;
		meet(w, c, r);
		if (r->kind == PATH_RETURN && r->whole)
			return false;
		if (r->kind == PATH_ACCEPT && r->whole)
			return true;
		bool leads =
			(r->kind == PATH_JUMP || r->kind == PATH_GOTO) && find(w->p, r->target);
		w->place.beyond = w->place.beyond || (leads && depth == PATH_MAX_DEPTH);
		if (leads && depth < PATH_MAX_DEPTH) {
			bool ended = walk(w, r->target, depth + 1);
			if (r->whole && (ended || r->kind == PATH_GOTO))
				return ended;
		}
	}
	return false;
}

struct path_place path_place(const struct path *p)
{
	struct walk w = { .p = p, .place = { .chain = "FORWARD" } };

	walk(&w, "FORWARD", 0);
	w.place.in_place = w.ours && !w.ours_is_late && !w.policy_late;
	if (w.place.refused) {
		/* At the end, behind all policies, where it overrules nobody. */
		w.place.in_place = w.ours && !w.policy_late;
		memcpy(w.place.chain, "FORWARD", sizeof("FORWARD"));
		w.place.number = 0;
	}
	return w.place;
}
