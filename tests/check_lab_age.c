/* SPDX-License-Identifier: BSD-3-Clause */
/* Lab time for what the kernel holds: nothing here waits. */
#include "tests/check_lab_world.h"

#include <unistd.h>

#define SECOND_US 1000000ULL

struct aged {
	int a, s, t;
	struct endpoint server, seen;
};

static struct aged open_aged_as(struct world *w, const char *preset,
				 bool ages)
{
	struct aged g;

	world_plan(w, preset);
	w->plan.ages = ages;
	world_up(w);
	g.a = udp_open(w, A, 5000);
	g.s = udp_open(w, S, 3478);
	g.t = udp_open(w, T, 3478);
	g.server = at(world_ip(w, S), 3478);
	g.seen = udp_seen(g.a, g.s, g.server);
	return g;
}

static struct aged open_aged(struct world *w, const char *preset)
{
	return open_aged_as(w, preset, false);
}

static void close_aged(struct world *w, struct aged *g)
{
	close(g->a);
	close(g->s);
	close(g->t);
	world_down(w);
}

static void check_in(struct aged *g, int from, bool expected)
{
	udp_send(from, g->seen, "knock");
	if (expected)
		udp_expect(g->a, "knock");
	else
		udp_expect_nothing(g->a);
}

/* Unanswered, a flow lasts 30 s; COUNT times US pass before S tries. */
static void check_life(struct world *w, const char *preset, unsigned count,
		       uint64_t us, bool expected)
{
	struct aged g = open_aged(w, preset);

	for (unsigned i = 0; i < count; i++)
		ok(lab_age(w->lab, us, err));
	check_in(&g, g.s, expected);
	close_aged(w, &g);
}

LAB_TEST(a_flow_ends_at_its_timeout)
{
	check_life(w, "easy", 1, 25 * SECOND_US, true);
	check_life(w, "easy", 1, 30 * SECOND_US, false);
}

/* The same where the flows were heard of from the start, and not looked for. */
static void check_heard(struct world *w, uint64_t us, bool expected)
{
	struct aged g = open_aged_as(w, "easy", true);

	ok(lab_age(w->lab, us, err));
	check_in(&g, g.s, expected);
	close_aged(w, &g);
}

LAB_TEST(a_flow_that_was_heard_of_ends_at_its_timeout)
{
	check_heard(w, 25 * SECOND_US, true);
	check_heard(w, 30 * SECOND_US, false);
}

/*
 * Fractions of a second are not lost, neither way. Real time passes too, so
 * there is some to spare.
 */
LAB_TEST(small_steps_add_up)
{
	check_life(w, "easy", 66, 300000, true);
	check_life(w, "easy", 100, 300000, false);
}

LAB_TEST(small_steps_add_up_for_mappings)
{
	check_life(w, "full-cone", 66, 300000, true);
	check_life(w, "full-cone", 100, 300000, false);
}

LAB_TEST(a_full_cone_mapping_ends_for_strangers)
{
	struct aged g = open_aged(w, "full-cone");

	check_in(&g, g.t, true);
	/* An inbound packet refreshes its own flow, but not the mapping. */
	ok(lab_age(w->lab, 31 * SECOND_US, err));
	check_in(&g, g.t, false);
	close_aged(w, &g);
}

LAB_TEST(a_steady_flow_keeps_its_full_cone_mapping)
{
	struct aged g = open_aged(w, "full-cone");

	for (unsigned i = 0; i < 6; i++) {
		ok(lab_age(w->lab, 25 * SECOND_US, err));
		udp_seen(g.a, g.s, g.server);
	}
	check_in(&g, g.t, true);
	close_aged(w, &g);
}

LAB_TEST(an_address_is_forgotten)
{
	struct aged g = open_aged(w, "address-restricted");
	int other = udp_open(w, S, 3479);

	check_in(&g, other, true);
	ok(lab_age(w->lab, 31 * SECOND_US, err));
	check_in(&g, other, false);
	close(other);
	close_aged(w, &g);
}

LAB_TEST(keep_alive_keeps_a_flow)
{
	struct aged g = open_aged(w, "easy");

	for (unsigned i = 0; i < 10; i++) {
		ok(lab_age(w->lab, 25 * SECOND_US, err));
		udp_seen(g.a, g.s, g.server);
	}
	check_in(&g, g.s, true);
	close_aged(w, &g);
}

/*
 * Answered, and two seconds old in lab time, a flow lasts 120 s, though for
 * the kernel it is milliseconds old.
 */
static void check_stream(struct world *w, uint64_t first_us, uint64_t then_us,
			 bool expected)
{
	struct aged g = open_aged(w, "easy");

	check_in(&g, g.s, true);
	ok(lab_age(w->lab, first_us, err));
	udp_seen(g.a, g.s, g.server);
	check_in(&g, g.s, true);
	ok(lab_age(w->lab, then_us, err));
	check_in(&g, g.s, expected);
	close_aged(w, &g);
}

LAB_TEST(an_answered_flow_lasts_longer)
{
	check_stream(w, 3 * SECOND_US, 60 * SECOND_US, true);
	check_stream(w, 3 * SECOND_US, 110 * SECOND_US, true);
	check_stream(w, 3 * SECOND_US, 121 * SECOND_US, false);
	check_stream(w, 1 * SECOND_US, 60 * SECOND_US, false);
}

TCase *age_tests(void)
{
	TCase *age = tcase_create("age");

	tcase_set_timeout(age, 60);
	tcase_add_test(age, a_flow_ends_at_its_timeout);
	tcase_add_test(age, a_flow_that_was_heard_of_ends_at_its_timeout);
	tcase_add_test(age, small_steps_add_up);
	tcase_add_test(age, small_steps_add_up_for_mappings);
	tcase_add_test(age, a_full_cone_mapping_ends_for_strangers);
	tcase_add_test(age, a_steady_flow_keeps_its_full_cone_mapping);
	tcase_add_test(age, an_address_is_forgotten);
	tcase_add_test(age, keep_alive_keeps_a_flow);
	tcase_add_test(age, an_answered_flow_lasts_longer);
	return age;
}
