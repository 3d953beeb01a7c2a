/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * journey: one packet followed across vantages.
 *
 * A UDP payload is the packet's identity across NATs; retransmissions of equal
 * bytes are told apart by time and direction. Over the relay (TCP) each DERP
 * packet frame is followed by its inner packet, from the reassembled streams.
 * Where the relay speaks TLS 1.3, a packet is one record each way of the same
 * size, and is followed by that: JOURNEY_OPAQUE.
 *
 * journeys_new(recording, cast) -> look -> journeys_free. Recording and cast
 * must outlive it. Everything is derived from the recording alone.
 */
#ifndef NATRIG_CAPTURES_JOURNEY_H
#define NATRIG_CAPTURES_JOURNEY_H

#include "captures/cast.h"

enum journey_kind {
	JOURNEY_OTHER_UDP = 1 << 0,
	JOURNEY_DISCO_PING = 1 << 1,
	JOURNEY_DISCO_PONG = 1 << 2,
	JOURNEY_DISCO_CALL_ME_MAYBE = 1 << 3, /* only over the relay */
	JOURNEY_DISCO_OTHER = 1 << 4,
	JOURNEY_STUN = 1 << 5,
	JOURNEY_WIREGUARD = 1 << 6, /* over UDP */
	JOURNEY_PORTMAP = 1 << 7,   /* NAT-PMP, PCP, SSDP, UPnP's SOAP */
	JOURNEY_RELAY = 1 << 8,	    /* any packet frame over the relay: set
				     * beside the kind of what it carries */
	JOURNEY_ICMP_ERROR = 1 << 9,
	JOURNEY_TCP = 1 << 10,	/* a connection being opened: its SYN */
	JOURNEY_OPAQUE = 1 << 11 /* over a relay's TLS: the kind beside it is
				  * a guess by the size */
};

/* One sighting of the packet at a vantage. */
struct sighting {
	const struct frame *frame; /* of TCP: the frame that completed it */
	int node;		   /* index into the cast; -1: not in it */
	bool out;		   /* leaves the node, else enters it */
	struct endpoint src, dst;
	uint8_t ttl;
};

struct journey {
	unsigned kind; /* JOURNEY_* bits */
	bool over_relay;
	int from;	  /* node that sent it first; -1 unknown */
	int to;		  /* node it was meant for; -1 unknown */
	bool arrived;	  /* it entered the node it was meant for */
	int died_at;	  /* node where it was last seen; -1: it arrived, or
			   * died on the internet (see on_internet) */
	bool on_internet; /* left the last router for an address nobody has,
			   * or one that is blocked or down */
	uint64_t first_ns, last_ns;
	const struct sighting *sightings; /* in order of the way */
	unsigned sighting_count;
	const uint8_t *payload; /* view into the recording; of the relay: of
				 * the reassembled stream, valid with us;
				 * NULL of JOURNEY_OPAQUE */
	size_t payload_bytes;
	size_t opaque_bytes; /* size of what JOURNEY_OPAQUE carried, else 0 */
};

struct journeys {
	const struct recording *recording;
	const struct cast *cast;
	struct journey *list; /* by first_ns */
	size_t count;
	struct sighting *sightings;
	void *own; /* private */
};

int journeys_new(const struct recording *rec, const struct cast *cast,
		 struct journeys **journeys, struct err *err);
void journeys_free(struct journeys *j);

/*
 * Why it died there, from the recording: "no mapping for port 5765", "port
 * 5765 is mapped, but not for 25.0.0.2:41641", "no route: TTL ran out",
 * "nobody has 25.0.0.9", "blocked" ... Writes into TEXT and returns it; ""
 * where the journey arrived.
 */
const char *journey_reason(const struct journeys *j, const struct journey *one,
			   char *text, size_t text_bytes);

/*
 * One sentence: "a's 4th disco.ping to c left home-a from 25.0.0.2:41641 and
 * died at edge-c: no mapping for port 5765 (frames 12, 15, 17)".
 */
void journey_describe(const struct journeys *j, const struct journey *one,
		      char *text, size_t text_bytes);

/* "disco.ping", "wireguard", "relay disco.call-me-maybe", ... */
const char *journey_kind_name(const struct journey *one);

/* The UDP journeys with exactly this payload, first_ns >= since; or NULL. */
const struct journey *journeys_find(const struct journeys *j,
				    const void *payload, size_t payload_bytes,
				    uint64_t since_ns);

/* A ladder for people, as `natrig show` prints it (COLUMNS wide). */
int journeys_print_ladder(const struct journeys *j, unsigned columns,
			  bool colour, FILE *out);

#endif
