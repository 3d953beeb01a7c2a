/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/probe_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536, EVENTS_AT_ONCE = 32, PORT_BLOCK_TRIES = 50 };

#define FIRST_PORT 20000
#define PROGRESS_EVERY_US 100000

/* The host's sockets, then the peer's, in the order of config->ports. */
struct probe_io {
	struct probe *probe;
	struct probe_config *config;
	struct actions actions;
	int epoll_fd, interrupt_fd;
	int fds[2][PROBE_PORTS];
	struct driver *driver; /* NULL: the real network */
	uint8_t *buffer;
};

static void io_init(struct probe_io *io, struct probe_config *config)
{
	*io = (struct probe_io){.config = config,
				.epoll_fd = -1,
				.interrupt_fd = -1};
	actions_init(&io->actions);
	for (unsigned i = 0; i < 2 * PROBE_PORTS; i++)
		io->fds[i / PROBE_PORTS][i % PROBE_PORTS] = -1;
}

static void close_sockets(struct probe_io *io, unsigned side)
{
	for (unsigned i = 0; i < PROBE_PORTS; i++) {
		if (io->fds[side][i] >= 0)
			close(io->fds[side][i]);
		io->fds[side][i] = -1;
	}
}

static void io_end(struct probe_io *io)
{
	close_sockets(io, 0);
	close_sockets(io, 1);
	if (io->epoll_fd >= 0)
		close(io->epoll_fd);
	free(io->buffer);
	actions_free(&io->actions);
	probe_free(io->probe);
}

/* --- sockets -------------------------------------------------------------- */

static int open_socket(uint32_t ip, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(ip)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int no_df = IP_PMTUDISC_DONT;

	if (fd < 0)
		return -errno;
	/* Fragments are asked for: none may be refused for its size. */
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &no_df, sizeof(no_df));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin))) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

static int open_sockets(struct probe_io *io, unsigned side, uint32_t ip)
{
	for (unsigned i = 0; i < PROBE_PORTS; i++) {
		struct epoll_event ev = {.events = EPOLLIN,
					 .data.u32 = side * PROBE_PORTS + i};
		int fd = open_socket(ip, io->config->ports[i]);

		if (fd < 0)
			return fd;
		io->fds[side][i] = fd;
		if (epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, fd, &ev))
			return -errno;
	}
	return 0;
}

static int io_begin(struct probe_io *io, struct err *err)
{
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	io->buffer = malloc(BUFFER_BYTES);
	if (io->epoll_fd < 0 || !io->buffer)
		return err_set(err, ENOMEM, "no memory for a probe");
	return 0;
}

static int start(struct probe_io *io, uint64_t now_us, struct err *err)
{
	io->probe = probe_new(io->config);
	if (!io->probe)
		return err_set(err, ENOMEM, "no memory for a probe");
	probe_start(io->probe, now_us, &io->actions);
	return 0;
}

/* --- packets -------------------------------------------------------------- */

static int socket_of(const struct probe_io *io, struct endpoint src)
{
	unsigned side = src.ip == io->config->ip ? 0 : 1;

	for (unsigned i = 0; i < PROBE_PORTS; i++)
		if (io->config->ports[i] == src.port)
			return io->fds[side][i];
	return -1;
}

/* What the network refuses is lost, as packets are. */
static void send_all(struct probe_io *io)
{
	for (size_t i = 0; i < io->actions.count; i++) {
		const struct action *one = &io->actions.list[i];
		struct sockaddr_in to = {.sin_family = AF_INET,
					 .sin_port = htons(one->dst.port),
					 .sin_addr.s_addr =
						 htonl(one->dst.ip)};

		(void)sendto(socket_of(io, one->src),
			     actions_payload(&io->actions, one),
			     one->payload_bytes, 0, (struct sockaddr *)&to,
			     sizeof(to));
	}
	actions_clear(&io->actions);
}

static void read_socket(struct probe_io *io, unsigned index, uint64_t now_us)
{
	unsigned side = index / PROBE_PORTS, port = index % PROBE_PORTS;
	struct endpoint dst = {side ? io->config->peer_ip : io->config->ip,
			       io->config->ports[port]};
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n;

	/* One error (an ICMP that came back) is no reason not to read on. */
	n = recvfrom(io->fds[side][port], io->buffer, BUFFER_BYTES, 0,
		     (struct sockaddr *)&from, &size);
	if (n < 0)
		return;
	probe_on_udp(io->probe, now_us,
		     (struct endpoint){ntohl(from.sin_addr.s_addr),
				       ntohs(from.sin_port)},
		     dst, io->buffer, (size_t)n, &io->actions);
	send_all(io);
}

/* -EINTR when the user wants to stop. */
static int read_ready(struct probe_io *io, int wait_ms, uint64_t now_us)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = epoll_wait(io->epoll_fd, events, EVENTS_AT_ONCE, wait_ms);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == UINT32_MAX)
			return -EINTR;
		read_socket(io, events[i].data.u32,
			    io->driver ? now_us : clock_real_us());
	}
	return 0;
}

/* --- the real network ----------------------------------------------------- */

/* The address that packets to the server leave from. */
static int find_own_ip(struct probe_config *config, struct err *err)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(config->server.port),
				 .sin_addr.s_addr = htonl(config->server.ip)};
	socklen_t size = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;
	char text[ENDPOINT_TEXT_BYTES];

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    getsockname(fd, (struct sockaddr *)&to, &size))
		ret = err_set(err, errno, "no way to %s: %s",
			      endpoint_format(config->server, text),
			      strerror(errno));
	else
		config->ip = ntohl(to.sin_addr.s_addr);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* All ports must be free; where one is not, somewhere else. */
