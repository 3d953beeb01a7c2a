/* SPDX-License-Identifier: BSD-3-Clause */
/* The exam's packets: sockets, sending, hearing, and flows of UDP. */
#include "harness/exam_private.h"

#include "netns/closing.h"
#include "wire/cursor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

enum {
	FIRST_PORT = 42000,
	/* As for the probe: no NAT that adds a constant looks like another. */
	PORT_STEPS = 5,
	SETTLE_US = 2000000,
	ERROR_HEADER_BYTES = 8,
	ICMP_UNREACHABLE = 3,
	ICMP_ECHO_ID = 8,
	QUEUE_BYTES = 1 << 20
};

/* --- sockets -------------------------------------------------------------- */

static unsigned node_of(const struct exam *x, enum exam_who who)
{
	return who < OUT0 ? x->config->inside[who] :
			    x->config->outside[who - OUT0];
}

static int open_hearing(void)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_IP)};
	int on = 1, bytes = QUEUE_BYTES;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
		       sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

static void open_at(struct exam *x, enum exam_who who)
{
	const struct lab_node *node = &x->lab->nodes[node_of(x, who)];

	x->ips[who] = node->ifaces[0].ip;
	x->code = lab_enter(x->lab, node, &x->err);
	if (x->code)
		return;
	x->send_fds[who] = raw_socket(&x->err);
	x->hear_fds[who] = open_hearing();
	lab_leave(x->lab);
	if (x->send_fds[who] < 0)
		x->code = x->send_fds[who];
	else if (x->hear_fds[who] < 0)
		x->code = err_set(&x->err, -x->hear_fds[who],
				  "cannot hear at %s", node->plan.name);
}

void exam_open(struct exam *x)
{
	for (unsigned i = 0; i < EXAM_NODES; i++)
		x->send_fds[i] = x->hear_fds[i] = -1;
	x->heard = calloc(HEARD_MAX, sizeof(*x->heard));
	if (!x->heard)
		x->code = err_set(&x->err, ENOMEM, "no memory for an exam");
	for (enum exam_who who = IN0; who < EXAM_NODES && !x->code; who++)
		open_at(x, who);
}

/* Closing a packet socket waits for all CPUs, 13 ms each. */
void exam_close(struct exam *x)
{
	struct closing *closing = NULL;

	for (unsigned i = 0; i < EXAM_NODES; i++) {
		if (x->send_fds[i] >= 0)
			close(x->send_fds[i]);
		closing_add(&closing, x->hear_fds[i]);
	}
	closing_start(closing);
	free(x->heard);
}

/* --- sending -------------------------------------------------------------- */

uint16_t exam_port(struct exam *x)
{
	unsigned i = x->next_port++;

	/* Gaps of 1, 4, 7, 10, 13, and no two alike one after the other. */
	return (uint16_t)(FIRST_PORT + i * 8 + i % PORT_STEPS * 3);
}

struct endpoint exam_at(const struct exam *x, enum exam_who who, uint16_t port)
{
	return (struct endpoint){x->ips[who], port};
}

/* What the network refuses is lost, as packets are. */
void exam_send_udp(struct exam *x, enum exam_who who, uint16_t port,
		   struct endpoint to, const void *payload,
		   size_t payload_bytes)
{
	struct err lost;

	if (!x->code)
		(void)raw_send_udp(x->raw, x->send_fds[who],
				   exam_at(x, who, port), to, TTL, 0, payload,
				   payload_bytes, &lost);
}

void exam_send_tcp(struct exam *x, enum exam_who who, uint16_t port,
		   struct endpoint to, const struct raw_tcp *tcp)
{
	struct err lost;

	if (!x->code)
		(void)raw_send_tcp(x->raw, x->send_fds[who],
				   exam_at(x, who, port), to, tcp, &lost);
}

