/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/fuzz.h"
#include "wire/pcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pcp_message m, back;
	uint8_t out[PCP_MAX_BYTES];
	struct err err;
	int ret;

	if (pcp_decode(data, size, &m, &err) != 0)
		return 0;
	ret = pcp_encode(&m, out, sizeof(out));
	FUZZ_HOLDS(ret > 0);
	FUZZ_HOLDS(pcp_decode(out, (size_t)ret, &back, &err) == 0);
	FUZZ_HOLDS(back.op == m.op && back.result == m.result);
	FUZZ_HOLDS(back.external_ip == m.external_ip);
	FUZZ_HOLDS(back.prefer_failure == m.prefer_failure);
	return 0;
}
