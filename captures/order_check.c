/* SPDX-License-Identifier: BSD-3-Clause */
/* Holds order statements against the journeys of a recording. */
#include "captures/order.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* An event that happened. */
struct happened {
	const struct journey *one; /* NULL: it did not */
	uint64_t time_ns;
	unsigned frame;
};

static bool is_client(const struct cast *cast, int node)
{
	return cast->nodes[node].kind == CAST_HOST;
}

static bool is_meant(const struct order_event *e, const struct journeys *j,
		     const struct journey *one)
{
	unsigned service = JOURNEY_PORTMAP | JOURNEY_STUN;

	if (one->from != e->from || one->to != e->to)
		return false;
	if (!e->kinds) {
		if (one->over_relay ||
		    one->kind & (JOURNEY_ICMP_ERROR | JOURNEY_TCP))
			return false;
		/* Between clients it is payload that happens to look so. */
		return !(one->kind & service) || !is_client(j->cast, e->from) ||
		       !is_client(j->cast, e->to);
	}
	/* Over the relay only what is asked for as such, or is at home there.
	 */
	if (one->over_relay && !(e->kinds & JOURNEY_RELAY))
		return one->kind & e->kinds & JOURNEY_DISCO_CALL_ME_MAYBE;
	return one->kind & e->kinds;
}

static bool happens(const struct order_event *e, const struct journeys *j,
		    const struct journey *one, struct happened *h)
{
	const struct sighting *s = &one->sightings[one->sighting_count - 1];

	if (!is_meant(e, j, one))
		return false;
	h->one = one;
	if (e->what == ORDER_DIES_AT) {
		h->time_ns = one->last_ns;
		h->frame = s->frame->number;
		return !one->arrived &&
		       (e->at == -2 ? one->on_internet : one->died_at == e->at);
	}
	for (unsigned i = 0; i < one->sighting_count; i++) {
		s = &one->sightings[i];
		if (s->node != e->at || s->out != (e->what == ORDER_LEAVES))
			continue;
		h->time_ns = s->frame->time_ns;
		h->frame = s->frame->number;
		return true;
	}
	return false;
}

static bool is_earlier(const struct happened *a, const struct happened *b)
{
	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns;
	return a->frame < b->frame;
}

/* The first at or after SINCE. */
static struct happened find_first(const struct order_event *e,
				  const struct journeys *j, uint64_t since_ns)
{
	struct happened first = {0}, h;

	for (size_t i = 0; i < j->count; i++) {
		/* Journeys are by their beginning: no later one is earlier. */
		if (first.one && j->list[i].first_ns > first.time_ns)
			break;
		if (!happens(e, j, &j->list[i], &h) || h.time_ns < since_ns)
			continue;
		if (!first.one || is_earlier(&h, &first))
			first = h;
	}
	return first;
}

/*
 * An encrypted packet before UNTIL that may be what never was to happen: whom
 * it was for, or what came of it, is open. Then "never" is not proven.
 */
static const struct journey *find_open(const struct order_event *e,
				       const struct journeys *j,
				       uint64_t until_ns)
{
	struct happened h;

	for (size_t i = 0; i < j->count && j->list[i].first_ns < until_ns;
	     i++) {
		const struct journey *one = &j->list[i];
		struct journey as_if = *one;
		bool open = !one->arrived && one->died_at < 0 &&
			    !one->on_internet;

		if (!(one->kind & JOURNEY_OPAQUE) || (one->to >= 0 && !open))
			continue;
		if (one->to < 0)
			as_if.to = e->to;
		if (open ? is_meant(e, j, &as_if)
			 : happens(e, j, &as_if, &h))
			return one;
	}
	return NULL;
}

struct say {
	struct order_result *result;
	const struct journeys *j;
};

static void put(struct say *say, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct say *say, const char *format, ...)
{
	size_t used = strlen(say->result->why);
	va_list args;

	va_start(args, format);
	vsnprintf(say->result->why + used, sizeof(say->result->why) - used,
		  format, args);
	va_end(args);
}

static const char *kind_text(unsigned kinds)
{
	switch (kinds) {
	case 0:
		return "packet";
	case JOURNEY_DISCO_PING:
		return "disco.ping";
	case JOURNEY_DISCO_PONG:
		return "disco.pong";
	case JOURNEY_DISCO_CALL_ME_MAYBE:
		return "disco.call-me-maybe";
	case JOURNEY_STUN:
		return "stun packet";
	case JOURNEY_WIREGUARD:
		return "wireguard packet";
	case JOURNEY_PORTMAP:
		return "portmap packet";
	case JOURNEY_RELAY:
		return "relay packet";
	default:
		return "disco packet";
	}
}

static const char *node_text(const struct journeys *j, int node)
{
	return node == -2 ? "the internet" : j->cast->nodes[node].name;
}

static void put_verb(struct say *say, const struct order_event *e)
{
	static const char *const verbs[] = {"left", "reached", "died at"};

	put(say, "%s %s", verbs[e->what], node_text(say->j, e->at));
}

static void put_event(struct say *say, const struct order_event *e,
		      const char *article)
{
	put(say, "%s %s of %s for %s ", article, kind_text(e->kinds),
	    node_text(say->j, e->from), node_text(say->j, e->to));
	put_verb(say, e);
}

static void put_time(struct say *say, uint64_t time_ns)
{
	uint64_t ns = time_ns - say->j->recording->frames[0].time_ns;

	put(say, " at %" PRIu64 ".%06" PRIu64 " s", ns / 1000000000,
	    ns / 1000 % 1000000);
}

static void put_journey(struct say *say, const struct journey *one)
{
	char text[384];

	journey_describe(say->j, one, text, sizeof(text));
	put(say, ": %s", text);
}

