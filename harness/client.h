/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: the model client, a pure state machine in the manner of a Tailscale
 * node (timers of Tailscale 1.103; doc/facts.md). Time and packets
 * in, actions and the next deadline out (see actions.h).
 *
 * It speaks STUN, DISCO and NAT-PMP over UDP, DERP to the relay and
 * line-delimited JSON to the control server over streams, and asks for UPnP
 * mappings. Payload goes in WireGuard-shaped messages with WireGuard's timers:
 * message sizes, indices, retries and rate limits are WireGuard's; the key
 * exchange inside is natrig's own and protects nothing.
 *
 * client_new -> client_start -> inputs ... -> client_stop -> client_free.
 * Stopping is what a killed process does: no goodbye to anyone, a port mapping
 * stays in the router. Starting again keeps the node key and the port, and
 * draws a new DISCO key.
 */
#ifndef NATRIG_HARNESS_CLIENT_H
#define NATRIG_HARNESS_CLIENT_H

#include "harness/actions.h"
#include "harness/rng.h"
#include "wire/err.h"

#define CLIENT_MAX_SERVERS 8
#define CLIENT_MAX_PINGS 256
#define CLIENT_DEFAULT_PORT 41641

enum client_when { CLIENT_AT_START, CLIENT_ON_FIRST_SEND, CLIENT_NEVER };

/* Default (all zero but the booleans; client_policy_default) is Tailscale's. */
struct client_policy {
	enum client_when portmap; /* when a mapping is asked for */
	enum client_when publish; /* own endpoints to the control server */
	enum client_when learn;	  /* peers' ones from it: at start, never */
	bool call_me_maybe;	  /* sends and heeds them */
	bool relay;		  /* connects to relays at all */
};

struct client_policy client_policy_default(void);

struct client_config {
	char name[64];
	struct client_policy policy;
	uint16_t port;		   /* of the tunnel socket */
	uint32_t ip, gateway_ip;   /* gateway 0: none, no port mapping */
	struct endpoint control;
	struct endpoint stun[CLIENT_MAX_SERVERS];
	unsigned stun_count;
	struct endpoint relays[CLIENT_MAX_SERVERS];
	char relay_names[CLIENT_MAX_SERVERS][64];
	unsigned relay_count; /* the first is its home relay */
	uint64_t seed;
};

enum client_path { CLIENT_PATH_NONE, CLIENT_PATH_RELAY, CLIENT_PATH_DIRECT };
enum client_ping_kind { CLIENT_PING_DATA, CLIENT_PING_DISCO };
enum client_portmap {
	CLIENT_PORTMAP_NONE,
	CLIENT_PORTMAP_UPNP,
	CLIENT_PORTMAP_NAT_PMP,
	CLIENT_PORTMAP_PCP
};

struct client_netcheck {
	bool done;
	uint64_t started_us, finished_us;
	bool udp;		     /* any STUN answer */
	int mapping_varies;	     /* 1, 0; -1: fewer than two answers */
	enum client_portmap portmap; /* what is mapped, NONE: nothing */
	struct endpoint mapped;	     /* by STUN, the first answer */
	struct endpoint portmapped;  /* external endpoint; ip 0: none */
};

/* One echo of the ping under way (or the last one). */
struct client_echo {
	uint64_t sent_us;
	uint64_t replied_us;   /* 0: not yet */
	/*
	 * Direct only when request and reply both came over a direct path;
	 * the request's path is told in the reply.
	 */
	enum client_path path;
	bool told;	/* a real client's: it says the path itself */
	unsigned bytes; /* a real client's: of the IP packet in the tunnel */
	/* The packet that carried the reply here, as on the wire: the verdict
	 * looks it up in the recording. Reply over the relay: DERP's inner. */
	uint8_t carrier_hash[16]; /* crypto_generichash of the UDP payload */
};

struct client_ping {
	char peer[64];
	enum client_ping_kind kind;
	bool running;
	uint64_t started_us;
	unsigned sent;
	struct client_echo echoes[CLIENT_MAX_PINGS];
};

struct client;

struct client *client_new(const struct client_config *config);
void client_free(struct client *c); /* NULL is legal */

void client_start(struct client *c, uint64_t now_us, struct actions *out);
void client_stop(struct client *c, uint64_t now_us, struct actions *out);
bool client_running(const struct client *c);

/*
 * Settled: netcheck is done, a port mapping granted or given up, registered at
 * the control server and a netmap had, home relay connected or its first
 * attempt unanswered for 1 s.
 */
bool client_settled(const struct client *c, uint64_t now_us);

/* UDP for one of the client's ports: the tunnel's, or client_portmap_port. */
void client_on_udp(struct client *c, uint64_t now_us, struct endpoint src,
		   uint16_t dst_port, const void *payload, size_t payload_bytes,
		   struct actions *out);
/* The port from which it talks to gateways (SSDP, NAT-PMP). */
uint16_t client_portmap_port(const struct client *c);

void client_on_connected(struct client *c, uint64_t now_us, uint32_t stream,
			 struct actions *out);
void client_on_stream(struct client *c, uint64_t now_us, uint32_t stream,
		      const void *data, size_t size_bytes, struct actions *out);
void client_on_closed(struct client *c, uint64_t now_us, uint32_t stream,
		      struct actions *out);
void client_on_upnp(struct client *c, uint64_t now_us,
		    const struct upnp_answer *answer, struct actions *out);

/* The node's own address or gateway changed (link change): start afresh. */
void client_on_link_change(struct client *c, uint64_t now_us, uint32_t ip,
			   uint32_t gateway_ip, struct actions *out);

uint64_t client_deadline(const struct client *c);
void client_on_timer(struct client *c, uint64_t now_us, struct actions *out);

/* Starts a netcheck; client_netcheck_report's done turns false until it is. */
void client_netcheck(struct client *c, uint64_t now_us, struct actions *out);
const struct client_netcheck *client_netcheck_report(const struct client *c);

/*
 * One echo now and one each second until client_ping_stop; PEER need not be
 * known (yet). kind data: an ICMP echo inside WireGuard, queued while there
 * is no session; disco: DISCO pings over every path, as `tailscale ping` does.
 */
void client_ping_start(struct client *c, uint64_t now_us, const char *peer,
		       enum client_ping_kind kind, struct actions *out);
void client_ping_stop(struct client *c);
const struct client_ping *client_ping(const struct client *c);

/* For witnesses and real-peer tests: the keys in use. */
const uint8_t *client_node_key(const struct client *c);  /* public, 32 bytes */
const uint8_t *client_disco_key(const struct client *c); /* public, 32 bytes */

#endif
