/* SPDX-License-Identifier: BSD-3-Clause */
/* What steps do to the clients on the hosts. */
#include "harness/driver_private.h"

#include <errno.h>

static struct actor *client_actor(struct driver *d, unsigned node)
{
	for (unsigned i = 0; i < d->actor_count; i++)
		if (d->actors[i].kind == ACTOR_CLIENT &&
		    d->actors[i].node == node)
			return &d->actors[i];
	return NULL;
}

struct client *driver_client(struct driver *d, unsigned node)
{
	struct actor *a = client_actor(d, node);

	return a ? a->client : NULL;
}

static int no_client(struct driver *d, unsigned node, struct err *err)
{
	return err_set(err, ENOENT, "%s runs no model client",
		       d->config.scenario->plan.nodes[node].name);
}

int driver_start(struct driver *d, unsigned node, struct err *err)
{
	struct actor *a = client_actor(d, node);
	int ret;

	if (!a)
		return no_client(d, node, err);
	if (client_running(a->client))
		return 0;
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
	struct actor *a = client_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	if (!client_running(a->client))
		return 0;
	d->heard_us = driver_now_us(d);
	client_stop(a->client, d->heard_us, &d->actions);
	actor_act(a);
	actor_sweep(a);
	actor_release_ports(a);
	return d->broken;
}

int driver_netcheck(struct driver *d, unsigned node, struct err *err)
{
	struct actor *a = client_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	d->heard_us = driver_now_us(d);
	client_netcheck(a->client, d->heard_us, &d->actions);
	actor_act(a);
	return d->broken;
}

int driver_ping(struct driver *d, unsigned node, const char *peer,
		enum client_ping_kind kind, struct err *err)
{
	struct actor *a = client_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	d->heard_us = driver_now_us(d);
	client_ping_start(a->client, d->heard_us, peer, kind, &d->actions);
	actor_act(a);
	return d->broken;
}

int driver_link_up(struct driver *d, unsigned node, struct err *err)
{
	struct actor *a = client_actor(d, node);
	struct lab_node *n = &d->config.lab->nodes[node];

	(void)err;
	if (!a || !client_running(a->client))
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
	struct actor *a = client_actor(d, node);

	if (!a)
		return no_client(d, node, err);
	if (!src.ip)
		src.ip = d->config.lab->nodes[node].ifaces[0].ip;
	if (!++a->ip_id)
		a->ip_id = 1;
	return raw_send_udp(d->raw, a->raw_fd, src, dst, ttl, a->ip_id,
			    payload, payload_bytes, err);
}
