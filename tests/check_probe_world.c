/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check_probe_engine.h"

#include <stdlib.h>
#include <string.h>

#include "netns/engine.h"
#include "wire/stun.h"

enum {
	MAPPINGS = 512,
	REMOTES = 8,
	QUEUE = 64,
	BLOCK = 256,
	STREAM_AGE_US = 2000000,
	FIRST_PORT = 30000,
	WHOLE_BYTES = 1472,
	TURNS = 20000
};

struct mapping {
	struct endpoint inside, key, outside;
	struct endpoint remotes[REMOTES];
	unsigned remote_count;
	uint64_t born_us, ends_us;
	bool answered;
};

struct flying {
	struct endpoint src, dst;
	uint8_t *data;
	size_t size_bytes;
};

static struct {
	struct world_case c;
	struct engine *engine;
	struct probe *probe;
	struct probe_config config;
	struct probe_report report;
	struct mapping mappings[MAPPINGS];
	unsigned mapping_count, sent;
	uint64_t now_us;
	uint16_t next_port[2];
	struct flying queue[QUEUE];
	unsigned head, tail;
	struct actions actions;
} w;

/* --- the NAT -------------------------------------------------------------- */

static bool live(const struct mapping *m)
{
	return !w.c.nat.lifetime_us || m->ends_us > w.now_us;
}

static void touch(struct mapping *m)
{
	uint64_t lifetime_us = w.c.nat.lifetime_us;

	if (m->answered && w.c.nat.stream_us &&
	    w.now_us - m->born_us >= STREAM_AGE_US)
		lifetime_us = w.c.nat.stream_us;
	if (!w.c.nat.absolute)
		m->ends_us = w.now_us + lifetime_us;
}

/* The part of a remote endpoint that a behaviour depends on. */
static struct endpoint part(struct endpoint remote, enum probe_dependence d)
{
	return (struct endpoint){d == PROBE_EI ? 0 : remote.ip,
				 d == PROBE_APD ? remote.port : 0};
}

static bool taken(uint32_t ip, uint16_t port)
{
	if (port && port == w.c.nat.taken)
		return true;
	for (unsigned i = 0; i < w.mapping_count; i++)
		if (live(&w.mappings[i]) &&
		    w.mappings[i].outside.port == port &&
		    w.mappings[i].outside.ip == ip)
			return true;
	return false;
}

static uint16_t draw(uint32_t ip)
{
	uint16_t port;

	do
		port = (uint16_t)(1024 + rand() % 64000);
	while (taken(ip, port));
	return port;
}

/* 0: refused. */
static uint16_t choose_port(struct endpoint inside, uint32_t ip)
{
	bool is_taken = taken(ip, inside.port) && !w.c.nat.overload;
	bool peers = inside.ip == PEER_IP && w.c.nat.ports == WORLD_BLOCK;

	if (w.c.nat.chance && w.mapping_count == 1)
		return w.mappings[0].outside.port;
	switch (w.c.nat.ports) {
	case WORLD_PRESERVE:
		return is_taken ? 0 : inside.port;
	case WORLD_PRESERVE_OR_RANDOM:
		return is_taken ? draw(ip) : inside.port;
	case WORLD_RANDOM:
		return draw(ip);
	default:
		return (uint16_t)(FIRST_PORT + (peers ? 3 * BLOCK : 0) +
				  w.next_port[peers]++);
	}
}

static struct mapping *find_mapping(struct endpoint inside,
				    struct endpoint remote)
{
	struct endpoint key = w.c.nat.by_port ?
				      (struct endpoint){0, remote.port} :
				      part(remote, w.c.nat.mapping);
	uint32_t ip = NAT_IP;
	struct mapping *m;
	uint16_t port;

	for (unsigned i = 0; i < w.mapping_count; i++) {
		m = &w.mappings[i];
		if (live(m) && endpoint_equal(m->inside, inside) &&
		    endpoint_equal(m->key, key))
			return m;
	}
	ck_assert_uint_lt(w.mapping_count, MAPPINGS);
	if (w.c.nat.arbitrary && w.mapping_count & 1)
		ip++;
	port = choose_port(inside, ip);
	if (!port)
		return NULL;
	m = &w.mappings[w.mapping_count++];
	*m = (struct mapping){.inside = inside,
			      .key = key,
			      .outside = {ip, port},
			      .born_us = w.now_us,
			      .ends_us = w.now_us + w.c.nat.lifetime_us};
	return m;
}

