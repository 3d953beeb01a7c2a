/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings and sessions. A session is one inside endpoint with one remote
 * endpoint, and has the timer; a mapping is an external endpoint and serves
 * the sessions that the mapping behaviour lets share it.
 *
 * A packet looks for its session first. So the answer to what came in through
 * a mapping leaves by that mapping, also where a new session to that remote
 * would get another.
 */
#include "netns/engine_own.h"

#include <stdlib.h>

struct endpoint engine_mapping_inner(const struct mapping *m)
{
	return (struct endpoint){m->inside.key.ip, m->inside.key.port};
}

struct endpoint engine_mapping_outer(const struct mapping *m)
{
	return (struct endpoint){m->outside.key.ip, m->outside.key.port};
}

struct mapping *engine_mapping_outside(const struct engine *e, uint8_t proto,
				       struct endpoint outside)
{
	struct key key = {
		.ip = outside.ip, .port = outside.port, .proto = proto};
	struct node *node = engine_table_find(&e->outside, &key);

	return node ? ENGINE_OF(node, struct mapping, outside) : NULL;
}

static struct session *session_at(const struct engine *e,
				  const struct key *flow)
{
	struct node *node = engine_table_find(&e->sessions, flow);

	return node ? ENGINE_OF(node, struct session, node) : NULL;
}

static struct key flow_key(uint8_t proto, struct endpoint inside,
			   struct endpoint remote)
{
	return (struct key){.ip = inside.ip,
			    .port = inside.port,
			    .peer_ip = remote.ip,
			    .peer_port = remote.port,
			    .proto = proto};
}

struct session *engine_session_find(const struct engine *e, uint8_t proto,
				    struct endpoint inside,
				    struct endpoint remote)
{
	struct key flow = flow_key(proto, inside, remote);

	return session_at(e, &flow);
}

static struct peer *peer_find(const struct engine *e, const struct mapping *m,
			      uint32_t remote_ip)
{
	struct key key = m->outside.key;
	struct node *node;

	key.peer_ip = remote_ip;
	node = engine_table_find(&e->peers, &key);
	return node ? ENGINE_OF(node, struct peer, node) : NULL;
}

static struct peer *peer_get(struct engine *e, const struct mapping *m,
			     uint32_t remote_ip)
{
	struct peer *peer = peer_find(e, m, remote_ip);
	struct key key = m->outside.key;

	if (!peer) {
		peer = calloc(1, sizeof(*peer));
		if (!peer)
			return NULL;
		key.peer_ip = remote_ip;
		engine_table_add(&e->peers, &peer->node, &key);
	}
	peer->sessions++;
	return peer;
}

static void peer_put(struct engine *e, struct peer *peer)
{
	if (!peer || --peer->sessions)
		return;
	engine_table_remove(&e->peers, &peer->node);
	free(peer);
}

/* Leaves the mapping be, even where this was its last one. */
static void session_free(struct engine *e, struct session *s)
{
	struct mapping *m = s->mapping;

	if (s->prev)
		s->prev->next = s->next;
	else
		m->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	if (s->holds) {
		m->holders--;
		if (s->peer)
			s->peer->holders--;
	}
	peer_put(e, s->peer);
	engine_queue_remove(&s->timer);
	engine_table_remove(&e->sessions, &s->node);
	e->stats.sessions--;
	free(s);
}

void engine_mapping_forget(struct engine *e, struct mapping *m)
{
	while (m->sessions)
		session_free(e, m->sessions);
}

void engine_mapping_end(struct engine *e, struct mapping *m)
{
	engine_mapping_forget(e, m);
	engine_queue_remove(&m->timer);
	engine_table_remove(&e->inside, &m->inside);
	engine_table_remove(&e->outside, &m->outside);
	engine_ports_give(e, m->outside.key.proto, m->pool,
			  m->outside.key.port);
	engine_host_put(e, m->host);
	if (m->manual)
		e->manual_mappings--;
	e->stats.mappings--;
	e->stats.mappings_ended++;
	free(m);
}

static void session_end(struct engine *e, struct session *s)
{
	struct mapping *m = s->mapping;

	session_free(e, s);
	if (!m->holders && !m->manual && !e->config.absolute_lifetime)
		engine_mapping_end(e, m);
}

void engine_map_expire(struct engine *e, enum engine_queue queue,
		       struct item *item)
{
	if (queue >= QUEUE_MAPPING_UDP && queue <= QUEUE_MANUAL)
		engine_mapping_end(e, ENGINE_OF(item, struct mapping, timer));
	else
		session_end(e, ENGINE_OF(item, struct session, timer));
}

