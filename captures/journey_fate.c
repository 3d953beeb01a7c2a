/* SPDX-License-Identifier: BSD-3-Clause */
/* Who sent it, whom it was meant for, and where it was seen last. */
#include "captures/journey_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_flow(struct witness *w, struct endpoint ext,
		    struct endpoint remote, const struct trail *t,
		    uint64_t time_ns)
{
	if (list_room(&w->flows, &w->flow_room, w->flow_count,
		      sizeof(*w->flows)) < 0)
		return -ENOMEM;
	w->flows[w->flow_count++] = (struct flow){.ext = ext,
						  .remote = remote,
						  .proto = t->proto,
						  .time_ns = time_ns};
	return 0;
}

/* Each time that a router let the packet through, between LAN and outside. */
static int add_flows(struct witness *w, const struct trail *t)
{
	int rc = 0;

	for (uint32_t i = t->first; i && !rc; i = w->marks[i - 1].next) {
		const struct sighting *s = &w->marks[i - 1].s;

		if (s->node < 0 || !w->outside[s->frame->vantage] ||
		    w->cast->nodes[s->node].kind != CAST_ROUTER)
			continue;
		if (s->out)
			rc = add_flow(w, s->src, s->dst, t, s->frame->time_ns);
		else if (w->marks[i - 1].next)
			rc = add_flow(w, s->dst, s->src, t, s->frame->time_ns);
	}
	return rc;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static uint64_t key_of(struct endpoint e)
{
	return (uint64_t)e.ip << 16 | e.port;
}

static int compare_by_port(const void *left, const void *right)
{
	const struct flow *a = left, *b = right;
	int rc = compare_u64(key_of(a->ext), key_of(b->ext));

	if (!rc)
		rc = compare_u64(a->proto, b->proto);
	return rc ? rc : compare_u64(a->time_ns, b->time_ns);
}

static int compare_by_remote(const void *left, const void *right)
{
	const struct flow *a = left, *b = right;
	int rc = compare_u64(key_of(a->ext), key_of(b->ext));

	if (!rc)
		rc = compare_u64(a->proto, b->proto);
	if (!rc)
		rc = compare_u64(key_of(a->remote), key_of(b->remote));
	return rc ? rc : compare_u64(a->time_ns, b->time_ns);
}

int flows_finish(struct witness *w)
{
	for (size_t i = 0; i < w->trail_count; i++) {
		const struct trail *t = &w->trails[i];

		if ((t->tag == TRAIL_UDP || t->tag == TRAIL_SYN) &&
		    add_flows(w, t) < 0)
			return -ENOMEM;
	}
	if (!w->flow_count)
		return 0;
	w->flows_by_port = malloc(w->flow_count * sizeof(*w->flows));
	if (!w->flows_by_port)
		return -ENOMEM;
	memcpy(w->flows_by_port, w->flows, w->flow_count * sizeof(*w->flows));
	qsort(w->flows, w->flow_count, sizeof(*w->flows), compare_by_remote);
	qsort(w->flows_by_port, w->flow_count, sizeof(*w->flows),
	      compare_by_port);
	return 0;
}

const struct flow *flow_before(const struct witness *w, struct endpoint ext,
			       const struct endpoint *remote, uint8_t proto,
			       uint64_t time_ns)
{
	int (*compare)(const void *, const void *) =
		remote ? compare_by_remote : compare_by_port;
	const struct flow *list = remote ? w->flows : w->flows_by_port;
	struct flow key = {.ext = ext, .proto = proto, .time_ns = time_ns};
	size_t low = 0, high = w->flow_count;
	const struct flow *f;

	if (remote)
		key.remote = *remote;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&list[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	f = low ? &list[low - 1] : NULL;
	if (!f || !endpoint_equal(f->ext, ext) || f->proto != proto ||
	    (remote && !endpoint_equal(f->remote, *remote)))
		return NULL;
	return f;
}

/* Who is on the internet (LAN -1) or in a router's LAN with this address. */
static int find_on_link(const struct witness *w, int lan, uint32_t ip)
{
	for (int i = 0; i < (int)w->cast->count; i++) {
		const struct cast_node *node = &w->cast->nodes[i];
		unsigned count = node->ip_count;

		if (i == lan && cast_has_ip(node, ip))
			return i;
		if (node->behind != lan)
			continue;
		if (node->kind == CAST_ROUTER)
			count = cast_wan_count(node);
		for (unsigned k = 0; k < count; k++)
			if (node->ips[k] == ip)
				return i;
	}
	return -1;
}

int fate_next_node(const struct witness *w, const struct sighting *last,
		   int *lan)
{
	const struct cast_node *node = &w->cast->nodes[last->node];
	bool inside =
		node->kind == CAST_ROUTER && !w->outside[last->frame->vantage];
	int next;

	*lan = inside ? last->node : node->behind;
	next = find_on_link(w, *lan, last->dst.ip);
	/* What is not for a neighbour goes to the gateway. */
	if (next < 0 && *lan >= 0 && *lan != last->node)
		next = *lan;
	return next == last->node ? -1 : next;
}

bool fate_listened(const struct witness *w, int node, int lan)
{
	return node == lan ? w->has_inside[node] : w->has_outside[node];
}

/*
 * A router speaks for itself, or for somebody behind it whom nobody heard: its
 * own words have its address, and its inside would have been heard.
 */
static bool is_sender(const struct witness *w, const struct trail *t,
		      const struct sighting *s)
{
	const struct cast_node *node = &w->cast->nodes[s->node];

	if (node->kind != CAST_ROUTER || t->tag == TRAIL_ICMP)
		return true;
	return w->has_inside[s->node] && cast_has_ip(node, s->src.ip);
}

static int from_of(const struct witness *w, const struct trail *t)
{
	const struct mark *first = &w->marks[t->first - 1];
	const struct sighting *s = &first->s;
	int owner;

	if (t->tag == TRAIL_OPAQUE)
		return t->from_host;
	if (t->src_key && w->keys[t->src_key - 1].host >= 0)
		return w->keys[t->src_key - 1].host;
	if (first->from_relay)
		return -1;
	if (s->node >= 0 && s->out && is_sender(w, t, s))
		return s->node;
	owner = owner_find(w, s->src, t->proto, s->frame->time_ns,
			   s->out ? -1 : s->node);
	if (owner < 0 && s->out)
		owner = s->node;
	return owner;
}

static int to_of(const struct witness *w, const struct trail *t, int from)
{
	const struct mark *last = &w->marks[t->last - 1];
	const struct sighting *first = &w->marks[t->first - 1].s;
	const struct sighting *s = &last->s;
	bool end = s->node >= 0 && !s->out &&
		   w->cast->nodes[s->node].kind != CAST_ROUTER;
	int to;

	if (t->tag == TRAIL_OPAQUE)
		return t->to_host;
	if (t->tag == TRAIL_RELAY) {
		if (t->dst_key && w->keys[t->dst_key - 1].host >= 0)
			return w->keys[t->dst_key - 1].host;
		return end && last->from_relay ? s->node : -1;
	}
	if (end && !owner_is_multicast(s->dst.ip))
		return s->node;
	if (t->tag == TRAIL_ICMP && t->quotes)
		return from_of(w, &w->trails[t->quotes - 1]);
	if (owner_is_multicast(first->dst.ip))
		return from >= 0 && w->cast->nodes[from].kind == CAST_HOST
			       ? w->cast->nodes[from].behind
			       : -1;
	to = owner_find(w, first->dst, t->proto, first->frame->time_ns,
			first->node >= 0 ? first->node : from);
	if (to < 0)
		to = owner_find(w, s->dst, t->proto, s->frame->time_ns,
				s->node);
	return to;
}

static bool entered(const struct witness *w, const struct trail *t, int node)
{
	for (uint32_t i = t->first; i && node >= 0; i = w->marks[i - 1].next) {
		const struct mark *m = &w->marks[i - 1];

		if (m->s.node == node && !m->s.out &&
		    (i == t->last || owner_is_multicast(m->s.dst.ip)))
			return true;
	}
	return false;
}

static bool is_recorded(const struct witness *w, int node)
{
	return node >= 0 && (w->has_outside[node] || w->has_inside[node]);
}

/* It left the node that saw it last, and was not seen to come on. */
static void decide_left(const struct witness *w, const struct sighting *last,
			struct journey *one)
{
	int lan, next = fate_next_node(w, last, &lan);
	bool listened = next >= 0 && fate_listened(w, next, lan);

	if (next < 0) {
		one->on_internet = lan < 0;
		one->died_at = lan < 0 ? -1 : last->node;
		return;
	}
	if (!listened && !is_recorded(w, one->to))
		return;
	if (lan < 0 && listened)
		one->on_internet = true;
	else
		one->died_at = last->node;
}

/* It entered a node that it was not meant for and was not seen to leave. */
static void decide_entered(const struct witness *w, const struct trail *t,
			   const struct sighting *last, struct journey *one)
{
	const struct cast_node *node = &w->cast->nodes[last->node];
	bool outside = w->outside[last->frame->vantage];
	bool listened = outside ? w->has_inside[last->node]
				: w->has_outside[last->node];

	/* A router may have sent it on where nobody listened. */
	if (node->kind == CAST_ROUTER && !listened && !trail_is_relayed(t) &&
	    !is_recorded(w, one->to))
		return;
	one->died_at = last->node;
}

void fate_decide(const struct witness *w, const struct trail *t,
		 struct journey *one)
{
	const struct sighting *last = &w->marks[t->last - 1].s;

	one->from = from_of(w, t);
	one->to = to_of(w, t, one->from);
	one->died_at = -1;
	one->arrived = entered(w, t, one->to);
	if (one->arrived || last->node < 0 || t->doubt)
		return;
	if (last->out)
		decide_left(w, last, one);
	else
		decide_entered(w, t, last, one);
}