static void add_frame(struct order_result *r, unsigned frame)
{
	for (unsigned i = 0; i < r->frame_count; i++)
		if (r->frames[i] == frame)
			return;
	if (r->frame_count < ORDER_MAX_EVIDENCE)
		r->frames[r->frame_count++] = frame;
}

static void add_journey(struct order_result *r, const struct journey *one)
{
	for (unsigned i = 0; i < one->sighting_count; i++)
		add_frame(r, one->sightings[i].frame->number);
}

/* It never happened: tell what became of the packets that could have. */
static void put_absent(struct say *say, const struct order_event *e)
{
	const struct journey *last = NULL;
	size_t count = 0;

	for (size_t i = 0; i < say->j->count; i++) {
		if (!is_meant(e, say->j, &say->j->list[i]))
			continue;
		last = &say->j->list[i];
		count++;
	}
	put_event(say, e, "no");
	if (!last) {
		put(say, ": the recording has no such packet");
		return;
	}
	if (count == 1)
		put(say, ", though one was sent");
	else
		put(say, ", though %zu were sent, the last", count);
	put_journey(say, last);
	add_journey(say->result, last);
}

static void put_happened(struct say *say, const struct order_event *e,
			 const struct happened *h, const char *article)
{
	put_event(say, e, article);
	put_time(say, h->time_ns);
	put(say, " (frame %u%s)", h->frame,
	    h->one->kind & JOURNEY_OPAQUE && e->kinds != JOURNEY_RELAY
		    ? ", encrypted: so by its size"
		    : "");
	add_frame(say->result, h->frame);
}

/* False where the recording leaves it open whether it happened. */
static bool check_open(struct say *say, const struct order_event *e,
		       uint64_t until_ns)
{
	const struct journey *one = find_open(e, say->j, until_ns);

	if (!one)
		return true;
	say->result->holds = false;
	put(say, "it may have happened, the recording does not tell");
	put_journey(say, one);
	add_journey(say->result, one);
	return false;
}

static void check_one(struct say *say, const struct order_statement *s)
{
	struct happened left = find_first(&s->left, say->j, 0);

	say->result->holds = !left.one == (s->form == ORDER_NEVER);
	if (say->result->holds && !left.one &&
	    !check_open(say, &s->left, UINT64_MAX))
		return;
	if (!left.one) {
		put_absent(say, &s->left);
		return;
	}
	put_happened(say, &s->left, &left, "a");
	add_journey(say->result, left.one);
	if (!say->result->holds)
		put_journey(say, left.one);
}

static void check_no_before(struct say *say, const struct order_statement *s,
			    const struct happened *left,
			    const struct happened *right)
{
	if (!left->one || !is_earlier(left, right)) {
		if (!check_open(say, &s->left, right->time_ns))
			return;
		say->result->holds = true;
		put_happened(say, &s->right, right, "the first");
		if (left->one) {
			put(say, ", and ");
			put_happened(say, &s->left, left, "the first");
		} else {
			put(say, ", and ");
			put_event(say, &s->left, "no");
			put(say, " at any time");
		}
		return;
	}
	put_happened(say, &s->left, left, "a");
	put(say, ", before ");
	put_happened(say, &s->right, right, "the first");
	put_journey(say, left->one);
	add_journey(say->result, left->one);
}

static void check_before(struct say *say, const struct order_statement *s,
			 const struct happened *left,
			 const struct happened *right)
{
	if (!left->one) {
		put_absent(say, &s->left);
		return;
	}
	say->result->holds = is_earlier(left, right);
	put_happened(say, &s->left, left, "the first");
	put(say, say->result->holds ? ", before " : ", not before ");
	put_happened(say, &s->right, right, "the first");
	if (say->result->holds)
		return;
	put_journey(say, left->one);
	add_journey(say->result, left->one);
}

static void check_within(struct say *say, const struct order_statement *s,
			 const struct happened *left,
			 const struct happened *right)
{
	struct happened after = find_first(&s->left, say->j, right->time_ns);
	uint64_t late_ns;

	if (!left->one) {
		put_absent(say, &s->left);
		return;
	}
	if (!after.one) {
		put_happened(say, &s->left, left, "the first");
		put(say, ", but none after ");
		put_happened(say, &s->right, right, "the first");
		return;
	}
	late_ns = after.time_ns - right->time_ns;
	say->result->holds = late_ns <= s->within_ns;
	put_happened(say, &s->left, &after, "a");
	put(say, ", %" PRIu64 ".%06" PRIu64 " s after ", late_ns / 1000000000,
	    late_ns / 1000 % 1000000);
	put_happened(say, &s->right, right, "the first");
	if (say->result->holds)
		return;
	put_journey(say, after.one);
	add_journey(say->result, after.one);
}

void order_check(const struct order_statement *statement,
		 const struct journeys *journeys, struct order_result *result)
{
	struct say say = {.result = result, .j = journeys};
	struct happened left, right;

	memset(result, 0, sizeof(*result));
	if (statement->form == ORDER_SOME || statement->form == ORDER_NEVER) {
		check_one(&say, statement);
		return;
	}
	right = find_first(&statement->right, journeys, 0);
	if (!right.one) {
		put(&say, "the right never happened: ");
		put_absent(&say, &statement->right);
		return;
	}
	left = find_first(&statement->left, journeys, 0);
	if (statement->form == ORDER_NO_BEFORE)
		check_no_before(&say, statement, &left, &right);
	else if (statement->form == ORDER_BEFORE)
		check_before(&say, statement, &left, &right);
	else
		check_within(&say, statement, &left, &right);
}
