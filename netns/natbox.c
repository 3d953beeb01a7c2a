/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/natbox_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_packet.h>

enum {
	AT_ONCE = 64,	  /* packets in one system call */
	TURNS = 2,	  /* system calls in one turn */
	PACKET_BYTES = 65536,
	OUT_BYTES = 128 << 10, /* more than any packet */
	CONTROL_BYTES = CMSG_SPACE(sizeof(struct tpacket_auxdata)),
	LEAST_MTU_BYTES = 576, /* nobody sets a smaller one */
};

/* A batch: buffers and what recvmmsg wants to know of them. */
struct batch {
	struct mmsghdr messages[AT_ONCE];
	struct iovec data[AT_ONCE];
	struct sockaddr_ll from[AT_ONCE];
	_Alignas(struct cmsghdr) uint8_t control[AT_ONCE][CONTROL_BYTES];
	uint8_t packets[AT_ONCE][PACKET_BYTES]; /* rarely touched beyond MTU */
};

/* What the engine emitted to one side, until it is sent in one go. */
struct outbox {
	enum engine_side to;
	unsigned count;
	size_t used_bytes;
	struct mmsghdr messages[AT_ONCE];
	struct iovec data[AT_ONCE];
	struct sockaddr_in dst[AT_ONCE];
	uint8_t bytes[OUT_BYTES];
};

struct natbox {
	struct engine *engine;
	uint32_t wan_ips[NAT_MAX_POOL];
	unsigned wan_count;
	int hear_fds[2]; /* by side */
	int indexes[2]; /* of its interfaces */
	int send_fds[2];
	int host_fd; /* to the router's own stack, by way of lo */
	struct natbox_block *blocks;
	unsigned block_count;
	struct natbox_grant *grants;
	unsigned grant_count;
	bool lacks_grants;
	natbox_heard_fn *heard; /* NULL: nobody to be told */
	void *heard_arg;
	struct batch *batch;
	struct outbox *outbox;
};

/* --- the engine's words --------------------------------------------------- */

static enum engine_dependence mapping_of(const struct nat *nat)
{
	return nat->mapping == NAT_APDM ? ENGINE_APD
	       : nat->mapping == NAT_ADM ? ENGINE_AD
					 : ENGINE_EI;
}

static enum engine_dependence filtering_of(const struct nat *nat)
{
	return nat->filtering == NAT_APDF ? ENGINE_APD
	       : nat->filtering == NAT_ADF ? ENGINE_AD
					   : ENGINE_EI;
}

/*
 * As netfilter has it where both can do a behaviour: a port is kept where it
 * is free and drawn where it is not; packets of both directions refresh.
 */
