/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/nearest.h"

#include <stddef.h>
#include <string.h>

#define NEAREST_MAX_LEN 32 /* longer words are nobody's typing mistake */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Damerau-Levenshtein distance (optimal string alignment). */
static unsigned distance(const char *a, size_t a_len, const char *b,
			 size_t b_len)
{
	unsigned rows[3][NEAREST_MAX_LEN + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *spare;

	for (unsigned j = 0; j <= b_len; j++)
		last[j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			unsigned wrong = a[i - 1] != b[j - 1];

			row[j] = least(least(last[j], row[j - 1]) + 1,
				       last[j - 1] + wrong);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

const char *nearest_word(const char *word, const char *const *words)
{
	size_t len = strlen(word);
	unsigned allowed = (unsigned)(len + 2) / 3;
	const char *nearest = NULL;

	if (!len || len > NEAREST_MAX_LEN)
		return NULL;
	for (; *words; words++) {
		size_t other_len = strlen(*words);
		unsigned wrong;

		if (!other_len || other_len > NEAREST_MAX_LEN)
			continue;
		wrong = distance(word, len, *words, other_len);
		if (wrong > allowed || (nearest && wrong == allowed))
			continue;
		nearest = *words;
		allowed = wrong;
	}
	return nearest;
}