static int open_anywhere(struct probe_io *io, struct err *err)
{
	int ret = -EADDRINUSE;

	for (unsigned i = 0; ret == -EADDRINUSE && i < PORT_BLOCK_TRIES; i++) {
		close_sockets(io, 0);
		probe_choose_ports(io->config,
				   (uint16_t)(FIRST_PORT + 601 * i));
		ret = open_sockets(io, 0, io->config->ip);
	}
	return ret ? err_set(err, -ret, "cannot open %d UDP ports: %s",
			     PROBE_PORTS, strerror(-ret)) :
		     0;
}

static int watch_interrupt(struct probe_io *io, struct err *err)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = UINT32_MAX};

	if (io->interrupt_fd < 0)
		return 0;
	if (epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, io->interrupt_fd, &ev))
		return err_set(err, errno, "cannot watch: %s", strerror(errno));
	return 0;
}

static int run_real(struct probe_io *io,
		    const struct probe_io_options *options, struct err *err)
{
	uint64_t now_us, deadline_us;

	send_all(io);
	while (!probe_done(io->probe)) {
		if (options->progress)
			options->progress(options->arg, probe_stage(io->probe));
		now_us = clock_real_us();
		deadline_us = probe_deadline(io->probe);
		if (deadline_us > now_us + PROGRESS_EVERY_US)
			deadline_us = now_us + PROGRESS_EVERY_US;
		if (read_ready(io, deadline_us > now_us ?
			       (int)((deadline_us - now_us + 999) / 1000) : 0,
			       now_us))
			return err_set(err, EINTR, "interrupted");
		if (probe_deadline(io->probe) <= clock_real_us())
			probe_on_timer(io->probe, clock_real_us(),
				       &io->actions);
		send_all(io);
	}
	return 0;
}

int probe_real(struct probe_config *config,
	       const struct probe_io_options *options,
	       struct probe_report *report, struct err *err)
{
	struct probe_io io;
	int ret;

	io_init(&io, config);
	io.interrupt_fd = options->interrupt_fd;
	ret = io_begin(&io, err);
	if (!ret)
		ret = find_own_ip(config, err);
	if (!ret)
		ret = open_anywhere(&io, err);
	if (!ret)
		ret = watch_interrupt(&io, err);
	if (!ret)
		ret = start(&io, clock_real_us(), err);
	if (!ret)
		ret = run_real(&io, options, err);
	if (!ret)
		*report = *probe_report(io.probe);
	io_end(&io);
	return ret;
}

/* --- a lab ---------------------------------------------------------------- */

/* Packets that bear the host's own address are heard too. */
static void accept_own_address(void)
{
	static const char *const paths[] = {
		"/proc/sys/net/ipv4/conf/eth0/accept_local",
		"/proc/sys/net/ipv4/conf/all/accept_local"};

	for (unsigned i = 0; i < 2; i++) {
		int fd = open(paths[i], O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		/* Where this fails, such a hairpin is not seen. */
		if (write(fd, "1", 1) < 0)
			errno = 0;
		close(fd);
	}
}

static int open_at(struct probe_io *io, unsigned side, struct lab *lab,
		   unsigned node, struct err *err)
{
	int ret = lab_enter(lab, &lab->nodes[node], err);

	if (ret)
		return ret;
	accept_own_address();
	ret = open_sockets(io, side, lab->nodes[node].ifaces[0].ip);
	lab_leave(lab);
	return ret ? err_set(err, -ret, "cannot open UDP ports in %s: %s",
			     lab->nodes[node].plan.name, strerror(-ret)) :
		     0;
}

/*
 * Called by the driver in each of its turns. What was sent here is heard by
 * the recorder before the driver may skip time, and so is what comes back.
 */
static bool turn(void *arg, uint64_t now_us)
{
	struct probe_io *io = arg;

	read_ready(io, 0, now_us);
	if (probe_deadline(io->probe) <= now_us)
		probe_on_timer(io->probe, now_us, &io->actions);
	send_all(io);
	return probe_done(io->probe);
}

static int run_in_lab(struct probe_io *io, struct err *err)
{
	int ret = 0;

	send_all(io);
	while (!ret && !probe_done(io->probe))
		ret = driver_run_until(io->driver, probe_deadline(io->probe),
				       turn, io, err);
	return ret < 0 ? ret : 0;
}

int probe_in_lab(struct driver *driver, struct lab *lab, unsigned host,
		 int peer, struct probe_config *config,
		 struct probe_report *report, struct err *err)
{
	struct probe_io io;
	int ret;

	io_init(&io, config);
	io.driver = driver;
	config->ip = lab->nodes[host].ifaces[0].ip;
	config->peer_ip = peer < 0 ? 0 : lab->nodes[peer].ifaces[0].ip;
	probe_choose_ports(config, FIRST_PORT);
	ret = io_begin(&io, err);
	if (!ret)
		ret = open_at(&io, 0, lab, host, err);
	if (!ret && peer >= 0)
		ret = open_at(&io, 1, lab, (unsigned)peer, err);
	if (!ret)
		ret = start(&io, driver_now_us(driver), err);
	if (!ret)
		ret = run_in_lab(&io, err);
	if (!ret)
		*report = *probe_report(io.probe);
	io_end(&io);
	return ret;
}
