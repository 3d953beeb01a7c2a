/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * valgrind: looks at each kind of step, at a fiftieth of the speed; what a test
 * does often so that chance or time shows, it need not see often.
 */
#ifndef NATRIG_TESTS_VALGRIND_H
#define NATRIG_TESTS_VALGRIND_H

#include <stdlib.h>

/* OFTEN, or SELDOM under valgrind, whose stage in CI says so. */
static inline int unless_valgrind(int often, int seldom)
{
	return getenv("UNDER_VALGRIND") ? seldom : often;
}

#endif
