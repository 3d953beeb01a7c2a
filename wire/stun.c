/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/stun.h"

#include <errno.h>
#include <string.h>

#include "wire/cursor.h"

enum {
	HEADER_BYTES = 20,
	ATTRIBUTE_HEADER_BYTES = 4,
	FINGERPRINT_BYTES = 4,
	IPV4_VALUE_BYTES = 8,
	IPV6_VALUE_BYTES = 20
};

enum { FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 };

/* RFC 8489 18.3 and RFC 5780 9.1. */
enum attribute {
	MAPPED_ADDRESS = 0x0001,
	CHANGE_REQUEST = 0x0003,
	USERNAME = 0x0006,
	MESSAGE_INTEGRITY = 0x0008,
	ERROR_CODE = 0x0009,
	UNKNOWN_ATTRIBUTES = 0x000a,
	REALM = 0x0014,
	NONCE = 0x0015,
	MESSAGE_INTEGRITY_SHA256 = 0x001c,
	PASSWORD_ALGORITHM = 0x001d,
	USERHASH = 0x001e,
	XOR_MAPPED_ADDRESS = 0x0020,
	PADDING = 0x0026,
	RESPONSE_PORT = 0x0027,
	/* From here on a receiver may ignore what it does not know. */
	COMPREHENSION_OPTIONAL = 0x8000,
	XOR_MAPPED_ADDRESS_DRAFT = 0x8020, /* old servers send this one */
	SOFTWARE = 0x8022,
	FINGERPRINT = 0x8028,
	RESPONSE_ORIGIN = 0x802b,
	OTHER_ADDRESS = 0x802c
};

enum { UNKNOWN_MAX = 8 }; /* as many as struct stun_message holds */
_Static_assert(sizeof(((struct stun_message *)0)->unknown_required) ==
		       UNKNOWN_MAX * sizeof(uint16_t),
	       "UNKNOWN_MAX is the array's size");

static const uint32_t magic_cookie = 0x2112a442;
static const uint32_t fingerprint_xor = 0x5354554e; /* "STUN" */

/* What the loop over the attributes must remember. */
struct decoding {
	const uint8_t *data; /* of the whole message */
	struct stun_message *m;
	bool xor_seen;	     /* it wins over MAPPED-ADDRESS */
	bool integrity_seen; /* only FINGERPRINT counts after it */
	bool last_seen;	     /* FINGERPRINT: nothing may follow */
};

/* CRC-32 of ISO 3309, as FINGERPRINT wants it (RFC 8489 14.7). */
static uint32_t crc32(const uint8_t *data, size_t size_bytes)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < size_bytes; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static size_t padding_after(size_t size_bytes)
{
	return -size_bytes & 3;
}

/*
 * The two bits of the class sit between those of the method (RFC 8489 5):
 * M11..M7 C1 M6..M4 C0 M3..M0.
 */
static uint16_t type_of(enum stun_class class, uint16_t method)
{
	unsigned c = (unsigned)class;

	return (uint16_t)((method & 0xf80) << 2 | (c & 2) << 7 |
			  (method & 0x70) << 1 | (c & 1) << 4 | (method & 0xf));
}

static enum stun_class class_of(uint16_t type)
{
	return (enum stun_class)((type >> 7 & 2) | (type >> 4 & 1));
}

static uint16_t method_of(uint16_t type)
{
	return (uint16_t)((type >> 2 & 0xf80) | (type >> 1 & 0x70) |
			  (type & 0xf));
}

bool stun_looks_like(const void *data, size_t size_bytes)
{
	struct reader r = reader_over(data, size_bytes);
	uint16_t type = reader_u16(&r);

	reader_skip(&r, 2);
	return reader_u32(&r) == magic_cookie && type < 0x4000 &&
	       size_bytes >= HEADER_BYTES;
}

/* An IPv6 address is well-formed, but nothing this lab could use: none. */
static void read_address(struct reader *r, uint32_t xor, struct endpoint *e)
{
	size_t size_bytes = reader_left(r);
	uint8_t family;
	uint16_t port;

	reader_skip(r, 1);
	family = reader_u8(r);
	port = reader_u16(r);
	if (family == FAMILY_IPV4 && size_bytes == IPV4_VALUE_BYTES) {
		e->ip = reader_u32(r) ^ xor;
		e->port = (uint16_t)(port ^ xor >> 16);
	} else if (family != FAMILY_IPV6 || size_bytes != IPV6_VALUE_BYTES) {
		r->bad = true;
	}
}

/*
 * These texts end up on terminals and in JSON and XML reports, so whatever is
 * not printable ASCII becomes a question mark.
 */
