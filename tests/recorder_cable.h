/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder_cable: a cable between two namespaces of its own, to record at:
 *
 *	[ ns a: va 25.0.0.1 ]----veth----[ vb 25.0.0.2: ns b ]
 *
 * Needs no root where user namespaces are permitted, and the program ip.
 * Nothing but what the tests send is on it. Only check_recorder includes it.
 */
#ifndef NATRIG_TESTS_RECORDER_CABLE_H
#define NATRIG_TESTS_RECORDER_CABLE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#define PORT 41641

/* Made once by main; the tests are its children and have copies. */
static struct {
	int ns_a, ns_b;
	int socket_a, socket_b;
} world;

__attribute__((format(printf, 1, 2))) static inline int run(const char *format,
							    ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	close(fd);
}

/* Enters a new network namespace where nothing is sent but by the tests. */
static inline int new_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static inline int udp_socket(const char *ip)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, ip, &sin.sin_addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return -1;
	return fd;
}

static inline int configure_b(void)
{
	return run("ip addr add 25.0.0.2/24 dev vb && "
		   "ip link set vb address 02:00:00:00:00:02 up && "
		   "ip neigh add 25.0.0.1 lladdr 02:00:00:00:00:01 dev vb");
}

static inline int configure_a(void)
{
	return run("ip addr add 25.0.0.1/24 dev va && "
		   "ip link set va address 02:00:00:00:00:01 up && "
		   "ip neigh add 25.0.0.2 lladdr 02:00:00:00:00:02 dev va");
}

/* A user becomes the root of a user namespace of its own. */
static inline int become_root(void)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getegid());
	if (!geteuid())
		return 0;
	if (unshare(CLONE_NEWUSER) < 0)
		return -1;
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", uid);
	write_file("/proc/self/gid_map", gid);
	return 0;
}

/* What is missing for the test, or NULL. */
static const char *world_missing(void)
{
	if (become_root() < 0 || (world.ns_b = new_namespace()) < 0 ||
	    (world.ns_a = new_namespace()) < 0)
		return "permission to make namespaces";
	return run("ip -V >/dev/null 2>&1") ? "the program ip (iproute2)"
					    : NULL;
}

static inline int world_make(void)
{
	if (run("ip link add va type veth peer name vb netns /proc/%d/fd/%d",
		getpid(), world.ns_b) ||
	    configure_a())
		return -1;
	world.socket_a = udp_socket("25.0.0.1");
	if (setns(world.ns_b, CLONE_NEWNET) < 0 || configure_b())
		return -1;
	world.socket_b = udp_socket("25.0.0.2");
	if (setns(world.ns_a, CLONE_NEWNET) < 0)
		return -1;
	return world.socket_a < 0 || world.socket_b < 0 ? -1 : 0;
}

/* SIZE bytes of UDP payload that start with SEQUENCE, from a or from b. */
static inline void send_udp(bool from_a, uint32_t sequence, size_t size_bytes)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(PORT)};
	uint8_t payload[2048];

	memset(payload, (int)sequence, sizeof(payload));
	memcpy(payload, &sequence, sizeof(sequence));
	inet_pton(AF_INET, from_a ? "25.0.0.2" : "25.0.0.1", &sin.sin_addr);
	ck_assert_int_eq(sendto(from_a ? world.socket_a : world.socket_b,
				payload, size_bytes, 0, (struct sockaddr *)&sin,
				sizeof(sin)),
			 size_bytes);
}

#endif
