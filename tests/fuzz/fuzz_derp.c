/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "tests/fuzz/fuzz.h"
#include "wire/derp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[DERP_KEY_BYTES] = {1, 2, 3};
	uint8_t pub[DERP_KEY_BYTES] = {9};
	struct derp_frame f;
	struct err err;
	char json[64];
	size_t at = 0;
	int ret;

	FUZZ_HOLDS(sodium_init() >= 0);
	FUZZ_HOLDS(derp_decode_upgrade(data, size, true, &err) <= (int)size);
	FUZZ_HOLDS(derp_decode_upgrade(data, size, false, &err) <= (int)size);
	while ((ret = derp_decode(data + at, size - at, &f, &err)) > 0) {
		at += (size_t)ret;
		FUZZ_HOLDS(at <= size);
		FUZZ_HOLDS(f.body + f.body_bytes == data + at);
		FUZZ_HOLDS(!f.packet || f.packet + f.packet_bytes == data + at);
		derp_open_client_info(&f, secret, pub, json, sizeof(json));
		derp_open_server_info(&f, secret, pub, json, sizeof(json));
	}
	return 0;
}
