/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/rng.h"

#include <sodium.h>
#include <string.h>

void rng_init(struct rng *rng, uint64_t seed, const char *label)
{
	uint8_t seed_le[8];
	crypto_generichash_state state;

	for (unsigned i = 0; i < sizeof(seed_le); i++)
		seed_le[i] = (uint8_t)(seed >> 8 * i);
	crypto_generichash_init(&state, NULL, 0, sizeof(rng->key));
	crypto_generichash_update(&state, seed_le, sizeof(seed_le));
	crypto_generichash_update(&state, (const uint8_t *)label, strlen(label));
	crypto_generichash_final(&state, rng->key, sizeof(rng->key));
	rng->counter = 0;
}

void rng_bytes(struct rng *rng, void *out, size_t size_bytes)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = {0};

	/* One nonce a draw: draws of any size never share key stream. */
	for (unsigned i = 0; i < 8; i++)
		nonce[i] = (uint8_t)(rng->counter >> 8 * i);
	rng->counter++;
	crypto_stream_chacha20(out, size_bytes, nonce, rng->key);
}

uint32_t rng_below(struct rng *rng, uint32_t bound)
{
	uint32_t limit = UINT32_MAX - UINT32_MAX % bound;
	uint32_t v;

	do {
		rng_bytes(rng, &v, sizeof(v));
	} while (v >= limit);
	return v % bound;
}
