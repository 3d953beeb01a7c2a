/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/natpmp.h"

#include <errno.h>

#include "wire/cursor.h"

enum { VERSION = 0, RESPONSE_BIT = 0x80 };

static bool is_map(uint8_t op)
{
	return op == NATPMP_MAP_UDP || op == NATPMP_MAP_TCP;
}

/* RFC 6886 3.2 (address) and 3.3 (mapping). */
static void read_response(struct reader *r, struct natpmp_message *m)
{
	m->result = reader_u16(r);
	m->epoch_s = reader_u32(r);
	/*
	 * Where the result tells of a failure, servers differ in how much
	 * they send after it (3.5), and none of it means a thing.
	 */
	if (m->result && !reader_left(r))
		return;
	if (m->op == NATPMP_ADDRESS)
		m->external_ip = reader_u32(r);
}

int natpmp_decode(const void *data, size_t size_bytes, struct natpmp_message *m,
		  struct err *err)
{
	struct reader r = reader_over(data, size_bytes);
	unsigned version = reader_u8(&r);
	uint8_t op = reader_u8(&r);

	*m = (struct natpmp_message){0};
	m->op = op & (RESPONSE_BIT - 1);
	m->response = op & RESPONSE_BIT;
	if (m->response)
		read_response(&r, m);
	else if (is_map(m->op))
		reader_skip(&r, 2);
	if (is_map(m->op) && !(m->result && !reader_left(&r))) {
		m->internal_port = reader_u16(&r);
		m->external_port = reader_u16(&r);
		m->lifetime_s = reader_u32(&r);
	}
	if (!r.bad && version == VERSION)
		return 0;
	*m = (struct natpmp_message){0};
	if (version != VERSION)
		return err_set(err, EBADMSG, "version %u is not NAT-PMP's 0",
			       version);
	return err_set(err, EBADMSG, "NAT-PMP message of %zu bytes cut short",
		       size_bytes);
}

int natpmp_encode(const struct natpmp_message *m, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	writer_u8(&w, VERSION);
	writer_u8(&w, (uint8_t)(m->op | (m->response ? RESPONSE_BIT : 0)));
	if (m->response) {
		writer_u16(&w, m->result);
		writer_u32(&w, m->epoch_s);
		if (m->op == NATPMP_ADDRESS)
			writer_u32(&w, m->external_ip);
	} else if (is_map(m->op)) {
		writer_u16(&w, 0);
	}
	if (is_map(m->op)) {
		writer_u16(&w, m->internal_port);
		writer_u16(&w, m->external_port);
		writer_u32(&w, m->lifetime_s);
	}
	return writer_result(&w);
}
