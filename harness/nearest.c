/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/nearest.h"

#include "captures/cast.h"

#include <limits.h>

const char *nearest_word(const char *word, const char *const *words)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (; *word && *words; words++)
		if (cast_is_near(word, *words, &best))
			nearest = *words;
	return nearest;
}
