/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/scenario.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* What is understood must hang together, or the driver would run off it. */
static void check_sense(const struct scenario *s)
{
	int count = (int)s->plan.count;

	FUZZ_HOLDS(*s->title && s->host_count && s->step_count);
	for (int i = 0; i < count; i++) {
		int router = s->plan.nodes[i].router;

		FUZZ_HOLDS(*s->plan.nodes[i].name && router < count);
		FUZZ_HOLDS(router < 0 ||
			   s->plan.nodes[router].kind == LAB_ROUTER);
	}
	for (unsigned i = 0; i < s->step_count; i++) {
		const struct step *step = &s->steps[i];

		FUZZ_HOLDS(*step->text && step->at.line && step->at.column);
		FUZZ_HOLDS(step->x < count && step->y < count);
		FUZZ_HOLDS(step->payload_bytes <= sizeof(step->payload));
		if (step->verb == STEP_PING)
			FUZZ_HOLDS(step->x >= 0 && step->y >= 0 && step->for_us);
		if (step->verb == STEP_SEND)
			FUZZ_HOLDS(step->x >= 0 && step->dst.port &&
				   (step->dst.ip || step->y >= 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scenario *s = NULL;
	struct err err = {.text = ""};
	int ret = scenario_parse("fuzz.yaml", (const char *)data, size, &s,
				 &err);

	FUZZ_HOLDS(!ret == (s != NULL));
	if (ret)
		FUZZ_HOLDS(*err.text && err.line && err.column &&
			   !strcmp(err.file, "fuzz.yaml"));
	else
		check_sense(s);
	scenario_free(s);
	return 0;
}
