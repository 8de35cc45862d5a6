/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's shell with programs of our own in place of iptables: what it runs, and what it makes
 * of their answers.
 */
#include "config.h"

#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/proxy.h"
#include "fairlead/limits.h"
#include "proxy/dump.h"
#include "proxy/pace.h"
#include "proxy/sole.h"

#define DEADLINE_S 240

static char dir[] = "/tmp/fl-plane-XXXXXX";
static struct event_base *base;
static struct proxy *proxy;
static int n_applied, n_failed, n_broken;
static struct err last_error;

/*
 * The answers are chosen by files: "refuse" holds what must not be in the input, "locked" and "die"
 * are used up once, and with "broken" it always fails so: with that code, or by a signal.
 */
static const char restore_script[] =
	"#!/bin/sh\n"
	"[ \"$1\" = --version ] && { echo 'iptables-restore v1.8.9 (nf_tables)'; exit 0; }\n"
	"cd \"$FAKE\" && n=$(cat n 2>/dev/null || echo 0) && n=$((n + 1)) && echo $n >n\n"
	"[ -e deaf ] && { rm deaf; exec >&- 2>&- <&-; while [ ! -e woken ]; do sleep 0.02; done; exit 1; }\n"
	"cat >input.$n; echo \"$@\" >arguments\n"
	"[ -e /proc/$$/fd/77 ] && echo x >file_of_ours\n"
	"[ -e dear ] && grep -q '^-S' input.$n && exit 4\n"
	"[ -e broken ] && { echo 'out of order' >&2; code=$(cat broken)\n"
	"	[ $code = kill ] && kill -9 $$; exit $code; }\n"
	"[ -e locked ] && { rm locked; echo 'Another app is currently holding the lock' >&2; exit 4; }\n"
	"[ -e slow ] && { sleep 0.2; echo x >ended; }\n"
	"[ -e die ] && { rm die; kill -9 $$; }\n"
	"[ -e refuse ] && line=$(grep -n -e \"$(cat refuse)\" input.$n | head -1 | cut -d: -f1)\n"
	"[ -n \"$line\" ] && { echo 'iptables-restore v1.8.9 (nf_tables): no such match' >&2\n"
	"	echo \"Error occurred at line: $line\" >&2; echo 'Try `x -h` for more' >&2; exit 2; }\n"
	"exit 0\n";
static const char save_script[] = "#!/bin/sh\ncd \"$FAKE\" && echo x >>saves\n"
				  "[ -e unreadable ] && { rm unreadable; exit 1; }\n"
				  "[ -e dear ] && sleep 0.02\nexit 0\n";
static const char iptables_script[] =
	"#!/bin/sh\ncd \"$FAKE\" && [ -e held ] && { rm held\n"
	"	echo 'Another app is currently holding the xtables lock. Stopped waiting after 5s.' >&2\n"
	"	exit 4; }\nexit 0\n";

struct sole *__real_sole_new(struct event_base *b, const char *name, const struct sole_ops *ops,
                             void *arg);
struct sole *__wrap_sole_new(struct event_base *b, const char *name, const struct sole_ops *ops,
                             void *arg);

/* On this machine there may be a service proxy, or this test a second time. */
struct sole *__wrap_sole_new(struct event_base *b, const char *name, const struct sole_ops *ops,
                             void *arg)
{
	(void)name;
	return __real_sole_new(b, dir, ops, arg);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static char *read_file(const char *name)
{
	char path[128];
	cleanup(buf_fini) struct buf b = BUF_INIT;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "r");
	for (size_t n; f && (n = fread(buf_reserve(&b, 4096), 1, 4096, f)) > 0;)
		buf_advance(&b, n);
	if (f)
		fclose(f);
	return xstrdup(buf_str(&b));
}

static int count(const char *name)
{
	cleanup_free char *text = read_file(name);

	return atoi(text);
}

static size_t n_saves(void)
{
	cleanup_free char *text = read_file("saves");

	return strlen(text) / 2;
}

static void print_status(const struct proxy *p, struct buf *json)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, json);
	proxy_status(p, NULL, &o);
}

static void on_applied(void *arg)
{
	(void)arg;
	n_applied++;
}

static void on_failed(const struct err *e, void *arg)
{
	(void)arg;
	n_failed++;
	n_broken += strstr(e->msg, "fails whatever it is given") != NULL;
	last_error = *e;
}

