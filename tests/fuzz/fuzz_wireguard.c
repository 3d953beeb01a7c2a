/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "wire/wireguard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wireguard_message m;
	static uint8_t out[70000];
	struct err err;

	if (wireguard_decode(data, size, &m, &err) != 0 || size > sizeof(out))
		return 0;
	/* Nothing is left out, so the very same bytes must come back. */
	FUZZ_HOLDS(wireguard_encode(&m, out, sizeof(out)) == (int)size);
	FUZZ_HOLDS(memcmp(out, data, size) == 0);
	return 0;
}
