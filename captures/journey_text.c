/* SPDX-License-Identifier: BSD-3-Clause */
/* What a journey is called and how it is told in one sentence. */
#include "captures/journey_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_FRAMES_TOLD 8

/*
 * The relay's names for each kind stand beside it: no string is built. A
 * guess by the size has a question mark.
 */
static const struct {
	unsigned kind;
	const char *name, *relay_name, *opaque_name;
} kinds[] = {
	{JOURNEY_DISCO_PING, "disco.ping", "relay disco.ping",
	 "relay disco.ping?"},
	{JOURNEY_DISCO_PONG, "disco.pong", "relay disco.pong",
	 "relay disco.pong?"},
	{JOURNEY_DISCO_CALL_ME_MAYBE, "disco.call-me-maybe",
	 "relay disco.call-me-maybe", "relay disco.call-me-maybe?"},
	{JOURNEY_DISCO_OTHER, "disco", "relay disco", NULL},
	{JOURNEY_STUN, "stun", "relay stun", NULL},
	{JOURNEY_WIREGUARD, "wireguard", "relay wireguard",
	 "relay wireguard?"},
	{JOURNEY_PORTMAP, "portmap", "relay portmap", NULL},
	{JOURNEY_ICMP_ERROR, "icmp error", "relay icmp error", NULL},
	{JOURNEY_TCP, "tcp connect", "relay tcp connect", NULL},
	{JOURNEY_OTHER_UDP, "udp", "relay packet", "relay packet?"},
};

const char *journey_kind_name(const struct journey *one)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!(one->kind & kinds[i].kind))
			continue;
		if (one->kind & JOURNEY_OPAQUE && kinds[i].opaque_name)
			return kinds[i].opaque_name;
		return one->over_relay ? kinds[i].relay_name : kinds[i].name;
	}
	return one->over_relay ? "relay packet" : "packet";
}

struct text {
	char *to;
	size_t size_bytes, used;
};

static void put(struct text *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(t->to + t->used, t->size_bytes - t->used, format, args);
	va_end(args);
	if (len > 0)
		t->used += (size_t)len;
	if (t->used >= t->size_bytes)
		t->used = t->size_bytes - 1;
}

/* ICMP has no ports to tell. */
static const char *format_end(struct endpoint e,
			      char text[static ENDPOINT_TEXT_BYTES])
{
	return e.port ? endpoint_format(e, text)
		      : endpoint_format_ip(e.ip, text);
}

static const char *ordinal_suffix(unsigned n)
{
	if (n / 10 % 10 == 1)
		return "th";
	switch (n % 10) {
	case 1:
		return "st";
	case 2:
		return "nd";
	case 3:
		return "rd";
	default:
		return "th";
	}
}

/* Only its size is known, and what that may mean. */
static void put_opaque(struct text *t, const struct journeys *j,
		       const struct journey *one)
{
	put(t, "an encrypted packet of %zu bytes", one->opaque_bytes);
	if (one->from >= 0)
		put(t, " from %s", j->cast->nodes[one->from].name);
	if (one->to >= 0)
		put(t, " to %s", j->cast->nodes[one->to].name);
	put(t, " over the relay, %s,", opaque_words(one->opaque_bytes));
}

static void put_who(struct text *t, const struct journeys *j,
		    const struct journey *one)
{
	const struct sighting *first = &one->sightings[0];
	unsigned n = trail_of(j, one)->ordinal;
	char end[ENDPOINT_TEXT_BYTES];

	if (one->kind & JOURNEY_OPAQUE) {
		put_opaque(t, j, one);
		return;
	}
	if (one->from >= 0)
		put(t, "%s's %u%s %s", j->cast->nodes[one->from].name, n,
		    ordinal_suffix(n), journey_kind_name(one));
	else
		put(t, "the %s from %s", journey_kind_name(one),
		    format_end(first->src, end));
	if (one->to >= 0)
		put(t, " to %s", j->cast->nodes[one->to].name);
	else if (!one->over_relay)
		put(t, " to %s", format_end(first->dst, end));
}

/* The outermost router that it left translated, else where it set out. */
static const struct sighting *departure(const struct journeys *j,
					const struct journey *one)
{
	const struct witness *w = witness_of(j);
	const struct sighting *best = NULL;

	for (unsigned i = 0; i < one->sighting_count; i++) {
		const struct sighting *s = &one->sightings[i];

		if (!s->out || s->node < 0 || !w->outside[s->frame->vantage] ||
		    (best && w->cast->nodes[s->node].kind != CAST_ROUTER))
			continue;
		/* What a relay sends on is not where it set out from. */
		best = s;
	}
	return best;
}

static const char *frame_node(const struct journeys *j,
			      const struct sighting *s)
{
	return j->recording->vantages[s->frame->vantage].node;
}

static void put_way(struct text *t, const struct journeys *j,
		    const struct journey *one)
{
	const struct sighting *left = departure(j, one);
	const struct sighting *last = &one->sightings[one->sighting_count - 1];
	char end[ENDPOINT_TEXT_BYTES];

	if (left)
		put(t, " left %s from %s%s", frame_node(j, left),
		    format_end(left->src, end),
		    one->arrived || left != last || one->on_internet ||
				    one->died_at >= 0
			    ? " and"
			    : "");
	if (one->arrived)
		put(t, " reached %s", j->cast->nodes[one->to].name);
	else if (one->on_internet)
		put(t, " died on the internet");
	else if (one->died_at >= 0 && left == last)
		put(t, " died there");
	else if (one->died_at >= 0)
		put(t, " died at %s", j->cast->nodes[one->died_at].name);
	else if (left != last)
		put(t, " was last seen at %s", frame_node(j, last));
}

static void put_frames(struct text *t, const struct journey *one)
{
	unsigned told = 0;

	for (unsigned i = 0; i < one->sighting_count; i++) {
		unsigned number = one->sightings[i].frame->number;

		if (told == MAX_FRAMES_TOLD) {
			put(t, ", ...");
			break;
		}
		put(t, "%s%u",
		    told		       ? ", "
		    : one->sighting_count == 1 ? " (frame "
					       : " (frames ",
		    number);
		told++;
	}
	put(t, ")");
}

void journey_describe(const struct journeys *j, const struct journey *one,
		      char *text, size_t text_bytes)
{
	struct text t = {.to = text, .size_bytes = text_bytes};
	char reason[256];

	if (!text_bytes)
		return;
	text[0] = '\0';
	put_who(&t, j, one);
	put_way(&t, j, one);
	journey_reason(j, one, reason, sizeof(reason));
	if (*reason)
		put(&t, ": %s", reason);
	put_frames(&t, one);
}