static struct engine_config config_of(const struct natbox_plan *plan)
{
	static const enum engine_ports ports[] = {
		[NAT_PORTS_PRESERVE] = ENGINE_PORTS_PRESERVE_OR_RANDOM,
		[NAT_PORTS_RANDOM] = ENGINE_PORTS_RANDOM,
		[NAT_PORTS_SEQUENTIAL] = ENGINE_PORTS_SEQUENTIAL,
		[NAT_PORTS_BLOCK] = ENGINE_PORTS_BLOCK,
		[NAT_PORTS_PRESERVE_ONLY] = ENGINE_PORTS_PRESERVE,
	};
	static const enum engine_hairpin hairpins[] = {
		[NAT_HAIRPIN_NONE] = ENGINE_HAIRPIN_NONE,
		[NAT_HAIRPIN_EXTERNAL] = ENGINE_HAIRPIN_EXTERNAL,
		[NAT_HAIRPIN_INTERNAL] = ENGINE_HAIRPIN_INTERNAL,
	};
	static const enum engine_stray strays[] = {
		[NAT_WAN_DROP] = ENGINE_STRAY_DROP,
		[NAT_WAN_REJECT] = ENGINE_STRAY_REJECT,
		[NAT_WAN_ACCEPT] = ENGINE_STRAY_ACCEPT,
	};
	const struct nat full = nat_filled(&plan->nat, NAT_BY_ENGINE);
	const struct nat *nat = &full;
	struct engine_config config = {
		.mapping = mapping_of(nat),
		.filtering = filtering_of(nat),
		.ports = ports[nat->ports],
		.block_ports = nat->block_ports,
		.paired_pooling = nat->pooling == NAT_POOLING_PAIRED,
		.hairpin = hairpins[nat->hairpin],
		.hairpin_unfiltered = true,
		.refresh_inbound = nat->refresh == NAT_REFRESH_BOTH,
		.absolute_lifetime = nat->lifetime == NAT_LIFETIME_ABSOLUTE,
		.map_outbound = nat->map_outbound,
		.map_apart = !nat->map_outbound,
		.udp_timeout_s = nat->udp_timeout_s,
		.udp_stream_timeout_s = nat->udp_stream_timeout_s,
		/* As netfilter has it, so that the two are one NAT. */
		.udp_stream_after_s = 2,
		.tcp_timeout_s = nat->tcp_timeout_s,
		.tcp_transitory_timeout_s = nat->tcp_transitory_timeout_s,
		.icmp_timeout_s = nat->icmp_timeout_s,
		.stray = strays[nat->wan_input],
		.udp_blocked = nat->udp_blocked,
		.pool_count = nat->pool,
		.lan_net = plan->lan_net,
		.lan_mask = plan->lan_mask,
		.lan_ip = plan->lan_ip,
		.seed = plan->seed,
	};

	memcpy(config.pool, plan->wan_ips, nat->pool * sizeof(config.pool[0]));
	return config;
}

/* --- packets -------------------------------------------------------------- */

static bool is_blocked(const struct natbox *b, bool inward,
		       const uint8_t *packet, size_t size_bytes)
{
	for (unsigned i = 0; i < b->block_count; i++)
		if (b->blocks[i].inward == inward &&
		    natbox_block_hits(&b->blocks[i], packet, size_bytes))
			return true;
	return false;
}

/* What cannot be sent is lost, as on any link. */
static void send_to(int fd, const uint8_t *packet, size_t size_bytes)
{
	struct sockaddr_in to = {.sin_family = AF_INET};

	to.sin_addr.s_addr = htonl(natbox_dst(packet));
	if (sendto(fd, packet, size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&to, sizeof(to)) < 0)
		return;
}

/*
 * Before anything is waited for, or sent elsewhere: packets leave in the order
 * in which they were emitted. One that cannot be sent costs no other.
 */
static void send_out(struct natbox *b)
{
	struct outbox *o = b->outbox;
	unsigned sent = 0;

	while (sent < o->count) {
		int n = sendmmsg(b->send_fds[o->to], &o->messages[sent],
				 o->count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (unsigned)n : 1;
	}
	o->count = 0;
	o->used_bytes = 0;
}

static void on_emit(void *arg, enum engine_side to, const uint8_t *packet,
		    size_t size_bytes)
{
	struct natbox *b = arg;
	struct outbox *o = b->outbox;
	unsigned i;

	if (to == ENGINE_LAN && is_blocked(b, true, packet, size_bytes))
		return;
	if (to != o->to || o->count == AT_ONCE ||
	    o->used_bytes + size_bytes > OUT_BYTES)
		send_out(b);
	o->to = to;
	i = o->count++;
	memcpy(o->bytes + o->used_bytes, packet, size_bytes);
	o->data[i] = (struct iovec){o->bytes + o->used_bytes, size_bytes};
	o->dst[i].sin_addr.s_addr = htonl(natbox_dst(packet));
	o->used_bytes += size_bytes;
}

static bool is_own(const struct natbox *b, uint32_t ip)
{
	for (unsigned i = 0; i < b->wan_count; i++)
		if (b->wan_ips[i] == ip)
			return true;
	return false;
}

/*
 * For the router itself. The kernel has had its own copy, and has taken what
 * came to its LAN address and pings from inside (nat_ruleset); the rest it
 * dropped, since only the engine knows what no mapping fits.
 */
static void to_host(struct natbox *b, enum engine_side from,
		    const uint8_t *packet, size_t size_bytes)
{
	if (!is_own(b, natbox_dst(packet)) ||
	    (from == ENGINE_LAN && natbox_proto(packet) == IPPROTO_ICMP))
		return;
	send_out(b);
	send_to(b->host_fd, packet, size_bytes);
}

static void take(struct natbox *b, uint64_t now_us, enum engine_side from,
		 uint8_t *packet, size_t size_bytes)
{
	enum engine_verdict verdict;

	if (from == ENGINE_LAN && is_blocked(b, false, packet, size_bytes))
		return;
	verdict = engine_input(b->engine, now_us, from, packet, size_bytes,
			       on_emit, b);
	if (verdict == ENGINE_TO_HOST)
		to_host(b, from, packet, size_bytes);
}

/* --- hearing -------------------------------------------------------------- */

static void make_batch(struct batch *batch)
{
	for (unsigned i = 0; i < AT_ONCE; i++) {
		batch->data[i] = (struct iovec){batch->packets[i],
						PACKET_BYTES};
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &batch->from[i],
			.msg_namelen = sizeof(batch->from[i]),
			.msg_iov = &batch->data[i],
			.msg_iovlen = 1,
			.msg_control = batch->control[i],
			.msg_controllen = CONTROL_BYTES,
		};
	}
}

