/* SPDX-License-Identifier: BSD-3-Clause */
/* One machine of the lab: its sockets, what it hears, what it wants done. */
#include "harness/driver_private.h"
#include "wire/packet.h"
#include "wire/stun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536

static struct lab_node *node_of(const struct actor *a)
{
	return &a->driver->config.lab->nodes[a->node];
}

/* --- opening ------------------------------------------------------------- */

static int udp_socket(uint16_t port, bool unread, struct err *err)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int small = 1, ret;

	if (fd < 0)
		return err_set(err, errno, "no UDP socket: %s", strerror(errno));
	if (unread)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin))) {
		ret = err_set(err, errno, "cannot bind UDP port %u: %s", port,
			      strerror(errno));
		close(fd);
		return ret;
	}
	return fd;
}

static int add_udp(struct actor *a, uint16_t port, bool unread, struct err *err)
{
	struct watch *w = &a->udp[a->udp_count];
	int fd = udp_socket(port, unread, err);

	if (fd < 0)
		return fd;
	*w = (struct watch){WATCH_UDP, a, NULL, fd, port};
	a->udp_count++;
	return unread ? 0 : driver_watch(a->driver, w, EPOLLIN);
}

static int add_listener(struct actor *a, uint16_t port, struct err *err)
{
	int fd = conn_listen(port, err);

	if (fd < 0)
		return fd;
	a->listener = (struct watch){WATCH_LISTENER, a, NULL, fd, port};
	return driver_watch(a->driver, &a->listener, EPOLLIN);
}

static int open_inside(struct actor *a, struct err *err)
{
	int ret;

	switch (a->kind) {
	case ACTOR_STUN:
		ret = add_udp(a, STUN_PORT, false, err);
		return ret ? ret : add_udp(a, SERVER_STUN_ALT_PORT, false, err);
	case ACTOR_RELAY:
		return add_listener(a, SERVER_RELAY_PORT, err);
	case ACTOR_CONTROL:
		return add_listener(a, SERVER_CONTROL_PORT, err);
	case ACTOR_CLIENT:
	case ACTOR_REAL:
		a->raw_fd = raw_socket(err);
		return a->raw_fd < 0 ? a->raw_fd : 0;
	case ACTOR_REAL_SERVER:
		break;
	}
	return 0;
}

int actor_open(struct driver *d, struct actor *a, struct err *err)
{
	int ret = lab_enter(d->config.lab, node_of(a), err);

	if (ret)
		return ret;
	ret = open_inside(a, err);
	lab_leave(d->config.lab);
	return ret;
}

int actor_hold_ports(struct actor *a, struct err *err)
{
	const struct scenario *s = a->driver->config.scenario;
	int ret = lab_enter(a->driver->config.lab, node_of(a), err);

	if (ret)
		return ret;
	ret = add_udp(a, scenario_host(s, a->node)->port, true, err);
	if (!ret)
		ret = add_udp(a, client_portmap_port(a->client), true, err);
	lab_leave(a->driver->config.lab);
	return ret;
}

void actor_release_ports(struct actor *a)
{
	while (a->udp_count)
		close(a->udp[--a->udp_count].fd);
}

void actor_close(struct actor *a)
{
	for (struct watched_conn *c = a->conns; c; c = c->next)
		c->dead = true;
	actor_sweep(a);
	actor_release_ports(a);
	if (a->listener.fd >= 0)
		close(a->listener.fd);
	if (a->raw_fd >= 0)
		close(a->raw_fd);
	if (a->kind == ACTOR_CLIENT)
		client_free(a->client);
	else if (a->kind == ACTOR_RELAY)
		relay_free(a->relay);
	else if (a->kind == ACTOR_CONTROL)
		control_free(a->control);
	else if (a->kind == ACTOR_REAL || a->kind == ACTOR_REAL_SERVER)
		real_close(a);
}

/* --- streams ------------------------------------------------------------- */

static struct watched_conn *find_conn(struct actor *a, uint32_t stream)
{
	for (struct watched_conn *c = a->conns; c; c = c->next)
		if (!c->dead && c->conn->id == stream)
			return c;
	return NULL;
}

