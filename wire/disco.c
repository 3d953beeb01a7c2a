/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/disco.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "wire/cursor.h"

enum {
	MAGIC_BYTES = 6,
	BOX_EXTRA_BYTES = 16, /* what the box adds: its Poly1305 tag */
	TYPE_BYTES = 2,	      /* type, version */
	ENDPOINT_BYTES = 18,
	IPV4_PREFIX_BYTES = 12,
	/* A ping that probes the path's MTU is padded up to a jumbo frame. */
	PLAIN_MAX_BYTES = 9216
};

/* Sizes of whole messages, for those who cannot open them. */
enum {
	EMPTY_SIZE_BYTES = DISCO_HEADER_BYTES + BOX_EXTRA_BYTES + TYPE_BYTES,
	PONG_SIZE_BYTES = EMPTY_SIZE_BYTES + DISCO_TXID_BYTES + ENDPOINT_BYTES,
	PING_SIZE_BYTES = EMPTY_SIZE_BYTES + DISCO_TXID_BYTES + DISCO_KEY_BYTES
};

_Static_assert(crypto_box_PUBLICKEYBYTES == DISCO_KEY_BYTES &&
		       crypto_box_NONCEBYTES == DISCO_NONCE_BYTES &&
		       crypto_box_MACBYTES == BOX_EXTRA_BYTES,
	       "libsodium's box is the one that DISCO uses");

static const uint8_t magic[MAGIC_BYTES] = {'T', 'S', 0xf0, 0x9f, 0x92, 0xac};
/* ::ffff:0:0/96, RFC 4291 2.5.5.2 */
static const uint8_t ipv4_prefix[IPV4_PREFIX_BYTES] = {
	[10] = 0xff, [11] = 0xff};

bool disco_looks_like(const void *data, size_t size_bytes)
{
	return size_bytes >= DISCO_HEADER_BYTES + BOX_EXTRA_BYTES &&
	       memcmp(data, magic, sizeof(magic)) == 0;
}

int disco_sender(const void *data, size_t size_bytes,
		 uint8_t sender_key[static DISCO_KEY_BYTES])
{
	struct reader r = reader_over(data, size_bytes);

	if (!disco_looks_like(data, size_bytes))
		return -EBADMSG;
	reader_skip(&r, sizeof(magic));
	reader_bytes(&r, sender_key, DISCO_KEY_BYTES);
	return 0;
}

int disco_kind_by_size(size_t size_bytes, bool over_relay)
{
	if (size_bytes == PONG_SIZE_BYTES)
		return DISCO_PONG;
	/*
	 * A padded ping may have such a size as well, but pings are hardly
	 * ever padded over the relay, which has no MTU to probe.
	 */
	if (over_relay && size_bytes >= EMPTY_SIZE_BYTES &&
	    (size_bytes - EMPTY_SIZE_BYTES) % ENDPOINT_BYTES == 0)
		return DISCO_CALL_ME_MAYBE;
	if (size_bytes >= PING_SIZE_BYTES)
		return DISCO_PING;
	return 0;
}

/* False, and E untouched, where the address is no IPv4-mapped one. */
static bool read_endpoint(struct reader *r, struct endpoint *e)
{
	const uint8_t *prefix = reader_view(r, IPV4_PREFIX_BYTES);
	struct endpoint read = {0};

	read.ip = reader_u32(r);
	read.port = reader_u16(r);
	if (r->bad || memcmp(prefix, ipv4_prefix, IPV4_PREFIX_BYTES) != 0)
		return false;
	*e = read;
	return true;
}

static void write_endpoint(struct writer *w, struct endpoint e)
{
	writer_bytes(w, ipv4_prefix, IPV4_PREFIX_BYTES);
	writer_u32(w, e.ip);
	writer_u16(w, e.port);
}

/*
 * Whether a node key or padding follows the transaction id only its content
 * tells: padding is zero, and no key is.
 */
static void read_ping(struct reader *r, struct disco_message *m)
{
	reader_bytes(r, m->txid, sizeof(m->txid));
	if (reader_left(r) >= DISCO_KEY_BYTES) {
		struct reader after = *r;

		reader_bytes(&after, m->node_key, DISCO_KEY_BYTES);
		m->has_node_key = !sodium_is_zero(m->node_key, DISCO_KEY_BYTES);
		if (m->has_node_key)
			*r = after;
	}
	m->padding_bytes = reader_left(r);
}

