/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of a packet: see engine_input, then outbound and inbound.
 */
#include "netns/engine_own.h"

#include "wire/bytes.h"

/* splitmix64: small, and good enough to choose ports with. */
uint64_t engine_random(struct engine *e)
{
	uint64_t v = e->random += UINT64_C(0x9e3779b97f4a7c15);

	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

void engine_send(struct engine *e, enum engine_side to, size_t size_bytes)
{
	if (e->mtu_bytes[to] && size_bytes > e->mtu_bytes[to]) {
		engine_fragment_cut(e, to, size_bytes);
		return;
	}
	e->stats.emitted++;
	e->emit(e->emit_arg, to, e->out, size_bytes);
}

bool engine_too_big(const struct engine *e, const struct datagram *d,
		    enum engine_side to)
{
	enum { DONT_FRAGMENT = 0x4000 };

	return e->mtu_bytes[to] && d->size_bytes > e->mtu_bytes[to] &&
	       bytes_get16(d->data + 6) & DONT_FRAGMENT;
}

void engine_set_mtu(struct engine *e, enum engine_side side, size_t bytes)
{
	enum { LEAST_BYTES = 68 }; /* RFC 791: what every link must take */

	e->mtu_bytes[side] = bytes && bytes < LEAST_BYTES ? LEAST_BYTES : bytes;
	if (bytes > UINT16_MAX)
		e->mtu_bytes[side] = 0;
}

bool engine_is_pool(const struct engine *e, uint32_t ip)
{
	for (unsigned i = 0; i < e->config.pool_count; i++)
		if (e->config.pool[i] == ip)
			return true;
	return false;
}

static bool is_inside(const struct engine *e, uint32_t ip)
{
	return (ip & e->config.lan_mask) == e->config.lan_net;
}

/* For nobody in particular: multicast, limited or directed broadcast. */
static bool is_for_many(const struct engine *e, uint32_t ip)
{
	uint32_t hosts = ~e->config.lan_mask;

	/* A /31 or /32 has no broadcast address (RFC 3021). */
	return ip >> 28 == 14 || ip == UINT32_MAX ||
	       (is_inside(e, ip) && hosts > 1 && (ip & hosts) == hosts);
}

/* One host's address, and not one that means "this host". */
static bool is_unicast(uint32_t ip)
{
	return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 < 14;
}

/* A packet that nobody asked for, or that the router itself must answer. */
static enum engine_verdict stray(struct engine *e, const struct datagram *d)
{
	if (e->config.stray == ENGINE_STRAY_ACCEPT)
		return ENGINE_TO_HOST;
	if (e->config.stray == ENGINE_STRAY_DROP)
		return ENGINE_DROPPED;
	if (d->proto == PROTO_TCP)
		return engine_tcp_reject(e, d);
	if (d->kind == DATAGRAM_REPLY)
		return ENGINE_DROPPED;
	return engine_icmp_send(e, d, ICMP_UNREACHABLE,
				d->kind == DATAGRAM_OTHER ? ICMP_CODE_PROTOCOL
							  : ICMP_CODE_PORT,
				d->dst.ip);
}

/*
 * Through the mapping M to the inside, from REMOTE, which is D's source unless
 * D comes from inside itself. e->out holds the packet where HAIRPIN.
 */
static enum engine_verdict enter(struct engine *e, const struct datagram *d,
				 struct mapping *m, struct endpoint remote,
				 bool hairpin)
{
	struct endpoint inner = engine_mapping_inner(m);
	struct session *s, *own;

	s = engine_session_find(e, d->proto, inner, remote);
	/* Another mapping's session: it keeps the answers. */
	own = s && s->mapping == m ? s : NULL;
	if (!(hairpin && e->config.hairpin_unfiltered) &&
	    !engine_admits(e, m, own, remote.ip))
		return stray(e, d);
	if (d->proto == PROTO_TCP && !s &&
	    !engine_tcp_opens(false, d->tcp_flags))
		return stray(e, d);
	if (!hairpin && d->ttl <= 1)
		return engine_icmp_send(e, d, ICMP_TIME_EXCEEDED, 0, d->dst.ip);
	if (!hairpin && engine_too_big(e, d, ENGINE_LAN))
		return engine_icmp_too_big(e, d, ENGINE_LAN, d->dst.ip);
	if (!s)
		s = own = engine_session_in(e, m, remote);
	if (!s && d->proto == PROTO_TCP)
		return ENGINE_DROPPED;
	if (own)
		engine_session_pass(e, own, false, d->tcp_flags);
	if (!hairpin)
		engine_begin(e, d);
	engine_rewrite(e->out, d->size_bytes, ENGINE_DST, inner);
	engine_send(e, ENGINE_LAN, d->size_bytes);
	return ENGINE_FORWARDED;
}

static enum engine_verdict inbound(struct engine *e, const struct datagram *d)
{
	struct mapping *m;

	if (d->kind == DATAGRAM_ERROR)
		return engine_icmp_inbound(e, d);
	if (d->kind != DATAGRAM_FLOW && d->kind != DATAGRAM_REPLY)
		return stray(e, d);
	if (d->proto == PROTO_UDP && e->config.udp_blocked)
		return ENGINE_DROPPED;
	m = engine_mapping_outside(e, d->proto, d->dst);
	return m ? enter(e, d, m, d->src, false) : stray(e, d);
}

/* From inside to our own outside (RFC 4787 section 6). */
static enum engine_verdict turn_back(struct engine *e, const struct datagram *d,
				     struct endpoint outer)
{
	/* Looked for only now: making the sender's may have ended it. */
	struct mapping *m = engine_mapping_outside(e, d->proto, d->dst);

	if (!m)
		return stray(e, d);
	if (e->config.hairpin == ENGINE_HAIRPIN_EXTERNAL)
		engine_rewrite(e->out, d->size_bytes, ENGINE_SRC, outer);
	return enter(e, d, m, outer, true);
}

static enum engine_verdict outbound(struct engine *e, const struct datagram *d)
{
	bool hairpin = engine_is_pool(e, d->dst.ip);
	struct session *s;
	struct endpoint outer;

	if (d->kind == DATAGRAM_ERROR)
		return engine_icmp_outbound(e, d);
	if (hairpin && d->proto == PROTO_ICMP)
		return ENGINE_TO_HOST; /* somebody inside pings the router */
	if (d->kind != DATAGRAM_FLOW && d->kind != DATAGRAM_QUERY)
		return hairpin ? stray(e, d) : ENGINE_DROPPED;
	if (d->proto == PROTO_UDP && e->config.udp_blocked)
		return ENGINE_DROPPED;
	if (hairpin && (e->config.hairpin == ENGINE_HAIRPIN_NONE ||
			!engine_mapping_outside(e, d->proto, d->dst)))
		return stray(e, d);
	/* Before there is a session: it never went through. */
	if (d->ttl <= 1)
		return engine_icmp_send(e, d, ICMP_TIME_EXCEEDED, 0,
					e->config.lan_ip);
	if (engine_too_big(e, d, hairpin ? ENGINE_LAN : ENGINE_WAN))
		return engine_icmp_too_big(e, d,
					   hairpin ? ENGINE_LAN : ENGINE_WAN,
					   e->config.lan_ip);
	s = engine_session_find(e, d->proto, d->src, d->dst);
	if (!s &&
	    (d->proto != PROTO_TCP || engine_tcp_opens(true, d->tcp_flags)))
		s = engine_session_out(e, d->proto, d->src, d->dst);
	if (!s)
		return ENGINE_DROPPED;
	engine_session_pass(e, s, true, d->tcp_flags);
	outer = engine_mapping_outer(s->mapping);
	if (d->proto == PROTO_TCP && e->syns.count)
		engine_tcp_met(e, outer, d->dst);
	engine_begin(e, d);
	if (hairpin)
		return turn_back(e, d, outer);
	engine_rewrite(e->out, d->size_bytes, ENGINE_SRC, outer);
	engine_send(e, ENGINE_WAN, d->size_bytes);
	return ENGINE_FORWARDED;
}

/* What needs no state to decide on; FORWARDED: the rest does. */
static enum engine_verdict screen(const struct engine *e,
				  const struct datagram *d)
{
	bool inside = is_inside(e, d->src.ip);

	if (is_for_many(e, d->src.ip))
		return ENGINE_DROPPED;
	if (d->from == ENGINE_WAN) {
		if (is_for_many(e, d->dst.ip) && is_unicast(d->src.ip))
			return e->config.stray == ENGINE_STRAY_ACCEPT
				       ? ENGINE_TO_HOST
				       : ENGINE_DROPPED;
		if (!is_unicast(d->src.ip) || inside ||
		    engine_is_pool(e, d->src.ip))
			return ENGINE_DROPPED;
		return engine_is_pool(e, d->dst.ip) ? ENGINE_FORWARDED
						    : ENGINE_DROPPED;
	}
	/* DHCP asks from 0.0.0.0, SSDP asks a group. */
	if (is_for_many(e, d->dst.ip))
		return inside || !d->src.ip ? ENGINE_TO_HOST : ENGINE_DROPPED;
	if (!inside || !is_unicast(d->src.ip) || d->src.ip == e->config.lan_ip)
		return ENGINE_DROPPED;
	if (d->dst.ip == e->config.lan_ip)
		return ENGINE_TO_HOST;
	/* Neighbours reach each other without a router. */
	if (!is_unicast(d->dst.ip) || is_inside(e, d->dst.ip))
		return ENGINE_DROPPED;
	return ENGINE_FORWARDED;
}

static enum engine_verdict decide(struct engine *e, const struct datagram *d)
{
	enum engine_verdict verdict = screen(e, d);
	enum engine_side to = ENGINE_WAN;

	if (verdict != ENGINE_FORWARDED)
		return verdict;
	if (d->kind == DATAGRAM_LATER_FRAGMENT)
		return engine_fragment_later(e, d);
	if (d->more && !engine_fragment_agrees(e, d))
		return ENGINE_DROPPED;
	verdict = d->from == ENGINE_LAN ? outbound(e, d) : inbound(e, d);
	if (d->from == ENGINE_WAN || engine_is_pool(e, d->dst.ip))
		to = ENGINE_LAN;
	if (d->more)
		engine_fragment_first(e, d, verdict, to);
	return verdict;
}

static void count(struct engine *e, enum engine_verdict verdict)
{
	switch (verdict) {
	case ENGINE_FORWARDED:
		e->stats.forwarded++;
		break;
	case ENGINE_DROPPED:
		e->stats.dropped++;
		break;
	case ENGINE_REJECTED:
		e->stats.rejected++;
		break;
	case ENGINE_TO_HOST:
		e->stats.to_host++;
		break;
	case ENGINE_HELD:
		e->stats.held++;
		break;
	}
}

enum engine_verdict engine_input(struct engine *e, uint64_t now_us,
				 enum engine_side from, const uint8_t *packet,
				 size_t size_bytes, engine_emit_fn *emit,
				 void *arg)
{
	enum engine_verdict verdict = ENGINE_DROPPED;
	struct datagram d;

	engine_on_timer(e, now_us, emit, arg);
	e->emit = emit;
	e->emit_arg = arg;
	if (engine_parse(packet, size_bytes, &d)) {
		d.from = from;
		verdict = decide(e, &d);
	}
	e->emit = NULL;
	count(e, verdict);
	return verdict;
}

uint64_t engine_deadline(const struct engine *e)
{
	uint64_t deadline_us = ENGINE_NEVER;

	for (unsigned i = 0; i < QUEUES; i++) {
		const struct item *item = engine_queue_first(&e->queues[i]);

		if (item && item->due_us < deadline_us)
			deadline_us = item->due_us;
	}
	return deadline_us;
}

static void expire(struct engine *e, enum engine_queue queue)
{
	struct item *item;

	while ((item = engine_queue_first(&e->queues[queue])) &&
	       item->due_us <= e->now_us) {
		if (queue == QUEUE_SYN)
			engine_tcp_expire(e, item);
		else if (queue >= QUEUE_FRAGMENTS)
			engine_fragment_expire(e, item);
		else
			engine_map_expire(e, queue, item);
	}
}

void engine_advance(struct engine *e, uint64_t now_us)
{
	if (now_us > e->now_us)
		e->now_us = now_us;
	for (enum engine_queue i = 0; i < QUEUES; i++)
		/* A SYN's end is an error that somebody must take. */
		if (i != QUEUE_SYN || e->emit)
			expire(e, i);
}

void engine_on_timer(struct engine *e, uint64_t now_us, engine_emit_fn *emit,
		     void *arg)
{
	e->emit = emit;
	e->emit_arg = arg;
	engine_advance(e, now_us);
	e->emit = NULL;
}

void engine_stats(const struct engine *e, struct engine_stats *stats)
{
	*stats = e->stats;
}
