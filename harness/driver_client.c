/* SPDX-License-Identifier: BSD-3-Clause */
/* What steps do to the clients on the hosts. */
#include "harness/driver_private.h"

#include <errno.h>

struct actor *driver_actor(struct driver *d, unsigned node)
{
	for (unsigned i = 0; i < d->actor_count; i++)
		if ((d->actors[i].kind == ACTOR_CLIENT ||
		     d->actors[i].kind == ACTOR_REAL) &&
		    d->actors[i].node == node)
			return &d->actors[i];
	return NULL;
}

static int no_client(struct driver *d, unsigned node, struct err *err)
{
	return err_set(err, ENOENT, "%s runs no client",
		       d->config.scenario->plan.nodes[node].name);
}

bool driver_is_real(const struct driver *d)
{
	return d->reals;
}

bool driver_running(struct driver *d, unsigned node)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return false;
	return a->kind == ACTOR_REAL ? real_running(a) :
				       client_running(a->client);
}

bool driver_settled(struct driver *d, unsigned node)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return false;
	return a->kind == ACTOR_REAL ?
		       real_ready(a) :
		       client_settled(a->client, driver_now_us(d));
}

const struct client_ping *driver_echoes(struct driver *d, unsigned node)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return NULL;
	return a->kind == ACTOR_REAL ? real_echoes(a) : client_ping(a->client);
}

const struct client_netcheck *driver_report(struct driver *d, unsigned node)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return NULL;
	return a->kind == ACTOR_REAL ? real_report(a) :
				       client_netcheck_report(a->client);
}

int driver_start(struct driver *d, unsigned node, struct err *err)
{
	struct actor *a = driver_actor(d, node);
	int ret;

	if (!a)
		return no_client(d, node, err);
	if (driver_running(d, node))
		return 0;
	if (a->kind == ACTOR_REAL)
		return real_start(a, err);
	ret = actor_hold_ports(a, err);
	if (ret)
		return ret;
	d->heard_us = driver_now_us(d);
	client_start(a->client, d->heard_us, &d->actions);
	actor_act(a);
	return d->broken;
}

int driver_stop(struct driver *d, unsigned node, struct err *err)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	if (!driver_running(d, node))
		return 0;
	if (a->kind == ACTOR_REAL) {
		real_stop(a);
		return 0;
	}
	d->heard_us = driver_now_us(d);
	client_stop(a->client, d->heard_us, &d->actions);
	actor_act(a);
	actor_sweep(a);
	actor_release_ports(a);
	return d->broken;
}

int driver_netcheck(struct driver *d, unsigned node, struct err *err)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	if (a->kind == ACTOR_REAL)
		return real_netcheck(a, err);
	d->heard_us = driver_now_us(d);
	client_netcheck(a->client, d->heard_us, &d->actions);
	actor_act(a);
	return d->broken;
}

int driver_ping(struct driver *d, unsigned node, const char *peer,
		enum client_ping_kind kind, struct err *err)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	if (a->kind == ACTOR_REAL)
		return real_ping(a, peer, kind, err);
	d->heard_us = driver_now_us(d);
	client_ping_start(a->client, d->heard_us, peer, kind, &d->actions);
	actor_act(a);
	return d->broken;
}

void driver_ping_stop(struct driver *d, unsigned node)
{
	struct actor *a = driver_actor(d, node);

	if (a && a->kind == ACTOR_REAL)
		real_ping_stop(a);
	else if (a)
		client_ping_stop(a->client);
}

int driver_link_up(struct driver *d, unsigned node, struct err *err)
{
	struct actor *a = driver_actor(d, node);
	struct lab_node *n = &d->config.lab->nodes[node];

	(void)err;
	/* A real client notices by itself. */
	if (!a || a->kind == ACTOR_REAL || !client_running(a->client))
		return 0;
	d->heard_us = driver_now_us(d);
	client_on_link_change(a->client, d->heard_us, n->ifaces[0].ip,
			      n->gateway_ip, &d->actions);
	actor_act(a);
	return d->broken;
}

int driver_send(struct driver *d, unsigned node, struct endpoint src,
		struct endpoint dst, uint8_t ttl, const void *payload,
		size_t payload_bytes, struct err *err)
{
	struct actor *a = driver_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	if (!src.ip)
		src.ip = d->config.lab->nodes[node].ifaces[0].ip;
	if (!++a->ip_id)
		a->ip_id = 1;
	return raw_send_udp(d->raw, a->raw_fd, src, dst, ttl, a->ip_id,
			    payload, payload_bytes, err);
}
