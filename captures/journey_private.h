/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the journey_*.c files share; nobody else includes it.
 *
 * journey.c drives: journey_read.c turns each frame into things seen,
 * journey_stream.c does so for what TCP carries (journey_tls.c and
 * journey_opaque.c where that is encrypted), journey_chain.c strings them
 * into trails, journey_owner.c learns whose an endpoint is, journey_fate.c
 * says who a trail was meant for and what became of it. When all frames were
 * read the trails become the journeys of journey.h, and journey_reason.c and
 * journey_text.c answer questions.
 */
#ifndef NATRIG_CAPTURES_JOURNEY_PRIVATE_H
#define NATRIG_CAPTURES_JOURNEY_PRIVATE_H

#include "captures/journey.h"
#include "captures/stream.h"
#include "wire/derp.h"
#include "wire/packet.h"

/* A hash map of 64-bit hashes to values; equal hashes are chained by users. */
struct table_slot {
	uint64_t hash;
	uint32_t value; /* 0: empty */
};

struct table {
	struct table_slot *slots;
	size_t size, used;
};

uint64_t table_hash(const void *data, size_t size_bytes, uint64_t seed);
/* 0 where there is none. */
uint32_t table_get(const struct table *t, uint64_t hash);
/* VALUE is not 0. 0 or -ENOMEM. */
int table_put(struct table *t, uint64_t hash, uint32_t value);
void table_free(struct table *t);

/* A list that grows; 0 or -ENOMEM. ROOM and COUNT in items. */
int list_room(void *list, size_t *room, size_t count, size_t item_bytes);

/* What kind of identity a trail has: only equal ones are compared. */
enum trail_tag {
	TRAIL_UDP,
	TRAIL_SYN,
	TRAIL_ICMP,
	TRAIL_RELAY,
	TRAIL_HTTP,
	TRAIL_OPAQUE /* over a relay's TLS */
};

/* What sizes and times leave open about a TRAIL_OPAQUE. */
enum opaque_doubt {
	OPAQUE_SURE,
	OPAQUE_ALIKE, /* others of its size went several ways */
	OPAQUE_MERGED /* may be in a record with something else */
};

/* How it is known whom a TRAIL_OPAQUE was meant for. */
enum opaque_to {
	OPAQUE_TO_SEEN, /* or not at all */
	OPAQUE_TO_ONLY_HOST,
	OPAQUE_TO_ONLY_ABSENT /* all others were connected */
};

/* One sighting on its way into a trail. */
struct seen {
	const struct frame *frame;
	int node;  /* of the cast, or -1 */
	int place; /* the node, or a number behind the cast's for others */
	bool out;
	struct endpoint src, dst;
	uint8_t proto;
	uint8_t ttl;
	uint16_t ip_id;
	enum trail_tag tag;
	unsigned kind; /* JOURNEY_* */
	const uint8_t *id;
	size_t id_bytes;
	bool copy_id;	 /* ID does not outlive the call */
	bool from_relay; /* TRAIL_RELAY: a receive frame, else a send frame */
	uint32_t src_key, dst_key; /* TRAIL_RELAY: 1 + index; 0: not known */
};

/* A sighting in a trail. Links are 1 + index, 0: none. */
struct mark {
	struct sighting s;
	uint32_t next;
	int place;
	uint16_t ip_id;
	bool from_relay;
};

struct trail {
	enum trail_tag tag;
	uint8_t proto;
	unsigned kind;
	uint64_t hash;
	const uint8_t *id;
	size_t id_bytes;
	uint32_t older; /* with the same hash: 1 + index */
	uint32_t first, last, count;
	uint32_t src_key, dst_key;
	uint32_t quotes; /* TRAIL_ICMP: 1 + index of what it is about */
	uint32_t icmp;	 /* 1 + index of the error about this one */
	uint8_t icmp_type, icmp_code;
	bool reset;	  /* TRAIL_SYN: answered by a reset */
	unsigned ordinal; /* 1: first of its kind from x to y */
	uint32_t journey; /* index in journeys->list, once that is made */
	bool dropped;	  /* part of another: no journey of its own */
	/* TRAIL_OPAQUE: */
	uint32_t opaque_bytes;
	int from_host, to_host; /* -1: not known */
	enum opaque_doubt doubt;
	enum opaque_to told_by;
	bool or_alike; /* dead, or another of its sender's and size is */
};

