/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sysctls that are switched on for as long as they are needed: first one, by files that stand in
 * for it, then those of IPVS, in a folder of the test's own that covers the kernel's.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/settings.h"
#include "proxy/owned.h"

#define COVERED "/proc/sys/net/ipv4"
#define FOLDER COVERED "/vs"

static char path[] = "/tmp/fairlead-owned-XXXXXX";

static void put_to(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), (int)strlen(value));
	close(fd);
}

static char value_of(const char *file)
{
	char c = 0;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	return c;
}

/* ---- one ---- */

static void who_switched_it_on_keeps_it(void **state)
{
	static const struct {
		const char *before;
		char while_taken, after;
	} cases[] = { { "0\n", '2', '0' }, { "1\n", '1', '1' }, { "2\n", '2', '0' } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put_to(path, cases[i].before);
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(owned_take(path), 0);
			assert_int_equal(value_of(path), cases[i].while_taken);
		}
		assert_int_equal(owned_is_ours(path), cases[i].while_taken == '2');
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(owned_give_back(path), 0);
			assert_int_equal(value_of(path), cases[i].after);
		}
		assert_false(owned_is_ours(path));
	}
}

static void it_is_off_for_a_moment(void **state)
{
	static const char *const values[] = { "1\n", "2\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		put_to(path, values[i]);
		int was = owned_suspend(path);
		assert_int_equal(value_of(path), '0');
		owned_resume(path, was);
		assert_int_equal(value_of(path), values[i][0]);
	}
	/* What is off stays so. */
	put_to(path, "0\n");
	int was = owned_suspend(path);
	assert_int_equal(was, -EALREADY);
	owned_resume(path, was);
	assert_int_equal(value_of(path), '0');
}

static void one_that_is_not_there_is_an_error(void **state)
{
	static const char nowhere[] = "/nonexistent/sysctl";

	(void)state;
	assert_int_equal(owned_take(nowhere), -ENOENT);
	assert_int_equal(owned_suspend(nowhere), -ENOENT);
	assert_false(owned_is_ours(nowhere));
	assert_int_equal(owned_give_back(nowhere), 0);
	put_to(path, "");
	assert_int_equal(owned_take(path), -EIO);
}

/* ---- those of IPVS ---- */

static const char *const names[] = { "conntrack", "expire_nodest_conn", "expire_quiescent_template",
	                             "sloppy_tcp", "sloppy_sctp" };

static const char *file_of(const char *name)
{
	static char out[64];

	snprintf(out, sizeof(out), FOLDER "/%s", name);
	return out;
}

static void set_all(const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		put_to(file_of(names[i]), value);
}

static void all_of_ipvs_are_taken_and_given_back(void **state)
{
	(void)state;
	set_all("0\n");
	put_to(file_of("sloppy_tcp"), "1\n");
	put_to(file_of("sync_ports"), "1\n");
	assert_false(settings_any());
	assert_int_equal(settings_open(NULL), 0);
	assert_true(settings_any());
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(value_of(file_of(names[i])),
		                 strcmp(names[i], "sloppy_tcp") != 0 ? '2' : '1');
	int was = settings_suspend_expiry();
	assert_int_equal(value_of(file_of("expire_nodest_conn")), '0');
	settings_resume_expiry(was);
	assert_int_equal(value_of(file_of("expire_nodest_conn")), '2');
	assert_int_equal(settings_close(NULL), 0);
	assert_false(settings_any());
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(value_of(file_of(names[i])),
		                 strcmp(names[i], "sloppy_tcp") != 0 ? '0' : '1');
}

static void one_of_ipvs_that_is_missing_is_named(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	set_all("0\n");
	assert_int_equal(unlink(file_of("sloppy_sctp")), 0);
	assert_int_equal(settings_open(&e), -ENOENT);
	assert_non_null(strstr(e.msg, "net.ipv4.vs.sloppy_sctp"));
	/* What was taken before is given back all the same. */
	assert_true(settings_any());
	assert_int_equal(settings_close(NULL), 0);
	assert_false(settings_any());
}

/* Without the right to it, those that need it are left out. */
static bool cover_the_kernels(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", COVERED, "tmpfs", 0, NULL) == 0 && mkdir(FOLDER, 0755) == 0;
}

int main(void)
{
	const struct CMUnitTest one[] = {
		cmocka_unit_test(who_switched_it_on_keeps_it),
		cmocka_unit_test(it_is_off_for_a_moment),
		cmocka_unit_test(one_that_is_not_there_is_an_error),
	};
	const struct CMUnitTest all[] = {
		cmocka_unit_test(who_switched_it_on_keeps_it),
		cmocka_unit_test(it_is_off_for_a_moment),
		cmocka_unit_test(one_that_is_not_there_is_an_error),
		cmocka_unit_test(all_of_ipvs_are_taken_and_given_back),
		cmocka_unit_test(one_of_ipvs_that_is_missing_is_named),
	};
	int fd = mkstemp(path);

	close(fd);
	int r = cover_the_kernels() ? cmocka_run_group_tests(all, NULL, NULL)
	                            : cmocka_run_group_tests(one, NULL, NULL);
	unlink(path);
	return r;
}
