/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which record out of a relay is which that it got: of the same size, to
 * another client, soon after, the oldest first; or several in one record. Of
 * one sender's packets of a size any may be taken for any: who sent to whom
 * stays the same.
 * Where another answer is possible that tells another story, none is given.
 */
#include "captures/journey_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A relay takes a millisecond. */
#define AT_ONCE_NS UINT64_C(2000000)
/* One that is not stuck, on a machine that may be busy. */
#define SOON_NS UINT64_C(100000000)
/* It waits for a client's TCP to take the packet. */
#define LATE_NS UINT64_C(120000000000)

enum {
	/* Of one size at once; beyond that no answer is sought. */
	MAX_ALIKE = 64,
	MAX_TURNS = 12,	  /* how far an answer may change others */
	MAX_STEPS = 5000, /* all in all, for one record */
	MAX_MERGED = 8,
	MAX_WAITING = 32,
	/* The relay's frame around each packet in a record. */
	FRAME_BYTES = 5 + DERP_KEY_BYTES
};

struct up {
	const struct half *half;
	uint32_t slot;	/* 1 + index of what it went out as; 0: none */
	uint32_t looked; /* the search that was here last */
};

/* A packet in a record that the relay sent. */
struct slot {
	const struct half *down;
	uint32_t up; /* 1 + index */
	uint32_t packet_bytes;
	uint64_t window_ns;
};

struct match {
	struct witness *w;
	struct up *ups; /* by relay, size, time */
	size_t up_count;
	uint32_t *in_time; /* indices of ups by relay, time */
	const struct half **downs; /* by relay, time */
	bool *explained;
	size_t down_count;
	struct slot *slots;
	size_t slot_count, slot_room;
	uint32_t search, steps;
};

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_time(const struct half *a, const struct half *b)
{
	int rc = (a->relay > b->relay) - (a->relay < b->relay);

	if (!rc)
		rc = compare_u64(a->time_ns, b->time_ns);
	return rc ? rc : compare_u64(a->trail, b->trail);
}

static int compare_ups(const void *left, const void *right)
{
	const struct half *a = ((const struct up *)left)->half;
	const struct half *b = ((const struct up *)right)->half;

	if (a->relay != b->relay)
		return a->relay < b->relay ? -1 : 1;
	if (a->packet_bytes != b->packet_bytes)
		return a->packet_bytes < b->packet_bytes ? -1 : 1;
	return compare_time(a, b);
}

static int compare_downs(const void *left, const void *right)
{
	return compare_time(*(const struct half *const *)left,
			    *(const struct half *const *)right);
}

static int compare_in_time(const void *left, const void *right, void *ups)
{
	const struct up *list = ups;

	return compare_time(list[*(const uint32_t *)left].half,
			    list[*(const uint32_t *)right].half);
}

static uint64_t since(uint64_t time_ns, uint64_t window_ns)
{
	return time_ns > window_ns ? time_ns - window_ns : 0;
}

