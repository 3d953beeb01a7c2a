/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/server.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/derp.h"

/* As in Tailscale's derpserver.go. */
static const uint64_t keep_alive_us = 60 * 1000000ull;
static const uint64_t handshake_us = 10 * 1000000ull;

enum {
	HTTP_MAX_BYTES = 8192,
	INFO_MAX_BYTES = 4096, /* real client info has some 60 */
	SCRATCH_BYTES = DERP_FRAME_HEADER_BYTES + DERP_MAX_FRAME_BYTES
};

enum { GONE_DISCONNECTED = 0, GONE_NOT_HERE = 1 };
enum stage { STAGE_HTTP, STAGE_CLIENT_INFO, STAGE_OPEN };

struct key {
	uint8_t bytes[DERP_KEY_BYTES];
};

struct relay_client {
	uint32_t stream;
	enum stage stage;
	struct key key;	 /* at STAGE_OPEN */
	uint64_t due_us; /* handshake given up, or next keep-alive */
	/*
	 * Bytes that do not make a whole frame yet: never more than the largest
	 * frame, or HTTP_MAX_BYTES, once a call has returned.
	 */
	uint8_t *in;
	size_t in_bytes;
	/*
	 * Keys of connected clients that have sent something to this one, each
	 * once: those whose going it wants to be told.
	 */
	struct key *heard;
	size_t heard_len;
};

struct relay {
	struct key pub, secret;
	struct rng rng;
	struct relay_client **clients; /* in the order of arrival */
	size_t clients_len;
	uint8_t scratch[SCRATCH_BYTES];
};

struct relay *relay_new(uint64_t seed, const char *name)
{
	struct relay *r = calloc(1, sizeof(*r));
	char label[96];

	if (!r)
		return NULL;
	snprintf(label, sizeof(label), "relay %s", name);
	rng_init(&r->rng, seed, label);
	rng_bytes(&r->rng, r->secret.bytes, sizeof(r->secret.bytes));
	crypto_scalarmult_base(r->pub.bytes, r->secret.bytes);
	return r;
}

static void client_destroy(struct relay_client *c)
{
	free(c->in);
	free(c->heard);
	free(c);
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->clients_len; i++)
		client_destroy(r->clients[i]);
	free(r->clients);
	free(r);
}

static bool key_equal(const struct key *a, const uint8_t *b)
{
	return memcmp(a->bytes, b, sizeof(a->bytes)) == 0;
}

static struct relay_client *find_stream(const struct relay *r, uint32_t stream)
{
	for (size_t i = 0; i < r->clients_len; i++)
		if (r->clients[i]->stream == stream)
			return r->clients[i];
	return NULL;
}

static struct relay_client *find_key(const struct relay *r, const uint8_t *key)
{
	for (size_t i = 0; i < r->clients_len; i++)
		if (r->clients[i]->stage == STAGE_OPEN &&
		    key_equal(&r->clients[i]->key, key))
			return r->clients[i];
	return NULL;
}

static void write_frame(const struct relay_client *c, uint8_t type,
			const void *body, size_t body_bytes,
			struct actions *out)
{
	uint8_t frame[DERP_FRAME_HEADER_BYTES + 64];
	int size_bytes =
		derp_encode(type, body, body_bytes, frame, sizeof(frame));

	if (size_bytes > 0)
		actions_write(out, c->stream, frame, (size_t)size_bytes);
}

static void write_peer_gone(const struct relay_client *c, const uint8_t *key,
			    uint8_t reason, struct actions *out)
{
	uint8_t body[DERP_KEY_BYTES + 1];

	memcpy(body, key, DERP_KEY_BYTES);
	body[DERP_KEY_BYTES] = reason;
	write_frame(c, DERP_PEER_GONE, body, sizeof(body), out);
}

/* --- who has heard whom -------------------------------------------------- */

/* Its place in the list, or the list's length. */
static size_t heard_at(const struct relay_client *c, const uint8_t *key)
{
	size_t at = 0;

	while (at < c->heard_len && !key_equal(&c->heard[at], key))
		at++;
	return at;
}

static void heard_add(struct relay_client *c, const struct key *key,
		      struct actions *out)
{
	struct key *more;

	if (heard_at(c, key->bytes) < c->heard_len)
		return;
	more = realloc(c->heard, (c->heard_len + 1) * sizeof(*more));
	if (!more) {
		out->failed = true;
		return;
	}
	c->heard = more;
	c->heard[c->heard_len++] = *key;
}

/*
 * As Tailscale's relay: told are those to whom the one that went had sent
 * something, because they may have learnt a route through this relay from it.
 */
static void tell_gone(struct relay *r, const struct key *key,
		      struct actions *out)
{
	for (size_t i = 0; i < r->clients_len; i++) {
		struct relay_client *c = r->clients[i];
		size_t at = heard_at(c, key->bytes);

		if (at == c->heard_len)
			continue;
		c->heard[at] = c->heard[--c->heard_len];
		write_peer_gone(c, key->bytes, GONE_DISCONNECTED, out);
	}
}

/* --- coming and going ---------------------------------------------------- */