/* What recvmmsg changed in those that it filled. */
static void reset_batch(struct batch *batch, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		batch->messages[i].msg_hdr.msg_namelen = sizeof(batch->from[i]);
		batch->messages[i].msg_hdr.msg_controllen = CONTROL_BYTES;
	}
}

static void make_outbox(struct outbox *o)
{
	*o = (struct outbox){.to = ENGINE_LAN};
	for (unsigned i = 0; i < AT_ONCE; i++) {
		o->dst[i].sin_family = AF_INET;
		o->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &o->dst[i],
			.msg_namelen = sizeof(o->dst[i]),
			.msg_iov = &o->data[i],
			.msg_iovlen = 1,
		};
	}
}

/* A LAN's bridge floods what it knows no port for: others' packets. */
static void take_message(struct natbox *b, uint64_t now_us,
			 enum engine_side from, unsigned i)
{
	struct batch *batch = b->batch;
	struct mmsghdr *m = &batch->messages[i];

	if (batch->from[i].sll_pkttype != PACKET_HOST ||
	    (m->msg_hdr.msg_flags & MSG_TRUNC))
		return;
	if (natbox_lacks_checksum(&m->msg_hdr))
		natbox_finish_checksum(batch->packets[i], m->msg_len);
	take(b, now_us, from, batch->packets[i], m->msg_len);
}

/* As the links are now: asked for where a packet may be too large. */
static void look_at_mtus(struct natbox *b, unsigned count)
{
	bool large = false;

	for (unsigned i = 0; i < count; i++)
		large |= b->batch->messages[i].msg_len > LEAST_MTU_BYTES;
	for (enum engine_side side = ENGINE_LAN; large && side <= ENGINE_WAN;
	     side++) {
		struct ifreq request = {.ifr_ifindex = b->indexes[side]};

		/* Without, what is too large is lost. */
		if (!ioctl(b->host_fd, SIOCGIFNAME, &request) &&
		    !ioctl(b->host_fd, SIOCGIFMTU, &request))
			engine_set_mtu(b->engine, side,
				       (size_t)request.ifr_mtu);
	}
}

/* 1: there may be more; 0: that was all; or a negative errno. */
static int hear(struct natbox *b, uint64_t now_us, enum engine_side from,
		struct err *err)
{
	int count;

