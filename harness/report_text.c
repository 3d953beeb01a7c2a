/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/report.h"

#include "harness/certify.h"
#include "harness/result.h"

#include <string.h>

#define INDENT 4
/* Of a step's line: what was done, what came of it. */
#define LEFT_COLUMNS 44
#define GOT_COLUMNS 14

struct page {
	const struct report_style *style;
	FILE *out;
};

static const char *paint(const struct page *p, const char *code)
{
	return p->style->colour ? code : "";
}

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define BOLD "\033[1m"
#define FAINT "\033[2m"
#define PLAIN "\033[0m"

/* TEXT broken at blanks, each line indented; unlimited when piped. */
static void print_wrapped(const struct page *p, unsigned indent,
			  const char *text)
{
	unsigned width = p->style->columns > indent + 20 ?
				 p->style->columns - indent : 1000000;

	while (*text) {
		size_t len = strlen(text), cut = len;

		if (len > width) {
			for (cut = width; cut && text[cut] != ' '; cut--)
				;
			if (!cut)
				cut = width;
		}
		fprintf(p->out, "%*s%.*s\n", (int)indent, "", (int)cut, text);
		text += cut;
		while (*text == ' ')
			text++;
	}
}

static const char *verdict_colour(const char *verdict)
{
	if (!strcmp(verdict, "holds"))
		return GREEN;
	return strcmp(verdict, "could-not-run") ? RED : YELLOW;
}

static const char *verdict_words(const char *verdict)
{
	if (!strcmp(verdict, "falls-short"))
		return "falls short";
	return strcmp(verdict, "could-not-run") ? verdict : "could not run";
}

static void print_step(const struct page *p, const json_t *step)
{
	bool holds = json_is_true(json_object_get(step, "holds"));
	const char *expect = result_text(step, "expect");
	const char *got = result_text(step, "got");
	char left[160];

	snprintf(left, sizeof(left), "%s%s%s", result_text(step, "text"),
		 *expect ? ": " : "", expect);
	fprintf(p->out, "%*s%s%-3s%s ", INDENT, "",
		paint(p, holds ? GREEN : RED), holds ? "ok" : "NO",
		paint(p, PLAIN));
	/* What does not fit beside each other goes below each other. */
	if (strlen(left) > LEFT_COLUMNS || strlen(got) > GOT_COLUMNS)
		fprintf(p->out, "%s\n%*s%-*s", left, 2 * INDENT, "",
			LEFT_COLUMNS + 1 + GOT_COLUMNS, got);
	else
		fprintf(p->out, "%-*s %-*s", LEFT_COLUMNS, left, GOT_COLUMNS,
			got);
	fprintf(p->out, " %s%8.2f s%s\n", paint(p, FAINT),
		json_number_value(json_object_get(step, "lab_ms")) / 1000,
		paint(p, PLAIN));
	if (*result_text(step, "why"))
		print_wrapped(p, 2 * INDENT, result_text(step, "why"));
}

static void print_order(const struct page *p, const json_t *order)
{
	bool holds = json_is_true(json_object_get(order, "holds"));

	fprintf(p->out, "%*s%s%-3s%s %s\n", INDENT, "",
		paint(p, holds ? GREEN : RED), holds ? "ok" : "NO",
		paint(p, PLAIN), result_text(order, "statement"));
	if (*result_text(order, "why"))
		print_wrapped(p, 2 * INDENT, result_text(order, "why"));
}

/* What fell short: where, what was expected, what came, what proves it. */
static void print_shortfall(const struct page *p, const char *file,
			    const json_t *item, bool is_step)
{
	char text[512];

	fprintf(p->out, "%*s%s%s:%lld:%lld%s: %s\n", INDENT, "",
		paint(p, BOLD), file,
		(long long)json_integer_value(json_object_get(item, "line")),
		(long long)json_integer_value(json_object_get(item, "column")),
		paint(p, PLAIN),
		result_text(item, is_step ? "text" : "statement"));
	if (is_step && !json_is_true(json_object_get(item, "done")))
		snprintf(text, sizeof(text), "not done");
	else if (is_step)
		snprintf(text, sizeof(text), "expected %s, got %s",
			 result_text(item, "expect"), result_text(item, "got"));
	else
		snprintf(text, sizeof(text), "does not hold");
	print_wrapped(p, 2 * INDENT, text);
	/* With detail it was said just above. */
	if (!p->style->detail)
		print_wrapped(p, 2 * INDENT, result_text(item, "why"));
}

