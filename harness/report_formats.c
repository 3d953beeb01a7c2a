/* SPDX-License-Identifier: BSD-3-Clause */
/* Verdicts for machines: JSON, JUnit, TAP. */
#include "harness/report.h"

#include "harness/result.h"

#include <string.h>

static bool has_verdict(const json_t *result, const char *verdict)
{
	return !strcmp(result_text(result, "verdict"), verdict);
}

int report_json(json_t *results, FILE *out)
{
	json_t *all = json_pack("{s:O}", "scenarios", results);
	int ret = json_dumpf(all, out, JSON_INDENT(2));

	json_decref(all);
	fputc('\n', out);
	return ret || ferror(out) ? -1 : 0;
}

/* Calls FN for each way in which a router is not what was asked for. */
static void each_lie(const json_t *result,
		     void (*fn)(FILE *out, const char *line), FILE *out)
{
	char line[512];
	size_t i, k;
	json_t *router, *lie;

	json_array_foreach(json_object_get(result, "certificate"), i, router)
		json_array_foreach(json_object_get(router, "lies"), k, lie) {
			snprintf(line, sizeof(line),
				 "%s: router %s is not what was asked for: %s",
				 result_text(result, "file"),
				 result_text(router, "router"),
				 json_string_value(lie));
			fn(out, line);
		}
}

/* Calls FN for each line that says why a result does not hold. */
static void each_reason(const json_t *result,
			void (*fn)(FILE *out, const char *line), FILE *out)
{
	static const struct {
		const char *list, *what;
	} kinds[] = {{"steps", "text"}, {"order", "statement"}};
	char line[2048];
	size_t i;
	json_t *item;

	if (*result_text(result, "error"))
		fn(out, result_text(result, "error"));
	for (unsigned k = 0; k < 2; k++)
		json_array_foreach(json_object_get(result, kinds[k].list), i,
				   item) {
			if (json_is_true(json_object_get(item, "holds")))
				continue;
			snprintf(line, sizeof(line),
				 "%s:%lld: %s: expected %s, got %s. %s",
				 result_text(result, "file"),
				 (long long)json_integer_value(
					 json_object_get(item, "line")),
				 result_text(item, kinds[k].what),
				 k ? "that it holds"
				   : result_text(item, "expect"),
				 k ? "that it does not"
				   : result_text(item, "got"),
				 result_text(item, "why"));
			fn(out, line);
		}
	each_lie(result, fn, out);
}

/* --- JUnit --------------------------------------------------------------- */

static void print_xml(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			/* XML 1.0 has no other control characters. */
			fputc((unsigned char)*text < 32 && *text != '\n' &&
					      *text != '\t' ? '?' : *text, out);
		}
}

static void print_xml_line(FILE *out, const char *line)
{
	print_xml(out, line);
	fputc('\n', out);
}

static void print_testcase(const json_t *result, FILE *out)
{
	const char *tag = has_verdict(result, "falls-short")   ? "failure" :
			  has_verdict(result, "could-not-run") ? "skipped" :
								 NULL;
	const json_t *lab = json_object_get(result, "lab");

	fputs("  <testcase classname=\"", out);
	print_xml(out, result_text(result, "file"));
	fputs("\" name=\"", out);
	print_xml(out, result_text(result, "title"));
	fprintf(out, "\" time=\"%.3f\"",
		json_number_value(json_object_get(lab, "wall_ms")) / 1000);
	if (!tag) {
		fputs("/>\n", out);
		return;
	}
	fprintf(out, ">\n    <%s message=\"%s\">", tag,
		result_text(result, "verdict"));
	each_reason(result, print_xml_line, out);
	fprintf(out, "</%s>\n  </testcase>\n", tag);
}

int report_junit(const json_t *results, double wall_s, FILE *out)
{
	unsigned failures = 0, skipped = 0;
	size_t i;
	json_t *result;

	json_array_foreach(results, i, result) {
		failures += has_verdict(result, "falls-short");
		skipped += has_verdict(result, "could-not-run");
	}
	fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		     "<testsuite name=\"natrig\" tests=\"%zu\" failures=\"%u\" "
		     "skipped=\"%u\" time=\"%.3f\">\n",
		json_array_size(results), failures, skipped, wall_s);
	json_array_foreach(results, i, result)
		print_testcase(result, out);
	fputs("</testsuite>\n", out);
	return ferror(out) ? -1 : 0;
}

/* --- TAP ----------------------------------------------------------------- */

static void print_tap_line(FILE *out, const char *line)
{
	fputs("# ", out);
	for (; *line; line++)
		fputc(*line == '\n' ? ' ' : *line, out);
	fputc('\n', out);
}

/* A description must not be taken for a directive. */
static void print_tap_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '#' || *text == '\\')
			fputc('\\', out);
		fputc(*text == '\n' ? ' ' : *text, out);
	}
}

int report_tap(const json_t *results, FILE *out)
{
	size_t i;
	json_t *result;

	fprintf(out, "TAP version 14\n1..%zu\n", json_array_size(results));
	json_array_foreach(results, i, result) {
		fprintf(out, "%s %zu - ",
			has_verdict(result, "falls-short") ? "not ok" : "ok",
			i + 1);
		print_tap_text(out, result_text(result, "file"));
		fputs(": ", out);
		print_tap_text(out, result_text(result, "title"));
		if (has_verdict(result, "could-not-run")) {
			fputs(" # SKIP ", out);
			print_tap_text(out, result_text(result, "error"));
		}
		fputc('\n', out);
		if (has_verdict(result, "falls-short"))
			each_reason(result, print_tap_line, out);
	}
	return ferror(out) ? -1 : 0;
}