void exam_send_ip(struct exam *x, enum exam_who who, uint32_t to,
		  uint8_t proto, uint16_t fragment, uint16_t id, uint8_t ttl,
		  const void *payload, size_t payload_bytes)
{
	const struct raw_ip ip = {.src = x->ips[who],
				  .dst = to,
				  .ttl = ttl,
				  .proto = proto,
				  .id = id,
				  .fragment = fragment,
				  .payload = payload,
				  .payload_bytes = payload_bytes};
	struct err lost;

	if (!x->code)
		(void)raw_send_ip(x->raw, x->send_fds[who], &ip, &lost);
}

static void send_icmp(struct exam *x, enum exam_who who, uint32_t to,
		      uint8_t *icmp, size_t size_bytes, uint8_t ttl, bool wrong)
{
	uint16_t sum = packet_checksum(icmp, size_bytes);

	sum ^= wrong ? 0x5a5a : 0;
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	exam_send_ip(x, who, to, PACKET_ICMP, 0, 0, ttl, icmp, size_bytes);
}

void exam_send_echo(struct exam *x, enum exam_who who, uint8_t type,
		    uint32_t to, uint16_t id, uint8_t ttl)
{
	uint8_t icmp[ICMP_ECHO_ID + 32] = {type};

	icmp[4] = (uint8_t)(id >> 8);
	icmp[5] = (uint8_t)id;
	icmp[7] = 1;
	send_icmp(x, who, to, icmp, sizeof(icmp), ttl, false);
}

void exam_send_error(struct exam *x, enum exam_who who, uint32_t to,
		     uint8_t code, const struct heard *about, bool wrong)
{
	uint8_t icmp[ERROR_HEADER_BYTES + HEARD_BYTES] = {ICMP_UNREACHABLE,
							  code};

	if (!about)
		return;
	memcpy(icmp + ERROR_HEADER_BYTES, about->bytes, about->size_bytes);
	send_icmp(x, who, to, icmp, ERROR_HEADER_BYTES + about->size_bytes,
		  TTL, wrong);
}

/* --- hearing -------------------------------------------------------------- */

static bool lacks_checksum(struct msghdr *m)
{
	struct tpacket_auxdata aux;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_PACKET &&
		    c->cmsg_type == PACKET_AUXDATA) {
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
			return aux.tp_status & TP_STATUS_CSUMNOTREADY;
		}
	return false;
}

/* Over its whole transport, with the pseudo-header where there is one. */
static bool sums_right(const struct packet *p)
{
	uint8_t bytes[12 + HEARD_BYTES];
	size_t header_bytes = (p->ip[0] & 15) * 4u;
	size_t left = p->ip_bytes - header_bytes;
	struct writer w = writer_over(bytes, sizeof(bytes));

	if (packet_checksum(p->ip, header_bytes))
		return false;
	if (p->is_fragment || p->truncated)
		return true;
	if (p->ip_proto == PACKET_UDP && !p->ip[header_bytes + 6] &&
	    !p->ip[header_bytes + 7])
		return true;
	if (p->ip_proto != PACKET_ICMP) {
		writer_bytes(&w, p->ip + 12, 8);
		writer_u16(&w, p->ip_proto);
		writer_u16(&w, (uint16_t)left);
	}
	writer_bytes(&w, p->ip + header_bytes, left);
	return !w.bad && !packet_checksum(bytes, w.at_bytes);
}