static void remove_files(void)
{
	cleanup_free char *command = xasprintf("/bin/rm -rf %s 2>/dev/null", dir);

	/* What a script had started may write for a moment after the script was ended. */
	for (int tries = 0; system(command) != 0; tries++) {
		assert_true(tries < 500);
		usleep(10 * 1000);
	}
}

static int setup(void **state)
{
	(void)state;
	static const struct proxy_ops ops = { .applied = on_applied, .failed = on_failed };
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "nft" };
	struct err e = ERR_INIT;
	snprintf(dir, sizeof(dir), "/tmp/fl-plane-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	write_file("iptables-nft-restore", restore_script, 0755);
	write_file("iptables-nft-save", save_script, 0755);
	write_file("iptables-nft", iptables_script, 0755);
	cleanup_free char *path = xasprintf("%s:/usr/bin:/bin", dir);
	setenv("PATH", path, 1);
	setenv("FAKE", dir, 1);
	n_applied = n_failed = n_broken = 0;
	base = event_base_new();
	log_set_level(LOG_ERROR);
	return proxy_start(base, &o, &ops, NULL, &proxy, &e);
}

static int teardown(void **state)
{
	(void)state;
	proxy_free(proxy);
	event_base_free(base);
	remove_files();
	return 0;
}

static void set(int number, bool affinity, const char *endpoint)
{
	char key[32], text[32];
	struct proxy_endpoint e = { .port = 8080 };
	struct proxy_port port = { .name = "",
		                   .proto = IPPROTO_TCP,
		                   .port = 80,
		                   .cluster = &e,
		                   .n_cluster = 1,
		                   .has_any = true };
	struct proxy_half s = { .key = key,
		                .family = 4,
		                .traffic.affinity_s = affinity ? 60 : 0,
		                .ports = &port,
		                .n_ports = 1 };

	snprintf(key, sizeof(key), "shop/web-%d", number);
	snprintf(text, sizeof(text), "10.96.%d.%d", number / 250, number % 250);
	assert_int_equal(addr_parse(text, &s.cluster_ip), 0);
	assert_int_equal(addr_parse(endpoint, &e.addr), 0);
	proxy_set(proxy, &(struct proxy_service){ .key = key, .halves = { &s } });
}

static void give_up(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

static void run_until(bool (*done)(void))
{
	bool late = false;
	struct event *timer = evtimer_new(base, give_up, &late);
	struct timeval tv = { DEADLINE_S, 0 };

	evtimer_add(timer, &tv);
	while (!done() && !late)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(timer);
	assert_true(done());
}

static bool in_sync(void)
{
	return proxy_stats(proxy).in_sync;
}

static bool others_applied(void)
{
	for (int i = 0; i < 10; i++) {
		char key[32];
		snprintf(key, sizeof(key), "shop/web-%d", i);
		if (i != 7 && !proxy_is_applied(proxy, key, 4))
			return false;
	}
	return n_failed > 0;
}

static void nothing_is_written_before_all_is_known(void **state)
{
	(void)state;
	set(1, false, "10.244.1.1");
	while (n_saves() == 0)
		event_base_loop(base, EVLOOP_ONCE);
	struct timeval tv = { 0, 50000 };
	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
	assert_int_equal(count("n"), 0);
	assert_false(proxy_is_applied(proxy, "shop/web-1", 4));
	proxy_complete(proxy);
	run_until(in_sync);
	assert_true(proxy_is_applied(proxy, "shop/web-1", 4));
	assert_true(n_applied > 0);
	cleanup_free char *arguments = read_file("arguments");
	assert_string_equal(arguments, "--noflush -w 5\n");
}

/* And what it had read in the meantime is read again, if it is to write at last. */
static void while_another_is_at_work_nothing_is_written(void **state)
{
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "nft" };
	struct proxy *second;
	cleanup(buf_fini) struct buf json = BUF_INIT;

	(void)state;
	proxy_complete(proxy);
	run_until(in_sync);
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &second, NULL), 0);
	proxy_complete(second);
	for (int i = 0; i < 50; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(2000);
	}
	assert_false(proxy_stats(second).in_sync);
	assert_int_equal(proxy_stats(second).batches, 0);
	print_status(second, &json);
	assert_non_null(strstr(buf_str(&json), "\"waits_for_another\":true"));
	proxy_free(proxy);
	proxy = second;
	run_until(in_sync);
	assert_int_equal(proxy_stats(proxy).batches, 1);
}