static void watch_events(struct actor *a, struct watched_conn *c)
{
	uint32_t events = EPOLLIN;
	struct epoll_event ev;

	if (conn_wants_write(c->conn))
		events |= EPOLLOUT;
	if (events == c->events)
		return;
	ev = (struct epoll_event){.events = events, .data.ptr = &c->watch};
	epoll_ctl(a->driver->epoll_fd,
		  c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->conn->fd, &ev);
	c->events = events;
}

static struct watched_conn *adopt(struct actor *a, struct conn *conn)
{
	struct watched_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		conn_free(conn);
		return NULL;
	}
	c->conn = conn;
	c->watch = (struct watch){WATCH_CONN, a, conn, conn->fd, 0};
	c->next = a->conns;
	a->conns = c;
	watch_events(a, c);
	return c;
}

void actor_sweep(struct actor *a)
{
	struct watched_conn **link = &a->conns, *c;

	while ((c = *link)) {
		if (!c->dead) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		conn_free(c->conn);
		free(c);
	}
}

static void tell_closed(struct actor *a, uint32_t stream)
{
	uint64_t now = a->driver->heard_us;
	struct actions *out = &a->driver->actions;

	if (a->kind == ACTOR_CLIENT)
		client_on_closed(a->client, now, stream, out);
	else if (a->kind == ACTOR_RELAY)
		relay_on_closed(a->relay, now, stream, out);
	else
		control_on_closed(a->control, now, stream, out);
}

static void lose(struct actor *a, struct watched_conn *c)
{
	/* Off the epoll set at once: a dead descriptor would wake us again. */
	epoll_ctl(a->driver->epoll_fd, EPOLL_CTL_DEL, c->conn->fd, NULL);
	c->dead = true;
	tell_closed(a, c->conn->id);
	actor_act(a);
}

static void tell_data(struct actor *a, uint32_t stream, const uint8_t *data,
		      size_t size_bytes)
{
	uint64_t now = a->driver->heard_us;
	struct actions *out = &a->driver->actions;

	if (a->kind == ACTOR_CLIENT)
		client_on_stream(a->client, now, stream, data, size_bytes, out);
	else if (a->kind == ACTOR_RELAY)
		relay_on_stream(a->relay, now, stream, data, size_bytes, out);
	else
		control_on_stream(a->control, now, stream, data, size_bytes,
				  out);
	actor_act(a);
}

static void on_readable(struct actor *a, struct watched_conn *c)
{
	static uint8_t buffer[READ_BYTES];
	ssize_t n;

	while (!c->dead) {
		n = conn_read(c->conn, buffer, sizeof(buffer));
		if (n == -EAGAIN)
			return;
		if (n <= 0)
			lose(a, c);
		else
			tell_data(a, c->conn->id, buffer, (size_t)n);
	}
}

