/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a packet died, from what had happened up to then. A router's state is
 * not in a recording, but what it let through before is.
 */
#include "captures/journey_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
/* Linux's and RFC 4787's: shortest a UDP mapping may live unused. */
#define IDLE_NS (30 * SECOND_NS)
/* A mapping in use with others lives on; Linux calls that a stream. */
#define STREAM_IDLE_NS (120 * SECOND_NS)

/* One question: the text under way, and what it is about. */
struct why {
	const struct journeys *j;
	const struct witness *w;
	const struct journey *one;
	const struct trail *trail;
	const struct sighting *last;
	uint64_t now_ns;
	char *text;
	size_t text_bytes;
};

static void say(struct why *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct why *why, const char *format, ...)
{
	size_t used = strlen(why->text);
	va_list args;

	va_start(args, format);
	vsnprintf(why->text + used, why->text_bytes - used, format, args);
	va_end(args);
}

static const char *name_of(const struct why *why, int node)
{
	return node < 0 ? "?" : why->w->cast->nodes[node].name;
}

static const char *icmp_text(uint8_t type, uint8_t code)
{
	static const char *const unreachable[] = {
		"network unreachable",	"host unreachable",
		"protocol unreachable", "port unreachable",
		"fragmentation needed", "source route failed"};

	switch (type) {
	case 3:
		if (code < sizeof(unreachable) / sizeof(unreachable[0]))
			return unreachable[code];
		if (code == 9 || code == 10 || code == 13)
			return "administratively prohibited";
		return "destination unreachable";
	case 4:
		return "source quench";
	case 5:
		return "redirect";
	case 11:
		return "time exceeded";
	default:
		return "parameter problem";
	}
}

static void say_seconds(struct why *why, uint64_t ns)
{
	if (ns < SECOND_NS)
		say(why, "%" PRIu64 " ms", ns / 1000000);
	else if (ns < 10 * SECOND_NS)
		say(why, "%.1f s", (double)ns / (double)SECOND_NS);
	else
		say(why, "%" PRIu64 " s", ns / SECOND_NS);
}

/* False where no port mapping has to do with it. */
static bool say_grant(struct why *why, uint16_t port)
{
	const struct grant *g = grant_find(
		why->w, why->last->node, why->trail->proto, port, why->now_ns);

	if (!g)
		return false;
	if (why->now_ns < g->until_ns) {
		say(why, "port %u is mapped to %s, but %s did not forward it",
		    port, name_of(why, g->host), name_of(why, why->last->node));
		return true;
	}
	if (g->deletes)
		say(why, "port mapping of port %u had been released ", port);
	else
		say(why, "port mapping of port %u had run out ", port);
	say_seconds(why, why->now_ns - g->until_ns);
	say(why, " before");
	if (g->lease_s && !g->deletes)
		say(why, " (lease of %" PRIu64 " s)", g->lease_s);
	return true;
}

/* It came from outside, and the router did not let it in. */
static void say_inbound(struct why *why)
{
	const struct sighting *s = why->last;
	uint8_t proto = why->trail->proto;
	const struct flow *exact =
		flow_before(why->w, s->dst, &s->src, proto, why->now_ns);
	const struct flow *any =
		flow_before(why->w, s->dst, NULL, proto, why->now_ns);
	uint64_t limit_ns = exact ? IDLE_NS : STREAM_IDLE_NS;
	uint64_t idle_ns = 0;
	char peer[ENDPOINT_TEXT_BYTES];

	if (exact || any)
		idle_ns = why->now_ns - (exact ? exact : any)->time_ns;
	if (exact && idle_ns < IDLE_NS) {
		say(why, "port %u had been open to %s ", s->dst.port,
		    endpoint_format(s->src, peer));
		say_seconds(why, idle_ns);
		say(why, " before: %s blocked it or lost its state",
		    name_of(why, s->node));
	} else if (say_grant(why, s->dst.port)) {
		return;
	} else if ((exact || any) && idle_ns >= limit_ns) {
		say(why, "mapping for port %u had been idle for ", s->dst.port);
		say_seconds(why, idle_ns);
	} else if (any) {
		say(why, "port %u is mapped, but filtered for %s", s->dst.port,
		    endpoint_format(s->src, peer));
	} else {
		say(why, "no mapping for %sport %u",
		    proto == PACKET_TCP ? "TCP " : "", s->dst.port);
	}
}

static bool is_private(uint32_t ip)
{
	return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 ||
	       ip >> 22 == (0x64400000u >> 22) || ip >> 16 == 0xa9fe;
}

/* It came from the router's LAN, and the router did not send it on. */
static void say_outbound(struct why *why)
{
	const struct sighting *s = why->last;
	const struct cast_node *router = &why->w->cast->nodes[s->node];
	char ip[ENDPOINT_TEXT_BYTES];

	if (cast_has_ip(router, s->dst.ip)) {
		say(why, "%s does not hairpin its own address %s", router->name,
		    endpoint_format_ip(s->dst.ip, ip));
	} else if (is_private(s->dst.ip) && router->behind < 0) {
		say(why, "%s has no route to %s", router->name,
		    endpoint_format_ip(s->dst.ip, ip));
	} else {
		say(why, "blocked by %s (outbound)", router->name);
	}
}

