/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_session: payload between two nodes with WireGuard's timers
 * (whitepaper 6; names of its constants in brackets). What matters to a NAT is
 * when a message is sent, and when it is not: a queued packet waits for the
 * next retry of the handshake, and a path found meanwhile does not hasten it.
 */
#include <stdlib.h>
#include <string.h>

#include "harness/client_private.h"
#include "wire/wireguard.h"

#define RETRY_US (5 * CLIENT_S)	     /* Rekey-Timeout */
#define JITTER_US (333 * CLIENT_MS)  /* on top of it */
#define MAX_ATTEMPTS 18		     /* Rekey-Attempt-Time 90 s / 5 s */
#define KEEPALIVE_US (10 * CLIENT_S) /* Keepalive-Timeout */
#define REKEY_US (120 * CLIENT_S)    /* Rekey-After-Time */
#define REJECT_US (180 * CLIENT_S)   /* Reject-After-Time */
#define RECEIVE_REKEY_US (REJECT_US - KEEPALIVE_US - RETRY_US)

void client_session_init(struct client_session *s)
{
	*s = (struct client_session){.retry_us = ACTIONS_NEVER,
				     .keepalive_us = ACTIONS_NEVER,
				     .renew_us = ACTIONS_NEVER};
}

void client_session_reset(struct client_session *s)
{
	free(s->queue);
	client_session_init(s);
}

static uint64_t jitter(struct client *c)
{
	return rng_below(&c->rng, JITTER_US + 1);
}

/* --- handshake out ------------------------------------------------------- */

static void initiate(struct client *c, struct client_peer *p, bool retry)
{
	uint8_t out[WIREGUARD_INITIATION_BYTES];
	struct client_session *s = &p->session;

	if (!retry)
		s->attempts = 0;
	/*
	 * An echo a second finds the sixth a little less than 5 s after the
	 * handshake that the first began: on this clock, exactly that.
	 */
	if (client_within(c, s->last_handshake_us, RETRY_US + !retry))
		return;
	if (!client_noise_initiate(c, p, out))
		return;
	s->last_handshake_us = c->now_us;
	s->keepalive_us = ACTIONS_NEVER;
	s->retry_us = c->now_us + RETRY_US + jitter(c);
	client_peer_send(c, p, out, sizeof(out));
}

static bool usable(const struct client *c, const struct client_keypair *pair)
{
	return pair->valid && c->now_us - pair->created_us < REJECT_US;
}

/* --- data out ------------------------------------------------------------ */

static void enqueue(struct client_session *s, const void *inner,
		    size_t inner_bytes)
{
	struct client_queued *one;

	if (!s->queue)
		s->queue = calloc(CLIENT_MAX_QUEUED, sizeof(*s->queue));
	if (!s->queue || inner_bytes > sizeof(one->data))
		return;
	if (s->queue_count == CLIENT_MAX_QUEUED) { /* the oldest goes */
		s->queue_first = (s->queue_first + 1) % CLIENT_MAX_QUEUED;
		s->queue_count--;
	}
	one = &s->queue[(s->queue_first + s->queue_count) % CLIENT_MAX_QUEUED];
	if (inner_bytes)
		memcpy(one->data, inner, inner_bytes);
	one->size_bytes = inner_bytes;
	s->queue_count++;
}

static void send_one(struct client *c, struct client_peer *p,
		     const struct client_queued *one)
{
	uint8_t out[WIREGUARD_DATA_HEADER_BYTES + CLIENT_PADDED_BYTES +
		    WIREGUARD_TAG_BYTES];
	struct client_session *s = &p->session;
	int n = client_noise_seal(&s->current, one->data, one->size_bytes, out,
				  sizeof(out));

	if (n < 0)
		return;
	s->keepalive_us = ACTIONS_NEVER;
	if (one->size_bytes && s->renew_us == ACTIONS_NEVER)
		s->renew_us = c->now_us + KEEPALIVE_US + RETRY_US + jitter(c);
	client_peer_send(c, p, out, (size_t)n);
}

/* Sends what waits, where there is a session; else asks for one. */
static void flush(struct client *c, struct client_peer *p)
{
	struct client_session *s = &p->session;

	if (!s->queue_count)
		return;
	if (!usable(c, &s->current)) {
		initiate(c, p, false);
		return;
	}
	while (s->queue_count) {
		struct client_queued one = s->queue[s->queue_first];

		s->queue_first = (s->queue_first + 1) % CLIENT_MAX_QUEUED;
		s->queue_count--;
		send_one(c, p, &one);
	}
	if (s->current.initiator &&
	    c->now_us - s->current.created_us > REKEY_US)
		initiate(c, p, false);
}

void client_session_send(struct client *c, struct client_peer *p,
			 const void *inner, size_t inner_bytes)
{
	enqueue(&p->session, inner, inner_bytes);
	flush(c, p);
}

static void send_keepalive(struct client *c, struct client_peer *p)
{
	if (!p->session.queue_count)
		enqueue(&p->session, NULL, 0);
	flush(c, p);
}

/* --- in ------------------------------------------------------------------ */

