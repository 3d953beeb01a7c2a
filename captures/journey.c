/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/journey_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (256 * 1024)

struct chunk {
	struct chunk *next;
	size_t used_bytes, size_bytes;
	uint8_t data[];
};

uint8_t *witness_copy(struct witness *w, const void *data, size_t size_bytes)
{
	struct chunk *c = w->chunks;
	uint8_t *copy;

	if (!c || c->size_bytes - c->used_bytes < size_bytes) {
		size_t room =
			size_bytes > CHUNK_BYTES ? size_bytes : CHUNK_BYTES;

		c = malloc(sizeof(*c) + room);
		if (!c)
			return NULL;
		c->next = w->chunks;
		c->used_bytes = 0;
		c->size_bytes = room;
		w->chunks = c;
	}
	copy = c->data + c->used_bytes;
	memcpy(copy, data, size_bytes);
	c->used_bytes += size_bytes;
	return copy;
}

static void witness_free(struct witness *w)
{
	if (!w)
		return;
	sides_free(w);
	table_free(&w->by_id);
	table_free(&w->by_tuple);
	table_free(&w->by_side);
	table_free(&w->by_key);
	while (w->chunks) {
		struct chunk *c = w->chunks;

		w->chunks = c->next;
		free(c);
	}
	cast_free(w->cast);
	free(w->places);
	free(w->outside);
	free(w->has_outside);
	free(w->has_inside);
	free(w->only_host);
	free(w->trails);
	free(w->marks);
	free(w->keys);
	free(w->links);
	free(w->notes);
	free(w->owners);
	free(w->flows);
	free(w->flows_by_port);
	free(w->grants);
	free(w->trail_of);
	free(w);
}

void journeys_free(struct journeys *j)
{
	if (!j)
		return;
	witness_free(j->own);
	free(j->list);
	free(j->sightings);
	free(j);
}

/* Vantages of nodes that the cast does not know still have a place each. */
static void find_places(struct witness *w)
{
	const struct recording *rec = w->rec;

	for (size_t i = 0; i < rec->vantage_count; i++) {
		const struct vantage *v = &rec->vantages[i];
		int node = cast_find(w->cast, v->node);
		size_t same = 0;

		w->outside[i] = true;
		w->places[i] = node;
		if (node < 0) {
			while (strcmp(rec->vantages[same].node, v->node))
				same++;
			w->places[i] = (int)(w->cast->count + same);
			continue;
		}
		w->outside[i] = cast_is_outside(&w->cast->nodes[node], v);
		if (w->outside[i])
			w->has_outside[node] = true;
		else
			w->has_inside[node] = true;
	}
}

static void find_only_hosts(struct witness *w)
{
	const struct cast *cast = w->cast;

	for (size_t i = 0; i < cast->count; i++)
		w->only_host[i] = -1;
	for (size_t i = 0; i < cast->count; i++) {
		int at = cast->nodes[i].behind;

		if (cast->nodes[i].kind == CAST_ROUTER)
			continue;
		for (; at >= 0; at = cast->nodes[at].behind)
			w->only_host[at] = w->only_host[at] == -1 ? (int)i : -2;
	}
}

static struct witness *witness_new(const struct recording *rec,
				   const struct cast *cast)
{
	struct witness *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->rec = rec;
	w->cast = cast_copy(cast);
	w->places = calloc(rec->vantage_count + 1, sizeof(*w->places));
	w->outside = calloc(rec->vantage_count + 1, sizeof(*w->outside));
	w->has_outside = calloc(cast->count + 1, sizeof(*w->has_outside));
	w->has_inside = calloc(cast->count + 1, sizeof(*w->has_inside));
	w->only_host = calloc(cast->count + 1, sizeof(*w->only_host));
	if (!w->cast || !w->places || !w->outside || !w->has_outside ||
	    !w->has_inside || !w->only_host) {
		witness_free(w);
		return NULL;
	}
	cast_learn(w->cast, rec);
	find_places(w);
	find_only_hosts(w);
	return w;
}

struct start {
	uint64_t time_ns;
	uint32_t trail;
};

static int compare_starts(const void *left, const void *right)
{
	const struct start *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return (a->trail > b->trail) - (a->trail < b->trail);
}

