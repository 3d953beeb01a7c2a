/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show_json: the journeys of a recording as one JSON object, for programs that
 * draw them (`natrig show --json`):
 *
 * {"title",
 *  "nodes":[{"name","kind":"host|router|server","behind","ips":[...]}],
 *  "vantages":[{"name","node","interface"}],
 *  "journeys":[{"kind","from","to","over_relay","arrived","died_at",
 *   "on_internet","first_s","last_s","reason","sentence","payload_bytes",
 *   "sightings":[{"frame","time_s","vantage","node","out","src","dst"}]}]}
 *
 * Times are seconds after the recording's first frame, as in the ladder for
 * people and in the steps of result.h. What is not known is null. Text that is
 * no UTF-8 (names in files from elsewhere) has question marks in it.
 */
#ifndef NATRIG_HARNESS_SHOW_JSON_H
#define NATRIG_HARNESS_SHOW_JSON_H

#include "captures/journey.h"

#include <jansson.h>

/* The caller's to decref; NULL when memory runs out. */
json_t *show_to_json(const struct journeys *j);

#endif
