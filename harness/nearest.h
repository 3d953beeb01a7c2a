/* SPDX-License-Identifier: BSD-3-Clause */
/* nearest: which word somebody meant, as captures/cast.h measures it. */
#ifndef NATRIG_HARNESS_NEAREST_H
#define NATRIG_HARNESS_NEAREST_H

/* The one of WORDS (NULL-terminated) closest to WORD; NULL: none is near. */
const char *nearest_word(const char *word, const char *const *words);

#endif