/* How many journeys there are, or -ENOMEM. */
static int64_t sort_trails(struct witness *w)
{
	struct start *starts = calloc(w->trail_count + 1, sizeof(*starts));
	size_t count = 0;

	w->trail_of = calloc(w->trail_count + 1, sizeof(*w->trail_of));
	if (!starts || !w->trail_of) {
		free(starts);
		return -ENOMEM;
	}
	for (size_t i = 0; i < w->trail_count; i++) {
		const struct mark *m = &w->marks[w->trails[i].first - 1];

		if (w->trails[i].dropped)
			continue;
		starts[count].time_ns = m->s.frame->time_ns;
		starts[count++].trail = (uint32_t)i;
	}
	qsort(starts, count, sizeof(*starts), compare_starts);
	for (size_t i = 0; i < count; i++) {
		w->trail_of[i] = starts[i].trail;
		w->trails[starts[i].trail].journey = (uint32_t)i;
	}
	free(starts);
	return (int64_t)count;
}

static void tell(struct journeys *j, const struct trail *t, struct journey *one,
		 struct sighting *sightings)
{
	const struct witness *w = witness_of(j);

	one->kind = t->kind;
	one->over_relay = trail_is_relayed(t);
	one->opaque_bytes = t->opaque_bytes;
	if (t->tag == TRAIL_UDP || t->tag == TRAIL_RELAY ||
	    t->tag == TRAIL_HTTP) {
		one->payload = t->id;
		one->payload_bytes = t->id_bytes;
	}
	one->sightings = sightings;
	for (uint32_t i = t->first; i; i = w->marks[i - 1].next)
		sightings[one->sighting_count++] = w->marks[i - 1].s;
	one->first_ns = sightings[0].frame->time_ns;
	one->last_ns = sightings[one->sighting_count - 1].frame->time_ns;
	fate_decide(w, t, one);
}

static int tell_all(struct journeys *j)
{
	struct witness *w = j->own;
	struct table counts = {0};
	int64_t count;
	size_t used = 0;
	int rc = 0;

	j->list = calloc(w->trail_count + 1, sizeof(*j->list));
	j->sightings = calloc(w->mark_count + 1, sizeof(*j->sightings));
	count = sort_trails(w);
	if (!j->list || !j->sightings || count < 0)
		return -ENOMEM;
	j->count = (size_t)count;
	for (size_t i = 0; i < j->count && !rc; i++) {
		struct trail *t = &w->trails[w->trail_of[i]];
		struct journey *one = &j->list[i];
		int key[3];
		uint64_t hash;

		tell(j, t, one, j->sightings + used);
		used += one->sighting_count;
		key[0] = one->from;
		key[1] = one->to;
		key[2] = (int)one->kind;
		hash = table_hash(key, sizeof(key), 5);
		t->ordinal = table_get(&counts, hash) + 1;
		rc = table_put(&counts, hash, t->ordinal);
	}
	table_free(&counts);
	return rc;
}

int journeys_new(const struct recording *rec, const struct cast *cast,
		 struct journeys **journeys, struct err *err)
{
	struct journeys *j = calloc(1, sizeof(*j));
	struct witness *w = NULL;
	int rc = -ENOMEM;

	*journeys = NULL;
	if (!j)
		goto out;
	j->recording = rec;
	j->cast = cast;
	j->own = w = witness_new(rec, cast);
	if (!w)
		goto out;
	rc = witness_read(w, err);
	if (rc < 0)
		goto out;
	rc = grants_finish(w);
	if (!rc)
		rc = owners_finish(w);
	if (!rc)
		rc = flows_finish(w);
	if (!rc)
		rc = tls_finish(w);
	if (!rc)
		rc = tell_all(j);
out:
	if (rc < 0) {
		if (rc == -ENOMEM)
			err_set(err, ENOMEM, "no memory for the journeys");
		journeys_free(j);
		return rc;
	}
	*journeys = j;
	return 0;
}

const struct trail *trail_of(const struct journeys *j,
			     const struct journey *one)
{
	const struct witness *w = witness_of(j);

	return &w->trails[w->trail_of[one - j->list]];
}

const struct journey *journeys_find(const struct journeys *j,
				    const void *payload, size_t payload_bytes,
				    uint64_t since_ns)
{
	const struct witness *w = witness_of(j);
	uint64_t hash = table_hash(payload, payload_bytes, 16 + TRAIL_UDP);
	const struct journey *found = NULL;

	/* Newest first: the last one that fits is the first in time. */
	for (uint32_t i = table_get(&w->by_id, hash); i;
	     i = w->trails[i - 1].older) {
		const struct trail *t = &w->trails[i - 1];
		const struct journey *one = &j->list[t->journey];

		if (t->tag != TRAIL_UDP || t->id_bytes != payload_bytes ||
		    (payload_bytes && memcmp(t->id, payload, payload_bytes)) ||
		    one->first_ns < since_ns)
			continue;
		if (!found || one->first_ns <= found->first_ns)
			found = one;
	}
	return found;
}
