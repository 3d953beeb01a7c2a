/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: the lab's public servers as sans-I/O state machines (see actions.h):
 * STUN (RFC 8489 binding, RFC 5780 behaviour discovery), a DERP relay over
 * plain HTTP, and the control server that hands keys and endpoints out as
 * line-delimited JSON.
 *
 * Control protocol, one JSON object a line:
 *   client: {"register":{"name":"a","node_key":HEX,"disco_key":HEX,
 *            "relay":"relay"}}
 *           {"endpoints":["25.0.0.1:41641","192.168.1.2:41641"]}
 *   server: {"netmap":[{"name":"c","node_key":HEX,"disco_key":HEX,
 *            "relay":"relay","endpoints":["25.0.0.3:41641"]}, ...]}
 * A netmap (all peers but oneself, by name) goes to everybody on each change.
 * Registering with a new DISCO key forgets the endpoints told before. Keys are
 * handed out at once, endpoints after the configured delay.
 */
#ifndef NATRIG_HARNESS_SERVER_H
#define NATRIG_HARNESS_SERVER_H

#include "harness/actions.h"
#include "harness/rng.h"

#define SERVER_RELAY_PORT 80
#define SERVER_CONTROL_PORT 8080
#define SERVER_STUN_ALT_PORT 3479

/* --- STUN: stateless ----------------------------------------------------- */

struct stun_server_config {
	uint32_t ip;	 /* this server's address */
	uint16_t port;	 /* 3478 */
	uint32_t alt_ip; /* the other address (of the other server); 0: none,
			  * then no OTHER-ADDRESS and CHANGE-REQUEST is refused
			  * with error 420 */
	uint16_t alt_port;
};

/*
 * A datagram from SRC came to DST (one of ip/alt_ip x port/alt_port). The
 * answer is an ACTION_UDP whose src.ip says from which address it must leave.
 */
void stun_server_on_udp(const struct stun_server_config *config,
			struct endpoint src, struct endpoint dst,
			const void *payload, size_t payload_bytes,
			struct actions *out);

/* --- relay and control: one stream a client ------------------------------ */

struct relay;

struct relay *relay_new(uint64_t seed, const char *name);
void relay_free(struct relay *r);
/* A new connection; STREAM is a number the driver chose, unique in use. */
void relay_on_accept(struct relay *r, uint64_t now_us, uint32_t stream,
		     struct endpoint peer, struct actions *out);
void relay_on_stream(struct relay *r, uint64_t now_us, uint32_t stream,
		     const void *data, size_t size_bytes, struct actions *out);
void relay_on_closed(struct relay *r, uint64_t now_us, uint32_t stream,
		     struct actions *out);
uint64_t relay_deadline(const struct relay *r);
void relay_on_timer(struct relay *r, uint64_t now_us, struct actions *out);

struct control;

struct control *control_new(uint64_t delay_us);
void control_free(struct control *c);
void control_on_accept(struct control *c, uint64_t now_us, uint32_t stream,
		       struct endpoint peer, struct actions *out);
void control_on_stream(struct control *c, uint64_t now_us, uint32_t stream,
		       const void *data, size_t size_bytes,
		       struct actions *out);
void control_on_closed(struct control *c, uint64_t now_us, uint32_t stream,
		       struct actions *out);
uint64_t control_deadline(const struct control *c);
void control_on_timer(struct control *c, uint64_t now_us, struct actions *out);

#endif