/* False: there is nothing more. */
static bool hear_one(struct exam *x, enum exam_who at)
{
	_Alignas(struct cmsghdr) uint8_t
		control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct heard *h = &x->heard[x->count];
	struct iovec data = {h->bytes, HEARD_BYTES};
	struct msghdr m = {.msg_iov = &data,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(x->hear_fds[at], &m, 0);

	if (n < 0)
		return false;
	h->at = at;
	h->size_bytes = (size_t)n;
	if (packet_decode(PACKET_LINK_RAW, h->bytes, h->size_bytes, &h->p,
			  NULL) ||
	    !h->p.is_ipv4)
		return true;
	if (!lacks_checksum(&m)) {
		x->checked++;
		x->wrong_sums += !sums_right(&h->p);
	}
	x->count += x->count + 1 < HEARD_MAX;
	return true;
}

static void hear(struct exam *x)
{
	for (enum exam_who at = IN0; at < EXAM_NODES && !x->code; at++)
		while (hear_one(x, at))
			;
}

void exam_go(struct exam *x)
{
	x->count = 0;
	if (!x->code)
		x->code = driver_settle(x->driver, SETTLE_US, &x->err);
	hear(x);
}

void exam_wait(struct exam *x, uint64_t us)
{
	int ret;

	x->count = 0;
	if (x->code)
		return;
	ret = driver_run_until(x->driver, driver_now_us(x->driver) + us, NULL,
			       NULL, &x->err);
	x->code = ret < 0 ? ret : 0;
	hear(x);
}

const struct heard *exam_udp_at(const struct exam *x, enum exam_who at,
				const void *payload, size_t payload_bytes)
{
	for (unsigned i = 0; i < x->count; i++) {
		const struct heard *h = &x->heard[i];

		if (h->at == at && h->p.ip_proto == PACKET_UDP &&
		    h->p.payload_bytes == payload_bytes &&
		    !memcmp(h->p.payload, payload, payload_bytes))
			return h;
	}
	return NULL;
}

const struct heard *exam_tcp_at(const struct exam *x, enum exam_who at,
				uint32_t seq)
{
	for (unsigned i = 0; i < x->count; i++) {
		const struct heard *h = &x->heard[i];

		if (h->at == at && h->p.ip_proto == PACKET_TCP &&
		    h->p.has_ports && h->p.tcp_seq == seq &&
		    !(h->p.tcp_flags & TCP_FLAG_RST))
			return h;
	}
	return NULL;
}

const struct heard *exam_icmp_at(const struct exam *x, enum exam_who at,
				 int type)
{
	for (unsigned i = 0; i < x->count; i++) {
		const struct heard *h = &x->heard[i];

		if (h->at == at && h->p.ip_proto == PACKET_ICMP &&
		    h->p.icmp_type == type)
			return h;
	}
	return NULL;
}

bool exam_quoted(const struct heard *error, struct packet *quoted)
{
	return error &&
	       !packet_decode(PACKET_LINK_RAW, error->p.payload,
			      error->p.payload_bytes, quoted, NULL) &&
	       quoted->is_ipv4;
}

/* --- flows of UDP --------------------------------------------------------- */

struct flow exam_flow(struct exam *x, enum exam_who inside,
		      enum exam_who outside, uint16_t remote_port)
{
	return (struct flow){.inside = inside,
			     .outside = outside,
			     .port = exam_port(x),
			     .remote_port = remote_port,
			     .in_seq = 1000000u + 65536 * x->next_port,
			     .out_seq = 900000000u + 65536 * x->next_port};
}

static int next_text(struct exam *x, char text[static TEXT_BYTES])
{
	return snprintf(text, TEXT_BYTES, "natrig examines a router, %u",
			++x->next_tag);
}

const struct heard *exam_last(const struct exam *x, enum exam_who at)
{
	char text[TEXT_BYTES];
	int bytes = snprintf(text, TEXT_BYTES, "natrig examines a router, %u",
			     x->next_tag);

	return exam_udp_at(x, at, text, (size_t)bytes);
}

bool exam_udp_out(struct exam *x, struct flow *f)
{
	char text[TEXT_BYTES];
	int bytes = next_text(x, text);
	const struct heard *h;

	exam_send_udp(x, f->inside, f->port,
		      exam_at(x, f->outside, f->remote_port), text,
		      (size_t)bytes);
	exam_go(x);
	h = exam_last(x, f->outside);
	if (h)
		f->mapped = h->p.src;
	return h;
}

bool exam_udp_in(struct exam *x, const struct flow *f)
{
	char text[TEXT_BYTES];
	int bytes = next_text(x, text);

	exam_send_udp(x, f->outside, f->remote_port, f->mapped, text,
		      (size_t)bytes);
	exam_go(x);
	return exam_last(x, f->inside);
}
