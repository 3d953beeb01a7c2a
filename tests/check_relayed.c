/* SPDX-License-Identifier: BSD-3-Clause */
/* Journeys over the relay: out of one TCP stream, into another. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
#include "tests/stage.h"
#include "wire/derp.h"

#define STREAM_MAX_BYTES 3000

/* One direction of a connection, and its way past the vantages. */
struct pipe {
	const char *hops[6];
	uint32_t seq;
	uint8_t data[STREAM_MAX_BYTES];
	size_t size_bytes;
};

static struct stage *s;
static struct pipe a_up, a_down, c_up, c_down;

static const uint8_t a_key[DERP_KEY_BYTES] = {0xaa, 1};
static const uint8_t c_key[DERP_KEY_BYTES] = {0xcc, 2};
static const uint8_t other_key[DERP_KEY_BYTES] = {0xdd, 3};

static const char *const a_up_hops[] = {
	"a.eth0 out 192.168.1.2:5000 25.0.1.3:80 64",
	"home-a.lan in 192.168.1.2:5000 25.0.1.3:80 64",
	"home-a.wan out 25.0.0.2:5000 25.0.1.3:80 63",
	"relay.eth0 in 25.0.0.2:5000 25.0.1.3:80 63",
};
static const char *const a_down_hops[] = {
	"relay.eth0 out 25.0.1.3:80 25.0.0.2:5000 64",
	"home-a.wan in 25.0.1.3:80 25.0.0.2:5000 64",
	"home-a.lan out 25.0.1.3:80 192.168.1.2:5000 63",
	"a.eth0 in 25.0.1.3:80 192.168.1.2:5000 63",
};
static const char *const c_up_hops[] = {
	"c.eth0 out 192.168.2.2:6000 25.0.1.3:80 64",
	"edge-c.lan in 192.168.2.2:6000 25.0.1.3:80 64",
	"edge-c.wan out 25.0.0.3:7777 25.0.1.3:80 63",
	"relay.eth0 in 25.0.0.3:7777 25.0.1.3:80 63",
};
static const char *const c_down_hops[] = {
	"relay.eth0 out 25.0.1.3:80 25.0.0.3:7777 64",
	"edge-c.wan in 25.0.1.3:80 25.0.0.3:7777 64",
	"edge-c.lan out 25.0.1.3:80 192.168.2.2:6000 63",
	"c.eth0 in 25.0.1.3:80 192.168.2.2:6000 63",
};

static void set_up(void)
{
	s = stage_seed();
	memset(&a_up, 0, sizeof(a_up));
	a_down = c_up = c_down = a_up;
	memcpy(a_up.hops, a_up_hops, sizeof(a_up_hops));
	memcpy(a_down.hops, a_down_hops, sizeof(a_down_hops));
	memcpy(c_up.hops, c_up_hops, sizeof(c_up_hops));
	memcpy(c_down.hops, c_down_hops, sizeof(c_down_hops));
	/* Over the edge of sequence numbers on purpose. */
	a_up.seq = c_down.seq = UINT32_MAX - 200;
}

static void tear_down(void)
{
	stage_free(s);
}

/* Bytes FROM..TO of the stream, past the first HOPS vantages. */
static void segment(const struct pipe *p, size_t from, size_t to, unsigned hops)
{
	for (unsigned i = 0; i < hops && p->hops[i]; i++)
		stage_tcp(s, p->hops[i], p->seq + 1 + (uint32_t)from, 0,
			  TCP_FLAG_ACK, p->data + from, to - from);
}

static void syn(const struct pipe *p, uint8_t flags, unsigned hops)
{
	for (unsigned i = 0; i < hops && p->hops[i]; i++)
		stage_tcp(s, p->hops[i], p->seq, 0, flags | TCP_FLAG_SYN, NULL,
			  0);
}

