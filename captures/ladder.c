/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journeys as a ladder: a lane a node, hosts outermost and servers in the
 * middle, a line a journey. Where the lanes do not fit, a list.
 */
#include "captures/journey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_COLUMNS 80
#define MIN_COLUMNS 40
#define MAX_COLUMNS 1000
#define MAX_LANES 64
#define MIN_STEP 6
/* Room for a million frames and two hours. */
#define FRONT_LEN 18
#define FRONT_FORMAT "%6u %9.4f  "
#define INDENT_LEN 4

struct ladder {
	const struct journeys *j;
	FILE *out;
	unsigned columns;
	bool colour;
	int lanes[MAX_LANES]; /* nodes from left to right */
	unsigned count, step;
	int *lane_of; /* by node; -1: none */
	bool *shown;  /* by node: it, or one behind it, was seen */
};

static const char red[] = "\033[31m", green[] = "\033[32m", dim[] = "\033[2m",
		  plain[] = "\033[0m";

static const char *paint(const struct ladder *l, const char *colour)
{
	return l->colour ? colour : "";
}

static void find_shown(struct ladder *l)
{
	const struct cast *cast = l->j->cast;

	for (size_t i = 0; i < l->j->count; i++) {
		const struct journey *one = &l->j->list[i];

		for (unsigned k = 0; k < one->sighting_count; k++)
			if (one->sightings[k].node >= 0)
				l->shown[one->sightings[k].node] = true;
		if (one->to >= 0)
			l->shown[one->to] = true;
	}
	for (size_t i = 0; i < cast->count; i++) {
		int at = l->shown[i] ? cast->nodes[i].behind : -1;

		for (; at >= 0; at = cast->nodes[at].behind)
			l->shown[at] = true;
	}
}

static void add_lane(struct ladder *l, int node)
{
	if (l->count < MAX_LANES)
		l->lanes[l->count] = node;
	l->count++;
}

/* A router and what is behind it, which is left of it or right of it. */
static void add_tree(struct ladder *l, int root, bool left)
{
	const struct cast *cast = l->j->cast;

	if (!left)
		add_lane(l, root);
	for (int i = 0; i < (int)cast->count; i++)
		if (cast->nodes[i].behind == root && l->shown[i])
			add_tree(l, i, left);
	if (left)
		add_lane(l, root);
}

static void add_lanes(struct ladder *l)
{
	const struct cast *cast = l->j->cast;
	unsigned roots = 0, seen = 0;

	for (size_t i = 0; i < cast->count; i++)
		roots += cast->nodes[i].behind < 0 && l->shown[i] &&
			 cast->nodes[i].kind != CAST_SERVER;
	for (int side = 0; side < 3; side++) {
		seen = 0;
		for (int i = 0; i < (int)cast->count; i++) {
			const struct cast_node *n = &cast->nodes[i];
			bool left;

			if (n->behind >= 0 || !l->shown[i])
				continue;
			if (n->kind == CAST_SERVER) {
				if (side == 1)
					add_lane(l, i);
				continue;
			}
			left = seen++ < (roots + 1) / 2;
			if (side == (left ? 0 : 2))
				add_tree(l, i, left);
		}
	}
}

/* False where the lanes do not fit. */
static bool fit(struct ladder *l)
{
	size_t longest = 0;

	if (!l->count || l->count > MAX_LANES)
		return false;
	for (unsigned i = 0; i < l->count; i++) {
		size_t len = strlen(l->j->cast->nodes[l->lanes[i]].name);

		if (len > longest)
			longest = len;
		l->lane_of[l->lanes[i]] = (int)i;
	}
	l->step = (unsigned)longest + 2;
	if (l->step < MIN_STEP)
		l->step = MIN_STEP;
	if (FRONT_LEN + l->count * l->step > l->columns && longest >= MIN_STEP)
		l->step = (unsigned)longest + 1;
	return FRONT_LEN + l->count * l->step <= l->columns;
}

/* Words up to the right edge, further lines indented. */
static void print_wrapped(const struct ladder *l, const char *text,
			  unsigned used, unsigned indent)
{
	while (*text) {
		size_t room = l->columns > used ? l->columns - used : 1;
		size_t len = strlen(text), cut = len;

		if (len > room) {
			for (cut = room; cut && text[cut] != ' '; cut--)
				;
			if (!cut)
				cut = strcspn(text, " ");
		}
		fprintf(l->out, "%.*s\n", (int)cut, text);
		text += cut;
		while (*text == ' ')
			text++;
		if (*text)
			fprintf(l->out, "%*s", (int)indent, "");
		used = indent;
	}
}

static double seconds_of(const struct ladder *l, const struct journey *one)
{
	uint64_t ns = one->first_ns - l->j->recording->frames[0].time_ns;

	return (double)ns / 1e9;
}

static void print_header(const struct ladder *l)
{
	fprintf(l->out, "%6s %9s  ", "frame", "seconds");
	for (unsigned i = 0; i < l->count; i++)
		fprintf(l->out, "%-*s", i + 1 < l->count ? (int)l->step : 0,
			l->j->cast->nodes[l->lanes[i]].name);
	fprintf(l->out, "\n");
}

/* Which way it was going when it was last seen: 1 is to the right. */
static int heading(const struct ladder *l, const struct journey *one,
		   unsigned end)
{
	int target = one->to >= 0 ? l->lane_of[one->to] : -1;

	if (target >= 0 && target != (int)end)
		return target > (int)end ? 1 : -1;
	return end * 2 < l->count ? 1 : -1;
}

