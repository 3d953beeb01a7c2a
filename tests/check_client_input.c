/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client makes of input that it did not wait for. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "harness/client_private.h"
#include "tests/check_client_suites.h"
#include "tests/check_client_world.h"
#include "wire/wireguard.h"

static struct world *w;

static void setup(void)
{
	w = world_new();
}

static void teardown(void)
{
	world_free(w);
}

static struct client *client_of(unsigned i)
{
	return world_node(w, i)->client;
}

/* C's actions upon a datagram, not carried out. */
static size_t give(struct endpoint src, uint16_t port, const void *data,
		   size_t size_bytes)
{
	struct actions out;
	size_t count;

	actions_init(&out);
	client_on_udp(client_of(C), world_now(w), src, port, data, size_bytes,
		      &out);
	count = out.count;
	actions_free(&out);
	return count;
}

/* A's next initiation to C, made behind A's back. */
static void initiation(uint8_t out[static WIREGUARD_INITIATION_BYTES])
{
	struct client *a = client_of(A);
	struct client_peer *p = client_peer_by_name(a, "c");

	ck_assert_ptr_nonnull(p);
	a->now_us = world_now(w);
	ck_assert(client_noise_initiate(a, p, out));
}

static const struct endpoint stranger = {0x19000063, 4242};

START_TEST(payload_from_strangers)
{
	uint8_t data[WIREGUARD_INITIATION_BYTES];
	struct client *c;
	size_t mark;

	world_start_all(w);
	initiation(data);
	ck_assert_uint_eq(give(stranger, 41641, data, sizeof(data)), 0);
	c = client_of(C);
	client_peer_note_known(c, client_peer_by_name(c, "a"), stranger);
	/* Now it is answered (and C looks for a path): but only once. */
	ck_assert_uint_gt(give(stranger, 41641, data, sizeof(data)), 0);
	ck_assert_uint_eq(give(stranger, 41641, data, sizeof(data)), 0);
	/* The answer counts as a handshake: C starts none of its own. */
	mark = world_mark(w);
	world_ping(w, C, A, CLIENT_PING_DATA, 4 * WORLD_S, false);
	ck_assert_uint_eq(world_count(w, mark, C, WORLD_INITIATION, -1), 0);
}
END_TEST

START_TEST(every_bit_of_an_initiation_counts)
{
	uint8_t data[WIREGUARD_INITIATION_BYTES];
	struct client *c;

	world_start_all(w);
	initiation(data);
	c = client_of(C);
	client_peer_note_known(c, client_peer_by_name(c, "a"), stranger);
	/* All but mac2, which nobody sets. */
	for (unsigned i = 0; i < sizeof(data) - 16; i++) {
		data[i] ^= 1;
		ck_assert_uint_eq(give(stranger, 41641, data, sizeof(data)), 0);
		data[i] ^= 1;
	}
	ck_assert_uint_gt(give(stranger, 41641, data, sizeof(data)), 0);
}
END_TEST

START_TEST(ping_from_a_stranger_node)
{
	struct client_peer *p;
	struct client_arrival a = {.src = stranger};
	struct disco_message m = {.type = DISCO_PING, .has_node_key = true};
	uint8_t nonce[DISCO_NONCE_BYTES] = {1}, out[256];
	struct client *from;
	int n;

	world_start_all(w);
	from = client_of(A);
	p = client_peer_by_name(from, "c");
	/* The node key is B's, the DISCO key A's. */
	memcpy(m.node_key, client_node_key(client_of(B)), 32);
	n = disco_seal(&m, from->disco_public, from->disco_secret, p->disco_key,
		       nonce, out, sizeof(out));
	ck_assert_int_gt(n, 0);
	ck_assert_uint_eq(give(stranger, 41641, out, (size_t)n), 0);
	memcpy(m.node_key, client_node_key(from), 32);
	n = disco_seal(&m, from->disco_public, from->disco_secret, p->disco_key,
		       nonce, out, sizeof(out));
	ck_assert_uint_eq(give(stranger, 41641, out, (size_t)n), 1);
	ck_assert(client_peer_is_known(client_of(C), a.src));
}
END_TEST

