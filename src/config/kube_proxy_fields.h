/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONFIG_KUBE_PROXY_FIELDS_H
#define FAIRLEAD_CONFIG_KUBE_PROXY_FIELDS_H

/*
 * Between the file (kube_proxy_file.c), the tables of kube-proxy's fields (kube_proxy_fields.c) and
 * what is made of them (kube_proxy.c).
 */

#include "config/schema.h"
#include "fairlead/kube_proxy.h"

/* A value that somebody wrote; it points into the document. */
struct proxy_field {
	const struct ynode *node; /* NULL: it is not set, or to nothing */
	bool yes;                 /* of those that are true or false */
};

/* The fields that decide about something here. */
struct proxy_fields {
	struct config_problems *remarks;
	struct proxy_field mode, bind_address, healthz_bind_address, kubeconfig;
	struct proxy_field cluster_cidr, local_mode, bridge, prefix;
	struct proxy_field node_port_addresses; /* a list */
	struct proxy_field iptables_masquerade_all, nftables_masquerade_all, localhost_node_ports;
	struct proxy_field max_per_core, tcp_established, tcp_close_wait;
};

/* Reads the document; what is in none of its fields is reported by @x, or in @f->remarks. */
void proxy_fields_read(struct schema_ctx *x, const struct ynode *root, struct proxy_fields *f);
/* Its text, "" where it is not set. */
const char *proxy_field_text(const struct proxy_field *f);
/* Something that needs no equivalent. */
void proxy_fields_remark(struct schema_ctx *x, struct config_problems *remarks, unsigned int line,
                         const char *text);

/*
 * Makes values of the document @root, or reports errors.  @kubeconfig: the text beside it, NULL for
 * none.
 */
void kube_proxy_make(const struct ynode *root, const struct ynode *kubeconfig,
                     struct kube_proxy *ret);
#define KUBE_PROXY_PROGRAM "kube-proxy"

/* Words of kube-proxy's command line. */
struct kube_proxy_word {
	char *text;
	unsigned int line;
};

struct kube_proxy_words {
	struct kube_proxy_word *list;
	size_t n, cap;
};

/* Cuts @text at its spaces. */
void kube_proxy_words_add(struct kube_proxy_words *w, const char *text, unsigned int line);
void kube_proxy_words_fini(struct kube_proxy_words *w);
/*
 * Those behind the program; *ret_named: it is among them, else all of them count.  They are read as
 * a shell reads them: redirections, and what is another command's, are dropped from @w.
 */
const struct kube_proxy_word *kube_proxy_words_flags(struct kube_proxy_words *w, size_t *ret_n,
                                                     bool *ret_named);
/* Makes values of these flags, or reports errors. */
void kube_proxy_make_of_flags(const struct kube_proxy_word *words, size_t n,
                              struct kube_proxy *ret);
/* NULL: @map is no map, or has no such key. */
const struct ynode *kube_proxy_member(const struct ynode *map, const char *key);

#endif
