/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check_client_world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/derp.h"
#include "wire/disco.h"
#include "wire/natpmp.h"
#include "wire/stun.h"
#include "wire/wireguard.h"

#define HOP_US WORLD_MS
#define STREAM_US (2 * WORLD_MS)
#define UPNP_US (5 * WORLD_MS)
#define MAX_FLOWS 256
#define MAX_CONNS 256
#define MAX_RELAYS 2

struct flow {
	unsigned node;
	uint16_t inside, outside;
	struct endpoint remote;
	/*
	 * The remote as the inside sees it. As in netfilter, it is another
	 * port where the inside talks to that remote from another outside port
	 * already: else nobody could tell whose the answers are.
	 */
	struct endpoint seen;
	uint64_t until_us;
	bool answered;
};

enum event_kind {
	EV_UDP,
	EV_CONNECT,
	EV_CONNECTED,
	EV_TO_SERVER,
	EV_TO_CLIENT,
	EV_CLOSED,
	EV_UPNP
};

struct event {
	struct event *next;
	uint64_t at_us;
	enum event_kind kind;
	unsigned node, conn;
	struct endpoint src, dst; /* UDP, as seen on the internet */
	bool inside;		  /* UDP that stays in the home */
	struct upnp_answer answer;
	size_t size_bytes;
	uint8_t data[];
};

/* A stream: a client's number, and its index here, the server's number. */
struct conn {
	unsigned node;
	uint32_t stream;
	int server; /* relay index, or -1: control */
	bool open;
};

struct world {
	uint64_t now_us;
	struct world_node nodes[WORLD_NODES];
	struct relay *relays[MAX_RELAYS];
	struct control *control;
	struct actions server_out;
	struct flow flows[MAX_FLOWS];
	unsigned flow_count;
	struct conn conns[MAX_CONNS];
	unsigned conn_count;
	struct event *events;
	struct world_sent *log;
	size_t log_count, log_room;
	uint64_t reply_us;
	unsigned reply_echo;
};

/* --- events -------------------------------------------------------------- */

static struct event *post(struct world *w, uint64_t delay_us,
			  enum event_kind kind, const void *data,
			  size_t size_bytes)
{
	struct event *e = calloc(1, sizeof(*e) + size_bytes);
	struct event **at = &w->events;

	ck_assert_ptr_nonnull(e);
	e->at_us = w->now_us + delay_us;
	e->kind = kind;
	e->size_bytes = size_bytes;
	if (size_bytes)
		memcpy(e->data, data, size_bytes);
	while (*at && (*at)->at_us <= e->at_us)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	return e;
}

static void drop_events_of(struct world *w, unsigned node)
{
	struct event **at = &w->events;

	while (*at) {
		struct event *e = *at;

		if (e->node != node || e->kind == EV_UDP ||
		    e->kind == EV_TO_SERVER) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		free(e);
	}
}

/* --- the log ------------------------------------------------------------- */

static enum world_kind kind_of(const uint8_t *data, size_t size_bytes,
			       struct endpoint dst, bool relayed)
{
	struct wireguard_message m;

	if (disco_looks_like(data, size_bytes))
		switch (disco_kind_by_size(size_bytes, relayed)) {
		case DISCO_PING:
			return WORLD_PING;
		case DISCO_PONG:
			return WORLD_PONG;
		case DISCO_CALL_ME_MAYBE:
			return WORLD_CALL;
		default:
			return WORLD_OTHER;
		}
	if (wireguard_decode(data, size_bytes, &m, NULL) == 0)
		return m.type == WIREGUARD_INITIATION ? WORLD_INITIATION
		       : m.type == WIREGUARD_RESPONSE ? WORLD_RESPONSE
						      : WORLD_DATA;
	if (stun_looks_like(data, size_bytes))
		return WORLD_STUN;
	if (dst.port == NATPMP_PORT)
		return WORLD_PMP;
	return dst.port == 1900 ? WORLD_SSDP : WORLD_OTHER;
}

