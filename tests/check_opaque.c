/* SPDX-License-Identifier: BSD-3-Clause */
/* Journeys over a relay that speaks TLS: only sizes and times are known. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/order.h"
#include "tests/pipe.h"
#include "tests/tls_pipe.h"

static struct stage *s;
static struct tls_client t[TLS_HOSTS];

static void set_up(void)
{
	s = tls_stage();
	tls_clients_init(t, s);
}

static void tear_down(void)
{
	stage_free(s);
}

static void open_all(void)
{
	for (int i = 0; i < TLS_HOSTS; i++)
		tls_open(&t[i]);
}

/* The NTH of that size. */
static const struct journey *of_size(size_t bytes, unsigned nth)
{
	for (size_t i = 0; i < s->j->count; i++)
		if (s->j->list[i].opaque_bytes == bytes && !nth--)
			return &s->j->list[i];
	ck_abort_msg("no such journey");
	return NULL;
}

static void expect(size_t bytes, unsigned nth, const char *from, const char *to,
		   unsigned sightings, const char *died_at)
{
	pipe_expect(s, of_size(bytes, nth), from, to, sightings, died_at);
}

static void reason_is(size_t bytes, unsigned nth, const char *wanted)
{
	pipe_reason_is(s, of_size(bytes, nth), wanted);
}

static void expect_count(unsigned count)
{
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), count);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_OPAQUE), count);
}

static bool holds(const char *text)
{
	struct order_statement statement;
	struct order_result result;
	struct err err = {0};

	ck_assert_msg(!order_parse(text, s->cast, &statement, &err), "%s",
		      err.text);
	order_check(&statement, s->j, &result);
	return result.holds;
}

START_TEST(follows_over_the_relay)
{
	const struct journey *one;
	char text[512];

	open_all();
	tls_packet(&t[TLS_A].up, 116);
	tls_packet(&t[TLS_C].down, 116);
	expect_count(1);
	one = of_size(116, 0);
	expect(116, 0, "a", "c", 8, NULL);
	ck_assert_uint_eq(one->kind, JOURNEY_RELAY | JOURNEY_OPAQUE |
					     JOURNEY_DISCO_CALL_ME_MAYBE);
	ck_assert_ptr_null(one->payload);
	ck_assert_uint_eq(one->payload_bytes, 0);
	ck_assert_str_eq(journey_kind_name(one), "relay disco.call-me-maybe?");
	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_str_eq(text,
			 "an encrypted packet of 116 bytes from a to c over "
			 "the relay, by its size a disco.call-me-maybe, left "
			 "home-a from 25.0.0.2:5000 and reached c (frames 181, "
			 "182, 183, 184, 185, 186, 187, 188)");
}
END_TEST

START_TEST(satisfies_order_statements)
{
	open_all();
	tls_packet(&t[TLS_A].up, 116);
	tls_packet(&t[TLS_C].down, 116);
	stage_journeys(s);
	ck_assert(holds("some a -> c of relay reaches c"));
	ck_assert(holds("some a -> c of disco.call-me-maybe reaches c"));
	ck_assert(holds("a -> c of relay reaches relay before "
			"a -> c of relay reaches c"));
	ck_assert(!holds("never a -> c of relay reaches c"));
	ck_assert(!holds("never a -> c of disco.call-me-maybe leaves a"));
	ck_assert(!holds("some a -> b of relay reaches b"));
	ck_assert(!holds("some c -> a of relay reaches a"));
	/* As in clear: what is asked for without the relay is direct. */
	ck_assert(!holds("some a -> c reaches c"));
}
END_TEST

static const struct {
	size_t bytes;
	unsigned kind;
	const char *words;
} sizes[] = {
	{148, JOURNEY_WIREGUARD, "by its size wireguard"},
	{92, JOURNEY_WIREGUARD, "by its size wireguard"},
	{32, JOURNEY_WIREGUARD, "by its size wireguard"},
	{432, JOURNEY_WIREGUARD, "by its size wireguard"},
	{124, JOURNEY_DISCO_PING, "by its size a disco.ping"},
	{110, JOURNEY_DISCO_PONG, "by its size a disco.pong"},
	{98, JOURNEY_DISCO_CALL_ME_MAYBE, "by its size a disco.call-me-maybe"},
	{170, JOURNEY_DISCO_CALL_ME_MAYBE, "by its size a disco.call-me-maybe"},
	{224, JOURNEY_OTHER_UDP,
	 "by its size wireguard or a disco.call-me-maybe"},
	{131, JOURNEY_OTHER_UDP, "of a size that tells nothing"},
	{1394, JOURNEY_OTHER_UDP, "of a size that tells nothing"},
};