static inline bool trail_is_relayed(const struct trail *t)
{
	return t->tag == TRAIL_RELAY || t->tag == TRAIL_OPAQUE;
}

/* A TLS connection, as one vantage saw it. */
struct tls_link {
	unsigned vantage;
	struct endpoint client, relay;
	int host, relay_node; /* of the cast, or -1; known at the end */
	uint64_t since_ns;    /* its ClientHello */
	uint64_t ready_ns;    /* the relay's answers were seen; 0: never */
	uint64_t until_ns;
	uint64_t resent_ns[2]; /* the relay sent again: first, last; 0: never */
	bool encrypted;	       /* the server's part of a 1.3 handshake */
	bool finished;	       /* the client's handshake */
	uint32_t ups, downs;   /* records since then, each way */
	uint32_t relay_key_at; /* which of downs is a relay's key; 0: none */
};

/* A record of a size that a packet may have. */
struct tls_note {
	struct seen seen;
	uint32_t link;	 /* index */
	uint32_t number; /* of ups or downs, from 1 */
	uint32_t packet_bytes;
	bool up;
	uint8_t tag[16]; /* its authenticator: no other record has that */
};

/* A record's way between a client and a relay: half of a packet's. */
struct half {
	uint32_t trail; /* index */
	bool up;
	int relay, host;
	uint32_t packet_bytes;
	uint64_t time_ns; /* when the relay got or sent it */
	bool at_relay;	  /* up: it was seen to get there */
};

struct relay_key {
	uint8_t bytes[DERP_KEY_BYTES];
	int host;	/* -1 as long as nobody's */
	bool connected; /* a client said that it has it, first at seen_ns */
	struct endpoint seen_from; /* where its client's stream came from */
	uint64_t seen_ns;
	uint32_t next; /* of the same hash */
};

/* Packets of host left from, or are sent on to, this endpoint. */
struct owner {
	struct endpoint at;
	uint8_t proto;
	int host;
	uint64_t time_ns;
};

/* A packet crossed a router: ext is the router's outside of the flow. */
struct flow {
	struct endpoint ext, remote;
	uint8_t proto;
	uint64_t time_ns;
};

/* A port mapping that a router was asked for and did not refuse. */
struct grant {
	int router, host; /* -1: not known */
	uint8_t proto;
	uint16_t external_port, internal_port;
	uint64_t from_ns, until_ns;
	uint64_t lease_s; /* 0: for ever */
	bool refused, deletes;
};

struct tcp_side; /* one direction of a connection at a vantage */

struct witness {
	const struct recording *rec;
	struct cast *cast; /* own copy, with what the recording taught */
	int *places;	   /* by vantage */
	bool *outside;	   /* by vantage */
	bool *has_outside, *has_inside; /* by node: a vantage there */
	int *only_host; /* by node: the one host behind it, -1 none, -2 more */

	struct trail *trails;
	size_t trail_count, trail_room;
	struct mark *marks;
	size_t mark_count, mark_room;
	struct table by_id;    /* identity -> newest trail */
	struct table by_tuple; /* proto, src, dst -> newest trail */

	struct tcp_side *sides;
	size_t side_count, side_room;
	struct table by_side;
	struct relay_key *keys;
	size_t key_count, key_room;
	struct table by_key;

	struct tls_link *links;
	size_t link_count, link_room;
	struct tls_note *notes;
	size_t note_count, note_room;

	struct owner *owners;
	size_t owner_count, owner_room;
	struct flow *flows; /* by ext, remote, time */
	size_t flow_count, flow_room;
	struct flow *flows_by_port; /* the same by ext, time */
	struct grant *grants;
	size_t grant_count, grant_room;

	struct chunk *chunks; /* copies that live as long as we do */
	uint32_t *trail_of;   /* journey's index -> trail's */
};

/* journey.c */
static inline struct witness *witness_of(const struct journeys *j)
{
	return j->own;
}