static void on_initiation(struct client *c, const struct client_arrival *a)
{
	uint8_t out[WIREGUARD_RESPONSE_BYTES];
	struct client_peer *p = client_noise_take_initiation(c, a->data);
	struct client_session *s;

	if (!p)
		return;
	s = &p->session;
	s->renew_us = ACTIONS_NEVER;
	if (!client_noise_respond(c, p, &s->next, out))
		return;
	/* The response counts against the limit of one initiation in 5 s. */
	s->last_handshake_us = c->now_us;
	s->keepalive_us = ACTIONS_NEVER;
	s->previous = (struct client_keypair){0};
	client_peer_send(c, p, out, sizeof(out));
}

static void on_response(struct client *c, const struct wireguard_message *m,
			const struct client_arrival *a)
{
	struct client_keypair pair;
	struct client_session *s;
	struct client_peer *p;

	for (p = c->peers; p; p = p->next)
		if (p->session.handshake.state == CLIENT_HANDSHAKE_SENT &&
		    p->session.handshake.local == m->receiver)
			break;
	if (!p || !client_noise_take_response(c, p, a->data, &pair))
		return;
	s = &p->session;
	s->previous = s->next.valid ? s->next : s->current;
	s->next = (struct client_keypair){0};
	s->current = pair;
	s->attempts = 0;
	s->retry_us = ACTIONS_NEVER;
	s->renew_us = ACTIONS_NEVER;
	/* The responder may not use the session before it heard from us. */
	send_keepalive(c, p);
}

static struct client_keypair *by_index(struct client_session *s, uint32_t index)
{
	struct client_keypair *all[] = {&s->current, &s->previous, &s->next};

	for (unsigned i = 0; i < 3; i++)
		if (all[i]->valid && all[i]->local == index)
			return all[i];
	return NULL;
}

/* What the arrival of a good data message does to the timers. */
static void note_data(struct client *c, struct client_peer *p, bool has_payload)
{
	struct client_session *s = &p->session;

	s->renew_us = ACTIONS_NEVER;
	if (!has_payload)
		return;
	if (s->keepalive_us == ACTIONS_NEVER)
		s->keepalive_us = c->now_us + KEEPALIVE_US;
	else
		s->another_keepalive = true;
}

/* The first data from the initiator: the session may be used. */
static void confirm(struct client *c, struct client_peer *p)
{
	struct client_session *s = &p->session;

	s->previous = s->current;
	s->current = s->next;
	s->next = (struct client_keypair){0};
	s->attempts = 0;
	s->retry_us = ACTIONS_NEVER;
	flush(c, p);
}

static void on_data(struct client *c, const struct wireguard_message *m,
		    const struct client_arrival *a)
{
	uint8_t inner[CLIENT_PADDED_BYTES];
	struct client_keypair *pair = NULL;
	struct client_peer *p;
	int n;

	for (p = c->peers; p; p = p->next) {
		pair = by_index(&p->session, m->receiver);
		if (pair)
			break;
	}
	if (!pair || !usable(c, pair))
		return;
	n = client_noise_open(pair, a->data, a->size_bytes, inner,
			      sizeof(inner));
	if (n < 0)
		return;
	if (pair == &p->session.next)
		confirm(c, p);
	note_data(c, p, n > 0);
	pair = &p->session.current;
	if (pair->initiator && c->now_us - pair->created_us > RECEIVE_REKEY_US)
		initiate(c, p, false);
	if (n > 0)
		client_pinger_on_inner(c, p, inner, (size_t)n, a);
}

void client_session_receive(struct client *c, const struct client_arrival *a)
{
	struct wireguard_message m;

	if (a->src.ip && !client_peer_is_known(c, a->src))
		return;
	if (wireguard_decode(a->data, a->size_bytes, &m, NULL) < 0)
		return;
	switch (m.type) {
	case WIREGUARD_INITIATION:
		on_initiation(c, a);
		break;
	case WIREGUARD_RESPONSE:
		on_response(c, &m, a);
		break;
	case WIREGUARD_DATA:
		on_data(c, &m, a);
		break;
	default:
		break;
	}
}

/* --- timers -------------------------------------------------------------- */

uint64_t client_session_deadline(const struct client_session *s)
{
	return client_earlier(s->retry_us,
			      client_earlier(s->keepalive_us, s->renew_us));
}

static void retry(struct client *c, struct client_peer *p)
{
	struct client_session *s = &p->session;

	s->retry_us = ACTIONS_NEVER;
	if (s->attempts >= MAX_ATTEMPTS) {
		s->queue_count = 0;
		s->keepalive_us = ACTIONS_NEVER;
		return;
	}
	s->attempts++;
	initiate(c, p, true);
}

static void keepalive(struct client *c, struct client_peer *p)
{
	struct client_session *s = &p->session;
	bool another = s->another_keepalive;

	s->keepalive_us = ACTIONS_NEVER;
	s->another_keepalive = false;
	send_keepalive(c, p);
	if (another)
		s->keepalive_us = c->now_us + KEEPALIVE_US;
}

void client_session_on_timer(struct client *c, struct client_peer *p)
{
	struct client_session *s = &p->session;

	if (c->now_us >= s->retry_us)
		retry(c, p);
	if (c->now_us >= s->keepalive_us)
		keepalive(c, p);
	if (c->now_us >= s->renew_us) {
		/* Data went out and nothing came back: start again. */
		s->renew_us = ACTIONS_NEVER;
		initiate(c, p, false);
	}
}