static void print_items(const struct page *p, const json_t *result,
			const char *key, bool is_step)
{
	const char *file = result_text(result, "file");
	bool cut_off = *result_text(result, "error") ||
		       json_is_true(json_object_get(result, "interrupted"));
	size_t i;
	json_t *item;

	json_array_foreach(json_object_get(result, key), i, item) {
		/* What was never come to says nothing. */
		if (cut_off &&
		    !json_is_true(json_object_get(item, "done")))
			continue;
		if (p->style->detail && is_step)
			print_step(p, item);
		else if (p->style->detail)
			print_order(p, item);
		if (!json_is_true(json_object_get(item, "holds")))
			print_shortfall(p, file, item, is_step);
	}
}

/* A line that must stay within 80 columns whatever the numbers are. */
static void print_lab(const struct page *p, const json_t *lab)
{
	fprintf(p->out,
		"%*s%slab up in %.0f ms, %.1f s of it in %.2f s, %lld packets "
		"recorded, %lld lost%s\n",
		INDENT, "", paint(p, FAINT),
		json_number_value(json_object_get(lab, "up_ms")),
		json_number_value(json_object_get(lab, "lab_s")),
		json_number_value(json_object_get(lab, "wall_ms")) / 1000,
		(long long)json_integer_value(json_object_get(lab, "recorded")),
		(long long)json_integer_value(json_object_get(lab, "dropped")),
		paint(p, PLAIN));
}

void report_text(const json_t *result, const struct report_style *style,
		 FILE *out)
{
	struct page p = {style, out};
	const char *verdict = result_text(result, "verdict");
	const json_t *lab = json_object_get(result, "lab");
	json_int_t dropped =
		json_integer_value(json_object_get(lab, "dropped"));

	fprintf(out, "%s%-13s%s %s\n", paint(&p, verdict_colour(verdict)),
		verdict_words(verdict), paint(&p, PLAIN),
		result_text(result, "file"));
	print_wrapped(&p, 14, result_text(result, "title"));
	if (*result_text(result, "error"))
		print_wrapped(&p, INDENT, result_text(result, "error"));
	if (json_is_true(json_object_get(result, "interrupted")))
		print_wrapped(&p, INDENT, "interrupted: the verdict so far");
	if (strcmp(verdict, "could-not-run") ||
	    json_is_true(json_object_get(result, "interrupted"))) {
		print_items(&p, result, "steps", true);
		print_items(&p, result, "order", false);
	}
	certify_text(json_object_get(result, "certificate"), INDENT,
		     style->detail, out);
	if (dropped)
		fprintf(out, "%*sthe recorder lost %lld packets, so nothing is "
			     "proved\n", INDENT, "", (long long)dropped);
	if (style->detail)
		print_lab(&p, lab);
}

void report_text_summary(const json_t *results, double wall_s,
			 const struct report_style *style, FILE *out)
{
	struct page p = {style, out};
	unsigned passed = 0, failed = 0, skipped = 0;
	size_t i;
	json_t *result;

	json_array_foreach(results, i, result) {
		const char *verdict = result_text(result, "verdict");

		if (!strcmp(verdict, "holds"))
			passed++;
		else if (!strcmp(verdict, "could-not-run"))
			skipped++;
		else
			failed++;
	}
	fprintf(out, "%s%u hold, %u fall short, %u could not run%s in %.2f s\n",
		paint(&p, failed ? RED : skipped ? YELLOW : GREEN), passed,
		failed, skipped, paint(&p, PLAIN), wall_s);
}
