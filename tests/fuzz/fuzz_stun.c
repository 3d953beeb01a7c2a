/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "wire/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stun_message m, back;
	static uint8_t out[70000];
	struct err err;
	int ret;

	if (stun_decode(data, size, &m, &err) != 0)
		return 0;
	FUZZ_HOLDS(stun_looks_like(data, size));
	ret = stun_encode(&m, out, sizeof(out));
	/* Only what fills 64 KiB already may grow beyond it. */
	FUZZ_HOLDS(ret > 0 || size > 60000);
	if (ret < 0)
		return 0;
	FUZZ_HOLDS(stun_decode(out, (size_t)ret, &back, &err) == 0);
	FUZZ_HOLDS(back.class == m.class && back.method == m.method);
	FUZZ_HOLDS(endpoint_equal(back.mapped, m.mapped) || !m.mapped.ip);
	FUZZ_HOLDS(strcmp(back.software, m.software) == 0);
	FUZZ_HOLDS(back.error_code == m.error_code);
	FUZZ_HOLDS(back.fingerprint == m.fingerprint);
	return 0;
}
