/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames in, things seen out: UDP packets, ICMP errors, SYNs, segments. */
#include "captures/journey_private.h"
#include "wire/cursor.h"
#include "wire/disco.h"
#include "wire/natpmp.h"
#include "wire/stun.h"
#include "wire/wireguard.h"

#include <errno.h>
#include <string.h>

#define SSDP_PORT 1900
#define IPV4_HEADER_BYTES 20
#define TCP_SEQ_AT_BYTES 4

static const uint8_t icmp_error_types[] = {3, 4, 5, 11, 12};

unsigned kind_of_payload(const uint8_t *data, size_t size_bytes,
			 bool over_relay)
{
	if (disco_looks_like(data, size_bytes)) {
		switch (disco_kind_by_size(size_bytes, over_relay)) {
		case DISCO_PING:
			return JOURNEY_DISCO_PING;
		case DISCO_PONG:
			return JOURNEY_DISCO_PONG;
		case DISCO_CALL_ME_MAYBE:
			return JOURNEY_DISCO_CALL_ME_MAYBE;
		default:
			return JOURNEY_DISCO_OTHER;
		}
	}
	if (stun_looks_like(data, size_bytes))
		return JOURNEY_STUN;
	if (wireguard_looks_like(data, size_bytes))
		return JOURNEY_WIREGUARD;
	return JOURNEY_OTHER_UDP;
}

static bool is_portmap_port(uint16_t port)
{
	return port == NATPMP_PORT || port == SSDP_PORT;
}

static int read_datagram(struct witness *w, const struct packet *p,
			 struct seen *seen)
{
	bool begun;
	int rc = 0;

	seen->tag = TRAIL_UDP;
	seen->id = p->payload;
	seen->id_bytes = p->payload_bytes;
	seen->kind = kind_of_payload(p->payload, p->payload_bytes, false);
	if (!(seen->kind & JOURNEY_STUN) &&
	    (is_portmap_port(p->src.port) || is_portmap_port(p->dst.port)))
		seen->kind = JOURNEY_PORTMAP;
	if (chain_add(w, seen, &begun) < 0)
		return -ENOMEM;
	if (seen->kind & JOURNEY_STUN)
		rc = owner_learn_stun(w, seen);
	else if (begun && seen->kind & JOURNEY_PORTMAP)
		rc = grant_learn_datagram(w, seen);
	return rc;
}

static int read_tcp(struct witness *w, const struct packet *p,
		    struct seen *seen)
{
	uint8_t flags =
		p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST);
	uint32_t asked;
	bool begun;

	if (flags == TCP_FLAG_SYN) {
		seen->tag = TRAIL_SYN;
		seen->kind = JOURNEY_TCP;
		/* A retry has the same sequence number, a NAT keeps it. */
		seen->id = p->ip + (p->ip[0] & 15) * 4 + TCP_SEQ_AT_BYTES;
		seen->id_bytes = sizeof(p->tcp_seq);
		if (chain_add(w, seen, &begun) < 0)
			return -ENOMEM;
	}
	if (flags == (TCP_FLAG_RST | TCP_FLAG_ACK)) {
		asked = chain_by_tuple(w, PACKET_TCP, p->dst, p->src);
		if (asked) {
			struct trail *t = &w->trails[asked - 1];
			struct reader r = reader_over(t->id, t->id_bytes);

			if (reader_u32(&r) + 1 == p->tcp_ack)
				t->reset = true;
		}
	}
	return stream_segment(w, seen, p);
}

struct quote {
	struct endpoint src, dst;
	uint8_t proto;
	uint16_t ip_id, total_bytes;
};

/* The start of the packet that an ICMP error is about (RFC 792). */
static bool read_quote(const struct packet *p, struct quote *q)
{
	struct reader r = reader_over(p->payload, p->payload_bytes);
	uint8_t version_ihl = reader_u8(&r);
	size_t header_bytes = (version_ihl & 15) * 4u;

	reader_skip(&r, 1);
	q->total_bytes = reader_u16(&r);
	q->ip_id = reader_u16(&r);
	reader_skip(&r, 3);
	q->proto = reader_u8(&r);
	reader_skip(&r, 2);
	q->src.ip = reader_u32(&r);
	q->dst.ip = reader_u32(&r);
	if (r.bad || version_ihl >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES)
		return false;
	reader_skip(&r, header_bytes - IPV4_HEADER_BYTES);
	q->src.port = reader_u16(&r);
	q->dst.port = reader_u16(&r);
	return !r.bad && (q->proto == PACKET_UDP || q->proto == PACKET_TCP);
}

/*
 * A NAT changes what an error quotes, so its identity is the trail that it is
 * about; of a packet that was not seen, what a NAT leaves alone.
 */