const struct trail *trail_of(const struct journeys *j,
			     const struct journey *one);
/* A copy that lives as long as W, NULL when memory runs out. */
uint8_t *witness_copy(struct witness *w, const void *data, size_t size_bytes);

/* journey_read.c */
int witness_read(struct witness *w, struct err *err);
unsigned kind_of_payload(const uint8_t *data, size_t size_bytes,
			 bool over_relay);

/* journey_stream.c */
int stream_segment(struct witness *w, const struct seen *seen,
		   const struct packet *p);
void sides_free(struct witness *w);

/*
 * journey_tls.c: the record in front of a stream. *LINK is 1 + index of the
 * connection (0: not known yet), PEER that of the other direction. Bytes
 * taken, 0: more are needed, -EBADMSG: leave the stream alone, or -ENOMEM.
 */
int64_t tls_take(struct witness *w, uint32_t *link, uint32_t peer,
		 const struct seen *seen, const uint8_t *data,
		 size_t size_bytes);
void tls_closed(struct witness *w, uint32_t link, uint64_t time_ns);
void tls_resent(struct witness *w, uint32_t link, const struct seen *seen);
/* Makes trails of the records, when owners are known. */
int tls_finish(struct witness *w);
/* What a packet over the relay is by its size: JOURNEY_* bits, and in words. */
unsigned opaque_kind(size_t packet_bytes);
const char *opaque_words(size_t packet_bytes);

/* journey_opaque.c: strings halves together at the relays. */
int opaque_join(struct witness *w, struct half *halves, size_t count);

/* journey_chain.c: index of the trail or -ENOMEM; *BEGUN where it is new. */
int64_t chain_add(struct witness *w, const struct seen *seen, bool *begun);
/* The sightings of trail TAIL also continue trail HEAD. 0 or -ENOMEM. */
int chain_append(struct witness *w, uint32_t head, uint32_t tail);
/* Newest trail that was seen with these ends: 1 + index, or 0. */
uint32_t chain_by_tuple(const struct witness *w, uint8_t proto,
			struct endpoint src, struct endpoint dst);

/* journey_owner.c */
int owner_learn_stun(struct witness *w, const struct seen *seen);
int owner_add(struct witness *w, struct endpoint at, uint8_t proto, int host,
	      uint64_t time_ns);
int owners_finish(struct witness *w);
/*
 * Node that AT belongs to, -1 where nobody can tell. NEAR is the node that
 * sent to it (or -1): private addresses mean its own LAN first.
 */
int owner_find(const struct witness *w, struct endpoint at, uint8_t proto,
	       uint64_t time_ns, int near);
bool owner_is_multicast(uint32_t ip);

/* journey_grant.c: port mappings. GRANT is 1 + index, 0: none. */
int grant_learn_datagram(struct witness *w, const struct seen *seen);
int grant_learn_soap(struct witness *w, const struct seen *seen,
		     uint32_t *grant);
void grant_learn_answer(struct witness *w, uint32_t grant, const uint8_t *text,
			size_t text_bytes);
int grants_finish(struct witness *w);
/* The mapping of the port at that time, or the last that ended; or NULL. */
const struct grant *grant_find(const struct witness *w, int router,
			       uint8_t proto, uint16_t port, uint64_t time_ns);

/* journey_fate.c */
int flows_finish(struct witness *w);
/*
 * The last packet before TIME_NS that a router let through for its endpoint
 * EXT, with REMOTE (NULL: with anybody); or NULL.
 */
const struct flow *flow_before(const struct witness *w, struct endpoint ext,
			       const struct endpoint *remote, uint8_t proto,
			       uint64_t time_ns);
void fate_decide(const struct witness *w, const struct trail *t,
		 struct journey *one);
/*
 * Who should have got what was last seen leaving: *LAN is the router whose LAN
 * it is on, -1: the internet. -1: nobody there has the address.
 */
int fate_next_node(const struct witness *w, const struct sighting *last,
		   int *lan);
/* Whether somebody listened where NODE is on the LAN (-1: the internet). */
bool fate_listened(const struct witness *w, int node, int lan);

#endif
