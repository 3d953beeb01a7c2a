/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model client's insides, shared by client*.c and nobody else.
 *
 * One input at a time runs through the machine: `now_us` and `out` of struct
 * client are those of the public call under way, so that what happens deep
 * inside (a pong answers a ping, which answers an echo) need not hand them
 * down. Times are lab time in microseconds; of a past event 0 means never, of
 * a timer ACTIONS_NEVER means not set.
 *
 * Each module has a deadline function (a pure look at its timers) and an
 * on_timer function that does nothing before that deadline and moves it
 * forward at it.
 */
#ifndef NATRIG_HARNESS_CLIENT_PRIVATE_H
#define NATRIG_HARNESS_CLIENT_PRIVATE_H

#include "harness/client.h"
#include "wire/disco.h"

#define CLIENT_KEY_BYTES 32
#define CLIENT_MS ((uint64_t)1000)
#define CLIENT_S ((uint64_t)1000000)

#define CLIENT_MAX_CANDIDATES 48
#define CLIENT_MAX_KNOWN 32
#define CLIENT_MAX_SENT_PINGS 96
#define CLIENT_MAX_QUEUED 128
#define CLIENT_INNER_BYTES 84 /* an IPv4 ICMP echo with 56 bytes of data */
#define CLIENT_PADDED_BYTES 96
#define CLIENT_SESSION_ACTIVE_US (45 * CLIENT_S)

/* --- how a packet came --------------------------------------------------- */

struct client_arrival {
	struct endpoint src;	 /* ip 0: over a relay */
	const uint8_t *node_key; /* over a relay: the sender's, else NULL */
	const uint8_t *data;	 /* UDP payload, or DERP's inner packet */
	size_t size_bytes;
};

/* --- a TCP connection that comes back ------------------------------------ */

enum client_link_state {
	CLIENT_LINK_IDLE,
	CLIENT_LINK_CONNECTING, /* until client_link_ready */
	CLIENT_LINK_READY,
	CLIENT_LINK_WAITING /* for the next attempt */
};

struct client_link {
	struct endpoint to;
	enum client_link_state state;
	uint32_t stream; /* 0: none */
	uint64_t give_up_us, retry_us, backoff_us;
	uint64_t heard_us, silence_us; /* silence 0: may be silent for ever */
	uint8_t *in;
	size_t in_bytes, in_room;
};

void client_link_open(struct client *c, struct client_link *l);
void client_link_ready(struct client *c, struct client_link *l);
/* Closes and tries again after the backoff. */
void client_link_fail(struct client *c, struct client_link *l);
/* Closes and forgets, buffer and all; TO and silence stay. */
void client_link_shut(struct client *c, struct client_link *l);
/* Appends; false (and the link failed) where it would pass LIMIT bytes. */
bool client_link_feed(struct client *c, struct client_link *l, const void *data,
		      size_t size_bytes, size_t limit_bytes);
void client_link_consume(struct client_link *l, size_t size_bytes);
uint64_t client_link_deadline(const struct client_link *l);
/* True where the link was given up (or was silent too long) just now. */
bool client_link_on_timer(struct client *c, struct client_link *l);

/* --- relay and control --------------------------------------------------- */

enum client_relay_phase {
	CLIENT_RELAY_UPGRADE,
	CLIENT_RELAY_KEY,
	CLIENT_RELAY_INFO,
	CLIENT_RELAY_OPEN
};

struct client_relay {
	struct client_link link;
	enum client_relay_phase phase;
	uint8_t server_key[CLIENT_KEY_BYTES];
	struct actions pending; /* frames for when it is open */
};

void client_relay_start(struct client *c);
void client_relay_stop(struct client *c);
void client_relay_on_connected(struct client *c, struct client_relay *r);
void client_relay_on_stream(struct client *c, struct client_relay *r,
			    const void *data, size_t size_bytes);
void client_relay_on_closed(struct client *c, struct client_relay *r);
/* To the node with KEY, over the relay NAME; dropped where there is no way. */
void client_relay_send(struct client *c, const char *name,
		       const uint8_t key[static CLIENT_KEY_BYTES],
		       const void *packet, size_t packet_bytes);
