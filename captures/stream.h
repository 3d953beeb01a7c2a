/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream: the bytes of one direction of one TCP connection, put in order from
 * segments that come late, twice, overlapping or with holes before them.
 *
 * stream_new -> stream_start (SYN seen) or not -> stream_add ... , and after
 * each stream_data / stream_consume. Memory is bounded: a hole that is not
 * filled before LIMIT bytes wait behind it makes the stream lost for good.
 */
#ifndef NATRIG_CAPTURES_STREAM_H
#define NATRIG_CAPTURES_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

/* NULL when memory runs out. */
struct stream *stream_new(size_t limit_bytes);
/* NULL is legal. */
void stream_free(struct stream *s);

/*
 * A SYN with this sequence number. Forgets all bytes where it opens another
 * connection; the retry of one that is known changes nothing (false).
 */
bool stream_start(struct stream *s, uint32_t isn);

/*
 * A segment's bytes. Without a SYN, the first segment is taken for the front.
 * 0, -ENOMEM, or -EOVERFLOW: too much waits, the stream is lost.
 */
int stream_add(struct stream *s, uint32_t seq, const void *data,
	       size_t size_bytes);

/* Whether all of these bytes had been added before: they were sent again. */
bool stream_had(const struct stream *s, uint32_t seq, size_t size_bytes);

/* The bytes in order that wait to be consumed; a view until the next call. */
const uint8_t *stream_data(const struct stream *s, size_t *size_bytes);
void stream_consume(struct stream *s, size_t size_bytes);

#endif
