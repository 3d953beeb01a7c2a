/* SPDX-License-Identifier: BSD-3-Clause */
/* Parses order statements; order_check.c holds them against journeys. */
#include "captures/order.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DISCO_KINDS                                                            \
	(JOURNEY_DISCO_PING | JOURNEY_DISCO_PONG |                             \
	 JOURNEY_DISCO_CALL_ME_MAYBE | JOURNEY_DISCO_OTHER)
#define INTERNET "internet"
/* Longer than any time in a lab, and its nanoseconds still fit. */
#define MAX_WITHIN_S 10000000

struct name {
	const char *word;
	unsigned value;
};

static const struct name kinds[] = {
	{"disco", DISCO_KINDS},
	{"disco.ping", JOURNEY_DISCO_PING},
	{"disco.pong", JOURNEY_DISCO_PONG},
	{"disco.call-me-maybe", JOURNEY_DISCO_CALL_ME_MAYBE},
	{"stun", JOURNEY_STUN},
	{"wireguard", JOURNEY_WIREGUARD},
	{"portmap", JOURNEY_PORTMAP},
	{"relay", JOURNEY_RELAY},
	{0}};

static const struct name verbs[] = {{"leaves", ORDER_LEAVES},
				    {"reaches", ORDER_REACHES},
				    {"dies", ORDER_DIES_AT},
				    {0}};

/* Where KIND may stand as well, so that a typing error finds either. */
static const struct name after_peer[] = {
	{"of", 0}, {"leaves", 0}, {"reaches", 0}, {"dies", 0}, {0}};

static const struct name joins[] = {
	{"before", ORDER_BEFORE}, {"within", ORDER_WITHIN}, {0}};
static const struct name only_before[] = {{"before", 0}, {0}};
static const struct name only_after[] = {{"after", 0}, {0}};
static const struct name only_at[] = {{"at", 0}, {0}};
static const struct name only_arrow[] = {{"->", 0}, {0}};

static const struct name forms[] = {{"no", ORDER_NO_BEFORE},
				    {"some", ORDER_SOME},
				    {"never", ORDER_NEVER},
				    {0}};

/* In ns; the longer name stands before the shorter that it begins with. */
static const struct {
	const char *name;
	uint64_t ns;
} units[] = {{"us", 1000},
	     {"ms", 1000000},
	     {"s", 1000000000},
	     {"m", 60000000000},
	     {"h", 3600000000000}};

struct parser {
	const char *text;
	const char *at; /* where the next word is looked for */
	const struct cast *cast;
	struct err *err;
	char word[80];
	unsigned column; /* of the word */
};

/* "->" is a word of its own, spaces or not; "" at the end. */
static void next_word(struct parser *p)
{
	size_t len = 0, kept;

	while (isspace((unsigned char)*p->at))
		p->at++;
	p->column = (unsigned)(p->at - p->text) + 1;
	if (!strncmp(p->at, "->", 2))
		len = 2;
	else
		while (p->at[len] && !isspace((unsigned char)p->at[len]) &&
		       strncmp(p->at + len, "->", 2))
			len++;
	kept = len < sizeof(p->word) ? len : sizeof(p->word) - 1;
	memcpy(p->word, p->at, kept);
	p->word[kept] = '\0';
	p->at += len;
}

static int refuse(struct parser *p, const char *expected, const char *nearest)
{
	char got[96];

	if (*p->word)
		snprintf(got, sizeof(got), "got \"%s\"", p->word);
	else
		snprintf(got, sizeof(got), "the statement ends");
	if (p->err)
		p->err->column = p->column;
	return err_set(p->err, EINVAL, "expected %s, %s%s%s%s", expected, got,
		       nearest ? "; did you mean " : "", nearest ? nearest : "",
		       nearest ? "?" : "");
}

static const struct name *find_name(const struct name *list, const char *word)
{
	for (; list->word; list++)
		if (!strcmp(list->word, word))
			return list;
	return NULL;
}

static const char *nearest_name(const struct name *list, const char *word)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (; *word && list->word; list++)
		if (cast_is_near(word, list->word, &best))
			nearest = list->word;
	return nearest;
}

/* "before", or "of, leaves or dies" for the error. */
static void say_list(const struct name *list, char *text, size_t text_bytes)
{
	size_t used = 0;

	for (const struct name *n = list; n->word && used < text_bytes; n++)
		used += (size_t)snprintf(text + used, text_bytes - used, "%s%s",
					 n == list   ? ""
					 : n[1].word ? ", "
						     : " or ",
					 n->word);
}

/* Takes the word in hand, which must be one of LIST, and gets the next. */
static const struct name *take(struct parser *p, const struct name *list,
			       const char *what)
{
	const struct name *n = find_name(list, p->word);
	char expected[256], names[160];

	if (n) {
		next_word(p);
		return n;
	}
	say_list(list, names, sizeof(names));
	if (what)
		snprintf(expected, sizeof(expected), "%s (%s)", what, names);
	else
		snprintf(expected, sizeof(expected), "%s", names);
	refuse(p, expected, nearest_name(list, p->word));
	return NULL;
}

/* What else may stand where a node is expected. */
enum also { ALSO_NOTHING, ALSO_INTERNET, ALSO_FORM };

