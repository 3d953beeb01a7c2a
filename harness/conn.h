/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn: TCP connections of the lab's machines: non-blocking kernel sockets,
 * opened inside a namespace, with what could not be written yet kept aside.
 */
#ifndef NATRIG_HARNESS_CONN_H
#define NATRIG_HARNESS_CONN_H

#include "wire/endpoint.h"
#include "wire/err.h"

#include <sys/types.h>

struct conn {
	uint32_t id;
	int fd;
	bool connecting;
	uint8_t *kept;
	size_t kept_bytes;
};

/* In the calling thread's namespace. */
int conn_listen(uint16_t port, struct err *err);
struct conn *conn_connect(uint32_t id, struct endpoint dst,
			      struct err *err);
/* NULL and -EAGAIN in *status where nobody is waiting. */
struct conn *conn_accept(int listener_fd, uint32_t id,
			     struct endpoint *peer, int *status);
/* 0 once connected, -EAGAIN while not, or why it failed. */
int conn_connected(struct conn *s);
/* Writes or keeps; -errno where the connection is gone. */
int conn_write(struct conn *s, const void *data, size_t size_bytes);
/* Writes what was kept. */
int conn_flush(struct conn *s);
/* Bytes read; 0: the peer closed; -EAGAIN: nothing there; else -errno. */
ssize_t conn_read(struct conn *s, void *data, size_t size_bytes);
bool conn_wants_write(const struct conn *s);
void conn_free(struct conn *s); /* NULL is legal */

#endif
