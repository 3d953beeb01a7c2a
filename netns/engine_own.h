/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine_own: what the engine's files share. Not for anyone else.
 *
 *   engine.c          input, verdicts, timers
 *   engine_new.c      from a configuration to an engine
 *   engine_map.c      mappings and sessions: making, finding, ending
 *   engine_portmap.c  mappings by hand
 *   engine_ports.c    which external address and port
 *   engine_packet.c   parsing and rewriting
 *   engine_icmp.c     ICMP errors, through us and of our own
 *   engine_tcp.c      TCP states, RST, SYNs that wait for an answer
 *   engine_fragment.c fragments in and out of order, and of our own making
 *   engine_store.c    hash table
 */
#ifndef NATRIG_NETNS_ENGINE_OWN_H
#define NATRIG_NETNS_ENGINE_OWN_H

#include "netns/engine.h"
#include "wire/endpoint.h"

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17 };
enum { IPV4_BYTES = 20, UDP_BYTES = 8, TCP_BYTES = 20, ICMP_BYTES = 8 };

#define ENGINE_SECOND_US UINT64_C(1000000)

#define ENGINE_OF(pointer, type, member)                                       \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- a hash table of nodes that live in what they find ---- */

/* What every table is asked by; a field that does not matter is 0. */
struct key {
	uint32_t ip, peer_ip;
	uint16_t port, peer_port;
	uint8_t proto;
};

struct node {
	struct node *next;
	struct key key;
	uint32_t hash;
};

struct table {
	struct node **buckets;
	size_t mask;
	size_t count;
	uint64_t seed; /* so that outsiders cannot make everything collide */
};

int engine_table_init(struct table *t, uint64_t seed); /* 0 or -ENOMEM */
void engine_table_free(struct table *t);	       /* not the nodes */
void engine_table_add(struct table *t, struct node *node,
		      const struct key *key);
/* Legal for a node that is in no table. */
void engine_table_remove(struct table *t, struct node *node);
/* The node added last of those with the key, or NULL. */
struct node *engine_table_find(const struct table *t, const struct key *key);

/* ---- timers: queues in the order of what is due ---- */

/*
 * All members of a queue wait equally long, so adding at the end keeps it in
 * order: every operation is O(1), the next deadline exact, and the head is
 * what has been idle for longest.
 */
enum engine_queue {
	QUEUE_UDP,
	QUEUE_UDP_STREAM,
	QUEUE_TCP,
	QUEUE_TCP_TRANSITORY,
	QUEUE_ICMP,
	QUEUE_STRANGERS,   /* UDP from outside that refreshes nothing */
	QUEUE_MAPPING_UDP, /* absolute lifetimes */
	QUEUE_MAPPING_TCP,
	QUEUE_MAPPING_ICMP,
	QUEUE_MANUAL, /* the exception: any lifetime, kept in order */
	QUEUE_SYN,
	QUEUE_FRAGMENTS,	 /* that wait, or went no further */
	QUEUE_FRAGMENTS_PASSING, /* whose first one was forwarded */
	QUEUES
};

struct item {
	struct item *prev, *next; /* NULL: in no queue */
	uint64_t due_us;
};

struct queue {
	struct item head;
	uint64_t period_us;
};

static inline void engine_queue_remove(struct item *item)
{
	if (!item->next)
		return;
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = item->prev = NULL;
}

/* Moves it there, wherever it was. */
static inline void engine_queue_push(struct queue *q, struct item *item,
				     uint64_t now_us)
{
	engine_queue_remove(item);
	item->due_us = now_us + q->period_us;
	item->prev = q->head.prev;
	item->next = &q->head;
	q->head.prev->next = item;
	q->head.prev = item;
}

static inline struct item *engine_queue_first(const struct queue *q)
{
	return q->head.next == &q->head ? NULL : q->head.next;
}

/* ---- state ---- */

/* A host inside, while it has mappings. */
struct host {
	struct node node;
	unsigned mappings;
	unsigned pool; /* its address, where pooling is paired */
	unsigned block_low, block_high, block_next;
	int block; /* -1: none */
};

struct session;

struct mapping {
	struct node inside, outside;
	struct item timer; /* absolute lifetime, or by hand with one */
	struct session *sessions;
	struct host *host;
	unsigned holders; /* sessions that keep it alive */
	uint8_t pool;
	bool manual;
};

/* An address that a mapping may hear from, with address-dependent filtering. */
struct peer {
	struct node node;
	unsigned sessions, holders;
};