static int refuse_node(struct parser *p, enum also also)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;
	char expected[320];
	size_t used;

	for (size_t i = 0; *p->word && i < p->cast->count; i++)
		if (cast_is_near(p->word, p->cast->nodes[i].name, &best))
			nearest = p->cast->nodes[i].name;
	if (*p->word && also == ALSO_INTERNET &&
	    cast_is_near(p->word, INTERNET, &best))
		nearest = INTERNET;
	for (const struct name *n = forms;
	     also == ALSO_FORM && *p->word && n->word; n++)
		if (cast_is_near(p->word, n->word, &best))
			nearest = n->word;
	used = (size_t)snprintf(expected, sizeof(expected), "%sa node (",
				also == ALSO_FORM ? "no, some, never or " : "");
	for (size_t i = 0; i < p->cast->count; i++) {
		/* A hundred homes are no help in a line of text. */
		if (used > sizeof(expected) - 100) {
			used += (size_t)snprintf(expected + used,
						 sizeof(expected) - used,
						 ", ...");
			break;
		}
		used += (size_t)snprintf(expected + used,
					 sizeof(expected) - used, "%s%s",
					 i ? ", " : "", p->cast->nodes[i].name);
	}
	snprintf(expected + used, sizeof(expected) - used, "%s)",
		 also == ALSO_INTERNET ? ", " INTERNET : "");
	return refuse(p, expected, nearest);
}

static int take_node(struct parser *p, enum also also, int *node)
{
	*node = cast_find(p->cast, p->word);
	if (*node < 0 && also == ALSO_INTERNET && !strcmp(p->word, INTERNET))
		*node = -2;
	if (*node == -1)
		return refuse_node(p, also);
	next_word(p);
	return 0;
}

static int take_event(struct parser *p, enum also also, struct order_event *e)
{
	const struct name *n;
	int rc;

	rc = take_node(p, also, &e->from);
	if (rc < 0)
		return rc;
	if (!take(p, only_arrow, NULL))
		return -EINVAL;
	rc = take_node(p, ALSO_NOTHING, &e->to);
	if (rc < 0)
		return rc;
	if (!find_name(verbs, p->word)) {
		if (!take(p, after_peer, NULL))
			return -EINVAL;
		n = take(p, kinds, "a kind");
		if (!n)
			return -EINVAL;
		e->kinds = n->value;
	}
	n = take(p, verbs, NULL);
	if (!n)
		return -EINVAL;
	e->what = (enum order_what)n->value;
	if (e->what == ORDER_DIES_AT && !take(p, only_at, NULL))
		return -EINVAL;
	return take_node(
		p, e->what == ORDER_DIES_AT ? ALSO_INTERNET : ALSO_NOTHING,
		&e->at);
}

static int take_time(struct parser *p, uint64_t *ns)
{
	static const char expected[] = "a time, as 500ms, 5s or 2m";
	char *end;
	double value;

	if (!isdigit((unsigned char)p->word[0]) ||
	    strspn(p->word, "0123456789.") > 15)
		return refuse(p, expected, NULL);
	/* strtod would take 1e5 and 0x5 too: only digits and a dot here. */
	value = strtod(p->word, &end);
	if ((size_t)(end - p->word) != strspn(p->word, "0123456789."))
		return refuse(p, expected, NULL);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name))
			continue;
		if (value * (double)units[i].ns > (double)MAX_WITHIN_S * 1e9)
			return refuse(p, "a time of less than 10000000s", NULL);
		*ns = (uint64_t)(value * (double)units[i].ns + 0.5);
		next_word(p);
		return 0;
	}
	return refuse(p, expected, NULL);
}

static int take_right(struct parser *p, struct order_statement *s)
{
	const struct name *n;
	int rc;

	if (s->form == ORDER_SOME || s->form == ORDER_NEVER)
		return 0;
	n = take(p, s->form == ORDER_NO_BEFORE ? only_before : joins, NULL);
	if (!n)
		return -EINVAL;
	if (s->form == ORDER_BEFORE && n->value == ORDER_WITHIN) {
		s->form = ORDER_WITHIN;
		rc = take_time(p, &s->within_ns);
		if (rc < 0)
			return rc;
		if (!take(p, only_after, NULL))
			return -EINVAL;
	}
	return take_event(p, ALSO_NOTHING, &s->right);
}

/* "no -> c leaves no" is about a node that somebody called "no". */
static bool is_form(const struct parser *p)
{
	const char *at = p->at;

	while (isspace((unsigned char)*at))
		at++;
	return find_name(forms, p->word) && strncmp(at, "->", 2);
}

int order_parse(const char *text, const struct cast *cast,
		struct order_statement *statement, struct err *err)
{
	struct parser p = {.text = text, .at = text, .cast = cast, .err = err};
	enum also also = ALSO_FORM;
	int rc;

	memset(statement, 0, sizeof(*statement));
	next_word(&p);
	if (strlen(text) >= sizeof(statement->text)) {
		p.column = sizeof(statement->text);
		p.word[0] = '\0';
		if (err)
			err->column = p.column;
		return err_set(err, EINVAL,
			       "a statement has at most %zu letters",
			       sizeof(statement->text) - 1);
	}
	memcpy(statement->text, text, strlen(text) + 1);
	if (is_form(&p)) {
		statement->form =
			(enum order_form)find_name(forms, p.word)->value;
		next_word(&p);
		also = ALSO_NOTHING;
	}
	rc = take_event(&p, also, &statement->left);
	if (rc == 0)
		rc = take_right(&p, statement);
	if (rc == 0 && *p.word)
		rc = refuse(&p, "the end of the statement", NULL);
	return rc;
}
