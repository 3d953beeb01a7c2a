/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/pcp.h"

#include <errno.h>
#include <string.h>

#include "wire/cursor.h"

enum { RESPONSE_BIT = 0x80, IPV4_PREFIX_BYTES = 12 };

/* RFC 6887 13; those below 128 must be understood or refused. */
enum { OPTION_PREFER_FAILURE = 2, OPTION_OPTIONAL = 128 };

/* ::ffff:0:0/96, RFC 6887 5 */
static const uint8_t ipv4_prefix[IPV4_PREFIX_BYTES] = {
	[10] = 0xff, [11] = 0xff};

bool pcp_looks_like(const void *data, size_t size_bytes)
{
	struct reader r = reader_over(data, size_bytes);

	return reader_u8(&r) == PCP_VERSION && size_bytes >= PCP_HEADER_BYTES;
}

static uint32_t read_ip(struct reader *r)
{
	const uint8_t *prefix = reader_view(r, IPV4_PREFIX_BYTES);
	uint32_t ip = reader_u32(r);

	if (r->bad || memcmp(prefix, ipv4_prefix, IPV4_PREFIX_BYTES) != 0)
		return 0;
	return ip;
}

static void write_ip(struct writer *w, uint32_t ip)
{
	writer_bytes(w, ipv4_prefix, IPV4_PREFIX_BYTES);
	writer_u32(w, ip);
}

/* RFC 6887 7.1 and 7.2; both headers have the same size. */
static void read_header(struct reader *r, struct pcp_message *m)
{
	uint8_t op;

	reader_skip(r, 1); /* version */
	op = reader_u8(r);
	m->response = op & RESPONSE_BIT;
	m->op = op & (RESPONSE_BIT - 1);
	if (m->response) {
		reader_skip(r, 1);
		m->result = reader_u8(r);
		m->lifetime_s = reader_u32(r);
		m->epoch_s = reader_u32(r);
		reader_skip(r, 12);
	} else {
		reader_skip(r, 2);
		m->lifetime_s = reader_u32(r);
		m->client_ip = read_ip(r);
	}
}

/* RFC 6887 11.1 */
static void read_map(struct reader *r, struct pcp_message *m)
{
	reader_bytes(r, m->nonce, sizeof(m->nonce));
	m->protocol = reader_u8(r);
	reader_skip(r, 3);
	m->internal_port = reader_u16(r);
	m->external_port = reader_u16(r);
	m->external_ip = read_ip(r);
}

/* RFC 6887 7.3: code, reserved, length, data padded to four bytes. */
static void read_options(struct reader *r, struct pcp_message *m)
{
	while (reader_left(r)) {
		uint8_t code = reader_u8(r);
		size_t size_bytes;

		reader_skip(r, 1);
		size_bytes = reader_u16(r);
		reader_skip(r, size_bytes + (-size_bytes & 3));
		if (code == OPTION_PREFER_FAILURE)
			m->prefer_failure = true;
		else if (code < OPTION_OPTIONAL && !m->unknown_option)
			m->unknown_option = code;
	}
}

int pcp_decode(const void *data, size_t size_bytes, struct pcp_message *m,
	       struct err *err)
{
	struct reader r = reader_over(data, size_bytes);

	*m = (struct pcp_message){0};
	/* The size rules are RFC 6887 8.2's. */
	if (!pcp_looks_like(data, size_bytes) || size_bytes % 4 ||
	    size_bytes > PCP_MAX_BYTES)
		return err_set(err, EBADMSG,
			       "%zu bytes are no PCP message of version %d",
			       size_bytes, PCP_VERSION);
	read_header(&r, m);
	if (m->op == PCP_MAP && (reader_left(&r) || !m->result)) {
		read_map(&r, m);
		read_options(&r, m);
	}
	if (!r.bad)
		return 0;
	*m = (struct pcp_message){0};
	return err_set(err, EBADMSG, "PCP message of %zu bytes cut short",
		       size_bytes);
}

int pcp_encode(const struct pcp_message *m, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	writer_u8(&w, PCP_VERSION);
	writer_u8(&w, (uint8_t)(m->op | (m->response ? RESPONSE_BIT : 0)));
	writer_u8(&w, 0);
	writer_u8(&w, m->response ? m->result : 0);
	writer_u32(&w, m->lifetime_s);
	if (m->response) {
		writer_u32(&w, m->epoch_s);
		writer_zero(&w, 12);
	} else {
		write_ip(&w, m->client_ip);
	}
	if (m->op == PCP_MAP) {
		writer_bytes(&w, m->nonce, sizeof(m->nonce));
		writer_u8(&w, m->protocol);
		writer_zero(&w, 3);
		writer_u16(&w, m->internal_port);
		writer_u16(&w, m->external_port);
		write_ip(&w, m->external_ip);
		if (m->prefer_failure)
			writer_u32(&w, (uint32_t)OPTION_PREFER_FAILURE << 24);
	}
	return writer_result(&w);
}
