/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <sodium.h>

#include "harness/server.h"
#include "tests/relay_bytes.h"
#include "wire/derp.h"

static const uint64_t second_us = 1000000;

static struct relay *relay;
static struct actions out;
static uint8_t got[200000];
static size_t got_bytes, got_at;

static void set_up(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	actions_init(&out);
	relay = relay_new(7, "relay");
}

static void tear_down(void)
{
	ck_assert(!out.failed);
	actions_free(&out);
	relay_free(relay);
}

static void give(uint64_t now_us, uint32_t stream, const void *data,
		 size_t size_bytes)
{
	actions_clear(&out);
	relay_on_stream(relay, now_us, stream, data, size_bytes, &out);
}

/* Makes what STREAM was written the bytes that next_frame reads. */
static void look_at(uint32_t stream)
{
	got_bytes = got_at = 0;
	for (size_t i = 0; i < out.count; i++) {
		const struct action *one = &out.list[i];

		if (one->kind != ACTION_WRITE || one->stream != stream)
			continue;
		ck_assert_uint_le(got_bytes + one->payload_bytes, sizeof(got));
		memcpy(got + got_bytes, actions_payload(&out, one),
		       one->payload_bytes);
		got_bytes += one->payload_bytes;
	}
}

static struct derp_frame next_frame(void)
{
	struct derp_frame frame;
	int used = derp_decode(got + got_at, got_bytes - got_at, &frame, NULL);

	ck_assert_int_gt(used, 0);
	got_at += (size_t)used;
	return frame;
}

static bool closed(uint32_t stream)
{
	for (size_t i = 0; i < out.count; i++)
		if (out.list[i].kind == ACTION_CLOSE &&
		    out.list[i].stream == stream)
			return true;
	return false;
}

static void accept_stream(uint64_t now_us, uint32_t stream)
{
	relay_on_accept(relay, now_us, stream, (struct endpoint){1, 1}, &out);
}

static void upgrade(uint64_t now_us, uint32_t stream)
{
	int skip;

	accept_stream(now_us, stream);
	give(now_us, stream, real_upgrade, strlen(real_upgrade));
	look_at(stream);
	skip = derp_decode_upgrade(got, got_bytes, false, NULL);
	ck_assert_int_gt(skip, 0);
	got_at = (size_t)skip;
}

/* A client of ours, whose keys come of one number. */
struct peer {
	uint8_t pub[DERP_KEY_BYTES], secret[DERP_KEY_BYTES];
};

static struct peer peer_of(uint8_t number)
{
	struct peer p;

	memset(p.secret, number, sizeof(p.secret));
	crypto_scalarmult_base(p.pub, p.secret);
	return p;
}

static void send_info(uint64_t now_us, uint32_t stream, const struct peer *p,
		      const uint8_t *relay_key, const char *json)
{
	const uint8_t nonce[DERP_NONCE_BYTES] = {1};
	uint8_t frame[8000];
	int size_bytes =
		derp_encode_client_info(p->pub, p->secret, relay_key, nonce,
					json, frame, sizeof(frame));

	ck_assert_int_gt(size_bytes, 0);
	give(now_us, stream, frame, (size_t)size_bytes);
}

static struct peer join(uint64_t now_us, uint32_t stream, uint8_t number)
{
	struct peer p = peer_of(number);
	struct derp_frame frame;
	char json[64];
	uint8_t relay_key[DERP_KEY_BYTES];

	upgrade(now_us, stream);
	frame = next_frame();
	ck_assert_uint_eq(frame.type, DERP_SERVER_KEY);
	memcpy(relay_key, frame.key, sizeof(relay_key));
	ck_assert_uint_eq(got_at, got_bytes);
	send_info(now_us, stream, &p, relay_key, "{\"version\":2}");
	look_at(stream);
	frame = next_frame();
	ck_assert_int_eq(derp_open_server_info(&frame, p.secret, relay_key,
					       json, sizeof(json)),
			 0);
	ck_assert_str_eq(json, "{\"version\":2}");
	ck_assert_uint_eq(got_at, got_bytes);
	return p;
}

static void send_packet(uint32_t stream, const struct peer *to,
			const void *packet, size_t packet_bytes)
{
	static uint8_t frame[DERP_FRAME_HEADER_BYTES + DERP_MAX_FRAME_BYTES];
	int size_bytes = derp_encode_packet(DERP_SEND_PACKET, to->pub, packet,
					    packet_bytes, frame, sizeof(frame));

	ck_assert_int_gt(size_bytes, 0);
	give(0, stream, frame, (size_t)size_bytes);
}