/* Over UDP anybody could call; over the relay, the node is known. */
START_TEST(call_over_udp_is_ignored)
{
	struct disco_message m = {.type = DISCO_CALL_ME_MAYBE,
				  .endpoints = {{0x19000064, 1}},
				  .endpoint_count = 1};
	uint8_t nonce[DISCO_NONCE_BYTES] = {1}, out[256];
	struct client_arrival a = {.data = out};
	struct actions actions;
	struct client *from, *c;
	int n;

	world_start_all(w);
	from = client_of(A);
	c = client_of(C);
	n = disco_seal(&m, from->disco_public, from->disco_secret,
		       client_disco_key(c), nonce, out, sizeof(out));
	ck_assert_uint_eq(give(stranger, 41641, out, (size_t)n), 0);
	actions_init(&actions);
	a.size_bytes = (size_t)n;
	a.node_key = client_node_key(client_of(B)); /* not who sealed it */
	c->out = &actions;
	client_disco_receive(c, &a);
	ck_assert_uint_eq(actions.count, 0);
	a.node_key = client_node_key(from);
	client_disco_receive(c, &a);
	/* The endpoint called, and those of the netmap; no call back. */
	ck_assert_uint_eq(actions.count, 3);
	for (size_t i = 0; i < actions.count; i++)
		ck_assert_int_eq(actions.list[i].kind, ACTION_UDP);
	/* A call makes it ping again at once, however recent the last was. */
	client_disco_receive(c, &a);
	ck_assert_uint_eq(actions.count, 6);
	actions_free(&actions);
}
END_TEST

/* A pong is good for 5 s. */
START_TEST(late_pong)
{
	struct disco_message m = {.type = DISCO_PONG};
	uint8_t nonce[DISCO_NONCE_BYTES] = {1}, out[256];
	struct client *from, *c;
	struct client_peer *p;
	int n;

	world_start_all(w);
	from = client_of(A);
	c = client_of(C);
	c->out = &world_node(w, C)->out;
	c->now_us = world_now(w);
	p = client_peer_by_name(c, "a");
	client_disco_ping(c, p, p->candidates[0].to, CLIENT_PURPOSE_DISCOVERY);
	client_disco_ping(c, p, p->candidates[0].to, CLIENT_PURPOSE_DISCOVERY);
	actions_clear(c->out);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(m.txid, p->pings[i].txid, sizeof(m.txid));
		n = disco_seal(&m, from->disco_public, from->disco_secret,
			       client_disco_key(c), nonce, out, sizeof(out));
		world_run(w, i ? 200 * WORLD_MS : 4900 * WORLD_MS);
		p->best = (struct endpoint){0};
		give(p->candidates[0].to, 41641, out, (size_t)n);
		ck_assert_int_eq(p->best.ip != 0, i == 0);
	}
}
END_TEST

START_TEST(replay_window)
{
	struct client_keypair from = {.valid = true}, to = {.valid = true};
	uint8_t out[80][64], inner[CLIENT_PADDED_BYTES];
	int n = 0;

	for (unsigned i = 0; i < 80; i++) {
		n = client_noise_seal(&from, "0123456789", 10, out[i], 64);
		ck_assert_int_eq(n, 48);
	}
	ck_assert_int_eq(client_noise_open(&to, out[1], 48, inner, 96), 16);
	ck_assert_int_eq(client_noise_open(&to, out[0], 48, inner, 96), 16);
	ck_assert_int_lt(client_noise_open(&to, out[0], 48, inner, 96), 0);
	ck_assert_int_lt(client_noise_open(&to, out[1], 48, inner, 96), 0);
	ck_assert_int_eq(client_noise_open(&to, out[70], 48, inner, 96), 16);
	ck_assert_int_eq(client_noise_open(&to, out[7], 48, inner, 96), 16);
	ck_assert_int_lt(client_noise_open(&to, out[7], 48, inner, 96), 0);
	/* Beyond the window nobody can tell: refused. */
	ck_assert_int_lt(client_noise_open(&to, out[5], 48, inner, 96), 0);
	out[79][20] ^= 1;
	ck_assert_int_lt(client_noise_open(&to, out[79], 48, inner, 96), 0);
	out[79][20] ^= 1;
	ck_assert_int_eq(client_noise_open(&to, out[79], 48, inner, 96), 16);
}
END_TEST