static void read_text(struct reader *r, char *text, size_t text_bytes)
{
	size_t len = 0;

	while (reader_left(r) && len + 1 < text_bytes) {
		uint8_t c = reader_u8(r);

		text[len++] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	text[len] = '\0';
}

static void read_error_code(struct reader *r, struct stun_message *m)
{
	unsigned class, number;

	reader_skip(r, 2);
	class = reader_u8(r) & 7;
	number = reader_u8(r);
	if (class < 3 || class > 6 || number > 99)
		r->bad = true;
	m->error_code = (uint16_t)(class * 100 + number);
	read_text(r, m->error_reason, sizeof(m->error_reason));
}

static void add_unknown(struct stun_message *m, uint16_t type)
{
	if (m->unknown_required_count < UNKNOWN_MAX)
		m->unknown_required[m->unknown_required_count++] = type;
}

static void read_fingerprint(struct reader *r, struct decoding *d,
			     size_t before_bytes)
{
	uint32_t want = crc32(d->data, before_bytes) ^ fingerprint_xor;

	if (reader_u32(r) != want || reader_left(r))
		r->bad = true;
	d->m->fingerprint = true;
	d->last_seen = true;
}

/* Of an attribute that comes twice the first one counts (RFC 8489 14). */
static void read_first_address(struct reader *r, struct endpoint *e)
{
	struct endpoint read = {0};

	read_address(r, 0, &read);
	if (!e->ip)
		*e = read;
}

static void read_mapped(struct reader *r, struct decoding *d, bool is_xor)
{
	struct endpoint read = {0};

	read_address(r, is_xor ? magic_cookie : 0, &read);
	if (d->xor_seen || (!is_xor && d->m->mapped.ip))
		return;
	d->m->mapped = read;
	d->xor_seen = is_xor;
}

static void read_response_port(struct reader *r, struct stun_message *m)
{
	/* Both ways to count RFC 5780 7.5's padding are met in the field. */
	if (reader_left(r) != 2 && reader_left(r) != 4)
		r->bad = true;
	m->response_port = reader_u16(r);
}

static void read_change_request(struct reader *r, struct stun_message *m)
{
	if (reader_left(r) != 4)
		r->bad = true;
	m->change_request = reader_u32(r) & (STUN_CHANGE_IP | STUN_CHANGE_PORT);
}

static void read_unknown_attributes(struct reader *r, struct stun_message *m)
{
	if (reader_left(r) & 1)
		r->bad = true;
	while (reader_left(r))
		add_unknown(m, reader_u16(r));
}

/*
 * In an error response the field is the other side's list (UNKNOWN-ATTRIBUTES),
 * so ours must not get mixed into it.
 */
static void note_unknown(struct stun_message *m, uint16_t type)
{
	if (type < COMPREHENSION_OPTIONAL && m->class != STUN_ERROR)
		add_unknown(m, type);
}

static void read_known(struct reader *r, struct decoding *d, uint16_t type)
{
	struct stun_message *m = d->m;

	switch (type) {
	case MAPPED_ADDRESS:
	case XOR_MAPPED_ADDRESS:
	case XOR_MAPPED_ADDRESS_DRAFT:
		read_mapped(r, d, type != MAPPED_ADDRESS);
		break;
	case RESPONSE_ORIGIN:
		read_first_address(r, &m->response_origin);
		break;
	case OTHER_ADDRESS:
		read_first_address(r, &m->other_address);
		break;
	case CHANGE_REQUEST:
		read_change_request(r, m);
		break;
	case RESPONSE_PORT:
		read_response_port(r, m);
		break;
	case PADDING:
		m->padding_bytes = (uint16_t)reader_left(r);
		break;
	case ERROR_CODE:
		read_error_code(r, m);
		break;
	case UNKNOWN_ATTRIBUTES:
		read_unknown_attributes(r, m);
		break;
	case SOFTWARE:
		read_text(r, m->software, sizeof(m->software));
		break;
	case MESSAGE_INTEGRITY:
	case MESSAGE_INTEGRITY_SHA256:
		d->integrity_seen = true;
		break;
	case USERNAME:
	case REALM:
	case NONCE:
	case PASSWORD_ALGORITHM:
	case USERHASH:
		/* Credentials: understood, and not asked for. */
		break;
	default:
		note_unknown(m, type);
		break;
	}
}

/* Reads one attribute; R is set bad where the message is not well-formed. */
static void read_attribute(struct reader *r, struct decoding *d)
{
	size_t before_bytes = r->at_bytes;
	uint16_t type = reader_u16(r);
	size_t size_bytes = reader_u16(r);
	const uint8_t *value = reader_view(r, size_bytes);
	struct reader body;

	reader_skip(r, padding_after(size_bytes));
	if (r->bad || d->last_seen) {
		r->bad = true;
		return;
	}
	body = reader_over(value, size_bytes);
	if (type == FINGERPRINT)
		read_fingerprint(&body, d, before_bytes);
	else if (!d->integrity_seen)
		read_known(&body, d, type);
	if (body.bad)
		r->bad = true;
}

int stun_decode(const void *data, size_t size_bytes, struct stun_message *m,
		struct err *err)
{
	struct reader r = reader_over(data, size_bytes);
	struct decoding d = {.data = data, .m = m};
	uint16_t type, length;

	*m = (struct stun_message){0};
	if (!stun_looks_like(data, size_bytes))
		return err_set(
			err, EBADMSG,
			"no STUN header with a magic cookie in %zu bytes",
			size_bytes);
	type = reader_u16(&r);
	length = reader_u16(&r);
	reader_skip(&r, 4);
	m->class = class_of(type);
	m->method = method_of(type);
	reader_bytes(&r, m->txid, sizeof(m->txid));
	if (length % 4 || length != reader_left(&r))
		return err_set(err, EBADMSG,
			       "STUN length field says %u, %zu bytes follow",
			       length, reader_left(&r));
	while (reader_left(&r)) {
		size_t at_bytes = r.at_bytes;

		read_attribute(&r, &d);
		if (r.bad)
			return err_set(err, EBADMSG,
				       "STUN attribute at byte %zu is "
				       "malformed",
				       at_bytes);
	}
	return 0;
}

static void write_attribute(struct writer *w, enum attribute type,
			    size_t size_bytes)
{
	writer_u16(w, (uint16_t)type);
	writer_u16(w, (uint16_t)size_bytes);
}

static void write_address(struct writer *w, enum attribute type, uint32_t xor,
			  struct endpoint e)
{
	if (!e.ip)
		return;
	write_attribute(w, type, IPV4_VALUE_BYTES);
	writer_u8(w, 0);
	writer_u8(w, FAMILY_IPV4);
	writer_u16(w, (uint16_t)(e.port ^ xor >> 16));
	writer_u32(w, e.ip ^ xor);
}

static void write_text(struct writer *w, const char *text, size_t text_bytes)
{
	size_t len = strnlen(text, text_bytes);

	writer_bytes(w, text, len);
	writer_zero(w, padding_after(len));
}

static void write_error(struct writer *w, const struct stun_message *m)
{
	unsigned count = m->unknown_required_count;
	size_t len = strnlen(m->error_reason, sizeof(m->error_reason));

	if (m->error_code) {
		write_attribute(w, ERROR_CODE, 4 + len);
		writer_u16(w, 0);
		writer_u8(w, (uint8_t)(m->error_code / 100));
		writer_u8(w, (uint8_t)(m->error_code % 100));
		write_text(w, m->error_reason, sizeof(m->error_reason));
	}
	if (count > UNKNOWN_MAX)
		w->bad = true;
	if (m->class == STUN_ERROR && count && !w->bad) {
		write_attribute(w, UNKNOWN_ATTRIBUTES, count * 2u);
		for (unsigned i = 0; i < count; i++)
			writer_u16(w, m->unknown_required[i]);
		writer_zero(w, padding_after(count * 2u));
	}
}

static void write_request_options(struct writer *w,
				  const struct stun_message *m)
{
	if (m->change_request) {
		write_attribute(w, CHANGE_REQUEST, 4);
		writer_u32(w, m->change_request);
	}
	if (m->response_port) {
		write_attribute(w, RESPONSE_PORT, 4);
		writer_u16(w, m->response_port);
		writer_u16(w, 0);
	}
	if (m->padding_bytes) {
		write_attribute(w, PADDING, m->padding_bytes);
		writer_zero(w, m->padding_bytes);
		writer_zero(w, padding_after(m->padding_bytes));
	}
}

/* The length field counts FINGERPRINT already while it is computed. */
static void write_fingerprint(struct writer *w)
{
	size_t before_bytes = w->at_bytes;

	writer_patch_u16(w, 2,
			 (uint16_t)(before_bytes - HEADER_BYTES +
				    ATTRIBUTE_HEADER_BYTES +
				    FINGERPRINT_BYTES));
	write_attribute(w, FINGERPRINT, FINGERPRINT_BYTES);
	if (!w->bad)
		writer_u32(w, crc32(w->data, before_bytes) ^ fingerprint_xor);
}

int stun_encode(const struct stun_message *m, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	writer_u16(&w, type_of(m->class, m->method));
	writer_u16(&w, 0);
	writer_u32(&w, magic_cookie);
	writer_bytes(&w, m->txid, sizeof(m->txid));
	if (m->software[0]) {
		write_attribute(&w, SOFTWARE,
				strnlen(m->software, sizeof(m->software)));
		write_text(&w, m->software, sizeof(m->software));
	}
	write_address(&w, XOR_MAPPED_ADDRESS, magic_cookie, m->mapped);
	write_address(&w, RESPONSE_ORIGIN, 0, m->response_origin);
	write_address(&w, OTHER_ADDRESS, 0, m->other_address);
	write_request_options(&w, m);
	write_error(&w, m);
	/* With the largest PADDING the 16 bits of the length may not do. */
	if (w.at_bytes - HEADER_BYTES > UINT16_MAX - 8u)
		w.bad = true;
	writer_patch_u16(&w, 2, (uint16_t)(w.at_bytes - HEADER_BYTES));
	if (m->fingerprint)
		write_fingerprint(&w);
	return writer_result(&w);
}
