/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What TCP carries: DERP packet frames, each followed by its inner packet, and
 * UPnP's SOAP. Each vantage puts the streams together for itself, so that a
 * packet's way through routers shows. What a stream is its first bytes tell,
 * not its port; of TLS journey_tls.c looks at the records, all else is left
 * alone.
 */
#include "captures/journey_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STREAM_LIMIT_BYTES (256 * 1024)
#define HTTP_MAX_HEADER_BYTES (16 * 1024)
#define HTTP_MAX_BODY_BYTES (64 * 1024)
/* Enough to tell GET, POST, HTTP and the relay's first frame apart. */
#define FRONT_BYTES 5

enum side_state { SIDE_NEW, SIDE_HTTP, SIDE_DERP, SIDE_TLS, SIDE_IGNORED };

struct tcp_side {
	unsigned vantage;
	struct endpoint src, dst;
	struct stream *bytes;
	enum side_state state;
	bool client;
	uint32_t key;	/* SIDE_DERP, client: 1 + index of its key */
	uint32_t grant; /* 1 + index of what was asked, not yet answered */
	uint32_t tls;	/* SIDE_TLS: 1 + index of the connection, or 0 */
	uint32_t older; /* with the same hash */
};

void sides_free(struct witness *w)
{
	for (size_t i = 0; i < w->side_count; i++)
		stream_free(w->sides[i].bytes);
	free(w->sides);
}

static uint64_t side_hash(unsigned vantage, struct endpoint src,
			  struct endpoint dst)
{
	uint32_t words[4] = {src.ip, dst.ip,
			     (uint32_t)src.port << 16 | dst.port, vantage};

	return table_hash(words, sizeof(words), 3);
}

static struct tcp_side *find_side(const struct witness *w, unsigned vantage,
				  struct endpoint src, struct endpoint dst)
{
	uint32_t i = table_get(&w->by_side, side_hash(vantage, src, dst));

	for (; i; i = w->sides[i - 1].older) {
		struct tcp_side *side = &w->sides[i - 1];

		if (side->vantage == vantage &&
		    endpoint_equal(side->src, src) &&
		    endpoint_equal(side->dst, dst))
			return side;
	}
	return NULL;
}

static struct tcp_side *add_side(struct witness *w, unsigned vantage,
				 struct endpoint src, struct endpoint dst)
{
	uint64_t hash = side_hash(vantage, src, dst);
	struct tcp_side *side;

	if (list_room(&w->sides, &w->side_room, w->side_count,
		      sizeof(*w->sides)) < 0)
		return NULL;
	side = &w->sides[w->side_count];
	*side = (struct tcp_side){.vantage = vantage,
				  .src = src,
				  .dst = dst,
				  .older = table_get(&w->by_side, hash),
				  .bytes = stream_new(STREAM_LIMIT_BYTES)};
	if (!side->bytes)
		return NULL;
	if (table_put(&w->by_side, hash, (uint32_t)w->side_count + 1) < 0) {
		stream_free(side->bytes);
		return NULL;
	}
	w->side_count++;
	return side;
}

static struct tcp_side *other_side(const struct witness *w,
				   const struct tcp_side *side)
{
	return find_side(w, side->vantage, side->dst, side->src);
}

/* 1 + index of the key, 0: no memory. */
static uint32_t find_key(struct witness *w, const uint8_t *bytes)
{
	uint64_t hash = table_hash(bytes, DERP_KEY_BYTES, 4);
	uint32_t first = table_get(&w->by_key, hash);

	for (uint32_t i = first; i; i = w->keys[i - 1].next)
		if (!memcmp(w->keys[i - 1].bytes, bytes, DERP_KEY_BYTES))
			return i;
	if (list_room(&w->keys, &w->key_room, w->key_count, sizeof(*w->keys)) <
		    0 ||
	    table_put(&w->by_key, hash, (uint32_t)w->key_count + 1) < 0)
		return 0;
	w->keys[w->key_count] = (struct relay_key){.host = -1, .next = first};
	memcpy(w->keys[w->key_count].bytes, bytes, DERP_KEY_BYTES);
	return (uint32_t)++w->key_count;
}

