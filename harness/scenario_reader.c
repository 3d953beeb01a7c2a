/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/scenario_reader.h"

#include "harness/nearest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BYTES 200 /* of the words expected, in an error */

__attribute__((format(printf, 4, 0))) static int
refuse_at(struct reader *r, unsigned line, unsigned column, const char *format,
	  va_list args)
{
	char text[sizeof(r->err->text)];

	vsnprintf(text, sizeof(text), format, args);
	return err_at(r->err, EINVAL, r->s->file, line, column, "%s", text);
}

int reader_refuse(struct reader *r, const struct yaml_node *node,
		  const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	ret = refuse_at(r, node->line, node->column, format, args);
	va_end(args);
	return ret;
}

int reader_refuse_key(struct reader *r, const struct yaml_node *node,
		      const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	if (node->key)
		ret = refuse_at(r, node->key_line, node->key_column, format,
				args);
	else
		ret = refuse_at(r, node->line, node->column, format, args);
	va_end(args);
	return ret;
}

int reader_refuse_in(struct reader *r, const struct yaml_node *node,
		     size_t byte, const char *format, ...)
{
	unsigned column = node->column;
	va_list args;
	int ret;

	if (node->text && node->text_column) {
		column = node->text_column;
		for (size_t i = 0; i < byte && node->text[i]; i++)
			column += (node->text[i] & 0xc0) != 0x80;
	}
	va_start(args, format);
	ret = refuse_at(r, node->line, column, format, args);
	va_end(args);
	return ret;
}

/* `expected one of a, b, c` or `expected a`, and the nearest. */
static void expected_text(const char *word, const char *const *expected,
			  char *text, size_t size_bytes)
{
	const char *nearest = nearest_word(word, expected);
	size_t at;

	if (!expected[0]) {
		snprintf(text, size_bytes, "none is expected here");
		return;
	}
	snprintf(text, size_bytes, "expected %s%s",
		 expected[1] ? "one of " : "", expected[0]);
	for (unsigned i = 1; expected[i]; i++) {
		at = strlen(text);
		if (at > LIST_BYTES) {
			snprintf(text + at, size_bytes - at, " ...");
			break;
		}
		snprintf(text + at, size_bytes - at, ", %s", expected[i]);
	}
	at = strlen(text);
	if (nearest)
		snprintf(text + at, size_bytes - at, "; did you mean \"%s\"?",
			 nearest);
}

int reader_unknown(struct reader *r, const struct yaml_node *node, size_t byte,
		   const char *what, const char *word,
		   const char *const *expected)
{
	char text[400];

	expected_text(word, expected, text, sizeof(text));
	return reader_refuse_in(r, node, byte, "unknown %s \"%.64s\": %s", what,
				word, text);
}

/* What a value is for: its key, of a list's member the list's key. */
static const char *name_of(const struct yaml_node *node)
{
	while (node && !node->key)
		node = node->parent;
	return node ? node->key : "value";
}

int reader_kind(struct reader *r, const struct yaml_node *node,
		enum yaml_kind kind, const char *wanted)
{
	static const char *const names[] = {
		[YAML_NULL] = "nothing is here",
		[YAML_TEXT] = "this is a single value",
		[YAML_LIST] = "this is a list",
		[YAML_MAP] = "this is a mapping",
	};

	if (node->kind == kind)
		return 0;
	return reader_refuse(r, node, "%.64s: %s expected, %s", name_of(node),
			     wanted, names[node->kind]);
}

/* --- mappings ----------------------------------------------------------- */

#define MAX_KEYS 24

static int unknown_key(struct reader *r, const struct yaml_node *member,
		       const char *where, const struct reader_key *keys)
{
	const char *names[MAX_KEYS + 1] = {NULL};
	char text[400];

	for (unsigned i = 0; keys[i].name && i < MAX_KEYS; i++)
		names[i] = keys[i].name;
	expected_text(member->key, names, text, sizeof(text));
	return reader_refuse_key(r, member, "unknown key \"%.64s\" in %s: %s",
				 member->key, where, text);
}

