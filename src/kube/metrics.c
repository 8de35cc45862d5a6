/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"

static const struct metrics_stat client_rows[] = {
#define CLIENT_STAT(member, name, type, help) METRICS_STAT(struct kube_client_stats, member, name),
#include "fairlead/metrics.def"
};

static const struct metrics_stat informer_rows[] = {
#define INFORMER_STAT(member, name, type, help) \
	METRICS_STAT(struct kube_informer_stats, member, name),
#include "fairlead/metrics.def"
};

void kube_metrics(struct metrics_writer *w, const struct kube_client *c,
                  const struct kube_metrics_informer *informers, size_t n_informers, int64_t now_ms)
{
	const struct kube_client_stats st = kube_client_stats(c);

	metrics_stats(w, client_rows, ARRAY_LEN(client_rows), &st);
	metrics_family(w, METRIC_fairlead_kube_synced);
	for (size_t i = 0; i < n_informers; i++)
		metrics_sample(w, informers[i].stats->synced, "kind", informers[i].what, NULL);
	metrics_family(w, METRIC_fairlead_kube_last_contact_seconds);
	for (size_t i = 0; i < n_informers; i++)
		if (informers[i].stats->last_contact_ms)
			metrics_sample(w,
			               (double)(now_ms - informers[i].stats->last_contact_ms) / 1e3,
			               "kind", informers[i].what, NULL);
	for (size_t k = 0; k < ARRAY_LEN(informer_rows); k++) {
		metrics_family(w, informer_rows[k].family);
		for (size_t i = 0; i < n_informers; i++)
			metrics_sample(
				w, (double)metrics_stat_of(&informer_rows[k], informers[i].stats),
				"kind", informers[i].what, NULL);
	}
}