/* The queue's head, where it has been idle for longer than BEST. */
static struct item *idler(struct engine *e, enum engine_queue queue,
			  uint64_t *since_us)
{
	struct item *item = engine_queue_first(&e->queues[queue]);
	uint64_t item_us;

	if (!item)
		return NULL;
	item_us = item->due_us - e->queues[queue].period_us;
	if (item_us >= *since_us)
		return NULL;
	*since_us = item_us;
	return item;
}

/* Ends what has been idle for longest, as engine.h says at max_mappings. */
static bool evict(struct engine *e)
{
	static const enum engine_queue from[] = {
		QUEUE_UDP,	   QUEUE_TCP_TRANSITORY, QUEUE_ICMP,
		QUEUE_MAPPING_UDP, QUEUE_MAPPING_TCP,	 QUEUE_MAPPING_ICMP};
	uint64_t since_us = UINT64_MAX;
	enum engine_queue queue = QUEUE_STRANGERS;
	struct item *item, *older;

	/* Nobody inside asked for these: they go first, however fresh. */
	item = engine_queue_first(&e->queues[QUEUE_STRANGERS]);
	if (item)
		goto out;
	for (size_t i = 0; i < sizeof(from) / sizeof(*from); i++) {
		older = idler(e, from[i], &since_us);
		if (older) {
			item = older;
			queue = from[i];
		}
	}
out:
	if (item)
		engine_map_expire(e, queue, item);
	return item;
}

bool engine_make_room(struct engine *e)
{
	while (e->stats.mappings >= e->config.max_mappings)
		if (!evict(e))
			return false;
	return true;
}

static struct queue *lifetime_queue(struct engine *e, uint8_t proto)
{
	switch (proto) {
	case PROTO_UDP:
		return &e->queues[QUEUE_MAPPING_UDP];
	case PROTO_TCP:
		return &e->queues[QUEUE_MAPPING_TCP];
	default:
		return &e->queues[QUEUE_MAPPING_ICMP];
	}
}

/* WANTED NULL: as the configuration says; else this one or none. */
static bool take_outside(struct engine *e, struct mapping *m, uint8_t proto,
			 uint16_t port, const struct endpoint *wanted,
			 struct key *outside)
{
	unsigned pool = 0;

	if (wanted) {
		port = wanted->port;
		if (!engine_ports_take_one(e, proto, 0, port))
			return false;
	} else if (!engine_ports_take(e, proto, m->host, port, &pool, &port)) {
		return false;
	}
	m->pool = (uint8_t)pool;
	*outside = (struct key){
		.ip = e->config.pool[pool], .port = port, .proto = proto};
	return true;
}

struct mapping *engine_mapping_new(struct engine *e, const struct key *inside,
				   const struct endpoint *wanted)
{
	struct mapping *m = calloc(1, sizeof(*m));
	struct key outside;

	if (!m)
		return NULL;
	m->manual = wanted != NULL;
	/* By hand, a host needs no block of its own. */
	if (!m->manual)
		m->host = engine_host_get(e, inside->ip);
	if ((!m->manual && !m->host) ||
	    !take_outside(e, m, inside->proto, inside->port, wanted,
			  &outside)) {
		engine_host_put(e, m->host);
		free(m);
		return NULL;
	}
	engine_table_add(&e->inside, &m->inside, inside);
	engine_table_add(&e->outside, &m->outside, &outside);
	if (m->manual)
		e->manual_mappings++;
	else if (e->config.absolute_lifetime)
		engine_queue_push(lifetime_queue(e, inside->proto), &m->timer,
				  e->now_us);
	e->stats.mappings++;
	e->stats.mappings_made++;
	return m;
}

/* What of the flow a mapping depends on. */
static struct key mapping_key(const struct engine *e, const struct key *flow)
{
	struct key key = *flow;

	if (e->config.mapping == ENGINE_EI)
		key.peer_ip = 0;
	if (e->config.mapping != ENGINE_APD)
		key.peer_port = 0;
	return key;
}

static struct mapping *mapping_for(struct engine *e, const struct key *flow)
{
	struct key key = *flow;
	struct node *node = NULL;

	key.peer_ip = 0;
	key.peer_port = 0;
	if (e->manual_mappings && e->config.map_outbound)
		node = engine_table_find(&e->inside, &key);
	if (!node) {
		key = mapping_key(e, flow);
		node = engine_table_find(&e->inside, &key);
	}
	if (node)
		return ENGINE_OF(node, struct mapping, inside);
	return engine_make_room(e) ? engine_mapping_new(e, &key, NULL) : NULL;
}

