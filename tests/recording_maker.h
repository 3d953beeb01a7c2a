/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recording_maker: the recordings that tests read: the samples in tests/data/
 * and hand-made pcapng blocks in either byte order. Only tests include it.
 */
#ifndef NATRIG_TESTS_RECORDING_MAKER_H
#define NATRIG_TESTS_RECORDING_MAKER_H

#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "captures/recording.h"
#include "wire/cursor.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ROOM_BYTES 4096

/* A file of at most ROOM_BYTES, or what a test makes of it. */
struct bytes {
	uint8_t data[ROOM_BYTES];
	size_t size;
};

static inline const char *sample_path(const char *file)
{
	static char path[512];
	const char *dir = getenv("NATRIG_SRCDIR");

	snprintf(path, sizeof(path), "%s/tests/data/%s", dir ? dir : ".", file);
	return path;
}

static inline void sample_load(const char *file, struct bytes *b)
{
	FILE *f = fopen(sample_path(file), "rbe");

	ck_assert_msg(f != NULL, "%s", sample_path(file));
	b->size = fread(b->data, 1, sizeof(b->data), f);
	ck_assert_uint_lt(b->size, sizeof(b->data));
	fclose(f);
}

static inline struct recording *parsed(const struct bytes *b)
{
	struct recording *rec;
	struct err err = {0};

	ck_assert_msg(!recording_parse(b->data, b->size, "bytes", &rec, &err),
		      "%s", err.text);
	return rec;
}

/* Hand-made blocks, in either byte order. */
struct maker {
	struct writer w;
	bool little;
	size_t block_at;
};

static inline void m16(struct maker *m, uint16_t v)
{
	if (m->little)
		writer_u16_le(&m->w, v);
	else
		writer_u16(&m->w, v);
}

static inline void m32(struct maker *m, uint32_t v)
{
	if (m->little)
		writer_u32_le(&m->w, v);
	else
		writer_u32(&m->w, v);
}

static inline void m64(struct maker *m, uint64_t v)
{
	if (m->little)
		writer_u64_le(&m->w, v);
	else
		writer_u64(&m->w, v);
}

static inline void begin(struct maker *m, uint32_t type)
{
	m->block_at = m->w.at_bytes;
	m32(m, type);
	m32(m, 0);
}

static inline void end(struct maker *m)
{
	size_t here;
	uint32_t total;

	writer_zero(&m->w, -m->w.at_bytes & 3);
	total = (uint32_t)(m->w.at_bytes + 4 - m->block_at);
	m32(m, total);
	here = m->w.at_bytes;
	m->w.at_bytes = m->block_at + 4;
	m32(m, total);
	m->w.at_bytes = here;
}

static inline void option(struct maker *m, uint16_t code, const void *value,
			  uint16_t size)
{
	m16(m, code);
	m16(m, size);
	writer_bytes(&m->w, value, size);
	writer_zero(&m->w, -(size_t)size & 3);
}

static inline void section(struct maker *m, bool little)
{
	m->little = little;
	begin(m, 0x0a0d0d0a);
	m32(m, 0x1a2b3c4d);
	m16(m, 1);
	m16(m, 0);
	m64(m, UINT64_MAX);
	end(m);
}

static inline struct maker maker_over(struct bytes *b, bool little)
{
	struct maker m = {.w = writer_over(b->data, sizeof(b->data))};

	section(&m, little);
	return m;
}

static inline void interface(struct maker *m, uint16_t link, uint32_t snaplen)
{
	begin(m, 1);
	m16(m, link);
	m16(m, 0);
	m32(m, snaplen);
}

static inline void plain_interface(struct maker *m)
{
	interface(m, 1, 0);
	end(m);
}

static inline void packet(struct maker *m, uint32_t index, uint64_t units,
			  const void *data, uint32_t size)
{
	begin(m, 6);
	m32(m, index);
	m32(m, (uint32_t)(units >> 32));
	m32(m, (uint32_t)units);
	m32(m, size);
	m32(m, size);
	writer_bytes(&m->w, data, size);
	writer_zero(&m->w, -(size_t)size & 3);
}

static inline struct recording *made(struct maker *m, struct bytes *b)
{
	ck_assert(!m->w.bad);
	b->size = m->w.at_bytes;
	return parsed(b);
}

#endif
