/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/wireguard.h"

#include <errno.h>

#include "wire/cursor.h"

static void read_fields(struct reader *r, struct wireguard_message *m)
{
	static const uint8_t reserved[3];

	m->type = reader_u8(r);
	reader_expect(r, reserved, sizeof(reserved));
	switch (m->type) {
	case WIREGUARD_INITIATION:
		m->sender = reader_u32_le(r);
		reader_bytes(r, m->ephemeral, sizeof(m->ephemeral));
		reader_bytes(r, m->sealed_static, sizeof(m->sealed_static));
		reader_bytes(r, m->sealed_timestamp,
			     sizeof(m->sealed_timestamp));
		break;
	case WIREGUARD_RESPONSE:
		m->sender = reader_u32_le(r);
		m->receiver = reader_u32_le(r);
		reader_bytes(r, m->ephemeral, sizeof(m->ephemeral));
		reader_bytes(r, m->sealed_nothing, sizeof(m->sealed_nothing));
		break;
	case WIREGUARD_COOKIE:
		/* Nonce (24) and sealed cookie (32): nobody reads them here. */
		m->receiver = reader_u32_le(r);
		m->packet_bytes = reader_left(r);
		m->packet = reader_view(r, m->packet_bytes);
		break;
	case WIREGUARD_DATA:
		m->receiver = reader_u32_le(r);
		m->counter = reader_u64_le(r);
		m->packet_bytes = reader_left(r);
		m->packet = reader_view(r, m->packet_bytes);
		break;
	default:
		r->bad = true;
		break;
	}
	if (m->type == WIREGUARD_INITIATION || m->type == WIREGUARD_RESPONSE) {
		reader_bytes(r, m->mac1, sizeof(m->mac1));
		reader_bytes(r, m->mac2, sizeof(m->mac2));
	}
}

static bool size_fits(uint8_t type, size_t size_bytes)
{
	switch (type) {
	case WIREGUARD_INITIATION:
		return size_bytes == WIREGUARD_INITIATION_BYTES;
	case WIREGUARD_RESPONSE:
		return size_bytes == WIREGUARD_RESPONSE_BYTES;
	case WIREGUARD_COOKIE:
		return size_bytes == WIREGUARD_COOKIE_BYTES;
	case WIREGUARD_DATA:
		return size_bytes >=
		       WIREGUARD_DATA_HEADER_BYTES + WIREGUARD_TAG_BYTES;
	default:
		return false;
	}
}

bool wireguard_looks_like(const void *data, size_t size_bytes)
{
	struct reader r = reader_over(data, size_bytes);
	uint32_t type = reader_u32_le(&r); /* and the reserved zeros */

	return !r.bad && type <= UINT8_MAX &&
	       size_fits((uint8_t)type, size_bytes);
}

int wireguard_decode(const void *data, size_t size_bytes,
		     struct wireguard_message *m, struct err *err)
{
	struct reader r = reader_over(data, size_bytes);

	*m = (struct wireguard_message){0};
	if (!wireguard_looks_like(data, size_bytes))
		return err_set(err, EBADMSG,
			       "no WireGuard message: %zu bytes fit none of "
			       "the four types",
			       size_bytes);
	read_fields(&r, m);
	return 0;
}

int wireguard_encode(const struct wireguard_message *m, void *out,
		     size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);
	int ret;

	writer_u32_le(&w, m->type);
	if (m->type == WIREGUARD_INITIATION || m->type == WIREGUARD_RESPONSE)
		writer_u32_le(&w, m->sender);
	if (m->type != WIREGUARD_INITIATION)
		writer_u32_le(&w, m->receiver);
	switch (m->type) {
	case WIREGUARD_INITIATION:
		writer_bytes(&w, m->ephemeral, sizeof(m->ephemeral));
		writer_bytes(&w, m->sealed_static, sizeof(m->sealed_static));
		writer_bytes(&w, m->sealed_timestamp,
			     sizeof(m->sealed_timestamp));
		break;
	case WIREGUARD_RESPONSE:
		writer_bytes(&w, m->ephemeral, sizeof(m->ephemeral));
		writer_bytes(&w, m->sealed_nothing, sizeof(m->sealed_nothing));
		break;
	case WIREGUARD_DATA:
		writer_u64_le(&w, m->counter);
		writer_bytes(&w, m->packet, m->packet_bytes);
		break;
	default:
		writer_bytes(&w, m->packet, m->packet_bytes);
		break;
	}
	if (m->type == WIREGUARD_INITIATION || m->type == WIREGUARD_RESPONSE) {
		writer_bytes(&w, m->mac1, sizeof(m->mac1));
		writer_bytes(&w, m->mac2, sizeof(m->mac2));
	}
	ret = writer_result(&w);
	if (ret >= 0 && !size_fits(m->type, (size_t)ret))
		return -EINVAL;
	return ret;
}
