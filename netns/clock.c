/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void clock_start(struct clock *clock)
{
	clock->start_mono_ns = read_ns(CLOCK_MONOTONIC);
	clock->start_real_ns = read_ns(CLOCK_REALTIME);
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
	uint64_t lab_ns = clock_now_ns(clock);
	uint64_t real_ns = read_ns(CLOCK_REALTIME);
	int64_t offset = (int64_t)(clock->start_real_ns + lab_ns - real_ns);
	int64_t plain = (int64_t)clock->skipped_ns;

	/* Within 1 ms it is only the time between the two readings. */
	if (offset - plain < 1000000 && plain - offset < 1000000)
		return plain;
	return offset;
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
