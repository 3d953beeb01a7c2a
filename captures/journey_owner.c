/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose an endpoint is: what a host's packets were seen to leave its routers
 * with, what STUN told it, what a router mapped for it, its own addresses, and
 * where a router has one host only, all of the router's ports.
 */
#include "captures/journey_private.h"
#include "wire/natpmp.h"
#include "wire/stun.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SSDP_PORT 1900

bool owner_is_multicast(uint32_t ip)
{
	return ip >> 28 == 0xe || ip == UINT32_MAX;
}

int owner_add(struct witness *w, struct endpoint at, uint8_t proto, int host,
	      uint64_t time_ns)
{
	if (list_room(&w->owners, &w->owner_room, w->owner_count,
		      sizeof(*w->owners)) < 0)
		return -ENOMEM;
	w->owners[w->owner_count++] = (struct owner){
		.at = at, .proto = proto, .host = host, .time_ns = time_ns};
	return 0;
}

/* A host that gets a binding response has the endpoint that it names. */
int owner_learn_stun(struct witness *w, const struct seen *seen)
{
	struct stun_message m;

	if (seen->node < 0 || seen->out ||
	    w->cast->nodes[seen->node].kind != CAST_HOST)
		return 0;
	if (stun_decode(seen->id, seen->id_bytes, &m, NULL) < 0 ||
	    m.class != STUN_SUCCESS || !m.mapped.ip)
		return 0;
	return owner_add(w, m.mapped, PACKET_UDP, seen->node,
			 seen->frame->time_ns);
}

static int compare_ends(struct endpoint a, struct endpoint b)
{
	if (a.ip != b.ip)
		return a.ip < b.ip ? -1 : 1;
	return (a.port > b.port) - (a.port < b.port);
}