enum { SEEN_OUT = 1, SEEN_IN = 2, SEEN_BOTH = 3 };

struct session {
	struct node node; /* inside endpoint, remote endpoint */
	struct item timer;
	struct mapping *mapping;
	struct peer *peer;
	struct session *prev, *next; /* of the same mapping */
	uint64_t born_us;
	uint8_t seen;
	uint8_t tcp; /* see engine_tcp.c */
	/*
	 * Keeps its mapping alive and lets its remote in. Not so what only
	 * comes from outside, where that does not refresh.
	 */
	bool holds;
};

/* Bits of ports: in use, or blocks of them. */
struct ports {
	uint64_t *taken[3][ENGINE_MAX_POOL]; /* UDP, TCP, ICMP; made on use */
	uint16_t next[3][ENGINE_MAX_POOL];
	uint64_t blocks[ENGINE_MAX_POOL][65536 / 64];
	unsigned next_pool;
};

struct engine {
	struct engine_config config;
	bool any_port; /* preserving is not held to the range */
	uint64_t now_us, random;
	struct queue queues[QUEUES];
	struct table inside, outside, sessions, peers, hosts;
	struct table syns, fragments;
	unsigned manual_mappings;
	size_t passing_fragments; /* datagrams, of the table's */
	size_t held_fragments;	  /* packets */
	struct ports ports;
	struct engine_stats stats;
	engine_emit_fn *emit; /* during a call */
	void *emit_arg;
	size_t mtu_bytes[2]; /* by side; 0: any */
	uint8_t out[65536]; /* the packet that is being rewritten */
	uint8_t piece[65536]; /* of one that is being cut */
};

uint64_t engine_random(struct engine *e);
/* Moves the time on and ends what is due. */
void engine_advance(struct engine *e, uint64_t now_us);
void engine_send(struct engine *e, enum engine_side to, size_t size_bytes);
bool engine_is_pool(const struct engine *e, uint32_t ip);

/* ---- packets ---- */

enum datagram_kind {
	DATAGRAM_FLOW,	/* UDP, TCP */
	DATAGRAM_QUERY, /* ICMP, the identifier is the source port */
	DATAGRAM_REPLY, /* ICMP, the identifier is the destination port */
	DATAGRAM_ERROR, /* ICMP */
	DATAGRAM_OTHER,
	DATAGRAM_LATER_FRAGMENT
};

struct datagram {
	enum engine_side from;
	const uint8_t *data;
	size_t size_bytes; /* as the IP header says: no padding */
	size_t header_bytes;
	enum datagram_kind kind;
	uint8_t proto, ttl, tcp_flags;
	struct endpoint src, dst;
	uint16_t id;
	size_t offset_bytes;
	bool more; /* fragments follow */
};

/* False for a packet that no router should pass on. */
bool engine_parse(const uint8_t *data, size_t size_bytes, struct datagram *d);

/* True where D must not be cut and is too large for the link to TO. */
bool engine_too_big(const struct engine *e, const struct datagram *d,
		    enum engine_side to);

/* Copies the packet into e->out and takes one from its TTL. */
void engine_begin(struct engine *e, const struct datagram *d);

enum engine_end { ENGINE_SRC, ENGINE_DST };

/*
 * Gives the packet IP of SIZE bytes (perhaps cut short, as quoted in an error,
 * but no less than 8 bytes after its header) another source or destination;
 * checksums are updated as RFC 1624 says. ICMP: the port is the identifier.
 */
void engine_rewrite(uint8_t *ip, size_t size_bytes, enum engine_end end,
		    struct endpoint to);

/*
 * The identifier of an ICMP query into *SRC, of a reply into *DST: it is a
 * port on the side of whoever asks. False for other types.
 */
bool engine_icmp_id(const uint8_t *icmp, uint16_t *src, uint16_t *dst);

/* Writes a header without options into OUT; the rest must be there. */
void engine_put_ip(uint8_t *out, uint8_t proto, uint32_t src, uint32_t dst,
		   size_t size_bytes);
/* RFC 1071, folded, not inverted. */
uint32_t engine_sum(uint32_t sum, const uint8_t *data, size_t size_bytes);

/* ---- mappings and sessions ---- */

void engine_map_expire(struct engine *e, enum engine_queue queue,
		       struct item *item);
struct mapping *engine_mapping_outside(const struct engine *e, uint8_t proto,
				       struct endpoint outside);
