/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <malloc.h>
#include <stdio.h>

#include "fairlead/mem.h"
#include "kube/store.h"

#define UUID "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"

/* A UID is what the API server says it is, and none is taken for another. */
static void uids_stay_as_they_came(void **state)
{
	static const char *const uids[] = {
		UUID,
		"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4e",
		"00000000-0000-0000-0000-000000000000",
		"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D",
		"0a1b2c3d4e5f4a6b8c7d9e0f1a2b3c4d",
		"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4",
		"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d0",
		"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4g",
		"0a1b2c3d-4e5f-4a6b-8c7d09e0f1a2b3c4d",
		"u1",
		"",
	};
	struct store s;

	(void)state;
	store_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(uids); i++) {
		struct store_entry *e = store_add(&s, "shop", "web", uids[i]);
		cleanup_free char *uid = store_uid(e);
		assert_string_equal(uid, uids[i]);
		for (size_t k = 0; k < ARRAY_LEN(uids); k++)
			assert_int_equal(store_has_uid(e, uids[k]), i == k);
		assert_ptr_equal(store_find(&s, "shop", "web"), e);
		assert_null(store_find(&s, "shop", "we"));
		store_remove(&s, e);
	}
	store_fini(&s);
}

/* There is one for each object that is watched. */
static void an_object_takes_little_memory(void **state)
{
	enum { N = 10000, BYTES_MAX = 100 };
	struct store s;
	size_t bytes = mallinfo2().uordblks;

	(void)state;
	store_init(&s);
	for (int i = 0; i < N; i++) {
		char name[16];
		snprintf(name, sizeof(name), "web-%06d", i);
		store_add(&s, "default", name, UUID);
	}
	assert_in_range((mallinfo2().uordblks - bytes) / N, 0, BYTES_MAX);
	store_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uids_stay_as_they_came),
		cmocka_unit_test(an_object_takes_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