/* Nobody saw a key: who it was for is told by who is left, or not at all. */
static void say_opaque(struct why *why)
{
	const struct trail *t = why->trail;
	const char *to = name_of(why, t->to_host);

	say(why, "%s did not send it on", name_of(why, why->last->node));
	if (t->or_alike)
		say(why, " (or another of this size just then)");
	if (t->told_by == OPAQUE_TO_ONLY_HOST)
		say(why, " to %s, the only other host", to);
	else if (t->told_by == OPAQUE_TO_ONLY_ABSENT)
		say(why, ": only %s was not connected to it, so it was for %s",
		    to, to);
	else
		say(why, "; whom it was for cannot be told");
}

static void say_doubt(struct why *why)
{
	if (why->trail->doubt == OPAQUE_ALIKE)
		say(why, "packets of this size went through the relay at once: "
			 "which of them went where cannot be told");
	else
		say(why, "the relay may have sent it on in one record with "
			 "something else");
}

static void say_relay(struct why *why)
{
	const struct trail *t = why->trail;
	const struct relay_key *key =
		t->dst_key ? &why->w->keys[t->dst_key - 1] : NULL;

	say(why, "%s did not send it on", name_of(why, why->last->node));
	if (key && key->host < 0)
		say(why, ": nobody was seen to connect with that key");
	else if (key && !key->connected)
		say(why, ": %s was never seen to connect to it",
		    name_of(why, key->host));
	else if (key && key->seen_ns > why->now_ns)
		say(why, ": %s had not connected to it yet",
		    name_of(why, key->host));
	else if (key)
		say(why, " to %s", name_of(why, key->host));
}

static void say_entered(struct why *why)
{
	const struct sighting *s = why->last;
	const struct cast_node *node = &why->w->cast->nodes[s->node];

	if (why->trail->tag == TRAIL_OPAQUE && node->kind == CAST_SERVER)
		say_opaque(why);
	else if (why->one->over_relay && node->kind == CAST_SERVER)
		say_relay(why);
	else if (why->one->over_relay)
		say(why, "%s did not pass the TCP segment on", node->name);
	else if (node->kind != CAST_ROUTER)
		say(why, "%s does not forward", node->name);
	else if (s->ttl <= 1)
		say(why, "TTL ran out");
	else if (owner_is_multicast(s->dst.ip))
		say(why, "sent to a group, which %s does not forward",
		    node->name);
	else if (why->w->outside[s->frame->vantage])
		say_inbound(why);
	else
		say_outbound(why);
}

/* It left a node, and nobody on that link was seen to get it. */
static void say_left(struct why *why)
{
	const struct sighting *s = why->last;
	int lan, next = fate_next_node(why->w, s, &lan);
	int inside;
	char ip[ENDPOINT_TEXT_BYTES];

	endpoint_format_ip(s->dst.ip, ip);
	if (next >= 0 && !fate_listened(why->w, next, lan)) {
		say(why, "not seen again, and %s was not recorded",
		    name_of(why, next));
	} else if (next >= 0 && lan < 0) {
		say(why, "blocked on the internet, or %s's link is down",
		    name_of(why, next));
	} else if (next >= 0) {
		say(why, "lost on the link to %s", name_of(why, next));
	} else if (lan >= 0) {
		say(why, "nobody behind %s has %s", name_of(why, lan), ip);
	} else {
		inside = cast_find_ip(why->w->cast, s->dst.ip);
		say(why, "nobody %shas %s",
		    inside < 0 ? "" : "on the internet ", ip);
		if (inside >= 0)
			say(why, ", which is %s's inside address",
			    name_of(why, inside));
	}
}

static void say_answer(struct why *why)
{
	const struct trail *t = why->trail;
	const struct trail *icmp;

	if (t->reset)
		say(why, "%srefused with a TCP reset", *why->text ? "; " : "");
	if (!t->icmp)
		return;
	icmp = &why->w->trails[t->icmp - 1];
	say(why, "%sanswered with ICMP %s", *why->text ? "; " : "",
	    icmp_text(icmp->icmp_type, icmp->icmp_code));
}

const char *journey_reason(const struct journeys *j, const struct journey *one,
			   char *text, size_t text_bytes)
{
	struct why why = {.j = j,
			  .w = witness_of(j),
			  .one = one,
			  .trail = trail_of(j, one),
			  .last = &one->sightings[one->sighting_count - 1],
			  .text = text,
			  .text_bytes = text_bytes};

	if (!text_bytes)
		return "";
	text[0] = '\0';
	if (one->arrived)
		return text;
	why.now_ns = why.last->frame->time_ns;
	if (why.trail->doubt)
		say_doubt(&why);
	else if (one->died_at < 0 && !one->on_internet)
		say(&why, "what came of it was not recorded");
	else if (why.last->out)
		say_left(&why);
	else
		say_entered(&why);
	say_answer(&why);
	return text;
}
