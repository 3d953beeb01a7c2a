/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/tls_pipe.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const char *const world[] = {"host a home-a 192.168.1.2",
				    "router home-a - 25.0.0.2 192.168.1.1",
				    "host b home-b 192.168.3.2",
				    "router home-b - 25.0.0.4 192.168.3.1",
				    "router edge-c - 25.0.0.3 192.168.2.1",
				    "host c edge-c 192.168.2.2",
				    "server relay - 25.0.1.3",
				    NULL};

static const struct {
	const char *host, *router, *inside, *outside;
} homes[TLS_HOSTS] = {
	{"a", "home-a", "192.168.1.2:5000", "25.0.0.2:5000"},
	{"b", "home-b", "192.168.3.2:5500", "25.0.0.4:5501"},
	{"c", "edge-c", "192.168.2.2:6000", "25.0.0.3:7777"},
};

#define RELAY "25.0.1.3:443"

struct stage *tls_stage(void)
{
	return stage_of(world);
}

static void set_hop(char hop[64], const char *node, const char *port,
		    const char *way, const char *src, const char *dst, int ttl)
{
	snprintf(hop, 64, "%s.%s %s %s %s %d", node, port, way, src, dst, ttl);
}

void tls_clients_init(struct tls_client clients[TLS_HOSTS], struct stage *s)
{
	for (int i = 0; i < TLS_HOSTS; i++) {
		const char *host = homes[i].host, *router = homes[i].router;
		const char *in = homes[i].inside, *out = homes[i].outside;
		struct tls_pipe *up = &clients[i].up, *down = &clients[i].down;

		/* Over the edge of sequence numbers on purpose. */
		*up = (struct tls_pipe){.s = s, .seq = UINT32_MAX - 100};
		set_hop(up->hops[0], host, "eth0", "out", in, RELAY, 64);
		set_hop(up->hops[1], router, "lan", "in", in, RELAY, 64);
		set_hop(up->hops[2], router, "wan", "out", out, RELAY, 63);
		set_hop(up->hops[3], "relay", "eth0", "in", out, RELAY, 63);
		*down = (struct tls_pipe){.s = s, .seq = 1000};
		up->salt = (uint32_t)i * 2;
		down->salt = (uint32_t)i * 2 + 1;
		set_hop(down->hops[0], "relay", "eth0", "out", RELAY, out, 64);
		set_hop(down->hops[1], router, "wan", "in", RELAY, out, 64);
		set_hop(down->hops[2], router, "lan", "out", RELAY, in, 63);
		set_hop(down->hops[3], host, "eth0", "in", RELAY, in, 63);
	}
}

static void syn(struct tls_pipe *p, uint8_t flags)
{
	for (int i = 0; i < 4; i++)
		stage_tcp(p->s, p->hops[i], p->seq, 0, flags | TCP_FLAG_SYN,
			  NULL, 0);
	p->seq++;
}

void tls_connect(struct tls_client *c)
{
	syn(&c->up, 0);
	syn(&c->down, TCP_FLAG_ACK);
}

void tls_record_cut(struct tls_pipe *p, uint8_t type, size_t body_bytes,
		    unsigned hops, size_t segment_bytes)
{
	uint8_t bytes[20000] = {type, 3, 3, (uint8_t)(body_bytes >> 8),
				(uint8_t)body_bytes};
	size_t size = 5 + body_bytes;
	uint32_t number = p->seq * 8 + p->salt;

	ck_assert_uint_le(size, sizeof(bytes));
	for (size_t i = 5; i < size; i++)
		bytes[i] = (uint8_t)(number >> i % 4 * 8);
	/* A hello says whose it is. */
	if (type == 22)
		bytes[5] = p->hops[0][0] == 'r' ? 2 : 1;
	for (size_t at = 0; at < size; at += segment_bytes) {
		size_t left = size - at;

		if (left > segment_bytes)
			left = segment_bytes;
		for (unsigned i = 0; i < hops; i++)
			stage_tcp(p->s, p->hops[i], p->seq + (uint32_t)at, 0,
				  TCP_FLAG_ACK, bytes + at, left);
	}
	p->seq += (uint32_t)size;
}

void tls_record(struct tls_pipe *p, uint8_t type, size_t body_bytes,
		unsigned hops)
{
	tls_record_cut(p, type, body_bytes, hops, 1448);
}

void tls_handshake(struct tls_client *c)
{
	static const size_t encrypted[] = {27, 804, 96, 53};

	tls_record(&c->up, 22, 512, 4);
	tls_record(&c->down, 22, 122, 4);
	tls_record(&c->down, 20, 1, 4);
	for (size_t i = 0; i < sizeof(encrypted) / sizeof(*encrypted); i++)
		tls_record(&c->down, 23, encrypted[i], 4);
	tls_record(&c->up, 20, 1, 4);
	tls_record(&c->up, 23, 53, 4);
}

void tls_open(struct tls_client *c)
{
	tls_connect(c);
	tls_handshake(c);
	tls_record(&c->up, 23, 261, 4);	 /* request and own key */
	tls_record(&c->up, 23, 23, 4);	 /* preferred */
	tls_record(&c->down, 23, 62, 4); /* the relay's key */
	tls_record(&c->down, 23, 75, 4); /* its info */
}

void tls_packet(struct tls_pipe *p, size_t packet_bytes)
{
	tls_record(p, 23, packet_bytes + TLS_AROUND_BYTES, 4);
}
