/* SPDX-License-Identifier: BSD-3-Clause */
/* What was found, in values and words, and the order of the questions. */
#include "harness/exam_private.h"

#include <stdarg.h>
#include <stdio.h>

/* --- findings ------------------------------------------------------------- */

void exam_found(struct exam *x, enum exam_item item, int value)
{
	x->report->findings[item] =
		(struct probe_finding){PROBE_FOUND, value, ""};
}

static void note(struct probe_finding *f, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void note(struct probe_finding *f, const char *format, va_list args)
{
	vsnprintf(f->note, sizeof(f->note), format, args);
}

void exam_remark(struct exam *x, enum exam_item item, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(&x->report->findings[item], format, args);
	va_end(args);
}

void exam_unknown(struct exam *x, enum exam_item item, const char *format, ...)
{
	va_list args;

	x->report->findings[item].state = PROBE_UNKNOWN;
	va_start(args, format);
	note(&x->report->findings[item], format, args);
	va_end(args);
}

bool exam_knows(const struct exam *x, enum exam_item item)
{
	return x->report->findings[item].state == PROBE_FOUND;
}

int exam_value(const struct exam *x, enum exam_item item)
{
	return x->report->findings[item].value;
}

/* Alive a second before, gone two seconds after: the kernel rounds up. */
static bool is_there(struct exam *x,
		     bool (*alive)(struct exam *x, uint64_t after_us),
		     unsigned expected_s)
{
	return alive(x, (expected_s - 1) * SECOND_US) &&
	       !alive(x, (expected_s + 2) * SECOND_US);
}

void exam_lifetime(struct exam *x, enum exam_item item,
		   bool (*alive)(struct exam *x, uint64_t after_us),
		   unsigned expected_s, unsigned max_s)
{
	unsigned low = 0, high;

	if (is_there(x, alive, expected_s)) {
		exam_found(x, item, (int)expected_s);
		return;
	}
	if (!alive(x, 0)) {
		exam_unknown(x, item, "there is no answer even at once");
		return;
	}
	/* What is longer than it should be must be seen to be. */
	if (max_s < 2 * expected_s)
		max_s = 2 * expected_s;
	high = max_s + 1;
	if (alive(x, max_s * SECOND_US)) {
		exam_found(x, item, (int)max_s);
		exam_remark(x, item, "or longer");
		return;
	}
	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (alive(x, middle * SECOND_US))
			low = middle;
		else
			high = middle;
	}
	exam_found(x, item, (int)low);
}

/* --- words ---------------------------------------------------------------- */

enum kind { YES_NO, SECONDS, WORDS };

static const char *const dependences[] = {"endpoint-independent",
					  "address-dependent",
					  "address-and-port-dependent",
					  "not translated"};
static const char *const strays[] = {"nothing", "an ICMP error, after 6 s",
				     "an ICMP error at once",
				     "a reset at once"};
static const char *const shared[] = {"second gets another port",
				     "second is refused", "port overloaded"};
static const char *const hairpins[] = {"not supported", "internal source",
				       "external source"};

static const struct {
	enum kind kind;
	const char *const *words;
} items[EXAM_ITEMS] = {
	[EXAM_STRAY_UDP] = {WORDS, strays},
	[EXAM_UDP_SHARED] = {WORDS, shared},
	[EXAM_TCP_MAPPING] = {WORDS, dependences},
	[EXAM_TCP_FILTERING] = {WORDS, dependences},
	[EXAM_TCP_STRAY] = {WORDS, strays},
	[EXAM_TCP_LIFETIME] = {SECONDS, NULL},
	[EXAM_TCP_TRANSITORY] = {SECONDS, NULL},
	[EXAM_TCP_SHARED] = {WORDS, shared},
	[EXAM_TCP_HAIRPIN] = {WORDS, hairpins},
	[EXAM_ICMP_LIFETIME] = {SECONDS, NULL},
};

const char *exam_value_words(enum exam_item item, int value,
			     char text[static EXAM_VALUE_BYTES])
{
	if (items[item].kind == SECONDS)
		snprintf(text, EXAM_VALUE_BYTES, "%d s", value);
	else if (items[item].kind == WORDS)
		snprintf(text, EXAM_VALUE_BYTES, "%s", items[item].words[value]);
	else
		snprintf(text, EXAM_VALUE_BYTES, "%s", value ? "yes" : "no");
	return text;
}

/* --- all ------------------------------------------------------------------ */

static void ask_all(struct exam *x, const struct exam_question *questions,
		    unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct exam_question *q = &questions[i];

		if (x->config->rest_us)
			exam_wait(x, x->config->rest_us);
		if (!q->of_udp || !x->config->udp_blocked) {
			q->ask(x);
			continue;
		}
		for (unsigned k = q->first; k <= q->last; k++)
			exam_unknown(x, k, "UDP is blocked");
	}
}

int exam_in_lab(struct driver *driver, struct lab *lab, struct raw *raw,
		const struct exam_config *config, struct exam_report *report,
		struct err *err)
{
	struct exam x = {.config = config,
			 .driver = driver,
			 .lab = lab,
			 .raw = raw,
			 .report = report};

	*report = (struct exam_report){0};
	exam_open(&x);
	ask_all(&x, exam_udp_questions, exam_udp_question_count);
	ask_all(&x, exam_tcp_questions, exam_tcp_question_count);
	ask_all(&x, exam_icmp_questions, exam_icmp_question_count);
	exam_found(&x, EXAM_CHECKSUMS, !x.wrong_sums);
	exam_remark(&x, EXAM_CHECKSUMS, "%u of %u packets wrong", x.wrong_sums,
		    x.checked);
	exam_close(&x);
	if (x.code)
		*err = x.err;
	return x.code;
}
