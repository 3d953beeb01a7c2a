/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relays that speak TLS 1.3, without their keys. A record's type and length
 * are in clear, and clients and relays flush each frame: so a packet for the
 * relay (frame header 5, key 32, packet) is one record, and the relay sends it
 * on as one of the same length, unless it had several for that client at once.
 * doc/facts.md says what that proves and what not.
 *
 * Records are noted as they are read, at each vantage; a record is known again
 * at the next one by its authenticator. When all is read, they become halves
 * of ways, and journey_opaque.c puts these together.
 */
#include "captures/journey_private.h"
#include "wire/cursor.h"
#include "wire/disco.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORD_HEADER_BYTES = 5,
	RECORD_MAX_BYTES = 16384 + 256,
	RECORD_HANDSHAKE = 22,
	RECORD_FIRST = 20, /* change cipher spec */
	RECORD_DATA = 23,
	HELLO_CLIENT = 1,
	HELLO_SERVER = 2,
	TAG_BYTES = 16,
	SEAL_BYTES = 1 + TAG_BYTES, /* the inner type, and the tag */
	FRAME_BYTES = 5 + DERP_KEY_BYTES,
	/* The relay's first frame: its magic and key, in a record alone. */
	RELAY_KEY_RECORD_BYTES = FRAME_BYTES + 8 + SEAL_BYTES,
	/*
	 * Smaller than what WireGuard and DISCO send are the frames that
	 * carry no packet: pings, keep-alives, "peer gone", "preferred".
	 */
	PACKET_MIN_BYTES = 32,
	/* Behind the headers of an answer and what else may come first. */
	RELAY_KEY_WITHIN = 3
};

enum {
	PING_BYTES = DISCO_HEADER_BYTES + TAG_BYTES + 2 + DISCO_TXID_BYTES + 32,
	CALL_MAX_BYTES = DISCO_HEADER_BYTES + TAG_BYTES + 2 +
			 18 * DISCO_MAX_ENDPOINTS,
	WIREGUARD_INITIATION_BYTES = 148,
	WIREGUARD_RESPONSE_BYTES = 92
};

static bool may_be_call(size_t n)
{
	return n <= CALL_MAX_BYTES &&
	       disco_kind_by_size(n, true) == DISCO_CALL_ME_MAYBE;
}

/* Data is padded to 16 bytes; each 8th endpoint a call's size is such, too. */
static bool may_be_wireguard(size_t n)
{
	return n == WIREGUARD_INITIATION_BYTES ||
	       n == WIREGUARD_RESPONSE_BYTES ||
	       (n >= PACKET_MIN_BYTES && n % 16 == 0);
}

unsigned opaque_kind(size_t n)
{
	unsigned kind = JOURNEY_RELAY | JOURNEY_OPAQUE;

	if (may_be_wireguard(n))
		return kind | (may_be_call(n) ? JOURNEY_OTHER_UDP
					      : JOURNEY_WIREGUARD);
	if (may_be_call(n))
		return kind | JOURNEY_DISCO_CALL_ME_MAYBE;
	if (n == PING_BYTES)
		return kind | JOURNEY_DISCO_PING;
	if (disco_kind_by_size(n, true) == DISCO_PONG)
		return kind | JOURNEY_DISCO_PONG;
	return kind | JOURNEY_OTHER_UDP;
}

const char *opaque_words(size_t n)
{
	switch (opaque_kind(n) & ~(JOURNEY_RELAY | JOURNEY_OPAQUE)) {
	case JOURNEY_WIREGUARD:
		return "by its size wireguard";
	case JOURNEY_DISCO_CALL_ME_MAYBE:
		return "by its size a disco.call-me-maybe";
	case JOURNEY_DISCO_PING:
		return "by its size a disco.ping";
	case JOURNEY_DISCO_PONG:
		return "by its size a disco.pong";
	default:
		return may_be_call(n) ? "by its size wireguard or a "
					"disco.call-me-maybe"
				      : "of a size that tells nothing";
	}
}

