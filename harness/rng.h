/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rng: reproducible randomness for the model (keys, transaction ids, jitter).
 * ChaCha20 keyed by the scenario's seed and a label, so that two machines of
 * one lab draw independent streams and the same seed gives the same run.
 */
#ifndef NATRIG_HARNESS_RNG_H
#define NATRIG_HARNESS_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint8_t key[32];
	uint64_t counter;
};

void rng_init(struct rng *rng, uint64_t seed, const char *label);
void rng_bytes(struct rng *rng, void *out, size_t size_bytes);
/* Uniform in [0, bound); bound > 0. */
uint32_t rng_below(struct rng *rng, uint32_t bound);

#endif