static void a_burst_is_one_batch(void **state)
{
	(void)state;
	proxy_complete(proxy);
	run_until(in_sync);
	int before = count("n");
	for (int i = 0; i < 500; i++)
		set(i, false, "10.244.1.1");
	run_until(in_sync);
	assert_int_equal(count("n"), before + 1);
	for (int i = 0; i < 500; i++)
		set(i, false, "10.244.1.1");
	assert_true(in_sync());
	assert_int_equal(n_saves(), 1); /* none in the steady state */
}

static void the_offending_line_is_named(void **state)
{
	(void)state;
	proxy_complete(proxy);
	run_until(in_sync);
	write_file("refuse", "-m recent", 0644);
	for (int i = 0; i < 10; i++)
		set(i, i == 7, "10.244.1.1");
	run_until(others_applied);
	assert_false(proxy_is_applied(proxy, "shop/web-7", 4));
	assert_non_null(strstr(last_error.msg, "no such match"));
	assert_non_null(strstr(last_error.msg, "shop/web-7:tcp"));
	assert_null(strstr(last_error.msg, "Try `"));
	cleanup(buf_fini) struct buf json = BUF_INIT;
	print_status(proxy, &json);
	assert_non_null(strstr(buf_str(&json), "\"refused\":[{\"service\":\"shop/web-7\""));
	assert_true(n_failed == 1);
	assert_non_null(strstr(proxy_refusal(proxy, "shop/web-7", 4), "no such match"));
	assert_null(proxy_refusal(proxy, "shop/web-6", 4));
	assert_true(proxy_any_hindrance(proxy));
	/* It is tried again by itself. */
	remove_file("refuse");
	run_until(in_sync);
	assert_null(proxy_refusal(proxy, "shop/web-7", 4));
	assert_false(proxy_any_hindrance(proxy));
}

static bool one_is_refused(void)
{
	return proxy_any_hindrance(proxy);
}

/* Whoever announces the Service hears of it. */
static void a_refusal_is_told(void **state)
{
	(void)state;
	proxy_complete(proxy);
	run_until(in_sync);
	write_file("refuse", "-m recent", 0644);
	set(7, true, "10.244.1.1");
	int before = n_applied;
	run_until(one_is_refused);
	assert_non_null(proxy_refusal(proxy, "shop/web-7", 4));
	assert_true(n_applied > before);
	/* Another wish is another matter, and one that is gone is none. */
	set(7, false, "10.244.1.1");
	assert_null(proxy_refusal(proxy, "shop/web-7", 4));
	run_until(in_sync);
	set(8, true, "10.244.1.1");
	run_until(one_is_refused);
	proxy_remove(proxy, "shop/web-8");
	assert_null(proxy_refusal(proxy, "shop/web-8", 4));
	assert_false(proxy_any_hindrance(proxy));
}

static void a_lock_is_waited_for(void **state)
{
	(void)state;
	proxy_complete(proxy);
	run_until(in_sync);
	write_file("locked", "", 0644);
	set(1, false, "10.244.1.1");
	run_until(in_sync);
	assert_int_equal(proxy_stats(proxy).failures, 1);
	assert_int_equal(n_failed, 0);
	assert_int_equal(n_saves(), 1);
}

static void a_killed_program_means_reading_again(void **state)
{
	(void)state;
	write_file("unreadable", "", 0644);
	proxy_complete(proxy);
	run_until(in_sync);
	assert_int_equal(n_failed, 1);
	assert_int_equal(n_saves(), 2);
	write_file("die", "", 0644);
	set(1, false, "10.244.1.1");
	run_until(in_sync);
	assert_int_equal(n_saves(), 3);
	assert_int_equal(proxy_stats(proxy).resyncs, 2);
}

static bool failed_often(void)
{
	return n_failed >= 4;
}

/*
 * Whatever it is given: no Service is to blame, and it is tried less and less often until it works.
 */
