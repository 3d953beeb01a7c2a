/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/raw.h"

#include <libnet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TTL = 64 };

struct raw {
	libnet_t *net;
	int own_fd; /* libnet's own socket, in the namespace of raw_new */
};

struct raw *raw_new(struct err *err)
{
	char text[LIBNET_ERRBUF_SIZE] = "";
	struct raw *r = calloc(1, sizeof(*r));

	if (!r) {
		err_set(err, ENOMEM, "no memory for a packet crafter");
		return NULL;
	}
	r->net = libnet_init(LIBNET_RAW4, NULL, text);
	if (!r->net) {
		err_set(err, EPERM, "libnet opens no raw socket: %s", text);
		free(r);
		return NULL;
	}
	r->own_fd = r->net->fd;
	return r;
}

void raw_free(struct raw *r)
{
	if (!r)
		return;
	libnet_destroy(r->net);
	free(r);
}

int raw_socket(struct err *err)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd < 0)
		return err_set(err, errno, "cannot open a raw socket: %s",
			       strerror(errno));
	return fd;
}

/* Sends what was built, unless BUILT says that it was not. */
static int send_built(struct raw *r, int socket_fd, int built, struct err *err)
{
	int ret = built;

	if (built < 0) {
		ret = err_set(err, EMSGSIZE, "libnet builds no packet: %s",
			      libnet_geterror(r->net));
	} else {
		errno = 0;
		r->net->fd = socket_fd;
		ret = libnet_write(r->net);
		r->net->fd = r->own_fd;
		if (ret < 0)
			ret = err_set(err, errno ? errno : EIO,
				      "libnet sends no packet: %s",
				      libnet_geterror(r->net));
	}
	libnet_clear_packet(r->net);
	return ret < 0 ? ret : 0;
}

/* Checksum 0 asks libnet to work it out. */
static int build_ip(struct raw *r, const struct raw_ip *ip, size_t size_bytes)
{
	return libnet_build_ipv4((uint16_t)(LIBNET_IPV4_H + size_bytes), 0,
				 ip->id, ip->fragment, ip->ttl, ip->proto, 0,
				 htonl(ip->src), htonl(ip->dst), ip->payload,
				 (uint32_t)ip->payload_bytes, r->net, 0);
}

int raw_send_udp(struct raw *r, int socket_fd, struct endpoint src,
		 struct endpoint dst, uint8_t ttl, uint16_t ip_id,
		 const void *payload, size_t payload_bytes, struct err *err)
{
	const struct raw_ip ip = {.src = src.ip, .dst = dst.ip, .ttl = ttl,
				  .proto = IPPROTO_UDP, .id = ip_id};
	uint16_t udp_bytes = (uint16_t)(LIBNET_UDP_H + payload_bytes);
	int ret;

	ret = libnet_build_udp(src.port, dst.port, udp_bytes, 0, payload,
			       (uint32_t)payload_bytes, r->net, 0);
	if (ret >= 0)
		ret = build_ip(r, &ip, udp_bytes);
	return send_built(r, socket_fd, ret, err);
}

int raw_send_tcp(struct raw *r, int socket_fd, struct endpoint src,
		 struct endpoint dst, const struct raw_tcp *tcp,
		 struct err *err)
{
	const struct raw_ip ip = {.src = src.ip, .dst = dst.ip, .ttl = TTL,
				  .proto = IPPROTO_TCP};
	size_t tcp_bytes = LIBNET_TCP_H + tcp->payload_bytes;
	int ret;

	ret = libnet_build_tcp(src.port, dst.port, tcp->seq, tcp->ack,
			       tcp->flags, UINT16_MAX, 0, 0,
			       (uint16_t)tcp_bytes, tcp->payload,
			       (uint32_t)tcp->payload_bytes, r->net, 0);
	if (ret >= 0)
		ret = build_ip(r, &ip, tcp_bytes);
	return send_built(r, socket_fd, ret, err);
}

int raw_send_ip(struct raw *r, int socket_fd, const struct raw_ip *ip,
		struct err *err)
{
	return send_built(r, socket_fd, build_ip(r, ip, ip->payload_bytes),
			  err);
}
