/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/evidence.h"

#include "harness/real.h"
#include "wire/packet.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct window {
	const struct journeys *journeys;
	uint64_t from_ns, to_ns; /* recorded time */
	uint64_t sent_ns, replied_ns; /* of the echo that decided */
	bool told; /* the client says what path it took */
	unsigned echo_bytes;
};

/* A real client says that it had a reply a moment after its packet came. */
#define SAID_AFTER_NS 20000000

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

/* --- real clients: by kind, size and time -------------------------------- */

static bool may_carry(const struct window *w, const struct step *step,
		      const struct journey *one, bool reply)
{
	size_t bytes = one->kind & JOURNEY_OPAQUE ? one->opaque_bytes
						  : one->payload_bytes;

	if (step->kind == CLIENT_PING_DISCO &&
	    one->kind & (reply ? JOURNEY_DISCO_PONG : JOURNEY_DISCO_PING))
		return true;
	if (one->payload && real_is_about_tunnel(one->payload, bytes))
		return false;
	/* Whoever tells the path chooses the echo's size as well. */
	if (w->told && one->kind & (JOURNEY_WIREGUARD | JOURNEY_OTHER_UDP))
		return true;
	return real_can_carry(w->echo_bytes, bytes);
}

static bool within(const struct window *w, uint64_t time_ns)
{
	return time_ns >= w->sent_ns &&
	       time_ns <= w->replied_ns + SAID_AFTER_NS;
}

/* The last packet that may have carried the echo, or its reply. */
static const struct journey *seek(const struct window *w,
				  const struct step *step, bool reply,
				  bool relay)
{
	int from = reply ? step->y : step->x, to = reply ? step->x : step->y;
	const struct journey *last = NULL;

	for (size_t i = 0; i < w->journeys->count; i++) {
		const struct journey *one = &w->journeys->list[i];

		if (one->from == from && one->to == to && one->arrived &&
		    one->over_relay == relay && within(w, one->last_ns) &&
		    may_carry(w, step, one, reply))
			last = one;
	}
	return last;
}

/*
 * Where a relay's records could not be told apart, or it relays over UDP,
 * something may still have come from it: the frame that brought it to host X,
 * or NULL.
 */
static const struct frame *seek_opaque(const struct window *w,
				       const struct step *step)
{
	const struct recording *rec = w->journeys->recording;
	const char *name = w->journeys->cast->nodes[step->x].name;
	const struct frame *last = NULL;
	const struct cast *cast = w->journeys->cast;
	struct packet p;

	for (size_t i = 0; i < rec->frame_count; i++) {
		const struct frame *f = &rec->frames[i];
		const struct vantage *v = &rec->vantages[f->vantage];
		int from;

		if (!within(w, f->time_ns) || f->direction != DIRECTION_IN ||
		    strcmp(v->node, name) ||
		    packet_decode(v->link, f->data, f->captured_bytes, &p,
				  NULL) ||
		    !p.is_ipv4 || !p.has_ports)
			continue;
		/* From a home's router it came directly. */
		from = cast_find_ip(cast, p.src.ip);
		if (from >= 0 && cast->nodes[from].kind == CAST_SERVER &&
		    (p.ip_proto == PACKET_UDP ?
			     real_can_carry(w->echo_bytes, p.payload_bytes)
					      : p.payload_bytes > 0))
			last = f;
	}
	return last;
}

static void describe_opaque(const struct window *w, const struct step *step,
			    const struct frame *f, struct step_outcome *o)
{
	const struct recording *rec = w->journeys->recording;
	const struct cast *cast = w->journeys->cast;
	struct packet p;
	int from = -1;

	if (!packet_decode(rec->vantages[f->vantage].link, f->data,
			   f->captured_bytes, &p, NULL))
		from = cast_find_ip(cast, p.src.ip);
	o->frames[o->frame_count++] = f->number;
	snprintf(o->why, sizeof(o->why),
		 "%zu bytes, encrypted, came to %s from %s with the reply, and "
		 "nothing that could carry it from %s itself (frame %u)",
		 p.payload_bytes,
		 cast->nodes[step->x].name,
		 from < 0 ? "a relay" : cast->nodes[from].name,
		 cast->nodes[step->y].name, f->number);
}

/* An echo counts as relayed where only its request was. */
static bool describe_request(const struct window *w, const struct step *step,
			     struct step_outcome *o)
{
	const struct journey *reply = seek(w, step, true, false);
	const struct journey *request = seek(w, step, false, true);
	char texts[2][sizeof(o->why) / 2 - 64];

	if (!reply)
		return false;
	journey_describe(w->journeys, reply, texts[0], sizeof(texts[0]));
	add_frames(o, reply);
	if (!request) {
		snprintf(o->why, sizeof(o->why),
			 "%s; by which way its request came cannot be told",
			 texts[0]);
		return true;
	}
	journey_describe(w->journeys, request, texts[1], sizeof(texts[1]));
	add_frames(o, request);
	snprintf(o->why, sizeof(o->why),
		 "the reply came directly, its request over the relay: %s; %s",
		 texts[0], texts[1]);
	return true;
}

static void judge_sought(const struct window *w, const struct step *step,
			 struct step_outcome *o)
{
	bool direct = o->path == CLIENT_PATH_DIRECT;
	const struct journey *reply = seek(w, step, true, !direct);
	const struct frame *opaque;

	if (direct && (!reply || !seek(w, step, false, false))) {
		refuse(o, "does not show a direct path in both directions");
		return;
	}
	if (reply) {
		add_frames(o, reply);
		journey_describe(w->journeys, reply, o->why, sizeof(o->why));
		return;
	}
	if (describe_request(w, step, o))
		return;
	opaque = seek_opaque(w, step);
	if (opaque)
		describe_opaque(w, step, opaque, o);
	else
		refuse(o, "shows nothing from a relay that could carry it");
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
				   clock_record_ns(clock, o->to_us),
				   clock_record_ns(clock, o->sent_us),
				   clock_record_ns(clock, o->replied_us),
				   o->carrier == CARRIER_TOLD,
				   o->echo_bytes ? o->echo_bytes :
						   REAL_ECHO_BYTES};

		place(&w, o);
		if (step->verb != STEP_PING || !o->done)
			continue;
		if (o->carrier == CARRIER_KNOWN)
			judge_reply(&w, step, o);
		else if (o->carrier != CARRIER_NONE)
			judge_sought(&w, step, o);
		else
			judge_silence(&w, step, o);
	}
}
