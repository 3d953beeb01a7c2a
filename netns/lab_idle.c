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
#include <string.h>
#include <unistd.h>

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

/* Nothing to be read in any socket that TABLE (udp, tcp) lists. */
static bool queues_empty(pid_t pid, const char *table)
{
	char path[64], line[512];
	unsigned received;
	bool empty = true;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, table);
	f = fopen(path, "re");
	if (!f)
		return true;
	while (empty && fgets(line, sizeof(line), f))
		/* sl: local remote state tx_queue:rx_queue ... */
		if (sscanf(line, "%*s %*s %*s %*s %*x:%x", &received) == 1)
			empty = !received;
	fclose(f);
	return empty;
}

bool lab_daemons_idle(const struct lab *lab)
{
	for (unsigned i = 0; i < lab->count; i++) {
		const struct portmapd *d = lab->own->nodes[i].daemon;

		if (!d || d->pid < 0)
			continue;
		if (!queues_empty(d->pid, "udp") ||
		    !queues_empty(d->pid, "tcp") || !sleeps(d->pid))
			return false;
	}
	return true;
}
