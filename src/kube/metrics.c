/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube.h"
#include "fairlead/metrics.h"

static void client_counter(struct metrics_writer *w, const char *name, const char *help, uint64_t v)
{
	metrics_family(w, name, METRICS_COUNTER, help);
	metrics_sample(w, (double)v, NULL);
}

void kube_metrics(struct metrics_writer *w, const struct kube_client *c,
                  const struct kube_metrics_informer *informers, size_t n_informers, int64_t now_ms)
{
	struct kube_client_stats st = kube_client_stats(c);

	client_counter(w, "fairlead_kube_requests_total", "Requests to the API server.",
	               st.requests);
	client_counter(w, "fairlead_kube_errors_total", "Requests that failed.", st.errors);
	client_counter(w, "fairlead_kube_retries_total", "Requests sent again.", st.retries);
	client_counter(w, "fairlead_kube_throttled_total", "Answers 429.", st.throttled);
	client_counter(w, "fairlead_kube_connects_total", "Connections opened.", st.connects);
	client_counter(w, "fairlead_kube_received_bytes_total", "Bytes received.",
	               st.bytes_received);

	client_counter(w, "fairlead_kube_events_lost_total",
	               "Events that found the queue full, or that the API server did not take.",
	               st.events_lost);
	metrics_family(w, "fairlead_kube_events_waiting", METRICS_GAUGE,
	               "Events that are not recorded yet.");
	metrics_sample(w, (double)st.events_waiting, NULL);

	metrics_family(w, "fairlead_kube_objects", METRICS_GAUGE, "Objects known, by kind.");
	for (size_t i = 0; i < n_informers; i++)
		metrics_sample(w, (double)informers[i].stats->objects, "kind", informers[i].what,
		               NULL);
	metrics_family(w, "fairlead_kube_lost_objects", METRICS_GAUGE,
	               "Objects that may be there and cannot be made out, by kind.");
	for (size_t i = 0; i < n_informers; i++)
		metrics_sample(w, (double)informers[i].stats->lost, "kind", informers[i].what,
		               NULL);
	metrics_family(w, "fairlead_kube_synced", METRICS_GAUGE,
	               "1 once the first complete list was read.");
	for (size_t i = 0; i < n_informers; i++)
		metrics_sample(w, informers[i].stats->synced, "kind", informers[i].what, NULL);
	metrics_family(w, "fairlead_kube_last_contact_seconds", METRICS_GAUGE,
	               "Time since the API server was last heard.");
	for (size_t i = 0; i < n_informers; i++)
		if (informers[i].stats->last_contact_ms)
			metrics_sample(w,
			               (double)(now_ms - informers[i].stats->last_contact_ms) / 1e3,
			               "kind", informers[i].what, NULL);

	static const struct {
		const char *name, *help;
		size_t offset;
	} counters[] = {
		{ "fairlead_kube_lists_total", "Lists begun.",
		  offsetof(struct kube_informer_stats, lists) },
		{ "fairlead_kube_watches_total", "Watches begun.",
		  offsetof(struct kube_informer_stats, watches) },
		{ "fairlead_kube_events_total", "Watch events.",
		  offsetof(struct kube_informer_stats, events) },
		{ "fairlead_kube_bookmarks_total", "Watch bookmarks.",
		  offsetof(struct kube_informer_stats, bookmarks) },
		{ "fairlead_kube_expired_total", "Resource versions that had expired (410).",
		  offsetof(struct kube_informer_stats, expired) },
		{ "fairlead_kube_malformed_total", "Objects that could not be read.",
		  offsetof(struct kube_informer_stats, malformed) },
	};
	for (size_t k = 0; k < sizeof(counters) / sizeof(counters[0]); k++) {
		metrics_family(w, counters[k].name, METRICS_COUNTER, counters[k].help);
		for (size_t i = 0; i < n_informers; i++) {
			const char *at = (const char *)informers[i].stats + counters[k].offset;
			metrics_sample(w, (double)*(const uint64_t *)(const void *)at, "kind",
			               informers[i].what, NULL);
		}
	}
}