START_TEST(tells_kinds_by_size)
{
	char text[512];

	open_all();
	tls_packet(&t[TLS_A].up, sizes[_i].bytes);
	tls_packet(&t[TLS_B].down, sizes[_i].bytes);
	expect_count(1);
	expect(sizes[_i].bytes, 0, "a", "b", 8, NULL);
	ck_assert_uint_eq(of_size(sizes[_i].bytes, 0)->kind,
			  sizes[_i].kind | JOURNEY_RELAY | JOURNEY_OPAQUE);
	journey_describe(s->j, of_size(sizes[_i].bytes, 0), text, sizeof(text));
	ck_assert_msg(strstr(text, sizes[_i].words), "%s", text);
}
END_TEST

/* Nor is anything of the handshake and the openings in open_all a packet. */
START_TEST(ignores_what_is_no_packet)
{
	open_all();
	for (int i = 0; i < TLS_HOSTS; i++) {
		tls_record(&t[i].down, 23, 5 + 17, 4);	/* keep-alive */
		tls_record(&t[i].down, 23, 13 + 17, 4); /* ping */
		tls_record(&t[i].up, 23, 13 + 17, 4);	/* pong */
		tls_record(&t[i].down, 23, 38 + 17, 4); /* peer gone */
		tls_record(&t[i].up, 23, 6 + 17, 4);	/* preferred */
		tls_record(&t[i].up, 23, 37 + 17, 4);	/* close peer */
		tls_record(&t[i].down, 23, 200, 4);	/* health, in words */
		tls_record(&t[i].up, 23, 2 + 17, 4);	/* alert */
		tls_record(&t[i].up, 21, 300, 4);	/* no data */
	}
	expect_count(0);
}
END_TEST

/* It waits for the answer's headers, and then says its key. */
START_TEST(knows_the_slow_opening)
{
	tls_connect(&t[TLS_A]);
	tls_handshake(&t[TLS_A]);
	tls_record(&t[TLS_A].up, 23, 160, 4);
	tls_record(&t[TLS_A].down, 23, 190, 4);
	tls_record(&t[TLS_A].down, 23, 62, 4);
	tls_record(&t[TLS_A].up, 23, 177, 4);
	tls_record(&t[TLS_A].down, 23, 75, 4);
	tls_open(&t[TLS_C]);
	expect_count(0);
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_C].down, 148);
	tls_packet(&t[TLS_C].up, 92);
	tls_packet(&t[TLS_A].down, 92);
	expect_count(2);
	expect(148, 0, "a", "c", 8, NULL);
	expect(92, 0, "c", "a", 8, NULL);
}
END_TEST

/* A server whose first words are no relay's key; TLS 1.2; no TLS at all. */
START_TEST(leaves_other_servers_alone)
{
	tls_open(&t[TLS_C]);
	tls_connect(&t[TLS_A]);
	tls_handshake(&t[TLS_A]);
	tls_record(&t[TLS_A].up, 23, 261, 4);
	for (int i = 0; i < 4; i++) {
		tls_record(&t[TLS_A].up, 23, 202, 4);
		tls_record(&t[TLS_A].down, 23, 202, 4);
	}
	tls_record(&t[TLS_A].down, 23, 62, 4);
	tls_packet(&t[TLS_A].up, 148);
	tls_connect(&t[TLS_B]);
	tls_record(&t[TLS_B].up, 22, 512, 4);
	tls_record(&t[TLS_B].down, 22, 122, 4);
	tls_record(&t[TLS_B].up, 22, 60, 4);
	tls_record(&t[TLS_B].down, 22, 60, 4);
	tls_record(&t[TLS_B].up, 23, 261, 4);
	tls_record(&t[TLS_B].up, 23, 202, 4);
	tls_record(&t[TLS_B].down, 23, 62, 4);
	tls_record(&t[TLS_B].down, 23, 75, 4);
	tls_packet(&t[TLS_B].up, 148);
	expect_count(0);
}
END_TEST

