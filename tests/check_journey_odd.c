/* SPDX-License-Identifier: BSD-3-Clause */
/* Recordings with something missing, odd, or just very much of it. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
#include "tests/stage.h"
#include "tests/valgrind.h"

static struct stage *s;

static void set_up(void)
{
	s = stage_seed();
}

static void tear_down(void)
{
	stage_free(s);
}

/* Vantages that were recorded, and what is then still known of A_TO_C. */
static const struct {
	const char *deaf[8];
	const char *hops; /* of a -> c */
	unsigned sightings;
	const char *from, *to, *fate;
} gaps[] = {
	{{"edge-c.wan", "edge-c.lan", "c.eth0"}, A_TO_C, 3, "a", "c", "?"},
	{{"home-a.wan", "home-a.lan", "edge-c.wan", "edge-c.lan"},
	 A_TO_C,
	 2,
	 "a",
	 "c",
	 "arrived"},
	{{"home-a.wan", "home-a.lan", "edge-c.wan", "edge-c.lan"},
	 A_OUT,
	 1,
	 "a",
	 "c",
	 "a"},
	{{"a.eth0", "home-a.lan", "edge-c.wan", "edge-c.lan", "c.eth0"},
	 A_TO_C,
	 1,
	 "a",
	 "c",
	 "?"},
	{{"a.eth0", "home-a.lan", "home-a.wan"},
	 A_TO_C,
	 3,
	 "a",
	 "c",
	 "arrived"},
	{{"a.eth0", "home-a.lan", "home-a.wan", "c.eth0"},
	 A_OUT,
	 1,
	 "a",
	 "c",
	 "edge-c"},
	{{"home-a.lan"}, A_TO_C, 5, "a", "c", "arrived"},
	{{"home-a.wan"}, A_TO_C, 5, "a", "c", "arrived"},
	{{"home-a.wan", "edge-c.wan"}, A_TO_C, 4, "a", "c", "arrived"},
	{{"home-a.lan", "edge-c.lan"}, A_TO_C, 4, "a", "c", "arrived"},
	{{"edge-c.lan", "c.eth0"}, A_OUT, 4, "a", "c", "?"},
	{{"edge-c.lan"}, A_OUT, 4, "a", "c", "edge-c"},
	{{"a.eth0", "edge-c.wan", "edge-c.lan", "c.eth0"},
	 A_TO_C,
	 2,
	 "a",
	 "c",
	 "?"},
};

START_TEST(chains_over_gaps)
{
	for (int i = 0; i < 8 && gaps[_i].deaf[i]; i++)
		stage_deafen(s, gaps[_i].deaf[i]);
	stage_ping(s, 1);
	stage_hops(s, gaps[_i].hops);
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	stage_expect(s, 0, gaps[_i].from, gaps[_i].to, gaps[_i].sightings,
		     gaps[_i].fate);
}
END_TEST

/* Two bytes are too few to join what has no address in common. */
START_TEST(joins_no_strangers)
{
	stage_deafen(s, "home-a.wan");
	stage_deafen(s, "home-a.lan");
	stage_deafen(s, "edge-c.wan");
	stage_deafen(s, "edge-c.lan");
	stage_say(s, "hi");
	stage_hops(s, A_TO_C);
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
}
END_TEST

/* The same bytes with a lower TTL, from a host that nobody listened at. */
START_TEST(is_not_led_astray_by_lower_ttls)
{
	stage_deafen(s, "a.eth0");
	stage_wireguard(s, 1);
	stage_hops(s, A_OUT "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 9");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "a", "c", 3, "edge-c");
	stage_expect(s, 1, "a", "c", 1, "home-a");
}
END_TEST

