/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings made by hand: what UPnP, NAT-PMP and PCP ask for. Each is an
 * endpoint-independent mapping whose filter lets everyone in.
 */
#include "netns/engine_own.h"

#include <errno.h>

/* There are tens of these, mostly with one lifetime: near the end it is. */
static void set_lifetime(struct engine *e, struct mapping *m,
			 uint32_t lifetime_s)
{
	struct queue *q = &e->queues[QUEUE_MANUAL];
	struct item *at, *item = &m->timer;

	engine_queue_remove(item);
	if (!lifetime_s)
		return;
	item->due_us = e->now_us + lifetime_s * ENGINE_SECOND_US;
	at = q->head.prev;
	while (at != &q->head && at->due_us > item->due_us)
		at = at->prev;
	item->prev = at;
	item->next = at->next;
	at->next->prev = item;
	at->next = item;
}

static bool same_endpoint(const struct key *a, const struct key *b)
{
	return a->ip == b->ip && a->port == b->port;
}

/* Sessions go on where the mapping is what it would become anyway. */
static bool is_what_is_asked(const struct engine *e, const struct mapping *m,
			     const struct key *inside)
{
	return same_endpoint(&m->inside.key, inside) &&
	       (m->manual || e->config.mapping == ENGINE_EI);
}

/*
 * Under which key packets from inside find the mapping. No flow has a peer's
 * port and no peer: so one is found by none.
 */
static void set_apart(const struct engine *e, struct key *inside,
		      const struct endpoint *outside)
{
	bool kept = e->config.mapping == ENGINE_EI &&
		    e->config.ports <= ENGINE_PORTS_PRESERVE_OR_RANDOM &&
		    outside->port == inside->port &&
		    !engine_table_find(&e->inside, inside);

	if (e->config.map_apart && !kept)
		inside->peer_port = 1;
}

int engine_map(struct engine *e, uint64_t now_us, int proto,
	       uint16_t external_port, uint32_t internal_ip,
	       uint16_t internal_port, uint32_t lifetime_s)
{
	struct key inside = {.ip = internal_ip,
			     .port = internal_port,
			     .proto = (uint8_t)proto};
	struct endpoint outside = {e->config.pool[0], external_port};
	struct mapping *m;

	if ((proto != PROTO_UDP && proto != PROTO_TCP) || !external_port ||
	    !internal_port || internal_ip == e->config.lan_ip ||
	    (internal_ip & e->config.lan_mask) != e->config.lan_net)
		return -EINVAL;
	engine_advance(e, now_us);
	m = engine_mapping_outside(e, inside.proto, outside);
	if (m && m->inside.key.ip != internal_ip)
		return -EEXIST;
	if (m && is_what_is_asked(e, m, &inside)) {
		engine_mapping_promote(e, m);
		set_lifetime(e, m, lifetime_s);
		return 0;
	}
	if (m)
		engine_mapping_end(e, m);
	if (!engine_make_room(e))
		return -ENOSPC;
	set_apart(e, &inside, &outside);
	m = engine_mapping_new(e, &inside, &outside);
	if (!m)
		return -ENOMEM;
	set_lifetime(e, m, lifetime_s);
	return 0;
}

static struct mapping *mapping_at(const struct engine *e, int proto,
				  uint16_t external_port)
{
	struct endpoint outside = {e->config.pool[0], external_port};

	if (proto != PROTO_UDP && proto != PROTO_TCP)
		return NULL;
	return engine_mapping_outside(e, (uint8_t)proto, outside);
}

int engine_unmap(struct engine *e, int proto, uint16_t external_port)
{
	struct mapping *m = mapping_at(e, proto, external_port);

	if (!m || !m->manual)
		return -ENOENT;
	engine_mapping_end(e, m);
	return 0;
}

int engine_unmap_softly(struct engine *e, int proto, uint16_t external_port)
{
	struct mapping *m = mapping_at(e, proto, external_port);

	if (!m || !m->manual)
		return -ENOENT;
	engine_mapping_demote(e, m);
	return 0;
}

void engine_evict_port(struct engine *e, int proto, uint16_t external_port)
{
	struct mapping *m = mapping_at(e, proto, external_port);

	if (m && !m->manual)
		engine_mapping_end(e, m);
}

void engine_flush(struct engine *e, bool all)
{
	engine_tcp_flush(e);
	engine_fragment_flush(e);
	for (size_t i = 0; i <= e->outside.mask; i++) {
		struct node *node = e->outside.buckets[i];

		while (node) {
			struct mapping *m =
				ENGINE_OF(node, struct mapping, outside);

			node = node->next;
			if (all || !m->manual)
				engine_mapping_end(e, m);
			else
				engine_mapping_forget(e, m);
		}
	}
}
