/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * yaml: a scenario's YAML as a small tree of nodes that know their places.
 *
 * It reads with libfyaml, and takes only what a scenario needs: one document
 * of mappings, lists and scalars. Anchors, aliases, tags, several documents,
 * doubled keys, deep nesting, tabs as indentation, and anything that is not
 * UTF-8 text are refused with their place.
 *
 * yaml_parse -> look -> yaml_free. The tree holds copies, not views.
 */
#ifndef NATRIG_HARNESS_SCENARIO_YAML_H
#define NATRIG_HARNESS_SCENARIO_YAML_H

#include "wire/err.h"

#include <stdbool.h>
#include <stddef.h>

#define YAML_MAX_BYTES (1024u * 1024)
#define YAML_MAX_DEPTH 12
#define YAML_MAX_MEMBERS 4096 /* of one mapping or list */

enum yaml_kind { YAML_NULL, YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column; /* from 1; columns count characters */
	char *text;	       /* of YAML_TEXT, else NULL; no NUL inside */
	/*
	 * The column of the text's first character where each character of
	 * the text is one column of the file, else 0 (escapes, many lines).
	 */
	unsigned text_column;
	char *key; /* of a mapping's member, else NULL */
	unsigned key_line, key_column;
	struct yaml_node *parent, *first, *last, *next;
	unsigned members;
	struct yaml_node *made; /* private: what was made before it */
};

/* NAME is the file's name in errors. 0, -EINVAL or -ENOMEM. */
int yaml_parse(const char *name, const char *text, size_t size_bytes,
	       struct yaml_node **root, struct err *err);
void yaml_free(struct yaml_node *root); /* NULL is legal */

/* The member called KEY, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* NODE in YAML's flow style on one line, "{nat: easy}"; cut off where long. */
void yaml_flow(const struct yaml_node *node, char *text, size_t size_bytes);

#endif