static struct session *session_new(struct engine *e, struct mapping *m,
				   const struct key *flow)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->mapping = m;
	s->born_us = e->now_us;
	if (e->config.filtering == ENGINE_AD) {
		s->peer = peer_get(e, m, flow->peer_ip);
		if (!s->peer) {
			free(s);
			return NULL;
		}
	}
	s->next = m->sessions;
	if (s->next)
		s->next->prev = s;
	m->sessions = s;
	engine_table_add(&e->sessions, &s->node, flow);
	e->stats.sessions++;
	return s;
}

struct session *engine_session_out(struct engine *e, uint8_t proto,
				   struct endpoint inside,
				   struct endpoint remote)
{
	struct key flow = flow_key(proto, inside, remote);
	struct mapping *m;
	struct session *s;

	/* First: what makes room may end the very mapping that is found. */
	while (e->stats.sessions >= e->config.max_sessions)
		if (!evict(e))
			return NULL;
	m = mapping_for(e, &flow);
	if (!m)
		return NULL;
	s = session_new(e, m, &flow);
	if (!s && !m->sessions && !m->manual)
		engine_mapping_end(e, m);
	return s;
}

struct session *engine_session_in(struct engine *e, struct mapping *m,
				  struct endpoint remote)
{
	struct key flow =
		flow_key(m->inside.key.proto, engine_mapping_inner(m), remote);

	if (e->stats.sessions >= e->config.max_sessions)
		return NULL;
	return session_new(e, m, &flow);
}

/* Answered, and as old as a flow must be for the longer timeout. */
static bool is_stream(const struct engine *e, const struct session *s)
{
	return s->seen == SEEN_BOTH &&
	       e->now_us - s->born_us >=
		       (uint64_t)e->config.udp_stream_after_s * 1000000;
}

static struct queue *session_queue(struct engine *e, const struct session *s)
{
	switch (s->node.key.proto) {
	case PROTO_UDP:
		if (!s->holds)
			return &e->queues[QUEUE_STRANGERS];
		return &e->queues[is_stream(e, s) ? QUEUE_UDP_STREAM
						  : QUEUE_UDP];
	case PROTO_TCP:
		return &e->queues[engine_tcp_established(s)
					  ? QUEUE_TCP
					  : QUEUE_TCP_TRANSITORY];
	default:
		return &e->queues[QUEUE_ICMP];
	}
}

/* An absolute lifetime is the mapping's, and one by hand has another. */
static bool has_timer(const struct engine *e, const struct session *s)
{
	return !e->config.absolute_lifetime || s->mapping->manual;
}

void engine_session_pass(struct engine *e, struct session *s, bool out,
			 uint8_t tcp_flags)
{
	bool tcp = s->node.key.proto == PROTO_TCP;
	bool counts;

	if (tcp)
		engine_tcp_seen(s, out, tcp_flags);
	else
		s->seen |= out ? SEEN_OUT : SEEN_IN;
	counts =
		out || e->config.refresh_inbound || (tcp && s->seen & SEEN_OUT);
	if (counts && !s->holds) {
		s->holds = true;
		s->mapping->holders++;
		if (s->peer)
			s->peer->holders++;
	}
	if ((counts || !s->holds) && has_timer(e, s))
		engine_queue_push(session_queue(e, s), &s->timer, e->now_us);
}

bool engine_admits(const struct engine *e, const struct mapping *m,
		   const struct session *s, uint32_t remote_ip)
{
	const struct peer *peer;

	if (m->manual || e->config.filtering == ENGINE_EI)
		return true;
	if (s && s->holds)
		return true;
	if (e->config.filtering == ENGINE_APD)
		return false;
	peer = peer_find(e, m, remote_ip);
	return peer && peer->holders;
}

void engine_mapping_promote(struct engine *e, struct mapping *m)
{
	if (m->manual)
		return;
	engine_queue_remove(&m->timer);
	m->manual = true;
	e->manual_mappings++;
	for (struct session *s = m->sessions; s; s = s->next)
		if (!s->timer.next)
			engine_queue_push(session_queue(e, s), &s->timer,
					  e->now_us);
}

void engine_mapping_demote(struct engine *e, struct mapping *m)
{
	if (!m->holders) {
		engine_mapping_end(e, m);
		return;
	}
	engine_queue_remove(&m->timer);
	m->manual = false;
	e->manual_mappings--;
	if (e->config.absolute_lifetime)
		engine_queue_push(lifetime_queue(e, m->inside.key.proto),
				  &m->timer, e->now_us);
}