static void assert_packet(uint32_t stream, const uint8_t *from,
			  const void *packet, size_t packet_bytes)
{
	struct derp_frame frame;

	look_at(stream);
	frame = next_frame();
	ck_assert_uint_eq(frame.type, DERP_RECV_PACKET);
	ck_assert_mem_eq(frame.key, from, DERP_KEY_BYTES);
	ck_assert_uint_eq(frame.packet_bytes, packet_bytes);
	if (packet_bytes)
		ck_assert_mem_eq(frame.packet, packet, packet_bytes);
	ck_assert_uint_eq(got_at, got_bytes);
}

static void assert_gone(uint32_t stream, const uint8_t *key, uint8_t reason)
{
	struct derp_frame frame;

	look_at(stream);
	frame = next_frame();
	ck_assert_uint_eq(frame.type, DERP_PEER_GONE);
	ck_assert_mem_eq(frame.key, key, DERP_KEY_BYTES);
	ck_assert_uint_eq(frame.body_bytes, DERP_KEY_BYTES + 1);
	ck_assert_uint_eq(frame.body[DERP_KEY_BYTES], reason);
	ck_assert_uint_eq(got_at, got_bytes);
}

START_TEST(serves_real_clients)
{
	const uint8_t *key_a = real_info_a + 5, *key_b = real_info_b + 5;
	struct derp_frame frame;

	upgrade(0, 1);
	give(0, 1, real_info_a, sizeof(real_info_a));
	look_at(1);
	ck_assert_uint_eq(next_frame().type, DERP_SERVER_INFO);
	upgrade(0, 2);
	give(0, 2, real_info_b, sizeof(real_info_b));
	look_at(2);
	ck_assert_uint_eq(next_frame().type, DERP_SERVER_INFO);
	give(0, 1, real_send, sizeof(real_send));
	assert_packet(2, key_a, "\x02", 1);
	give(0, 1, real_preferred, sizeof(real_preferred));
	ck_assert_uint_eq(out.count, 0);
	give(0, 1, real_ping, sizeof(real_ping));
	look_at(1);
	frame = next_frame();
	ck_assert_uint_eq(frame.type, DERP_PONG);
	ck_assert_uint_eq(frame.body_bytes, 8);
	ck_assert_mem_eq(frame.body, real_ping + 5, 8);
	give(0, 1, real_send_nobody, sizeof(real_send_nobody));
	assert_gone(1, real_send_nobody + 5, 1);
	actions_clear(&out);
	relay_on_closed(relay, 0, 1, &out);
	assert_gone(2, key_a, 0);
	ck_assert_mem_eq(real_send + 5, key_b, DERP_KEY_BYTES);
}
END_TEST

START_TEST(carries_packets_of_any_size_both_ways)
{
	static const size_t sizes[] = {0, 1, 110, 1400, DERP_MAX_PACKET_BYTES};
	struct peer a = join(0, 1, 1), b = join(0, 2, 2);
	uint8_t *packet = malloc(DERP_MAX_PACKET_BYTES);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(packet, (int)i + 1, DERP_MAX_PACKET_BYTES);
		send_packet(1, &b, packet, sizes[i]);
		assert_packet(2, a.pub, packet, sizes[i]);
		send_packet(2, &a, packet, sizes[i]);
		assert_packet(1, b.pub, packet, sizes[i]);
	}
	free(packet);
}
END_TEST

START_TEST(does_not_mind_how_bytes_arrive)
{
	uint8_t all[sizeof(real_upgrade) - 1 + sizeof(real_info_a) +
		    sizeof(real_ping)];
	static const uint8_t want[] = {DERP_SERVER_KEY, DERP_SERVER_INFO,
				       DERP_PONG};
	uint8_t types[8];
	size_t types_len = 0;

	memcpy(all, real_upgrade, sizeof(real_upgrade) - 1);
	memcpy(all + sizeof(real_upgrade) - 1, real_info_a,
	       sizeof(real_info_a));
	memcpy(all + sizeof(all) - sizeof(real_ping), real_ping,
	       sizeof(real_ping));
	/* In chunks of _i bytes; the last one is everything at once. */
	accept_stream(0, 1);
	for (size_t at = 0; at < sizeof(all); at += (size_t)_i) {
		size_t left = sizeof(all) - at;

		give(0, 1, all + at, left < (size_t)_i ? left : (size_t)_i);
		ck_assert(!closed(1));
		look_at(1);
		if (got_bytes && got[0] == 'H')
			got_at = (size_t)derp_decode_upgrade(got, got_bytes,
							     false, NULL);
		while (got_at < got_bytes)
			types[types_len++] = next_frame().type;
	}
	ck_assert_uint_eq(types_len, 3);
	ck_assert_mem_eq(types, want, 3);
}
END_TEST