static void read_call_me_maybe(struct reader *r, struct disco_message *m)
{
	while (reader_left(r) >= ENDPOINT_BYTES &&
	       m->endpoint_count < DISCO_MAX_ENDPOINTS) {
		if (read_endpoint(r, &m->endpoints[m->endpoint_count]))
			m->endpoint_count++;
	}
}

/* Versions beyond 0 only append, so the byte is not looked at. */
static void read_plain(struct reader *r, struct disco_message *m)
{
	m->type = reader_u8(r);
	reader_skip(r, 1);
	switch (m->type) {
	case DISCO_PING:
		read_ping(r, m);
		break;
	case DISCO_PONG:
		reader_bytes(r, m->txid, sizeof(m->txid));
		read_endpoint(r, &m->observed);
		break;
	case DISCO_CALL_ME_MAYBE:
		read_call_me_maybe(r, m);
		break;
	default:
		break;
	}
}

static void write_plain(struct writer *w, const struct disco_message *m)
{
	writer_u8(w, m->type);
	writer_u8(w, 0);
	switch (m->type) {
	case DISCO_PING:
		writer_bytes(w, m->txid, sizeof(m->txid));
		if (m->has_node_key)
			writer_bytes(w, m->node_key, sizeof(m->node_key));
		writer_zero(w, m->padding_bytes);
		break;
	case DISCO_PONG:
		writer_bytes(w, m->txid, sizeof(m->txid));
		write_endpoint(w, m->observed);
		break;
	case DISCO_CALL_ME_MAYBE:
		if (m->endpoint_count > DISCO_MAX_ENDPOINTS)
			w->bad = true;
		for (unsigned i = 0; !w->bad && i < m->endpoint_count; i++)
			write_endpoint(w, m->endpoints[i]);
		break;
	default:
		break;
	}
}

int disco_seal(const struct disco_message *m,
	       const uint8_t sender_pub[static DISCO_KEY_BYTES],
	       const uint8_t sender_secret[static DISCO_KEY_BYTES],
	       const uint8_t recipient_pub[static DISCO_KEY_BYTES],
	       const uint8_t nonce[static DISCO_NONCE_BYTES], void *out,
	       size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);
	uint8_t plain[PLAIN_MAX_BYTES];
	struct writer p = writer_over(plain, sizeof(plain));
	int plain_bytes;
	uint8_t *box;

	write_plain(&p, m);
	plain_bytes = writer_result(&p);
	if (plain_bytes < 0)
		return plain_bytes;
	writer_bytes(&w, magic, sizeof(magic));
	writer_bytes(&w, sender_pub, DISCO_KEY_BYTES);
	writer_bytes(&w, nonce, DISCO_NONCE_BYTES);
	box = writer_room(&w, (size_t)plain_bytes + BOX_EXTRA_BYTES);
	/* libsodium refuses keys of low order only: nobody has such a key. */
	if (box && crypto_box_easy(box, plain, (unsigned)plain_bytes, nonce,
				   recipient_pub, sender_secret) != 0)
		return -EINVAL;
	return writer_result(&w);
}

int disco_open(const void *data, size_t size_bytes,
	       const uint8_t recipient_secret[static DISCO_KEY_BYTES],
	       struct disco_message *m, struct err *err)
{
	struct reader r = reader_over(data, size_bytes);
	const uint8_t *sender, *nonce, *box;
	uint8_t plain[PLAIN_MAX_BYTES];
	size_t box_bytes;

	*m = (struct disco_message){0};
	if (!disco_looks_like(data, size_bytes))
		return err_set(err, EBADMSG, "no DISCO header in %zu bytes",
			       size_bytes);
	reader_skip(&r, sizeof(magic));
	sender = reader_view(&r, DISCO_KEY_BYTES);
	nonce = reader_view(&r, DISCO_NONCE_BYTES);
	box_bytes = reader_left(&r);
	box = reader_view(&r, box_bytes);
	if (box_bytes > sizeof(plain) + BOX_EXTRA_BYTES)
		return err_set(err, EBADMSG,
			       "DISCO message of %zu bytes is too long",
			       size_bytes);
	if (crypto_box_open_easy(plain, box, box_bytes, nonce, sender,
				 recipient_secret) != 0)
		return err_set(err, EACCES,
			       "DISCO box does not open: it was sealed to "
			       "another key, or changed on its way");
	r = reader_over(plain, box_bytes - BOX_EXTRA_BYTES);
	read_plain(&r, m);
	if (!r.bad)
		return 0;
	*m = (struct disco_message){0};
	return err_set(err, EBADMSG, "DISCO payload of %zu bytes cut short",
		       box_bytes - BOX_EXTRA_BYTES);
}
