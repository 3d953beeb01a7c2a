/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP as RFC 5382 asks: which timer a session has, and what an unsolicited
 * packet gets. States are those of RFC 6146 section 3.5.2, told by flags:
 * after a RST or both FINs a session is transitory, and whatever else passes
 * after a RST makes it established again, so that a forged RST ends nothing.
 */
#include "netns/engine_own.h"

#include "wire/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { FLAG_FIN = 1, FLAG_SYN = 2, FLAG_RST = 4, FLAG_ACK = 16 };

/* Of session.tcp. */
enum {
	STATE_OPEN = 1, /* SYNs were answered and the answer acknowledged */
	STATE_FIN_OUT = 2,
	STATE_FIN_IN = 4,
	STATE_FINS = STATE_FIN_OUT | STATE_FIN_IN,
	STATE_RST = 8
};

enum {
	SYNS_MAX = 256,	       /* that wait for an answer */
	SYN_QUOTE_BYTES = 128, /* kept of each: headers are at most 120 */
	RST_BYTES = IPV4_BYTES + TCP_BYTES
};

struct syn {
	struct node node; /* our endpoint, its endpoint */
	struct item timer;
	size_t size_bytes;
	uint8_t data[SYN_QUOTE_BYTES];
};

bool engine_tcp_opens(bool out, uint8_t flags)
{
	if (flags & FLAG_SYN)
		return !(flags & FLAG_ACK);
	/* From inside, an ACK picks up a connection from before a reboot. */
	return out && (flags & FLAG_ACK) && !(flags & (FLAG_FIN | FLAG_RST));
}

static bool is_over(const struct session *s)
{
	return s->tcp & STATE_RST || (s->tcp & STATE_FINS) == STATE_FINS;
}

void engine_tcp_seen(struct session *s, bool out, uint8_t flags)
{
	bool opens = (flags & FLAG_SYN) && !(flags & FLAG_ACK);

	/* The same endpoints once more: a new connection. */
	if (opens && is_over(s)) {
		s->seen = 0;
		s->tcp = 0;
	}
	if (s->seen == SEEN_BOTH && (flags & FLAG_ACK) && !(flags & FLAG_SYN))
		s->tcp |= STATE_OPEN;
	s->seen |= out ? SEEN_OUT : SEEN_IN;
	if (flags & FLAG_RST) {
		s->tcp |= STATE_RST;
		return;
	}
	s->tcp &= (uint8_t)~STATE_RST;
	if (flags & FLAG_FIN)
		s->tcp |= out ? STATE_FIN_OUT : STATE_FIN_IN;
}

bool engine_tcp_established(const struct session *s)
{
	return s->tcp & STATE_OPEN && !is_over(s);
}

/* RFC 9293 section 3.5.2: what a closed port answers. */
static enum engine_verdict send_rst(struct engine *e, const struct datagram *d)
{
	const uint8_t *tcp = d->data + d->header_bytes;
	uint8_t *out = e->out + IPV4_BYTES;
	uint32_t len = (uint32_t)(d->size_bytes - d->header_bytes) -
		       (tcp[12] >> 4) * 4u;
	uint32_t sum = PROTO_TCP + TCP_BYTES;

	engine_put_ip(e->out, PROTO_TCP, d->dst.ip, d->src.ip, RST_BYTES);
	memset(out, 0, TCP_BYTES);
	bytes_put16(out, d->dst.port);
	bytes_put16(out + 2, d->src.port);
	out[12] = (TCP_BYTES / 4) << 4;
	if (d->tcp_flags & FLAG_ACK) {
		memcpy(out + 4, tcp + 8, 4);
		out[13] = FLAG_RST;
	} else {
		len += !!(d->tcp_flags & FLAG_FIN);
		bytes_put32(out + 8, bytes_get32(tcp + 4) + len);
		out[13] = FLAG_RST | FLAG_ACK;
	}
	sum = engine_sum(sum, e->out + 12, 8);
	bytes_put16(out + 16, (uint16_t)~engine_sum(sum, out, TCP_BYTES));
	engine_send(e, d->from, RST_BYTES);
	return ENGINE_REJECTED;
}

static struct key syn_key(struct endpoint ours, struct endpoint remote)
{
	return (struct key){.ip = ours.ip,
			    .port = ours.port,
			    .peer_ip = remote.ip,
			    .peer_port = remote.port,
			    .proto = PROTO_TCP};
}

static void syn_free(struct engine *e, struct syn *syn)
{
	engine_queue_remove(&syn->timer);
	engine_table_remove(&e->syns, &syn->node);
	free(syn);
}

/*
 * RFC 5382 REQ-4: for 6 s nothing is said to an unsolicited SYN. A SYN that
 * the inside sends in that time must not find the other side told to give up.
 */
static enum engine_verdict hold_syn(struct engine *e, const struct datagram *d)
{
	struct key key = syn_key(d->dst, d->src);
	struct syn *syn;

	if (engine_table_find(&e->syns, &key) || e->syns.count >= SYNS_MAX)
		return ENGINE_DROPPED;
	syn = calloc(1, sizeof(*syn));
	if (!syn)
		return ENGINE_DROPPED;
	syn->size_bytes = d->size_bytes < SYN_QUOTE_BYTES ? d->size_bytes
							  : SYN_QUOTE_BYTES;
	memcpy(syn->data, d->data, syn->size_bytes);
	engine_table_add(&e->syns, &syn->node, &key);
	engine_queue_push(&e->queues[QUEUE_SYN], &syn->timer, e->now_us);
	return ENGINE_HELD;
}

enum engine_verdict engine_tcp_reject(struct engine *e,
				      const struct datagram *d)
{
	if (d->tcp_flags & FLAG_RST)
		return ENGINE_DROPPED;
	if ((d->tcp_flags & FLAG_SYN) && !(d->tcp_flags & FLAG_ACK) &&
	    d->from == ENGINE_WAN)
		return hold_syn(e, d);
	return send_rst(e, d);
}

void engine_tcp_met(struct engine *e, struct endpoint outside,
		    struct endpoint remote)
{
	struct key key = syn_key(outside, remote);
	struct node *node = engine_table_find(&e->syns, &key);

	if (node)
		syn_free(e, ENGINE_OF(node, struct syn, node));
}

void engine_tcp_expire(struct engine *e, struct item *item)
{
	struct syn *syn = ENGINE_OF(item, struct syn, timer);
	struct datagram d = {.from = ENGINE_WAN,
			     .data = syn->data,
			     .size_bytes = syn->size_bytes,
			     .kind = DATAGRAM_FLOW,
			     .src = {syn->node.key.peer_ip, 0}};

	engine_icmp_send(e, &d, ICMP_UNREACHABLE, ICMP_CODE_PORT,
			 syn->node.key.ip);
	syn_free(e, syn);
}

void engine_tcp_flush(struct engine *e)
{
	struct item *item;

	while ((item = engine_queue_first(&e->queues[QUEUE_SYN])))
		syn_free(e, ENGINE_OF(item, struct syn, timer));
}