bool client_relay_settled(const struct client *c);
uint64_t client_relay_deadline(const struct client *c);
void client_relay_on_timer(struct client *c);

struct client_control {
	struct client_link link;
	bool netmap; /* had since the start */
	struct endpoint published[DISCO_MAX_ENDPOINTS];
	unsigned published_count;
};

void client_control_start(struct client *c);
void client_control_on_connected(struct client *c);
void client_control_on_stream(struct client *c, const void *data,
			      size_t size_bytes);
/* Tells own endpoints where the policy lets it and they changed. */
void client_control_publish(struct client *c);

/* --- netcheck, own endpoints, port mapping ------------------------------- */

enum {
	CLIENT_RUN_ENDPOINTS = 1,
	CLIENT_RUN_REPORT = 2,
	/*
	 * With ENDPOINTS: once more when it is done. Whoever wants fresh
	 * endpoints for a peer asks with each packet, and an ask during a run
	 * leads to another run.
	 */
	CLIENT_RUN_AGAIN = 4
};

struct client_stun {
	unsigned wants; /* CLIENT_RUN_ bits; 0: no run under way */
	bool asking;	/* STUN itself under way, not only a wait for portmap */
	bool again;	/* another run is wanted after this one */
	uint64_t started_us;
	unsigned sends;
	uint8_t txid[CLIENT_MAX_SERVERS][12];
	struct endpoint mapped[CLIENT_MAX_SERVERS]; /* ip 0: not answered */
	/* The last run's outcome; kept where a run is answered by nobody. */
	struct endpoint seen[CLIENT_MAX_SERVERS];
	unsigned seen_count;
	int varies;
	uint64_t restun_us;    /* timer */
	uint64_t endpoints_us; /* when the own endpoints were last found */
};

void client_stun_begin(struct client *c, unsigned wants);
void client_stun_on_udp(struct client *c, const void *data, size_t size_bytes);
/* The port mapping changed, or an attempt at one ended. */
void client_stun_on_portmap(struct client *c);
uint64_t client_stun_deadline(const struct client *c);
void client_stun_on_timer(struct client *c);

enum client_portmap_state {
	CLIENT_PM_IDLE,
	CLIENT_PM_PROBING,
	CLIENT_PM_NAT_PMP,
	CLIENT_PM_UPNP
};

struct client_mapping {
	enum client_portmap_state state;
	uint64_t timer_us;
	bool tried; /* an attempt has ended since the start */
	bool only_probes; /* what answers is noted, and mapped next time */
	uint64_t pmp_seen_us, upnp_seen_us;
	uint64_t probed_us;
	char url[160];
	uint32_t pmp_external_ip;
	uint16_t pmp_port; /* granted while the external address is awaited */
	uint32_t pmp_lifetime_s;
	uint16_t wanted_port;
	uint32_t lease_s;
	unsigned upnp_tries;
	/* What is held. */
	enum client_portmap kind;
	struct endpoint external;
	uint64_t good_until_us, renew_after_us;
};

/* Looks at the mapping, as an endpoint update does; may start an attempt. */
void client_mapping_look(struct client *c);
bool client_mapping_busy(const struct client *c);
enum client_portmap client_mapping_kind(const struct client *c);
void client_mapping_on_udp(struct client *c, struct endpoint src,
			   const void *data, size_t size_bytes);
void client_mapping_on_upnp(struct client *c, const struct upnp_answer *answer);
uint64_t client_mapping_deadline(const struct client *c);
void client_mapping_on_timer(struct client *c);

/* --- the session inside: WireGuard's shape ------------------------------- */

struct client_keypair {
	bool valid, initiator;
	uint32_t local, remote; /* indices */
	uint8_t send_key[32], receive_key[32];
	uint64_t created_us;
	uint64_t send_counter;
	uint64_t receive_next, receive_window; /* highest + 1, and 64 below */
};

enum client_handshake_state {
	CLIENT_HANDSHAKE_NONE,
	CLIENT_HANDSHAKE_SENT,	  /* our initiation waits for a response */
	CLIENT_HANDSHAKE_CONSUMED /* the peer's initiation was taken */
};