static void add(struct pipe *p, const void *data, size_t size_bytes)
{
	ck_assert_uint_le(p->size_bytes + size_bytes, STREAM_MAX_BYTES);
	memcpy(p->data + p->size_bytes, data, size_bytes);
	p->size_bytes += size_bytes;
}

static void add_frame(struct pipe *p, uint8_t type, const void *body,
		      size_t size_bytes)
{
	uint8_t frame[1024];
	int size = derp_encode(type, body, size_bytes, frame, sizeof(frame));

	ck_assert_int_gt(size, 0);
	add(p, frame, (size_t)size);
}

static void add_packet(struct pipe *p, uint8_t type, const uint8_t *key)
{
	uint8_t frame[2048];
	int size = derp_encode_packet(type, key, s->payload, s->payload_bytes,
				      frame, sizeof(frame));

	ck_assert_int_gt(size, 0);
	add(p, frame, (size_t)size);
}

/* The openings of both directions, up to where packets may follow. */
static void add_opening(struct pipe *up, struct pipe *down,
			const uint8_t *client)
{
	uint8_t bytes[1024], info[DERP_KEY_BYTES + 60] = {0};
	int size = derp_encode_upgrade_request("relay", bytes, sizeof(bytes));

	add(up, bytes, (size_t)size);
	size = derp_encode_upgrade_response(bytes, sizeof(bytes));
	add(down, bytes, (size_t)size);
	size = derp_encode_server_key(other_key, bytes, sizeof(bytes));
	add(down, bytes, (size_t)size);
	memcpy(info, client, DERP_KEY_BYTES);
	add_frame(up, DERP_CLIENT_INFO, info, sizeof(info));
	add_frame(down, DERP_SERVER_INFO, info, 60);
}

static void flush(struct pipe *p, size_t from, unsigned hops)
{
	segment(p, from, p->size_bytes, hops);
}

static void open_both(void)
{
	add_opening(&a_up, &a_down, a_key);
	add_opening(&c_up, &c_down, c_key);
	syn(&a_up, 0, 4);
	syn(&a_down, TCP_FLAG_ACK, 4);
	syn(&c_up, 0, 4);
	syn(&c_down, TCP_FLAG_ACK, 4);
	flush(&a_up, 0, 4);
	flush(&a_down, 0, 4);
	flush(&c_up, 0, 4);
	flush(&c_down, 0, 4);
}

static const char *name(int node)
{
	return node < 0 ? "-" : s->cast->nodes[node].name;
}

/* The journeys of the kind, over the relay or not. */
static const struct journey *find(unsigned kind, unsigned nth)
{
	for (size_t i = 0; i < s->j->count; i++)
		if ((s->j->list[i].kind & kind) == kind && !nth--)
			return &s->j->list[i];
	ck_abort_msg("no such journey");
	return NULL;
}

static unsigned count(unsigned kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->j->count; i++)
		n += (s->j->list[i].kind & kind) == kind;
	return n;
}

static void expect(const struct journey *one, const char *from, const char *to,
		   unsigned sightings, const char *died_at)
{
	char text[512];

	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_msg(one->over_relay && one->kind & JOURNEY_RELAY, "%s", text);
	ck_assert_msg(!strcmp(name(one->from), from), "%s", text);
	ck_assert_msg(!strcmp(name(one->to), to), "%s", text);
	ck_assert_msg(one->sighting_count == sightings, "%u: %s",
		      one->sighting_count, text);
	ck_assert_msg(one->arrived == !died_at, "%s", text);
	ck_assert_msg(!strcmp(name(one->died_at), died_at ? died_at : "-"),
		      "%s", text);
}

static void reason_is(const struct journey *one, const char *wanted)
{
	char text[256];

	ck_assert_str_eq(journey_reason(s->j, one, text, sizeof(text)), wanted);
}

/* a's packet for c, whole way. */
static void send_through(void)
{
	size_t from = a_up.size_bytes;

	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	flush(&a_up, from, 4);
	from = c_down.size_bytes;
	add_packet(&c_down, DERP_RECV_PACKET, a_key);
	flush(&c_down, from, 4);
}

