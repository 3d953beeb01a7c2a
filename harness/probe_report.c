/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/probe_report.h"

#include <string.h>

enum value_kind { WORDS, YES_NO, SECONDS };

struct item {
	const char *name;    /* in JSON; blanks for dashes: in text */
	const char *section; /* that defines it */
	enum value_kind kind;
	const char *words[6]; /* of WORDS, by value */
};

#define DEPENDENCE                                                             \
	"endpoint-independent", "address-dependent",                           \
		"address-and-port-dependent"

static const struct item items[PROBE_ITEMS] = {
	[PROBE_MAPPING] = {"mapping", "RFC 4787 4.1", WORDS,
			   {DEPENDENCE, "not translated"}},
	[PROBE_FILTERING] = {"filtering", "RFC 4787 5", WORDS, {DEPENDENCE}},
	[PROBE_ALLOCATION] = {"port-assignment", "RFC 4787 4.2", WORDS,
			      {"preserved", "sequential", "random",
			       "shifted by a constant",
			       "sequential in a block"}},
	[PROBE_PARITY] = {"port-parity-preserved", "RFC 4787 4.2.2", YES_NO,
			  {NULL}},
	[PROBE_POOLING] = {"address-pooling", "RFC 4787 4.1", WORDS,
			   {"paired", "arbitrary"}},
	[PROBE_HAIRPIN] = {"hairpinning", "RFC 4787 6", WORDS,
			   {"not supported", "internal source",
			    "external source"}},
	[PROBE_FRAGMENTS_OUT] = {"fragments-outbound", "RFC 4787 10", YES_NO,
				 {NULL}},
	[PROBE_FRAGMENTS_IN] = {"fragments-inbound", "RFC 4787 11", YES_NO,
				{NULL}},
	[PROBE_SHARED_PORT] = {"two-hosts-on-one-port", "RFC 4787 4.2.1", WORDS,
			       {"second gets another port",
				"second is refused", "port overloaded"}},
	[PROBE_DETERMINISM] = {"deterministic", "RFC 4787 8", YES_NO, {NULL}},
	[PROBE_LIFETIME] = {"mapping-lifetime", "RFC 4787 4.3", SECONDS,
			    {NULL}},
	[PROBE_STREAM_LIFETIME] = {"stream-lifetime", "RFC 4787 4.3", SECONDS,
				   {NULL}},
	[PROBE_REFRESH_OUT] = {"outbound-refresh", "RFC 4787 4.3", YES_NO,
			       {NULL}},
	[PROBE_REFRESH_IN] = {"inbound-refresh", "RFC 4787 4.3", YES_NO,
			      {NULL}},
};

const char *probe_item_name(enum probe_item item)
{
	return items[item].name;
}

const char *probe_item_section(enum probe_item item)
{
	return items[item].section;
}

const char *probe_value_words(const struct probe_finding *f,
			      enum probe_item item,
			      char text[static PROBE_VALUE_BYTES])
{
	const char *words = NULL;

	if (f->state == PROBE_NOT_ASKED)
		words = "not asked for";
	else if (f->state == PROBE_UNKNOWN)
		words = "could not find out";
	else if (items[item].kind == WORDS)
		words = items[item].words[f->value];
	else if (items[item].kind == YES_NO)
		words = f->value ? "yes" : "no";
	if (words)
		snprintf(text, PROBE_VALUE_BYTES, "%s", words);
	else
		snprintf(text, PROBE_VALUE_BYTES, "%d s", f->value);
	return text;
}

/* --- text ----------------------------------------------------------------- */

enum { WIDTH = 80, INDENT = 2, NAME_WIDTH = 23, VALUE_WIDTH = 28 };

/* TEXT from column AT on, broken at blanks to fit the width. */
static void print_wrapped(FILE *out, unsigned at, const char *text)
{
	unsigned room = WIDTH - at;

	while (strlen(text) > room) {
		unsigned cut = room;

		while (cut && text[cut] != ' ')
			cut--;
		if (!cut)
			cut = room;
		fprintf(out, "%.*s\n%*s", (int)cut, text, (int)at, "");
		text += cut;
		text += *text == ' ';
	}
	fprintf(out, "%s\n", text);
}

static void print_name(FILE *out, const char *name)
{
	char text[NAME_WIDTH];

	snprintf(text, sizeof(text), "%s", name);
	for (char *c = text; *c; c++)
		if (*c == '-')
			*c = ' ';
	fprintf(out, "%*s%-*s", INDENT, "", NAME_WIDTH, text);
}

static void print_finding(const struct probe_finding *f, enum probe_item item,
			  FILE *out)
{
	char value[PROBE_VALUE_BYTES];

	print_name(out, items[item].name);
	probe_value_words(f, item, value);
	if (!f->note[0]) {
		fprintf(out, "%s\n", value);
		return;
	}
	fprintf(out, "%-*s", VALUE_WIDTH, value);
	print_wrapped(out, INDENT + NAME_WIDTH + VALUE_WIDTH, f->note);
}

