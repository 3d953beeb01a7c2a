/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <sodium.h>

#include "harness/server.h"
#include "tests/fuzz/streams.h"
#include "tests/relay_bytes.h"
#include "wire/derp.h"

static void on_accept(void *server, uint64_t now_us, uint32_t stream,
		      struct actions *out)
{
	relay_on_accept(server, now_us, stream, (struct endpoint){1, 1}, out);
}

static void on_stream(void *server, uint64_t now_us, uint32_t stream,
		      const void *data, size_t size_bytes, struct actions *out)
{
	relay_on_stream(server, now_us, stream, data, size_bytes, out);
}

static void on_closed(void *server, uint64_t now_us, uint32_t stream,
		      struct actions *out)
{
	relay_on_closed(server, now_us, stream, out);
}

static uint64_t deadline(const void *server)
{
	return relay_deadline(server);
}

static void on_timer(void *server, uint64_t now_us, struct actions *out)
{
	relay_on_timer(server, now_us, out);
}

/* No fuzzer finds a box that opens, so real ones are at hand. */
static const void *greet(unsigned number, size_t *size_bytes)
{
	static uint8_t bytes[512];
	const uint8_t *info = number & 4 ? real_info_b : real_info_a;
	size_t upgrade_bytes = strlen(real_upgrade);

	memcpy(bytes, real_upgrade, upgrade_bytes);
	*size_bytes = upgrade_bytes;
	if (number & 8)
		return bytes;
	memcpy(bytes + upgrade_bytes, info, sizeof(real_info_a));
	*size_bytes += sizeof(real_info_a);
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct streams s = {.on_accept = on_accept,
			    .on_stream = on_stream,
			    .on_closed = on_closed,
			    .deadline = deadline,
			    .on_timer = on_timer,
			    .greet = greet};

	FUZZ_HOLDS(sodium_init() >= 0);
	s.server = relay_new(7, "relay");
	FUZZ_HOLDS(s.server);
	streams_run(&s, data, size);
	relay_free(s.server);
	return 0;
}
