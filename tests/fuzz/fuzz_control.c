/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "harness/server.h"
#include "tests/fuzz/streams.h"

static void on_accept(void *server, uint64_t now_us, uint32_t stream,
		      struct actions *out)
{
	control_on_accept(server, now_us, stream, (struct endpoint){1, 1}, out);
}

static void on_stream(void *server, uint64_t now_us, uint32_t stream,
		      const void *data, size_t size_bytes, struct actions *out)
{
	control_on_stream(server, now_us, stream, data, size_bytes, out);
}

static void on_closed(void *server, uint64_t now_us, uint32_t stream,
		      struct actions *out)
{
	control_on_closed(server, now_us, stream, out);
}

static uint64_t deadline(const void *server)
{
	return control_deadline(server);
}

static void on_timer(void *server, uint64_t now_us, struct actions *out)
{
	control_on_timer(server, now_us, out);
}

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define REGISTER(name, last)                                                   \
	"{\"register\":{\"name\":\"" name "\",\"node_key\":\"" KEY "0"         \
	"\",\"disco_key\":\"" KEY last "\",\"relay\":\"relay\"}}\n"
#define ENDPOINT(port) "{\"endpoints\":[\"25.0.0.1:" port "\"]}\n"

static const void *greet(unsigned number, size_t *size_bytes)
{
	static const char *const lines[] = {
		REGISTER("a", "0"), REGISTER("a", "1"), REGISTER("b", "0"),
		REGISTER("c", "2"), ENDPOINT("1"),	ENDPOINT("2")};

	if (number / 4 * 2 + (number & 1) >= sizeof(lines) / sizeof(lines[0]))
		return NULL;
	number = number / 4 * 2 + (number & 1);
	*size_bytes = strlen(lines[number]);
	return lines[number];
}

/* The first byte says how long endpoints take to appear, in half seconds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct streams s = {.on_accept = on_accept,
			    .on_stream = on_stream,
			    .on_closed = on_closed,
			    .deadline = deadline,
			    .on_timer = on_timer,
			    .greet = greet};

	if (!size)
		return 0;
	s.server = control_new(data[0] * 500000ull);
	FUZZ_HOLDS(s.server);
	streams_run(&s, data + 1, size - 1);
	control_free(s.server);
	return 0;
}
