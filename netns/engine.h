/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine: a NAT in pure C, for what netfilter cannot do: address-dependent
 * mapping, port-preserving symmetric NATs, sequential and block port
 * allocation, pools of external addresses, absolute lifetimes.
 *
 * Time and an IPv4 packet in, IPv4 packets and the next deadline out. No I/O,
 * no clock, no randomness of its own. UDP, TCP and ICMP (queries, and errors
 * whose quoted packet is translated too), fragments, checksums right.
 *
 *   engine_new -> engine_input, engine_on_timer ... -> engine_free
 *
 * Behaviours are named as in RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP).
 * Addresses and ports are in host byte order, packets as on the wire.
 */
#ifndef NATRIG_NETNS_ENGINE_H
#define NATRIG_NETNS_ENGINE_H

#include "wire/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINE_MAX_POOL 8
#define ENGINE_NEVER UINT64_MAX

enum engine_dependence { ENGINE_EI, ENGINE_AD, ENGINE_APD };

enum engine_ports {
	ENGINE_PORTS_PRESERVE,	/* or nothing: a second host on a port that is
				 * taken is refused (its packets are dropped) */
	ENGINE_PORTS_PRESERVE_OR_RANDOM,
	ENGINE_PORTS_RANDOM,
	ENGINE_PORTS_SEQUENTIAL,
	ENGINE_PORTS_BLOCK /* a contiguous block of ports for each host */
};

enum engine_hairpin {
	ENGINE_HAIRPIN_NONE,
	ENGINE_HAIRPIN_INTERNAL, /* arrives with the sender's inside source */
	ENGINE_HAIRPIN_EXTERNAL	 /* with its mapped source: RFC 4787 REQ-9 */
};

enum engine_stray {
	ENGINE_STRAY_DROP,
	ENGINE_STRAY_REJECT, /* ICMP port unreachable, TCP RST */
	/* Handed to the router's own stack: engine_verdict TO_HOST. */
	ENGINE_STRAY_ACCEPT
};

struct engine_config {
	enum engine_dependence mapping, filtering;
	enum engine_ports ports;
	uint16_t port_low, port_high; /* 0, 0: 1024 to 65535 */
	unsigned block_ports;	      /* of ENGINE_PORTS_BLOCK; 0: 512 */
	bool preserve_parity;	      /* RFC 4787 4.2.2, with random ports */
	bool paired_pooling;	      /* else arbitrary: any address of the pool */
	enum engine_hairpin hairpin;
	bool refresh_inbound; /* inbound packets refresh a mapping as well */
	bool absolute_lifetime; /* from its making, whatever the traffic */
	unsigned udp_timeout_s;	       /* 0: 300, RFC 4787 REQ-5 */
	unsigned udp_stream_timeout_s; /* once both ways were seen; 0: same */
	unsigned tcp_timeout_s;	       /* established; 0: 7440 (2 h 4 min) */
	unsigned tcp_transitory_timeout_s; /* 0: 240 */
	unsigned icmp_timeout_s;	   /* 0: 60 */
	enum engine_stray stray;
	bool udp_blocked;
	uint32_t pool[ENGINE_MAX_POOL]; /* external addresses */
	unsigned pool_count;
	uint32_t lan_net, lan_mask; /* inside */
	unsigned max_mappings;	    /* 0: 65536 */
	uint64_t seed;
};

/* Which side a packet came from or goes to. */
enum engine_side { ENGINE_LAN, ENGINE_WAN };

/* PACKET is valid during the call only. */
typedef void engine_emit_fn(void *arg, enum engine_side to,
			    const uint8_t *packet, size_t size_bytes);

enum engine_verdict {
	ENGINE_FORWARDED, /* emitted, translated */
	ENGINE_DROPPED,
	ENGINE_REJECTED, /* dropped, and an error was emitted */
	ENGINE_TO_HOST	 /* is for the router itself */
};

struct engine;

int engine_new(const struct engine_config *config, struct engine **engine,
	       struct err *err);
void engine_free(struct engine *e); /* NULL is legal */

enum engine_verdict engine_input(struct engine *e, uint64_t now_us,
				 enum engine_side from, const uint8_t *packet,
				 size_t size_bytes, engine_emit_fn *emit,
				 void *arg);

/* When something next ends; ENGINE_NEVER where nothing does. */
uint64_t engine_deadline(const struct engine *e);
void engine_on_timer(struct engine *e, uint64_t now_us);

/* Forgets all mappings (but those that were put in by hand unless ALL). */
void engine_flush(struct engine *e, bool all);

/*
 * A port mapping as UPnP or NAT-PMP asks for it: inbound packets for
 * external_port go inside, whatever the filter. LIFETIME_S 0: for ever.
 * Returns -EEXIST where another host has the port.
 */
int engine_map(struct engine *e, uint64_t now_us, int proto,
	       uint16_t external_port, uint32_t internal_ip,
	       uint16_t internal_port, uint32_t lifetime_s);
int engine_unmap(struct engine *e, int proto, uint16_t external_port);

struct engine_stats {
	uint64_t forwarded, dropped, rejected, to_host;
	uint64_t mappings_made, mappings_ended;
	unsigned mappings;
};
void engine_stats(const struct engine *e, struct engine_stats *stats);

#endif
