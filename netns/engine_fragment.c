/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments are translated one by one: only the first has ports, so what it
 * got is remembered for the others. Those that come before it wait for it
 * (RFC 4787 REQ-14), and all that waits is bounded, so that a flood of
 * fragments costs nobody but fragments anything.
 */
#include "netns/engine_own.h"

#include "wire/bytes.h"

#include <stdlib.h>
#include <string.h>

enum {
	DATAGRAMS_MAX = 256,  /* that wait, and as many that pass */
	WAITING_MAX = 256,    /* fragments, of all datagrams */
	WAITING_EACH_MAX = 64 /* 64 KiB in Ethernet's pieces are 45 */
};

struct waiting {
	struct waiting *next;
	size_t size_bytes;
	uint8_t data[];
};

/* One datagram whose fragments come by. */
struct fragments {
	struct node node; /* source, destination, id, protocol and side */
	struct item timer;
	bool decided; /* the first fragment was seen */
	bool passing; /* and forwarded */
	enum engine_verdict verdict;
	struct endpoint src, dst; /* of the first fragment, as it came */
	enum engine_side to;
	uint32_t new_src, new_dst;
	size_t count;
	struct waiting *first, **last;
};

static struct key key_of(const struct datagram *d)
{
	return (struct key){.ip = d->src.ip,
			    .peer_ip = d->dst.ip,
			    .port = d->id,
			    .peer_port = (uint16_t)d->from,
			    .proto = d->proto};
}

static struct fragments *find(const struct engine *e, const struct datagram *d)
{
	struct key key = key_of(d);
	struct node *node = engine_table_find(&e->fragments, &key);

	return node ? ENGINE_OF(node, struct fragments, node) : NULL;
}

static void forget_waiting(struct engine *e, struct fragments *f)
{
	struct waiting *w;

	while ((w = f->first)) {
		f->first = w->next;
		free(w);
	}
	e->held_fragments -= f->count;
	f->count = 0;
	f->last = &f->first;
}

static void fragments_free(struct engine *e, struct fragments *f)
{
	forget_waiting(e, f);
	e->passing_fragments -= f->passing;
	engine_queue_remove(&f->timer);
	engine_table_remove(&e->fragments, &f->node);
	free(f);
}

void engine_fragment_expire(struct engine *e, struct item *item)
{
	fragments_free(e, ENGINE_OF(item, struct fragments, timer));
}

void engine_fragment_flush(struct engine *e)
{
	static const enum engine_queue queues[] = {QUEUE_FRAGMENTS,
						   QUEUE_FRAGMENTS_PASSING};
	struct item *item;

	for (unsigned i = 0; i < 2; i++)
		while ((item = engine_queue_first(&e->queues[queues[i]])))
			engine_fragment_expire(e, item);
}

static struct fragments *get(struct engine *e, const struct datagram *d)
{
	struct queue *q = &e->queues[QUEUE_FRAGMENTS];
	struct fragments *f = find(e, d);
	struct key key = key_of(d);

	if (f)
		return f;
	if (e->fragments.count - e->passing_fragments >= DATAGRAMS_MAX)
		engine_fragment_expire(e, engine_queue_first(q));
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->last = &f->first;
	engine_table_add(&e->fragments, &f->node, &key);
	engine_queue_push(q, &f->timer, e->now_us);
	return f;
}

/* What waits cannot push out what passes: REQ-14a. */
static void let_pass(struct engine *e, struct fragments *f)
{
	struct queue *q = &e->queues[QUEUE_FRAGMENTS_PASSING];

	if (!f->passing) {
		if (e->passing_fragments >= DATAGRAMS_MAX)
			engine_fragment_expire(e, engine_queue_first(q));
		f->passing = true;
		e->passing_fragments++;
	}
	engine_queue_push(q, &f->timer, e->now_us);
}

