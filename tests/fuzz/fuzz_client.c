/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes become a sequence of inputs into a started client (c) that knows one
 * peer (a), a client too, whose packets reach it whole or with a byte changed.
 * Each step is an op (1), then what it takes; see the switch.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "harness/client.h"
#include "tests/fuzz/fuzz.h"
#include "wire/cursor.h"

#define START_US 1000000
#define MAX_STEPS 400

struct side {
	struct client *client;
	struct actions out;
	uint32_t streams[2]; /* the last ones opened: control, relay */
};

struct pair {
	uint64_t now_us;
	struct side c, a;
};

static const struct endpoint control_at = {0x19000001, 8080};

static struct client *make(const char *name, uint32_t ip)
{
	struct client_config config = {
		.policy = client_policy_default(),
		.ip = ip,
		.gateway_ip = 0xc0a80101,
		.control = control_at,
		.stun = {{0x19000002, 3478}, {0x19000003, 3478}},
		.stun_count = 2,
		.relays = {{0x19000004, 80}},
		.relay_names = {"relay"},
		.relay_count = 1,
		.seed = 1};
	struct client *client;

	snprintf(config.name, sizeof(config.name), "%s", name);
	client = client_new(&config);
	FUZZ_HOLDS(client);
	return client;
}

/* Looks at what is wanted, remembers streams. */
static void take(struct side *s)
{
	FUZZ_HOLDS(!s->out.failed);
	for (size_t i = 0; i < s->out.count; i++) {
		const struct action *one = &s->out.list[i];

		FUZZ_HOLDS(one->kind == ACTION_UDP ||
			   one->kind == ACTION_UPNP || one->stream);
		FUZZ_HOLDS(one->kind != ACTION_UDP || one->payload_bytes);
		if (one->kind == ACTION_CONNECT)
			s->streams[!endpoint_equal(one->dst, control_at)] =
				one->stream;
	}
}

static void settle(struct side *s)
{
	take(s);
	actions_clear(&s->out);
}

static void tell(struct pair *p, struct side *to, const char *name,
		 const struct client *about, const char *endpoint)
{
	char node[65], disco[65], line[400];

	sodium_bin2hex(node, sizeof(node), client_node_key(about), 32);
	sodium_bin2hex(disco, sizeof(disco), client_disco_key(about), 32);
	snprintf(line, sizeof(line),
		 "{\"netmap\":[{\"name\":\"%s\",\"node_key\":\"%s\","
		 "\"disco_key\":\"%s\",\"relay\":\"relay\","
		 "\"endpoints\":[\"%s\"]}]}\n",
		 name, node, disco, endpoint);
	client_on_connected(to->client, p->now_us, to->streams[0], &to->out);
	client_on_stream(to->client, p->now_us, to->streams[0], line,
			 strlen(line), &to->out);
	settle(to);
}

/* What FROM wants sent goes to TO, its byte at AT changed by FLIP. */
static void deliver(struct pair *p, struct side *from, struct side *to,
		    struct endpoint src, uint8_t at, uint8_t flip)
{
	struct actions out = from->out;
	uint8_t data[2048];

	take(from);
	actions_init(&from->out);
	for (size_t i = 0; i < out.count; i++) {
		const struct action *one = &out.list[i];

		if (one->kind != ACTION_UDP || one->payload_bytes > 2048)
			continue;
		memcpy(data, actions_payload(&out, one), one->payload_bytes);
		data[at % one->payload_bytes] ^= flip;
		client_on_udp(to->client, p->now_us, src, CLIENT_DEFAULT_PORT,
			      data, one->payload_bytes, &to->out);
	}
	actions_free(&out);
}

static void pass_time(struct pair *p, struct side *s)
{
	if (client_deadline(s->client) > p->now_us)
		return;
	client_on_timer(s->client, p->now_us, &s->out);
	FUZZ_HOLDS(client_deadline(s->client) > p->now_us);
}

static void stream_step(struct pair *p, struct reader *r, unsigned which)
{
	size_t size = reader_u8(r);
	const uint8_t *data = reader_view(r, size);

	if (data)
		client_on_stream(p->c.client, p->now_us, p->c.streams[which],
				 data, size, &p->c.out);
}

static void udp_step(struct pair *p, struct reader *r)
{
	uint16_t to = reader_u8(r) & 1 ? CLIENT_DEFAULT_PORT
				       : client_portmap_port(p->c.client);
	struct endpoint src = {0xc0a80101, reader_u16(r)};
	size_t size = reader_u8(r);
	const uint8_t *data = reader_view(r, size);

	if (data)
		client_on_udp(p->c.client, p->now_us, src, to, data, size,
			      &p->c.out);
}

static void upnp_step(struct pair *p, struct reader *r)
{
	struct upnp_answer answer = {.op = reader_u8(r) & 1,
				     .error = (int16_t)reader_u16(r),
				     .external_ip = reader_u32(r),
				     .external_port = reader_u16(r)};

	client_on_upnp(p->c.client, p->now_us, &answer, &p->c.out);
}

static void life_step(struct pair *p, struct reader *r)
{
	struct client *c = p->c.client;
	struct actions *out = &p->c.out;

	switch (reader_u8(r) % 6) {
	case 0:
		client_stop(c, p->now_us, out);
		break;
	case 1:
		client_start(c, p->now_us, out);
		break;
	case 2:
		client_on_link_change(c, p->now_us, reader_u32(r), 0xc0a80101,
				      out);
		break;
	case 3:
		client_netcheck(c, p->now_us, out);
		break;
	case 4:
		client_ping_stop(c);
		break;
	default:
		client_ping_start(c, p->now_us, "a", reader_u8(r) & 1, out);
		break;
	}
}

static void step(struct pair *p, struct reader *r)
{
	static const struct endpoint from_a = {0x19000010, 41641};
	static const struct endpoint from_c = {0x19000020, 41641};
	unsigned op = reader_u8(r), which = op >> 7;

	switch (op % 9) {
	case 0:
		udp_step(p, r);
		break;
	case 1:
		stream_step(p, r, which);
		break;
	case 2:
		p->now_us += reader_u16(r) * (uint64_t)10000;
		pass_time(p, &p->c);
		pass_time(p, &p->a);
		break;
	case 3:
		client_on_connected(p->c.client, p->now_us, p->c.streams[which],
				    &p->c.out);
		break;
	case 4:
		client_on_closed(p->c.client, p->now_us, p->c.streams[which],
				 &p->c.out);
		break;
	case 5:
		upnp_step(p, r);
		break;
	case 6:
		life_step(p, r);
		break;
	case 7:
		deliver(p, &p->a, &p->c, from_a, reader_u8(r), reader_u8(r));
		break;
	default:
		deliver(p, &p->c, &p->a, from_c, reader_u8(r), reader_u8(r));
		break;
	}
	take(&p->c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);
	struct pair p = {.now_us = START_US};

	p.c.client = make("c", 0xc0a80102);
	p.a.client = make("a", 0xc0a80103);
	client_start(p.c.client, p.now_us, &p.c.out);
	client_start(p.a.client, p.now_us, &p.a.out);
	settle(&p.c);
	settle(&p.a);
	tell(&p, &p.c, "a", p.a.client, "25.0.0.16:41641");
	tell(&p, &p.a, "c", p.c.client, "25.0.0.32:41641");
	for (unsigned i = 0; i < MAX_STEPS && reader_left(&r) && !r.bad; i++)
		step(&p, &r);
	client_free(p.c.client);
	client_free(p.a.client);
	actions_free(&p.c.out);
	actions_free(&p.a.out);
	return 0;
}
