/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/fuzz.h"
#include "wire/natpmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct natpmp_message m, back;
	uint8_t out[NATPMP_MAX_BYTES];
	struct err err;
	int ret;

	if (natpmp_decode(data, size, &m, &err) != 0)
		return 0;
	ret = natpmp_encode(&m, out, sizeof(out));
	FUZZ_HOLDS(ret > 0);
	FUZZ_HOLDS(natpmp_decode(out, (size_t)ret, &back, &err) == 0);
	FUZZ_HOLDS(back.op == m.op && back.result == m.result);
	FUZZ_HOLDS(back.external_port == m.external_port);
	FUZZ_HOLDS(back.lifetime_s == m.lifetime_s);
	return 0;
}