START_TEST(dies_for_want_of_a_client)
{
	tls_open(&t[TLS_A]);
	tls_open(&t[TLS_B]);
	tls_packet(&t[TLS_A].up, 148);
	tls_record(&t[TLS_A].down, 23, 38 + 17, 4); /* peer gone */
	expect_count(1);
	expect(148, 0, "a", "c", 4, "relay");
	reason_is(148, 0,
		  "relay did not send it on: only c was not connected to it, "
		  "so it was for c");
	ck_assert(holds("some a -> c of relay dies at relay"));
	ck_assert(holds("never a -> c of relay reaches c"));
}
END_TEST

/* b is connected, but hears nothing: it may as well have been for b. */
START_TEST(does_not_guess_past_the_stuck)
{
	uint32_t seq;

	tls_open(&t[TLS_A]);
	tls_open(&t[TLS_B]);
	seq = t[TLS_B].down.seq;
	tls_packet(&t[TLS_A].up, 92);
	tls_record(&t[TLS_B].down, 23, 92 + TLS_AROUND_BYTES, 1);
	t[TLS_B].down.seq = seq;
	stage_wait(s, 0.3);
	tls_record(&t[TLS_B].down, 23, 92 + TLS_AROUND_BYTES, 1);
	tls_packet(&t[TLS_A].up, 148);
	stage_wait(s, 200);
	tls_packet(&t[TLS_A].up, 110);
	expect_count(3);
	expect(92, 0, "a", "b", 5, "-");
	expect(148, 0, "a", "-", 4, "relay");
	expect(110, 0, "a", "c", 4, "relay");
}
END_TEST

/* Of two of a size, what comes out is the one that has just come in. */
START_TEST(takes_the_next_for_the_answer)
{
	tls_open(&t[TLS_A]);
	tls_open(&t[TLS_B]);
	tls_packet(&t[TLS_A].up, 148);
	stage_wait(s, 0.05);
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_B].down, 148);
	expect_count(2);
	expect(148, 0, "a", "c", 4, "relay");
	expect(148, 1, "a", "b", 8, NULL);
	reason_is(148, 0,
		  "relay did not send it on (or another of this size just "
		  "then): only c was not connected to it, so it was for c");
}
END_TEST

/* c was there, but its connection ended. */
START_TEST(dies_after_the_client_left)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_C].down, 148);
	for (unsigned i = 0; i < 4; i++)
		stage_tcp(s, t[TLS_C].up.hops[i], t[TLS_C].up.seq, 0,
			  TCP_FLAG_FIN | TCP_FLAG_ACK, NULL, 0);
	tls_packet(&t[TLS_A].up, 148);
	expect_count(2);
	expect(148, 0, "a", "c", 8, NULL);
	expect(148, 1, "a", "c", 4, "relay");
}
END_TEST

/* All are there: for whom it was, nobody can say. */
START_TEST(does_not_guess_whom_it_was_for)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	expect_count(1);
	expect(148, 0, "a", "-", 4, "relay");
	reason_is(148, 0,
		  "relay did not send it on; whom it was for cannot be told");
	ck_assert(!holds("some a -> c of relay dies at relay"));
}
END_TEST

START_TEST(knows_the_only_other_host)
{
	stage_free(s);
	s = stage_seed();
	tls_clients_init(t, s);
	tls_open(&t[TLS_A]);
	tls_open(&t[TLS_C]);
	tls_packet(&t[TLS_A].up, 148);
	expect_count(1);
	expect(148, 0, "a", "c", 4, "relay");
	reason_is(148, 0,
		  "relay did not send it on to c, the only other host");
}
END_TEST