static int compare_owners(const void *left, const void *right)
{
	const struct owner *a = left, *b = right;
	int rc = compare_ends(a->at, b->at);

	if (!rc)
		rc = (a->proto > b->proto) - (a->proto < b->proto);
	if (!rc)
		rc = (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
	return rc ? rc : (a->host > b->host) - (a->host < b->host);
}

/* Each end that a host's packet was seen with on its way is the host's. */
static int learn_trail(struct witness *w, const struct trail *t)
{
	const struct mark *m = &w->marks[t->first - 1];
	int host = m->s.node;

	if ((t->tag != TRAIL_UDP && t->tag != TRAIL_SYN) || host < 0 ||
	    !m->s.out || w->cast->nodes[host].kind != CAST_HOST)
		return 0;
	for (uint32_t i = m->next; i; i = m->next) {
		m = &w->marks[i - 1];
		if (cast_has_ip(&w->cast->nodes[host], m->s.src.ip))
			continue;
		if (owner_add(w, m->s.src, t->proto, host,
			      m->s.frame->time_ns) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int learn_grants(struct witness *w)
{
	for (size_t i = 0; i < w->grant_count; i++) {
		const struct grant *g = &w->grants[i];
		const struct cast_node *router;

		if (g->router < 0 || g->host < 0 || g->deletes)
			continue;
		router = &w->cast->nodes[g->router];
		for (unsigned k = 0; k < cast_wan_count(router); k++) {
			struct endpoint at = {router->ips[k], g->external_port};

			if (owner_add(w, at, g->proto, g->host, g->from_ns) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/*
 * A client that never got to the relay never said its key. Where only one key
 * is nobody's and only one host has none, they belong together.
 */
static void find_last_key(struct witness *w)
{
	struct relay_key *lone = NULL;
	int left = -1;
	unsigned keys = 0, hosts = 0;

	for (size_t i = 0; i < w->key_count; i++) {
		if (w->keys[i].host < 0) {
			lone = &w->keys[i];
			keys++;
		}
	}
	for (size_t i = 0; keys == 1 && i < w->cast->count; i++) {
		bool has_key = w->cast->nodes[i].kind != CAST_HOST;

		for (size_t k = 0; k < w->key_count && !has_key; k++)
			has_key = w->keys[k].host == (int)i;
		if (!has_key) {
			left = (int)i;
			hosts++;
		}
	}
	if (keys == 1 && hosts == 1)
		lone->host = left;
}

/* A key whose client was not recorded itself is told by where it came from. */
static void find_key_hosts(struct witness *w)
{
	for (size_t i = 0; i < w->key_count; i++) {
		struct relay_key *key = &w->keys[i];
		int host;

		if (key->host >= 0 || !key->seen_from.ip)
			continue;
		host = owner_find(w, key->seen_from, PACKET_TCP, key->seen_ns,
				  -1);
		if (host >= 0 && w->cast->nodes[host].kind == CAST_HOST)
			key->host = host;
	}
	find_last_key(w);
}

int owners_finish(struct witness *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->trail_count; i++)
		if (learn_trail(w, &w->trails[i]) < 0)
			return -ENOMEM;
	if (learn_grants(w) < 0)
		return -ENOMEM;
	if (w->owner_count)
		qsort(w->owners, w->owner_count, sizeof(*w->owners),
		      compare_owners);
	/* As long as an endpoint stays with one host, once is enough. */
	for (size_t i = 0; i < w->owner_count; i++) {
		const struct owner *o = &w->owners[i];
		const struct owner *last = kept ? &w->owners[kept - 1] : NULL;

		if (last && endpoint_equal(last->at, o->at) &&
		    last->proto == o->proto && last->host == o->host)
			continue;
		w->owners[kept++] = *o;
	}
	w->owner_count = kept;
	find_key_hosts(w);
	return 0;
}

static bool is_of(const struct owner *o, struct endpoint at, uint8_t proto)
{
	return o->proto == proto && endpoint_equal(o->at, at);
}

static int by_endpoint(const struct witness *w, struct endpoint at,
		       uint8_t proto, uint64_t time_ns)
{
	struct owner key = {.at = at,
			    .proto = proto,
			    .host = INT32_MAX,
			    .time_ns = time_ns};
	size_t low = 0, high = w->owner_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_owners(&w->owners[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* The last one before, else the first one after. */
	if (low && is_of(&w->owners[low - 1], at, proto))
		return w->owners[low - 1].host;
	if (low < w->owner_count && is_of(&w->owners[low], at, proto))
		return w->owners[low].host;
	return -1;
}

/* Private addresses are reused: the sender's own LAN has the first claim. */
static int by_ip(const struct witness *w, uint32_t ip, int near)
{
	const struct cast *cast = w->cast;
	bool near_router = near >= 0 && cast->nodes[near].kind == CAST_ROUTER;
	int lan = near < 0 ? -1 : cast->nodes[near].behind;
	int found = -1, count = 0;

	for (int i = 0; ip && i < (int)cast->count; i++) {
		const struct cast_node *node = &cast->nodes[i];

		if (!cast_has_ip(node, ip) || (i == near && !near_router))
			continue;
		if ((near_router && node->behind == near) ||
		    (lan >= 0 && (node->behind == lan || i == lan)))
			return i;
		found = i;
		count++;
	}
	return count == 1 ? found : -1;
}

int owner_find(const struct witness *w, struct endpoint at, uint8_t proto,
	       uint64_t time_ns, int near)
{
	int found = by_endpoint(w, at, proto, time_ns);
	const struct cast_node *node;
	bool outside = false;

	if (found >= 0)
		return found;
	found = by_ip(w, at.ip, near);
	if (found < 0)
		return -1;
	node = &w->cast->nodes[found];
	if (node->kind != CAST_ROUTER)
		return found;
	for (unsigned i = 0; i < cast_wan_count(node); i++)
		outside |= node->ips[i] == at.ip;
	if (!outside || (proto == PACKET_UDP &&
			 (at.port == NATPMP_PORT || at.port == SSDP_PORT)))
		return found;
	if (w->only_host[found] == -1)
		return found;
	return w->only_host[found] >= 0 ? w->only_host[found] : -1;
}
