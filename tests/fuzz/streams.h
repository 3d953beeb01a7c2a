/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * streams: drives a server of harness/server.h with streams that do whatever
 * the fuzzer's input says, and holds it to what a driver relies on. The input
 * is a list of: one byte with what to do (high half) and the stream (low two
 * bits), then for STREAMS_DATA the number of bytes and the bytes.
 */
#ifndef NATRIG_TESTS_FUZZ_STREAMS_H
#define NATRIG_TESTS_FUZZ_STREAMS_H

#include "harness/actions.h"
#include "tests/fuzz/fuzz.h"

enum { STREAMS_COUNT = 4 };
enum {
	STREAMS_DATA = 0,
	STREAMS_CLOSED = 1,
	STREAMS_TIMER = 2, /* at the deadline */
	STREAMS_WAIT = 3,  /* a second and a stream's number of more */
	STREAMS_GREET = 4  /* what opens such a stream, see greet */
};

struct streams {
	void *server;
	void (*on_accept)(void *server, uint64_t now_us, uint32_t stream,
			  struct actions *out);
	void (*on_stream)(void *server, uint64_t now_us, uint32_t stream,
			  const void *data, size_t size_bytes,
			  struct actions *out);
	void (*on_closed)(void *server, uint64_t now_us, uint32_t stream,
			  struct actions *out);
	uint64_t (*deadline)(const void *server);
	void (*on_timer)(void *server, uint64_t now_us, struct actions *out);
	/* Bytes with which a client of that number begins; NULL: no more. */
	const void *(*greet)(unsigned number, size_t *size_bytes);
	bool open[STREAMS_COUNT];
	uint64_t now_us;
	struct actions out;
};

static inline void streams_settle(struct streams *s)
{
	FUZZ_HOLDS(!s->out.failed);
	for (size_t i = 0; i < s->out.count; i++) {
		const struct action *one = &s->out.list[i];

		FUZZ_HOLDS(one->kind == ACTION_WRITE ||
			   one->kind == ACTION_CLOSE);
		/* To whom it has closed, or never had, it may not speak. */
		FUZZ_HOLDS(one->stream < STREAMS_COUNT);
		FUZZ_HOLDS(s->open[one->stream]);
		if (one->kind == ACTION_CLOSE)
			s->open[one->stream] = false;
	}
	actions_clear(&s->out);
}

static inline void streams_timer(struct streams *s)
{
	if (s->deadline(s->server) == ACTIONS_NEVER)
		return;
	if (s->now_us < s->deadline(s->server))
		s->now_us = s->deadline(s->server);
	s->on_timer(s->server, s->now_us, &s->out);
	streams_settle(s);
	/* Otherwise the driver would call for ever. */
	FUZZ_HOLDS(s->deadline(s->server) > s->now_us);
}

static inline void streams_give(struct streams *s, uint32_t stream,
				const void *data, size_t size_bytes)
{
	if (!s->open[stream]) {
		s->open[stream] = true;
		s->on_accept(s->server, s->now_us, stream, &s->out);
		streams_settle(s);
	}
	s->on_stream(s->server, s->now_us, stream, data, size_bytes, &s->out);
	streams_settle(s);
}

static inline void streams_run(struct streams *s, const uint8_t *data,
			       size_t size_bytes)
{
	size_t at = 0, take;

	while (at < size_bytes) {
		uint32_t stream = data[at] & 3;
		const void *greeting;

		switch (data[at++] >> 4) {
		case STREAMS_CLOSED:
			if (!s->open[stream])
				break;
			s->open[stream] = false;
			s->on_closed(s->server, s->now_us, stream, &s->out);
			streams_settle(s);
			break;
		case STREAMS_TIMER:
			streams_timer(s);
			break;
		case STREAMS_WAIT:
			s->now_us += 1000000 + stream;
			break;
		case STREAMS_GREET:
			greeting = s->greet(data[at - 1] & 15, &take);
			if (greeting)
				streams_give(s, stream, greeting, take);
			break;
		default:
			take = at < size_bytes ? data[at++] : 0;
			if (take > size_bytes - at)
				take = size_bytes - at;
			streams_give(s, stream, data + at, take);
			at += take;
		}
	}
	actions_free(&s->out);
}

#endif
