/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * direction: which way a frame went at its vantage, where nothing says so.
 * Private to captures/; pure.
 */
#ifndef NATRIG_CAPTURES_DIRECTION_H
#define NATRIG_CAPTURES_DIRECTION_H

#include "captures/recording.h"

/*
 * From the packet type of a cooked link, else from the vantage's MAC (its own
 * as the source: out; else in), else from its address (source: out;
 * destination: in), else unknown.
 */
enum direction direction_of(const struct vantage *v, const struct frame *f);

#endif