static void log_sent(struct world *w, unsigned node, struct endpoint dst,
		     const uint8_t *data, size_t size_bytes, bool relayed)
{
	if (w->log_count == w->log_room) {
		w->log_room = w->log_room ? 2 * w->log_room : 256;
		w->log = realloc(w->log, w->log_room * sizeof(*w->log));
		ck_assert_ptr_nonnull(w->log);
	}
	w->log[w->log_count++] = (struct world_sent){
		.at_us = w->now_us,
		.node = node,
		.kind = kind_of(data, size_bytes, dst, relayed),
		.relayed = relayed,
		.dst = dst,
		.size_bytes = size_bytes};
	if (getenv("WORLD_LOG"))
		printf("%10.6f %c %s kind %d -> %x:%u %zu bytes\n",
		       (double)(w->now_us - WORLD_START) / 1e6, 'a' + (int)node,
		       relayed ? "relay" : "udp  ",
		       (int)w->log[w->log_count - 1].kind, dst.ip, dst.port,
		       size_bytes);
}

static void log_frame(struct world *w, unsigned node, const uint8_t *data,
		      size_t size_bytes)
{
	struct derp_frame frame;

	if (derp_decode(data, size_bytes, &frame, NULL) > 0 &&
	    frame.type == DERP_SEND_PACKET)
		log_sent(w, node, (struct endpoint){0}, frame.packet,
			 frame.packet_bytes, true);
}

size_t world_mark(const struct world *w)
{
	return w->log_count;
}

unsigned world_count(const struct world *w, size_t since, unsigned node,
		     enum world_kind kind, int relayed)
{
	unsigned n = 0;

	for (size_t i = since; i < w->log_count; i++)
		n += w->log[i].node == node && w->log[i].kind == kind &&
		     (relayed < 0 || w->log[i].relayed == (relayed != 0));
	return n;
}

const struct world_sent *world_nth(const struct world *w, size_t since,
				   unsigned node, enum world_kind kind,
				   unsigned n)
{
	for (size_t i = since; i < w->log_count; i++)
		if (w->log[i].node == node && w->log[i].kind == kind && !n--)
			return &w->log[i];
	return NULL;
}

/* --- NAT ----------------------------------------------------------------- */

static bool alive(const struct world *w, const struct flow *f)
{
	return f->until_us > w->now_us;
}

static void touch(struct world *w, struct flow *f, bool answer)
{
	f->answered |= answer;
	f->until_us = w->now_us + (f->answered ? 120 : 30) * WORLD_S;
}

static struct flow *flow_add(struct world *w, unsigned node, uint16_t inside,
			     uint16_t outside, struct endpoint remote)
{
	struct flow *f = NULL;

	for (unsigned i = 0; i < w->flow_count && !f; i++)
		if (!alive(w, &w->flows[i]))
			f = &w->flows[i];
	if (!f) {
		ck_assert_uint_lt(w->flow_count, MAX_FLOWS);
		f = &w->flows[w->flow_count++];
	}
	*f = (struct flow){node, inside, outside, remote, remote, 0, false};
	return f;
}

static struct flow *flow_of(struct world *w, unsigned node, uint16_t inside,
			    struct endpoint seen)
{
	for (unsigned i = 0; i < w->flow_count; i++) {
		struct flow *f = &w->flows[i];

		if (alive(w, f) && f->node == node && f->inside == inside &&
		    endpoint_equal(f->seen, seen))
			return f;
	}
	return NULL;
}

static struct flow *nat_out(struct world *w, unsigned node, uint16_t inside,
			    struct endpoint dst)
{
	struct world_node *n = &w->nodes[node];
	struct flow *f = flow_of(w, node, inside, dst);
	uint16_t outside = inside;

	if (!f && n->nat == WORLD_SYMMETRIC)
		outside = n->next_port++;
	if (!f)
		f = flow_add(w, node, inside, outside, dst);
	touch(w, f, false);
	return f;
}

static struct flow *flow_in(struct world *w, unsigned node, uint16_t inside,
			    uint16_t outside, struct endpoint remote)
{
	struct endpoint seen = remote;
	struct flow *f;

	while (flow_of(w, node, inside, seen))
		seen.port = (uint16_t)(seen.port + 1000);
	f = flow_add(w, node, inside, outside, remote);
	f->seen = seen;
	touch(w, f, true);
	return f;
}