/* The internet itself recorded, which is nobody of the cast. */
START_TEST(passes_places_that_the_cast_does_not_know)
{
	stage_add_vantage(s, "bridge.eth9");
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"
		      "bridge.eth9 in 25.0.0.2:41641 25.0.0.3:5765 63");
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	ck_assert_int_eq(stage_at(s, 0)->sightings[3].node, -1);
	stage_expect(s, 0, "a", "c", 4, "?");
}
END_TEST

/* Machines that recorded apart: c's clock is behind a's by 300 us. */
START_TEST(bears_clocks_that_differ)
{
	stage_deafen(s, "edge-c.wan");
	stage_deafen(s, "edge-c.lan");
	stage_ping(s, 1);
	stage_hops(s, "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"
		      "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64");
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	stage_expect(s, 0, "a", "c", 3, "home-a");
	ck_assert_int_eq(stage_at(s, 0)->sightings[0].node,
			 stage_index(s, "a"));
}
END_TEST

START_TEST(works_out_directions)
{
	stage_ping(s, 1);
	stage_hops(s, A_TO_C);
	stage_pong(s, 2);
	stage_hops(s, C_TO_A);
	for (size_t i = 0; i < s->rec.frame_count; i++)
		s->rec.frames[i].direction = DIRECTION_UNKNOWN;
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "a", "c", 6, "arrived");
	stage_expect(s, 1, "c", "a", 6, "arrived");
}
END_TEST

/* Ethernet frames for another MAC, and datagrams for another host. */
START_TEST(leaves_out_what_was_overheard)
{
	uint8_t frame[256], ip[256];
	static const uint8_t mine[6] = {2, 0, 0, 0, 0, 1};
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 2};
	struct endpoint src = {0x19000002, 41641};
	struct endpoint dst = {0x19000003, 5765};
	int size;

	stage_ping(s, 1);
	stage_hops(s, A_OUT "stun1.eth0 in 25.0.0.2:41641 25.0.0.3:5765 63;");
	size = packet_encode_udp(src, dst, 63, 0, s->payload, s->payload_bytes,
				 ip, sizeof(ip));
	size = packet_encode_eth(mine, other, 0x0800, ip, (size_t)size, frame,
				 sizeof(frame));
	stage_add_vantage(s, "home-a.wan2");
	s->rec.vantages[s->rec.vantage_count - 1].link = PACKET_LINK_ETHERNET;
	memcpy(s->rec.vantages[s->rec.vantage_count - 1].mac, mine, 6);
	stage_raw(s, "home-a.wan2", false, frame, (size_t)size);
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	stage_expect(s, 0, "a", "c", 4, "edge-c");
}
END_TEST

/* Whatever a frame was cut down to, it is a shorter story and no crash. */
START_TEST(bears_frames_cut_short)
{
	stage_ping(s, 1);
	stage_hops(s, A_TO_C);
	stage_icmp(s, "home-a.wan in 25.0.0.3 25.0.0.2 64", 3, 3, PACKET_UDP,
		   "25.0.0.2:41641", "25.0.0.3:5765");
	stage_tcp(s, "a.eth0 out 192.168.1.2:1 25.0.1.3:80 64", 1, 0, 2, NULL,
		  0);
	for (size_t i = 0; i < s->rec.frame_count; i++) {
		struct frame *f = &s->rec.frames[i];
		const uint8_t *whole = f->data;
		size_t size = f->captured_bytes;

		for (size_t cut = 0; cut < size; cut++) {
			/* Just as large, for a sanitizer to watch. */
			uint8_t *copy = malloc(cut ? cut : 1);

			memcpy(copy, whole, cut);
			f->data = copy;
			f->captured_bytes = cut;
			stage_journeys(s);
			for (size_t k = 0; k < s->j->count; k++) {
				char text[64];

				journey_describe(s->j, stage_at(s, k), text,
						 sizeof(text));
			}
			journeys_free(s->j);
			s->j = NULL;
			free(copy);
		}
		f->data = whole;
		f->captured_bytes = size;
	}
}
END_TEST

