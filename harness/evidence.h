/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evidence: holds what the steps say against what the recording shows. A
 * client's own word decides nothing: a reply counts only when the packet that
 * carried it is in the recording, by the path that was told.
 */
#ifndef NATRIG_HARNESS_EVIDENCE_H
#define NATRIG_HARNESS_EVIDENCE_H

#include "harness/steps.h"

/* Says where in the recording each step is; fills why and frames of each
 * ping's outcome; clears holds where the recording says otherwise. CLOCK is
 * the lab's, to place steps in time. */
void evidence_for_steps(const struct scenario *s, const struct clock *clock,
			const struct journeys *j, struct step_outcome *outcomes);

#endif
