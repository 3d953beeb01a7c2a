/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/scenario_yaml.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loader {
	const char *name;
	struct err *err;
	struct fy_diag *diag;
	struct fy_parser *parser;
	struct yaml_node *root, *open, *made;
	char *key; /* read, its value not yet */
	unsigned key_line, key_column;
	unsigned line, column; /* of the event being read */
	unsigned depth, documents;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct loader *l,
							 const char *format,
							 ...)
{
	char text[sizeof(l->err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_at(l->err, EINVAL, l->name, l->line, l->column, "%s", text);
}

static int no_memory(struct loader *l)
{
	return err_at(l->err, ENOMEM, l->name, 0, 0, "out of memory");
}

/* --- text: is it UTF-8 that a person can see? --------------------------- */

/* Bytes of the UTF-8 character at P, or 0 where there is none. */
static size_t utf8_bytes(const uint8_t *p, size_t left_bytes)
{
	uint32_t code;
	size_t bytes;

	if (*p < 0x80)
		return 1;
	bytes = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	if (*p < 0xc2 || *p > 0xf4 || bytes > left_bytes)
		return 0;
	code = *p & (0xffu >> (bytes + 1));
	for (size_t i = 1; i < bytes; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ||
	    (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000))
		return 0;
	return bytes;
}

static size_t utf8_len(const char *text)
{
	size_t len = 0;

	for (; *text; text++)
		len += (*text & 0xc0) != 0x80;
	return len;
}

/*
 * libfyaml 0.7.12 reads two doubled quotes in a row in a single-quoted text
 * wrongly, and leaks memory over more of them.
 */
#define MAX_QUOTES 3

static int check_character(struct loader *l, const uint8_t *p, bool indent,
			   unsigned quotes)
{
	if (quotes > MAX_QUOTES)
		return refuse(l, "more than %u quotes in a row: put such a "
			      "text into double quotes", MAX_QUOTES);
	if (*p == '\t' && indent)
		return refuse(l, "a tab in the indentation: YAML wants spaces");
	if ((*p < 0x20 && *p != '\t' && *p != '\n' && *p != '\r') || *p == 0x7f)
		return refuse(l, "byte 0x%02x: a scenario is UTF-8 text, this "
			      "looks binary", *p);
	return 0;
}

static int check_text(struct loader *l, const char *text, size_t size_bytes)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + size_bytes;
	unsigned quotes = 0;
	bool indent = true;
	size_t bytes;
	int ret;

	l->line = l->column = 1;
	if (size_bytes > YAML_MAX_BYTES)
		return refuse(l, "%zu bytes: a scenario has at most %u",
			      size_bytes, YAML_MAX_BYTES);
	for (; p < end; p += bytes) {
		bytes = utf8_bytes(p, (size_t)(end - p));
		if (!bytes)
			return refuse(l, "byte 0x%02x is not UTF-8", *p);
		quotes = *p == '\'' ? quotes + 1 : 0;
		ret = check_character(l, p, indent, quotes);
		if (ret)
			return ret;
		indent = *p == '\n' || (indent && *p == ' ');
		l->column++;
		if (*p == '\n') {
			l->line++;
			l->column = 1;
		}
	}
	return 0;
}

/* --- nodes -------------------------------------------------------------- */

/* Frees the nodes from LAST back to the first made, which is ROOT if any. */
static void free_chain(struct yaml_node *last, struct yaml_node *root)
{
	struct yaml_node *before;

	for (; last; last = before) {
		before = last == root ? NULL : last->made;
		free(last->text);
		free(last->key);
		free(last);
	}
}

static bool is_key(const struct loader *l)
{
	return l->open && l->open->kind == YAML_MAP && !l->key;
}

/* A new node at the event's place, put where the tree is open. */
static int add_node(struct loader *l, enum yaml_kind kind,
		    struct yaml_node **out)
{
	struct yaml_node *node = calloc(1, sizeof(*node));

	*out = node;
	if (!node)
		return no_memory(l);
	node->kind = kind;
	node->line = l->line;
	node->column = l->column;
	node->made = l->made;
	l->made = node;
	node->key = l->key;
	node->key_line = l->key_line;
	node->key_column = l->key_column;
	l->key = NULL;
	node->parent = l->open;
	if (!l->open) {
		l->root = node;
		return 0;
	}
	if (l->open->last)
		l->open->last->next = node;
	else
		l->open->first = node;
	l->open->last = node;
	if (++l->open->members > YAML_MAX_MEMBERS)
		return refuse(l, "more than %u members in one %s",
			      YAML_MAX_MEMBERS,
			      l->open->kind == YAML_MAP ? "mapping" : "list");
	return 0;
}

static int take_key(struct loader *l, char *text)
{
	const struct yaml_node *old = yaml_get(l->open, text);
	int ret;

	if (old) {
		ret = refuse(l, "\"%.64s\" is here twice: first in line %u, "
			     "column %u", text, old->key_line, old->key_column);
		free(text);
		return ret;
	}
	l->key = text;
	l->key_line = l->line;
	l->key_column = l->column;
	return 0;
}

static bool is_null(const char *text)
{
	return !*text || !strcmp(text, "~") || !strcmp(text, "null") ||
	       !strcmp(text, "Null") || !strcmp(text, "NULL");
}

/*
 * Where the text begins if nothing in it was folded or escaped, else 0. Marks
 * do not count the quotes in.
 */
static unsigned text_column(struct fy_event *event, const char *text)
{
	const struct fy_mark *from = fy_event_start_mark(event);
	const struct fy_mark *to = fy_event_end_mark(event);

	if (!from || !to || from->line != to->line ||
	    (size_t)(to->column - from->column) != utf8_len(text))
		return 0;
	return (unsigned)from->column + 1;
}

/* A copy of the scalar's text, or NULL and *RET. */
static char *copy_text(struct loader *l, struct fy_token *token, int *ret)
{
	size_t bytes = 0;
	const char *text = token ? fy_token_get_text(token, &bytes) : "";
	char *copy;

	*ret = 0;
	if (text)
		for (size_t i = 0; i < bytes && !*ret; i++)
			if ((uint8_t)text[i] < 0x20 && text[i] != '\n' &&
			    text[i] != '\t')
				*ret = refuse(l, "a control character (0x%02x) "
					      "in a text", text[i]);
	if (*ret)
		return NULL;
	copy = text ? strndup(text, bytes) : NULL;
	if (!copy)
		*ret = no_memory(l);
	return copy;
}

static int on_scalar(struct loader *l, struct fy_event *event)
{
	struct fy_token *token = fy_event_get_token(event);
	bool plain = !token || fy_token_scalar_style(token) == FYSS_PLAIN;
	struct yaml_node *node;
	char *text;
	int ret;

	text = copy_text(l, token, &ret);
	if (!text)
		return ret;
	if (is_key(l)) {
		if (*text)
			return take_key(l, text);
		free(text);
		return refuse(l, "a key is missing before the \":\"");
	}
	ret = add_node(l, plain && is_null(text) ? YAML_NULL : YAML_TEXT,
		       &node);
	if (ret || node->kind == YAML_NULL) {
		free(text);
		return ret;
	}
	node->text = text;
	node->text_column = text_column(event, text);
	return 0;
}

/* --- events ------------------------------------------------------------- */

static int on_open(struct loader *l, enum yaml_kind kind)
{
	struct yaml_node *node;
	int ret;

	if (is_key(l))
		return refuse(l, "a key must be a name, this is %s",
			      kind == YAML_MAP ? "a mapping" : "a list");
	if (++l->depth > YAML_MAX_DEPTH)
		return refuse(l, "nested more than %u deep", YAML_MAX_DEPTH);
	ret = add_node(l, kind, &node);
	if (!ret)
		l->open = node;
	return ret;
}

static int on_close(struct loader *l)
{
	l->open = l->open ? l->open->parent : NULL;
	l->depth--;
	return 0;
}

static int on_document(struct loader *l)
{
	if (++l->documents > 1)
		return refuse(l, "a second document: a file holds one "
			      "scenario");
	return 0;
}

static int on_event(struct loader *l, struct fy_event *event)
{
	const struct fy_mark *mark = fy_event_start_mark(event);
	bool node = event->type == FYET_SCALAR ||
		    event->type == FYET_MAPPING_START ||
		    event->type == FYET_SEQUENCE_START;

	if (mark) {
		l->line = (unsigned)mark->line + 1;
		l->column = (unsigned)mark->column + 1;
	}
	if (node && fy_event_get_anchor_token(event))
		return refuse(l, "an anchor (&name): scenarios have none, "
			      "write it out");
	if (node && fy_event_get_tag_token(event))
		return refuse(l, "a tag (!name): scenarios have none");
	switch (event->type) {
	case FYET_DOCUMENT_START:
		return on_document(l);
	case FYET_SCALAR:
		return on_scalar(l, event);
	case FYET_MAPPING_START:
		return on_open(l, YAML_MAP);
	case FYET_SEQUENCE_START:
		return on_open(l, YAML_LIST);
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		return on_close(l);
	case FYET_ALIAS:
		return refuse(l, "an alias (*name): scenarios have none, "
			      "write it out");
	default:
		return 0;
	}
}

/* What libfyaml found wrong, in its words and with a hint where one helps. */
static int refuse_syntax(struct loader *l)
{
	void *previous = NULL;
	struct fy_diag_error *first;
	const char *hint = "";

	first = fy_diag_errors_iterate(l->diag, &previous);
	if (!first || !first->msg)
		return refuse(l, "not YAML from here on");
	if (first->line > 0) {
		l->line = (unsigned)first->line;
		l->column = first->column > 0 ? (unsigned)first->column : 1;
	}
	if (strstr(first->msg, "nested block mapping"))
		hint = "; a text with \": \" in it needs quotes around it";
	else if (strstr(first->msg, "multiline plain key"))
		hint = "; the next line is indented too far";
	return refuse(l, "not YAML: %s%s", first->msg, hint);
}

static int load(struct loader *l, const char *text, size_t size_bytes)
{
	struct fy_event *event;
	int ret = 0;

	if (fy_parser_set_string(l->parser, text, size_bytes))
		return no_memory(l);
	l->line = l->column = 1;
	while (!ret && (event = fy_parser_parse(l->parser))) {
		ret = on_event(l, event);
		fy_parser_event_free(l->parser, event);
	}
	if (ret)
		return ret;
	if (fy_parser_get_stream_error(l->parser) ||
	    fy_diag_got_error(l->diag))
		return refuse_syntax(l);
	if (!l->root || l->root->kind == YAML_NULL) {
		l->line = l->column = 1;
		return refuse(l, "nothing in it: a scenario begins with "
			      "\"natrig: 1\"");
	}
	return 0;
}

/* libfyaml's own words are collected; nothing goes to stderr. */
static int open_parser(struct loader *l)
{
	struct fy_diag_cfg diag;
	struct fy_parse_cfg parse = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE |
			 FYPCF_DEFAULT_VERSION_1_2,
	};

	fy_diag_cfg_default(&diag);
	diag.fp = NULL;
	l->diag = fy_diag_create(&diag);
	if (!l->diag)
		return no_memory(l);
	fy_diag_set_collect_errors(l->diag, true);
	parse.diag = l->diag;
	l->parser = fy_parser_create(&parse);
	return l->parser ? 0 : no_memory(l);
}