	count = recvmmsg(b->hear_fds[from], b->batch->messages, AT_ONCE,
			 MSG_DONTWAIT, NULL);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* Told once when the link goes down; it may come up again. */
	if (count < 0 && errno == ENETDOWN)
		return 1;
	if (count < 0)
		return err_set(err, errno, "cannot hear a link: %s",
			       strerror(errno));
	look_at_mtus(b, (unsigned)count);
	if (b->heard && count) {
		int code = b->heard(b->heard_arg, now_us, err);

		if (code)
			return code;
	}
	for (unsigned i = 0; i < (unsigned)count; i++)
		take_message(b, now_us, from, i);
	send_out(b);
	reset_batch(b->batch, (unsigned)count);
	return count == AT_ONCE;
}

int natbox_serve(struct natbox *b, uint64_t now_us, struct err *err)
{
	for (enum engine_side side = ENGINE_LAN; side <= ENGINE_WAN; side++) {
		int code = 1;

		for (unsigned i = 0; i < TURNS && code > 0; i++)
			code = hear(b, now_us, side, err);
		if (code < 0)
			return code;
	}
	return 0;
}

uint64_t natbox_deadline(const struct natbox *b)
{
	return engine_deadline(b->engine);
}

void natbox_on_timer(struct natbox *b, uint64_t now_us)
{
	engine_on_timer(b->engine, now_us, on_emit, b);
	send_out(b);
}

int natbox_watch(struct natbox *b, int epoll_fd, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = b};

	for (unsigned side = 0; side < 2; side++)
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, b->hear_fds[side],
			      &event))
			return err_set(err, errno, "cannot watch a link: %s",
				       strerror(errno));
	return 0;
}

void natbox_unwatch(struct natbox *b, int epoll_fd)
{
	for (unsigned side = 0; side < 2; side++)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, b->hear_fds[side],
				NULL);
}

/* --- life ----------------------------------------------------------------- */

static int open_sockets(struct natbox *b, const struct natbox_plan *plan,
			struct err *err)
{
	const unsigned indexes[] = {[ENGINE_LAN] = plan->lan_index,
				    [ENGINE_WAN] = plan->wan_index};
	int failed = 0;

	for (unsigned side = 0; side < 2 && !failed; side++) {
		b->indexes[side] = (int)indexes[side];
		b->hear_fds[side] = natbox_open_hearing(indexes[side]);
		b->send_fds[side] = natbox_open_sending(indexes[side]);
		if (b->hear_fds[side] < 0)
			failed = b->hear_fds[side];
		else if (b->send_fds[side] < 0)
			failed = b->send_fds[side];
	}
	b->host_fd = natbox_open_sending(0);
	if (!failed && b->host_fd < 0)
		failed = b->host_fd;
	if (failed)
		return err_set(err, -failed, "%s: cannot open the sockets of "
			       "its NAT engine: %s", plan->where,
			       strerror(-failed));
	return 0;
}

int natbox_restart(struct natbox *b, const struct natbox_plan *plan,
		   struct err *err)
{
	struct engine_config config = config_of(plan);
	struct engine *engine;
	struct err why = {.text = ""};
	int code = engine_new(&config, &engine, &why);

	if (code)
		return err_set(err, -code, "%s: %s", plan->where, why.text);
	engine_free(b->engine);
	b->engine = engine;
	b->grant_count = 0;
	b->lacks_grants = true;
	b->wan_count = config.pool_count;
	memcpy(b->wan_ips, config.pool, sizeof(b->wan_ips));
	return 0;
}

static bool make_buffers(struct natbox *b)
{
	b->batch = malloc(sizeof(*b->batch));
	b->outbox = malloc(sizeof(*b->outbox));
	if (!b->batch || !b->outbox)
		return false;
	make_batch(b->batch);
	make_outbox(b->outbox);
	return true;
}

int natbox_new(const struct natbox_plan *plan, struct natbox **box,
	       struct err *err)
{
	struct natbox *b = calloc(1, sizeof(*b));
	struct closing *closing = NULL;
	int code;

