/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nearest: which word somebody may have meant. Spelling distance counts
 * letters added, left out, replaced, and neighbours swapped.
 */
#ifndef NATRIG_HARNESS_NEAREST_H
#define NATRIG_HARNESS_NEAREST_H

/*
 * The word of WORDS (NULL-terminated) closest to WORD, or NULL where none is
 * near: at most a third of WORD's letters wrong, rounded up.
 */
const char *nearest_word(const char *word, const char *const *words);

#endif