static void check_broken(const char *how)
{
	proxy_complete(proxy);
	run_until(in_sync);
	n_failed = 0;
	write_file("broken", how, 0644);
	for (int i = 0; i < 50; i++)
		set(i, false, "10.244.1.1");
	int before = count("n");
	run_until(failed_often);
	/* Halving to find one to blame, and that it is the program; then the pauses. */
	assert_in_range(count("n") - before, 4, 25);
	assert_int_equal(proxy_stats(proxy).refused, 0);
	/* After a kill everything is in doubt, and that comes before any Service. */
	assert_true(n_broken > 0 || !strcmp(how, "kill"));
	remove_file("broken");
	run_until(in_sync);
	cleanup(buf_fini) struct buf json = BUF_INIT;
	print_status(proxy, &json);
	assert_non_null(strstr(buf_str(&json), "\"last_error\":null"));
}

static void a_program_that_always_fails_is_not_run_without_end(void **state)
{
	(void)state;
	check_broken("1");
}

static void a_program_without_resources_may_have_one_to_blame(void **state)
{
	(void)state;
	check_broken("4");
}

static void a_program_that_always_dies_is_not_run_without_end(void **state)
{
	(void)state;
	check_broken("kill");
}

static void count_ticks(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	if (++*(int *)arg == 20)
		write_file("woken", "", 0644);
}

/* It has closed all that it had from us, and lives on. */
static void a_program_that_lingers_stops_nobody(void **state)
{
	(void)state;
	int ticks = 0;
	const struct timeval tv = { 0, 5000 };
	proxy_complete(proxy);
	run_until(in_sync);
	write_file("deaf", "", 0644);
	set(1, false, "10.244.1.1");
	/* What the script waits for comes from this loop. */
	struct event *timer = event_new(base, -1, EV_PERSIST, count_ticks, &ticks);
	event_add(timer, &tv);
	run_until(in_sync);
	event_free(timer);
	assert_true(ticks >= 20);
}

/* Libraries open files that exec would keep. */
static void programs_get_no_files_of_ours(void **state)
{
	(void)state;
	assert_int_equal(dup2(STDERR_FILENO, 77), 77);
	proxy_complete(proxy);
	run_until(in_sync);
	close(77);
	cleanup_free char *seen = read_file("file_of_ours"), *ran = read_file("n");
	assert_string_not_equal(ran, "");
	assert_string_equal(seen, "");
}

static bool compared_thrice(void)
{
	return proxy_stats(proxy).resyncs >= 4;
}

/*
 * Dear ones are rare, but they do not wait for the hour, even if the looks in between say nothing.
 */
static void comparisons_take_their_share_of_the_time(void **state)
{
	(void)state;
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "nft", .audit_ms = 400 };
	proxy_free(TAKE(proxy));
	write_file("dear", "", 0644);
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &proxy, NULL), 0);
	proxy_complete(proxy);
	run_until(compared_thrice);
}

static void at_the_end_nothing_writes_any_more(void **state)
{
	(void)state;
	proxy_complete(proxy);
	run_until(in_sync);
	int before = count("n");
	write_file("slow", "", 0644);
	set(1, false, "10.244.1.1");
	while (count("n") == before)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(proxy_uninstall(proxy, NULL), 0);
	cleanup_free char *ended = read_file("ended");
	assert_string_equal(ended, "x\n");
	/* Nor does anything wait, and what is wanted from now on is nobody's business here. */
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	assert_false(proxy_forwards(proxy));
	set(2, false, "10.244.1.1");
}

static void a_lock_at_the_start_costs_no_family(void **state)
{
	(void)state;
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "nft" };
	struct proxy *p;
	cleanup(buf_fini) struct buf json = BUF_INIT;
	if (access("/proc/net/if_inet6", F_OK) < 0)
		return;
	write_file("ip6tables-nft-restore", restore_script, 0755);
	write_file("ip6tables-nft-save", save_script, 0755);
	write_file("ip6tables-nft", iptables_script, 0755);
	/* Whoever looks first finds it locked: that must be IPv6. */
	write_file("iptables-nft", "#!/bin/sh\nexit 0\n", 0755);
	write_file("held", "", 0644);
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &p, NULL), 0);
	print_status(p, &json);
	assert_non_null(strstr(buf_str(&json), "\"family\":6"));
	proxy_free(p);
}