static void on_conn(struct actor *a, struct watched_conn *c, uint32_t events)
{
	int ret;

	if (c->dead)
		return;
	if (c->conn->connecting) {
		ret = conn_connected(c->conn);
		if (ret == -EAGAIN)
			return;
		if (ret) {
			lose(a, c);
			return;
		}
		client_on_connected(a->client, a->driver->heard_us,
				    c->conn->id, &a->driver->actions);
		actor_act(a);
	}
	if (!c->dead && events & EPOLLOUT && conn_flush(c->conn))
		lose(a, c);
	if (!c->dead && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_readable(a, c);
	if (!c->dead)
		watch_events(a, c);
}

static void on_listener(struct actor *a)
{
	struct endpoint peer;
	struct conn *conn;
	int status;

	while ((conn = conn_accept(a->listener.fd, ++a->next_stream, &peer,
				   &status))) {
		if (!adopt(a, conn))
			return;
		if (a->kind == ACTOR_RELAY)
			relay_on_accept(a->relay, a->driver->heard_us, conn->id,
					peer, &a->driver->actions);
		else
			control_on_accept(a->control, a->driver->heard_us,
					  conn->id, peer, &a->driver->actions);
		actor_act(a);
	}
}

/* --- carrying actions out ------------------------------------------------ */

/* A STUN server may answer from another's address: whose socket is it? */
static int stun_socket(struct driver *d, struct endpoint src)
{
	for (unsigned i = 0; i < d->actor_count; i++) {
		struct actor *a = &d->actors[i];

		if (a->kind != ACTOR_STUN || a->stun.ip != src.ip)
			continue;
		for (unsigned j = 0; j < a->udp_count; j++)
			if (a->udp[j].port == src.port)
				return a->udp[j].fd;
	}
	return -1;
}

static void act_udp(struct actor *a, const struct action *one,
		    const uint8_t *payload)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(one->dst.port),
				  .sin_addr.s_addr = htonl(one->dst.ip)};
	struct endpoint src = one->src;
	struct err err;
	int fd;

	if (a->kind != ACTOR_CLIENT) {
		fd = stun_socket(a->driver, src);
		if (fd >= 0)
			sendto(fd, payload, one->payload_bytes, 0,
			       (struct sockaddr *)&sin, sizeof(sin));
		return;
	}
	if (!src.ip)
		src.ip = node_of(a)->ifaces[0].ip;
	/*
	 * An identification that is never zero and never repeats soon helps
	 * the witness to tell equal packets apart. A network that refuses the
	 * packet (link down, no route) has lost it: that is no fault of ours.
	 */
	if (!++a->ip_id)
		a->ip_id = 1;
	(void)raw_send_udp(a->driver->raw, a->raw_fd, src, one->dst,
			   one->ttl ? one->ttl : 64, a->ip_id, payload,
			   one->payload_bytes, &err);
}

static void act_connect(struct actor *a, const struct action *one)
{
	struct lab *lab = a->driver->config.lab;
	struct conn *conn = NULL;
	struct err err = {0};

	if (!lab_enter(lab, node_of(a), &err)) {
		conn = conn_connect(one->stream, one->dst, &err);
		lab_leave(lab);
	}
	if (!conn || !adopt(a, conn))
		tell_closed(a, one->stream);
}

static void act_write(struct actor *a, const struct action *one,
		      const uint8_t *payload)
{
	struct watched_conn *c = find_conn(a, one->stream);

	if (!c)
		return;
	/* A failed write shows as a closed connection at the next read. */
	(void)conn_write(c->conn, payload, one->payload_bytes);
	watch_events(a, c);
}

static void act_close(struct actor *a, const struct action *one)
{
	struct watched_conn *c = find_conn(a, one->stream);

	if (!c)
		return;
	epoll_ctl(a->driver->epoll_fd, EPOLL_CTL_DEL, c->conn->fd, NULL);
	shutdown(c->conn->fd, SHUT_RDWR);
	c->dead = true;
}

void actor_ask_gateway(struct actor *a)
{
	struct err err = {0};
	int ret = upnp_worker_ask(a->driver->upnp, node_of(a)->ns_fd, a->node,
				  &a->question, &err);

	if (ret)
		driver_break(a->driver, ret, &err);
}

static void act_upnp(struct actor *a, const struct upnp_request *question)
{
	struct driver *d = a->driver;

	a->question = *question;
	for (unsigned i = 0; i < d->asking_count; i++)
		if (d->asking[i] == a)
			return; /* it has thought better of the other */
	if (d->asking_count < ACTOR_MAX_ASKING)
		d->asking[d->asking_count++] = a;
	else
		actor_ask_gateway(a);
}

static void act_one(struct actor *a, const struct actions *actions,
		    const struct action *one)
{
	const uint8_t *payload = actions_payload(actions, one);

	switch (one->kind) {
	case ACTION_UDP:
		act_udp(a, one, payload);
		break;
	case ACTION_CONNECT:
		act_connect(a, one);
		break;
	case ACTION_WRITE:
		act_write(a, one, payload);
		break;
	case ACTION_CLOSE:
		act_close(a, one);
		break;
	case ACTION_UPNP:
		act_upnp(a, &one->upnp);
		break;
	}
}