struct client_handshake {
	enum client_handshake_state state;
	uint32_t local, remote;
	uint8_t secret[32];    /* our ephemeral */
	uint8_t ephemeral[32]; /* the initiator's, public */
	uint8_t es[32], ss[32];
};

struct client_session {
	struct client_handshake handshake;
	struct client_keypair current, previous, next;
	uint8_t timestamp[12]; /* of the last initiation taken */
	uint64_t last_handshake_us;
	unsigned attempts;
	bool another_keepalive;
	uint64_t retry_us, keepalive_us, renew_us; /* timers */
	/* Packets that wait for a session; size 0 is a keep-alive. */
	struct client_queued *queue;
	unsigned queue_first, queue_count;
};

struct client_queued {
	uint8_t data[CLIENT_PADDED_BYTES];
	size_t size_bytes;
};

struct client_peer;

void client_session_init(struct client_session *s);
void client_session_reset(struct client_session *s); /* and frees the queue */
void client_session_send(struct client *c, struct client_peer *p,
			 const void *inner, size_t inner_bytes);
void client_session_receive(struct client *c, const struct client_arrival *a);
uint64_t client_session_deadline(const struct client_session *s);
void client_session_on_timer(struct client *c, struct client_peer *p);

/* The handshake's cryptography (client_noise.c). False: no, or forged. */
bool client_noise_initiate(struct client *c, struct client_peer *p, void *out);
struct client_peer *client_noise_take_initiation(struct client *c,
						 const void *data);
bool client_noise_respond(struct client *c, struct client_peer *p,
			  struct client_keypair *pair, void *out);
bool client_noise_take_response(struct client *c, struct client_peer *p,
				const void *data, struct client_keypair *pair);
/* Bytes of the message, or a negative errno. */
int client_noise_seal(struct client_keypair *pair, const void *inner,
		      size_t inner_bytes, void *out, size_t out_bytes);
int client_noise_open(struct client_keypair *pair, const void *data,
		      size_t size_bytes, void *inner, size_t inner_bytes);

/* --- peers and their paths ----------------------------------------------- */

struct client_candidate {
	struct endpoint to;
	uint64_t pinged_us, got_ping_us;
	bool in_netmap;
	bool called, was_called; /* listed in a call-me-maybe */
};

enum client_ping_purpose {
	CLIENT_PURPOSE_DISCOVERY,
	CLIENT_PURPOSE_HEARTBEAT,
	CLIENT_PURPOSE_ECHO
};

struct client_sent_ping {
	uint8_t txid[DISCO_TXID_BYTES];
	struct endpoint to; /* ip 0: over the relay */
	uint64_t at_us;
	bool valid;
	enum client_ping_purpose purpose;
	uint32_t run; /* of client_pinger, where the purpose is an echo */
	unsigned echo;
};

struct client_peer {
	struct client_peer *next;
	char name[64], relay[64];
	uint8_t node_key[CLIENT_KEY_BYTES], disco_key[CLIENT_KEY_BYTES];
	bool listed; /* in the netmap being read */
	struct client_candidate candidates[CLIENT_MAX_CANDIDATES];
	unsigned candidate_count;
	/* Addresses from which its payload is accepted, a ring. */
	struct endpoint known[CLIENT_MAX_KNOWN];
	unsigned known_next;
	struct client_sent_ping pings[CLIENT_MAX_SENT_PINGS];
	unsigned ping_next;
	struct endpoint best; /* ip 0: none */
	uint64_t best_latency_us, trust_until_us;
	uint64_t last_send_us, last_full_ping_us;
	uint64_t heartbeat_us; /* timer */
	bool call_waits;       /* a call-me-maybe waits for own endpoints */
	struct client_session session;
};

/* One entry of a netmap. */
struct client_netmap_entry {
	const char *name, *relay;
	uint8_t node_key[CLIENT_KEY_BYTES], disco_key[CLIENT_KEY_BYTES];
	struct endpoint endpoints[DISCO_MAX_ENDPOINTS];
	unsigned endpoint_count;
};

