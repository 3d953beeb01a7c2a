/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes become the network of a probe: each packet it sends is answered by the
 * server (whole or with a byte changed), looped, lost, or answered with bytes
 * of the input; then time passes. The first byte says what is asked for.
 */
#include <string.h>

#include "harness/probe.h"
#include "harness/probe_report.h"
#include "harness/server.h"
#include "tests/fuzz/fuzz.h"
#include "wire/cursor.h"
#include "wire/stun.h"

#define HOST_IP 0xc0a80102
#define PEER_IP 0xc0a80103
#define NAT_IP 0x19000001
#define SERVER_IP 0x19ff0001
#define OTHER_IP 0x19ff0002
#define MAX_TURNS 4000

static const struct stun_server_config server = {
	.ip = SERVER_IP,
	.port = STUN_PORT,
	.alt_ip = OTHER_IP,
	.alt_port = SERVER_STUN_ALT_PORT};

struct run {
	struct probe *probe;
	uint64_t now_us;
	struct reader input;
	struct actions actions;
};

static void hear(struct run *r, struct endpoint src, struct endpoint dst,
		 const void *data, size_t size_bytes)
{
	probe_on_udp(r->probe, r->now_us, src, dst, data, size_bytes,
		     &r->actions);
}

/* The server's answers to one packet, seen as from MAPPED. */
static void answer(struct run *r, const struct action *one,
		   const uint8_t *payload, struct endpoint mapped, bool broken)
{
	struct actions out = {0};
	uint8_t data[4096];

	stun_server_on_udp(&server, mapped, one->dst, payload,
			   one->payload_bytes, &out);
	for (size_t i = 0; i < out.count; i++) {
		size_t size = out.list[i].payload_bytes;

		memcpy(data, actions_payload(&out, &out.list[i]), size);
		if (broken)
			data[reader_u16(&r->input) % size] ^=
				reader_u8(&r->input);
		hear(r, out.list[i].src, one->src, data, size);
	}
	actions_free(&out);
}

static void meet(struct run *r, const struct action *one,
		 const uint8_t *payload)
{
	struct endpoint mapped = {NAT_IP, one->src.port};
	unsigned op = reader_u8(&r->input);
	size_t size;
	const uint8_t *data;

	if (op & 0x40)
		mapped.port = reader_u16(&r->input);
	if (op & 0x80)
		mapped.ip = HOST_IP;
	switch (op % 6) {
	case 0:
	case 1:
		answer(r, one, payload, mapped, false);
		break;
	case 2:
		answer(r, one, payload, mapped, true);
		break;
	case 3: /* hairpin */
		hear(r, mapped, (struct endpoint){HOST_IP, one->dst.port},
		     payload, one->payload_bytes);
		break;
	case 4:
		size = reader_u8(&r->input);
		data = reader_view(&r->input, size);
		if (data)
			hear(r, one->dst, one->src, data, size);
		break;
	default: /* lost */
		break;
	}
}

static void meet_all(struct run *r)
{
	while (r->actions.count) {
		struct actions todo = r->actions;

		actions_init(&r->actions);
		FUZZ_HOLDS(!todo.failed);
		for (size_t i = 0; i < todo.count; i++) {
			const struct action *one = &todo.list[i];

			FUZZ_HOLDS(one->kind == ACTION_UDP);
			FUZZ_HOLDS(one->src.ip == HOST_IP ||
				   one->src.ip == PEER_IP);
			FUZZ_HOLDS(one->dst.port && one->payload_bytes);
			meet(r, one, actions_payload(&todo, one));
		}
		actions_free(&todo);
	}
}

/* Reports of whatever came must be well-formed. */
static void report(const struct run *r)
{
	json_t *json = probe_report_json(probe_report(r->probe));
	FILE *out = fopen("/dev/null", "we");

	FUZZ_HOLDS(json);
	json_decref(json);
	if (!out)
		return;
	probe_report_text(probe_report(r->probe), out);
	fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.now_us = 1000000, .input = reader_over(data, size)};
	struct probe_config config = {.server = {SERVER_IP, STUN_PORT},
				      .ip = HOST_IP,
				      .seed = 1};
	unsigned wishes = reader_u8(&r.input), turns = 0;

	config.lifetime = wishes & 1;
	config.peer_ip = wishes & 2 ? PEER_IP : 0;
	probe_choose_ports(&config, 20000);
	r.probe = probe_new(&config);
	FUZZ_HOLDS(r.probe);
	probe_start(r.probe, r.now_us, &r.actions);
	for (meet_all(&r); !probe_done(r.probe); meet_all(&r)) {
		/* It ends, whatever the network does. */
		FUZZ_HOLDS(turns++ < MAX_TURNS);
		FUZZ_HOLDS(probe_deadline(r.probe) >= r.now_us);
		r.now_us = probe_deadline(r.probe);
		probe_on_timer(r.probe, r.now_us, &r.actions);
	}
	report(&r);
	probe_free(r.probe);
	actions_free(&r.actions);
	return 0;
}