START_TEST(follows_over_the_relay)
{
	const struct journey *one;
	char text[512];

	open_both();
	stage_ping(s, 1);
	s->payload_bytes = 80 + 2 * 18;
	send_through();
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 1);
	one = find(JOURNEY_DISCO_CALL_ME_MAYBE, 0);
	expect(one, "a", "c", 8, NULL);
	ck_assert_str_eq(journey_kind_name(one), "relay disco.call-me-maybe");
	ck_assert_uint_eq(one->payload_bytes, s->payload_bytes);
	ck_assert_mem_eq(one->payload, s->payload, s->payload_bytes);
	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_str_eq(text, "a's 1st relay disco.call-me-maybe to c left "
			       "home-a from 25.0.0.2:5000 and reached c "
			       "(frames 33, 34, 35, 36, 37, 38, 39, 40)");
	ck_assert_ptr_null(
		journeys_find(s->j, one->payload, one->payload_bytes, 0));
}
END_TEST

START_TEST(names_what_the_relay_carries)
{
	open_both();
	stage_ping(s, 1);
	send_through();
	stage_pong(s, 2);
	send_through();
	stage_wireguard(s, 3);
	send_through();
	stage_say(s, "something");
	send_through();
	stage_journeys(s);
	ck_assert_str_eq(journey_kind_name(find(JOURNEY_DISCO_PING, 0)),
			 "relay disco.ping");
	ck_assert_str_eq(journey_kind_name(find(JOURNEY_DISCO_PONG, 0)),
			 "relay disco.pong");
	ck_assert_str_eq(journey_kind_name(find(JOURNEY_WIREGUARD, 0)),
			 "relay wireguard");
	ck_assert_str_eq(journey_kind_name(find(JOURNEY_OTHER_UDP, 0)),
			 "relay packet");
}
END_TEST

/* The same bytes over UDP are another journey. */
START_TEST(keeps_relay_and_udp_apart)
{
	open_both();
	stage_wireguard(s, 1);
	send_through();
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64");
	stage_journeys(s);
	expect(find(JOURNEY_WIREGUARD, 0), "a", "c", 8, NULL);
	ck_assert(!find(JOURNEY_WIREGUARD, 1)->over_relay);
	ck_assert_ptr_eq(journeys_find(s->j, s->payload, 148, 0),
			 find(JOURNEY_WIREGUARD, 1));
}
END_TEST

START_TEST(sends_the_same_again)
{
	open_both();
	stage_wireguard(s, 1);
	send_through();
	stage_wait(s, 5);
	send_through();
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 2);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 8, NULL);
	expect(find(JOURNEY_RELAY, 1), "a", "c", 8, NULL);
}
END_TEST

/* Both openings and three packets, cut into segments of each size. */
START_TEST(bears_odd_borders)
{
	size_t size = (size_t)_i;
	size_t from;

	add_opening(&a_up, &a_down, a_key);
	add_opening(&c_up, &c_down, c_key);
	for (uint8_t i = 1; i < 4; i++) {
		stage_ping(s, i);
		add_packet(&a_up, DERP_SEND_PACKET, c_key);
		add_packet(&c_down, DERP_RECV_PACKET, a_key);
	}
	syn(&a_up, 0, 4);
	syn(&c_up, 0, 4);
	syn(&c_down, TCP_FLAG_ACK, 4);
	flush(&c_up, 0, 4);
	for (from = 0; from < a_up.size_bytes; from += size)
		segment(&a_up, from,
			from + size < a_up.size_bytes ? from + size
						      : a_up.size_bytes,
			4);
	for (from = 0; from < c_down.size_bytes; from += size)
		segment(&c_down, from,
			from + size < c_down.size_bytes ? from + size
							: c_down.size_bytes,
			4);
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 3);
	for (unsigned i = 0; i < 3; i++)
		expect(find(JOURNEY_RELAY, i), "a", "c", 8, NULL);
}
END_TEST

