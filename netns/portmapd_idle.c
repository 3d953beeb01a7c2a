/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is a daemon at work? It shares natrig's CPU, so while natrig looks it does
 * not run: it either waits for something to do, with nothing in its sockets'
 * queues, or it is not done yet.
 */
#include "netns/portmapd_own.h"

#include "netns/lab.h"

#include <errno.h>
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

/*
 * 'S' waits, 'R' would run, 'D' waits for a lock or the like in the kernel. Of
 * one that is gone 'S': lab_ready will say so.
 */
static char state_of(pid_t pid)
{
	char path[64], text[256], *after;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_start(path, text, sizeof(text)))
		return 'S';
	after = strrchr(text, ')');
	return after && after[1] == ' ' ? after[2] : 'R';
}

static bool sleeps(pid_t pid)
{
	return state_of(pid) == 'S';
}

bool portmapd_held_up(const struct portmapd *d)
{
	return d->pid >= 0 && state_of(d->pid) == 'D';
}

/* select(), whose fifth argument is where its time-out is. */
static bool is_select(unsigned long number)
{
#ifdef SYS_select
	if (number == SYS_select)
		return true;
#endif
	return number == SYS_pselect6;
}

/*
 * True while it waits for a question. miniupnpd puts some answers off by
 * milliseconds and waits for that in select() as for anything else; so how long
 * it means to wait is read from its memory. Otherwise it waits for its next
 * announcement, minutes away. Where the kernel does not let us look, that it
 * sleeps must do.
 */
static bool waits_long(pid_t pid)
{
	unsigned long number, timeout_at;
	struct timespec timeout;
	struct iovec here = {&timeout, sizeof(timeout)}, there = here;
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	if (!read_start(path, text, sizeof(text)))
		return true;
	/* Or "running": its wait may have ended since it was seen asleep. */
	if (sscanf(text, "%lu %*s %*s %*s %*s %lx", &number,
		   &timeout_at) != 2 ||
	    !is_select(number) || !timeout_at)
		return false;
	there.iov_base = (void *)timeout_at;
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) !=
	    (ssize_t)sizeof(timeout))
		return true;
	return timeout.tv_sec >= SHORTLY_S;
}

struct sockets {
	bool ssdp, nat_pmp; /* open */
	bool empty;	    /* nothing to be read in any */
};

/*
 * The sockets on which a daemon is asked: SSDP, NAT-PMP and PCP, and its HTTP
 * connections. Other sockets of the namespace are somebody else's.
 */
static struct sockets sockets_of(pid_t pid, const char *table, bool every_port)
{
	struct sockets s = {.empty = true};
	unsigned port, received;
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, table);
	f = fopen(path, "re");
	if (!f)
		return s;
	while (fgets(line, sizeof(line), f)) {
		/* sl: local remote state tx_queue:rx_queue ... */
		if (sscanf(line, "%*s %*x:%x %*s %*s %*x:%x", &port,
			   &received) != 2)
			continue;
		s.ssdp |= port == SSDP_PORT;
		s.nat_pmp |= port == NAT_PMP_PORT;
		if (every_port || port == SSDP_PORT || port == NAT_PMP_PORT)
			s.empty &= !received;
	}
	fclose(f);
	return s;
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

bool portmapd_idle(const struct portmapd *d)
{
	if (d->pid < 0)
		return true;
	if (!sockets_of(d->pid, "udp", false).empty || !sleeps(d->pid) ||
	    !waits_long(d->pid))
		return false;
	return !has_connections(d->pid) ||
	       sockets_of(d->pid, "tcp", true).empty;
}

/*
 * It opens all its sockets before it first waits. To ask it would be surer in
 * nothing, and it puts the answer off by 50 ms.
 */
int portmapd_ready(struct portmapd *d, bool *ready, struct err *err)
{
	int code = portmapd_check(d, err);
	struct sockets open;

	if (code)
		return code;
	*ready = sleeps(d->pid) && waits_long(d->pid);
	if (!*ready)
		return 0;
	open = sockets_of(d->pid, "udp", false);
	*ready = (open.ssdp || !(d->plan.protocols & LAB_PORTMAP_UPNP)) &&
		 (open.nat_pmp || !(d->plan.protocols & PMP_OR_PCP));
	return 0;
}