static bool passes(const struct mapping *m, struct endpoint remote)
{
	enum probe_dependence d = w.c.nat.filtering;

	if (d == PROBE_EI)
		return true;
	for (unsigned i = 0; i < m->remote_count; i++)
		if (endpoint_equal(part(m->remotes[i], d), part(remote, d)))
			return true;
	return false;
}

/* --- what flies ----------------------------------------------------------- */

static void fly(struct endpoint src, struct endpoint dst, const void *data,
		size_t size_bytes)
{
	struct flying *f = &w.queue[w.tail++ % QUEUE];

	ck_assert_uint_le(w.tail - w.head, QUEUE);
	*f = (struct flying){src, dst, malloc(size_bytes), size_bytes};
	memcpy(f->data, data, size_bytes);
}

static void to_probe(struct endpoint src, struct endpoint dst,
		     const struct flying *f)
{
	probe_on_udp(w.probe, w.now_us, src, dst, f->data, f->size_bytes,
		     &w.actions);
}

static bool from_inside(struct endpoint e)
{
	return e.ip == HOST_IP || e.ip == PEER_IP;
}

static void inbound(struct endpoint src, const struct flying *f, bool hairpin)
{
	for (unsigned i = 0; i < w.mapping_count; i++) {
		struct mapping *m = &w.mappings[i];

		if (!live(m) || !endpoint_equal(m->outside, f->dst) ||
		    !passes(m, src))
			continue;
		m->answered = true;
		if (w.c.nat.inbound_refresh)
			touch(m);
		to_probe(hairpin && w.c.nat.hairpin == PROBE_HAIRPIN_INTERNAL ?
				 f->src : src,
			 m->inside, f);
		return;
	}
}

static void out_of_engine(bool out, struct endpoint src, struct endpoint dst,
			  const void *data, size_t size_bytes)
{
	if (out)
		fly(src, dst, data, size_bytes);
	else
		probe_on_udp(w.probe, w.now_us, src, dst, data, size_bytes,
			     &w.actions);
}

static void through_nat(struct flying *f)
{
	struct mapping *m;

	if (w.engine) {
		probe_engine_pass(w.engine, w.now_us, from_inside(f->src),
				  f->src, f->dst, f->data, f->size_bytes,
				  out_of_engine);
		return;
	}
	if (w.c.nat.udp_blocked ||
	    (w.c.nat.drop_fragments && f->size_bytes > WHOLE_BYTES))
		return;
	if (!from_inside(f->src)) {
		inbound(f->src, f, false);
		return;
	}
	m = find_mapping(f->src, f->dst);
	if (!m)
		return;
	touch(m);
	m->remotes[m->remote_count++ % REMOTES] = f->dst;
	if (m->remote_count > REMOTES)
		m->remote_count = REMOTES;
	if (f->dst.ip != NAT_IP && f->dst.ip != NAT_IP + 1)
		fly(m->outside, f->dst, f->data, f->size_bytes);
	else if (w.c.nat.hairpin != PROBE_HAIRPIN_NONE)
		inbound(m->outside, f, true);
}

static size_t worsen(const struct flying *f, uint8_t *data)
{
	const struct world_server *s = &w.c.server;
	struct stun_message m;
	uint8_t bytes[4096];
	int size;

	memcpy(data, f->data, f->size_bytes);
	if (!s->ignores_change && !s->ignores_padding &&
	    !s->ignores_response_port)
		return f->size_bytes;
	ck_assert_int_eq(stun_decode(f->data, f->size_bytes, &m, NULL), 0);
	if (s->ignores_change)
		m.change_request = 0;
	if (s->ignores_padding)
		m.padding_bytes = 0;
	if (s->ignores_response_port)
		m.response_port = 0;
	size = stun_encode(&m, bytes, sizeof(bytes));
	ck_assert_int_gt(size, 0);
	memcpy(data, bytes, (size_t)size);
	return (size_t)size;
}