START_TEST(garbage)
{
	static uint8_t data[2000];
	struct rng rng;

	world_start_all(w);
	rng_init(&rng, 1, "garbage");
	for (unsigned i = 0; i < 5000; i++) {
		size_t size = rng_below(&rng, sizeof(data));

		rng_bytes(&rng, data, sizeof(data));
		if (i % 4 == 1)
			memcpy(data, "TS\xf0\x9f\x92\xac", 6);
		if (i % 4 == 2)
			memcpy(data, "\1\0\0\0", 4), size = 148;
		if (i % 4 == 3)
			memcpy(data, "\4\0\0\0", 4);
		ck_assert_uint_eq(give(stranger, 41641 + (i & 1), data, size),
				  0);
	}
	ck_assert_uint_eq(give(stranger, 41641, data, 0), 0);
	ck_assert_int_eq(
		world_ping(w, A, C, CLIENT_PING_DATA, 12 * WORLD_S, true),
		CLIENT_PATH_DIRECT);
}
END_TEST

/* A stream that talks nonsense is closed, and opened again later. */
START_TEST(nonsense_on_streams)
{
	struct client *c;
	struct actions out;
	uint32_t stream;

	world_start_all(w);
	c = client_of(C);
	actions_init(&out);
	stream = c->relays[0].link.stream;
	client_on_stream(c, world_now(w), stream, "\4\xff\xff\xff\xff....", 9,
			 &out);
	ck_assert_int_eq(out.list[0].kind, ACTION_CLOSE);
	ck_assert_uint_eq(out.list[0].stream, stream);
	/* And it looks whether the network is another now. */
	ck_assert_uint_gt(out.count, 1);
	for (size_t i = 1; i < out.count; i++)
		ck_assert_int_eq(out.list[i].kind, ACTION_UDP);
	ck_assert_uint_le(client_deadline(c), world_now(w) + WORLD_S);
	actions_clear(&out);
	/* Of a stream that is gone, and of one that never was. */
	client_on_stream(c, world_now(w), stream, "x", 1, &out);
	client_on_closed(c, world_now(w), 4711, &out);
	client_on_connected(c, world_now(w), 0, &out);
	/* Control: a bad line is no reason to part. */
	client_on_stream(c, world_now(w), c->control.link.stream,
			 "{\n[]\n{\"netmap\":[1,{\"name\":3}]}\n{\"net", 35,
			 &out);
	ck_assert_uint_eq(out.count, 0);
	ck_assert_ptr_null(c->peers); /* that netmap had nobody in it */
	actions_free(&out);
}
END_TEST

START_TEST(not_running_hears_nothing)
{
	struct world_node *n = world_node(w, C);
	struct upnp_answer answer = {.op = UPNP_MAP};

	world_start_all(w);
	world_stop(w, C);
	ck_assert_uint_eq(give(stranger, 41641, "x", 1), 0);
	client_on_upnp(n->client, world_now(w), &answer, &n->out);
	client_on_timer(n->client, world_now(w), &n->out);
	client_netcheck(n->client, world_now(w), &n->out);
	client_ping_start(n->client, world_now(w), "a", CLIENT_PING_DATA,
			  &n->out);
	ck_assert(!client_ping(n->client)->running);
	ck_assert_uint_eq(n->out.count, 0);
	client_free(NULL);
}
END_TEST

Suite *client_input_suite(void)
{
	Suite *s = suite_create("client input");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, payload_from_strangers);
	tcase_add_test(t, every_bit_of_an_initiation_counts);
	tcase_add_test(t, ping_from_a_stranger_node);
	tcase_add_test(t, call_over_udp_is_ignored);
	tcase_add_test(t, late_pong);
	tcase_add_test(t, replay_window);
	tcase_add_test(t, garbage);
	tcase_add_test(t, nonsense_on_streams);
	tcase_add_test(t, not_running_hears_nothing);
	suite_add_tcase(s, t);
	return s;
}
