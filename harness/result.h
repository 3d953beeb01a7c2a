/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * result: what came of a scenario as one JSON object. It crosses from the
 * sandbox to the program that prints, and every report is made from it:
 *
 * {"file","title","source","client",
 *  "verdict":"holds|falls-short|could-not-run","interrupted","error","steps":[{"verb","text","line","expect","got","holds","done","path",
 *  "first_reply_ms","lab_ms","started_s","ended_s","why","frames":[...]}],
 *  "order":[{"statement","line","column","holds","why","frames":[...]}],
 *  "lab":{"up_ms","recorder_up_ms","down_ms","wall_ms","lab_s","skipped",
 *  "received","recorded","dropped"},"recording",
 *  "certificate":[...] as in certify.h, where it was asked for}
 *
 * started_s and ended_s place a step in the recording: seconds after its first
 * frame, as `natrig show` counts them, so that a step's packets are those from
 * its started_s up to the next one's. A step that began before anything was
 * recorded has a negative one; null where there is no recording or the step
 * was not reached.
 */
#ifndef NATRIG_HARNESS_RESULT_H
#define NATRIG_HARNESS_RESULT_H

#include "harness/run.h"

#include <jansson.h>

/* The caller's to decref; NULL when memory runs out. */
json_t *result_to_json(const struct scenario *s, const struct run_result *r);
/* A scenario that never got as far as a result. */
json_t *result_of_error(const struct scenario *s, const char *why);
/* One of "order"; CHECKED: there was a recording to check it by. */
json_t *result_of_order(const struct scenario_order *order,
			const struct order_result *result, bool checked);
/* A text of OBJECT; "" where it has none. */
const char *result_text(const json_t *object, const char *key);

#endif
