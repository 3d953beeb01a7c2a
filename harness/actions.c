/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/actions.h"

#include <stdlib.h>
#include <string.h>

void actions_init(struct actions *a)
{
	*a = (struct actions){0};
}

void actions_free(struct actions *a)
{
	free(a->list);
	free(a->bytes);
	*a = (struct actions){0};
}

void actions_clear(struct actions *a)
{
	a->count = 0;
	a->bytes_used = 0;
}

const uint8_t *actions_payload(const struct actions *a,
			       const struct action *one)
{
	return a->bytes ? a->bytes + one->payload_at : NULL;
}

/* Grows *MEMORY to hold NEED items of SIZE bytes; false: no memory. */
static bool grow(void **memory, size_t *room, size_t need, size_t size_bytes)
{
	size_t wanted = *room ? *room : 16;
	void *bigger;

	if (need <= *room)
		return true;
	while (wanted < need)
		wanted *= 2;
	bigger = realloc(*memory, wanted * size_bytes);
	if (!bigger)
		return false;
	*memory = bigger;
	*room = wanted;
	return true;
}

static struct action *append(struct actions *a, enum action_kind kind,
			     const void *payload, size_t payload_bytes)
{
	void *list = a->list, *bytes = a->bytes;
	struct action *one;
	bool ok;

	ok = grow(&list, &a->room, a->count + 1, sizeof(*a->list));
	a->list = list;
	ok = ok && grow(&bytes, &a->bytes_room,
			a->bytes_used + payload_bytes, 1);
	a->bytes = bytes;
	if (!ok) {
		a->failed = true;
		return NULL;
	}
	one = &a->list[a->count++];
	*one = (struct action){.kind = kind,
			       .payload_at = a->bytes_used,
			       .payload_bytes = payload_bytes};
	if (payload_bytes)
		memcpy(a->bytes + a->bytes_used, payload, payload_bytes);
	a->bytes_used += payload_bytes;
	return one;
}

void actions_udp(struct actions *a, struct endpoint src, struct endpoint dst,
		 const void *payload, size_t payload_bytes)
{
	struct action *one = append(a, ACTION_UDP, payload, payload_bytes);

	if (one) {
		one->src = src;
		one->dst = dst;
	}
}

void actions_connect(struct actions *a, uint32_t stream, struct endpoint dst)
{
	struct action *one = append(a, ACTION_CONNECT, NULL, 0);

	if (one) {
		one->stream = stream;
		one->dst = dst;
	}
}

void actions_write(struct actions *a, uint32_t stream, const void *payload,
		   size_t payload_bytes)
{
	struct action *one = append(a, ACTION_WRITE, payload, payload_bytes);

	if (one)
		one->stream = stream;
}

void actions_close(struct actions *a, uint32_t stream)
{
	struct action *one = append(a, ACTION_CLOSE, NULL, 0);

	if (one)
		one->stream = stream;
}

void actions_upnp(struct actions *a, const struct upnp_request *request)
{
	struct action *one = append(a, ACTION_UPNP, NULL, 0);

	if (one)
		one->upnp = *request;
}