/* The flow that a packet from REMOTE belongs to, or NULL: filtered. */
static struct flow *nat_in(struct world *w, unsigned node, uint16_t outside,
			   struct endpoint remote)
{
	struct world_node *n = &w->nodes[node];
	struct flow *f, *any = NULL;

	for (unsigned i = 0; i < w->flow_count; i++) {
		f = &w->flows[i];
		if (!alive(w, f) || f->node != node || f->outside != outside)
			continue;
		if (endpoint_equal(f->remote, remote)) {
			touch(w, f, true);
			return f;
		}
		any = f;
	}
	if (n->mapped_port == outside && n->mapped_until_us > w->now_us)
		return flow_in(w, node, n->config.port, outside, remote);
	if (any && n->nat == WORLD_FULL_CONE)
		return flow_in(w, node, any->inside, outside, remote);
	return NULL;
}

void world_reboot_router(struct world *w, unsigned i, bool mappings)
{
	for (unsigned f = 0; f < w->flow_count; f++)
		if (w->flows[f].node == i)
			w->flows[f].until_us = 0;
	if (mappings)
		w->nodes[i].mapped_port = 0;
}

/* --- the gateway's daemons ----------------------------------------------- */

static void answer_inside(struct world *w, unsigned node, struct endpoint src,
			  uint16_t port, const void *data, size_t size_bytes)
{
	struct event *e = post(w, HOP_US, EV_UDP, data, size_bytes);

	e->node = node;
	e->inside = true;
	e->src = src;
	e->dst = (struct endpoint){WORLD_NODE_IP(node), port};
}

static void map(struct world *w, struct world_node *n, uint16_t port,
		uint32_t lease_s)
{
	n->map_requests++;
	n->lease_s = lease_s;
	n->mapped_port = port;
	n->mapped_until_us =
		lease_s ? w->now_us + lease_s * WORLD_S : UINT64_MAX;
}

static void gateway_pmp(struct world *w, unsigned node, uint16_t port,
			const uint8_t *data, size_t size_bytes)
{
	struct world_node *n = &w->nodes[node];
	struct endpoint gateway = {WORLD_GATEWAY_IP(node), NATPMP_PORT};
	struct natpmp_message m;
	uint8_t out[NATPMP_MAX_BYTES];
	int size;

	if (!n->pmp || natpmp_decode(data, size_bytes, &m, NULL) < 0)
		return;
	m.response = true;
	if (m.op == NATPMP_ADDRESS)
		m.external_ip = WORLD_WAN_IP(node);
	else
		map(w, n, m.external_port, m.lifetime_s);
	size = natpmp_encode(&m, out, sizeof(out));
	ck_assert_int_gt(size, 0);
	answer_inside(w, node, gateway, port, out, (size_t)size);
}

static void gateway_ssdp(struct world *w, unsigned node, uint16_t port)
{
	struct endpoint gateway = {WORLD_GATEWAY_IP(node), 1900};
	static const char found[] =
		"HTTP/1.1 200 OK\r\n"
		"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
		"Location: http://192.168.2.1:5000/rootDesc.xml\r\n\r\n";

	if (w->nodes[node].upnp)
		answer_inside(w, node, gateway, port, found, sizeof(found) - 1);
}

static void gateway_upnp(struct world *w, unsigned node,
			 const struct upnp_request *request)
{
	struct world_node *n = &w->nodes[node];
	struct event *e = post(w, UPNP_US, EV_UPNP, NULL, 0);

	ck_assert_str_eq(request->url, "http://192.168.2.1:5000/rootDesc.xml");
	e->node = node;
	e->answer.op = request->op;
	if (n->upnp_error_next < n->upnp_error_count) {
		n->map_requests++;
		n->lease_s = request->lease_s;
		e->answer.error = n->upnp_errors[n->upnp_error_next++];
		return;
	}
	map(w, n, request->external_port, request->lease_s);
	e->answer.external_ip = WORLD_WAN_IP(node);
	e->answer.external_port = request->external_port;
	e->answer.lease_s = request->lease_s;
}

