/* SPDX-License-Identifier: BSD-3-Clause */
/* The world's network: NATs, the gateways' daemons, streams, STUN. */
#include "tests/check_client_net.h"

#include <check.h>

#include "wire/derp.h"
#include "wire/natpmp.h"
#include "wire/stun.h"

#define HOP_US WORLD_MS
#define STREAM_US (2 * WORLD_MS)
#define UPNP_US (5 * WORLD_MS)

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
	struct event *e = world_post(w, HOP_US, EV_UDP, data, size_bytes);

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
	struct event *e = world_post(w, UPNP_US, EV_UPNP, NULL, 0);

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

static void log_frame(struct world *w, unsigned node, const uint8_t *data,
		      size_t size_bytes)
{
	struct derp_frame frame;

	if (derp_decode(data, size_bytes, &frame, NULL) > 0 &&
	    frame.type == DERP_SEND_PACKET)
		world_log(w, node, (struct endpoint){0}, frame.packet,
			  frame.packet_bytes, true);
}

/* --- carrying out what clients and servers want --------------------------- */

static void client_udp_out(struct world *w, unsigned node,
			   const struct action *one, const uint8_t *data)
{
	uint32_t gateway = WORLD_GATEWAY_IP(node);
	struct event *e;
	struct flow *f;

	world_log(w, node, one->dst, data, one->payload_bytes, false);
	if (one->dst.ip == gateway && one->dst.port == NATPMP_PORT) {
		gateway_pmp(w, node, one->src.port, data, one->payload_bytes);
	} else if (one->dst.port == 1900) {
		gateway_ssdp(w, node, one->src.port);
	} else if (one->dst.ip >> 24 == 25) {
		f = nat_out(w, node, one->src.port, one->dst);
		e = world_post(w, HOP_US, EV_UDP, data, one->payload_bytes);
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
		struct event *e = world_post(w, STREAM_US, EV_CONNECT, NULL, 0);

		e->node = node;
		e->conn = w->conn_count;
	}
	w->conn_count++;
	w->nodes[node].connects++;
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
	e = world_post(w, STREAM_US, EV_TO_SERVER, data, one->payload_bytes);
	e->node = node;
	e->conn = (unsigned)(k - w->conns);
}

void world_from_server(struct world *w)
{
	struct actions out = w->server_out;

	actions_init(&w->server_out);
	for (size_t i = 0; i < out.count; i++) {
		const struct action *one = &out.list[i];
		struct conn *k = &w->conns[one->stream];
		struct event *e;

		if (one->kind == ACTION_UDP || !k->open || cut_off(w, k))
			continue;
		e = world_post(w, STREAM_US,
			       one->kind == ACTION_CLOSE ? EV_CLOSED
							 : EV_TO_CLIENT,
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
	world_from_server(w);
}

/* What node I's client wants done, as the driver would do it. */
void world_carry_out(struct world *w, unsigned i)
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
	answer = world_post(w, HOP_US, EV_UDP, out, (size_t)n);
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
	world_carry_out(w, to);
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
	done = world_post(w, STREAM_US, EV_CONNECTED, NULL, 0);
	done->node = e->node;
	done->conn = e->conn;
	world_from_server(w);
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
	world_from_server(w);
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
	world_carry_out(w, k->node);
}

void world_happen(struct world *w, const struct event *e)
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
		world_carry_out(w, e->node);
		break;
	}
}
