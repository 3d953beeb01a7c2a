/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strings sightings into trails. A link carries a packet as it is; a router
 * takes one from the TTL and may change an address; a relay takes it out of
 * one TCP stream and puts it into another. Where vantages are missing, equal
 * bytes and a lower TTL must do.
 */
#include "captures/journey_private.h"

#include <errno.h>
#include <string.h>

/* Forwarding takes microseconds; this leaves room for slow links. */
#define HOP_MAX_NS UINT64_C(5000000000)
/* A relay waits for a client's TCP to take the packet. */
#define RELAY_HOP_MAX_NS UINT64_C(120000000000)
/* Clocks of two machines that recorded apart. */
#define SKEW_MAX_NS UINT64_C(1000000000)
/* Equal packets in flight at once that are told apart. */
#define OPEN_MAX 64
/* Bytes that two packets do not share by chance. */
#define STRONG_ID_BYTES 12

static bool same_id(const struct trail *t, const struct seen *s)
{
	return t->tag == s->tag && t->id_bytes == s->id_bytes &&
	       (!s->id_bytes || !memcmp(t->id, s->id, s->id_bytes));
}

static bool keys_agree(const struct trail *t, const struct seen *s)
{
	return (!t->src_key || !s->src_key || t->src_key == s->src_key) &&
	       (!t->dst_key || !s->dst_key || t->dst_key == s->dst_key);
}

static bool may_forward(const struct witness *w, int node)
{
	return node < 0 || w->cast->nodes[node].kind == CAST_ROUTER;
}

static bool was_at(const struct witness *w, const struct trail *t,
		   const struct seen *s)
{
	for (uint32_t i = t->first; i; i = w->marks[i - 1].next)
		if (w->marks[i - 1].place == s->place &&
		    w->marks[i - 1].s.out == s->out)
			return true;
	return false;
}

static int same_ends(const struct mark *last, const struct seen *s)
{
	return endpoint_equal(last->s.src, s->src) +
	       endpoint_equal(last->s.dst, s->dst);
}

/* How alike the ends are: a NAT may change the port of either beside the rest.
 */
static int alike(const struct mark *last, const struct seen *s)
{
	return 20 * same_ends(last, s) + 5 * (last->s.src.ip == s->src.ip) +
	       5 * (last->s.dst.ip == s->dst.ip);
}

static int rate_within(const struct witness *w, const struct mark *last,
		       const struct seen *s)
{
	bool in_inside = !w->outside[last->s.frame->vantage];
	bool out_inside = !w->outside[s->frame->vantage];
	int score = alike(last, s);

	if (s->tag == TRAIL_RELAY && s->from_relay && !last->from_relay)
		return 100;
	if (!may_forward(w, s->node) || s->ttl >= last->s.ttl)
		return 0;
	/* Only a hairpin changes both addresses at once. */
	if (!score && s->tag != TRAIL_ICMP && !(in_inside && out_inside))
		return 0;
	return 100 + score;
}

/* A hop over a node that nobody listened at. */
static int rate_gap(const struct witness *w, const struct trail *t,
		    const struct mark *last, const struct seen *s)
{
	int score = alike(last, s);
	bool relayed = s->from_relay && !last->from_relay;

	if (!relayed && s->ttl >= last->s.ttl)
		return 0;
	if (!score && s->id_bytes < STRONG_ID_BYTES)
		return 0;
	if (was_at(w, t, s))
		return 0;
	/* Of two that fit, the one that skips fewer routers. */
	return 40 + score - (last->s.ttl - s->ttl > 1 && !relayed);
}

/* How well S continues the trail; 0: not at all. */
static int rate(const struct witness *w, const struct trail *t,
		const struct seen *s)
{
	const struct mark *last = &w->marks[t->last - 1];
	uint64_t limit_ns =
		s->tag == TRAIL_RELAY || s->tag == TRAIL_OPAQUE
			? RELAY_HOP_MAX_NS
			: HOP_MAX_NS;
	int score = 0;

	if (s->frame->time_ns - last->s.frame->time_ns > limit_ns ||
	    !keys_agree(t, s) || s->from_relay < last->from_relay)
		return 0;
	if (last->place == s->place) {
		if (!last->s.out && s->out)
			score = rate_within(w, last, s);
	} else if (!s->out && same_ends(last, s) == 2 &&
		   s->ttl == last->s.ttl) {
		/* A group's packet enters several nodes of the LAN. */
		if (last->s.out || owner_is_multicast(s->dst.ip))
			score = 200;
	} else {
		score = rate_gap(w, t, last, s);
	}
	if (score && s->ip_id && s->ip_id == last->ip_id)
		score += 10;
	return score;
}

/* The newest of the best: forwarding takes less time than sending again. */
static uint32_t find_trail(const struct witness *w, const struct seen *s,
			   uint64_t hash)
{
	uint32_t best = 0;
	int best_score = 0;
	unsigned tried = 0;

	/* What a host sends begins anew, even the bytes that it just got. */
	if (s->out && !may_forward(w, s->node) && !s->from_relay)
		return 0;
	for (uint32_t i = table_get(&w->by_id, hash); i && tried < OPEN_MAX;
	     i = w->trails[i - 1].older, tried++) {
		const struct trail *t = &w->trails[i - 1];
		int score = same_id(t, s) ? rate(w, t, s) : 0;

		if (score > best_score) {
			best = i;
			best_score = score;
		}
	}
	return best;
}