/* The client says its key in clear: whose stream it is has that key. */
static int take_client_info(struct witness *w, struct tcp_side *side,
			    const struct seen *seen, const struct derp_frame *f)
{
	struct relay_key *key;

	side->key = find_key(w, f->key);
	if (!side->key)
		return -ENOMEM;
	key = &w->keys[side->key - 1];
	if (!key->connected)
		key->seen_ns = seen->frame->time_ns;
	key->connected = true;
	if (seen->out && seen->node >= 0 &&
	    w->cast->nodes[seen->node].kind == CAST_HOST) {
		key->host = seen->node;
	} else if (!key->seen_from.ip) {
		key->seen_from = seen->src;
	}
	return 0;
}

static int take_derp(struct witness *w, struct tcp_side *side,
		     const struct seen *segment, const struct derp_frame *f)
{
	const struct tcp_side *other = other_side(w, side);
	struct seen seen = *segment;
	uint32_t key;
	bool begun;

	if (f->type == DERP_CLIENT_INFO && side->client)
		return take_client_info(w, side, segment, f);
	if (f->type != (side->client ? DERP_SEND_PACKET : DERP_RECV_PACKET))
		return 0;
	key = find_key(w, f->key);
	if (!key)
		return -ENOMEM;
	seen.tag = TRAIL_RELAY;
	seen.kind = JOURNEY_RELAY |
		    kind_of_payload(f->packet, f->packet_bytes, true);
	seen.id = f->packet;
	seen.id_bytes = f->packet_bytes;
	seen.copy_id = true;
	seen.from_relay = !side->client;
	seen.src_key = side->client ? side->key : key;
	seen.dst_key = side->client ? key : other ? other->key : 0;
	return chain_add(w, &seen, &begun) < 0 ? -ENOMEM : 0;
}

static bool has_word(const uint8_t *data, size_t size_bytes, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= size_bytes; i++)
		if (!strncasecmp((const char *)data + i, word, len))
			return true;
	return false;
}

/* The number after "Content-Length:", -1 where there is none. */
static int64_t content_bytes(const uint8_t *header, size_t header_bytes)
{
	static const char name[] = "\ncontent-length:";
	size_t len = sizeof(name) - 1;
	int64_t size = 0;

	for (size_t i = 0; i + len <= header_bytes; i++) {
		if (strncasecmp((const char *)header + i, name, len))
			continue;
		for (i += len; i < header_bytes && header[i] == ' '; i++)
			;
		for (; i < header_bytes && header[i] >= '0' &&
		       header[i] <= '9' && size <= HTTP_MAX_BODY_BYTES;
		     i++)
			size = size * 10 + (header[i] - '0');
		return size;
	}
	return -1;
}

/* Bytes of the message in front, 0: more are needed, -1: leave it alone. */
static int64_t http_size(const uint8_t *data, size_t size_bytes)
{
	const uint8_t *end = memmem(data, size_bytes, "\r\n\r\n", 4);
	size_t header_bytes;
	int64_t body;

	if (!end)
		return size_bytes > HTTP_MAX_HEADER_BYTES ? -1 : 0;
	header_bytes = (size_t)(end - data) + 4;
	body = content_bytes(data, header_bytes);
	if (body < 0) {
		/* An answer of unknown size lasts until the end. */
		if (!memcmp(data, "HTTP/", 5))
			return -1;
		body = 0;
	}
	if (body > HTTP_MAX_BODY_BYTES)
		return -1;
	if (size_bytes - header_bytes < (size_t)body)
		return 0;
	return (int64_t)header_bytes + body;
}

static int take_http(struct witness *w, struct tcp_side *side,
		     const struct seen *segment, const uint8_t *data,
		     size_t size_bytes)
{
	struct tcp_side *other = other_side(w, side);
	bool answer = !memcmp(data, "HTTP/", 5);
	struct seen seen = *segment;
	bool begun;

	if (!has_word(data, size_bytes, answer ? "Envelope" : "SOAPAction"))
		return 0;
	seen.tag = TRAIL_HTTP;
	seen.kind = JOURNEY_PORTMAP;
	seen.id = data;
	seen.id_bytes = size_bytes;
	seen.copy_id = true;
	if (chain_add(w, &seen, &begun) < 0)
		return -ENOMEM;
	if (!answer && begun)
		return grant_learn_soap(w, &seen, &side->grant);
	if (answer && other && other->grant) {
		grant_learn_answer(w, other->grant, data, size_bytes);
		other->grant = 0;
	}
	return 0;
}