static void set_both(struct proxy *p)
{
	static const char *const ips[] = { "10.96.0.1", "fd00:96::1" };
	static const char *const pods[] = { "10.244.1.1", "fd00:244::1" };
	struct proxy_endpoint e[2] = { { .port = 8080 }, { .port = 8080 } };
	struct proxy_port ports[2];
	struct proxy_half halves[2];

	for (int i = 0; i < 2; i++) {
		ports[i] = (struct proxy_port){ .name = "",
			                        .proto = IPPROTO_TCP,
			                        .port = 80,
			                        .cluster = &e[i],
			                        .n_cluster = 1,
			                        .has_any = true };
		halves[i] = (struct proxy_half){
			.key = "shop/web-1", .family = i ? 6 : 4, .ports = &ports[i], .n_ports = 1
		};
		assert_int_equal(addr_parse(ips[i], &halves[i].cluster_ip), 0);
		assert_int_equal(addr_parse(pods[i], &e[i].addr), 0);
	}
	proxy_set(p, &(struct proxy_service){ "shop/web-1", { &halves[0], &halves[1] } });
}

static bool six_is_applied(void)
{
	return proxy_is_applied(proxy, "shop/web-1", 6);
}

static bool four_is_applied(void)
{
	return proxy_is_applied(proxy, "shop/web-1", 4);
}

static void start_with_six(const char *save6, const char *iptables6)
{
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "nft", .audit_ms = 50 };

	proxy_free(TAKE(proxy));
	write_file("ip6tables-nft-restore", restore_script, 0755);
	write_file("ip6tables-nft-save", save6, 0755);
	write_file("ip6tables-nft", iptables6, 0755);
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &proxy, NULL), 0);
	set_both(proxy);
	proxy_complete(proxy);
}

static void a_family_may_come_later(void **state)
{
	(void)state;
	if (access("/proc/net/if_inet6", F_OK) < 0)
		return;
	start_with_six(save_script, "#!/bin/sh\necho 'no such table' >&2\nexit 3\n");
	run_until(in_sync);
	assert_true(four_is_applied());
	assert_false(six_is_applied());
	cleanup(buf_fini) struct buf json = BUF_INIT;
	print_status(proxy, &json);
	assert_non_null(strstr(buf_str(&json), "\"last_error\":\"ip6tables-nft: no such table\""));
	write_file("ip6tables-nft", iptables_script, 0755);
	run_until(six_is_applied);
}

static void what_ails_one_family_is_no_concern_of_the_other(void **state)
{
	(void)state;
	if (access("/proc/net/if_inet6", F_OK) < 0)
		return;
	start_with_six("#!/bin/sh\nexit 1\n", iptables_script);
	run_until(four_is_applied);
	assert_false(six_is_applied());
	write_file("ip6tables-nft-save", save_script, 0755);
	run_until(six_is_applied);
}

static void leftovers_are_seen_in_either_table(void **state)
{
	(void)state;
	static const char *const chains[] = { "nat -S FL-SVC", "filter -S FL-IN" };
	write_file("iptables-nft", "#!/bin/sh\nexit 1\n", 0755);
	assert_false(proxy_has_leftovers());
	for (size_t i = 0; i < ARRAY_LEN(chains); i++) {
		cleanup_free char *script = xasprintf(
			"#!/bin/sh\ncase \"$*\" in *'%s') exit 0;; esac\nexit 1\n", chains[i]);
		write_file("iptables-nft", script, 0755);
		assert_true(proxy_has_leftovers());
	}
}

/* After a change of the mode nobody else takes the rules away. */
static void a_cleanup_waits_for_the_lock(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	proxy_free(TAKE(proxy));
	write_file("iptables-nft-save",
	           "#!/bin/sh\necho '*nat'; echo ':FL-SVC - [0:0]'; echo COMMIT\n", 0755);
	write_file("locked", "", 0644);
	assert_int_equal(proxy_cleanup(&e), 0);
	cleanup_free char *input = read_file("input.2");
	assert_non_null(strstr(input, "-X FL-SVC\n"));
	/* What fails otherwise is told. */
	write_file("refuse", "FL-SVC", 0644);
	assert_true(proxy_cleanup(&e) < 0);
	assert_int_equal(count("n"), 3);
}

/* What works does not hide it: neither the other family nor the other variant. */
static void a_cleanup_tells_what_failed(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	proxy_free(TAKE(proxy));
	write_file("ip6tables-nft-restore", restore_script, 0755);
	write_file("ip6tables-nft-save", save_script, 0755);
	write_file("unreadable", "", 0644);
	assert_true(proxy_cleanup(&e) < 0);
	assert_non_null(strstr(e.msg, "iptables-nft-save: "));
	assert_int_equal(proxy_cleanup(&e), 0);
}