START_TEST(dies_on_the_way_to_the_relay)
{
	open_all();
	tls_record(&t[TLS_A].up, 23, 148 + TLS_AROUND_BYTES, 2);
	/* What comes to c now cannot be it. */
	tls_packet(&t[TLS_C].down, 148);
	expect_count(1);
	expect(148, 0, "a", "-", 2, "home-a");
	reason_is(148, 0, "home-a did not pass the TCP segment on");
}
END_TEST

START_TEST(dies_behind_the_relay)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_record(&t[TLS_C].down, 23, 148 + TLS_AROUND_BYTES, 1);
	expect_count(1);
	ck_assert(of_size(148, 0)->on_internet);
	expect(148, 0, "a", "c", 5, "-");
	reason_is(148, 0, "blocked on the internet, or edge-c's link is down");
}
END_TEST

/* Neither b nor c ever came: it may have been for either. */
START_TEST(does_not_guess_between_absents)
{
	tls_open(&t[TLS_A]);
	tls_packet(&t[TLS_A].up, 148);
	expect_count(1);
	expect(148, 0, "a", "-", 4, "relay");
}
END_TEST

/* What b gets is of no size that was sent. */
START_TEST(sizes_must_agree)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_B].down, 147);
	tls_packet(&t[TLS_C].down, 148);
	expect_count(1);
	expect(148, 0, "a", "c", 8, NULL);
}
END_TEST

START_TEST(nothing_comes_before_it_was_sent)
{
	open_all();
	tls_packet(&t[TLS_C].down, 148);
	tls_packet(&t[TLS_A].up, 148);
	expect_count(1);
	expect(148, 0, "a", "-", 4, "relay");
}
END_TEST

START_TEST(is_never_sent_back)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_A].down, 148);
	expect_count(1);
	expect(148, 0, "a", "-", 4, "relay");
}
END_TEST

/* A call and a call back. */
START_TEST(tells_two_ways_apart)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	tls_packet(&t[TLS_C].up, 170);
	tls_packet(&t[TLS_A].down, 170);
	tls_packet(&t[TLS_C].down, 170);
	expect_count(2);
	expect(170, 0, "a", "c", 8, NULL);
	expect(170, 1, "c", "a", 8, NULL);
}
END_TEST

START_TEST(tells_two_senders_apart)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	tls_packet(&t[TLS_B].up, 170);
	tls_packet(&t[TLS_C].down, 170);
	tls_packet(&t[TLS_C].down, 170);
	expect_count(2);
	expect(170, 0, "a", "c", 8, NULL);
	expect(170, 1, "b", "c", 8, NULL);
}
END_TEST

/* Whichever is which, one of a's got to b and one to c. */
START_TEST(tells_one_senders_packets_apart)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	tls_packet(&t[TLS_A].up, 170);
	tls_packet(&t[TLS_B].down, 170);
	tls_packet(&t[TLS_C].down, 170);
	expect_count(2);
	expect(170, 0, "a", "b", 8, NULL);
	expect(170, 1, "a", "c", 8, NULL);
}
END_TEST

/* The oldest is not always it: what b got can be a's only. */
START_TEST(finds_the_only_answer)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	tls_packet(&t[TLS_B].up, 170);
	tls_packet(&t[TLS_C].down, 170);
	tls_packet(&t[TLS_B].down, 170);
	expect_count(2);
	expect(170, 0, "a", "b", 8, NULL);
	expect(170, 1, "b", "c", 8, NULL);
}
END_TEST

/* "Never" is a claim, too. */
START_TEST(never_needs_proof)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	stage_journeys(s);
	/* For whom it was is open, but not that it died. */
	ck_assert(holds("never a -> c of relay reaches c"));
	ck_assert(!holds("never a -> c of relay dies at relay"));
	ck_assert(!holds("never a -> c of disco.call-me-maybe leaves a"));
	ck_assert(holds("never a -> c of disco.pong leaves a"));
	ck_assert(holds("never a -> c leaves a"));
	ck_assert(holds("never b -> c of relay leaves b"));
	tls_packet(&t[TLS_B].up, 170);
	tls_packet(&t[TLS_C].down, 170);
	tls_packet(&t[TLS_C].up, 92);
	tls_packet(&t[TLS_B].down, 92);
	stage_journeys(s);
	ck_assert(!holds("never a -> c of relay reaches c"));
	ck_assert(!holds("no a -> c of relay reaches c before "
			 "c -> b of relay reaches b"));
	ck_assert(holds("no b -> a of disco.pong reaches a before "
			"c -> b of relay reaches b"));
	ck_assert(!holds("some a -> c of relay reaches c"));
}
END_TEST

