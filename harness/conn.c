/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in address_of(struct endpoint e)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(e.port),
				    .sin_addr.s_addr = htonl(e.ip)};
}

static void set_options(int fd)
{
	int one = 1;

	/* Each message is wanted at once; none is worth waiting for more. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int conn_listen(uint16_t port, struct err *err)
{
	struct sockaddr_in sin = address_of((struct endpoint){0, port});
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, ret;

	if (fd < 0)
		return err_set(err, errno, "no TCP socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ||
	    listen(fd, 1024)) {
		ret = err_set(err, errno, "cannot listen on TCP port %u: %s",
			      port, strerror(errno));
		close(fd);
		return ret;
	}
	return fd;
}

static struct conn *conn_of(int fd, uint32_t id)
{
	struct conn *s = calloc(1, sizeof(*s));

	if (!s) {
		close(fd);
		return NULL;
	}
	s->id = id;
	s->fd = fd;
	set_options(fd);
	return s;
}

struct conn *conn_connect(uint32_t id, struct endpoint dst, struct err *err)
{
	struct sockaddr_in sin = address_of(dst);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct conn *s;

	if (fd < 0) {
		err_set(err, errno, "no TCP socket: %s", strerror(errno));
		return NULL;
	}
	s = conn_of(fd, id);
	if (!s)
		return NULL;
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) &&
	    errno != EINPROGRESS) {
		err_set(err, errno, "cannot connect: %s", strerror(errno));
		conn_free(s);
		return NULL;
	}
	s->connecting = true;
	return s;
}

struct conn *conn_accept(int listener_fd, uint32_t id,
			     struct endpoint *peer, int *status)
{
	struct sockaddr_in sin;
	socklen_t size = sizeof(sin);
	int fd = accept4(listener_fd, (struct sockaddr *)&sin, &size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	*status = fd < 0 ? -errno : 0;
	if (fd < 0)
		return NULL;
	*peer = (struct endpoint){ntohl(sin.sin_addr.s_addr),
				  ntohs(sin.sin_port)};
	return conn_of(fd, id);
}

int conn_connected(struct conn *s)
{
	int error = 0;
	socklen_t size = sizeof(error);
	struct sockaddr_in sin;
	socklen_t sin_size = sizeof(sin);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	if (error)
		return -error;
	if (getpeername(s->fd, (struct sockaddr *)&sin, &sin_size))
		return errno == ENOTCONN ? -EAGAIN : -errno;
	s->connecting = false;
	return 0;
}

int conn_write(struct conn *s, const void *data, size_t size_bytes)
{
	ssize_t n = 0;
	uint8_t *kept;

	if (!s->kept_bytes) {
		n = send(s->fd, data, size_bytes, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0)
			n = 0;
	}
	if ((size_t)n == size_bytes)
		return 0;
	kept = realloc(s->kept, s->kept_bytes + size_bytes - (size_t)n);
	if (!kept)
		return -ENOMEM;
	memcpy(kept + s->kept_bytes, (const uint8_t *)data + n,
	       size_bytes - (size_t)n);
	s->kept = kept;
	s->kept_bytes += size_bytes - (size_t)n;
	return 0;
}

int conn_flush(struct conn *s)
{
	ssize_t n;

	if (!s->kept_bytes)
		return 0;
	n = send(s->fd, s->kept, s->kept_bytes, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	memmove(s->kept, s->kept + n, s->kept_bytes - (size_t)n);
	s->kept_bytes -= (size_t)n;
	return 0;
}

ssize_t conn_read(struct conn *s, void *data, size_t size_bytes)
{
	ssize_t n = recv(s->fd, data, size_bytes, 0);

	return n < 0 ? -errno : n;
}

bool conn_wants_write(const struct conn *s)
{
	return s->connecting || s->kept_bytes;
}

void conn_free(struct conn *s)
{
	if (!s)
		return;
	close(s->fd);
	free(s->kept);
	free(s);
}
