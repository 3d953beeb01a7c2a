/* SPDX-License-Identifier: BSD-3-Clause */
/* The sockets through which a box hears its links, and sends. */
#include "netns/natbox_own.h"

#include <errno.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

enum { QUEUE_BYTES = 4 << 20 };

int natbox_open_hearing(unsigned ifindex)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_IP),
				 .sll_ifindex = (int)ifindex};
	/* Bound only once it is set up: it never hears what it sends. */
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);
	int on = 1, queue_bytes = QUEUE_BYTES;

	if (fd < 0)
		return -errno;
	/* Without, a burst is lost earlier: no reason to give up. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue_bytes,
			 sizeof(queue_bytes));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
		       sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at))) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

int natbox_open_sending(unsigned ifindex)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			IPPROTO_RAW);
	int on = 1, index = (int)ifindex;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) ||
	    (index && setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index,
				 sizeof(index)))) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

bool natbox_lacks_checksum(struct msghdr *m)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET ||
		    c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		return aux.tp_status & TP_STATUS_CSUMNOTREADY;
	}
	return false;
}