static int open_link(struct witness *w, uint32_t *link, const struct seen *seen)
{
	if (list_room(&w->links, &w->link_room, w->link_count,
		      sizeof(*w->links)) < 0)
		return -ENOMEM;
	w->links[w->link_count++] =
		(struct tls_link){.vantage = seen->frame->vantage,
				  .client = seen->src,
				  .relay = seen->dst,
				  .host = -1,
				  .relay_node = -1,
				  .since_ns = seen->frame->time_ns,
				  .until_ns = UINT64_MAX};
	*link = (uint32_t)w->link_count;
	return 0;
}

void tls_closed(struct witness *w, uint32_t link, uint64_t time_ns)
{
	if (link && w->links[link - 1].until_ns > time_ns)
		w->links[link - 1].until_ns = time_ns;
}

void tls_resent(struct witness *w, uint32_t link, const struct seen *seen)
{
	struct tls_link *l = &w->links[link - 1];

	if (!endpoint_equal(seen->src, l->relay))
		return;
	l->resent_ns[1] = seen->frame->time_ns;
	if (!l->resent_ns[0])
		l->resent_ns[0] = seen->frame->time_ns;
}

/* Both directions begin with a hello in clear. */
static int take_hello(struct witness *w, uint32_t *link, uint32_t peer,
		      const struct seen *seen, uint8_t type, uint8_t hello)
{
	if (type != RECORD_HANDSHAKE)
		return -EBADMSG;
	if (hello == HELLO_CLIENT && !peer)
		return open_link(w, link, seen);
	if (hello != HELLO_SERVER || !peer)
		return -EBADMSG;
	*link = peer;
	return 0;
}

static int note(struct witness *w, uint32_t link, const struct seen *seen,
		uint32_t number, bool up, const uint8_t *body, size_t bytes)
{
	struct tls_note *n;

	if (bytes < FRAME_BYTES + PACKET_MIN_BYTES + SEAL_BYTES)
		return 0;
	if (list_room(&w->notes, &w->note_room, w->note_count,
		      sizeof(*w->notes)) < 0)
		return -ENOMEM;
	n = &w->notes[w->note_count++];
	*n = (struct tls_note){.seen = *seen,
			       .link = link - 1,
			       .number = number,
			       .up = up,
			       .packet_bytes = (uint32_t)bytes - FRAME_BYTES -
					       SEAL_BYTES};
	memcpy(n->tag, body + bytes - TAG_BYTES, TAG_BYTES);
	return 0;
}

static int take_up(struct witness *w, uint32_t link, const struct seen *seen,
		   const uint8_t *body, size_t bytes)
{
	struct tls_link *l = &w->links[link - 1];

	if (!l->finished) {
		l->finished = true;
		/* TLS 1.2 has nothing of the server's encrypted before. */
		if (!l->encrypted)
			l->downs = RELAY_KEY_WITHIN;
		return 0;
	}
	l->ups++;
	/* The first asks for the upgrade; see is_packet for the second. */
	return l->ups == 1 ? 0 : note(w, link, seen, l->ups, true, body, bytes);
}

static int take_down(struct witness *w, uint32_t link, const struct seen *seen,
		     const uint8_t *body, size_t bytes)
{
	struct tls_link *l = &w->links[link - 1];

	if (!l->finished) {
		l->encrypted = true;
		return 0;
	}
	l->downs++;
	if (!l->relay_key_at) {
		if (bytes == RELAY_KEY_RECORD_BYTES)
			l->relay_key_at = l->downs;
		/* Whatever it is, it is no relay. */
		return l->downs < RELAY_KEY_WITHIN || l->relay_key_at
			       ? 0
			       : -EBADMSG;
	}
	if (l->downs == l->relay_key_at + 1) {
		l->ready_ns = seen->frame->time_ns;
		return 0;
	}
	return note(w, link, seen, l->downs, false, body, bytes);
}

static bool is_no_relay(const struct tls_link *l)
{
	return !l->relay_key_at && l->downs >= RELAY_KEY_WITHIN;
}

