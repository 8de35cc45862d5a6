/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The socket that looks at who sends here for what has moved: what it sees, when it is opened, and
 * that it is not closed while the urgent thread has to answer.  Here it is one end of a pair.
 */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/attach.h"
#include "l2/sniffer.h"

#define TEN_MINUTES_MS 600000

static struct {
	int wire;    /* what is sent there comes in; -1: no socket is open */
	int refuses; /* the errno of the next filter, 0: none */
	int unbound; /* the errno of bind() */
	size_t n_opened, n_closed, n_seen;
	struct addr source, target;
	uint8_t mac[6];
} w;

static struct sim sim;

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __real_close(int fd);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_close(int fd);

int __wrap_socket(int domain, int type, int protocol)
{
	int fds[2];

	(void)protocol;
	assert_int_equal(domain, AF_PACKET);
	assert_true(type & SOCK_NONBLOCK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	w.wire = fds[1];
	w.n_opened++;
	return fds[0];
}

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t size)
{
	(void)fd;
	(void)addr;
	(void)size;
	errno = w.unbound;
	return w.unbound ? -1 : 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	if (name == SO_ATTACH_FILTER && w.refuses) {
		errno = w.refuses;
		return -1;
	}
	return __real_setsockopt(fd, level, name, value, size);
}

int __wrap_close(int fd)
{
	w.n_closed++;
	return __real_close(fd);
}

static void begin(void)
{
	memset(&w, 0, sizeof(w));
	w.wire = -1;
}

static void end(struct sniffer *s)
{
	sniffer_close(s);
	assert_int_equal(w.n_closed, w.n_opened);
	__real_close(w.wire);
}

static const struct addr a = { .family = 4, .b = { 10, 0, 0, 1 } };
static const struct addr b = { .family = 6, .b = { 0xfd, [15] = 1 } };

static void come(const struct addr *to)
{
	uint8_t frame[100] = { [6] = 2, [11] = 99 };
	bool is_v4 = to->family == 4;

	frame[12] = is_v4 ? 0x08 : 0x86;
	frame[13] = is_v4 ? 0x00 : 0xdd;
	frame[is_v4 ? 26 : 22] = 77;
	memcpy(frame + (is_v4 ? 30 : 38), to->b, addr_size(to->family));
	(void)!send(w.wire, frame, sizeof(frame), 0);
}

static void see(const uint8_t *mac, const struct addr *source, const struct addr *target, void *arg)
{
	(void)arg;
	w.n_seen++;
	memcpy(w.mac, mac, sizeof(w.mac));
	w.source = *source;
	w.target = *target;
}

static size_t seen(struct sniffer *s)
{
	w.n_seen = 0;
	sniffer_read(s, see, NULL);
	return w.n_seen;
}

static void it_tells_who_sends_what_from_where(void **state)
{
	(void)state;
	begin();
	struct sniffer *s = sniffer_open(1);
	const struct addr *both[] = { &a, &b };

	come(&a);
	assert_int_equal(seen(s), 0);
	assert_int_equal(sniffer_set(s, &a, 1), 0);
	come(&a);
	come(&b);
	assert_int_equal(seen(s), 1);
	assert_int_equal(sniffer_set(s, (const struct addr[]){ a, b }, 2), 0);
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		come(both[i]);
		assert_int_equal(seen(s), 1);
		assert_true(addr_eq(&w.target, both[i]));
		assert_int_equal(w.source.family, both[i]->family);
		assert_int_equal(w.source.b[0], 77);
		assert_int_equal(w.mac[5], 99);
	}
	assert_int_equal(sniffer_set(s, NULL, 0), 0);
	come(&a);
	come(&b);
	assert_int_equal(seen(s), 0);
	end(s);
}

/* Otherwise it would never look for them, as long as they are the same. */
static void what_was_refused_is_tried_again(void **state)
{
	(void)state;
	begin();
	struct sniffer *s = sniffer_open(1);

	w.refuses = ENOMEM;
	assert_int_equal(sniffer_set(s, &a, 1), -ENOMEM);
	w.refuses = 0;
	assert_int_equal(sniffer_set(s, &a, 1), 0);
	come(&a);
	assert_int_equal(seen(s), 1);
	end(s);
}

/* Node 0 has lost what it had. */
static void lose(struct attached *at)
{
	static char link;

	begin();
	sim_init(&sim, 5, 3, 12);
	for (size_t i = 0; i < sim.n_nodes; i++)
		sim_start(&sim, i);
	sim_run(&sim, 5000);
	*at = (struct attached){ .segment = sim.nodes[0].segment, .link = (struct link *)&link };
	attached_look_for_stragglers(at, sim.now);
	assert_int_equal(w.n_opened, 0);
	for (size_t i = 0; i < sim.n_addresses; i++)
		sim.nodes[0].wants[i].eligible = false;
	sim_publish(&sim, 0);
	sim_run(&sim, 500);
}

/* Closing takes a grace period of the kernel, more than ten milliseconds without an answer. */
static void it_stays_open_when_there_is_nothing_to_look_for(void **state)
{
	(void)state;
	struct attached at;

	lose(&at);
	attached_look_for_stragglers(&at, sim.now);
	assert_int_equal(w.n_opened, 1);
	sim_run(&sim, TEN_MINUTES_MS + 1000);
	attached_look_for_stragglers(&at, sim.now);
	sim_link(&sim, 0, false);
	at.link = NULL;
	attached_look_for_stragglers(&at, sim.now + 1000);
	assert_int_equal(w.n_closed, 0);
	assert_non_null(at.sniffer);
	for (size_t i = 0; i < sim.n_addresses; i++)
		come(sim_address(i));
	assert_int_equal(seen(at.sniffer), 0);
	end(at.sniffer);
	sim_fini(&sim);
}

/* Each try closes what it opened. */
static void what_cannot_be_opened_is_seldom_tried_again(void **state)
{
	(void)state;
	struct attached at;

	lose(&at);
	w.unbound = ENODEV;
	for (int i = 0; i < 50; i++) {
		attached_look_for_stragglers(&at, sim.now);
		sim_run(&sim, 1000);
	}
	assert_int_equal(w.n_opened, 1);
	w.unbound = 0;
	sim_run(&sim, 60000);
	attached_look_for_stragglers(&at, sim.now);
	assert_non_null(at.sniffer);
	end(at.sniffer);
	sim_fini(&sim);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_tells_who_sends_what_from_where),
		cmocka_unit_test(what_was_refused_is_tried_again),
		cmocka_unit_test(it_stays_open_when_there_is_nothing_to_look_for),
		cmocka_unit_test(what_cannot_be_opened_is_seldom_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