static bool same_reason(const struct probe_finding *a,
			const struct probe_finding *b)
{
	return a->state == b->state && !strcmp(a->note, b->note);
}

/* What was not found out, with each reason once. */
static void print_missing(const struct probe_report *r, FILE *out)
{
	const struct probe_finding *all = r->findings;
	char names[512];
	bool told, any = false;

	for (unsigned i = 0; i < PROBE_ITEMS; i++) {
		int used = 0;

		told = all[i].state == PROBE_FOUND;
		for (unsigned k = 0; k < i; k++)
			told = told || same_reason(&all[i], &all[k]);
		for (unsigned k = i; !told && k < PROBE_ITEMS; k++)
			if (same_reason(&all[i], &all[k]))
				used += snprintf(names + used,
						 sizeof(names) - (size_t)used,
						 "%s%s", k > i ? ", " : "",
						 items[k].name);
		if (told)
			continue;
		if (!any)
			fprintf(out, "could not find out:\n");
		any = true;
		fprintf(out, "%*s", INDENT, "");
		print_wrapped(out, INDENT, names);
		fprintf(out, "%*s", 2 * INDENT, "");
		print_wrapped(out, 2 * INDENT,
			      all[i].note[0] ? all[i].note : "not asked for");
	}
}

static void print_samples(const struct probe_report *r, FILE *out)
{
	char line[512];
	int used = 0;

	if (!r->sample_count)
		return;
	print_name(out, "ports (local>mapped)");
	for (unsigned i = 0; i < r->sample_count; i++)
		used += snprintf(line + used, sizeof(line) - (size_t)used,
				 "%s%u>%u", i ? " " : "",
				 r->samples[i].local_port,
				 r->samples[i].mapped.port);
	print_wrapped(out, INDENT + NAME_WIDTH, line);
}

void probe_report_text(const struct probe_report *r, FILE *out)
{
	char text[ENDPOINT_TEXT_BYTES];

	print_name(out, "server");
	fprintf(out, "%s%s%s%s\n", endpoint_format(r->server, text),
		r->software[0] ? " (" : "", r->software,
		r->software[0] ? ")" : "");
	print_name(out, "its other address");
	fprintf(out, "%s\n",
		r->other.ip ? endpoint_format(r->other, text) : "none");
	print_name(out, "this host");
	fprintf(out, "%s\n", endpoint_format_ip(r->ip, text));
	if (r->mapped.ip) {
		print_name(out, "seen from outside as");
		fprintf(out, "%s\n", endpoint_format(r->mapped, text));
	}
	for (unsigned i = 0; i < PROBE_ITEMS; i++)
		if (r->findings[i].state == PROBE_FOUND)
			print_finding(&r->findings[i], i, out);
	print_samples(r, out);
	print_missing(r, out);
}

/* --- JSON ----------------------------------------------------------------- */

static json_t *endpoint_json(struct endpoint e)
{
	char text[ENDPOINT_TEXT_BYTES];

	return e.ip ? json_string(endpoint_format(e, text)) : json_null();
}

static json_t *value_json(const struct probe_finding *f, enum probe_item item)
{
	if (f->state != PROBE_FOUND)
		return json_null();
	if (items[item].kind == YES_NO)
		return json_boolean(f->value);
	if (items[item].kind == SECONDS)
		return json_integer(f->value);
	return json_string(items[item].words[f->value]);
}

static json_t *finding_json(const struct probe_finding *f, enum probe_item item)
{
	return json_pack("{s:b, s:b, s:o, s:o}", "asked",
			 f->state != PROBE_NOT_ASKED, "found",
			 f->state == PROBE_FOUND, "value", value_json(f, item),
			 "note", f->note[0] ? json_string(f->note) :
					      json_null());
}

static json_t *samples_json(const struct probe_report *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->sample_count; i++)
		json_array_append_new(
			list,
			json_pack("{s:i, s:o}", "local",
				  (int)r->samples[i].local_port, "mapped",
				  endpoint_json(r->samples[i].mapped)));
	return list;
}

json_t *probe_report_json(const struct probe_report *r)
{
	char ip[ENDPOINT_TEXT_BYTES];
	json_t *findings = json_object();

	for (unsigned i = 0; i < PROBE_ITEMS; i++)
		json_object_set_new(findings, items[i].name,
				    finding_json(&r->findings[i], i));
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:b, s:i, s:i, s:o, s:o, "
			 "s:i}",
			 "server", endpoint_json(r->server), "other",
			 endpoint_json(r->other), "software", r->software,
			 "local", endpoint_format_ip(r->ip, ip), "mapped",
			 endpoint_json(r->mapped), "translated",
			 r->mapped.ip && r->mapped.ip != r->ip, "sent",
			 (int)r->sent, "heard", (int)r->heard, "findings",
			 findings, "samples", samples_json(r), "step", r->step);
}