struct endpoint engine_mapping_inner(const struct mapping *m);
struct endpoint engine_mapping_outer(const struct mapping *m);
struct session *engine_session_find(const struct engine *e, uint8_t proto,
				    struct endpoint inside,
				    struct endpoint remote);
/* Makes the session, and the mapping where it needs one; NULL: refused. */
struct session *engine_session_out(struct engine *e, uint8_t proto,
				   struct endpoint inside,
				   struct endpoint remote);
/* One that begins outside. */
struct session *engine_session_in(struct engine *e, struct mapping *m,
				  struct endpoint remote);
/* A packet passed: refreshes what it refreshes. TCP_FLAGS 0 but for TCP. */
void engine_session_pass(struct engine *e, struct session *s, bool out,
			 uint8_t tcp_flags);
/* May the remote in? S is its session with the mapping, or NULL. */
bool engine_admits(const struct engine *e, const struct mapping *m,
		   const struct session *s, uint32_t remote_ip);

/* For engine_portmap.c. */
struct mapping *engine_mapping_new(struct engine *e, const struct key *inside,
				   const struct endpoint *wanted);
void engine_mapping_end(struct engine *e, struct mapping *m);
void engine_mapping_forget(struct engine *e, struct mapping *m); /* sessions */
/* Makes one by hand of it, without a lifetime yet. */
void engine_mapping_promote(struct engine *e, struct mapping *m);
/* Makes one of any kind of one by hand, or ends it where nothing holds it. */
void engine_mapping_demote(struct engine *e, struct mapping *m);
bool engine_make_room(struct engine *e);

/* ---- ports ---- */

struct host *engine_host_get(struct engine *e, uint32_t ip);
void engine_host_put(struct engine *e, struct host *host);
/* False where there is none to be had. */
bool engine_ports_take(struct engine *e, uint8_t proto, struct host *host,
		       uint16_t wanted, unsigned *pool, uint16_t *port);
/* The port itself, whatever the range. */
bool engine_ports_take_one(struct engine *e, uint8_t proto, unsigned pool,
			   uint16_t port);
void engine_ports_give(struct engine *e, uint8_t proto, unsigned pool,
		       uint16_t port);
void engine_ports_free(struct engine *e);

/* ---- ICMP, TCP, fragments ---- */

enum {
	ICMP_UNREACHABLE = 3,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_CODE_PROTOCOL = 2,
	ICMP_CODE_PORT = 3,
	ICMP_CODE_TOO_BIG = 4
};

/* An error about D to its sender; REJECTED, or DROPPED where none may be. */
enum engine_verdict engine_icmp_send(struct engine *e, const struct datagram *d,
				     uint8_t type, uint8_t code, uint32_t src);
/* The same, where D must not be cut and is too large for the link to TO. */
enum engine_verdict engine_icmp_too_big(struct engine *e,
					const struct datagram *d,
					enum engine_side to, uint32_t src);
/* An error that somebody else sent. */
enum engine_verdict engine_icmp_outbound(struct engine *e,
					 const struct datagram *d);
enum engine_verdict engine_icmp_inbound(struct engine *e,
					const struct datagram *d);

/* Whether a packet that no session knows may begin one. */
bool engine_tcp_opens(bool out, uint8_t flags);
void engine_tcp_seen(struct session *s, bool out, uint8_t flags);
bool engine_tcp_established(const struct session *s);
enum engine_verdict engine_tcp_reject(struct engine *e,
				      const struct datagram *d);
/* A SYN leaves from OUTSIDE to REMOTE: one that came the other way is met. */
void engine_tcp_met(struct engine *e, struct endpoint outside,
		    struct endpoint remote);
void engine_tcp_expire(struct engine *e, struct item *item);
void engine_tcp_flush(struct engine *e);

enum engine_verdict engine_fragment_later(struct engine *e,
					  const struct datagram *d);
/*
 * What became of a first fragment; where it was forwarded, e->out holds it as
 * it went out TO.
 */
void engine_fragment_first(struct engine *e, const struct datagram *d,
			   enum engine_verdict verdict, enum engine_side to);
/* False where it contradicts a first fragment that was seen before. */
bool engine_fragment_agrees(struct engine *e, const struct datagram *d);
void engine_fragment_expire(struct engine *e, struct item *item);
void engine_fragment_flush(struct engine *e);
/* Emits e->out in pieces that the link to TO takes. */
void engine_fragment_cut(struct engine *e, enum engine_side to,
			 size_t size_bytes);

#endif