static void leave_rules(void)
{
	write_file("iptables-nft", "#!/bin/sh\nexit 0\n", 0755);
	write_file("iptables-nft-save",
	           "#!/bin/sh\necho '*nat'; echo ':FL-SVC - [0:0]'; echo COMMIT\n", 0755);
}

static void assert_rules_are_gone(void)
{
	cleanup_free char *name = xasprintf("input.%d", count("n"));
	cleanup_free char *input = read_file(name);

	assert_non_null(strstr(input, "-X FL-SVC\n"));
}

static void rules_of_another_variant_go_in_the_end(void **state)
{
	(void)state;
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "legacy" };
	proxy_free(TAKE(proxy));
	leave_rules();
	write_file("iptables-legacy-restore", restore_script, 0755);
	write_file("iptables-legacy-save", save_script, 0755);
	write_file("iptables-legacy", iptables_script, 0755);
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &proxy, NULL), 0);
	proxy_complete(proxy);
	run_until(in_sync);
	assert_rules_are_gone();
}

static void rules_of_another_mode_go_at_once(void **state)
{
	(void)state;
	struct proxy_options o = { .mode = PROXY_NONE };
	proxy_free(TAKE(proxy));
	leave_rules();
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &proxy, NULL), 0);
	assert_rules_are_gone();
}

static void mode_none_does_nothing(void **state)
{
	(void)state;
	static const struct proxy_ops ops = { .applied = on_applied };
	struct proxy_options o = { .mode = PROXY_NONE };
	struct proxy *none, *saved = proxy;
	assert_int_equal(proxy_mode_named("none"), PROXY_NONE);
	assert_int_equal(proxy_mode_named("iptables"), PROXY_IPTABLES);
	assert_true(proxy_mode_forwards(PROXY_IPTABLES));
	assert_false(proxy_mode_forwards(PROXY_NONE));
	assert_int_equal(proxy_start(base, &o, &ops, NULL, &none, NULL), 0);
	assert_false(proxy_forwards(none));
	proxy = none;
	set(1, false, "10.244.1.1");
	assert_true(proxy_is_applied(none, "shop/web-1", 4));
	assert_true(proxy_stats(none).in_sync);
	assert_true(proxy_stats(none).settled);
	assert_false(proxy_any_hindrance(none));
	assert_null(proxy_refusal(none, "shop/web-1", 4));
	proxy_remove(none, "shop/web-1");
	proxy_complete(none);
	cleanup(buf_fini) struct buf json = BUF_INIT;
	print_status(none, &json);
	assert_string_equal(buf_str(&json), "{\"mode\":\"none\"}");
	const size_t saves = n_saves();
	assert_int_equal(proxy_uninstall(none, NULL), 0);
	assert_int_equal(n_saves(), saves);
	assert_int_equal(count("n"), 0);
	proxy_free(none);
	proxy = saved;
}

static void options_are_checked(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct proxy *p;
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "nftables" };
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &p, &e), -22);
	assert_int_equal(e.blame, ERR_CONFIG);
	o = (struct proxy_options){ .mode = PROXY_IPTABLES, .variant = "nft", .mark = 3 };
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &p, &e), -22);
	o = (struct proxy_options){ .mode = PROXY_IPTABLES, .variant = "legacy" };
	setenv("PATH", dir, 1);
	assert_int_equal(proxy_start(base, &o, NULL, NULL, &p, &e), -2);
	assert_string_equal(e.msg, "iptables-legacy-restore is not installed");
}

/* Batches of @took_ms, each started as soon as it may be: how many end within @for_ms. */
static int batches_within(struct pace *p, int64_t *now, int64_t took_ms, int64_t for_ms)
{
	int n = 0;

	for (int64_t end = *now + for_ms; *now + took_ms <= end; n++)
		*now = pace_next_ms(p, *now + took_ms, took_ms);
	return n;
}

