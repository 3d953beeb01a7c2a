/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * environment: what programs that natrig starts in a lab are told in their
 * environment: natrig's own, less what begins with NATRIG_, and the lab's.
 */
#ifndef NATRIG_HARNESS_ENVIRONMENT_H
#define NATRIG_HARNESS_ENVIRONMENT_H

#include "harness/scenario.h"

/* {0} is an empty one; "NAME=value" each; ends with NULL. */
struct environment {
	char **list;
	unsigned count, room;
};

/* 0 or -ENOMEM; what was said of NAME before is replaced. */
int environment_set(struct environment *env, const char *name,
		    const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* PREFIX and WORD as a variable's name: upper case, '_' for '-'. */
int environment_set_word(struct environment *env, const char *prefix,
			 const char *word, const char *value);
int environment_copy(struct environment *env, const struct environment *other);
void environment_clear(struct environment *env);

/* NATRIG_ADDR_<NODE> of each node: upper case, '_' for '-'; a router's WAN. */
int environment_add_lab(struct environment *env, const struct lab *lab);
/* NATRIG_HOST, NATRIG_IP and NATRIG_GATEWAY of a host. */
int environment_add_host(struct environment *env, const struct lab_node *node);

/*
 * ENV and natrig's own, NULL-terminated. The list is the caller's to free, its
 * strings are not. NULL: no memory.
 */
const char **environment_whole(const struct environment *env);

#endif
