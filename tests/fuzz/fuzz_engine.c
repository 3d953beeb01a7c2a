/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NAT engine of any behaviour between packets of all kinds, in time. The
 * first bytes are its configuration, then come actions of one byte and what
 * they need. Packets are made from few addresses and ports, so that they meet;
 * what came out can be answered, quoted in an error, or come again changed.
 *
 * Whatever goes in: what comes out is well formed, and its checksums are right
 * where they were right before; it never leaves with an inside address, and
 * never enters with none; nothing due stays undone; the counts add up.
 */
#include <string.h>

#include "netns/engine.h"
#include "tests/fuzz/fuzz.h"
#include "wire/cursor.h"

enum { UDP = 17, TCP = 6, ICMP = 1, ROOM = 65600, LAST_MAX = 2048 };

static const uint32_t lan_net = 0x0a000000, lan_mask = 0xffffff00;
static const uint32_t pool[3] = {0x19000001, 0x19000002, 0x19000003};

struct run {
	struct engine *engine;
	struct engine_config config;
	uint64_t now_us, inputs, emitted;
	size_t mtu_bytes; /* of both sides; 0: any */
	uint8_t in[ROOM];
	enum engine_side last_to; /* of what came out last */
	uint8_t last[LAST_MAX];
	size_t last_bytes;
};