int reader_map(struct reader *r, const struct yaml_node *map, const char *where,
	       const struct reader_key *keys, void *into)
{
	const struct yaml_node *member = map->first;
	const struct reader_key *key;
	int ret = 0;

	if (map->kind != YAML_MAP)
		return reader_refuse(r, map, "%s: a mapping expected, like "
				     "{%s: ...}", where, keys->name);
	for (; member; member = member->next) {
		for (key = keys; key->name; key++)
			if (!strcmp(key->name, member->key))
				break;
		if (!key->name)
			return unknown_key(r, member, where, keys);
	}
	for (key = keys; key->name && !ret; key++) {
		member = yaml_get(map, key->name);
		if (!member && key->required)
			return reader_refuse(r, map, "%s has no \"%s\"", where,
					     key->name);
		if (member && key->read)
			ret = key->read(r, member, into);
	}
	return ret;
}

/* --- scalars ------------------------------------------------------------ */

int reader_text(struct reader *r, const struct yaml_node *node, char *text,
		size_t size_bytes)
{
	int ret = reader_kind(r, node, YAML_TEXT, "a text");

	if (ret)
		return ret;
	if (!*node->text)
		return reader_refuse(r, node, "%s: empty", name_of(node));
	if (strpbrk(node->text, "\n\t"))
		return reader_refuse(r, node, "%s: one line expected, without "
				     "tabs", name_of(node));
	if (strlen(node->text) >= size_bytes)
		return reader_refuse(r, node, "%s: longer than %zu bytes",
				     name_of(node), size_bytes - 1);
	memcpy(text, node->text, strlen(node->text) + 1);
	return 0;
}

int reader_bool(struct reader *r, const struct yaml_node *node, bool *value)
{
	static const char *const names[] = {"false", "true", NULL};
	int index = 0;
	int ret = reader_choice(r, node, names, &index);

	if (!ret)
		*value = index;
	return ret;
}

int reader_number(struct reader *r, const struct yaml_node *node,
		  uint64_t least, uint64_t most, uint64_t *value)
{
	uint64_t number = 0;
	const char *p;
	int ret = reader_kind(r, node, YAML_TEXT, "a number");

	if (ret)
		return ret;
	for (p = node->text; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (number > (UINT64_MAX - digit) / 10)
			break;
		number = number * 10 + digit;
	}
	if (p == node->text || *p || number < least || number > most)
		return reader_refuse(r, node, "%s: a number from %llu to %llu "
				     "expected, not \"%.64s\"", name_of(node),
				     (unsigned long long)least,
				     (unsigned long long)most, node->text);
	*value = number;
	return 0;
}

static const struct unit {
	const char *name;
	uint64_t us;
} units[] = {{"us", 1},
	     {"ms", 1000},
	     {"s", READER_SECOND_US},
	     {"m", 60 * READER_SECOND_US},
	     {"h", 3600 * READER_SECOND_US},
	     {NULL, 0}};

/* The unit at the front of *P, which moves past it; NULL: none. */
static const struct unit *take_unit(const char **p)
{
	size_t len = strspn(*p, "abcdefghijklmnopqrstuvwxyz");

	for (const struct unit *unit = units; unit->name; unit++)
		if (strlen(unit->name) == len &&
		    !strncmp(unit->name, *p, len)) {
			*p += len;
			return unit;
		}
	return NULL;
}

/* 0, -EINVAL where TEXT is no duration, -ERANGE where it is beyond all. */
static int duration_parse(const char *text, uint64_t *us)
{
	const struct unit *unit;
	uint64_t number;

	*us = 0;
	do {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		for (number = 0; *text >= '0' && *text <= '9'; text++)
			if (number <= READER_MAX_US)
				number = number * 10 + (unsigned)(*text - '0');
		unit = take_unit(&text);
		if (!unit)
			return -EINVAL;
		if (number > READER_MAX_US / unit->us)
			return -ERANGE;
		*us += number * unit->us;
		if (*us > READER_MAX_US)
			return -ERANGE;
	} while (*text);
	return 0;
}

const char *reader_duration_text(uint64_t us, char *text, size_t size_bytes)
{
	unsigned i = 4;

	while (i && us % units[i].us)
		i--;
	snprintf(text, size_bytes, "%llu%s",
		 (unsigned long long)(us / units[i].us), units[i].name);
	return text;
}

