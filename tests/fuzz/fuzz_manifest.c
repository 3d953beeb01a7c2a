/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/clients.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clients_kind kind;
	struct err err;

	(void)clients_read_manifest("/a/client", (const char *)data, size,
				    &kind, &err);
	return 0;
}
