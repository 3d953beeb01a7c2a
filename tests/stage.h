/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stage: makes recordings in memory for the tests of the witness.
 *
 * The default one is the seed: a behind home-a (25.0.0.2), c behind edge-c
 * (25.0.0.3), stun1, stun2 and the relay, and a vantage at each interface:
 *
 *   a --- home-a ---+--- edge-c --- c
 *  192.168.1.2      |       192.168.2.2
 *           stun1 stun2 relay
 *        25.0.1.1 .2    .3
 *
 * Each frame comes 100 us after the last; stage_wait makes that more.
 */
#ifndef NATRIG_TESTS_STAGE_H
#define NATRIG_TESTS_STAGE_H

#include "captures/journey.h"
#include "wire/packet.h"

/* The seed's ways, for stage_hops: from a to c's router, to c, and back. */
#define A_OUT                                                                  \
	"a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"                       \
	"home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"                    \
	"home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"                      \
	"edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 63;"
#define A_TO_C                                                                 \
	A_OUT "edge-c.lan out 25.0.0.2:41641 192.168.2.2:41641 62;"            \
	      "c.eth0 in 25.0.0.2:41641 192.168.2.2:41641 62;"
#define C_TO_A                                                                 \
	"c.eth0 out 192.168.2.2:41641 25.0.0.2:41641 64;"                      \
	"edge-c.lan in 192.168.2.2:41641 25.0.0.2:41641 64;"                   \
	"edge-c.wan out 25.0.0.3:5765 25.0.0.2:41641 63;"                      \
	"home-a.wan in 25.0.0.3:5765 25.0.0.2:41641 63;"                       \
	"home-a.lan out 25.0.0.3:5765 192.168.1.2:41641 62;"                   \
	"a.eth0 in 25.0.0.3:5765 192.168.1.2:41641 62;"

struct stage {
	struct cast *cast;
	struct recording rec;
	size_t frame_room;
	uint64_t now_ns;
	struct journeys *j;
	/* Given to the frames that follow. */
	uint16_t ip_id;
	const void *payload;
	size_t payload_bytes;
	uint8_t own[2048]; /* stage_say's payload */
};

/* NULL terminated lines: "host a home-a 192.168.1.2", "router r - ip ip". */
struct stage *stage_of(const char *const *lines);
struct stage *stage_seed(void);
void stage_free(struct stage *s);
struct cast_node *stage_node(struct stage *s, const char *name);
void stage_add_vantage(struct stage *s, const char *name);
/* As if nobody had listened there. */
void stage_deafen(struct stage *s, const char *vantage);

void stage_wait(struct stage *s, double seconds);
void stage_say(struct stage *s, const char *payload);
/* A payload of the kind, other bytes for each N. */
void stage_ping(struct stage *s, uint8_t n);
void stage_pong(struct stage *s, uint8_t n);
void stage_wireguard(struct stage *s, uint8_t n);

/*
 * A UDP packet with the payload in hand, as "a.eth0 out 192.168.1.2:41641
 * 25.0.0.3:5765 64". Returns the frame's number, 0: the vantage is deaf.
 */
unsigned stage_hop(struct stage *s, const char *hop);
/* Several, separated by newlines or semicolons. */
void stage_hops(struct stage *s, const char *hops);
/* The same as TCP. */
unsigned stage_tcp(struct stage *s, const char *hop, uint32_t seq, uint32_t ack,
		   uint8_t flags, const void *data, size_t size_bytes);
/* An ICMP error that quotes the UDP (or TCP) packet QUOTED_SRC > QUOTED_DST. */
unsigned stage_icmp(struct stage *s, const char *hop, uint8_t type,
		    uint8_t code, uint8_t proto, const char *quoted_src,
		    const char *quoted_dst);
unsigned stage_raw(struct stage *s, const char *vantage, bool out,
		   const void *ip, size_t size_bytes);

/* Makes the journeys (anew) and returns them. */
struct journeys *stage_journeys(struct stage *s);
int stage_index(const struct stage *s, const char *name);
/* "-" for -1. */
const char *stage_name(const struct stage *s, int node);

/* The journey of that index, which must be there. */
const struct journey *stage_at(const struct stage *s, size_t i);
/* FATE: "arrived", "internet", "?" or the node where it died. */
void stage_expect(const struct stage *s, size_t i, const char *from,
		  const char *to, unsigned sightings, const char *fate);
void stage_describes(const struct stage *s, size_t i, const char *wanted);

#endif
