/* SPDX-License-Identifier: BSD-3-Clause */
/* nearest: which word somebody may have meant, as captures/cast.h measures it. */
#ifndef NATRIG_HARNESS_NEAREST_H
#define NATRIG_HARNESS_NEAREST_H

/* The word of WORDS (NULL-terminated) closest to WORD; NULL where none is near. */
const char *nearest_word(const char *word, const char *const *words);

#endif