/* Its beginning, seen after its arrival: two clocks that do not agree. */
static uint32_t find_tail(const struct witness *w, const struct seen *s,
			  uint64_t hash)
{
	unsigned tried = 0;

	if (!s->out || s->tag == TRAIL_RELAY)
		return 0;
	for (uint32_t i = table_get(&w->by_id, hash); i && tried < OPEN_MAX;
	     i = w->trails[i - 1].older, tried++) {
		const struct trail *t = &w->trails[i - 1];
		const struct mark *first = &w->marks[t->first - 1];

		if (same_id(t, s) && !first->s.out &&
		    first->place != s->place && same_ends(first, s) == 2 &&
		    first->s.ttl == s->ttl &&
		    s->frame->time_ns - first->s.frame->time_ns <= SKEW_MAX_NS)
			return i;
	}
	return 0;
}

static int64_t begin_trail(struct witness *w, const struct seen *s,
			   uint64_t hash)
{
	struct trail *t;
	const uint8_t *id = s->id;

	if (list_room(&w->trails, &w->trail_room, w->trail_count,
		      sizeof(*w->trails)) < 0)
		return -ENOMEM;
	if (s->copy_id && s->id_bytes) {
		id = witness_copy(w, s->id, s->id_bytes);
		if (!id)
			return -ENOMEM;
	}
	t = &w->trails[w->trail_count];
	*t = (struct trail){.tag = s->tag,
			    .proto = s->proto,
			    .kind = s->kind,
			    .hash = hash,
			    .id = id,
			    .id_bytes = s->id_bytes,
			    .from_host = -1,
			    .to_host = -1,
			    .older = table_get(&w->by_id, hash)};
	if (table_put(&w->by_id, hash, (uint32_t)w->trail_count + 1) < 0)
		return -ENOMEM;
	return (int64_t)w->trail_count++;
}

static uint64_t tuple_hash(uint8_t proto, struct endpoint src,
			   struct endpoint dst)
{
	uint32_t words[4] = {src.ip, dst.ip,
			     (uint32_t)src.port << 16 | dst.port, proto};

	return table_hash(words, sizeof(words), 1);
}

uint32_t chain_by_tuple(const struct witness *w, uint8_t proto,
			struct endpoint src, struct endpoint dst)
{
	return table_get(&w->by_tuple, tuple_hash(proto, src, dst));
}

static int add_mark(struct witness *w, struct trail *t, const struct seen *s,
		    bool in_front)
{
	uint32_t link = (uint32_t)w->mark_count + 1;
	struct mark *m;

	if (list_room(&w->marks, &w->mark_room, w->mark_count,
		      sizeof(*w->marks)) < 0)
		return -ENOMEM;
	m = &w->marks[w->mark_count++];
	*m = (struct mark){.s = {.frame = s->frame,
				 .node = s->node,
				 .out = s->out,
				 .src = s->src,
				 .dst = s->dst,
				 .ttl = s->ttl},
			   .place = s->place,
			   .ip_id = s->ip_id,
			   .from_relay = s->from_relay};
	if (in_front) {
		m->next = t->first;
		t->first = link;
	} else {
		if (t->last)
			w->marks[t->last - 1].next = link;
		else
			t->first = link;
		t->last = link;
	}
	t->count++;
	return 0;
}

int chain_append(struct witness *w, uint32_t head, uint32_t tail)
{
	struct trail *t = &w->trails[head];

	for (uint32_t i = w->trails[tail].first; i; i = w->marks[i - 1].next) {
		if (list_room(&w->marks, &w->mark_room, w->mark_count,
			      sizeof(*w->marks)) < 0)
			return -ENOMEM;
		w->marks[w->mark_count] = w->marks[i - 1];
		w->marks[w->mark_count++].next = 0;
		w->marks[t->last - 1].next = (uint32_t)w->mark_count;
		t->last = (uint32_t)w->mark_count;
		t->count++;
	}
	return 0;
}

int64_t chain_add(struct witness *w, const struct seen *s, bool *begun)
{
	uint64_t hash = table_hash(s->id, s->id_bytes, 16 + s->tag);
	uint32_t found = find_trail(w, s, hash);
	uint32_t tail = found ? 0 : find_tail(w, s, hash);
	struct trail *t;
	int64_t index = tail ? (int64_t)tail - 1 : (int64_t)found - 1;

	*begun = index < 0;
	if (index < 0)
		index = begin_trail(w, s, hash);
	if (index < 0)
		return index;
	t = &w->trails[index];
	if (!t->src_key)
		t->src_key = s->src_key;
	if (!t->dst_key)
		t->dst_key = s->dst_key;
	if (add_mark(w, t, s, tail) < 0)
		return -ENOMEM;
	if ((s->tag == TRAIL_UDP || s->tag == TRAIL_SYN) &&
	    table_put(&w->by_tuple, tuple_hash(s->proto, s->src, s->dst),
		      (uint32_t)index + 1) < 0)
		return -ENOMEM;
	return index;
}
