/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bytes: big-endian integers at any address, for whoever changes a packet in
 * place and has checked that they are there. Who does not know that reads with
 * a cursor.
 */
#ifndef NATRIG_WIRE_BYTES_H
#define NATRIG_WIRE_BYTES_H

#include <stdint.h>

static inline uint16_t bytes_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t bytes_get32(const uint8_t *at)
{
	return (uint32_t)bytes_get16(at) << 16 | bytes_get16(at + 2);
}

static inline void bytes_put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void bytes_put32(uint8_t *at, uint32_t v)
{
	bytes_put16(at, (uint16_t)(v >> 16));
	bytes_put16(at + 2, (uint16_t)v);
}

#endif
