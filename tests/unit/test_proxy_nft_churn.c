/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever happens to the keeper of a table (nft_life.h), by chance: the kernel has what is wanted.
 * FAIRLEAD_SEEDS says how often it is tried, FAIRLEAD_SEED names one.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

#include "nft_life.h"
#include "proxy/nftables/frame_private.h"
#include "virtual_loop.h"

static void do_change_element(struct kernel_set *s)
{
	struct kernel_element *e = &s->elements[virtual_random(s->n)];

	kernel.generation++;
	if (s->value_size > 0)
		e->value[virtual_random(s->value_size)] ^= (unsigned char)(1 + virtual_random(255));
	else if (e->code)
		e->code = 0, e->chain[0] = '\0';
}

static void do_add_element(struct kernel_set *s)
{
	struct kernel_element e = { .catch_all = virtual_random(8) == 0 };

	for (size_t i = 0; i < s->key_size && !e.catch_all; i++)
		e.key[i] = (unsigned char)virtual_random(256);
	for (size_t i = 0; i < s->value_size; i++)
		e.value[i] = (unsigned char)virtual_random(256);
	if (nft_kernel_find(s, e.key, false))
		return;
	nft_kernel_add(s, &e);
	if (!(s->flags & NFT_SET_INTERVAL) || virtual_random(4) == 0)
		return;
	e.ends = true;
	e.catch_all = false;
	e.key[s->key_size - 1] |= 1;
	nft_kernel_add(s, &e);
}

/* Of what others may do to our table. */
static void meddle(void)
{
	struct kernel_table *t = nft_kernel_table(FRAME_TABLE);

	if (!t || !life.meddlers)
		return;
	life.meddled = true;
	struct kernel_set *s = &t->sets[virtual_random(t->n_sets)];
	struct kernel_chain *c = &t->chains[virtual_random(t->n_chains)];
	life_others_changed();
	switch (virtual_random(8)) {
	case 0:
		nft_kernel_delete_table(FRAME_TABLE);
		break;
	case 1:
		if (c->n > 0)
			nft_kernel_delete_rule(c, virtual_random(c->n));
		break;
	case 2:
		do_add_element(s);
		break;
	case 3:
		if (s->n > 0)
			do_change_element(s);
		break;
	case 4: {
		char name[FRAME_NAME_SIZE];
		enum frame_side side;
		frame_kind kind;
		memcpy(name, c->name, sizeof(name));
		if (!frame_kind_parse(name, &side, &kind))
			break;
		struct kernel_set *picks = nft_kernel_set(frame_picks[side]);
		for (size_t i = picks->n; i-- > 0;)
			if (!strcmp(picks->elements[i].chain, name))
				nft_kernel_delete(picks, i);
		nft_kernel_delete_chain(name);
		break;
	}
	default:
		if (s->n > 0)
			nft_kernel_delete(s, virtual_random(s->n));
		break;
	}
}

static void let_fail(void)
{
	static const int errors[] = {
		-ENOMEM, -EINTR, -EBUSY, -EEXIST, -ENOENT, -ENOBUFS, -EINVAL
	};

	kernel.error = errors[virtual_random(ARRAY_LEN(errors))];
	kernel.n_errors = 1 + (unsigned int)virtual_random(virtual_random(4) ? 3 : 30);
	kernel.errors_take_effect = kernel.error == -ENOBUFS && virtual_random(2);
}

static void poison(void)
{
	static const char *const sets[] = { "endpoints", "members",       "tickets",
		                            "hairpin",   "source-ranges", "restricted",
		                            "sets",      "short-cuts",    "ways" };

	kernel.poisoned = sets[virtual_random(ARRAY_LEN(sets))];
	kernel.poison = virtual_random(2) ? -EEXIST : -ENOMEM;
}

static void something_happens(void)
{
	size_t i = virtual_random(WISHES);
	struct wish wish;

	switch (virtual_random(24)) {
	case 0:
		meddle();
		break;
	case 1:
		let_fail();
		break;
	case 2:
		kernel.n_interrupted = 1 + (unsigned int)virtual_random(4);
		break;
	case 3:
		kernel.life = 1 + (unsigned int)virtual_random(5);
		break;
	case 4:
		poison();
		break;
	case 5:
		life_set_node(virtual_random(3) > 0);
		break;
	case 6:
		keeper_doubt(life.k);
		break;
	case 7:
		keeper_audit(life.k);
		break;
	case 8:
		life_tell_doubt();
		break;
	case 9:
		life_restart(false);
		break;
	case 10:
	case 11:
	case 12:
	case 13:
		life_remove(i);
		break;
	default:
		wish_random(&wish, i, life.family);
		life_set(i, &wish);
		break;
	}
}

#define STEPS 120
#define STEPS_TO_SETTLE 24

static void live(uint64_t seed)
{
	life_setup(seed, seed % 2 ? 4 : 6);
	life.masquerade_all = virtual_random(4) == 0;
	life.meddlers = virtual_random(2);
	life_sizes_vary = virtual_random(2);
	kernel.slow = virtual_random(2);
	life_begin(false);
	bool in_pieces = virtual_random(2);
	for (int i = 0; i < STEPS; i++) {
		if (in_pieces)
			life.k->batch = 1 + virtual_random(4);
		something_happens();
		if (virtual_random(3) > 0)
			life_pass(virtual_random(4) ? (int64_t)virtual_random(8)
			                            : (int64_t)virtual_random(20000));
		life_check_what_is_applied();
		if (kernel.dead && virtual_random(2))
			life_restart(false);
		if (virtual_random(STEPS_TO_SETTLE) == 0)
			life_settle();
	}
	life_settle();
	/*
	 * What is dropped from outside tells no number: the first restart may choose another one.
	 */
	life_restart(true);
	life_settle();
	life_restart(true);
	size_t n = kernel.n_commits;
	life_settle();
	assert_true(life.meddled || kernel.n_commits == n);
	life_sizes_vary = false;
	life_teardown();
}

static void whatever_happens_the_kernel_has_what_is_wanted(void **state)
{
	(void)state;
	const char *env = getenv("FAIRLEAD_SEEDS"), *one = getenv("FAIRLEAD_SEED");
	/* One takes as long as a handful of the other simulations. */
	uint64_t n = env ? strtoull(env, NULL, 10) / 4 + 1 : 30;

	if (one) {
		live(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= n; seed++) {
		if (getenv("FAIRLEAD_TRACE"))
			print_message("seed %llu\n", (unsigned long long)seed);
		live(seed);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_happens_the_kernel_has_what_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