	*box = NULL;
	if (b && !make_buffers(b)) {
		free(b->outbox);
		free(b->batch);
		free(b);
		b = NULL;
	}
	if (!b)
		return err_set(err, ENOMEM, "%s: no memory for a NAT engine",
			       plan->where);
	b->hear_fds[0] = b->hear_fds[1] = -1;
	b->send_fds[0] = b->send_fds[1] = b->host_fd = -1;
	code = natbox_restart(b, plan, err);
	if (!code)
		code = open_sockets(b, plan, err);
	if (code) {
		natbox_free(b, &closing);
		closing_start(closing);
		return code;
	}
	*box = b;
	return 0;
}

void natbox_free(struct natbox *b, struct closing **closing)
{
	if (!b)
		return;
	for (unsigned side = 0; side < 2; side++) {
		closing_add(closing, b->hear_fds[side]);
		closing_add(closing, b->send_fds[side]);
	}
	closing_add(closing, b->host_fd);
	engine_free(b->engine);
	free(b->blocks);
	free(b->outbox);
	free(b->grants);
	free(b->batch);
	free(b);
}

void natbox_flush(struct natbox *b)
{
	engine_flush(b->engine, false);
}

int natbox_set_blocks(struct natbox *b, const struct natbox_block *blocks,
		      unsigned count, struct err *err)
{
	struct natbox_block *copy = NULL;

	if (count) {
		copy = malloc(count * sizeof(*copy));
		if (!copy)
			return err_set(err, ENOMEM, "no memory for blocks");
		memcpy(copy, blocks, count * sizeof(*copy));
	}
	free(b->blocks);
	b->blocks = copy;
	b->block_count = count;
	return 0;
}

/* --- grants --------------------------------------------------------------- */

static bool has_grant(const struct natbox_grant *grants, unsigned count,
		      const struct natbox_grant *wanted)
{
	for (unsigned i = 0; i < count; i++)
		if (grants[i].proto == wanted->proto &&
		    grants[i].external_port == wanted->external_port &&
		    endpoint_equal(grants[i].inside, wanted->inside))
			return true;
	return false;
}

/*
 * The daemon has promised the port: whoever was using it by chance loses it.
 * A mapping to where no host of the LAN can be leads nowhere with netfilter,
 * too.
 */
static int grant(struct natbox *b, uint64_t now_us,
		 const struct natbox_grant *g, struct err *err)
{
	int code = engine_map(b->engine, now_us, g->proto, g->external_port,
			      g->inside.ip, g->inside.port, 0);

	if (code == -EEXIST) {
		engine_evict_port(b->engine, g->proto, g->external_port);
		code = engine_map(b->engine, now_us, g->proto,
				  g->external_port, g->inside.ip,
				  g->inside.port, 0);
	}
	if (!code || code == -EINVAL)
		return 0;
	return err_set(err, -code, "a NAT engine cannot map port %u: %s",
		       g->external_port, strerror(-code));
}

int natbox_set_grants(struct natbox *b, uint64_t now_us,
		      const struct natbox_grant *grants, unsigned count,
		      struct err *err)
{
	struct natbox_grant *copy = calloc(count + 1, sizeof(*copy));
	int code = 0;

	if (!copy)
		return err_set(err, ENOMEM, "no memory for port mappings");
	if (count)
		memcpy(copy, grants, count * sizeof(*copy));
	for (unsigned i = 0; i < b->grant_count; i++)
		if (!has_grant(copy, count, &b->grants[i]))
			(void)engine_unmap_softly(b->engine,
						  b->grants[i].proto,
						  b->grants[i].external_port);
	for (unsigned i = 0; i < count && !code; i++)
		if (!has_grant(b->grants, b->grant_count, &copy[i]))
			code = grant(b, now_us, &copy[i], err);
	free(b->grants);
	b->grants = copy;
	b->grant_count = count;
	b->lacks_grants = false;
	return code;
}

bool natbox_lacks_grants(const struct natbox *b)
{
	return b->lacks_grants;
}

void natbox_on_heard(struct natbox *b, natbox_heard_fn *heard, void *arg)
{
	b->heard = heard;
	b->heard_arg = arg;
}

void natbox_stats(const struct natbox *b, struct engine_stats *stats)
{
	engine_stats(b->engine, stats);
}
