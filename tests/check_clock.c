/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/clock.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#define SHARED_US 400000

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

START_TEST(starts_at_zero_and_goes_on)
{
	struct clock clock;
	uint64_t before, after;

	clock_start(&clock);
	before = clock_now_ns(&clock);
	after = clock_now_ns(&clock);
	ck_assert_uint_lt(before, 10 * 1000000000ULL);
	ck_assert_uint_ge(after, before);
	ck_assert_uint_ge(clock_now_us(&clock), after / 1000);
}
END_TEST

START_TEST(skipped_time_is_lab_time)
{
	struct clock clock;
	uint64_t before_us;

	clock_start(&clock);
	before_us = clock_now_us(&clock);
	clock_skip_us(&clock, 7200 * 1000000ULL);
	ck_assert_uint_ge(clock_now_us(&clock), before_us + 7200 * 1000000ULL);
	ck_assert_uint_lt(clock_now_us(&clock),
			  before_us + 7210 * 1000000ULL);
}
END_TEST

/* A packet stamped now by the kernel is recorded at lab time's now. */
START_TEST(kernel_stamps_become_lab_time)
{
	struct clock clock;
	uint64_t stamp_ns, recorded_ns, lab_us;

	clock_start(&clock);
	clock_skip_us(&clock, 90 * 1000000ULL);
	stamp_ns = wall_ns();
	recorded_ns = (uint64_t)((int64_t)stamp_ns + clock_offset_ns(&clock));
	lab_us = clock_of_record_us(&clock, recorded_ns);
	ck_assert_uint_ge(lab_us, 90 * 1000000ULL - 2000);
	ck_assert_uint_le(lab_us, clock_now_us(&clock) + 2000);
}
END_TEST

START_TEST(recorded_time_goes_both_ways)
{
	struct clock clock;

	clock_start(&clock);
	ck_assert_uint_eq(clock_record_ns(&clock, 0), clock.start_real_ns);
	ck_assert_uint_eq(clock_of_record_us(&clock, clock_record_ns(&clock,
								     123456)),
			  123456);
	/* What was before the lab was at its start. */
	ck_assert_uint_eq(clock_of_record_us(&clock, clock.start_real_ns - 5),
			  0);
}
END_TEST

/* A wall clock that is stepped while a lab runs does not move lab time. */
START_TEST(a_stepped_wall_clock_is_corrected)
{
	struct clock clock;
	int64_t offset_ns;

	clock_start(&clock);
	ck_assert_int_eq(clock_offset_ns(&clock), 0);
	/* As if the wall clock had been set back by an hour since. */
	clock.start_real_ns += 3600 * 1000000000ULL;
	offset_ns = clock_offset_ns(&clock);
	ck_assert_int_gt(offset_ns, 3599 * 1000000000LL);
	ck_assert_int_lt(offset_ns, 3601 * 1000000000LL);
}
END_TEST

static void share_this_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

/*
 * Who shares a CPU is put aside for milliseconds at any moment, and half of
 * the time between the two clocks' readings.
 */
START_TEST(being_put_aside_is_no_step)
{
	struct clock clock, now;
	unsigned wrong = 0;
	pid_t other;

	clock_start(&clock);
	share_this_cpu();
	other = fork();
	while (!other)
		;
	ck_assert_int_gt(other, 0);
	do {
		wrong += clock_offset_ns(&clock) != 0;
		/* A start that is off looks like a step from then on. */
		clock_start(&now);
		wrong += clock_offset_ns(&now) != 0;
	} while (clock_now_us(&clock) < SHARED_US);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, starts_at_zero_and_goes_on);
	tcase_add_test(all, skipped_time_is_lab_time);
	tcase_add_test(all, kernel_stamps_become_lab_time);
	tcase_add_test(all, recorded_time_goes_both_ways);
	tcase_add_test(all, a_stepped_wall_clock_is_corrected);
	tcase_add_test(all, being_put_aside_is_no_step);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
