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

/*
 * An external port (of one address and protocol; of ICMP: a query identifier)
 * serves one mapping: ports are never overloaded (RFC 4787 REQ-3). So with
 * PRESERVE a second host on the port is refused, and with AD or APD mapping
 * the same host's second destination is too, unless another address of the
 * pool has the port free. Refused: its packets are dropped.
 */
enum engine_ports {
	ENGINE_PORTS_PRESERVE, /* or nothing */
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
	/*
	 * ICMP unreachable; TCP RST; for a TCP SYN ICMP port unreachable once
	 * 6 s went by without a SYN from inside to meet it (RFC 5382 REQ-4).
	 */
	ENGINE_STRAY_REJECT,
	/* Handed to the router's own stack: engine_verdict TO_HOST. */
	ENGINE_STRAY_ACCEPT
};

struct engine_config {
	enum engine_dependence mapping, filtering;
	enum engine_ports ports;
	/*
	 * 0, 0: 1024 to 65535 are drawn from, and any port is preserved. Set
	 * by hand, no port outside is used, preserved or not.
	 */
	uint16_t port_low, port_high;
	unsigned block_ports; /* of ENGINE_PORTS_BLOCK; 0: 512 */
	bool preserve_parity; /* RFC 4787 4.2.2, of ports not preserved */
	bool paired_pooling;  /* else arbitrary: any address of the pool */
	enum engine_hairpin hairpin;
	/* The filter is for what comes from outside: as with netfilter. */
	bool hairpin_unfiltered;
	/* Inbound UDP and ICMP refresh a mapping as well; TCP always does. */
	bool refresh_inbound;
	/* Of each mapping from its making, whatever the traffic. */
	bool absolute_lifetime;
	/*
	 * A session (a mapping and one remote endpoint) has the timer, as in
	 * netfilter: it is what a filter remembers, and a mapping ends with
	 * the last session that holds it.
	 */
	unsigned udp_timeout_s;	       /* 0: 300, RFC 4787 REQ-5 */
	unsigned udp_stream_timeout_s; /* once both ways were seen; 0: same */
	unsigned udp_stream_after_s; /* and the flow is so old; Linux: 2 */
	unsigned tcp_timeout_s;	       /* established; 0: 7440 (2 h 4 min) */
	unsigned tcp_transitory_timeout_s; /* 0: 240 */
	unsigned icmp_timeout_s;	   /* 0: 60 */
	enum engine_stray stray;
	bool udp_blocked; /* both ways; the router's own UDP is not */
	/*
	 * Outbound packets of an endpoint that engine_map maps leave from that
	 * port too, also with AD and APD mapping; with EI they always do.
	 */
	bool map_outbound;
	/*
	 * Not with EI mapping either, unless the port is the one that it would
	 * keep: what miniupnpd does to a Linux router. Excludes map_outbound.
	 */
	bool map_apart;
	uint32_t pool[ENGINE_MAX_POOL]; /* external addresses */
	unsigned pool_count;
	uint32_t lan_net, lan_mask; /* inside */
	uint32_t lan_ip;	    /* the router's own; 0: lan_net + 1 */
	/*
	 * Where one more would be too many, the session idle for longest ends,
	 * but neither one that works both ways (UDP, TCP) nor a mapping made
	 * by hand: a burst of one-packet flows then locks nobody out, and
	 * costs nobody a connection (RFC 5382 REQ-5). Where none is left, the
	 * new one is refused. Packets from outside never push anything out.
	 */
	unsigned max_mappings; /* 0: 65536 */
	unsigned max_sessions; /* 0: four for each mapping */
	uint64_t seed;
};

/* Which side a packet came from or goes to. */
enum engine_side { ENGINE_LAN, ENGINE_WAN };

/*
 * PACKET is valid during the call only. It must not call the engine that it
 * is called by.
 */
typedef void engine_emit_fn(void *arg, enum engine_side to,
			    const uint8_t *packet, size_t size_bytes);

enum engine_verdict {
	ENGINE_FORWARDED, /* emitted, translated */
	ENGINE_DROPPED,
	ENGINE_REJECTED, /* dropped, and an error was emitted */
	ENGINE_TO_HOST,	 /* is for the router itself; not emitted */
	/*
	 * Waits: a fragment for its first one, a SYN for an answer. What comes
	 * of it is emitted later, or nothing.
	 */
	ENGINE_HELD
};

struct engine;

/* -EINVAL with the words where the configuration contradicts itself. */
int engine_new(const struct engine_config *config, struct engine **engine,
	       struct err *err);
void engine_free(struct engine *e); /* NULL is legal */

/*
 * One packet, starting with its IPv4 header. What is due by NOW ends first;
 * a NOW before the one of an earlier call counts as that. TCP and UDP
 * checksums are updated, not computed: a wrong one stays wrong, so a driver
 * must fill in what the kernel left to the hardware. Malformed packets are
 * dropped (wrong IP checksum, lengths that contradict, port 0, TCP flags that
 * make no sense, sources that are no host's or on the wrong side).
 */
enum engine_verdict engine_input(struct engine *e, uint64_t now_us,
				 enum engine_side from, const uint8_t *packet,
				 size_t size_bytes, engine_emit_fn *emit,
				 void *arg);

/*
 * The largest packet that the link on that SIDE takes; 0 (as after engine_new):
 * any. What is larger is cut, or where it must not be (DF) its sender is told
 * (ICMP fragmentation needed, RFC 4787 REQ-13).
 */
void engine_set_mtu(struct engine *e, enum engine_side side, size_t bytes);

/* When something next ends; ENGINE_NEVER where nothing does. */
uint64_t engine_deadline(const struct engine *e);
void engine_on_timer(struct engine *e, uint64_t now_us, engine_emit_fn *emit,
		     void *arg);

/* Forgets all mappings (but those that were put in by hand unless ALL). */
void engine_flush(struct engine *e, bool all);

/*
 * A port mapping as UPnP or NAT-PMP asks for it: inbound packets for
 * external_port of the pool's first address go inside, whatever the filter.
 * PROTO is UDP (17) or TCP (6). LIFETIME_S 0: for ever. The same host can
 * renew or re-target its mapping by asking again. Returns -EEXIST where
 * another host has the port, -EINVAL for what cannot be mapped, -ENOSPC or
 * -ENOMEM. engine_unmap: -ENOENT where there is no such mapping.
 */
int engine_map(struct engine *e, uint64_t now_us, int proto,
	       uint16_t external_port, uint32_t internal_ip,
	       uint16_t internal_port, uint32_t lifetime_s);
int engine_unmap(struct engine *e, int proto, uint16_t external_port);
/* The same, but what flows through it goes on, as through any mapping. */
int engine_unmap_softly(struct engine *e, int proto, uint16_t external_port);
/*
 * Ends the mapping that has the port, unless it was made by hand: for whom
 * engine_map then finds it free.
 */
void engine_evict_port(struct engine *e, int proto, uint16_t external_port);

struct engine_stats {
	/* Packets in by verdict: together, as many as there were. */
	uint64_t forwarded, dropped, rejected, to_host, held;
	uint64_t emitted; /* packets out, errors of our own among them */
	uint64_t mappings_made, mappings_ended;
	unsigned mappings, sessions;
};
void engine_stats(const struct engine *e, struct engine_stats *stats);

#endif