START_TEST(tells_of_a_going_those_who_were_sent_something)
{
	struct peer a = join(0, 1, 1), b = join(0, 2, 2);

	join(0, 3, 3);
	send_packet(1, &b, "x", 1);
	send_packet(1, &b, "x", 1);
	actions_clear(&out);
	relay_on_closed(relay, 0, 1, &out);
	assert_gone(2, a.pub, 0);
	ck_assert_uint_eq(out.count, 1);
	/* Said once; and b may come back and be told again. */
	send_packet(2, &a, "x", 1);
	assert_gone(2, a.pub, 1);
	join(0, 4, 1);
	actions_clear(&out);
	relay_on_closed(relay, 0, 4, &out);
	ck_assert_uint_eq(out.count, 0);
}
END_TEST

START_TEST(the_newest_connection_of_a_key_wins)
{
	struct peer a = join(0, 1, 1), b = join(0, 2, 2);

	send_packet(1, &b, "x", 1);
	actions_clear(&out);
	upgrade(0, 3);
	send_info(0, 3, &a, next_frame().key, "{}");
	ck_assert(closed(1));
	look_at(2);
	ck_assert_uint_eq(got_at, got_bytes);
	send_packet(2, &a, "y", 1);
	assert_packet(3, b.pub, "y", 1);
	/* The old stream is forgotten: its end says nothing of the new. */
	actions_clear(&out);
	relay_on_closed(relay, 0, 1, &out);
	ck_assert_uint_eq(out.count, 0);
	relay_on_closed(relay, 0, 3, &out);
	assert_gone(2, a.pub, 0);
}
END_TEST

START_TEST(keeps_alive_on_the_minute)
{
	join(5 * second_us, 1, 1);
	ck_assert(relay_deadline(relay) == 65 * second_us);
	actions_clear(&out);
	relay_on_timer(relay, 65 * second_us - 1, &out);
	ck_assert_uint_eq(out.count, 0);
	relay_on_timer(relay, 65 * second_us, &out);
	look_at(1);
	ck_assert_uint_eq(next_frame().type, DERP_KEEP_ALIVE);
	ck_assert_uint_eq(got_at, got_bytes);
	ck_assert(relay_deadline(relay) == 125 * second_us);
	/* Late by two beats: one keep-alive, and the beat stays. */
	actions_clear(&out);
	relay_on_timer(relay, 246 * second_us, &out);
	ck_assert_uint_eq(out.count, 1);
	ck_assert(relay_deadline(relay) == 305 * second_us);
	relay_on_closed(relay, 246 * second_us, 1, &out);
	ck_assert(relay_deadline(relay) == ACTIONS_NEVER);
}
END_TEST

START_TEST(gives_a_handshake_ten_seconds)
{
	accept_stream(0, 1);
	upgrade(second_us, 2);
	ck_assert(relay_deadline(relay) == 10 * second_us);
	actions_clear(&out);
	relay_on_timer(relay, 11 * second_us, &out);
	ck_assert(closed(1));
	ck_assert(closed(2));
	ck_assert(relay_deadline(relay) == ACTIONS_NEVER);
}
END_TEST