static const char alike[] =
	"packets of this size went through the relay at once: which of them "
	"went where cannot be told";

/* One of two came out, and either may be it: at once, or 50 ms apart. */
START_TEST(does_not_choose_the_dead)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	stage_wait(s, 0.05 * _i);
	tls_packet(&t[TLS_B].up, 170);
	tls_packet(&t[TLS_C].down, 170);
	expect_count(2);
	expect(170, 0, "a", "-", 4, "-");
	expect(170, 1, "b", "-", 4, "-");
	reason_is(170, 0, alike);
	reason_is(170, 1, alike);
}
END_TEST

/* Round this way or that way: no pair tells, but all three do. */
START_TEST(does_not_choose_in_a_ring)
{
	open_all();
	for (int i = 0; i < TLS_HOSTS; i++)
		tls_packet(&t[i].up, 170);
	for (int i = 0; i < TLS_HOSTS; i++)
		tls_packet(&t[i].down, 170);
	expect_count(3);
	for (unsigned i = 0; i < 3; i++)
		reason_is(170, i, alike);
}
END_TEST

/* Not at once: then there is no doubt. */
START_TEST(one_after_the_other)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	stage_wait(s, 0.2);
	tls_packet(&t[TLS_B].up, 170);
	tls_packet(&t[TLS_C].down, 170);
	expect_count(2);
	expect(170, 0, "a", "-", 4, "relay");
	expect(170, 1, "b", "c", 8, NULL);
}
END_TEST

START_TEST(bears_a_relay_that_is_late)
{
	open_all();
	tls_packet(&t[TLS_A].up, 170);
	stage_wait(s, 20);
	tls_packet(&t[TLS_C].down, 170);
	expect_count(1);
	expect(170, 0, "a", "c", 8, NULL);
}
END_TEST

/* Both were waiting when the relay wrote to b. */
START_TEST(takes_records_apart)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_A].up, 116);
	tls_packet(&t[TLS_B].down, 148 + 116 + 37);
	tls_packet(&t[TLS_B].up, 92);
	tls_packet(&t[TLS_C].up, 110);
	tls_packet(&t[TLS_A].down, 92 + 110 + 37);
	expect_count(4);
	expect(148, 0, "a", "b", 8, NULL);
	expect(116, 0, "a", "b", 8, NULL);
	expect(92, 0, "b", "a", 8, NULL);
	expect(110, 0, "c", "a", 8, NULL);
	ck_assert_ptr_eq(of_size(148, 0)->sightings[7].frame,
			 of_size(116, 0)->sightings[7].frame);
}
END_TEST

/* A record with a ping of the relay's behind the packet. */
START_TEST(does_not_bury_what_may_live)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_record(&t[TLS_C].down, 23, 148 + TLS_AROUND_BYTES + 13, 4);
	expect_count(1);
	expect(148, 0, "a", "-", 4, "-");
	reason_is(148, 0,
		  "the relay may have sent it on in one record with something "
		  "else");
	ck_assert(!holds("some a -> c of relay reaches c"));
}
END_TEST

/* Two rows of those that wait make up the same size. */
START_TEST(does_not_choose_a_row)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_A].up, 92);
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_B].down, 148 + 92 + 37);
	expect_count(3);
	expect(92, 0, "a", "-", 4, "-");
	expect(148, 0, "a", "-", 4, "-");
	expect(148, 1, "a", "-", 4, "-");
}
END_TEST

START_TEST(bears_odd_borders)
{
	open_all();
	tls_record_cut(&t[TLS_A].up, 23, 148 + TLS_AROUND_BYTES, 4,
		       (size_t)_i);
	tls_record_cut(&t[TLS_C].down, 23, 148 + TLS_AROUND_BYTES, 4,
		       (size_t)_i);
	expect_count(1);
	expect(148, 0, "a", "c", 8, NULL);
}
END_TEST

