/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock: lab time. The only place that reads a clock.
 *
 * Lab time is real monotonic time since the lab's start plus what was skipped.
 * Recordings carry it as a date: the wall time at the start plus lab time.
 */
#ifndef NATRIG_NETNS_CLOCK_H
#define NATRIG_NETNS_CLOCK_H

#include <stdint.h>

struct clock {
	uint64_t start_mono_ns;
	uint64_t start_real_ns;
	uint64_t skipped_ns;
};

void clock_start(struct clock *clock);
/* Lab time in microseconds since clock_start. */
uint64_t clock_now_us(const struct clock *clock);
uint64_t clock_now_ns(const struct clock *clock);
/* What to add to a kernel timestamp (CLOCK_REALTIME) to get recorded time. */
int64_t clock_offset_ns(const struct clock *clock);
/* Lab time in microseconds of a recorded time stamp. */
uint64_t clock_of_record_us(const struct clock *clock, uint64_t time_ns);
/* Recorded time stamp (ns since 1970) of a lab time. */
uint64_t clock_record_ns(const struct clock *clock, uint64_t lab_us);
/* Jumps ahead. The caller ages the lab by as much (lab_age). */
void clock_skip_us(struct clock *clock, uint64_t us);
/* Real monotonic time, for measuring natrig itself. */
uint64_t clock_real_us(void);

#endif