/* --- carrying out what clients and servers want --------------------------- */

static void client_udp_out(struct world *w, unsigned node,
			   const struct action *one, const uint8_t *data)
{
	uint32_t gateway = WORLD_GATEWAY_IP(node);
	struct event *e;
	struct flow *f;

	log_sent(w, node, one->dst, data, one->payload_bytes, false);
	if (one->dst.ip == gateway && one->dst.port == NATPMP_PORT) {
		gateway_pmp(w, node, one->src.port, data, one->payload_bytes);
	} else if (one->dst.port == 1900) {
		gateway_ssdp(w, node, one->src.port);
	} else if (one->dst.ip >> 24 == 25) {
		f = nat_out(w, node, one->src.port, one->dst);
		e = post(w, HOP_US, EV_UDP, data, one->payload_bytes);
		e->node = node;
		e->src = (struct endpoint){WORLD_WAN_IP(node), f->outside};
		e->dst = f->remote;
	}
}

static struct conn *find_conn(struct world *w, unsigned node, uint32_t stream)
{
	for (unsigned i = 0; i < w->conn_count; i++)
		if (w->conns[i].node == node && w->conns[i].stream == stream)
			return &w->conns[i];
	return NULL;
}

static bool cut_off(const struct world *w, const struct conn *k)
{
	const struct world_node *n = &w->nodes[k->node];

	return k->server < 0 ? n->control_blocked : n->relay_blocked;
}

static void client_connect(struct world *w, unsigned node,
			   const struct action *one)
{
	struct conn *k;

	ck_assert_uint_lt(w->conn_count, MAX_CONNS);
	ck_assert_ptr_null(find_conn(w, node, one->stream));
	k = &w->conns[w->conn_count];
	k->node = node;
	k->stream = one->stream;
	k->open = true;
	k->server = one->dst.ip == WORLD_CONTROL_IP
			    ? -1
			    : (int)(one->dst.ip - WORLD_RELAY_IP(0));
	if (!cut_off(w, k)) {
		struct event *e = post(w, STREAM_US, EV_CONNECT, NULL, 0);

		e->node = node;
		e->conn = w->conn_count;
	}
	w->conn_count++;
}

static void client_write(struct world *w, unsigned node,
			 const struct action *one, const uint8_t *data)
{
	struct conn *k = find_conn(w, node, one->stream);
	struct event *e;

	ck_assert_ptr_nonnull(k);
	ck_assert(k->open);
	if (k->server >= 0)
		log_frame(w, node, data, one->payload_bytes);
	if (cut_off(w, k))
		return;
	e = post(w, STREAM_US, EV_TO_SERVER, data, one->payload_bytes);
	e->node = node;
	e->conn = (unsigned)(k - w->conns);
}

static void from_server(struct world *w)
{
	struct actions out = w->server_out;

	actions_init(&w->server_out);
	for (size_t i = 0; i < out.count; i++) {
		const struct action *one = &out.list[i];
		struct conn *k = &w->conns[one->stream];
		struct event *e;

		if (one->kind == ACTION_UDP || !k->open || cut_off(w, k))
			continue;
		e = post(w, STREAM_US,
			 one->kind == ACTION_CLOSE ? EV_CLOSED : EV_TO_CLIENT,
			 actions_payload(&out, one), one->payload_bytes);
		e->node = k->node;
		e->conn = one->stream;
	}
	actions_free(&out);
}

static void client_close(struct world *w, unsigned node,
			 const struct action *one)
{
	struct conn *k = find_conn(w, node, one->stream);
	uint32_t index;

	ck_assert_ptr_nonnull(k);
	k->open = false;
	index = (uint32_t)(k - w->conns);
	if (k->server < 0)
		control_on_closed(w->control, w->now_us, index, &w->server_out);
	else
		relay_on_closed(w->relays[k->server], w->now_us, index,
				&w->server_out);
	from_server(w);
}