static const struct {
	const char *request, *status; /* NULL: closed without a word */
} http[] = {
	{"GET /derp HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
	{"GET /derp/probe HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 "},
	{"HEAD /derp/latency-check HTTP/1.1\r\n\r\n", "HTTP/1.1 200 "},
	{"GET /generate_204?x HTTP/1.1\r\n\r\n", "HTTP/1.1 204 "},
	{"GET /derpy HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "},
	{"POST / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "},
	{"\x16\x03\x01\x02", NULL}, /* TLS */
	{"hello\r\n\r\n", NULL},
};

START_TEST(answers_other_http)
{
	accept_stream(0, 1);
	give(0, 1, http[_i].request, strlen(http[_i].request));
	ck_assert(closed(1));
	look_at(1);
	if (http[_i].status)
		ck_assert_mem_eq(got, http[_i].status, strlen(http[_i].status));
	else
		ck_assert_uint_eq(got_bytes, 0);
	actions_clear(&out);
	give(0, 1, real_upgrade, strlen(real_upgrade));
	ck_assert_uint_eq(out.count, 0);
}
END_TEST

START_TEST(a_header_without_end_is_given_up)
{
	accept_stream(0, 1);
	give(0, 1, "GET / HTTP/1.1\r\n", 16);
	for (int i = 0; i < 10000 && !closed(1); i++)
		give(0, 1, "x", 1);
	ck_assert(closed(1));
}
END_TEST

static const struct {
	const char *what;
	const uint8_t bytes[64];
	size_t size_bytes;
} garbage[] = {
	{"too long", {DERP_SEND_PACKET, 0xff, 0xff, 0xff, 0xff}, 5},
	{"no whole key", {DERP_SEND_PACKET, 0, 0, 0, 31}, 5},
	{"a ping of 7 bytes", {DERP_PING, 0, 0, 0, 7}, 5},
	{"a mesh's frame", {DERP_FORWARD_PACKET, 0, 0, 0, 64}, 69},
	{"two bytes of preference", {DERP_NOTE_PREFERRED, 0, 0, 0, 2}, 7},
};

START_TEST(garbage_closes_its_own_stream_only)
{
	uint8_t bytes[80] = {0};
	struct peer a = join(0, 1, 1), b = join(0, 2, 2);

	send_packet(1, &b, "x", 1);
	memcpy(bytes, garbage[_i].bytes, sizeof(garbage[_i].bytes));
	give(0, 1, bytes, garbage[_i].size_bytes);
	ck_assert_msg(closed(1), "%s", garbage[_i].what);
	ck_assert(!closed(2));
	assert_gone(2, a.pub, 0);
	send_packet(2, &b, "to oneself", 10);
	assert_packet(2, b.pub, "to oneself", 10);
}
END_TEST

START_TEST(an_unknown_frame_is_skipped)
{
	static const uint8_t frames[] = {0x77,	    0, 0, 0, 2, 1, 2,
					 DERP_PING, 0, 0, 0, 8, 1, 2,
					 3,	    4, 5, 6, 7, 8};

	join(0, 1, 1);
	give(0, 1, frames, sizeof(frames));
	look_at(1);
	ck_assert_uint_eq(next_frame().type, DERP_PONG);
	ck_assert_uint_eq(got_at, got_bytes);
}
END_TEST

static const char *const bad_infos[] = {"", "[]", "{", "7"};

START_TEST(bad_client_info_is_refused)
{
	struct peer a = peer_of(1);

	upgrade(0, 1);
	send_info(0, 1, &a, next_frame().key, bad_infos[_i]);
	ck_assert(closed(1));
}
END_TEST

START_TEST(client_info_has_to_open_and_to_be_first)
{
	uint8_t info[sizeof(real_info_a)];

	memcpy(info, real_info_a, sizeof(info));
	info[sizeof(info) - 1] ^= 1;
	upgrade(0, 1);
	give(0, 1, info, sizeof(info));
	ck_assert(closed(1));
	upgrade(0, 2);
	give(0, 2, real_ping, sizeof(real_ping));
	ck_assert(closed(2));
	look_at(2);
	ck_assert_uint_eq(got_at, got_bytes);
}
END_TEST

START_TEST(one_seed_one_key)
{
	struct relay *others[] = {relay_new(7, "relay"), relay_new(8, "relay"),
				  relay_new(7, "other")};
	uint8_t keys[3][DERP_KEY_BYTES];

	for (int i = 0; i < 3; i++) {
		relay_free(relay);
		relay = others[i];
		upgrade(0, 1);
		memcpy(keys[i], next_frame().key, DERP_KEY_BYTES);
	}
	ck_assert_mem_ne(keys[0], keys[1], DERP_KEY_BYTES);
	ck_assert_mem_ne(keys[0], keys[2], DERP_KEY_BYTES);
	ck_assert_mem_ne(keys[1], keys[2], DERP_KEY_BYTES);
}
END_TEST

#define LEN(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *suite = suite_create("relay");
	TCase *tc = tcase_create("relay");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, serves_real_clients);
	tcase_add_test(tc, carries_packets_of_any_size_both_ways);
	tcase_add_loop_test(tc, does_not_mind_how_bytes_arrive, 1, 10);
	tcase_add_loop_test(tc, does_not_mind_how_bytes_arrive, 300, 301);
	tcase_add_test(tc, tells_of_a_going_those_who_were_sent_something);
	tcase_add_test(tc, the_newest_connection_of_a_key_wins);
	tcase_add_test(tc, keeps_alive_on_the_minute);
	tcase_add_test(tc, gives_a_handshake_ten_seconds);
	tcase_add_loop_test(tc, answers_other_http, 0, LEN(http));
	tcase_add_test(tc, a_header_without_end_is_given_up);
	tcase_add_loop_test(tc, garbage_closes_its_own_stream_only, 0,
			    LEN(garbage));
	tcase_add_test(tc, an_unknown_frame_is_skipped);
	tcase_add_loop_test(tc, bad_client_info_is_refused, 0, LEN(bad_infos));
	tcase_add_test(tc, client_info_has_to_open_and_to_be_first);
	tcase_add_test(tc, one_seed_one_key);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
