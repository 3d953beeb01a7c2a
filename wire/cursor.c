/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/cursor.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct reader reader_over(const void *data, size_t size_bytes)
{
	/* Arithmetic on NULL is undefined even where nothing is read. */
	static const uint8_t nothing[1];

	return (struct reader){.data = data ? data : nothing,
			       .size_bytes = data ? size_bytes : 0};
}

size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : r->size_bytes - r->at_bytes;
}

const uint8_t *reader_view(struct reader *r, size_t size_bytes)
{
	const uint8_t *view;

	if (r->bad || size_bytes > r->size_bytes - r->at_bytes) {
		r->bad = true;
		return NULL;
	}
	view = r->data + r->at_bytes;
	r->at_bytes += size_bytes;
	return view;
}

/* The bytes of an integer are few, so a loop serves every width. */
static uint64_t read_be(struct reader *r, size_t size_bytes)
{
	const uint8_t *p = reader_view(r, size_bytes);
	uint64_t v = 0;

	for (size_t i = 0; p && i < size_bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t read_le(struct reader *r, size_t size_bytes)
{
	const uint8_t *p = reader_view(r, size_bytes);
	uint64_t v = 0;

	for (size_t i = size_bytes; p && i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)read_be(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return read_be(r, 8);
}

uint16_t reader_u16_le(struct reader *r)
{
	return (uint16_t)read_le(r, 2);
}

uint32_t reader_u32_le(struct reader *r)
{
	return (uint32_t)read_le(r, 4);
}

uint64_t reader_u64_le(struct reader *r)
{
	return read_le(r, 8);
}

void reader_bytes(struct reader *r, void *to, size_t size_bytes)
{
	const uint8_t *from = reader_view(r, size_bytes);

	if (!size_bytes)
		return;
	if (from)
		memcpy(to, from, size_bytes);
	else
		memset(to, 0, size_bytes);
}

void reader_skip(struct reader *r, size_t size_bytes)
{
	reader_view(r, size_bytes);
}

void reader_expect(struct reader *r, const void *bytes, size_t size_bytes)
{
	const uint8_t *got = reader_view(r, size_bytes);

	if (got && size_bytes && memcmp(got, bytes, size_bytes) != 0)
		r->bad = true;
}

struct writer writer_over(void *data, size_t size_bytes)
{
	return (struct writer){.data = data,
			       .size_bytes = data ? size_bytes : 0};
}

uint8_t *writer_room(struct writer *w, size_t size_bytes)
{
	uint8_t *room;

	if (w->bad || size_bytes > w->size_bytes - w->at_bytes) {
		w->bad = true;
		return NULL;
	}
	/* Only a room of nothing gets here without a buffer. */
	if (!w->data)
		return NULL;
	room = w->data + w->at_bytes;
	w->at_bytes += size_bytes;
	return room;
}

static void put_be(uint8_t *to, uint64_t v, size_t size_bytes)
{
	for (size_t i = size_bytes; to && i > 0; i--, v >>= 8)
		to[i - 1] = (uint8_t)v;
}

static void put_le(uint8_t *to, uint64_t v, size_t size_bytes)
{
	for (size_t i = 0; to && i < size_bytes; i++, v >>= 8)
		to[i] = (uint8_t)v;
}

void writer_u8(struct writer *w, uint8_t v)
{
	put_be(writer_room(w, 1), v, 1);
}

void writer_u16(struct writer *w, uint16_t v)
{
	put_be(writer_room(w, 2), v, 2);
}

void writer_u32(struct writer *w, uint32_t v)
{
	put_be(writer_room(w, 4), v, 4);
}

void writer_u64(struct writer *w, uint64_t v)
{
	put_be(writer_room(w, 8), v, 8);
}

void writer_u16_le(struct writer *w, uint16_t v)
{
	put_le(writer_room(w, 2), v, 2);
}

void writer_u32_le(struct writer *w, uint32_t v)
{
	put_le(writer_room(w, 4), v, 4);
}

void writer_u64_le(struct writer *w, uint64_t v)
{
	put_le(writer_room(w, 8), v, 8);
}

void writer_bytes(struct writer *w, const void *from, size_t size_bytes)
{
	uint8_t *to = writer_room(w, size_bytes);

	if (to && size_bytes)
		memcpy(to, from, size_bytes);
}

void writer_zero(struct writer *w, size_t size_bytes)
{
	uint8_t *to = writer_room(w, size_bytes);

	if (to && size_bytes)
		memset(to, 0, size_bytes);
}

/* A patch may only touch what was written: anything else is a slip of ours. */
static uint8_t *patch_at(struct writer *w, size_t at_bytes, size_t size_bytes)
{
	if (w->bad || at_bytes > w->at_bytes ||
	    size_bytes > w->at_bytes - at_bytes) {
		w->bad = true;
		return NULL;
	}
	return w->data + at_bytes;
}

void writer_patch_u16(struct writer *w, size_t at_bytes, uint16_t v)
{
	put_be(patch_at(w, at_bytes, 2), v, 2);
}

void writer_patch_u32(struct writer *w, size_t at_bytes, uint32_t v)
{
	put_be(patch_at(w, at_bytes, 4), v, 4);
}

int writer_result(const struct writer *w)
{
	if (w->bad || w->at_bytes > INT_MAX)
		return -EMSGSIZE;
	return (int)w->at_bytes;
}
