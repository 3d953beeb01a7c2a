/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Many tiny segments behind a hole would make each search slow. */
#define STREAM_MAX_HELD 1024

/* A segment that came before the bytes in front of it. */
struct held {
	struct held *next;
	uint32_t seq;
	size_t size_bytes;
	uint8_t data[];
};

struct stream {
	size_t limit_bytes;
	uint8_t *data;
	size_t start_bytes, end_bytes, room_bytes;
	struct held *held; /* by seq */
	size_t held_bytes;
	unsigned held_count;
	uint32_t isn;
	uint32_t next_seq; /* of the first byte that is missing */
	bool has_isn, has_next, lost;
};

struct stream *stream_new(size_t limit_bytes)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s)
		s->limit_bytes = limit_bytes;
	return s;
}

static void drop_held(struct stream *s)
{
	while (s->held) {
		struct held *first = s->held;

		s->held = first->next;
		free(first);
	}
	s->held_bytes = 0;
	s->held_count = 0;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	drop_held(s);
	free(s->data);
	free(s);
}

bool stream_start(struct stream *s, uint32_t isn)
{
	if (s->has_isn && s->isn == isn)
		return false;
	drop_held(s);
	s->start_bytes = 0;
	s->end_bytes = 0;
	s->isn = isn;
	s->next_seq = isn + 1;
	s->has_isn = true;
	s->has_next = true;
	s->lost = false;
	return true;
}

static int append(struct stream *s, const uint8_t *data, size_t size_bytes)
{
	size_t used = s->end_bytes - s->start_bytes;

	if (used + size_bytes > s->limit_bytes)
		return -EOVERFLOW;
	if (s->end_bytes + size_bytes > s->room_bytes && s->start_bytes) {
		memmove(s->data, s->data + s->start_bytes, used);
		s->start_bytes = 0;
		s->end_bytes = used;
	}
	if (s->end_bytes + size_bytes > s->room_bytes) {
		size_t room = (s->end_bytes + size_bytes) * 2;
		uint8_t *more = realloc(s->data, room);

		if (!more)
			return -ENOMEM;
		s->data = more;
		s->room_bytes = room;
	}
	memcpy(s->data + s->end_bytes, data, size_bytes);
	s->end_bytes += size_bytes;
	s->next_seq += (uint32_t)size_bytes;
	return 0;
}

static int hold(struct stream *s, uint32_t seq, const uint8_t *data,
		size_t size_bytes)
{
	struct held **at = &s->held;
	struct held *one;

	if (s->held_bytes + size_bytes > s->limit_bytes ||
	    s->held_count == STREAM_MAX_HELD)
		return -EOVERFLOW;
	while (*at && (int32_t)((*at)->seq - seq) < 0)
		at = &(*at)->next;
	if (*at && (*at)->seq == seq && (*at)->size_bytes >= size_bytes)
		return 0;
	one = malloc(sizeof(*one) + size_bytes);
	if (!one)
		return -ENOMEM;
	one->seq = seq;
	one->size_bytes = size_bytes;
	memcpy(one->data, data, size_bytes);
	one->next = *at;
	*at = one;
	s->held_bytes += size_bytes;
	s->held_count++;
	return 0;
}

/* Bytes of a segment that were there already are cut off its front. */
static int take(struct stream *s, uint32_t seq, const uint8_t *data,
		size_t size_bytes)
{
	uint32_t known = s->next_seq - seq;

	if (known >= size_bytes)
		return 0;
	return append(s, data + known, size_bytes - known);
}

static int take_held(struct stream *s)
{
	int rc = 0;

	while (!rc && s->held && (int32_t)(s->held->seq - s->next_seq) <= 0) {
		struct held *first = s->held;

		s->held = first->next;
		s->held_bytes -= first->size_bytes;
		s->held_count--;
		rc = take(s, first->seq, first->data, first->size_bytes);
		free(first);
	}
	return rc;
}

int stream_add(struct stream *s, uint32_t seq, const void *data,
	       size_t size_bytes)
{
	int rc;

	if (s->lost)
		return -EOVERFLOW;
	if (!size_bytes)
		return 0;
	if (!s->has_next) {
		s->next_seq = seq;
		s->has_next = true;
	}
	if ((int32_t)(seq - s->next_seq) > 0)
		rc = hold(s, seq, data, size_bytes);
	else
		rc = take(s, seq, data, size_bytes);
	if (!rc)
		rc = take_held(s);
	if (rc < 0) {
		s->lost = true;
		drop_held(s);
	}
	return rc;
}

bool stream_had(const struct stream *s, uint32_t seq, size_t size_bytes)
{
	uint32_t known = s->next_seq - seq;

	return s->has_next && size_bytes && known < UINT32_MAX / 2 &&
	       known >= size_bytes;
}

const uint8_t *stream_data(const struct stream *s, size_t *size_bytes)
{
	*size_bytes = s->end_bytes - s->start_bytes;
	return s->data ? s->data + s->start_bytes : NULL;
}

void stream_consume(struct stream *s, size_t size_bytes)
{
	size_t there = s->end_bytes - s->start_bytes;

	s->start_bytes += size_bytes < there ? size_bytes : there;
	if (s->start_bytes == s->end_bytes) {
		s->start_bytes = 0;
		s->end_bytes = 0;
	}
}