/* What the stream's front says that it is; consumes an upgrade to DERP. */
static void recognise(struct tcp_side *side, const uint8_t *data, size_t size)
{
	static const uint8_t server_key[] = {DERP_SERVER_KEY, 0, 0, 0, 40};
	static const uint8_t tls_handshake[] = {22, 3};
	bool request = !memcmp(data, "GET ", 4);
	int header;

	if (!memcmp(data, tls_handshake, sizeof(tls_handshake))) {
		side->state = SIDE_TLS;
		return;
	}
	if (!memcmp(data, server_key, sizeof(server_key))) {
		/* A client in a hurry does without the answer's header. */
		side->state = SIDE_DERP;
		side->client = false;
		return;
	}
	if (!request && memcmp(data, "HTTP/", 5)) {
		side->state =
			memcmp(data, "POST", 4) ? SIDE_IGNORED : SIDE_HTTP;
		return;
	}
	header = derp_decode_upgrade(data, size, request, NULL);
	if (header < 0) {
		side->state = SIDE_HTTP;
	} else if (header > 0) {
		stream_consume(side->bytes, (size_t)header);
		side->state = SIDE_DERP;
		side->client = request;
	}
}

/* Bytes that were taken off the front; 0: more are needed. */
static int64_t take_one(struct witness *w, struct tcp_side *side,
			const struct seen *seen, const uint8_t *data,
			size_t size)
{
	struct derp_frame f;
	int64_t used;
	int rc = 0;

	if (side->state == SIDE_TLS) {
		struct tcp_side *other =
			side->tls ? NULL : other_side(w, side);

		used = tls_take(w, &side->tls, other ? other->tls : 0, seen,
				data, size);
	} else if (side->state == SIDE_DERP) {
		used = derp_decode(data, size, &f, NULL);
		if (used > 0)
			rc = take_derp(w, side, seen, &f);
	} else {
		used = http_size(data, size);
		if (used > 0)
			rc = take_http(w, side, seen, data, (size_t)used);
	}
	if (used < 0)
		side->state = SIDE_IGNORED;
	return rc < 0 ? rc : used;
}

static int take_bytes(struct witness *w, struct tcp_side *side,
		      const struct seen *seen)
{
	const uint8_t *data;
	int64_t used = 1;
	size_t size;

	while (used > 0) {
		data = stream_data(side->bytes, &size);
		if (side->state == SIDE_NEW) {
			if (size < FRONT_BYTES)
				return 0;
			recognise(side, data, size);
			if (side->state == SIDE_NEW)
				return 0;
			continue;
		}
		if (side->state == SIDE_IGNORED || !size)
			return 0;
		used = take_one(w, side, seen, data, size);
		if (used == -ENOMEM)
			return -ENOMEM;
		if (used > 0)
			stream_consume(side->bytes, (size_t)used);
		/* The next message of the connection may be an upgrade. */
		if (used > 0 && side->state == SIDE_HTTP)
			side->state = SIDE_NEW;
	}
	return 0;
}

int stream_segment(struct witness *w, const struct seen *seen,
		   const struct packet *p)
{
	unsigned vantage = seen->frame->vantage;
	bool syn = p->tcp_flags & TCP_FLAG_SYN;
	bool ends = p->tcp_flags & (TCP_FLAG_FIN | TCP_FLAG_RST);
	struct tcp_side *side;
	int rc;

	if (!syn && !ends && !p->payload_bytes)
		return 0;
	side = find_side(w, vantage, p->src, p->dst);
	if (ends && side)
		tls_closed(w, side->tls, seen->frame->time_ns);
	if (!syn && !p->payload_bytes)
		return 0;
	if (!side)
		side = add_side(w, vantage, p->src, p->dst);
	if (!side)
		return -ENOMEM;
	if (syn && stream_start(side->bytes, p->tcp_seq)) {
		side->state = SIDE_NEW;
		side->key = 0;
		side->grant = 0;
		tls_closed(w, side->tls, seen->frame->time_ns);
		side->tls = 0;
	}
	if (syn || side->state == SIDE_IGNORED)
		return 0;
	if (side->tls && stream_had(side->bytes, p->tcp_seq, p->payload_bytes))
		tls_resent(w, side->tls, seen);
	rc = stream_add(side->bytes, p->tcp_seq, p->payload, p->payload_bytes);
	if (rc == -EOVERFLOW) {
		side->state = SIDE_IGNORED;
		return 0;
	}
	if (rc == 0)
		rc = take_bytes(w, side, seen);
	/* What nobody looks into needs no memory. */
	if (side->state == SIDE_IGNORED) {
		size_t size;

		stream_data(side->bytes, &size);
		stream_consume(side->bytes, size);
	}
	return rc;
}
