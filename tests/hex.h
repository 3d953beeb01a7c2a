/* SPDX-License-Identifier: BSD-3-Clause */
/* hex: the known bytes of a codec's test, written as people print them. */
#ifndef NATRIG_TESTS_HEX_H
#define NATRIG_TESTS_HEX_H

#include <string.h>

#include <check.h>
#include <sodium.h>

static uint8_t buffer[2048];

/* Puts the bytes of HEX into BUFFER; how many. */
static inline size_t bytes_of(const char *hex)
{
	size_t size_bytes = 0;

	ck_assert_int_eq(sodium_hex2bin(buffer, sizeof(buffer), hex,
					strlen(hex), NULL, &size_bytes, NULL),
			 0);
	return size_bytes;
}

#endif
