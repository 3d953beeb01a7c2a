/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is a daemon at work? It shares natrig's CPU, so while natrig looks it does
 * not run: it either waits for something to do, with nothing in its sockets'
 * queues, or it is not done yet.
 */
#include "netns/lab_own.h"
#include "netns/portmapd_own.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* A daemon that waits for less has something left to do. */
#define SHORTLY_S 2
/* TCP sockets of a router whose daemon talks to nobody: its HTTP port. */
#define TCP_AT_REST 1

/* The start of a file, with a NUL; false where it cannot be read. */
static bool read_start(const char *path, char *text, size_t size_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size_bytes - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

/* 'S' waits, 'R' would run, 'D' is in the middle of something. */
static bool sleeps(pid_t pid)
{
	char path[64], text[256], *after;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_start(path, text, sizeof(text)))
		return true; /* it is gone, and lab_ready will say so */
	after = strrchr(text, ')');
	return after && after[1] == ' ' && after[2] == 'S';
}

/*
 * miniupnpd puts some answers off by milliseconds and waits for that in
 * select() as for anything else; so how long it means to wait is read from its
 * memory. Otherwise it waits for its next announcement, minutes away.
 */
static bool waits_shortly(pid_t pid)
{
	unsigned long number, timeout_at;
	struct timespec timeout;
	struct iovec here = {&timeout, sizeof(timeout)}, there = here;
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	if (!read_start(path, text, sizeof(text)))
		return false;
	/* Its wait may have ended since it was seen asleep. */
	if (strncmp(text, "running", strlen("running")) == 0)
		return true;
	if (sscanf(text, "%lu %*s %*s %*s %*s %lx", &number, &timeout_at) != 2)
		return false;
	if (number != SYS_pselect6 || !timeout_at)
		return false;
	there.iov_base = (void *)timeout_at;
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) !=
	    (ssize_t)sizeof(timeout))
		return false;
	return timeout.tv_sec < SHORTLY_S;
}

/*
 * Nothing to be read in the sockets on which a daemon is asked: SSDP, NAT-PMP
 * and PCP, and its HTTP connections. Other sockets of the namespace are
 * somebody else's.
 */
static bool queues_empty(pid_t pid, const char *table, bool every_port)
{
	char path[64], line[512];
	unsigned port, received;
	bool empty = true;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, table);
	f = fopen(path, "re");
	if (!f)
		return true;
	while (empty && fgets(line, sizeof(line), f))
		/* sl: local remote state tx_queue:rx_queue ... */
		if (sscanf(line, "%*s %*x:%x %*s %*s %*x:%x", &port,
			   &received) == 2 &&
		    (every_port || port == 1900 || port == 5351))
			empty = !received;
	fclose(f);
	return empty;
}

/*
 * The table of TCP sockets is one for all namespaces of the machine, and takes
 * a millisecond to walk; how many of them are a namespace's own is counted.
 */
static bool has_connections(pid_t pid)
{
	char path[64], text[512], *count;

	snprintf(path, sizeof(path), "/proc/%d/net/sockstat", (int)pid);
	if (!read_start(path, text, sizeof(text)))
		return true;
	count = strstr(text, "TCP: inuse ");
	return !count || strtoul(count + strlen("TCP: inuse "), NULL, 10) >
				 TCP_AT_REST;
}

bool lab_daemons_idle(const struct lab *lab)
{
	for (unsigned i = 0; i < lab->count; i++) {
		const struct portmapd *d = lab->own->nodes[i].daemon;

		if (!d || d->pid < 0)
			continue;
		if (!queues_empty(d->pid, "udp", false) ||
		    !sleeps(d->pid) || waits_shortly(d->pid))
			return false;
		if (has_connections(d->pid) &&
		    !queues_empty(d->pid, "tcp", true))
			return false;
	}
	return true;
}