int yaml_parse(const char *name, const char *text, size_t size_bytes,
	       struct yaml_node **root, struct err *err)
{
	struct loader l = {.name = name, .err = err};
	int ret;

	*root = NULL;
	ret = check_text(&l, text, size_bytes);
	if (!ret)
		ret = open_parser(&l);
	if (!ret)
		ret = load(&l, text, size_bytes);
	fy_parser_destroy(l.parser);
	fy_diag_destroy(l.diag);
	free(l.key);
	if (ret) {
		free_chain(l.made, NULL);
		return ret;
	}
	/* The root was made first and now knows the last: see yaml_free. */
	l.root->made = l.made;
	*root = l.root;
	return 0;
}

void yaml_free(struct yaml_node *root)
{
	if (root)
		free_chain(root->made, root);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *member = NULL;

	if (map && map->kind == YAML_MAP)
		member = map->first;
	while (member && strcmp(member->key, key))
		member = member->next;
	return member;
}

/* Appends to TEXT, which stays NUL-terminated. */
static void append(char *text, size_t size_bytes, const char *more)
{
	size_t len = strlen(text);

	snprintf(text + len, size_bytes - len, "%s", more);
}

static void flow(const struct yaml_node *node, char *text, size_t size_bytes)
{
	bool map = node->kind == YAML_MAP;

	if (node->kind == YAML_NULL || node->kind == YAML_TEXT) {
		append(text, size_bytes, node->text ? node->text : "null");
		return;
	}
	append(text, size_bytes, map ? "{" : "[");
	for (const struct yaml_node *m = node->first; m; m = m->next) {
		if (m->key)
			append(text, size_bytes, m->key);
		append(text, size_bytes, map ? ": " : "");
		flow(m, text, size_bytes);
		append(text, size_bytes, m->next ? ", " : "");
	}
	append(text, size_bytes, map ? "}" : "]");
}

void yaml_flow(const struct yaml_node *node, char *text, size_t size_bytes)
{
	text[0] = '\0';
	flow(node, text, size_bytes);
}