/* Backwards, twice, and with borders that overlap. */
START_TEST(bears_any_order)
{
	enum { CUT = 37 };
	size_t from, to;

	open_both();
	from = a_up.size_bytes;
	stage_ping(s, 1);
	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	for (to = a_up.size_bytes; to > from; to -= CUT) {
		size_t start = to > from + CUT ? to - CUT : from;

		segment(&a_up, start > from + 5 ? start - 5 : from, to, 4);
		segment(&a_up, start, to, 2);
		if (start == from)
			break;
	}
	segment(&a_up, from, from + 20, 4);
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 1);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 4, "relay");
}
END_TEST

/* A segment that the router dropped, and that came again. */
START_TEST(bears_retransmission)
{
	size_t from;

	open_both();
	from = a_up.size_bytes;
	stage_ping(s, 1);
	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	flush(&a_up, from, 2);
	stage_wait(s, 0.2);
	flush(&a_up, from, 4);
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 1);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 4, "relay");
	reason_is(find(JOURNEY_RELAY, 0), "relay did not send it on to c");
}
END_TEST

START_TEST(dies_on_the_way_to_the_relay)
{
	size_t from;

	open_both();
	from = a_up.size_bytes;
	stage_ping(s, 1);
	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	flush(&a_up, from, 2);
	stage_journeys(s);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 2, "home-a");
	reason_is(find(JOURNEY_RELAY, 0),
		  "home-a did not pass the TCP segment on");
}
END_TEST

START_TEST(dies_behind_the_relay)
{
	size_t from;

	open_both();
	stage_ping(s, 1);
	from = a_up.size_bytes;
	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	flush(&a_up, from, 4);
	from = c_down.size_bytes;
	add_packet(&c_down, DERP_RECV_PACKET, a_key);
	flush(&c_down, from, 1);
	stage_journeys(s);
	ck_assert(find(JOURNEY_RELAY, 0)->on_internet);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 5, "-");
	reason_is(find(JOURNEY_RELAY, 0),
		  "blocked on the internet, or edge-c's link is down");
}
END_TEST

/* Nobody has that key: the relay has nowhere to send it. */
START_TEST(dies_for_want_of_a_client)
{
	size_t from;

	open_both();
	stage_ping(s, 1);
	from = a_up.size_bytes;
	add_packet(&a_up, DERP_SEND_PACKET, other_key);
	flush(&a_up, from, 4);
	stage_journeys(s);
	expect(find(JOURNEY_RELAY, 0), "a", "-", 4, "relay");
	reason_is(find(JOURNEY_RELAY, 0),
		  "relay did not send it on: nobody was seen to connect with "
		  "that key");
}
END_TEST

/* The same bytes for two: the key says which of them came out. */
START_TEST(tells_receivers_apart)
{
	size_t from;

	open_both();
	stage_ping(s, 1);
	from = a_up.size_bytes;
	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	add_packet(&a_up, DERP_SEND_PACKET, other_key);
	flush(&a_up, from, 4);
	from = c_down.size_bytes;
	add_packet(&c_down, DERP_RECV_PACKET, a_key);
	flush(&c_down, from, 4);
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 2);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 8, NULL);
	expect(find(JOURNEY_RELAY, 1), "a", "-", 4, "relay");
}
END_TEST

/* It came out of the relay, but was not seen to go in. */
START_TEST(knows_senders_by_their_keys)
{
	const char *const deaf[] = {"home-a.lan", "home-a.wan", "relay.eth0",
				    "edge-c.lan", "edge-c.wan"};
	size_t from;

	for (size_t i = 0; i < 5; i++)
		stage_deafen(s, deaf[i]);
	open_both();
	stage_ping(s, 1);
	from = c_down.size_bytes;
	add_packet(&c_down, DERP_RECV_PACKET, a_key);
	flush(&c_down, from, 4);
	stage_journeys(s);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 1, NULL);
}
END_TEST