int64_t tls_take(struct witness *w, uint32_t *link, uint32_t peer,
		 const struct seen *seen, const uint8_t *data,
		 size_t size_bytes)
{
	struct reader r = reader_over(data, size_bytes);
	uint8_t type = reader_u8(&r);
	uint16_t version = reader_u16(&r);
	size_t bytes = reader_u16(&r);
	const uint8_t *body;
	int rc = 0;

	if (r.bad)
		return 0;
	if (type < RECORD_FIRST || type > RECORD_DATA || version >> 8 != 3 ||
	    !bytes || bytes > RECORD_MAX_BYTES ||
	    (type == RECORD_DATA && bytes <= SEAL_BYTES))
		return -EBADMSG;
	body = reader_view(&r, bytes);
	if (!body)
		return 0;
	if (!*link)
		rc = take_hello(w, link, peer, seen, type, body[0]);
	else if (is_no_relay(&w->links[*link - 1]))
		return -EBADMSG;
	else if (type != RECORD_DATA)
		rc = 0;
	else if (endpoint_equal(seen->src, w->links[*link - 1].client))
		rc = take_up(w, *link, seen, body, bytes);
	else
		rc = take_down(w, *link, seen, body, bytes);
	return rc < 0 ? rc : (int64_t)(RECORD_HEADER_BYTES + bytes);
}

static void find_ends(struct witness *w, struct tls_link *l)
{
	const struct cast *cast = w->cast;
	int place = w->places[l->vantage];
	int node = place < (int)cast->count ? place : -1;

	l->relay_node = cast_find_ip(cast, l->relay.ip);
	if (l->relay_node >= 0 &&
	    cast->nodes[l->relay_node].kind != CAST_SERVER)
		l->relay_node = -1;
	if (node >= 0 && cast_has_ip(&cast->nodes[node], l->client.ip))
		l->host = node;
	else
		l->host = owner_find(w, l->client, PACKET_TCP, l->since_ns,
				     node);
	if (l->host >= 0 && cast->nodes[l->host].kind != CAST_HOST)
		l->host = -1;
}

/*
 * A client that knows the relay's key beforehand sends its request and its own
 * key in one record, and is answered by the relay's; else it has to wait for
 * the headers of the answer, and its key is its second record.
 */
static bool is_packet(const struct tls_link *l, const struct tls_note *n)
{
	return l->relay_key_at && l->relay_node >= 0 &&
	       (!n->up || n->number > 2 || l->relay_key_at == 1);
}

/* Of an up: whether, and when, the relay got it. */
static void find_time(const struct witness *w, struct half *h)
{
	const struct trail *t = &w->trails[h->trail];
	const struct mark *m = &w->marks[(h->up ? t->last : t->first) - 1];

	h->time_ns = m->s.frame->time_ns;
	h->at_relay = !w->has_outside[h->relay] ||
		      (m->s.node == h->relay && m->s.out != h->up);
}

static int add_half(struct witness *w, struct tls_note *n, uint32_t first,
		    struct half *halves, size_t *count)
{
	const struct tls_link *l = &w->links[n->link];
	struct half *h;
	int64_t index;
	bool begun;

	n->seen.tag = TRAIL_OPAQUE;
	n->seen.kind = opaque_kind(n->packet_bytes);
	n->seen.id = n->tag;
	n->seen.id_bytes = sizeof(n->tag);
	n->seen.copy_id = true;
	n->seen.from_relay = !n->up;
	index = chain_add(w, &n->seen, &begun);
	if (index < 0)
		return -ENOMEM;
	h = &halves[index - first];
	if (begun) {
		*h = (struct half){.trail = (uint32_t)index,
				   .up = n->up,
				   .relay = l->relay_node,
				   .host = l->host,
				   .packet_bytes = n->packet_bytes};
		w->trails[index].opaque_bytes = n->packet_bytes;
		++*count;
	} else if (h->host < 0) {
		h->host = l->host;
	}
	return 0;
}

int tls_finish(struct witness *w)
{
	struct half *halves = calloc(w->note_count + 1, sizeof(*halves));
	uint32_t first = (uint32_t)w->trail_count;
	size_t count = 0;
	int rc = halves ? 0 : -ENOMEM;

	for (size_t i = 0; i < w->link_count; i++)
		find_ends(w, &w->links[i]);
	for (size_t i = 0; i < w->note_count && !rc; i++)
		if (is_packet(&w->links[w->notes[i].link], &w->notes[i]))
			rc = add_half(w, &w->notes[i], first, halves, &count);
	for (size_t i = 0; i < count && !rc; i++)
		find_time(w, &halves[i]);
	if (!rc)
		rc = opaque_join(w, halves, count);
	free(halves);
	return rc;
}
