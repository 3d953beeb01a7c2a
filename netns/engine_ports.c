/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which external address and port a mapping gets (RFC 4787 section 4.2 and
 * 4.1 for pools). A bit for each port: finding a free one takes at most a
 * thousand steps in a full range, where a search by trial would take 64,000.
 */
#include "netns/engine_own.h"

#include <stdlib.h>

enum { WORDS = 65536 / 64 };

#define EVERY_PORT UINT64_MAX
#define EVEN_PORTS UINT64_C(0x5555555555555555)

static unsigned space_of(uint8_t proto)
{
	switch (proto) {
	case PROTO_UDP:
		return 0;
	case PROTO_TCP:
		return 1;
	default:
		return 2;
	}
}

static bool bit_is_set(const uint64_t *bits, unsigned at)
{
	return bits[at / 64] >> (at % 64) & 1;
}

static void bit_set(uint64_t *bits, unsigned at, bool on)
{
	uint64_t bit = UINT64_C(1) << (at % 64);

	bits[at / 64] = on ? bits[at / 64] | bit : bits[at / 64] & ~bit;
}

/* The first clear bit from LOW to HIGH that LANES lets pass, or -1. */
static int first_clear(const uint64_t *bits, unsigned low, unsigned high,
		       uint64_t lanes)
{
	for (unsigned word = low / 64; word <= high / 64; word++) {
		uint64_t clear = ~bits[word] & lanes;

		if (word == low / 64)
			clear &= UINT64_MAX << (low % 64);
		if (word == high / 64)
			clear &= UINT64_MAX >> (63 - high % 64);
		if (clear)
			return (int)(word * 64) + __builtin_ctzll(clear);
	}
	return -1;
}

/* The same, beginning at FROM and going round. */
static int next_clear(const uint64_t *bits, unsigned low, unsigned high,
		      unsigned from, uint64_t lanes)
{
	int found;

	if (from < low || from > high)
		from = low;
	found = first_clear(bits, from, high, lanes);
	if (found < 0 && from > low)
		found = first_clear(bits, low, from - 1, lanes);
	return found;
}

static uint64_t *taken_of(struct engine *e, unsigned space, unsigned pool)
{
	uint64_t **taken = &e->ports.taken[space][pool];

	if (!*taken)
		*taken = calloc(WORDS, sizeof(**taken));
	return *taken;
}

/* A block of the same number on every address, unless the host has just one. */
static unsigned block_pool(const struct engine *e, const struct host *host)
{
	return e->config.paired_pooling ? host->pool : 0;
}

static bool take_block(struct engine *e, struct host *host)
{
	unsigned ports = e->config.block_ports;
	unsigned range = e->config.port_high - e->config.port_low + 1u;
	uint64_t *blocks = e->ports.blocks[block_pool(e, host)];

	host->block = first_clear(blocks, 0, range / ports - 1, EVERY_PORT);
	if (host->block < 0)
		return false;
	bit_set(blocks, (unsigned)host->block, true);
	host->block_low = e->config.port_low + (unsigned)host->block * ports;
	host->block_high = host->block_low + ports - 1;
	host->block_next = host->block_low;
	return true;
}

struct host *engine_host_get(struct engine *e, uint32_t ip)
{
	struct key key = {.ip = ip};
	struct node *node = engine_table_find(&e->hosts, &key);
	struct host *host;

	if (node) {
		host = ENGINE_OF(node, struct host, node);
		host->mappings++;
		return host;
	}
	host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->mappings = 1;
	host->block = -1;
	host->pool = e->ports.next_pool;
	if (e->config.ports == ENGINE_PORTS_BLOCK && !take_block(e, host)) {
		free(host);
		return NULL;
	}
	/* In turn, so that a pool is shared out evenly. */
	e->ports.next_pool = (e->ports.next_pool + 1) % e->config.pool_count;
	engine_table_add(&e->hosts, &host->node, &key);
	return host;
}

void engine_host_put(struct engine *e, struct host *host)
{
	if (!host || --host->mappings)
		return;
	if (host->block >= 0)
		bit_set(e->ports.blocks[block_pool(e, host)],
			(unsigned)host->block, false);
	engine_table_remove(&e->hosts, &host->node);
	free(host);
}

bool engine_ports_take_one(struct engine *e, uint8_t proto, unsigned pool,
			   uint16_t port)
{
	uint64_t *taken = taken_of(e, space_of(proto), pool);

	if (!taken || bit_is_set(taken, port))
		return false;
	bit_set(taken, port, true);
	return true;
}

void engine_ports_give(struct engine *e, uint8_t proto, unsigned pool,
		       uint16_t port)
{
	bit_set(e->ports.taken[space_of(proto)][pool], port, false);
}

void engine_ports_free(struct engine *e)
{
	for (unsigned space = 0; space < 3; space++)
		for (unsigned pool = 0; pool < ENGINE_MAX_POOL; pool++)
			free(e->ports.taken[space][pool]);
}

static bool preserve(struct engine *e, uint8_t proto, unsigned pool,
		     uint16_t port)
{
	bool in_range =
		port >= e->config.port_low && port <= e->config.port_high;

	return (e->any_port || in_range) &&
	       engine_ports_take_one(e, proto, pool, port);
}

/* RANDOM and what PRESERVE_OR_RANDOM falls back to; SEQUENTIAL; BLOCK. */
static int search(struct engine *e, uint8_t proto, unsigned pool,
		  struct host *host, uint16_t wanted)
{
	unsigned space = space_of(proto);
	unsigned low = e->config.port_low, high = e->config.port_high;
	uint64_t lanes = EVERY_PORT, *taken = taken_of(e, space, pool);
	unsigned from;
	int port;

	if (!taken)
		return -1;
	if (e->config.preserve_parity && proto != PROTO_ICMP)
		lanes = wanted & 1 ? ~EVEN_PORTS : EVEN_PORTS;
	if (e->config.ports == ENGINE_PORTS_BLOCK) {
		low = host->block_low;
		high = host->block_high;
		from = host->block_next;
	} else if (e->config.ports == ENGINE_PORTS_SEQUENTIAL) {
		from = e->ports.next[space][pool];
	} else {
		from = low + (unsigned)(engine_random(e) % (high - low + 1));
	}
	port = next_clear(taken, low, high, from, lanes);
	if (port < 0)
		return port;
	host->block_next = (unsigned)port + 1;
	e->ports.next[space][pool] = (uint16_t)(port + 1);
	bit_set(taken, (unsigned)port, true);
	return port;
}

bool engine_ports_take(struct engine *e, uint8_t proto, struct host *host,
		       uint16_t wanted, unsigned *pool, uint16_t *port)
{
	unsigned count = e->config.paired_pooling ? 1 : e->config.pool_count;
	unsigned first = host->pool;

	if (count > 1)
		first = (unsigned)(engine_random(e) % count);
	if (e->config.ports <= ENGINE_PORTS_PRESERVE_OR_RANDOM) {
		*port = wanted;
		for (unsigned i = 0; i < count; i++) {
			*pool = (first + i) % e->config.pool_count;
			if (preserve(e, proto, *pool, wanted))
				return true;
		}
	}
	if (e->config.ports == ENGINE_PORTS_PRESERVE)
		return false;
	for (unsigned i = 0; i < count; i++) {
		int found;

		*pool = (first + i) % e->config.pool_count;
		found = search(e, proto, *pool, host, wanted);
		if (found >= 0) {
			*port = (uint16_t)found;
			return true;
		}
	}
	return false;
}
