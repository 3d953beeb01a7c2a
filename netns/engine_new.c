/* SPDX-License-Identifier: BSD-3-Clause */
/* From a configuration to an engine, and its end. */
#include "netns/engine_own.h"

#include <errno.h>
#include <stdlib.h>

enum {
	SYN_SILENCE_S = 6, /* RFC 5382 REQ-4 */
	FRAGMENTS_S = 2,
	MOST_MAPPINGS = 3 * ENGINE_MAX_POOL * 65536
};

static void set_default(unsigned *value, unsigned usual)
{
	if (!*value)
		*value = usual;
}

static void fill_in(struct engine_config *c)
{
	if (!c->port_low && !c->port_high) {
		c->port_low = 1024;
		c->port_high = 65535;
	}
	set_default(&c->block_ports, 512);
	set_default(&c->udp_timeout_s, 300);
	set_default(&c->udp_stream_timeout_s, c->udp_timeout_s);
	set_default(&c->tcp_timeout_s, 7440);
	set_default(&c->tcp_transitory_timeout_s, 240);
	set_default(&c->icmp_timeout_s, 60);
	set_default(&c->max_mappings, 65536);
	if (c->max_mappings > MOST_MAPPINGS)
		c->max_mappings = MOST_MAPPINGS;
	set_default(&c->max_sessions, 4 * c->max_mappings);
	set_default(&c->lan_ip, c->lan_net + 1);
}

static int check_addresses(const struct engine_config *c, struct err *err)
{
	if (c->pool_count < 1 || c->pool_count > ENGINE_MAX_POOL)
		return err_set(err, EINVAL,
			       "a pool of %u external addresses: 1 to %d are "
			       "possible",
			       c->pool_count, ENGINE_MAX_POOL);
	if (~c->lan_mask & (~c->lan_mask + 1) || c->lan_net & ~c->lan_mask)
		return err_set(err, EINVAL,
			       "inside network 0x%08x with mask 0x%08x: the "
			       "mask must be ones, then zeros, and the network "
			       "have no bits beyond",
			       c->lan_net, c->lan_mask);
	if ((c->lan_ip & c->lan_mask) != c->lan_net)
		return err_set(err, EINVAL,
			       "the router's address 0x%08x is not inside",
			       c->lan_ip);
	for (unsigned i = 0; i < c->pool_count; i++) {
		if (!c->pool[i] || (c->pool[i] & c->lan_mask) == c->lan_net)
			return err_set(err, EINVAL,
				       "external address 0x%08x is none, or "
				       "inside",
				       c->pool[i]);
		for (unsigned j = 0; j < i; j++)
			if (c->pool[i] == c->pool[j])
				return err_set(err, EINVAL,
					       "external address 0x%08x is in "
					       "the pool twice",
					       c->pool[i]);
	}
	return 0;
}

static int check(const struct engine_config *c, struct err *err)
{
	unsigned range;

	if (c->mapping > ENGINE_APD || c->filtering > ENGINE_APD ||
	    c->ports > ENGINE_PORTS_BLOCK ||
	    c->hairpin > ENGINE_HAIRPIN_EXTERNAL ||
	    c->stray > ENGINE_STRAY_ACCEPT)
		return err_set(err, EINVAL, "a behaviour that there is not");
	if (!c->port_low || c->port_low > c->port_high)
		return err_set(err, EINVAL,
			       "ports %u to %u: the lowest is from 1 to the "
			       "highest",
			       c->port_low, c->port_high);
	range = c->port_high - c->port_low + 1u;
	if (c->ports == ENGINE_PORTS_BLOCK && c->block_ports > range)
		return err_set(err, EINVAL,
			       "blocks of %u ports: there are only %u",
			       c->block_ports, range);
	return check_addresses(c, err);
}

static void init_queues(struct engine *e)
{
	const struct engine_config *c = &e->config;
	const unsigned periods_s[QUEUES] = {
		[QUEUE_UDP] = c->udp_timeout_s,
		[QUEUE_UDP_STREAM] = c->udp_stream_timeout_s,
		[QUEUE_TCP] = c->tcp_timeout_s,
		[QUEUE_TCP_TRANSITORY] = c->tcp_transitory_timeout_s,
		[QUEUE_ICMP] = c->icmp_timeout_s,
		[QUEUE_STRANGERS] = c->udp_timeout_s,
		[QUEUE_MAPPING_UDP] = c->udp_timeout_s,
		[QUEUE_MAPPING_TCP] = c->tcp_timeout_s,
		[QUEUE_MAPPING_ICMP] = c->icmp_timeout_s,
		[QUEUE_SYN] = SYN_SILENCE_S,
		[QUEUE_FRAGMENTS] = FRAGMENTS_S,
		[QUEUE_FRAGMENTS_PASSING] = FRAGMENTS_S,
	};

	for (unsigned i = 0; i < QUEUES; i++) {
		struct queue *q = &e->queues[i];

		q->head.next = q->head.prev = &q->head;
		q->period_us = periods_s[i] * ENGINE_SECOND_US;
	}
}

static int init_tables(struct engine *e)
{
	struct table *tables[] = {&e->inside,	&e->outside, &e->sessions,
				  &e->peers,	&e->hosts,   &e->syns,
				  &e->fragments};

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		if (engine_table_init(tables[i], engine_random(e)))
			return -ENOMEM;
	return 0;
}

/* Sequential ports begin anywhere, as after a router's reboot. */
static void init_ports(struct engine *e)
{
	unsigned low = e->config.port_low;
	unsigned range = e->config.port_high - low + 1u;

	for (unsigned space = 0; space < 3; space++)
		for (unsigned pool = 0; pool < ENGINE_MAX_POOL; pool++)
			e->ports.next[space][pool] =
				(uint16_t)(low + engine_random(e) % range);
}

int engine_new(const struct engine_config *config, struct engine **engine,
	       struct err *err)
{
	struct engine_config filled = *config;
	struct engine *e = NULL;
	int ret;

	fill_in(&filled);
	ret = check(&filled, err);
	if (ret)
		goto out;
	e = calloc(1, sizeof(*e));
	ret = e ? 0 : -ENOMEM;
	if (ret)
		goto out;
	e->config = filled;
	e->any_port = !config->port_low && !config->port_high;
	e->random = config->seed;
	init_queues(e);
	init_ports(e);
	ret = init_tables(e);
out:
	if (ret == -ENOMEM)
		err_set(err, ENOMEM, "no memory for a NAT engine");
	if (ret) {
		engine_free(e);
		e = NULL;
	}
	*engine = e;
	return ret;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	/* Without its tables it was never in use. */
	if (e->fragments.buckets)
		engine_flush(e, true);
	engine_table_free(&e->inside);
	engine_table_free(&e->outside);
	engine_table_free(&e->sessions);
	engine_table_free(&e->peers);
	engine_table_free(&e->hosts);
	engine_table_free(&e->syns);
	engine_table_free(&e->fragments);
	engine_ports_free(e);
	free(e);
}
