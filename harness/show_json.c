/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/show_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
	[CAST_HOST] = "host", [CAST_ROUTER] = "router", [CAST_SERVER] = "server"};

/* jansson takes UTF-8 only; a file from elsewhere may have anything. */
static json_t *text_json(const char *text)
{
	json_t *value;
	char *plain;

	if (!*text)
		return json_null();
	value = json_string(text);
	if (value)
		return value;
	plain = strdup(text);
	for (char *c = plain; c && *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	value = plain ? json_string(plain) : NULL;
	free(plain);
	return value;
}

static json_t *node_name(const struct journeys *j, int node)
{
	return node < 0 ? json_null() : text_json(j->cast->nodes[node].name);
}

static json_t *node_json(const struct journeys *j, const struct cast_node *n)
{
	json_t *ips = json_array();
	char text[ENDPOINT_TEXT_BYTES];

	for (unsigned i = 0; i < n->ip_count; i++)
		json_array_append_new(
			ips, json_string(endpoint_format_ip(n->ips[i], text)));
	return json_pack("{s:o, s:s, s:o, s:o}", "name", text_json(n->name),
			 "kind", kind_names[n->kind], "behind",
			 node_name(j, n->behind), "ips", ips);
}

static json_t *vantage_json(const struct vantage *v)
{
	return json_pack("{s:o, s:o, s:o}", "name", text_json(v->name), "node",
			 text_json(v->node), "interface",
			 text_json(v->interface));
}

/* Nanoseconds would tell more than the witness knows. */
static json_t *seconds_json(const struct journeys *j, uint64_t time_ns)
{
	int64_t ns = (int64_t)(time_ns - j->recording->frames[0].time_ns);

	return json_real(round((double)ns / 1e3) / 1e6);
}

/* ICMP has no ports to tell. */
static json_t *end_json(struct endpoint e)
{
	char text[ENDPOINT_TEXT_BYTES];

	return json_string(e.port ? endpoint_format(e, text)
				  : endpoint_format_ip(e.ip, text));
}

static json_t *sighting_json(const struct journeys *j, const struct sighting *s)
{
	const struct vantage *v = &j->recording->vantages[s->frame->vantage];

	return json_pack("{s:I, s:o, s:o, s:o, s:b, s:o, s:o}", "frame",
			 (json_int_t)s->frame->number, "time_s",
			 seconds_json(j, s->frame->time_ns), "vantage",
			 text_json(v->name), "node", node_name(j, s->node),
			 "out", s->out, "src", end_json(s->src), "dst",
			 end_json(s->dst));
}

static json_t *journey_json(const struct journeys *j, const struct journey *one)
{
	json_t *sightings = json_array();
	char reason[256], sentence[600];

	for (unsigned i = 0; i < one->sighting_count; i++)
		json_array_append_new(sightings,
				      sighting_json(j, &one->sightings[i]));
	journey_reason(j, one, reason, sizeof(reason));
	journey_describe(j, one, sentence, sizeof(sentence));
	return json_pack("{s:s, s:o, s:o, s:b, s:b, s:o, s:b, s:o, s:o, s:o, "
			 "s:o, s:I, s:o}",
			 "kind", journey_kind_name(one), "from",
			 node_name(j, one->from), "to", node_name(j, one->to),
			 "over_relay", one->over_relay, "arrived",
			 one->arrived, "died_at", node_name(j, one->died_at),
			 "on_internet", one->on_internet, "first_s",
			 seconds_json(j, one->first_ns), "last_s",
			 seconds_json(j, one->last_ns), "reason",
			 text_json(reason), "sentence", text_json(sentence),
			 "payload_bytes", (json_int_t)one->payload_bytes,
			 "sightings", sightings);
}

json_t *show_to_json(const struct journeys *j)
{
	json_t *nodes = json_array(), *vantages = json_array(),
	       *list = json_array();
	int failed = 0;

	for (size_t i = 0; i < j->cast->count; i++)
		failed |= json_array_append_new(
			nodes, node_json(j, &j->cast->nodes[i]));
	for (size_t i = 0; i < j->recording->vantage_count; i++)
		failed |= json_array_append_new(
			vantages, vantage_json(&j->recording->vantages[i]));
	for (size_t i = 0; i < j->count; i++)
		failed |= json_array_append_new(list,
						journey_json(j, &j->list[i]));
	if (!failed)
		return json_pack("{s:o, s:o, s:o, s:o}", "title",
				 text_json(j->cast->title), "nodes", nodes,
				 "vantages", vantages, "journeys", list);
	json_decref(nodes);
	json_decref(vantages);
	json_decref(list);
	return NULL;
}
