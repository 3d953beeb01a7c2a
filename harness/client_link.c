/* SPDX-License-Identifier: BSD-3-Clause */
/* client_link: a stream that is opened again, with backoff, when it ends. */
#include <stdlib.h>
#include <string.h>

#include "harness/client_private.h"

#define CONNECT_TIMEOUT_US (10 * CLIENT_S)
#define FIRST_BACKOFF_US (500 * CLIENT_MS)
#define LAST_BACKOFF_US (5 * CLIENT_S)

static void forget_input(struct client_link *l)
{
	free(l->in);
	l->in = NULL;
	l->in_bytes = l->in_room = 0;
}

void client_link_open(struct client *c, struct client_link *l)
{
	forget_input(l);
	/* A new number each time: what a late event of the old one says is
	 * about nobody. */
	l->stream = ++c->last_stream;
	l->state = CLIENT_LINK_CONNECTING;
	l->give_up_us = c->now_us + CONNECT_TIMEOUT_US;
	actions_connect(c->out, l->stream, l->to);
}

void client_link_ready(struct client *c, struct client_link *l)
{
	l->state = CLIENT_LINK_READY;
	l->backoff_us = 0;
	l->heard_us = c->now_us;
}

void client_link_fail(struct client *c, struct client_link *l)
{
	if (l->stream)
		actions_close(c->out, l->stream);
	l->stream = 0;
	forget_input(l);
	l->backoff_us = l->backoff_us ? 2 * l->backoff_us : FIRST_BACKOFF_US;
	if (l->backoff_us > LAST_BACKOFF_US)
		l->backoff_us = LAST_BACKOFF_US;
	l->state = CLIENT_LINK_WAITING;
	l->retry_us = c->now_us + l->backoff_us;
}

void client_link_shut(struct client *c, struct client_link *l)
{
	if (l->stream)
		actions_close(c->out, l->stream);
	forget_input(l);
	*l = (struct client_link){.to = l->to, .silence_us = l->silence_us};
}

bool client_link_feed(struct client *c, struct client_link *l, const void *data,
		      size_t size_bytes, size_t limit_bytes)
{
	size_t need = l->in_bytes + size_bytes;
	size_t room = l->in_room ? l->in_room : 1024;
	uint8_t *bigger;

	l->heard_us = c->now_us;
	if (!size_bytes)
		return true;
	if (need > limit_bytes)
		goto failed;
	while (room < need)
		room *= 2;
	if (room != l->in_room) {
		bigger = realloc(l->in, room);
		if (!bigger)
			goto failed;
		l->in = bigger;
		l->in_room = room;
	}
	memcpy(l->in + l->in_bytes, data, size_bytes);
	l->in_bytes = need;
	return true;
failed:
	client_link_fail(c, l);
	return false;
}

void client_link_consume(struct client_link *l, size_t size_bytes)
{
	l->in_bytes -= size_bytes;
	if (l->in_bytes)
		memmove(l->in, l->in + size_bytes, l->in_bytes);
}

uint64_t client_link_deadline(const struct client_link *l)
{
	switch (l->state) {
	case CLIENT_LINK_CONNECTING:
		return l->give_up_us;
	case CLIENT_LINK_WAITING:
		return l->retry_us;
	case CLIENT_LINK_READY:
		return l->silence_us ? l->heard_us + l->silence_us
				     : ACTIONS_NEVER;
	case CLIENT_LINK_IDLE:
		break;
	}
	return ACTIONS_NEVER;
}

bool client_link_on_timer(struct client *c, struct client_link *l)
{
	if (c->now_us < client_link_deadline(l))
		return false;
	if (l->state == CLIENT_LINK_WAITING) {
		client_link_open(c, l);
		return false;
	}
	client_link_fail(c, l);
	return true;
}
