/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/engine_own.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_BUCKETS = 64 };

static uint32_t hash_of(const struct table *t, const struct key *key)
{
	uint64_t a = (uint64_t)key->ip << 32 | key->peer_ip;
	uint64_t b = (uint64_t)key->port << 32 |
		     (uint64_t)key->peer_port << 16 | key->proto;

	a = (a ^ t->seed) * UINT64_C(0x9e3779b97f4a7c15);
	a ^= a >> 32;
	a = (a ^ b) * UINT64_C(0xd6e8feb86659fd93);
	a ^= a >> 32;
	return (uint32_t)((a * UINT64_C(0xd6e8feb86659fd93)) >> 32);
}

static bool key_equal(const struct key *a, const struct key *b)
{
	return a->ip == b->ip && a->peer_ip == b->peer_ip &&
	       a->port == b->port && a->peer_port == b->peer_port &&
	       a->proto == b->proto;
}

int engine_table_init(struct table *t, uint64_t seed)
{
	*t = (struct table){.seed = seed, .mask = FIRST_BUCKETS - 1};
	t->buckets = calloc(FIRST_BUCKETS, sizeof(*t->buckets));
	return t->buckets ? 0 : -ENOMEM;
}

void engine_table_free(struct table *t)
{
	free(t->buckets);
	*t = (struct table){0};
}

/* Without memory for it the table just gets slower. */
static void grow(struct table *t)
{
	size_t mask = 2 * t->mask + 1;
	struct node **buckets = calloc(mask + 1, sizeof(*buckets));

	if (!buckets)
		return;
	for (size_t i = 0; i <= t->mask; i++) {
		struct node *newest = NULL, *node = t->buckets[i];

		/* Turned round twice, so that the newest stays in front. */
		while (node) {
			struct node *next = node->next;

			node->next = newest;
			newest = node;
			node = next;
		}
		while ((node = newest)) {
			newest = node->next;
			node->next = buckets[node->hash & mask];
			buckets[node->hash & mask] = node;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->mask = mask;
}

void engine_table_add(struct table *t, struct node *node, const struct key *key)
{
	struct node **bucket;

	if (t->count > t->mask)
		grow(t);
	node->key = *key;
	node->hash = hash_of(t, key);
	bucket = &t->buckets[node->hash & t->mask];
	node->next = *bucket;
	*bucket = node;
	t->count++;
}

void engine_table_remove(struct table *t, struct node *node)
{
	struct node **at = &t->buckets[node->hash & t->mask];

	while (*at && *at != node)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = node->next;
	node->next = NULL;
	t->count--;
}

struct node *engine_table_find(const struct table *t, const struct key *key)
{
	uint32_t hash = hash_of(t, key);
	struct node *node = t->buckets[hash & t->mask];

	while (node && (node->hash != hash || !key_equal(&node->key, key)))
		node = node->next;
	return node;
}