START_TEST(bears_retransmission)
{
	uint32_t seq;

	open_all();
	seq = t[TLS_A].up.seq;
	tls_record(&t[TLS_A].up, 23, 148 + TLS_AROUND_BYTES, 2);
	t[TLS_A].up.seq = seq;
	stage_wait(s, 0.2);
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_C].down, 148);
	expect_count(1);
	expect(148, 0, "a", "c", 8, NULL);
}
END_TEST

/* The same ports again. */
START_TEST(bears_a_second_connection)
{
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_C].down, 148);
	t[TLS_A].up.seq += 777777;
	t[TLS_A].down.seq += 999;
	tls_open(&t[TLS_A]);
	tls_packet(&t[TLS_A].up, 92);
	tls_packet(&t[TLS_C].down, 92);
	expect_count(2);
	expect(92, 0, "a", "c", 8, NULL);
}
END_TEST

START_TEST(needs_no_ear_at_the_relay)
{
	stage_deafen(s, "relay.eth0");
	open_all();
	tls_packet(&t[TLS_A].up, 148);
	tls_packet(&t[TLS_C].down, 148);
	tls_packet(&t[TLS_A].up, 92);
	expect_count(2);
	expect(148, 0, "a", "c", 6, NULL);
	expect(92, 0, "a", "-", 3, "-");
	reason_is(92, 0, "what came of it was not recorded");
}
END_TEST

/* Heavy traffic of one size: no answer is owed, but an end. */
START_TEST(comes_to_an_end)
{
	open_all();
	for (int i = 0; i < 3000; i++) {
		s->now_ns -= 95000;
		tls_record(&t[i % 3].up, 23, 202, 4);
	}
	for (int i = 0; i < 3000; i++)
		tls_record(&t[(i + i / 3) % 3].down, 23, 202, 1);
	expect_count(3000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("opaque");
	TCase *tests = tcase_create("opaque");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, follows_over_the_relay);
	tcase_add_test(tests, satisfies_order_statements);
	tcase_add_loop_test(tests, tells_kinds_by_size, 0,
			    (int)(sizeof(sizes) / sizeof(*sizes)));
	tcase_add_test(tests, ignores_what_is_no_packet);
	tcase_add_test(tests, knows_the_slow_opening);
	tcase_add_test(tests, leaves_other_servers_alone);
	tcase_add_test(tests, dies_for_want_of_a_client);
	tcase_add_test(tests, does_not_guess_past_the_stuck);
	tcase_add_test(tests, takes_the_next_for_the_answer);
	tcase_add_test(tests, dies_after_the_client_left);
	tcase_add_test(tests, does_not_guess_whom_it_was_for);
	tcase_add_test(tests, knows_the_only_other_host);
	tcase_add_test(tests, dies_on_the_way_to_the_relay);
	tcase_add_test(tests, dies_behind_the_relay);
	tcase_add_test(tests, does_not_guess_between_absents);
	tcase_add_test(tests, sizes_must_agree);
	tcase_add_test(tests, nothing_comes_before_it_was_sent);
	tcase_add_test(tests, is_never_sent_back);
	tcase_add_test(tests, tells_two_ways_apart);
	tcase_add_test(tests, tells_two_senders_apart);
	tcase_add_test(tests, tells_one_senders_packets_apart);
	tcase_add_test(tests, finds_the_only_answer);
	tcase_add_test(tests, never_needs_proof);
	tcase_add_loop_test(tests, does_not_choose_the_dead, 0, 2);
	tcase_add_test(tests, does_not_choose_in_a_ring);
	tcase_add_test(tests, one_after_the_other);
	tcase_add_test(tests, bears_a_relay_that_is_late);
	tcase_add_test(tests, takes_records_apart);
	tcase_add_test(tests, does_not_bury_what_may_live);
	tcase_add_test(tests, does_not_choose_a_row);
	tcase_add_loop_test(tests, bears_odd_borders, 1, 60);
	tcase_add_test(tests, bears_retransmission);
	tcase_add_test(tests, bears_a_second_connection);
	tcase_add_test(tests, needs_no_ear_at_the_relay);
	tcase_add_test(tests, comes_to_an_end);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
