/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/raw.h"

#include <libnet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int raw_send_udp(struct raw *r, int socket_fd, struct endpoint src,
		 struct endpoint dst, uint8_t ttl, uint16_t ip_id,
		 const void *payload, size_t payload_bytes, struct err *err)
{
	uint16_t udp_bytes = (uint16_t)(LIBNET_UDP_H + payload_bytes);
	int ret;

	/* Checksum 0 asks libnet to work it out. */
	ret = libnet_build_udp(src.port, dst.port, udp_bytes, 0, payload,
			       (uint32_t)payload_bytes, r->net, 0);
	if (ret >= 0)
		ret = libnet_build_ipv4((uint16_t)(LIBNET_IPV4_H + udp_bytes),
					0, ip_id, 0, ttl, IPPROTO_UDP, 0,
					htonl(src.ip), htonl(dst.ip), NULL, 0,
					r->net, 0);
	if (ret < 0) {
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
