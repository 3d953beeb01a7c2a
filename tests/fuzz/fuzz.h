/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz: what libFuzzer calls, and what replay.c calls in its place. A target
 * includes this header, defines the function, and traps where a promise of the
 * module does not hold.
 */
#ifndef NATRIG_TESTS_FUZZ_H
#define NATRIG_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Always returns 0; the name and the types are libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), this stays when NDEBUG is defined. */
#define FUZZ_HOLDS(promise)                                                    \
	do {                                                                   \
		if (!(promise))                                                \
			abort();                                               \
	} while (0)

#endif