static enum engine_verdict hold(struct engine *e, struct fragments *f,
				const struct datagram *d)
{
	struct waiting *w;

	if (f->count >= WAITING_EACH_MAX || e->held_fragments >= WAITING_MAX)
		return ENGINE_DROPPED;
	w = malloc(sizeof(*w) + d->size_bytes);
	if (!w)
		return ENGINE_DROPPED;
	w->next = NULL;
	w->size_bytes = d->size_bytes;
	memcpy(w->data, d->data, d->size_bytes);
	*f->last = w;
	f->last = &w->next;
	f->count++;
	e->held_fragments++;
	return ENGINE_HELD;
}

static enum engine_verdict follow(struct engine *e, struct fragments *f,
				  const struct datagram *d)
{
	if (!f->passing)
		return f->verdict;
	if (d->ttl <= 1)
		return ENGINE_DROPPED;
	engine_begin(e, d);
	engine_rewrite(e->out, d->size_bytes, ENGINE_SRC,
		       (struct endpoint){f->new_src, 0});
	engine_rewrite(e->out, d->size_bytes, ENGINE_DST,
		       (struct endpoint){f->new_dst, 0});
	engine_send(e, f->to, d->size_bytes);
	let_pass(e, f);
	return ENGINE_FORWARDED;
}

enum engine_verdict engine_fragment_later(struct engine *e,
					  const struct datagram *d)
{
	struct fragments *f = get(e, d);

	if (!f)
		return ENGINE_DROPPED;
	return f->decided ? follow(e, f, d) : hold(e, f, d);
}

bool engine_fragment_agrees(struct engine *e, const struct datagram *d)
{
	struct fragments *f = find(e, d);

	return !f || !f->decided ||
	       (endpoint_equal(f->src, d->src) &&
		endpoint_equal(f->dst, d->dst));
}

void engine_fragment_first(struct engine *e, const struct datagram *d,
			   enum engine_verdict verdict, enum engine_side to)
{
	struct fragments *f = get(e, d);
	struct waiting *w;
	struct datagram later;

	/* A repeated one that is dropped changes nothing for the others. */
	if (!f || (f->passing && verdict != ENGINE_FORWARDED))
		return;
	f->decided = true;
	/* What waits for an answer, or was answered, is not asked again. */
	f->verdict = verdict == ENGINE_FORWARDED || verdict == ENGINE_TO_HOST
			     ? verdict
			     : ENGINE_DROPPED;
	f->src = d->src;
	f->dst = d->dst;
	f->to = to;
	if (verdict == ENGINE_FORWARDED)
		let_pass(e, f);
	f->new_src = bytes_get32(e->out + 12);
	f->new_dst = bytes_get32(e->out + 16);
	/* Those for the router itself are lost: nobody waits for them here. */
	for (w = f->first; w; w = w->next) {
		if (engine_parse(w->data, w->size_bytes, &later))
			follow(e, f, &later);
	}
	forget_waiting(e, f);
}

/* RFC 791 section 3.2. The least MTU has room for any header and a piece;
 * options, where there are any, go with each. */
void engine_fragment_cut(struct engine *e, enum engine_side to,
			 size_t size_bytes)
{
	enum { MORE = 0x2000 };
	size_t header_bytes = (e->out[0] & 15) * 4u;
	size_t step = (e->mtu_bytes[to] - header_bytes) & ~(size_t)7;
	uint16_t was = bytes_get16(e->out + 6);

	memcpy(e->piece, e->out, header_bytes);
	for (size_t at = header_bytes; at < size_bytes; at += step) {
		size_t left = size_bytes - at;
		size_t bytes = left < step ? left : step;
		uint16_t more = left > step ? MORE : 0;

		memcpy(e->piece + header_bytes, e->out + at, bytes);
		bytes_put16(e->piece + 2, (uint16_t)(header_bytes + bytes));
		bytes_put16(e->piece + 6,
			     (uint16_t)((was + (at - header_bytes) / 8) |
					more));
		bytes_put16(e->piece + 10, 0);
		bytes_put16(e->piece + 10,
			     (uint16_t)~engine_sum(0, e->piece, header_bytes));
		e->stats.emitted++;
		e->emit(e->emit_arg, to, e->piece, header_bytes + bytes);
	}
}
