/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cursor: reads and writes wire formats with an error that sticks.
 *
 * Every call past the end (or after one that was) does nothing, returns zero
 * and sets `bad`: a decoder reads straight through and asks once at the end.
 * The buffer stays the caller's. Multi-byte integers are big-endian unless the
 * name ends in _le.
 */
#ifndef NATRIG_WIRE_CURSOR_H
#define NATRIG_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *data;
	size_t size_bytes;
	size_t at_bytes;
	bool bad;
};

struct writer {
	uint8_t *data;
	size_t size_bytes;
	size_t at_bytes;
	bool bad;
};

struct reader reader_over(const void *data, size_t size_bytes);
size_t reader_left(const struct reader *r);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
uint16_t reader_u16_le(struct reader *r);
uint32_t reader_u32_le(struct reader *r);
uint64_t reader_u64_le(struct reader *r);
/* Copies; on a bad reader TO is zeroed. */
void reader_bytes(struct reader *r, void *to, size_t size_bytes);
/* A view into the buffer, NULL on a bad reader. */
const uint8_t *reader_view(struct reader *r, size_t size_bytes);
void reader_skip(struct reader *r, size_t size_bytes);
/* Reads SIZE bytes and sets bad unless they are the ones given. */
void reader_expect(struct reader *r, const void *bytes, size_t size_bytes);

struct writer writer_over(void *data, size_t size_bytes);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
void writer_u16_le(struct writer *w, uint16_t v);
void writer_u32_le(struct writer *w, uint32_t v);
void writer_u64_le(struct writer *w, uint64_t v);
void writer_bytes(struct writer *w, const void *from, size_t size_bytes);
void writer_zero(struct writer *w, size_t size_bytes);
/* Room of SIZE bytes to be filled by the caller, NULL on a bad writer. */
uint8_t *writer_room(struct writer *w, size_t size_bytes);
/* Overwrites the 16 bits at AT (for lengths known late). */
void writer_patch_u16(struct writer *w, size_t at_bytes, uint16_t v);
void writer_patch_u32(struct writer *w, size_t at_bytes, uint32_t v);
/* Bytes written, or -EMSGSIZE where they did not fit. */
int writer_result(const struct writer *w);

#endif
