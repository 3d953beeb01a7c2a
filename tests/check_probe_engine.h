/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_probe_engine: natrig's own NAT engine in the place of the test's NAT,
 * so that two that were written apart judge each other.
 */
#ifndef NATRIG_TESTS_CHECK_PROBE_ENGINE_H
#define NATRIG_TESTS_CHECK_PROBE_ENGINE_H

#include "tests/check_probe_world.h"

struct engine;

struct engine *probe_engine_new(const struct world_nat *nat);

/* What comes out of the engine: OUT where it goes to the internet. */
typedef void probe_engine_out(bool out, struct endpoint src,
			      struct endpoint dst, const void *data,
			      size_t size_bytes);

/* One datagram, from inside or from the internet. */
void probe_engine_pass(struct engine *e, uint64_t now_us, bool from_inside,
		       struct endpoint src, struct endpoint dst,
		       const void *data, size_t size_bytes,
		       probe_engine_out *out);

#endif
