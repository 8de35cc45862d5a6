/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/schedulers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void schedulers_init(struct schedulers *s)
{
	s->list[schedulers_hold(s, VIRTUAL_SCHEDULER_DEFAULT)].knowledge = SCHEDULER_THERE;
}

static uint8_t find(const struct schedulers *s, const char *name)
{
	for (uint8_t i = 0; i < VIRTUAL_SCHEDULERS_MAX; i++)
		if (s->list[i].n_users > 0 && !strcmp(s->list[i].name, name))
			return i;
	return SCHEDULERS_NONE;
}

static uint8_t make(struct schedulers *s, const char *name)
{
	for (uint8_t i = 0; i < VIRTUAL_SCHEDULERS_MAX; i++) {
		if (s->list[i].n_users > 0)
			continue;
		s->list[i] = (struct scheduler){ .n_users = 0 };
		snprintf(s->list[i].name, sizeof(s->list[i].name), "%s", name);
		return i;
	}
	return SCHEDULERS_NONE;
}

uint8_t schedulers_hold(struct schedulers *s, const char *name)
{
	const char *wanted = *name ? name : VIRTUAL_SCHEDULER_DEFAULT;
	uint8_t i = find(s, wanted);

	if (i == SCHEDULERS_NONE)
		i = make(s, wanted);
	if (i != SCHEDULERS_NONE)
		s->list[i].n_users++;
	return i;
}

void schedulers_drop(struct schedulers *s, uint8_t number)
{
	if (number != SCHEDULERS_NONE)
		s->list[number].n_users--;
}

bool schedulers_is_substituted(const struct schedulers *s, uint8_t number)
{
	return number == SCHEDULERS_NONE || s->list[number].knowledge == SCHEDULER_MISSING;
}

bool schedulers_lack(const struct schedulers *s)
{
	bool full = true;

	for (size_t i = 0; i < VIRTUAL_SCHEDULERS_MAX; i++) {
		if (s->list[i].n_users > 0 && s->list[i].knowledge == SCHEDULER_MISSING)
			return true;
		full = full && s->list[i].n_users > 0;
	}
	return full;
}

const char *schedulers_effective(const struct schedulers *s, uint8_t number)
{
	return s->list[schedulers_is_substituted(s, number) ? SCHEDULERS_DEFAULT : number].name;
}

const char *schedulers_unknown(const struct schedulers *s)
{
	for (size_t i = 0; i < VIRTUAL_SCHEDULERS_MAX; i++)
		if (s->list[i].n_users > 0 && s->list[i].knowledge == SCHEDULER_UNKNOWN)
			return s->list[i].name;
	return NULL;
}

uint8_t schedulers_know(struct schedulers *s, const char *name, int error, int64_t now_ms)
{
	uint8_t i = find(s, name);

	if (i != SCHEDULERS_NONE) {
		s->list[i].knowledge = error == 0 ? SCHEDULER_THERE : SCHEDULER_MISSING;
		s->list[i].retry_ms =
			now_ms + (error == -ENOENT ? SCHEDULERS_RETRY_MS : SCHEDULERS_SOON_MS);
	}
	return i;
}

void schedulers_doubt(struct schedulers *s, uint8_t number)
{
	if (number != SCHEDULERS_NONE && number != SCHEDULERS_DEFAULT)
		s->list[number].knowledge = SCHEDULER_UNKNOWN;
}

int64_t schedulers_wake(struct schedulers *s, int64_t now_ms)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < VIRTUAL_SCHEDULERS_MAX; i++) {
		struct scheduler *one = &s->list[i];
		if (one->n_users == 0 || one->knowledge != SCHEDULER_MISSING)
			continue;
		if (one->retry_ms <= now_ms)
			one->knowledge = SCHEDULER_UNKNOWN;
		else if (one->retry_ms < due)
			due = one->retry_ms;
	}
	return due;
}