/* c never got there: of all hosts and keys, only it and its key are left. */
START_TEST(knows_the_last_key_by_elimination)
{
	size_t from;

	add_opening(&a_up, &a_down, a_key);
	syn(&a_up, 0, 4);
	syn(&a_down, TCP_FLAG_ACK, 4);
	flush(&a_up, 0, 4);
	flush(&a_down, 0, 4);
	stage_ping(s, 1);
	from = a_up.size_bytes;
	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	flush(&a_up, from, 4);
	stage_journeys(s);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 4, "relay");
	reason_is(find(JOURNEY_RELAY, 0), "relay did not send it on: c was "
					  "never seen to connect to it");
	/* Two keys that nobody has are one too many. */
	from = a_up.size_bytes;
	add_packet(&a_up, DERP_SEND_PACKET, other_key);
	flush(&a_up, from, 4);
	stage_journeys(s);
	expect(find(JOURNEY_RELAY, 0), "a", "-", 4, "relay");
	expect(find(JOURNEY_RELAY, 1), "a", "-", 4, "relay");
}
END_TEST

START_TEST(dies_before_the_client_connects)
{
	size_t from;

	add_opening(&a_up, &a_down, a_key);
	add_opening(&c_up, &c_down, c_key);
	syn(&a_up, 0, 4);
	flush(&a_up, 0, 4);
	stage_ping(s, 1);
	from = a_up.size_bytes;
	add_packet(&a_up, DERP_SEND_PACKET, c_key);
	flush(&a_up, from, 4);
	syn(&c_up, 0, 4);
	flush(&c_up, 0, 4);
	stage_journeys(s);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 4, "relay");
	reason_is(find(JOURNEY_RELAY, 0),
		  "relay did not send it on: c had not connected to it yet");
}
END_TEST

/* Only one end was recorded. */
START_TEST(follows_with_c_alone)
{
	const char *const deaf[] = {"a.eth0",	  "home-a.lan", "home-a.wan",
				    "relay.eth0", "edge-c.lan", "edge-c.wan"};

	for (size_t i = 0; i < 6; i++)
		stage_deafen(s, deaf[i]);
	open_both();
	stage_ping(s, 1);
	send_through();
	stage_journeys(s);
	/* Of two hosts, the other one. */
	expect(find(JOURNEY_RELAY, 0), "a", "c", 1, NULL);
}
END_TEST

/* Only the hosts were recorded: what left one entered the other. */
START_TEST(follows_with_the_hosts_alone)
{
	const char *const deaf[] = {"home-a.lan", "home-a.wan", "relay.eth0",
				    "edge-c.lan", "edge-c.wan"};

	for (size_t i = 0; i < 5; i++)
		stage_deafen(s, deaf[i]);
	open_both();
	stage_ping(s, 1);
	send_through();
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 1);
	expect(find(JOURNEY_RELAY, 0), "a", "c", 2, NULL);
}
END_TEST

/* Only the routers: keys are known by where their streams came from. */
START_TEST(follows_with_the_routers_alone)
{
	stage_deafen(s, "a.eth0");
	stage_deafen(s, "c.eth0");
	stage_deafen(s, "relay.eth0");
	open_both();
	stage_ping(s, 1);
	send_through();
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 1);
	ck_assert_int_eq(find(JOURNEY_RELAY, 0)->from, stage_index(s, "a"));
	ck_assert_int_eq(find(JOURNEY_RELAY, 0)->to, stage_index(s, "c"));
}
END_TEST

/* A connection between the same ports again, with other numbers. */
START_TEST(bears_a_second_connection)
{
	open_both();
	stage_ping(s, 1);
	send_through();
	a_up.size_bytes = a_down.size_bytes = 0;
	a_up.seq += 777777;
	a_down.seq += 999;
	add_opening(&a_up, &a_down, a_key);
	syn(&a_up, 0, 4);
	syn(&a_up, 0, 4); /* a retry changes nothing */
	syn(&a_down, TCP_FLAG_ACK, 4);
	flush(&a_up, 0, 4);
	flush(&a_down, 0, 4);
	stage_ping(s, 2);
	send_through();
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_RELAY), 2);
	expect(find(JOURNEY_RELAY, 1), "a", "c", 8, NULL);
}
END_TEST