static void detach(struct relay *r, struct relay_client *c)
{
	size_t at = 0;

	while (r->clients[at] != c)
		at++;
	r->clients_len--;
	memmove(&r->clients[at], &r->clients[at + 1],
		(r->clients_len - at) * sizeof(*r->clients));
}

/* Forgets C, whose stream is closed or about to be. */
static void client_drop(struct relay *r, struct relay_client *c,
			struct actions *out)
{
	detach(r, c);
	if (c->stage == STAGE_OPEN)
		tell_gone(r, &c->key, out);
	client_destroy(c);
}

static void client_close(struct relay *r, struct relay_client *c,
			 struct actions *out)
{
	actions_close(out, c->stream);
	client_drop(r, c, out);
}

void relay_on_accept(struct relay *r, uint64_t now_us, uint32_t stream,
		     struct endpoint peer, struct actions *out)
{
	struct relay_client *c = calloc(1, sizeof(*c));
	struct relay_client **more;

	(void)peer;
	more = realloc(r->clients, (r->clients_len + 1) * sizeof(*more));
	if (more)
		r->clients = more;
	if (!c || !more) {
		free(c);
		out->failed = true;
		actions_close(out, stream);
		return;
	}
	c->stream = stream;
	c->due_us = now_us + handshake_us;
	r->clients[r->clients_len++] = c;
}

void relay_on_closed(struct relay *r, uint64_t now_us, uint32_t stream,
		     struct actions *out)
{
	struct relay_client *c = find_stream(r, stream);

	(void)now_us;
	if (c)
		client_drop(r, c, out);
}

/* --- HTTP ---------------------------------------------------------------- */

/* What a relay's HTTP side is asked besides DERP; the first that fits. */
static const struct page {
	const char *path;
	const char *status;
} pages[] = {
	{"/derp/probe", "200 OK"},
	{"/derp/latency-check", "200 OK"},
	{"/generate_204", "204 No Content"}, /* captive portal check */
	{"/derp", "426 Upgrade Required\r\nUpgrade: DERP"},
};

/* The header so far, as text: method, blank, path, blank. */
static const char *status_of(const char *head)
{
	const char *path = strchr(head, ' ');

	for (size_t i = 0; path && i < sizeof(pages) / sizeof(pages[0]); i++) {
		size_t len = strlen(pages[i].path);

		if (strncmp(path + 1, pages[i].path, len) == 0 &&
		    strchr(" ?", path[1 + len]))
			return pages[i].status;
	}
	return "404 Not Found";
}

static bool method_known(const char *head)
{
	static const char *const methods[] = {"GET ", "HEAD ", "POST ", "PUT ",
					      "OPTIONS "};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strncmp(head, methods[i],
			    strnlen(head, strlen(methods[i]))) == 0)
			return true;
	return false;
}

/* False once the connection is to be closed. */
static bool refuse_http(const struct relay_client *c, struct actions *out)
{
	char head[HTTP_MAX_BYTES + 1], answer[256];
	size_t len =
		c->in_bytes < HTTP_MAX_BYTES ? c->in_bytes : HTTP_MAX_BYTES;
	int answer_len;

	memcpy(head, c->in, len);
	head[len] = '\0';
	if (!method_known(head))
		return false;
	if (!strstr(head, "\r\n\r\n") && len < HTTP_MAX_BYTES)
		return true;
	answer_len = snprintf(answer, sizeof(answer),
			      "HTTP/1.1 %s\r\nContent-Length: 0\r\n"
			      "Connection: close\r\n\r\n",
			      status_of(head));
	actions_write(out, c->stream, answer, (size_t)answer_len);
	return false;
}

static int on_http(struct relay *r, struct relay_client *c, const uint8_t *data,
		   size_t size_bytes, struct actions *out)
{
	int used = derp_decode_upgrade(data, size_bytes, true, NULL);
	int answer_bytes;

	if (used < 0)
		return refuse_http(c, out) ? 0 : -1;
	if (!used)
		return 0;
	answer_bytes = derp_encode_upgrade_response(r->scratch, SCRATCH_BYTES);
	if (answer_bytes < 0)
		return -1;
	actions_write(out, c->stream, r->scratch, (size_t)answer_bytes);
	answer_bytes =
		derp_encode_server_key(r->pub.bytes, r->scratch, SCRATCH_BYTES);
	if (answer_bytes < 0)
		return -1;
	actions_write(out, c->stream, r->scratch, (size_t)answer_bytes);
	c->stage = STAGE_CLIENT_INFO;
	return used;
}

/* --- frames -------------------------------------------------------------- */

static bool info_valid(const char *text)
{
	json_t *info = json_loads(text, 0, NULL);
	bool valid = json_is_object(info);

	json_decref(info);
	return valid;
}

/* Newest wins: the client that left without a goodbye comes back like this. */
static void replace(struct relay *r, const struct key *key, struct actions *out)
{
	struct relay_client *old = find_key(r, key->bytes);

	if (!old)
		return;
	actions_close(out, old->stream);
	detach(r, old);
	client_destroy(old);
}

