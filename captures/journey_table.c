/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/journey_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

/* Eight bytes a turn: payloads are long, and there are many. */
uint64_t table_hash(const void *data, size_t size_bytes, uint64_t seed)
{
	const uint8_t *at = data;
	uint64_t h = mix(seed + UINT64_C(0x9e3779b97f4a7c15) + size_bytes);
	uint64_t word;

	for (; size_bytes >= sizeof(word); size_bytes -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
		h ^= h >> 29;
		at += sizeof(word);
	}
	word = 0;
	if (size_bytes)
		memcpy(&word, at, size_bytes);
	return mix(h ^ word);
}

static struct table_slot *slot_of(const struct table *t, uint64_t hash)
{
	size_t i = hash & (t->size - 1);

	while (t->slots[i].value && t->slots[i].hash != hash)
		i = (i + 1) & (t->size - 1);
	return &t->slots[i];
}

uint32_t table_get(const struct table *t, uint64_t hash)
{
	return t->size ? slot_of(t, hash)->value : 0;
}

static int table_grow(struct table *t)
{
	struct table bigger = {.size = t->size ? t->size * 2 : 256};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++)
		if (t->slots[i].value)
			*slot_of(&bigger, t->slots[i].hash) = t->slots[i];
	bigger.used = t->used;
	free(t->slots);
	*t = bigger;
	return 0;
}

int table_put(struct table *t, uint64_t hash, uint32_t value)
{
	struct table_slot *slot;

	if (t->used * 2 >= t->size && table_grow(t) < 0)
		return -ENOMEM;
	slot = slot_of(t, hash);
	if (!slot->value)
		t->used++;
	slot->hash = hash;
	slot->value = value;
	return 0;
}

void table_free(struct table *t)
{
	free(t->slots);
	memset(t, 0, sizeof(*t));
}

int list_room(void *list, size_t *room, size_t count, size_t item_bytes)
{
	void *items, *more;
	size_t want;

	if (count < *room)
		return 0;
	want = *room ? *room * 2 : 64;
	/* LIST is the address of a pointer of any type: copy, do not cast. */
	memcpy(&items, list, sizeof(items));
	more = realloc(items, want * item_bytes);
	if (!more)
		return -ENOMEM;
	memcpy(list, &more, sizeof(more));
	*room = want;
	return 0;
}
