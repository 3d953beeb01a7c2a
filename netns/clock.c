/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/clock.h"

#include <stdlib.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* What both clocks show at one moment, give or take the width. */
struct moment {
	uint64_t mono_ns, real_ns, width_ns;
};

/* Readings that took longer than this had something come in between. */
#define AT_ONCE_NS 20000
#define MAX_READINGS 100
/* A step of the wall clock is no smaller. */
#define MIN_STEP_NS 1000000

/*
 * Between two readings the process may have to wait for its CPU. Such a pair
 * would look as if one clock had been stepped, so it is not taken.
 */
static struct moment read_both(void)
{
	struct moment best = {.width_ns = UINT64_MAX};

	for (int i = 0; i < MAX_READINGS && best.width_ns > AT_ONCE_NS; i++) {
		uint64_t before_ns = read_ns(CLOCK_MONOTONIC);
		uint64_t real_ns = read_ns(CLOCK_REALTIME);
		uint64_t width_ns = read_ns(CLOCK_MONOTONIC) - before_ns;

		if (width_ns < best.width_ns)
			best = (struct moment){before_ns + width_ns / 2,
					       real_ns, width_ns};
	}
	return best;
}

void clock_start(struct clock *clock)
{
	struct moment now = read_both();

	clock->start_mono_ns = now.mono_ns;
	clock->start_real_ns = now.real_ns;
	clock->skipped_ns = 0;
}

uint64_t clock_now_ns(const struct clock *clock)
{
	return read_ns(CLOCK_MONOTONIC) - clock->start_mono_ns +
	       clock->skipped_ns;
}

uint64_t clock_now_us(const struct clock *clock)
{
	return clock_now_ns(clock) / 1000;
}

/*
 * The kernel stamps packets with CLOCK_REALTIME, which may be stepped while a
 * lab runs. Both clocks are read here, so that a step made before now is taken
 * back out again.
 */
int64_t clock_offset_ns(const struct clock *clock)
{
	struct moment now = read_both();
	int64_t stepped = (int64_t)(now.real_ns - clock->start_real_ns) -
			  (int64_t)(now.mono_ns - clock->start_mono_ns);
	int64_t skipped = (int64_t)clock->skipped_ns;

	/* Less is what the readings are off by, or the clocks' own drift. */
	if (llabs(stepped) < MIN_STEP_NS + (int64_t)now.width_ns)
		return skipped;
	return skipped - stepped;
}

uint64_t clock_of_record_us(const struct clock *clock, uint64_t time_ns)
{
	if (time_ns < clock->start_real_ns)
		return 0;
	return (time_ns - clock->start_real_ns) / 1000;
}

uint64_t clock_record_ns(const struct clock *clock, uint64_t lab_us)
{
	return clock->start_real_ns + lab_us * 1000;
}

void clock_skip_us(struct clock *clock, uint64_t us)
{
	clock->skipped_ns += us * 1000;
}

uint64_t clock_real_us(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000;
}
