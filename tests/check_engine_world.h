/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_engine_world: a NAT engine between packets that a test makes and the
 * ones that come out. Every packet that comes out is checked for its lengths
 * and checksums, recomputed, not updated.
 *
 *      H1 .2, H2 .3 -- 10.0.0.1 [engine] 25.0.0.1, .2, .3 -- S1, S2
 */
#ifndef NATRIG_TESTS_CHECK_ENGINE_WORLD_H
#define NATRIG_TESTS_CHECK_ENGINE_WORLD_H

#include <check.h>

#include "netns/engine.h"
#include "wire/packet.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define ROUTER IP(10, 0, 0, 1)
#define HOST1 IP(10, 0, 0, 2)
#define HOST2 IP(10, 0, 0, 3)
#define POOL1 IP(25, 0, 0, 1)
#define POOL2 IP(25, 0, 0, 2)
#define POOL3 IP(25, 0, 0, 3)
#define SERVER1 IP(25, 1, 0, 1)
#define SERVER2 IP(25, 1, 0, 2)
#define SECOND UINT64_C(1000000)

enum { SYN = 2, FIN = 1, RST = 4, ACK = 16 };
enum { OUT_MAX = 300, PACKET_MAX = 2048 };

struct emitted {
	enum engine_side to;
	size_t size_bytes;
	struct packet packet; /* decoded; points into data */
	uint8_t data[PACKET_MAX];
};

struct world {
	struct engine *engine;
	uint64_t now_us;
	unsigned count; /* of the last input or timer */
	struct emitted *out;
	bool broken_sums; /* what goes in is wrong: so may be what comes out */
};

/* One for each test process: the fixtures make and end it. */
extern struct world w;

void world_setup(void);
void world_teardown(void);
/* EIM, APDF, preserved ports, one address, nothing else. */
struct engine_config world_config(void);
/* Puts the engine in place (of the one before). */
void world_engine(const struct engine_config *config);

static inline struct endpoint at(uint32_t ip, unsigned port)
{
	return (struct endpoint){ip, (uint16_t)port};
}

/* ---- making packets: each returns its size ---- */

struct ip_fields {
	uint32_t src, dst;
	uint8_t proto, ttl;
	uint16_t id;
	unsigned offset_bytes;
	bool more;
	unsigned option_bytes; /* a multiple of 4 */
};

size_t make_ip(const struct ip_fields *ip, const void *payload,
	       size_t payload_bytes, uint8_t *out);
size_t make_udp(struct endpoint src, struct endpoint dst, uint8_t *out);
size_t make_tcp(struct endpoint src, struct endpoint dst, uint8_t flags,
		uint8_t *out);
/* An error of TYPE from SRC to DST that quotes the packet's start. */
size_t make_error(uint8_t type, uint8_t code, uint32_t src, uint32_t dst,
		  const uint8_t *quoted, size_t quoted_bytes, uint8_t *out);
/* Sums anew what a test has changed in a packet of 20 bytes of IP header. */
void mend_ip(uint8_t *ip);

/* ---- handing them in ---- */

enum engine_verdict give(enum engine_side from, const uint8_t *packet,
			 size_t size_bytes);
enum engine_verdict give_udp(enum engine_side from, struct endpoint src,
			     struct endpoint dst);
enum engine_verdict give_tcp(enum engine_side from, struct endpoint src,
			     struct endpoint dst, uint8_t flags);
/* TYPE 8 or 0. */
enum engine_verdict give_echo(enum engine_side from, uint8_t type, uint32_t src,
			      uint32_t dst, uint16_t id);
void pass_us(uint64_t us); /* time, and the timer at its end */

/* Where it left from; 0:0 where it was dropped. */
struct endpoint leaves(struct endpoint src, struct endpoint dst);
struct endpoint leaves_tcp(struct endpoint src, struct endpoint dst);
bool enters(struct endpoint remote, struct endpoint outside);
bool enters_tcp(struct endpoint remote, struct endpoint outside);

struct engine_stats stats(void);

Suite *engine_timers_suite(void);
Suite *engine_tcp_suite(void);
Suite *engine_icmp_suite(void);
Suite *engine_packets_suite(void);
Suite *engine_fragments_suite(void);
Suite *engine_hairpin_suite(void);
Suite *engine_portmap_suite(void);

#endif