/* What node I's client wants done, as the driver would do it. */
static void carry_out(struct world *w, unsigned i)
{
	struct world_node *n = &w->nodes[i];
	struct actions out = n->out;

	actions_init(&n->out);
	ck_assert(!out.failed);
	for (size_t at = 0; at < out.count; at++) {
		const struct action *one = &out.list[at];
		const uint8_t *data = actions_payload(&out, one);

		switch (one->kind) {
		case ACTION_UDP:
			client_udp_out(w, i, one, data);
			break;
		case ACTION_CONNECT:
			client_connect(w, i, one);
			break;
		case ACTION_WRITE:
			client_write(w, i, one, data);
			break;
		case ACTION_CLOSE:
			client_close(w, i, one);
			break;
		case ACTION_UPNP:
			gateway_upnp(w, i, &one->upnp);
			break;
		}
	}
	actions_free(&out);
}

/* --- events, carried out ------------------------------------------------- */

static void stun_server(struct world *w, const struct event *e)
{
	struct stun_message m;
	uint8_t out[STUN_MAX_BYTES];
	struct event *answer;
	int n;

	if (w->nodes[e->node].stun_blocked ||
	    stun_decode(e->data, e->size_bytes, &m, NULL) < 0)
		return;
	m.class = STUN_SUCCESS;
	m.mapped = e->src;
	n = stun_encode(&m, out, sizeof(out));
	ck_assert_int_gt(n, 0);
	answer = post(w, HOP_US, EV_UDP, out, (size_t)n);
	answer->node = e->node;
	answer->src = e->dst;
	answer->dst = e->src;
}

static void on_udp(struct world *w, const struct event *e)
{
	struct endpoint src = e->src;
	uint16_t port = e->dst.port;
	unsigned to = e->node;
	struct flow *f;

	if (!e->inside) {
		if (e->dst.ip - WORLD_STUN_IP(0) < 8) {
			stun_server(w, e);
			return;
		}
		to = e->dst.ip - WORLD_WAN_IP(0);
		if (to >= WORLD_NODES)
			return;
		f = nat_in(w, to, e->dst.port, e->src);
		if (!f)
			return;
		port = f->inside;
		src = f->seen;
	}
	client_on_udp(w->nodes[to].client, w->now_us, src, port, e->data,
		      e->size_bytes, &w->nodes[to].out);
	carry_out(w, to);
}

static void on_connect(struct world *w, const struct event *e)
{
	struct conn *k = &w->conns[e->conn];
	struct endpoint peer = {WORLD_WAN_IP(k->node), 1};
	struct event *done;

	if (!k->open)
		return;
	if (k->server < 0)
		control_on_accept(w->control, w->now_us, e->conn, peer,
				  &w->server_out);
	else
		relay_on_accept(w->relays[k->server], w->now_us, e->conn, peer,
				&w->server_out);
	done = post(w, STREAM_US, EV_CONNECTED, NULL, 0);
	done->node = e->node;
	done->conn = e->conn;
	from_server(w);
}

static void to_server(struct world *w, const struct event *e)
{
	struct conn *k = &w->conns[e->conn];

	if (!k->open)
		return;
	if (k->server < 0)
		control_on_stream(w->control, w->now_us, e->conn, e->data,
				  e->size_bytes, &w->server_out);
	else
		relay_on_stream(w->relays[k->server], w->now_us, e->conn,
				e->data, e->size_bytes, &w->server_out);
	from_server(w);
}

static void to_client(struct world *w, const struct event *e)
{
	struct conn *k = &w->conns[e->conn];
	struct world_node *n = &w->nodes[k->node];

	if (!k->open)
		return;
	if (e->kind == EV_CONNECTED) {
		client_on_connected(n->client, w->now_us, k->stream, &n->out);
	} else if (e->kind == EV_TO_CLIENT) {
		client_on_stream(n->client, w->now_us, k->stream, e->data,
				 e->size_bytes, &n->out);
	} else {
		k->open = false;
		client_on_closed(n->client, w->now_us, k->stream, &n->out);
	}
	carry_out(w, k->node);
}

