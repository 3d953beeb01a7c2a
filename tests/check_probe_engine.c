/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check_probe_engine.h"

#include "netns/engine.h"
#include "wire/packet.h"

struct engine *probe_engine_new(const struct world_nat *nat)
{
	static const enum engine_dependence dependence[] = {
		[PROBE_EI] = ENGINE_EI,
		[PROBE_AD] = ENGINE_AD,
		[PROBE_APD] = ENGINE_APD};
	static const enum engine_ports ports[] = {
		[WORLD_PRESERVE] = ENGINE_PORTS_PRESERVE,
		[WORLD_PRESERVE_OR_RANDOM] = ENGINE_PORTS_PRESERVE_OR_RANDOM,
		[WORLD_RANDOM] = ENGINE_PORTS_RANDOM,
		[WORLD_SEQUENTIAL] = ENGINE_PORTS_SEQUENTIAL,
		[WORLD_BLOCK] = ENGINE_PORTS_BLOCK};
	static const enum engine_hairpin hairpin[] = {
		[PROBE_HAIRPIN_NONE] = ENGINE_HAIRPIN_NONE,
		[PROBE_HAIRPIN_INTERNAL] = ENGINE_HAIRPIN_INTERNAL,
		[PROBE_HAIRPIN_EXTERNAL] = ENGINE_HAIRPIN_EXTERNAL};
	struct engine_config c = {
		.mapping = dependence[nat->mapping],
		.filtering = dependence[nat->filtering],
		.ports = ports[nat->ports],
		.hairpin = hairpin[nat->hairpin],
		.refresh_inbound = nat->inbound_refresh,
		.absolute_lifetime = nat->absolute,
		.udp_timeout_s = (unsigned)(nat->lifetime_us / SECOND),
		.udp_stream_timeout_s = (unsigned)(nat->stream_us / SECOND),
		.udp_blocked = nat->udp_blocked,
		.paired_pooling = !nat->arbitrary,
		.pool_count = !nat->arbitrary ? 1 : nat->pool ? nat->pool : 2,
		.lan_net = HOST_IP & 0xffffff00,
		.lan_mask = 0xffffff00,
		.seed = 3};
	struct engine *e = NULL;
	struct err err = {0};

	for (unsigned i = 0; i < c.pool_count; i++)
		c.pool[i] = NAT_IP + i;
	ck_assert_msg(!engine_new(&c, &e, &err), "%s", err.text);
	return e;
}

static void emit(void *arg, enum engine_side to, const uint8_t *data,
		 size_t size_bytes)
{
	probe_engine_out **out = arg;
	struct packet p;
	struct err err = {0};

	ck_assert_msg(!packet_decode(PACKET_LINK_IPV4, data, size_bytes, &p,
				     &err), "%s", err.text);
	if (p.ip_proto == PACKET_UDP)
		(*out)(to == ENGINE_WAN, p.src, p.dst, p.payload,
		       p.payload_bytes);
}

void probe_engine_pass(struct engine *e, uint64_t now_us, bool from_inside,
		       struct endpoint src, struct endpoint dst,
		       const void *data, size_t size_bytes,
		       probe_engine_out *out)
{
	uint8_t packet[8192];
	int size = packet_encode_udp(src, dst, 64, 1, data, size_bytes, packet,
				     sizeof(packet));

	ck_assert_int_gt(size, 0);
	engine_input(e, now_us, from_inside ? ENGINE_LAN : ENGINE_WAN, packet,
		     (size_t)size, emit, &out);
}