/* The first of the slot's size that is not too old. */
static size_t first_alike(const struct match *m, const struct slot *s)
{
	struct half key = {.relay = s->down->relay,
			   .packet_bytes = s->packet_bytes,
			   .time_ns = since(s->down->time_ns, s->window_ns)};
	struct up wanted = {.half = &key};
	size_t low = 0, high = m->up_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_ups(&m->ups[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_alike(const struct match *m, const struct slot *s, size_t i)
{
	const struct half *h;

	if (i >= m->up_count)
		return false;
	h = m->ups[i].half;
	return h->relay == s->down->relay &&
	       h->packet_bytes == s->packet_bytes &&
	       h->time_ns <= s->down->time_ns;
}

/* Nobody is sent what he sent himself. */
static bool may_be(const struct up *u, const struct slot *s)
{
	return u->half->host != s->down->host;
}

static void give(struct match *m, size_t up, size_t slot)
{
	m->ups[up].slot = (uint32_t)slot + 1;
	m->slots[slot].up = (uint32_t)up + 1;
}

/*
 * Finds a packet for the slot: the oldest that is free, else one whose own
 * slot can have another (augmenting paths).
 */
static bool take(struct match *m, size_t slot, unsigned turn)
{
	const struct slot *s = &m->slots[slot];
	size_t first = first_alike(m, s);

	for (size_t i = first; is_alike(m, s, i) && i - first < MAX_ALIKE;
	     i++) {
		m->steps++;
		if (!m->ups[i].slot && may_be(&m->ups[i], s)) {
			give(m, i, slot);
			return true;
		}
	}
	if (turn == MAX_TURNS)
		return false;
	for (size_t i = first; is_alike(m, s, i) && i - first < MAX_ALIKE;
	     i++) {
		struct up *u = &m->ups[i];

		if (++m->steps > MAX_STEPS)
			return false;
		if (!may_be(u, s) || u->looked == m->search)
			continue;
		u->looked = m->search;
		if (take(m, u->slot - 1, turn + 1)) {
			give(m, i, slot);
			return true;
		}
	}
	return false;
}

static int add_slot(struct match *m, const struct half *down,
		    uint32_t packet_bytes, uint64_t window_ns)
{
	if (list_room(&m->slots, &m->slot_room, m->slot_count,
		      sizeof(*m->slots)) < 0)
		return -ENOMEM;
	m->slots[m->slot_count++] = (struct slot){.down = down,
						  .packet_bytes = packet_bytes,
						  .window_ns = window_ns};
	return 0;
}

/* Those that wait at the relay and may be for this one, oldest first. */
static unsigned find_waiting(const struct match *m, const struct half *down,
			     uint64_t window_ns, uint32_t list[MAX_WAITING])
{
	struct half key = {.relay = down->relay,
			   .time_ns = since(down->time_ns, window_ns)};
	size_t low = 0, high = m->up_count;
	unsigned count = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_time(m->ups[m->in_time[middle]].half, &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < m->up_count && count < MAX_WAITING; low++) {
		const struct up *u = &m->ups[m->in_time[low]];

		if (u->half->relay != down->relay ||
		    u->half->time_ns > down->time_ns)
			break;
		if (!u->slot && u->half->host != down->host)
			list[count++] = m->in_time[low];
	}
	return count;
}

/*
 * A relay that has several packets for a client writes them at once. Only one
 * row of those that wait may make up the size. 1: explained, 0, or -ENOMEM.
 */
static int take_merged(struct match *m, const struct half *down,
		       uint64_t window_ns)
{
	uint32_t list[MAX_WAITING];
	unsigned count = find_waiting(m, down, window_ns, list);
	unsigned at = 0, len = 0, found = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t left = down->packet_bytes + FRAME_BYTES;

		for (unsigned k = i; k < count && k - i < MAX_MERGED; k++) {
			uint32_t bytes = m->ups[list[k]].half->packet_bytes +
					 FRAME_BYTES;

			if (bytes > left)
				break;
			left -= bytes;
			if (left)
				continue;
			at = i;
			len = k - i + 1;
			found++;
			break;
		}
	}
	if (found != 1 || len < 2)
		return 0;
	for (unsigned k = at; k < at + len; k++) {
		if (add_slot(m, down, m->ups[list[k]].half->packet_bytes,
			     window_ns) < 0)
			return -ENOMEM;
		give(m, list[k], m->slot_count - 1);
	}
	return 1;
}

/* Those that went on sooner first: what comes late is the exception. */
static int explain(struct match *m, uint64_t window_ns)
{
	for (size_t i = 0; i < m->down_count; i++) {
		const struct half *down = m->downs[i];
		int rc;

		if (m->explained[i])
			continue;
		if (add_slot(m, down, down->packet_bytes, window_ns) < 0)
			return -ENOMEM;
		m->search++;
		m->steps = 0;
		m->explained[i] = take(m, m->slot_count - 1, 0);
		/* It need not have been so quick. */
		if (m->explained[i] && window_ns < SOON_NS)
			m->slots[m->slot_count - 1].window_ns = SOON_NS;
		if (m->explained[i])
			continue;
		m->slot_count--;
		rc = take_merged(m, down, window_ns);
		if (rc < 0)
			return rc;
		m->explained[i] = rc;
	}
	return 0;
}

/*
 * Whether SLOT could have been another client's packet with all else still
 * explained, and packet UP, whose it is now, gone elsewhere or nowhere.
 */
static bool has_other(struct match *m, size_t slot, size_t up, unsigned turn)
{
	const struct slot *s = &m->slots[slot];
	const struct half *own = m->ups[up].half;
	int host = m->slots[m->ups[up].slot - 1].down->host;
	size_t first = first_alike(m, s);
	bool other = false;

	for (size_t i = first; is_alike(m, s, i) && !other; i++) {
		struct up *u = &m->ups[i];

		/* Not to be told by looking at so much: then it is open. */
		if (i - first == MAX_ALIKE || ++m->steps > MAX_STEPS)
			return true;
		if (!may_be(u, s) || u->looked == m->search)
			continue;
		if (!turn && u->half->host == own->host) {
			m->w->trails[u->half->trail].or_alike |= !u->slot;
			continue;
		}
		if (i == up) {
			other = s->down->host != host;
			continue;
		}
		if (turn == MAX_TURNS)
			return true;
		u->looked = m->search;
		other = !u->slot || has_other(m, u->slot - 1, up, turn + 1);
		if (!u->slot)
			m->w->trails[u->half->trail].doubt = OPAQUE_ALIKE;
	}
	return other;
}

static void find_alike(struct match *m)
{
	for (size_t i = 0; i < m->up_count; i++) {
		if (!m->ups[i].slot)
			continue;
		m->search++;
		m->steps = 0;
		if (has_other(m, m->ups[i].slot - 1, i, 0))
			m->w->trails[m->ups[i].half->trail].doubt =
				OPAQUE_ALIKE;
	}
}

/* What came out and is not explained may have had any of these in it. */
static void find_merged(struct match *m)
{
	const struct half *next = NULL, *other = NULL;
	size_t d = m->down_count;

	for (size_t i = m->up_count; i--;) {
		const struct up *u = &m->ups[m->in_time[i]];
		struct trail *t = &m->w->trails[u->half->trail];
		const struct half *may;

		/* The next one after it, and the next to somebody else. */
		while (d && compare_time(m->downs[d - 1], u->half) > 0) {
			if (!m->explained[--d]) {
				if (next && next->host != m->downs[d]->host)
					other = next;
				next = m->downs[d];
			}
		}
		may = next && next->host == u->half->host ? other : next;
		if (!u->slot && !t->doubt && may &&
		    may->relay == u->half->relay &&
		    may->time_ns - u->half->time_ns <= LATE_NS)
			t->doubt = OPAQUE_MERGED;
	}
}

/*
 * A relay whose segments are lost keeps all that comes after for later: then
 * not even who is connected is sent what is for him.
 */
static bool was_stuck(const struct tls_link *l, uint64_t time_ns)
{
	return l->resent_ns[0] && time_ns >= since(l->resent_ns[0], SOON_NS) &&
	       since(time_ns, LATE_NS) <= l->resent_ns[1];
}

/*
 * Whose connections the relay had then: THERE by node. False where it could
 * not get through on one of them.
 */
static bool find_connected(const struct witness *w, const struct half *h,
			   bool *there)
{
	bool recorded = w->has_outside[h->relay];
	bool sure = true;

	memset(there, 0, w->cast->count * sizeof(*there));
	for (size_t i = 0; i < w->link_count; i++) {
		const struct tls_link *l = &w->links[i];

		if (l->host < 0 || l->host == h->host ||
		    l->relay_node != h->relay || !l->ready_ns ||
		    (recorded && w->places[l->vantage] != h->relay) ||
		    l->ready_ns > h->time_ns || h->time_ns >= l->until_ns)
			continue;
		there[l->host] = true;
		sure &= !was_stuck(l, h->time_ns);
	}
	return sure;
}

/* Whom it was for, though it never got there: who is left. */
static void guess_to(struct witness *w, const struct half *h, bool *there)
{
	struct trail *t = &w->trails[h->trail];
	bool sure = find_connected(w, h, there) && h->at_relay && !t->doubt;
	int absent = -1, other = -1;
	unsigned absents = 0, others = 0;

	if (h->host < 0)
		return;
	for (int i = 0; i < (int)w->cast->count; i++) {
		if (w->cast->nodes[i].kind != CAST_HOST || i == h->host)
			continue;
		other = i;
		others++;
		if (!there[i]) {
			absent = i;
			absents++;
		}
	}
	if (others == 1) {
		t->to_host = other;
		t->told_by = OPAQUE_TO_ONLY_HOST;
	} else if (absents == 1 && sure) {
		t->to_host = absent;
		t->told_by = OPAQUE_TO_ONLY_ABSENT;
	}
}

static int tell(struct match *m, struct half *halves, size_t count)
{
	struct witness *w = m->w;
	bool *there;

	for (size_t i = 0; i < count; i++) {
		w->trails[halves[i].trail].from_host = halves[i].host;
		w->trails[halves[i].trail].dropped = !halves[i].up;
	}
	for (size_t i = 0; i < m->up_count; i++) {
		const struct up *u = &m->ups[i];
		struct trail *t = &w->trails[u->half->trail];
		const struct half *down;

		if (!u->slot || t->doubt)
			continue;
		down = m->slots[u->slot - 1].down;
		t->to_host = down->host;
		if (chain_append(w, u->half->trail, down->trail) < 0)
			return -ENOMEM;
	}
	there = calloc(w->cast->count + 1, sizeof(*there));
	if (!there)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (halves[i].up && w->trails[halves[i].trail].to_host < 0)
			guess_to(w, &halves[i], there);
	free(there);
	return 0;
}

static int match_new(struct match *m, const struct half *halves, size_t count)
{
	m->ups = calloc(count + 1, sizeof(*m->ups));
	m->in_time = calloc(count + 1, sizeof(*m->in_time));
	m->downs = calloc(count + 1, sizeof(struct half *));
	m->explained = calloc(count + 1, sizeof(*m->explained));
	if (!m->ups || !m->in_time || !m->downs || !m->explained)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!halves[i].up)
			m->downs[m->down_count++] = &halves[i];
		else if (halves[i].at_relay)
			m->ups[m->up_count++].half = &halves[i];
	}
	qsort(m->ups, m->up_count, sizeof(*m->ups), compare_ups);
	qsort(m->downs, m->down_count, sizeof(struct half *), compare_downs);
	for (size_t i = 0; i < m->up_count; i++)
		m->in_time[i] = (uint32_t)i;
	qsort_r(m->in_time, m->up_count, sizeof(*m->in_time), compare_in_time,
		m->ups);
	return 0;
}

int opaque_join(struct witness *w, struct half *halves, size_t count)
{
	struct match m = {.w = w};
	int rc = match_new(&m, halves, count);

	if (!rc)
		rc = explain(&m, AT_ONCE_NS);
	if (!rc)
		rc = explain(&m, SOON_NS);
	if (!rc)
		rc = explain(&m, LATE_NS);
	if (!rc) {
		find_alike(&m);
		find_merged(&m);
		rc = tell(&m, halves, count);
	}
	free(m.ups);
	free(m.in_time);
	free(m.downs);
	free(m.explained);
	free(m.slots);
	return rc;
}
