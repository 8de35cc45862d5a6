/* SPDX-License-Identifier: Apache-2.0 */
/* The patches that bring an object to what was decided. */
#include "config.h"

#include <inttypes.h>

#include "fairlead/clock.h"
#include "fairlead/record.h"
#include "fairlead/tenancy.h"

static void put_ports(const struct tenancy *t, struct buf *out)
{
	buf_puts(out, ",\"ports\":[");
	for (size_t i = 0; i < t->n_ports; i++)
		buf_printf(out, "%s{\"port\":%u,\"protocol\":\"%s\"}", i ? "," : "",
		           t->ports[i].port, kube_proto_name(t->ports[i].proto));
	buf_putc(out, ']');
}

static void put_ingress(const struct record_part *p, struct buf *out)
{
	buf_puts(out, "\"loadBalancer\":{\"ingress\":");
	if (p->n_want == 0)
		buf_puts(out, "null");
	for (size_t i = 0; i < p->n_want; i++) {
		buf_printf(out, "%s{\"ip\":\"%s\",\"ipMode\":\"VIP\"", i ? "," : "[",
		           addr_str(&p->want[i]));
		if (record_shares(p))
			put_ports(p->request.tenancy, out);
		buf_putc(out, '}');
	}
	buf_puts(out, p->n_want ? "]}" : "}");
}

static void put_condition(const struct record *r, const struct record_part *p, const char *type,
                          int64_t wall_us, struct buf *out)
{
	char time[CLOCK_RFC3339_SIZE];
	bool is_true = record_is_assigned(p);
	bool turns = !p->condition.present || p->condition.is_true != is_true ||
	             p->condition.transition_us == 0;

	buf_printf(out, "{\"type\":\"%s\",\"status\":\"%s\"", type, is_true ? "True" : "False");
	if (r->generation > 0)
		buf_printf(out, ",\"observedGeneration\":%" PRId64, r->generation);
	buf_printf(out, ",\"lastTransitionTime\":\"%s\",\"reason\":\"%s\",\"message\":",
	           clock_rfc3339(turns ? wall_us : p->condition.transition_us, time),
	           reason_name(p->reason));
	buf_json_str(out, p->message);
	buf_putc(out, '}');
}

static void put_status(const struct record *r, struct record_write w, int64_t wall_us,
                       struct buf *out)
{
	if (w.ingress)
		put_ingress(&r->lb, out);
	if (w.ingress && (w.condition || w.external_condition))
		buf_putc(out, ',');
	if (!w.condition && !w.external_condition)
		return;
	buf_puts(out, "\"conditions\":[");
	if (w.condition)
		put_condition(r, &r->lb, IPAM_CONDITION, wall_us, out);
	if (w.condition && w.external_condition)
		buf_putc(out, ',');
	if (w.external_condition)
		put_condition(r, r->external, IPAM_CONDITION_EXTERNAL, wall_us, out);
	buf_putc(out, ']');
}

static void put_list(const struct addr *addrs, size_t n, const char *quote, const char *comma,
                     struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s%s%s", i ? "," : comma, quote, addr_str(&addrs[i]), quote);
}

/*
 * The list is one value: addresses written by hand, which are present only on release, are written
 * unchanged.
 */
static void put_spec(const struct record_part *p, struct buf *out)
{
	const struct ipam_request *q = &p->request;

	buf_puts(out, ",\"annotations\":{\"" KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED "\":");
	buf_puts(out, p->n_want ? "\"" : "null");
	put_list(p->want, p->n_want, "", "", out);
	buf_puts(out,
	         p->n_want ? "\"}},\"spec\":{\"externalIPs\":" : "}},\"spec\":{\"externalIPs\":");
	if (q->n_written + p->n_want == 0) {
		buf_puts(out, "null}}");
		return;
	}
	buf_putc(out, '[');
	put_list(q->written, q->n_written, "\"", "", out);
	put_list(p->want, p->n_want, "\"", q->n_written ? "," : "", out);
	buf_puts(out, "]}}");
}

void record_patch(const struct record *r, struct record_write w, int64_t wall_us, struct buf *out)
{
	buf_puts(out, "{\"metadata\":{\"resourceVersion\":");
	buf_json_str(out, r->version);
	if (w.external_ips) {
		put_spec(r->external, out);
		return;
	}
	buf_puts(out, "},\"status\":{");
	put_status(r, w, wall_us, out);
	buf_puts(out, "}}");
}