static bool on_client_info(struct relay *r, uint64_t now_us,
			   struct relay_client *c,
			   const struct derp_frame *frame, struct actions *out)
{
	uint8_t nonce[DERP_NONCE_BYTES];
	char info[INFO_MAX_BYTES];
	struct key key;
	int size_bytes;

	if (frame->type != DERP_CLIENT_INFO ||
	    derp_open_client_info(frame, r->secret.bytes, key.bytes, info,
				  sizeof(info)) < 0 ||
	    !info_valid(info))
		return false;
	rng_bytes(&r->rng, nonce, sizeof(nonce));
	size_bytes = derp_encode_server_info(r->secret.bytes, key.bytes, nonce,
					     "{\"version\":2}", r->scratch,
					     SCRATCH_BYTES);
	if (size_bytes < 0)
		return false;
	replace(r, &key, out);
	c->key = key;
	c->stage = STAGE_OPEN;
	c->due_us = now_us + keep_alive_us;
	actions_write(out, c->stream, r->scratch, (size_t)size_bytes);
	return true;
}

static void on_send(struct relay *r, const struct relay_client *c,
		    const struct derp_frame *frame, struct actions *out)
{
	struct relay_client *to = find_key(r, frame->key);
	int size_bytes;

	if (!to) {
		write_peer_gone(c, frame->key, GONE_NOT_HERE, out);
		return;
	}
	size_bytes = derp_encode_packet(DERP_RECV_PACKET, c->key.bytes,
					frame->packet, frame->packet_bytes,
					r->scratch, SCRATCH_BYTES);
	if (size_bytes < 0)
		return;
	heard_add(to, &c->key, out);
	actions_write(out, to->stream, r->scratch, (size_t)size_bytes);
}

/* False: not to be had from an honest client; the connection is closed. */
static bool on_frame(struct relay *r, uint64_t now_us, struct relay_client *c,
		     const struct derp_frame *frame, struct actions *out)
{
	if (c->stage == STAGE_CLIENT_INFO)
		return on_client_info(r, now_us, c, frame, out);
	switch (frame->type) {
	case DERP_SEND_PACKET:
		on_send(r, c, frame, out);
		return true;
	case DERP_PING:
		write_frame(c, DERP_PONG, frame->body, 8, out);
		return true;
	case DERP_NOTE_PREFERRED:
		return frame->body_bytes == 1; /* for statistics only */
	case DERP_FORWARD_PACKET:
		return false; /* relays of a mesh may, and there is none */
	default:
		return true;
	}
}

/* Bytes used of DATA, 0 where more are needed, or negative: close. */
static int step(struct relay *r, uint64_t now_us, struct relay_client *c,
		const uint8_t *data, size_t size_bytes, struct actions *out)
{
	struct derp_frame frame;
	int used;

	if (c->stage == STAGE_HTTP)
		return on_http(r, c, data, size_bytes, out);
	used = derp_decode(data, size_bytes, &frame, NULL);
	if (used > 0 && !on_frame(r, now_us, c, &frame, out))
		return -1;
	return used;
}

static bool take_in(struct relay_client *c, const void *data, size_t size_bytes)
{
	uint8_t *more = realloc(c->in, c->in_bytes + size_bytes);

	if (!more)
		return false;
	memcpy(more + c->in_bytes, data, size_bytes);
	c->in = more;
	c->in_bytes += size_bytes;
	return true;
}

void relay_on_stream(struct relay *r, uint64_t now_us, uint32_t stream,
		     const void *data, size_t size_bytes, struct actions *out)
{
	struct relay_client *c = find_stream(r, stream);
	size_t at_bytes = 0;
	int used = 1;

	if (!c || !size_bytes)
		return;
	if (!take_in(c, data, size_bytes)) {
		out->failed = true;
		client_close(r, c, out);
		return;
	}
	while (used > 0 && at_bytes < c->in_bytes) {
		used = step(r, now_us, c, c->in + at_bytes,
			    c->in_bytes - at_bytes, out);
		if (used > 0)
			at_bytes += (size_t)used;
	}
	if (used < 0) {
		client_close(r, c, out);
		return;
	}
	c->in_bytes -= at_bytes;
	memmove(c->in, c->in + at_bytes, c->in_bytes);
}

/* --- time ---------------------------------------------------------------- */

uint64_t relay_deadline(const struct relay *r)
{
	uint64_t due_us = ACTIONS_NEVER;

	for (size_t i = 0; i < r->clients_len; i++)
		if (r->clients[i]->due_us < due_us)
			due_us = r->clients[i]->due_us;
	return due_us;
}

void relay_on_timer(struct relay *r, uint64_t now_us, struct actions *out)
{
	/* Backwards: a handshake given up shortens the list. */
	for (size_t i = r->clients_len; i-- > 0;) {
		struct relay_client *c = r->clients[i];

		if (c->due_us > now_us)
			continue;
		if (c->stage != STAGE_OPEN) {
			client_close(r, c, out);
			continue;
		}
		write_frame(c, DERP_KEEP_ALIVE, NULL, 0, out);
		/* One, however late the call is, and on the same beat. */
		c->due_us += ((now_us - c->due_us) / keep_alive_us + 1) *
			     keep_alive_us;
	}
}