static uint32_t sum(const uint8_t *data, size_t size_bytes)
{
	uint32_t total = 0;

	for (size_t i = 0; i < size_bytes; i++)
		total += i & 1 ? data[i] : (uint32_t)data[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static uint16_t get16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static void put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static void put32(uint8_t *to, uint32_t v)
{
	put16(to, v >> 16);
	put16(to + 2, v);
}

/* Where the transport checksum is, 0: none (of a whole packet). */
static size_t sum_at(const uint8_t *ip)
{
	size_t header_bytes = (ip[0] & 15) * 4u;

	switch (ip[9]) {
	case UDP:
		return get16(ip + header_bytes + 6) ? header_bytes + 6 : 0;
	case TCP:
		return header_bytes + 16;
	case ICMP:
		return header_bytes + 2;
	default:
		return 0;
	}
}

/* Over what the transport checksum covers, of a whole packet. */
static uint32_t transport_sum(const uint8_t *ip)
{
	size_t header_bytes = (ip[0] & 15) * 4u;
	size_t left_bytes = get16(ip + 2) - header_bytes;
	uint32_t total = sum(ip + header_bytes, left_bytes);

	if (ip[9] != ICMP)
		total += sum(ip + 12, 8) + ip[9] + (uint32_t)left_bytes;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static bool transport_is_right(const uint8_t *ip)
{
	return !sum_at(ip) || transport_sum(ip) == 0xffff;
}

static bool is_fragment(const uint8_t *ip)
{
	return get16(ip + 6) & 0x3fff;
}

static bool is_pool(const struct run *r, uint32_t ip)
{
	for (unsigned i = 0; i < r->config.pool_count; i++)
		if (pool[i] == ip)
			return true;
	return false;
}

static void take(void *arg, enum engine_side to, const uint8_t *packet,
		 size_t size_bytes)
{
	struct run *r = arg;
	size_t header_bytes = (packet[0] & 15) * 4u;

	FUZZ_HOLDS(size_bytes >= 20 && packet[0] >> 4 == 4);
	FUZZ_HOLDS(header_bytes >= 20 && header_bytes <= size_bytes);
	FUZZ_HOLDS(get16(packet + 2) == size_bytes);
	FUZZ_HOLDS(sum(packet, header_bytes) == 0xffff);
	FUZZ_HOLDS(packet[8] > 0);
	FUZZ_HOLDS(!r->mtu_bytes || size_bytes <= r->mtu_bytes);
	if (to == ENGINE_WAN)
		FUZZ_HOLDS(is_pool(r, get32(packet + 12)));
	else
		FUZZ_HOLDS((get32(packet + 16) & lan_mask) == lan_net);
	r->emitted++;
	r->last_to = to;
	r->last_bytes = size_bytes < LAST_MAX ? size_bytes : LAST_MAX;
	memcpy(r->last, packet, r->last_bytes);
}

static void check_counts(const struct run *r)
{
	struct engine_stats s;

	engine_stats(r->engine, &s);
	FUZZ_HOLDS(s.forwarded + s.dropped + s.rejected + s.to_host + s.held ==
		   r->inputs);
	FUZZ_HOLDS(s.emitted == r->emitted);
	FUZZ_HOLDS(s.mappings == s.mappings_made - s.mappings_ended);
	FUZZ_HOLDS(s.mappings <= r->config.max_mappings);
	FUZZ_HOLDS(s.sessions <= r->config.max_sessions);
	FUZZ_HOLDS(s.mappings || !s.sessions);
}

static void give(struct run *r, enum engine_side from, size_t size_bytes)
{
	uint64_t emitted_before = r->emitted;
	/* Of just that size, so that a sanitizer sees one byte too many. */
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
	enum engine_verdict verdict;

	FUZZ_HOLDS(copy);
	memcpy(copy, r->in, size_bytes);
	verdict = engine_input(r->engine, r->now_us, from, copy, size_bytes,
			       take, r);
	r->inputs++;
	if (verdict == ENGINE_FORWARDED || verdict == ENGINE_REJECTED)
		FUZZ_HOLDS(r->emitted > emitted_before);
	if (verdict == ENGINE_FORWARDED && !is_fragment(copy) &&
	    !is_fragment(r->last) && get16(copy + 2) <= LAST_MAX)
		FUZZ_HOLDS(transport_is_right(r->last) ==
			   transport_is_right(copy));
	if (verdict == ENGINE_REJECTED && !is_fragment(copy) &&
	    !is_fragment(r->last))
		FUZZ_HOLDS(transport_is_right(r->last));
	free(copy);
	check_counts(r);
}

/* Sums that are right: otherwise hardly anything would get in. */
static void mend(uint8_t *ip)
{
	size_t header_bytes = (ip[0] & 15) * 4u, at;
	uint32_t total;

	put16(ip + 10, 0);
	put16(ip + 10, ~sum(ip, header_bytes));
	if (is_fragment(ip) || get16(ip + 2) < header_bytes + 20)
		return;
	at = sum_at(ip);
	if (!at)
		return;
	put16(ip + at, 0);
	total = ~transport_sum(ip) & 0xffff;
	put16(ip + at, total ? total : 0xffff);
}

static uint32_t address(uint8_t choice)
{
	static const uint32_t addresses[] = {
		0x0a000002, 0x0a000003, 0x0a000004, 0x19000001,
		0x19000002, 0x19000003, 0x19010001, 0x19010002,
		0x19010003, 0x0a000001, 0x0a0000ff, 0xffffffff,
		0xeffffffa, 0x7f000001, 0,	    0xf0000001};

	return addresses[choice & 15];
}

/* side and protocol, addresses, ports, flags or type, shape */
static void make_packet(struct run *r, struct reader *in)
{
	static const uint8_t protos[] = {UDP, UDP, TCP, ICMP};
	uint8_t kind = reader_u8(in), who = reader_u8(in);
	uint8_t ports = reader_u8(in), flags = reader_u8(in);
	/* Room for any header, and as fragments end: on a multiple of 8. */
	uint8_t shape = reader_u8(in), *ip = r->in, *at = ip + 20;
	uint8_t proto = kind & 64 ? 47 : protos[kind >> 1 & 3];
	size_t size_bytes = 20u + 24 + (shape & 7) * 8u;

	memset(ip, 0, size_bytes);
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)size_bytes);
	ip[5] = kind >> 3 & 3; /* id */
	put16(ip + 6, (shape >> 3 & 1 ? 0x2000u : 0) | (shape >> 4 & 7) |
			      (kind & 128 ? 0x4000u : 0));
	ip[8] = shape & 128 ? 1 : 64;
	ip[9] = proto;
	put32(ip + 12, address(who >> 4));
	put32(ip + 16, address(who & 15));
	put16(at, 1000u + (ports >> 4));
	put16(at + 2, 1000u + (ports & 15));
	if (proto == TCP) {
		at[12] = 0x50;
		at[13] = flags & 31;
	} else if (proto == UDP) {
		put16(at + 4, (uint32_t)size_bytes - 20 + (shape & 8));
		put16(at + 6, flags & 1);
	} else {
		at[0] = flags & 15;
		at[1] = flags >> 4;
		put16(at + 4, 1000u + (ports >> 4));
	}
	mend(ip);
	give(r, kind & 1 ? ENGINE_WAN : ENGINE_LAN, size_bytes);
}

/* What came out last comes back from where it went. */
static void answer(struct run *r, struct reader *in)
{
	size_t header_bytes = (r->last[0] & 15) * 4u;
	uint8_t flags = reader_u8(in), port[2], *at = r->in + header_bytes;

	if (r->last_bytes < header_bytes + 20 ||
	    get16(r->last + 2) != r->last_bytes)
		return;
	memcpy(r->in, r->last, r->last_bytes);
	memcpy(r->in + 12, r->last + 16, 4);
	memcpy(r->in + 16, r->last + 12, 4);
	if (r->in[9] == ICMP) {
		at[0] ^= 8; /* echo and echo reply */
	} else {
		memcpy(port, at, 2);
		memcpy(at, at + 2, 2);
		memcpy(at + 2, port, 2);
	}
	if (r->in[9] == TCP)
		at[13] = flags & 31;
	r->in[8] = 64;
	mend(r->in);
	give(r, r->last_to, r->last_bytes);
}

/* An error about what came out last. */
static void complain(struct run *r, struct reader *in)
{
	static const uint8_t types[] = {3, 11, 4, 12};
	uint8_t how = reader_u8(in), quoted_bytes = reader_u8(in);
	size_t size_bytes = r->last_bytes;

	if (!size_bytes)
		return;
	if (how & 4 && quoted_bytes < size_bytes)
		size_bytes = quoted_bytes;
	if (size_bytes > 1000)
		size_bytes = 1000;
	memset(r->in, 0, 28);
	r->in[0] = 0x45;
	put16(r->in + 2, (uint32_t)size_bytes + 28);
	r->in[8] = 64;
	r->in[9] = ICMP;
	memcpy(r->in + 12, r->last + (how & 8 ? 16 : 12), 4);
	if (how & 16)
		put32(r->in + 12, address(how >> 4));
	memcpy(r->in + 16, r->last + 12, 4);
	r->in[20] = types[how & 3];
	memcpy(r->in + 28, r->last, size_bytes);
	if (how & 32)
		r->in[28 + quoted_bytes % (size_bytes ? size_bytes : 1)] ^= how;
	mend(r->in);
	give(r, r->last_to, size_bytes + 28);
}

/* Bytes as they are, or with sums that are right. */
static void raw(struct run *r, struct reader *in)
{
	uint8_t how = reader_u8(in);
	size_t size_bytes = reader_u8(in);
	const uint8_t *bytes;

	if (size_bytes > reader_left(in))
		size_bytes = reader_left(in);
	bytes = reader_view(in, size_bytes);
	if (!bytes)
		return;
	memcpy(r->in, bytes, size_bytes);
	if (how & 2 && size_bytes >= 20) {
		r->in[0] = (uint8_t)(0x45 + (how >> 2 & 1));
		put16(r->in + 2, (uint32_t)size_bytes);
		if (size_bytes >= (r->in[0] & 15) * 4u)
			mend(r->in);
	}
	give(r, how & 1 ? ENGINE_WAN : ENGINE_LAN, size_bytes);
}

static void change_last(struct run *r, struct reader *in)
{
	size_t at = reader_u8(in);
	uint8_t value = reader_u8(in), how = reader_u8(in);

	if (!r->last_bytes || get16(r->last + 2) != r->last_bytes)
		return;
	memcpy(r->in, r->last, r->last_bytes);
	r->in[at % r->last_bytes] = value;
	if (how & 2 && (r->in[0] & 15) >= 5 &&
	    get16(r->in + 2) == r->last_bytes &&
	    (r->in[0] & 15) * 4u <= r->last_bytes)
		mend(r->in);
	give(r, how & 1 ? ENGINE_WAN : ENGINE_LAN, r->last_bytes);
}

static void map(struct run *r, struct reader *in)
{
	uint8_t how = reader_u8(in), ports = reader_u8(in);
	int proto = how & 1 ? UDP : TCP;
	uint16_t external = (uint16_t)(1000 + (ports >> 4));

	if ((how & 14) == 14)
		engine_evict_port(r->engine, proto, external);
	else if ((how & 6) == 6)
		engine_unmap_softly(r->engine, proto, external);
	else if (how & 2)
		engine_unmap(r->engine, proto, external);
	else
		engine_map(r->engine, r->now_us, proto, external,
			   address(how >> 4), (uint16_t)(1000 + (ports & 15)),
			   how >> 2 & 3 ? 20u * (how >> 2 & 3) : 0);
	check_counts(r);
}

static void timer(struct run *r)
{
	engine_on_timer(r->engine, r->now_us, take, r);
	FUZZ_HOLDS(engine_deadline(r->engine) > r->now_us);
	check_counts(r);
}

static void act(struct run *r, struct reader *in)
{
	struct engine_stats s;
	uint64_t deadline_us;

	switch (reader_u8(in) % 12) {
	default:
		make_packet(r, in);
		break;
	case 3:
		answer(r, in);
		break;
	case 4:
		complain(r, in);
		break;
	case 5:
		raw(r, in);
		break;
	case 6:
		change_last(r, in);
		break;
	case 7:
		map(r, in);
		break;
	case 8: /* to just before, or at, what is next */
		deadline_us = engine_deadline(r->engine);
		if (deadline_us != ENGINE_NEVER && deadline_us > r->now_us)
			r->now_us = deadline_us - (reader_u8(in) & 1);
		timer(r);
		break;
	case 9:
		r->now_us += (uint64_t)reader_u8(in) * 500000;
		break;
	case 10:
		timer(r);
		break;
	case 11:
		if (reader_u8(in) % 8)
			break;
		engine_flush(r->engine, true);
		engine_stats(r->engine, &s);
		FUZZ_HOLDS(!s.mappings && !s.sessions);
		FUZZ_HOLDS(engine_deadline(r->engine) == ENGINE_NEVER);
		break;
	}
}

static void configure(struct engine_config *c, struct reader *in)
{
	uint8_t a = reader_u8(in), b = reader_u8(in), d = reader_u8(in);

	*c = (struct engine_config){
		.mapping = (a & 3) % 3,
		.filtering = (a >> 2 & 3) % 3,
		.ports = (a >> 4 & 7) % 5,
		.preserve_parity = a >> 7,
		.hairpin = (b & 3) % 3,
		.stray = (b >> 2 & 3) % 3,
		.paired_pooling = b >> 4 & 1,
		.refresh_inbound = b >> 5 & 1,
		.absolute_lifetime = b >> 6 & 1,
		.map_outbound = b >> 7,
		.map_apart = !(b >> 7) && d & 1,
		.hairpin_unfiltered = d >> 1 & 1,
		.pool_count = 1u + d % 3,
		.udp_blocked = (d >> 2 & 15) == 15,
		.udp_timeout_s = 30,
		.udp_stream_timeout_s = d >> 6 & 1 ? 120 : 0,
		.lan_net = lan_net,
		.lan_mask = lan_mask,
		/* Few, so that they run out. */
		.max_mappings = 8,
		.max_sessions = 12,
		.port_low = d >> 7 ? 1000 : 0,
		.port_high = d >> 7 ? 1011 : 0,
		.block_ports = 4,
		.seed = d,
	};
	memcpy(c->pool, pool, sizeof(pool));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;
	struct reader in = reader_over(data, size);
	struct err err;

	memset(&r, 0, sizeof(r));
	configure(&r.config, &in);
	FUZZ_HOLDS(!engine_new(&r.config, &r.engine, &err));
	/* Some links take little. */
	if (size > 2 && (data[2] >> 2 & 15) > 12)
		r.mtu_bytes = 68;
	engine_set_mtu(r.engine, ENGINE_LAN, r.mtu_bytes);
	engine_set_mtu(r.engine, ENGINE_WAN, r.mtu_bytes);
	while (reader_left(&in))
		act(&r, &in);
	r.now_us += UINT64_C(100000) * 1000000;
	timer(&r);
	engine_flush(r.engine, true);
	FUZZ_HOLDS(engine_deadline(r.engine) == ENGINE_NEVER);
	check_counts(&r);
	engine_free(r.engine);
	return 0;
}
