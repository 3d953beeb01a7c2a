/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <sodium.h>

#include "tests/fuzz/fuzz.h"
#include "wire/disco.h"

/* One key for both ends: the box does not mind, and nothing is kept here. */
static const uint8_t secret[DISCO_KEY_BYTES] = {1, 2, 3};
static const uint8_t nonce[DISCO_NONCE_BYTES] = {4, 5, 6};

/* No fuzzer finds a box that opens, so the input is what is in the box too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t message[DISCO_MAX_BYTES] = {'T', 'S', 0xf0, 0x9f, 0x92, 0xac};
	uint8_t out[2 * DISCO_MAX_BYTES], *pub = message + 6;
	struct disco_message m, back;
	int ret;

	FUZZ_HOLDS(sodium_init() >= 0);
	disco_open(data, size, secret, &m, NULL);
	if (size > sizeof(message) - DISCO_HEADER_BYTES - crypto_box_MACBYTES)
		return 0;
	FUZZ_HOLDS(crypto_scalarmult_base(pub, secret) == 0);
	memcpy(pub + DISCO_KEY_BYTES, nonce, sizeof(nonce));
	ret = crypto_box_easy(message + DISCO_HEADER_BYTES, data, size, nonce,
			      pub, secret);
	FUZZ_HOLDS(ret == 0);
	ret = disco_open(message,
			 DISCO_HEADER_BYTES + crypto_box_MACBYTES + size,
			 secret, &m, NULL);
	if (ret != 0)
		return 0;
	ret = disco_seal(&m, pub, secret, pub, nonce, out, sizeof(out));
	FUZZ_HOLDS(ret > 0);
	FUZZ_HOLDS(disco_open(out, (size_t)ret, secret, &back, NULL) == 0);
	FUZZ_HOLDS(back.type == m.type);
	FUZZ_HOLDS(back.padding_bytes == m.padding_bytes);
	FUZZ_HOLDS(back.endpoint_count == m.endpoint_count);
	return 0;
}