static char *lane_at(const struct ladder *l, char *row, unsigned lane)
{
	return row + lane * l->step;
}

static void fill(char *from, char *to)
{
	char *low = from < to ? from : to, *high = from < to ? to : from;

	for (; low <= high; low++)
		if (*low == ' ' || *low == '|')
			*low = '-';
}

/* The end of the line: what it reached, or where it was seen no more. */
static void draw_end(const struct ladder *l, const struct journey *one,
		     char *row, unsigned before, unsigned end)
{
	const struct sighting *last = &one->sightings[one->sighting_count - 1];
	bool lost = one->died_at >= 0 || one->on_internet;
	char *at = lane_at(l, row, end);
	int stub = (int)l->step / 2;

	if (one->arrived) {
		*at = before > end ? '<' : '>';
		return;
	}
	if (!last->out) {
		*at = lost ? 'x' : '?';
		return;
	}
	if (heading(l, one, end) < 0)
		stub = -stub;
	fill(at, at + stub);
	at[stub] = lost ? 'x' : '?';
}

/* False where no node of the journey has a lane. */
static bool draw(const struct ladder *l, const struct journey *one, char *row)
{
	int before = -1, end = -1, lane;

	memset(row, ' ', l->count * l->step);
	row[l->count * l->step] = '\0';
	for (unsigned i = 0; i < l->count; i++)
		*lane_at(l, row, i) = '|';
	for (unsigned i = 0; i < one->sighting_count; i++) {
		if (one->sightings[i].node < 0)
			continue;
		lane = l->lane_of[one->sightings[i].node];
		if (lane == end)
			continue;
		if (end >= 0)
			fill(lane_at(l, row, (unsigned)end),
			     lane_at(l, row, (unsigned)lane));
		*lane_at(l, row, (unsigned)lane) = end < 0 ? 'o' : '+';
		before = end;
		end = lane;
	}
	if (end < 0)
		return false;
	draw_end(l, one, row, (unsigned)(before < 0 ? end : before),
		 (unsigned)end);
	return true;
}

static void print_row(const struct ladder *l, const struct journey *one,
		      char *row)
{
	const char *kind = journey_kind_name(one);
	unsigned used = FRONT_LEN + l->count * l->step;
	size_t label_len;
	char reason[256];

	journey_reason(l->j, one, reason, sizeof(reason));
	label_len = strlen(kind) + (*reason ? 2 + strlen(reason) : 0);
	draw(l, one, row);
	fprintf(l->out, "%s" FRONT_FORMAT "%s", paint(l, dim),
		one->sightings[0].frame->number, seconds_of(l, one),
		paint(l, plain));
	fprintf(l->out, "%s%s%s", paint(l, one->arrived ? green : red), row,
		paint(l, plain));
	if (used + label_len <= l->columns) {
		fprintf(l->out, "%s%s%s\n", kind, *reason ? ": " : "", reason);
		return;
	}
	if (used + strlen(kind) > l->columns)
		fprintf(l->out, "\n%*s%s%s", INDENT_LEN, "", kind,
			*reason ? ": " : "\n");
	else
		fprintf(l->out, "%s\n%*s", kind, *reason ? INDENT_LEN : 0, "");
	used = used + strlen(kind) > l->columns
		       ? INDENT_LEN + (unsigned)strlen(kind) + 2
		       : INDENT_LEN;
	if (*reason)
		print_wrapped(l, reason, used, INDENT_LEN);
}

static void print_item(const struct ladder *l, const struct journey *one)
{
	char text[600];

	fprintf(l->out, "%s" FRONT_FORMAT "%s%s", paint(l, dim),
		one->sightings[0].frame->number, seconds_of(l, one),
		paint(l, plain), paint(l, one->arrived ? green : red));
	journey_describe(l->j, one, text, sizeof(text));
	print_wrapped(l, text, FRONT_LEN, FRONT_LEN);
	fprintf(l->out, "%s", paint(l, plain));
}

static void print_all(const struct ladder *l, char *row, bool lanes)
{
	if (lanes)
		print_header(l);
	else
		fprintf(l->out, "%6s %9s\n", "frame", "seconds");
	for (size_t i = 0; i < l->j->count; i++) {
		if (lanes)
			print_row(l, &l->j->list[i], row);
		else
			print_item(l, &l->j->list[i]);
	}
}

int journeys_print_ladder(const struct journeys *j, unsigned columns,
			  bool colour, FILE *out)
{
	struct ladder l = {.j = j, .out = out, .colour = colour};
	size_t nodes = j->cast->count;
	char *row = NULL;
	bool lanes;
	int rc = -ENOMEM;

	l.columns = columns ? columns : DEFAULT_COLUMNS;
	if (l.columns < MIN_COLUMNS)
		l.columns = MIN_COLUMNS;
	if (l.columns > MAX_COLUMNS)
		l.columns = MAX_COLUMNS;
	l.lane_of = malloc((nodes + 1) * sizeof(*l.lane_of));
	l.shown = calloc(nodes + 1, sizeof(*l.shown));
	row = malloc(MAX_COLUMNS + 1);
	if (!l.lane_of || !l.shown || !row)
		goto out;
	for (size_t i = 0; i < nodes; i++)
		l.lane_of[i] = -1;
	find_shown(&l);
	add_lanes(&l);
	lanes = fit(&l);
	print_all(&l, row, lanes);
	rc = ferror(out) ? -EIO : 0;
out:
	free(row);
	free(l.lane_of);
	free(l.shown);
	return rc;
}
