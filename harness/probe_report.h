/* SPDX-License-Identifier: BSD-3-Clause */
/* probe_report: what a probe has found, for people and for programs. */
#ifndef NATRIG_HARNESS_PROBE_REPORT_H
#define NATRIG_HARNESS_PROBE_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "harness/probe.h"

/* As reports call it: "mapping", and the section that says what it means. */
const char *probe_item_name(enum probe_item item);
const char *probe_item_section(enum probe_item item);

/*
 * The finding's value in RFC 4787's words ("endpoint-independent", "29 s"), or
 * "could not find out", or "not asked for". Into TEXT, which is returned.
 */
#define PROBE_VALUE_BYTES 48
const char *probe_value_words(const struct probe_finding *f,
			      enum probe_item item,
			      char text[static PROBE_VALUE_BYTES]);

/* A table of at most 80 columns. */
void probe_report_text(const struct probe_report *r, FILE *out);

/*
 * {"server","other","software","local","mapped","translated","sent","heard",
 *  "findings":{"mapping":{"asked":true,"found":true,"value":"...",
 *  "note":null}, "hairpinning":{..."found":false,"value":null,"note":"why"}},
 *  "samples":[{"local","mapped"}], "step"}. Values of lifetimes are seconds, of
 *  yes-or-no questions booleans. The caller's to decref; NULL: no memory.
 */
json_t *probe_report_json(const struct probe_report *r);

#endif