int reader_duration(struct reader *r, const struct yaml_node *node,
		    uint64_t least_us, uint64_t most_us, uint64_t *us)
{
	char least[32], most[32];
	int ret = reader_kind(r, node, YAML_TEXT, "a duration like 12s");

	if (ret)
		return ret;
	if (*node->text && !node->text[strspn(node->text, "0123456789")])
		return reader_refuse(r, node, "%s: %.64s what? write the unit, "
				     "like %.64ss (us, ms, s, m, h)",
				     name_of(node), node->text, node->text);
	ret = duration_parse(node->text, us);
	if (ret == -EINVAL)
		return reader_refuse(r, node, "%s: a duration like 12s or "
				     "1m30s expected (whole us, ms, s, m, h), "
				     "not \"%.64s\"", name_of(node),
				     node->text);
	if (!ret && *us >= least_us && *us <= most_us)
		return 0;
	return reader_refuse(r, node, "%s: %.64s is not between %s and %s",
			     name_of(node), node->text,
			     reader_duration_text(least_us, least,
						  sizeof(least)),
			     reader_duration_text(most_us, most, sizeof(most)));
}

int reader_choice(struct reader *r, const struct yaml_node *node,
		  const char *const *names, int *index)
{
	char wanted[LIST_BYTES];
	size_t at = 0;

	if (node->kind == YAML_TEXT) {
		for (int i = 0; names[i]; i++)
			if (!strcmp(names[i], node->text)) {
				*index = i;
				return 0;
			}
		return reader_unknown(r, node, 0, name_of(node), node->text,
				      names);
	}
	snprintf(wanted, sizeof(wanted), "one of");
	for (unsigned i = 0; names[i]; i++) {
		at = strlen(wanted);
		snprintf(wanted + at, sizeof(wanted) - at, "%s %s",
			 i ? "," : "", names[i]);
	}
	return reader_kind(r, node, YAML_TEXT, wanted);
}

/* --- names of nodes ----------------------------------------------------- */

static const char *const kind_names[] = {
	[LAB_HOST] = "a host",
	[LAB_ROUTER] = "a router",
	[LAB_SERVER] = "a server",
};

static int unknown_name(struct reader *r, const struct yaml_node *node,
			size_t byte, const char *name, unsigned kinds)
{
	const struct lab_plan *plan = &r->s->plan;
	const char **names = calloc(plan->count + 1, sizeof(*names));
	const char *what = kinds == READER_HOST	  ? "host"
			   : kinds == READER_ROUTER ? "router"
						    : "name";
	unsigned count = 0;
	int ret;

	if (!names)
		return err_set(r->err, ENOMEM, "out of memory");
	for (unsigned i = 0; i < plan->count; i++)
		if (1u << plan->nodes[i].kind & kinds)
			names[count++] = plan->nodes[i].name;
	ret = reader_unknown(r, node, byte, what, name, names);
	free(names);
	return ret;
}

int reader_name(struct reader *r, const struct yaml_node *node, size_t byte,
		const char *name, unsigned kinds, int *index)
{
	const struct lab_plan *plan = &r->s->plan;
	char wanted[48] = "";

	for (unsigned i = 0; i < plan->count; i++) {
		if (strcmp(plan->nodes[i].name, name))
			continue;
		*index = (int)i;
		if (1u << plan->nodes[i].kind & kinds)
			return 0;
		for (unsigned k = 0; k < 3; k++)
			if (1u << k & kinds)
				snprintf(wanted + strlen(wanted),
					 sizeof(wanted) - strlen(wanted),
					 "%s%s", *wanted ? " or " : "",
					 kind_names[k]);
		return reader_refuse_in(r, node, byte, "%s is %s; %s is "
					"expected here", name,
					kind_names[plan->nodes[i].kind],
					wanted);
	}
	return unknown_name(r, node, byte, name, kinds);
}

int reader_node(struct reader *r, const struct yaml_node *node, unsigned kinds,
		int *index)
{
	int ret = reader_kind(r, node, YAML_TEXT, "a name");

	if (ret)
		return ret;
	return reader_name(r, node, 0, node->text, kinds, index);
}