static void happen(struct world *w, const struct event *e)
{
	switch (e->kind) {
	case EV_UDP:
		on_udp(w, e);
		break;
	case EV_CONNECT:
		on_connect(w, e);
		break;
	case EV_TO_SERVER:
		to_server(w, e);
		break;
	case EV_CONNECTED:
	case EV_TO_CLIENT:
	case EV_CLOSED:
		to_client(w, e);
		break;
	case EV_UPNP:
		client_on_upnp(w->nodes[e->node].client, w->now_us, &e->answer,
			       &w->nodes[e->node].out);
		carry_out(w, e->node);
		break;
	}
}

/* --- time ---------------------------------------------------------------- */

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

static uint64_t next_us(const struct world *w)
{
	uint64_t at_us = w->events ? w->events->at_us : ACTIONS_NEVER;

	for (unsigned i = 0; i < WORLD_NODES; i++)
		at_us = earlier(at_us, client_deadline(w->nodes[i].client));
	for (unsigned i = 0; i < MAX_RELAYS; i++)
		at_us = earlier(at_us, relay_deadline(w->relays[i]));
	return earlier(at_us, control_deadline(w->control));
}

static void servers_on_timer(struct world *w)
{
	for (unsigned i = 0; i < MAX_RELAYS; i++)
		if (relay_deadline(w->relays[i]) <= w->now_us) {
			relay_on_timer(w->relays[i], w->now_us, &w->server_out);
			from_server(w);
		}
	if (control_deadline(w->control) <= w->now_us) {
		control_on_timer(w->control, w->now_us, &w->server_out);
		from_server(w);
	}
}

/* All that is due now. */
static void turn(struct world *w)
{
	while (w->events && w->events->at_us <= w->now_us) {
		struct event *e = w->events;

		w->events = e->next;
		happen(w, e);
		free(e);
	}
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		struct world_node *n = &w->nodes[i];

		if (client_deadline(n->client) > w->now_us)
			continue;
		n->timer_calls++;
		client_on_timer(n->client, w->now_us, &n->out);
		/* The promise that keeps a driver from spinning. */
		ck_assert_uint_gt(client_deadline(n->client), w->now_us);
		carry_out(w, i);
	}
	servers_on_timer(w);
}

/* Runs up to UNTIL; earlier where DONE says so. */
static void run(struct world *w, uint64_t until_us,
		bool (*done)(struct world *w, const void *arg), const void *arg)
{
	while (next_us(w) <= until_us) {
		w->now_us = next_us(w) > w->now_us ? next_us(w) : w->now_us;
		turn(w);
		if (done && done(w, arg))
			return;
	}
	w->now_us = until_us;
}

void world_run(struct world *w, uint64_t span_us)
{
	run(w, w->now_us + span_us, NULL, NULL);
}

uint64_t world_now(const struct world *w)
{
	return w->now_us;
}

/* --- set up -------------------------------------------------------------- */

static void configure(struct client_config *config, unsigned i)
{
	snprintf(config->name, sizeof(config->name), "%c", 'a' + (int)i);
	config->policy = client_policy_default();
	config->port = CLIENT_DEFAULT_PORT;
	config->ip = WORLD_NODE_IP(i);
	config->gateway_ip = WORLD_GATEWAY_IP(i);
	config->control = (struct endpoint){WORLD_CONTROL_IP, 8080};
	for (unsigned s = 0; s < 2; s++)
		config->stun[s] = (struct endpoint){WORLD_STUN_IP(s), 3478};
	config->stun_count = 2;
	config->relays[0] = (struct endpoint){WORLD_RELAY_IP(0), 80};
	snprintf(config->relay_names[0], 64, "relay");
	config->relay_count = 1;
	config->seed = 7;
}

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	ck_assert_ptr_nonnull(w);
	w->now_us = WORLD_START;
	w->relays[0] = relay_new(1, "relay");
	w->relays[1] = relay_new(2, "other");
	w->control = control_new(0);
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		w->nodes[i].next_port = (uint16_t)(20000 + 1000 * i);
		configure(&w->nodes[i].config, i);
	}
	return w;
}

/* Clients are made when the first of them is started, as configured then. */
static void make(struct world *w)
{
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		if (!w->nodes[i].client)
			w->nodes[i].client = client_new(&w->nodes[i].config);
		ck_assert_ptr_nonnull(w->nodes[i].client);
	}
}

