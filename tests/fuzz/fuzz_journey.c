/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "captures/order.h"
#include "captures/recording.h"
#include "tests/fuzz/fuzz.h"

static const char small_cast[] =
	"{\"natrig\":1,\"nodes\":["
	"{\"name\":\"a\",\"kind\":\"host\",\"behind\":\"home-a\"},"
	"{\"name\":\"home-a\",\"kind\":\"router\",\"ips\":[\"25.0.0.2\"]},"
	"{\"name\":\"edge-c\",\"kind\":\"router\",\"ips\":[\"25.0.0.3\"]},"
	"{\"name\":\"c\",\"kind\":\"host\",\"behind\":\"edge-c\"},"
	"{\"name\":\"relay\",\"kind\":\"server\",\"ips\":[\"25.0.1.3\"]}]}";

static void look_at(const struct journeys *j, const struct journey *one)
{
	char text[256];

	FUZZ_HOLDS(one->sighting_count);
	FUZZ_HOLDS(one->first_ns == one->sightings[0].frame->time_ns);
	FUZZ_HOLDS(one->from < (int)j->cast->count);
	FUZZ_HOLDS(one->to < (int)j->cast->count);
	FUZZ_HOLDS(!one->arrived || (one->died_at < 0 && !one->on_internet));
	FUZZ_HOLDS(!one->on_internet || one->died_at < 0);
	journey_describe(j, one, text, sizeof(text));
	FUZZ_HOLDS(*text);
	journey_reason(j, one, text, sizeof(text));
	FUZZ_HOLDS(one->arrived == !*text);
	FUZZ_HOLDS(*journey_kind_name(one));
	journeys_find(j, one->payload, one->payload_bytes, one->first_ns);
}

static void hold_orders(const struct journeys *j)
{
	struct order_statement s = {.left = {.from = 0, .to = 0}};
	struct order_result r;

	if (!j->count || !j->cast->count)
		return;
	s.left.from = s.right.to = j->list[0].from;
	s.left.to = s.right.from = j->list[0].to;
	if (s.left.from < 0 || s.left.to < 0)
		return;
	s.left.at = s.left.to;
	s.right.at = s.right.to;
	for (int form = ORDER_BEFORE; form <= ORDER_WITHIN; form++) {
		s.form = (enum order_form)form;
		order_check(&s, j, &r);
		FUZZ_HOLDS(*r.why);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recording *rec = NULL;
	struct cast *cast = NULL;
	struct journeys *j = NULL;
	struct err err;
	FILE *out = fopen("/dev/null", "w");

	if (recording_parse(data, size, "fuzz", &rec, &err) < 0)
		goto done;
	if (cast_from_json(rec->comment, &cast, &err) < 0 &&
	    cast_from_json(small_cast, &cast, &err) < 0)
		goto done;
	if (journeys_new(rec, cast, &j, &err) < 0)
		goto done;
	for (size_t i = 0; i < j->count; i++)
		look_at(j, &j->list[i]);
	hold_orders(j);
	FUZZ_HOLDS(!journeys_print_ladder(j, (unsigned)size % 120, true, out));
done:
	journeys_free(j);
	cast_free(cast);
	recording_free(rec);
	if (out)
		fclose(out);
	return 0;
}
