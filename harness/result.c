/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/result.h"

#include <math.h>

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *rounded_ms(double ms)
{
	return json_real(round(ms * 1000) / 1000);
}

static json_t *frames_to_json(const unsigned *frames, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_integer(frames[i]));
	return list;
}

static json_t *path_to_json(const struct step_outcome *o)
{
	if (o->path == CLIENT_PATH_NONE)
		return json_null();
	return json_string(o->path == CLIENT_PATH_DIRECT ? "direct" : "relay");
}

static json_t *place_to_json(const struct step_outcome *o, double at_s)
{
	return o->placed ? json_real(round(at_s * 1e6) / 1e6) : json_null();
}

static json_t *step_to_json(const struct step *step,
			    const struct step_outcome *o)
{
	bool replied = o->done && o->first_reply_us >= 0 &&
		       step->verb == STEP_PING;

	return json_pack(
		"{s:s, s:s, s:i, s:i, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o}",
		"verb", step_verb_name(step->verb), "text", step->text, "line",
		(int)step->at.line, "column", (int)step->at.column, "expect",
		text_or_null(o->expect), "got", text_or_null(o->got), "done",
		o->done, "holds", o->done && o->holds, "path", path_to_json(o),
		"first_reply_ms",
		replied ? rounded_ms((double)o->first_reply_us / 1000) :
			  json_null(),
		"lab_ms",
		rounded_ms((double)(o->ended_us - o->started_us) / 1000),
		"started_s", place_to_json(o, o->started_s), "ended_s",
		place_to_json(o, o->ended_s), "why", text_or_null(o->why),
		"frames",
		frames_to_json(o->frames, o->frame_count));
}

json_t *result_of_order(const struct scenario_order *order,
			const struct order_result *result, bool checked)
{
	return json_pack("{s:s, s:i, s:i, s:b, s:o, s:o}", "statement",
			 order->statement.text, "line", (int)order->at.line,
			 "column", (int)order->at.column, "holds",
			 checked && result->holds, "why",
			 text_or_null(checked ? result->why :
						"no recording to check"),
			 "frames",
			 frames_to_json(result->frames, result->frame_count));
}

static json_t *lab_to_json(const struct run_result *r)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:I, s:I, s:I}",
			 "up_ms", rounded_ms(r->lab_up_ms), "recorder_up_ms",
			 rounded_ms(r->recorder_up_ms), "down_ms",
			 rounded_ms(r->lab_down_ms), "wall_ms",
			 rounded_ms(r->wall_ms), "lab_s",
			 rounded_ms((double)r->lab_us / 1e6), "skipped",
			 r->skipped, "received",
			 (json_int_t)r->recorder.received, "recorded",
			 (json_int_t)r->recorder.written, "dropped",
			 (json_int_t)r->recorder.dropped);
}

static json_t *error_to_json(const struct run_result *r)
{
	char text[1024];

	if (!r->err.text[0] || r->interrupted)
		return json_null();
	if (r->err.file[0])
		snprintf(text, sizeof(text), "%s:%u:%u: %s", r->err.file,
			 r->err.line, r->err.column, r->err.text);
	else
		snprintf(text, sizeof(text), "%s", r->err.text);
	return json_string(text);
}

/* "model", "tailscale", "tailscale@1.80.3": what was asked to run. */
static json_t *client_to_json(const struct scenario *s)
{
	const struct scenario_host *host = s->hosts;

	if (!s->host_count || !*host->version)
		return json_string(s->host_count ? host->client : "model");
	return json_sprintf("%s@%s", host->client, host->version);
}

json_t *result_to_json(const struct scenario *s, const struct run_result *r)
{
	json_t *steps = json_array(), *order = json_array();

	for (unsigned i = 0; i < s->step_count; i++)
		json_array_append_new(
			steps, step_to_json(&s->steps[i], &r->outcomes[i]));
	for (unsigned i = 0; i < s->order_count; i++)
		json_array_append_new(order,
				      result_of_order(&s->orders[i],
						      &r->orders[i],
						      r->orders_checked));
	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:o}",
			 "file", s->file, "title", s->title, "source",
			 text_or_null(s->source), "client", client_to_json(s),
			 "verdict",
			 verdict_name(r->verdict), "interrupted",
			 r->interrupted, "error", error_to_json(r), "steps",
			 steps, "order", order, "lab", lab_to_json(r));
}

json_t *result_of_error(const struct scenario *s, const char *why)
{
	return json_pack("{s:s, s:s, s:o, s:s, s:b, s:s, s:[], s:[], s:{s:i, "
			 "s:i, s:i}}",
			 "file", s->file, "title", s->title, "client",
			 client_to_json(s), "verdict",
			 verdict_name(VERDICT_COULD_NOT_RUN), "interrupted", 0,
			 "error", why, "steps", "order", "lab", "up_ms", 0,
			 "recorded", 0, "dropped", 0);
}

const char *result_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}
