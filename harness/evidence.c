/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/evidence.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct window {
	const struct journeys *journeys;
	uint64_t from_ns, to_ns; /* recorded time */
};

static bool inside(const struct window *w, const struct journey *one)
{
	return one->first_ns >= w->from_ns && one->first_ns <= w->to_ns;
}

static void add_frames(struct step_outcome *o, const struct journey *one)
{
	for (unsigned i = 0; i < one->sighting_count &&
			     o->frame_count < OUTCOME_MAX_FRAMES; i++)
		o->frames[o->frame_count++] = one->sightings[i].frame->number;
}

/* Packets that can carry an echo or its reply. */
static unsigned echo_kinds(const struct step *step, bool reply)
{
	if (step->kind == CLIENT_PING_DATA)
		return JOURNEY_WIREGUARD;
	return reply ? JOURNEY_DISCO_PONG : JOURNEY_DISCO_PING;
}

static bool has_hash(const struct journey *one, const uint8_t hash[16])
{
	uint8_t own[16];

	crypto_generichash(own, sizeof(own), one->payload, one->payload_bytes,
			   NULL, 0);
	return !memcmp(own, hash, sizeof(own));
}

/* The journey that brought the reply to host X. */
static const struct journey *find_carrier(const struct window *w, int x,
					  const struct step_outcome *o)
{
	for (size_t i = 0; i < w->journeys->count; i++) {
		const struct journey *one = &w->journeys->list[i];

		if (inside(w, one) && one->to == x && one->arrived &&
		    has_hash(one, o->carrier_hash))
			return one;
	}
	return NULL;
}

/* Did anything that may be the request get from X to Y by this path? */
static const struct journey *find_request(const struct window *w,
					  const struct step *step, bool relay)
{
	for (size_t i = 0; i < w->journeys->count; i++) {
		const struct journey *one = &w->journeys->list[i];

		if (inside(w, one) && one->from == step->x &&
		    one->to == step->y && one->arrived &&
		    one->over_relay == relay &&
		    (relay || one->kind & echo_kinds(step, false)))
			return one;
	}
	return NULL;
}

static void refuse(struct step_outcome *o, const char *what)
{
	o->holds = false;
	snprintf(o->why, sizeof(o->why),
		 "the client says it had a reply, but the recording %s", what);
}

static void judge_reply(const struct window *w, const struct step *step,
			struct step_outcome *o)
{
	bool direct = o->path == CLIENT_PATH_DIRECT;
	const struct journey *reply = find_carrier(w, step->x, o);
	const struct journey *request = find_request(w, step, !direct);

	if (!reply) {
		refuse(o, "does not show the packet that carried it");
		return;
	}
	if (direct && (reply->over_relay || !request)) {
		refuse(o, "does not show a direct path in both directions");
		return;
	}
	add_frames(o, reply);
	journey_describe(w->journeys, reply, o->why, sizeof(o->why));
}

/*
 * Of X's packets for Y that died, the one that got farthest, and of those the
 * last: it says most about what stands between the two.
 */
static const struct journey *farthest_dead(const struct window *w, int x, int y,
					   bool relay)
{
	const struct journey *farthest = NULL;

	for (size_t i = 0; i < w->journeys->count; i++) {
		const struct journey *one = &w->journeys->list[i];

		if (!inside(w, one) || one->from != x || one->to != y ||
		    one->over_relay != relay || one->arrived ||
		    one->kind & JOURNEY_ICMP_ERROR)
			continue;
		if (!farthest ||
		    one->sighting_count >= farthest->sighting_count)
			farthest = one;
	}
	return farthest;
}

static size_t describe_dead(const struct window *w, int x, int y, bool relay,
			    struct step_outcome *o, size_t at)
{
	const struct journey *dead = farthest_dead(w, x, y, relay);

	if (!dead || at + 2 >= sizeof(o->why))
		return at;
	if (at)
		at += (size_t)snprintf(o->why + at, sizeof(o->why) - at, "; ");
	journey_describe(w->journeys, dead, o->why + at, sizeof(o->why) - at);
	add_frames(o, dead);
	return at + strlen(o->why + at);
}

static void judge_silence(const struct window *w, const struct step *step,
			  struct step_outcome *o)
{
	size_t at = describe_dead(w, step->x, step->y, false, o, 0);

	at = describe_dead(w, step->x, step->y, true, o, at);
	at = describe_dead(w, step->y, step->x, false, o, at);
	at = describe_dead(w, step->y, step->x, true, o, at);
	if (!at)
		snprintf(o->why, sizeof(o->why),
			 "the recording shows no packet of %s meant for %s "
			 "that died in this time",
			 w->journeys->cast->nodes[step->x].name,
			 w->journeys->cast->nodes[step->y].name);
}

static void place(const struct window *w, struct step_outcome *o)
{
	const struct recording *rec = w->journeys->recording;
	uint64_t first_ns = rec->frame_count ? rec->frames[0].time_ns : 0;

	/* A step that was not reached bears no times. */
	o->placed = first_ns && o->to_us;
	if (!o->placed)
		return;
	o->started_s = (double)(int64_t)(w->from_ns - first_ns) / 1e9;
	o->ended_s = (double)(int64_t)(w->to_ns - first_ns) / 1e9;
}

void evidence_for_steps(const struct scenario *s, const struct clock *clock,
			const struct journeys *j, struct step_outcome *outcomes)
{
	for (unsigned i = 0; i < s->step_count; i++) {
		const struct step *step = &s->steps[i];
		struct step_outcome *o = &outcomes[i];
		struct window w = {j, clock_record_ns(clock, o->from_us),
				   clock_record_ns(clock, o->to_us)};

		place(&w, o);
		if (step->verb != STEP_PING || !o->done)
			continue;
		if (o->has_carrier)
			judge_reply(&w, step, o);
		else
			judge_silence(&w, step, o);
	}
}
