/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check_engine_world.h"

#include <stdlib.h>
#include <string.h>

struct world w;

void world_setup(void)
{
	w = (struct world){.now_us = 1000 * SECOND};
	w.out = calloc(OUT_MAX, sizeof(*w.out));
	ck_assert_ptr_nonnull(w.out);
}

void world_teardown(void)
{
	engine_free(w.engine);
	free(w.out);
}

struct engine_config world_config(void)
{
	return (struct engine_config){
		.mapping = ENGINE_EI,
		.filtering = ENGINE_APD,
		.ports = ENGINE_PORTS_PRESERVE_OR_RANDOM,
		.pool = {POOL1, POOL2, POOL3},
		.pool_count = 1,
		.lan_net = IP(10, 0, 0, 0),
		.lan_mask = IP(255, 255, 255, 0),
		.seed = 1,
	};
}

void world_engine(const struct engine_config *config)
{
	struct err err = {.text = ""};

	engine_free(w.engine);
	ck_assert_msg(!engine_new(config, &w.engine, &err), "%s", err.text);
}

/* ---- checks on what comes out ---- */

static uint32_t sum(const uint8_t *data, size_t size_bytes)
{
	uint32_t total = 0;

	for (size_t i = 0; i < size_bytes; i++)
		total += i & 1 ? data[i] : (uint32_t)data[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

/* Addresses, protocol and length (RFC 768, 9293), then the rest. */
static uint32_t sum_with_pseudo_header(const uint8_t *ip, size_t header_bytes,
				       size_t size_bytes)
{
	uint32_t total = sum(ip + 12, 8) + ip[9] +
			 (uint32_t)(size_bytes - header_bytes) +
			 sum(ip + header_bytes, size_bytes - header_bytes);

	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static void check_sums(const uint8_t *ip, size_t size_bytes)
{
	size_t header_bytes = (ip[0] & 15) * 4u;
	size_t total_bytes = (size_t)(ip[2] << 8 | ip[3]);
	const uint8_t *transport = ip + header_bytes;

	ck_assert_uint_ge(size_bytes, header_bytes);
	ck_assert_uint_eq(sum(ip, header_bytes), 0xffff);
	/* A part, or a quoted part: no transport checksum covers that. */
	if ((ip[6] << 8 | ip[7]) & 0x3fff || total_bytes != size_bytes)
		return;
	switch (ip[9]) {
	case PACKET_UDP:
		if (transport[6] || transport[7])
			ck_assert_uint_eq(sum_with_pseudo_header(
						  ip, header_bytes, size_bytes),
					  0xffff);
		break;
	case PACKET_TCP:
		ck_assert_uint_eq(
			sum_with_pseudo_header(ip, header_bytes, size_bytes),
			0xffff);
		break;
	case PACKET_ICMP:
		ck_assert_uint_eq(sum(transport, size_bytes - header_bytes),
				  0xffff);
		if (transport[0] == 3 || transport[0] == 11 ||
		    transport[0] == 12)
			check_sums(transport + 8,
				   size_bytes - header_bytes - 8);
		break;
	}
}

static void take(void *arg, enum engine_side to, const uint8_t *packet,
		 size_t size_bytes)
{
	struct emitted *out = &w.out[w.count++];
	struct err err = {.text = ""};

	(void)arg;
	ck_assert_uint_lt(w.count, OUT_MAX);
	ck_assert_uint_le(size_bytes, PACKET_MAX);
	out->to = to;
	out->size_bytes = size_bytes;
	memcpy(out->data, packet, size_bytes);
	ck_assert_uint_eq(packet[2] << 8 | packet[3], size_bytes);
	if (!w.broken_sums)
		check_sums(packet, size_bytes);
	ck_assert_msg(!packet_decode(PACKET_LINK_RAW, out->data, size_bytes,
				     &out->packet, &err),
		      "%s", err.text);
}

/* ---- making packets ---- */

static void put16(uint8_t *to, unsigned v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static void put32(uint8_t *to, uint32_t v)
{
	put16(to, v >> 16);
	put16(to + 2, v & 0xffff);
}

void mend_ip(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~sum(ip, (ip[0] & 15) * 4u));
}

size_t make_ip(const struct ip_fields *ip, const void *payload,
	       size_t payload_bytes, uint8_t *out)
{
	size_t header_bytes = 20 + ip->option_bytes;
	size_t size_bytes = header_bytes + payload_bytes;

	memset(out, 0, 20);
	memset(out + 20, 1, ip->option_bytes); /* no operation */
	out[0] = (uint8_t)(0x40 | header_bytes / 4);
	put16(out + 2, (unsigned)size_bytes);
	put16(out + 4, ip->id);
	put16(out + 6, (ip->more ? 0x2000u : 0) | ip->offset_bytes / 8);
	out[8] = ip->ttl;
	out[9] = ip->proto;
	put32(out + 12, ip->src);
	put32(out + 16, ip->dst);
	mend_ip(out);
	memcpy(out + header_bytes, payload, payload_bytes);
	return size_bytes;
}

size_t make_udp(struct endpoint src, struct endpoint dst, uint8_t *out)
{
	static uint16_t id;

	return (size_t)packet_encode_udp(src, dst, 64, ++id, "natrig", 6, out,
					 PACKET_MAX);
}

size_t make_tcp(struct endpoint src, struct endpoint dst, uint8_t flags,
		uint8_t *out)
{
	struct ip_fields ip = {
		.src = src.ip, .dst = dst.ip, .proto = PACKET_TCP, .ttl = 64};
	uint8_t tcp[25] = "";
	size_t size_bytes;

	put16(tcp, src.port);
	put16(tcp + 2, dst.port);
	put32(tcp + 4, 0x01020304);
	put32(tcp + 8, flags & ACK ? 0x0a0b0c0d : 0);
	tcp[12] = 0x50;
	tcp[13] = flags;
	put16(tcp + 14, 8192);
	memcpy(tcp + 20, "hello", 5);
	size_bytes = make_ip(&ip, tcp, flags & SYN ? 20 : 25, out);
	put16(out + 36, (uint16_t)~sum_with_pseudo_header(out, 20, size_bytes));
	return size_bytes;
}

size_t make_error(uint8_t type, uint8_t code, uint32_t src, uint32_t dst,
		  const uint8_t *quoted, size_t quoted_bytes, uint8_t *out)
{
	struct ip_fields ip = {
		.src = src, .dst = dst, .proto = PACKET_ICMP, .ttl = 64};
	uint8_t icmp[PACKET_MAX] = {type, code};

	memcpy(icmp + 8, quoted, quoted_bytes);
	put16(icmp + 2, (uint16_t)~sum(icmp, 8 + quoted_bytes));
	return make_ip(&ip, icmp, 8 + quoted_bytes, out);
}

/* ---- handing them in ---- */

enum engine_verdict give(enum engine_side from, const uint8_t *packet,
			 size_t size_bytes)
{
	/* Of just that size, so that a sanitizer sees one byte too many. */
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
	enum engine_verdict verdict;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, packet, size_bytes);
	w.count = 0;
	verdict = engine_input(w.engine, w.now_us, from, copy, size_bytes, take,
			       NULL);
	free(copy);
	return verdict;
}

enum engine_verdict give_udp(enum engine_side from, struct endpoint src,
			     struct endpoint dst)
{
	uint8_t packet[PACKET_MAX];

	return give(from, packet, make_udp(src, dst, packet));
}

enum engine_verdict give_tcp(enum engine_side from, struct endpoint src,
			     struct endpoint dst, uint8_t flags)
{
	uint8_t packet[PACKET_MAX];

	return give(from, packet, make_tcp(src, dst, flags, packet));
}

enum engine_verdict give_echo(enum engine_side from, uint8_t type, uint32_t src,
			      uint32_t dst, uint16_t id)
{
	uint8_t packet[PACKET_MAX];
	int size_bytes = packet_encode_icmp_echo(type, src, dst, id, 7, "odd",
						 3, packet, sizeof(packet));

	return give(from, packet, (size_t)size_bytes);
}

void pass_us(uint64_t us)
{
	w.now_us += us;
	w.count = 0;
	engine_on_timer(w.engine, w.now_us, take, NULL);
	ck_assert_uint_gt(engine_deadline(w.engine), w.now_us);
}

static struct endpoint left(enum engine_verdict verdict, struct endpoint dst)
{
	if (verdict != ENGINE_FORWARDED) {
		ck_assert_uint_eq(w.count, 0);
		return at(0, 0);
	}
	ck_assert_uint_eq(w.count, 1);
	ck_assert_int_eq(w.out[0].to, ENGINE_WAN);
	ck_assert(endpoint_equal(w.out[0].packet.dst, dst));
	ck_assert_uint_eq(w.out[0].packet.ttl, 63);
	return w.out[0].packet.src;
}

static bool entered(enum engine_verdict verdict, struct endpoint remote)
{
	if (verdict != ENGINE_FORWARDED)
		return false;
	ck_assert_uint_eq(w.count, 1);
	ck_assert_int_eq(w.out[0].to, ENGINE_LAN);
	ck_assert(endpoint_equal(w.out[0].packet.src, remote));
	ck_assert_uint_eq(w.out[0].packet.ttl, 63);
	return true;
}

struct endpoint leaves(struct endpoint src, struct endpoint dst)
{
	return left(give_udp(ENGINE_LAN, src, dst), dst);
}

struct endpoint leaves_tcp(struct endpoint src, struct endpoint dst)
{
	return left(give_tcp(ENGINE_LAN, src, dst, SYN), dst);
}

bool enters(struct endpoint remote, struct endpoint outside)
{
	return entered(give_udp(ENGINE_WAN, remote, outside), remote);
}

bool enters_tcp(struct endpoint remote, struct endpoint outside)
{
	return entered(give_tcp(ENGINE_WAN, remote, outside, SYN), remote);
}

struct engine_stats stats(void)
{
	struct engine_stats now;

	engine_stats(w.engine, &now);
	return now;
}