void world_free(struct world *w)
{
	while (w->events) {
		struct event *e = w->events;

		w->events = e->next;
		free(e);
	}
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		client_free(w->nodes[i].client);
		actions_free(&w->nodes[i].out);
	}
	for (unsigned i = 0; i < MAX_RELAYS; i++)
		relay_free(w->relays[i]);
	control_free(w->control);
	actions_free(&w->server_out);
	free(w->log);
	free(w);
}

struct world_node *world_node(struct world *w, unsigned i)
{
	return &w->nodes[i];
}

void world_delay_control(struct world *w, uint64_t delay_us)
{
	control_free(w->control);
	w->control = control_new(delay_us);
}

void world_second_relay(struct world *w, unsigned home_of_node)
{
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		struct client_config *config = &w->nodes[i].config;
		unsigned first = i == home_of_node;

		for (unsigned r = 0; r < MAX_RELAYS; r++) {
			unsigned which = r ^ first;

			config->relays[r] = (struct endpoint){
				WORLD_RELAY_IP(which), 80};
			snprintf(config->relay_names[r], 64, "%s",
				 which ? "other" : "relay");
		}
		config->relay_count = MAX_RELAYS;
	}
}

void world_stuns(struct world *w, unsigned count)
{
	for (unsigned i = 0; i < WORLD_NODES; i++)
		w->nodes[i].config.stun_count = count;
}

void world_start(struct world *w, unsigned i)
{
	make(w);
	client_start(w->nodes[i].client, w->now_us, &w->nodes[i].out);
	carry_out(w, i);
}

void world_stop(struct world *w, unsigned i)
{
	client_stop(w->nodes[i].client, w->now_us, &w->nodes[i].out);
	carry_out(w, i);
	drop_events_of(w, i);
}

void world_restart(struct world *w, unsigned i)
{
	world_stop(w, i);
	world_start(w, i);
}

static bool all_settled(struct world *w, const void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < WORLD_NODES; i++)
		if (client_running(w->nodes[i].client) &&
		    !client_settled(w->nodes[i].client, w->now_us))
			return false;
	return true;
}

void world_start_all(struct world *w)
{
	for (unsigned i = 0; i < WORLD_NODES; i++)
		world_start(w, i);
	run(w, w->now_us + 10 * WORLD_S, all_settled, NULL);
	ck_assert(all_settled(w, NULL));
	world_run(w, 100 * WORLD_MS); /* netmaps on their way */
}

/* --- ping ---------------------------------------------------------------- */

struct ping_wait {
	unsigned from;
	bool direct;
};

static const struct client_echo *reply(struct world *w, unsigned from,
				       bool direct)
{
	const struct client_ping *ping = client_ping(w->nodes[from].client);

	for (unsigned i = 0; i < ping->sent; i++)
		if (ping->echoes[i].replied_us &&
		    (!direct || ping->echoes[i].path == CLIENT_PATH_DIRECT))
			return &ping->echoes[i];
	return NULL;
}

static bool ping_done(struct world *w, const void *arg)
{
	const struct ping_wait *wait = arg;

	return reply(w, wait->from, wait->direct);
}

enum client_path world_ping(struct world *w, unsigned from, unsigned to,
			    enum client_ping_kind kind, uint64_t span_us,
			    bool until_direct)
{
	struct client *client = w->nodes[from].client;
	struct ping_wait wait = {from, until_direct};
	const struct client_echo *e;

	client_ping_start(client, w->now_us, w->nodes[to].config.name, kind,
			  &w->nodes[from].out);
	carry_out(w, from);
	run(w, w->now_us + span_us, ping_done, &wait);
	client_ping_stop(client);
	e = reply(w, from, true);
	if (!e)
		e = reply(w, from, false);
	w->reply_us = e ? e->replied_us - client_ping(client)->started_us : 0;
	w->reply_echo =
		e ? (unsigned)(e - client_ping(client)->echoes) + 1 : 0;
	return e ? e->path : CLIENT_PATH_NONE;
}

uint64_t world_reply_us(const struct world *w)
{
	return w->reply_us;
}

unsigned world_reply_echo(const struct world *w)
{
	return w->reply_echo;
}