void actor_act(struct actor *a)
{
	struct driver *d = a->driver;
	struct actions todo;
	struct err err = {0};

	/* Carrying one out may append more (a connect that fails at once). */
	while (d->actions.count) {
		todo = d->actions;
		actions_init(&d->actions);
		for (size_t i = 0; i < todo.count; i++)
			act_one(a, &todo, &todo.list[i]);
		if (todo.failed)
			driver_break(d, err_set(&err, ENOMEM, "no memory"),
				     &err);
		actions_free(&todo);
	}
}

/* --- inputs -------------------------------------------------------------- */

static void on_stun_socket(struct actor *a, struct watch *w)
{
	uint8_t buffer[2048];
	struct sockaddr_in sin;
	socklen_t size = sizeof(sin);
	struct endpoint src, dst = {a->stun.ip, w->port};
	ssize_t n;

	while ((n = recvfrom(w->fd, buffer, sizeof(buffer), 0,
			     (struct sockaddr *)&sin, &size)) >= 0) {
		src = (struct endpoint){ntohl(sin.sin_addr.s_addr),
					ntohs(sin.sin_port)};
		stun_server_on_udp(&a->stun, src, dst, buffer, (size_t)n,
				   &a->driver->actions);
		actor_act(a);
		size = sizeof(sin);
	}
}

void actor_on_watch(struct watch *w, uint32_t events, uint64_t now_us)
{
	struct actor *a = w->actor;

	a->driver->heard_us = now_us;
	if (w->kind == WATCH_UDP)
		on_stun_socket(a, w);
	else if (w->kind == WATCH_ADAPTER)
		real_on_watch(a, w);
	else if (w->kind == WATCH_LISTENER)
		on_listener(a);
	else if (w->kind == WATCH_CONN)
		/* The watch is the wrapper's first member. */
		on_conn(a, (struct watched_conn *)w, events);
}

static bool holds_port(const struct actor *a, uint16_t port)
{
	for (unsigned i = 0; i < a->udp_count; i++)
		if (a->udp[i].port == port)
			return true;
	return false;
}

void actor_on_frame(struct actor *a, const struct frame *f, uint64_t now_us)
{
	struct packet p;
	struct err err;

	if (a->kind == ACTOR_REAL)
		real_on_frame(a, f, now_us);
	if (a->kind != ACTOR_CLIENT || f->direction != DIRECTION_IN ||
	    !client_running(a->client))
		return;
	if (packet_decode(PACKET_LINK_ETHERNET, f->data, f->captured_bytes, &p,
			  &err) ||
	    !p.is_ipv4 || p.ip_proto != PACKET_UDP || !p.has_ports ||
	    p.is_fragment || p.truncated)
		return;
	if (p.dst.ip != node_of(a)->ifaces[0].ip || !holds_port(a, p.dst.port))
		return;
	a->driver->heard_us = now_us;
	client_on_udp(a->client, now_us, p.src, p.dst.port, p.payload,
		      p.payload_bytes, &a->driver->actions);
	actor_act(a);
}

uint64_t actor_deadline(const struct actor *a)
{
	switch (a->kind) {
	case ACTOR_CLIENT:
		return client_deadline(a->client);
	case ACTOR_RELAY:
		return relay_deadline(a->relay);
	case ACTOR_CONTROL:
		return control_deadline(a->control);
	case ACTOR_STUN:
	case ACTOR_REAL:
	case ACTOR_REAL_SERVER:
		break;
	}
	return ACTIONS_NEVER;
}

void actor_on_timer(struct actor *a, uint64_t now_us)
{
	struct actions *out = &a->driver->actions;

	a->driver->heard_us = now_us;
	if (a->kind == ACTOR_CLIENT)
		client_on_timer(a->client, now_us, out);
	else if (a->kind == ACTOR_RELAY)
		relay_on_timer(a->relay, now_us, out);
	else if (a->kind == ACTOR_CONTROL)
		control_on_timer(a->control, now_us, out);
	actor_act(a);
}