START_TEST(follows_first_fragments_only)
{
	uint8_t ip[256];
	struct endpoint src = {0xc0a80102, 41641};
	struct endpoint dst = {0x19000003, 5765};
	int size;

	stage_ping(s, 1);
	size = packet_encode_udp(src, dst, 64, 9, s->payload, s->payload_bytes,
				 ip, sizeof(ip));
	ip[6] = 0x20; /* more fragments */
	stage_raw(s, "a.eth0", true, ip, (size_t)size);
	stage_raw(s, "home-a.lan", false, ip, (size_t)size);
	ip[6] = 0;
	ip[7] = 20; /* a later one */
	stage_raw(s, "a.eth0", true, ip, (size_t)size);
	stage_raw(s, "home-a.lan", false, ip, (size_t)size);
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	ck_assert_uint_eq(stage_at(s, 0)->sighting_count, 2);
}
END_TEST

START_TEST(refuses_frames_of_no_vantage)
{
	struct journeys *j;
	struct err err = {.text = ""};

	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	s->rec.frames[2].vantage = 99;
	ck_assert_int_lt(journeys_new(&s->rec, s->cast, &j, &err), 0);
	ck_assert_ptr_null(j);
	ck_assert_msg(strstr(err.text, "frame 3 is of vantage 99"), "%s",
		      err.text);
}
END_TEST

START_TEST(an_empty_recording_has_no_journeys)
{
	ck_assert_uint_eq(stage_journeys(s)->count, 0);
	ck_assert_ptr_null(journeys_find(s->j, "x", 1, 0));
}
END_TEST

/* Texts are cut where they do not fit, with their NUL in place. */
START_TEST(texts_fit_their_room)
{
	char text[512];

	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	stage_journeys(s);
	for (size_t size = 0; size < 160; size++) {
		memset(text, '#', sizeof(text));
		journey_describe(s->j, stage_at(s, 0), text, size);
		ck_assert_int_eq(text[size], '#');
		ck_assert(!size || memchr(text, '\0', size));
		memset(text, '#', sizeof(text));
		journey_reason(s->j, stage_at(s, 0), text, size);
		ck_assert_int_eq(text[size], '#');
		ck_assert(!size || memchr(text, '\0', size));
	}
}
END_TEST

/*
 * 60,000 frames, all different and all the same: were it quadratic, it would
 * take minutes, and the time-out of these tests would end it.
 */
START_TEST(many_frames_take_little_time)
{
	int often = unless_valgrind(10000, 500);
	char payload[] = "no 00000";

	for (int i = 0; i < often; i++) {
		if (_i)
			snprintf(payload, sizeof(payload), "no %05d", i);
		stage_say(s, payload);
		stage_hops(s, A_TO_C);
	}
	stage_journeys(s);
	ck_assert_uint_eq(s->j->count, (size_t)often);
	for (size_t i = 0; i < s->j->count; i++)
		ck_assert(stage_at(s, i)->arrived);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journey_odd");
	TCase *tests = tcase_create("journey_odd");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, chains_over_gaps, 0,
			    sizeof(gaps) / sizeof(gaps[0]));
	tcase_add_test(tests, joins_no_strangers);
	tcase_add_test(tests, passes_places_that_the_cast_does_not_know);
	tcase_add_test(tests, bears_clocks_that_differ);
	tcase_add_test(tests, works_out_directions);
	tcase_add_test(tests, leaves_out_what_was_overheard);
	tcase_add_test(tests, bears_frames_cut_short);
	tcase_add_test(tests, follows_first_fragments_only);
	tcase_add_test(tests, refuses_frames_of_no_vantage);
	tcase_add_test(tests, an_empty_recording_has_no_journeys);
	tcase_add_test(tests, texts_fit_their_room);
	tcase_add_loop_test(tests, many_frames_take_little_time, 0, 2);
	tcase_add_test(tests, is_not_led_astray_by_lower_ttls);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