static void a_few_batches_follow_at_once_but_not_for_ever(void **state)
{
	(void)state;
	struct pace p = { 0 };
	int64_t now = 1000;
	/* The third step of one Service waits for nothing. */
	assert_int_equal(batches_within(&p, &now, 15, 45), 3);
	/* Then at most a third of the time is iptables', give or take what a rest gives back. */
	assert_in_range(batches_within(&p, &now, 15, 9000), 200, 230);
	assert_in_range(batches_within(&p, &now, 300, 90000), 100, 115);
	/* Gaps are neither too short nor too long. */
	struct pace spent = { .spent = PACE_CREDITS, .refill_ms = INT64_MAX };
	assert_int_equal(pace_next_ms(&spent, 0, 1), PACE_GAP_MIN_MS);
	assert_int_equal(pace_next_ms(&spent, 0, 60000), PACE_GAP_MAX_MS);
	/* After a rest all is as at the start. */
	now += 3600000;
	assert_int_equal(batches_within(&p, &now, 15, 45), 3);
}

/* ---- dumps ---- */

static void take_text(struct buf *text, void *arg)
{
	*(char **)arg = buf_take(text);
}

static char *dump_of(const struct dump_program *programs, size_t n)
{
	char *text = NULL;

	dump_start(base, programs, n, take_text, &text);
	assert_null(text);
	while (!text)
		event_base_loop(base, EVLOOP_ONCE);
	return text;
}

/* What a program says goes in, and what became of it; none keeps the next from its turn. */
static void a_dump_tells_all_and_goes_on(void **state)
{
	(void)state;
	static const struct dump_program programs[][DUMP_PROGRAMS_MAX] = {
		{ { { "sh", "-c", "echo :FL-X; echo broken >&2; exit 3" } },
		  { { "sh", "-c", "echo last" } } },
		{ { { "/nonexistent/save", "-c" } }, { { "sh" }, "the kernel has no IPv6" } },
		{ { { "sh", "-c", "kill -9 $$" } }, { { "sh", "-c", "echo last" } } },
	};
	static const char *const want[] = {
		"# sh -c echo :FL-X; echo broken >&2; exit 3\n:FL-X\n# sh: exit status 3\n"
		"# sh: broken\n# sh -c echo last\nlast\n",
		"# /nonexistent/save -c\n# /nonexistent/save: No such file or directory\n# sh\n"
		"# the kernel has no IPv6\n",
		"# sh -c kill -9 $$\n# sh: killed, or it took longer than 8000 ms\n"
		"# sh -c echo last\nlast\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		cleanup_free char *text = dump_of(programs[i], DUMP_PROGRAMS_MAX);
		assert_string_equal(text, want[i]);
	}
}

static void a_dump_is_cut_where_it_says(void **state)
{
	(void)state;
	static const struct dump_program much = {
		{ "sh", "-c", "head -c 17000000 /dev/zero | tr '\\0' x; echo" }
	};
	cleanup_free char *text = dump_of(&much, 1);
	const char *end = strstr(text, "\n# sh: cut here: a page has at most 16777216 bytes\n");

	assert_non_null(end);
	assert_int_equal(end - text, LIMIT_HTTP_DUMP_BYTES);
}

static void a_dump_that_is_given_up_says_nothing(void **state)
{
	(void)state;
	static const struct dump_program slow = { { "sh", "-c", "sleep 0.1; echo late" } };
	char *text = NULL;
	struct proxy_dump *d = dump_start(base, &slow, 1, take_text, &text);

	event_base_loop(base, EVLOOP_NONBLOCK);
	proxy_dump_cancel(d);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_written_before_all_is_known, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(while_another_is_at_work_nothing_is_written, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_burst_is_one_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dump_tells_all_and_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dump_is_cut_where_it_says, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dump_that_is_given_up_says_nothing, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(the_offending_line_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lock_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(a_killed_program_means_reading_again, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_program_that_always_fails_is_not_run_without_end,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_without_resources_may_have_one_to_blame,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_that_always_dies_is_not_run_without_end,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_that_lingers_stops_nobody, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(programs_get_no_files_of_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(comparisons_take_their_share_of_the_time, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(at_the_end_nothing_writes_any_more, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_lock_at_the_start_costs_no_family, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_family_may_come_later, setup, teardown),
		cmocka_unit_test_setup_teardown(what_ails_one_family_is_no_concern_of_the_other,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(leftovers_are_seen_in_either_table, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_cleanup_waits_for_the_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cleanup_tells_what_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(rules_of_another_variant_go_in_the_end, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(rules_of_another_mode_go_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(mode_none_does_nothing, setup, teardown),
		cmocka_unit_test(a_few_batches_follow_at_once_but_not_for_ever),
		cmocka_unit_test_setup_teardown(options_are_checked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