static int read_icmp(struct witness *w, const struct packet *p,
		     struct seen *seen)
{
	struct quote q = {0};
	uint32_t about, id[4];
	int64_t index;
	bool begun;

	if (p->fragment_offset_bytes ||
	    !memchr(icmp_error_types, p->icmp_type, sizeof(icmp_error_types)) ||
	    !read_quote(p, &q))
		return 0;
	about = chain_by_tuple(w, q.proto, q.src, q.dst);
	id[0] = (uint32_t)p->icmp_type << 8 | p->icmp_code;
	id[1] = about;
	id[2] = about ? 0 : q.ip_id;
	id[3] = about ? 0 : q.total_bytes;
	seen->tag = TRAIL_ICMP;
	seen->kind = JOURNEY_ICMP_ERROR;
	seen->id = (const uint8_t *)id;
	seen->id_bytes = sizeof(id);
	seen->copy_id = true;
	index = chain_add(w, seen, &begun);
	if (index < 0)
		return -ENOMEM;
	if (begun) {
		struct trail *t = &w->trails[index];

		t->icmp_type = p->icmp_type;
		t->icmp_code = p->icmp_code;
		t->quotes = about;
		if (about && !w->trails[about - 1].icmp)
			w->trails[about - 1].icmp = (uint32_t)index + 1;
	}
	return 0;
}

static bool is_behind(const struct cast *cast, int node, int router)
{
	while (node >= 0 && node != router)
		node = cast->nodes[node].behind;
	return node == router;
}

/* Without MACs and directions in the file, addresses tell. */
static bool guess_out(const struct witness *w, int node, bool outside,
		      const struct packet *p)
{
	const struct cast_node *n;
	int sender;

	if (node < 0)
		return false;
	n = &w->cast->nodes[node];
	if (cast_has_ip(n, p->src.ip))
		return true;
	if (n->kind != CAST_ROUTER || cast_has_ip(n, p->dst.ip))
		return false;
	sender = cast_find_ip(w->cast, p->src.ip);
	return is_behind(w->cast, sender, node) == outside;
}

/* A bridge floods, and a tap hears what is meant for its neighbours. */
static bool is_overheard(const struct witness *w, const struct vantage *v,
			 const struct seen *seen, const struct packet *p)
{
	static const uint8_t none[6];
	const struct cast_node *n;

	if (seen->out || owner_is_multicast(p->dst.ip))
		return false;
	if (v->link == PACKET_LINK_ETHERNET &&
	    memcmp(v->mac, none, sizeof(none)))
		return !(p->eth_dst[0] & 1) &&
		       memcmp(v->mac, p->eth_dst, sizeof(none));
	if (seen->node < 0)
		return false;
	n = &w->cast->nodes[seen->node];
	return n->kind != CAST_ROUTER && n->ip_count &&
	       !cast_has_ip(n, p->dst.ip);
}

static int read_frame(struct witness *w, const struct frame *frame)
{
	const struct vantage *v = &w->rec->vantages[frame->vantage];
	struct seen seen = {.frame = frame};
	struct packet p;

	if (packet_decode(v->link, frame->data, frame->captured_bytes, &p,
			  NULL) < 0 ||
	    !p.is_ipv4)
		return 0;
	seen.place = w->places[frame->vantage];
	seen.node = seen.place < (int)w->cast->count ? seen.place : -1;
	seen.out = frame->direction == DIRECTION_OUT;
	if (frame->direction == DIRECTION_UNKNOWN)
		seen.out =
			guess_out(w, seen.node, w->outside[frame->vantage], &p);
	if (is_overheard(w, v, &seen, &p))
		return 0;
	seen.src = p.src;
	seen.dst = p.dst;
	seen.proto = p.ip_proto;
	seen.ttl = p.ttl;
	seen.ip_id = p.ip_id;
	if (p.ip_proto == PACKET_ICMP)
		return read_icmp(w, &p, &seen);
	if (p.ip_proto == PACKET_UDP && p.has_ports)
		return read_datagram(w, &p, &seen);
	if (p.ip_proto == PACKET_TCP && p.has_ports)
		return read_tcp(w, &p, &seen);
	return 0;
}

int witness_read(struct witness *w, struct err *err)
{
	for (size_t i = 0; i < w->rec->frame_count; i++) {
		const struct frame *frame = &w->rec->frames[i];

		if (frame->vantage >= w->rec->vantage_count)
			return err_set(err, EBADMSG,
				       "frame %u is of vantage %u, which the "
				       "recording does not have",
				       frame->number, frame->vantage);
		if (read_frame(w, frame) < 0)
			return err_set(err, ENOMEM,
				       "no memory for the journeys");
	}
	return 0;
}