static void answer_with(struct endpoint asked, const struct action *one,
			const uint8_t *payload)
{
	struct stun_message m;
	uint8_t data[4096], lie[4096];
	int size;

	if (w.c.server.mute_other && one->src.ip != asked.ip)
		return;
	ck_assert_int_eq(stun_decode(payload, one->payload_bytes, &m, NULL), 0);
	if (w.c.server.claims_other.ip)
		m.other_address = w.c.server.claims_other;
	size = stun_encode(&m, data, sizeof(data));
	if (w.c.server.garbage) {
		fly(one->src, one->dst, "garbage", 7);
		data[9] ^= 1; /* another's transaction */
		fly(one->src, one->dst, data, (size_t)size);
		data[9] ^= 1;
		fly(one->src, one->dst, data, (size_t)size - 4);
		/* well-formed and a lie, from the wrong place */
		m.mapped.port++;
		stun_encode(&m, lie, sizeof(lie));
		fly((struct endpoint){one->src.ip, 9}, one->dst, lie,
		    (size_t)size);
	}
	fly(one->src, one->dst, data, (size_t)size);
}

static void to_server(const struct flying *f)
{
	struct stun_server_config c = {.ip = SERVER_IP,
				       .port = STUN_PORT,
				       .alt_ip = OTHER_IP,
				       .alt_port = SERVER_STUN_ALT_PORT};
	struct actions out = {0};
	uint8_t data[8192];
	size_t size_bytes = worsen(f, data);

	if (w.c.server.alone)
		c.alt_ip = c.alt_port = 0;
	if (!w.c.server.dead)
		stun_server_on_udp(&c, f->src, f->dst, data, size_bytes, &out);
	for (size_t i = 0; i < out.count; i++)
		answer_with(f->dst, &out.list[i],
			    actions_payload(&out, &out.list[i]));
	actions_free(&out);
}

static bool is_server(struct endpoint e)
{
	return e.ip == SERVER_IP || e.ip == OTHER_IP;
}

static void take_actions(void)
{
	for (size_t i = 0; i < w.actions.count; i++) {
		const struct action *one = &w.actions.list[i];

		fly(one->src, one->dst, actions_payload(&w.actions, one),
		    one->payload_bytes);
	}
	actions_clear(&w.actions);
}

static void deliver_all(void)
{
	for (take_actions(); w.head != w.tail; take_actions()) {
		struct flying f = w.queue[w.head++ % QUEUE];

		if (w.c.loss && !(++w.sent % w.c.loss))
			;
		else if (is_server(f.dst))
			from_inside(f.src) && !w.c.nat.off ? through_nat(&f) :
							     to_server(&f);
		else if (w.c.nat.off)
			to_probe(f.src, f.dst, &f);
		else
			through_nat(&f);
		free(f.data);
	}
}

/* --- the run -------------------------------------------------------------- */

const struct probe_report *world_probe(const struct world_case *c)
{
	unsigned turns = 0;

	memset(&w, 0, sizeof(w));
	srand(1);
	w.c = *c;
	w.now_us = SECOND;
	w.config = (struct probe_config){
		.server = {SERVER_IP, STUN_PORT},
		.ip = HOST_IP,
		.peer_ip = c->peer ? PEER_IP : 0,
		.lifetime = c->lifetime,
		.seed = 7};
	probe_choose_ports(&w.config, 20000);
	w.engine = c->engine ? probe_engine_new(&c->nat) : NULL;
	w.probe = probe_new(&w.config);
	probe_start(w.probe, w.now_us, &w.actions);
	for (deliver_all(); !probe_done(w.probe); deliver_all()) {
		ck_assert_uint_lt(turns++, TURNS);
		ck_assert_uint_ge(probe_deadline(w.probe), w.now_us);
		w.now_us = probe_deadline(w.probe);
		probe_on_timer(w.probe, w.now_us, &w.actions);
	}
	ck_assert(probe_deadline(w.probe) == ACTIONS_NEVER);
	w.report = *probe_report(w.probe);
	probe_free(w.probe);
	engine_free(w.engine);
	actions_free(&w.actions);
	return &w.report;
}

uint64_t world_took_us(void)
{
	return w.now_us - SECOND;
}

void assert_found(const struct probe_report *r, enum probe_item item, int value)
{
	const struct probe_finding *f = &r->findings[item];

	ck_assert_msg(f->state == PROBE_FOUND, "item %d: not found: %s", item,
		      f->note);
	ck_assert_msg(f->value == value, "item %d: %d, not %d (%s)", item,
		      f->value, value, f->note);
}

void assert_unknown(const struct probe_report *r, enum probe_item item,
		    const char *why)
{
	const struct probe_finding *f = &r->findings[item];

	ck_assert_msg(f->state == PROBE_UNKNOWN, "item %d: found %d", item,
		      f->value);
	ck_assert_msg(strstr(f->note, why), "item %d: %s", item, f->note);
}