/* TLS and noise are left alone, a hole too big ends the story. */
START_TEST(leaves_other_streams_alone)
{
	static const uint8_t hello[] = {0x16, 3, 1, 2, 0, 1, 0};
	uint8_t noise[1400] = {0};

	syn(&a_up, 0, 4);
	add(&a_up, hello, sizeof(hello));
	flush(&a_up, 0, 4);
	syn(&c_up, 0, 1);
	add(&c_up, "GET /derp HT", 12);
	segment(&c_up, 0, 5, 1);
	for (uint32_t i = 0; i < 300; i++)
		stage_tcp(s, c_up.hops[0], c_up.seq + 1000 + 1400 * i, 0,
			  TCP_FLAG_ACK, noise, sizeof(noise));
	segment(&c_up, 5, 12, 1);
	stage_journeys(s);
	ck_assert_uint_eq(s->j->count, 2);
	ck_assert_uint_eq(count(JOURNEY_TCP), 2);
}
END_TEST

START_TEST(shows_where_connections_die)
{
	const struct journey *one;
	char text[256];

	syn(&c_up, 0, 2);
	stage_wait(s, 1);
	syn(&c_up, 0, 2);
	stage_wait(s, 2);
	syn(&c_up, 0, 4);
	stage_journeys(s);
	ck_assert_uint_eq(count(JOURNEY_TCP), 3);
	one = find(JOURNEY_TCP, 1);
	ck_assert_int_eq(one->died_at, stage_index(s, "edge-c"));
	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_str_eq(text, "c's 2nd tcp connect to relay left c from "
			       "192.168.2.2:6000 and died at edge-c: blocked "
			       "by edge-c (outbound) (frames 3, 4)");
	ck_assert(find(JOURNEY_TCP, 2)->arrived);
}
END_TEST

START_TEST(shows_resets)
{
	syn(&c_up, 0, 2);
	stage_tcp(s, "edge-c.lan out 25.0.1.3:80 192.168.2.2:6000 64", 0,
		  c_up.seq + 1, TCP_FLAG_RST | TCP_FLAG_ACK, NULL, 0);
	stage_journeys(s);
	reason_is(find(JOURNEY_TCP, 0),
		  "blocked by edge-c (outbound); refused with a TCP reset");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relayed");
	TCase *tests = tcase_create("relayed");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, follows_over_the_relay);
	tcase_add_test(tests, names_what_the_relay_carries);
	tcase_add_test(tests, keeps_relay_and_udp_apart);
	tcase_add_test(tests, sends_the_same_again);
	tcase_add_loop_test(tests, bears_odd_borders, 1, 60);
	tcase_add_test(tests, bears_any_order);
	tcase_add_test(tests, bears_retransmission);
	tcase_add_test(tests, dies_on_the_way_to_the_relay);
	tcase_add_test(tests, dies_behind_the_relay);
	tcase_add_test(tests, dies_for_want_of_a_client);
	tcase_add_test(tests, follows_with_c_alone);
	tcase_add_test(tests, follows_with_the_hosts_alone);
	tcase_add_test(tests, follows_with_the_routers_alone);
	tcase_add_test(tests, bears_a_second_connection);
	tcase_add_test(tests, leaves_other_streams_alone);
	tcase_add_test(tests, shows_where_connections_die);
	tcase_add_test(tests, shows_resets);
	tcase_add_test(tests, tells_receivers_apart);
	tcase_add_test(tests, knows_senders_by_their_keys);
	tcase_add_test(tests, knows_the_last_key_by_elimination);
	tcase_add_test(tests, dies_before_the_client_connects);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