struct client_peer *client_peer_by_name(const struct client *c,
					const char *name);
struct client_peer *
client_peer_by_node(const struct client *c,
		    const uint8_t key[static CLIENT_KEY_BYTES]);
void client_peer_netmap_begin(struct client *c);
void client_peer_netmap_entry(struct client *c,
			      const struct client_netmap_entry *entry);
void client_peer_netmap_end(struct client *c);
void client_peer_free_all(struct client *c);
void client_peer_reset_path(struct client_peer *p);
/* A payload packet of the session: over the best path, or over all. */
void client_peer_send(struct client *c, struct client_peer *p, const void *data,
		      size_t size_bytes);
bool client_peer_is_known(const struct client *c, struct endpoint src);
/* Own endpoints were found: the call-me-maybes that waited go out. */
void client_peer_on_endpoints(struct client *c);
uint64_t client_peer_deadline(const struct client *c);
void client_peer_on_timer(struct client *c);

/* DISCO (client_disco.c). */
void client_disco_receive(struct client *c, const struct client_arrival *a);
void client_disco_ping(struct client *c, struct client_peer *p,
		       struct endpoint to, enum client_ping_purpose purpose);
void client_disco_call(struct client *c, struct client_peer *p);
bool client_peer_trusted(const struct client *c, const struct client_peer *p);
struct client_candidate *client_peer_candidate(struct client_peer *p,
					       struct endpoint to, bool add);
void client_peer_note_known(struct client *c, struct client_peer *p,
			    struct endpoint src);
void client_peer_note_send(struct client *c, struct client_peer *p);
/* Pings all candidates that are due and, where CALL, asks to be called. */
void client_peer_full_ping(struct client *c, struct client_peer *p, bool call);

/* --- ping ---------------------------------------------------------------- */

struct client_pinger {
	struct client_ping ping; /* what the driver sees */
	uint32_t run;		 /* counts pings, tells stray answers */
	uint16_t icmp_id;
	uint64_t next_us; /* timer */
};

void client_pinger_on_pong(struct client *c, const struct client_sent_ping *s,
			   const struct client_arrival *a);
void client_pinger_on_inner(struct client *c, struct client_peer *p,
			    const void *inner, size_t inner_bytes,
			    const struct client_arrival *a);
uint64_t client_pinger_deadline(const struct client *c);
void client_pinger_on_timer(struct client *c);

/* --- the client ---------------------------------------------------------- */

struct client {
	struct client_config config;
	bool running;
	struct rng rng;
	uint8_t node_secret[CLIENT_KEY_BYTES], node_public[CLIENT_KEY_BYTES];
	uint8_t disco_secret[CLIENT_KEY_BYTES], disco_public[CLIENT_KEY_BYTES];

	uint64_t now_us;     /* of the call under way */
	struct actions *out; /* of the call under way */

	uint32_t last_stream;
	uint64_t settle_us; /* timer: the relay's first attempt is 1 s old */
	uint64_t active_us; /* last payload of a user, either way */
	bool sent_first;    /* it has itself sent something to a peer */
	struct endpoint own[DISCO_MAX_ENDPOINTS];
	unsigned own_count;

	struct client_netcheck report;
	struct client_stun stun;
	struct client_mapping mapping;
	struct client_control control;
	struct client_relay relays[CLIENT_MAX_SERVERS];
	struct client_peer *peers;
	struct client_pinger pinger;
};

/* True where SINCE was, and less than SPAN ago. */
static inline bool client_within(const struct client *c, uint64_t since_us,
				 uint64_t span_us)
{
	return since_us && c->now_us - since_us < span_us;
}

static inline uint64_t client_earlier(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

/* Begins a public call; true where the client runs and it may go on. */
bool client_enter(struct client *c, uint64_t now_us, struct actions *out);
/* A UDP datagram from the tunnel port. */
void client_udp(struct client *c, struct endpoint to, const void *data,
		size_t size_bytes);
/* The client has itself sent payload or a DISCO ping to a peer. */
void client_note_first_send(struct client *c);

#endif
