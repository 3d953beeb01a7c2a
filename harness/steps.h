/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steps: does a scenario's steps to a running lab, one after the other, and
 * notes what came of each. Whether the recording agrees is evidence.h's.
 */
#ifndef NATRIG_HARNESS_STEPS_H
#define NATRIG_HARNESS_STEPS_H

#include "harness/driver.h"

#define OUTCOME_MAX_FRAMES 8

struct step_outcome {
	bool done;  /* it was reached and ran to its end */
	bool holds; /* what was expected is what came */
	char expect[128], got[192];
	uint64_t started_us, ended_us; /* lab time */
	uint64_t from_us, to_us;       /* the same, as frames are recorded */
	/* ping */
	enum client_path path;	 /* of the reply that decided; NONE: no reply */
	int64_t first_reply_us;	 /* after the step's start; -1: no reply */
	enum {
		CARRIER_NONE,	/* there was no reply */
		CARRIER_KNOWN,	/* the model knows its bytes: carrier_hash */
		CARRIER_SOUGHT, /* a real client's: by its size and time */
		CARRIER_TOLD	/* it tells the path: by its kind and time */
	} carrier;
	uint8_t carrier_hash[16]; /* of the packet that carried that reply */
	unsigned echo_bytes; /* of real clients, in the tunnel */
	uint64_t sent_us, replied_us; /* lab time; of real clients */
	/* filled in from the recording */
	bool placed; /* these two are known: after the recording's first frame */
	double started_s, ended_s;
	char why[1024];
	unsigned frames[OUTCOME_MAX_FRAMES];
	unsigned frame_count;
};

struct steps {
	struct driver *driver;
	const struct scenario *scenario;
	struct lab *lab;
	struct step_outcome *outcomes; /* as many as the scenario has steps */
	unsigned current;
};

/*
 * Runs steps in order from the first; UNTIL_PING stops before the first ping.
 * 0, -EINTR, or a negative errno when the lab broke (err: which step and why).
 * A step that does not hold does not stop the ones after it.
 */
int steps_run(struct steps *s, bool until_ping, struct err *err);

#endif
