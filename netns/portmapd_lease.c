/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leases. The daemon counts their time on the kernel's clock, which cannot be
 * skipped, so they are kept here too, in lab time.
 *
 * Its lease file tells of each grant: a line `UDP:5000:192.168.1.2:4000:END:`
 * description, END in seconds since 1970, 0 for ever. A renewal may well write
 * the very same line (two hours from now, now being milliseconds later), so
 * each line that has been read is marked by overwriting END with as many
 * zeros: an END in the file is always a new one. The daemon reads the file at
 * its own start only.
 */
#include "netns/portmapd_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND_US 1000000ULL

static struct portmapd_granted *find(struct portmapd *d, int proto,
				     uint16_t port)
{
	for (unsigned i = 0; i < d->lease_count; i++)
		if (d->leases[i].lease.proto == proto &&
		    d->leases[i].lease.external_port == port)
			return &d->leases[i];
	return NULL;
}

static struct portmapd_granted *find_or_add(struct portmapd *d, int proto,
					    uint16_t port)
{
	struct portmapd_granted *found = find(d, proto, port);

	if (found)
		return found;
	if (d->lease_count == d->lease_room) {
		unsigned room = d->lease_room * 2 + 8;
		struct portmapd_granted *leases;

		leases = realloc(d->leases, room * sizeof(*leases));
		if (!leases)
			return NULL;
		d->leases = leases;
		d->lease_room = room;
	}
	found = &d->leases[d->lease_count++];
	*found = (struct portmapd_granted){.lease = {proto, port, {0, 0}}};
	return found;
}

/* The parts of a line; END_AT and END_LENGTH say where END is in it. */
struct line {
	int proto;
	uint16_t port;
	struct endpoint inside;
	uint64_t end_s;
	size_t end_at, end_length;
};

static bool parse_line(const char *text, struct line *line)
{
	unsigned port, inside, end_from = 0, end_to = 0;
	char proto[4], ip[16];

	if (sscanf(text, "%3[A-Z]:%u:%15[0-9.]:%u:%n%*u%n", proto, &port, ip,
		   &inside, &end_from, &end_to) != 4 ||
	    !end_to || port > 65535 || inside > 65535 ||
	    endpoint_parse(ip, &line->inside))
		return false;
	line->inside.port = (uint16_t)inside;
	line->proto = strcmp(proto, "TCP") == 0 ? IPPROTO_TCP : IPPROTO_UDP;
	line->port = (uint16_t)port;
	line->end_at = end_from;
	line->end_length = end_to - end_from;
	line->end_s = strtoull(text + end_from, NULL, 10);
	return true;
}

/*
 * A new grant counts from the last call on: between calls no time is skipped.
 * A mark has several zeros, a permanent lease one.
 */
static int take_line(struct portmapd *d, int fd, off_t at,
		     const struct line *line, uint64_t now_us, struct err *err)
{
	static const char zeros[] = "00000000000000000000";
	uint64_t real_s = (uint64_t)time(NULL);
	struct portmapd_granted *granted;
	uint64_t left_s;

	if (!line->end_s && line->end_length > 1) {
		granted = find(d, line->proto, line->port);
		if (granted)
			granted->found = true;
		return 0;
	}
	granted = find_or_add(d, line->proto, line->port);
	if (!granted)
		return err_set(err, ENOMEM, "%s: no memory for a lease",
			       d->plan.where);
	granted->lease.inside = line->inside;
	granted->found = true;
	granted->ends_us = UINT64_MAX;
	if (!line->end_s)
		return 0;
	left_s = line->end_s > real_s ? line->end_s - real_s : 0;
	granted->ends_us = now_us + d->aged_us + left_s * SECOND_US;
	if (pwrite(fd, zeros, line->end_length, at + (off_t)line->end_at) < 0)
		return err_set(err, errno, "%s: cannot mark a lease: %s",
			       d->plan.where, strerror(errno));
	return 0;
}

static int read_lines(struct portmapd *d, FILE *file, uint64_t now_us,
		      struct err *err)
{
	char text[512];
	struct line line;
	off_t at = 0;
	int code = 0;

	while (!code && fgets(text, sizeof(text), file)) {
		if (parse_line(text, &line))
			code = take_line(d, fileno(file), at, &line, now_us,
					 err);
		at += (off_t)strlen(text);
	}
	return code;
}

/* What the file no longer has was given up. */
static void drop_unfound(struct portmapd *d)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < d->lease_count; i++)
		if (d->leases[i].found)
			d->leases[kept++] = d->leases[i];
	d->lease_count = kept;
}

static uint64_t time_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000U + (uint64_t)t->tv_nsec;
}

static int read_leases(struct portmapd *d, uint64_t now_us, struct err *err)
{
	struct stat at = {.st_ino = 0};
	char name[32];
	FILE *file;
	int code, fd;

	snprintf(name, sizeof(name), "leases%u", d->plan.id);
	/* There is none before the first lease. */
	if (fstatat(d->plan.files_fd, name, &at, 0))
		return 0;
	if (at.st_ino == d->file_inode &&
	    time_ns(&at.st_mtim) == d->file_mtime_ns &&
	    at.st_size == d->file_bytes)
		return 0;
	d->changed = true;
	fd = openat(d->plan.files_fd, name, O_RDWR | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		code = err_set(err, errno, "%s: cannot read its leases: %s",
			       d->plan.where, strerror(errno));
		if (fd >= 0)
			close(fd);
		return code;
	}
	for (unsigned i = 0; i < d->lease_count; i++)
		d->leases[i].found = false;
	code = read_lines(d, file, now_us, err);
	drop_unfound(d);
	if (fstat(fd, &at) == 0) {
		d->file_inode = at.st_ino;
		d->file_mtime_ns = time_ns(&at.st_mtim);
		d->file_bytes = at.st_size;
	}
	fclose(file);
	return code;
}

int portmapd_age(struct portmapd *d, uint64_t us, uint64_t now_us,
		 struct portmapd_lease *gone, unsigned max, struct err *err)
{
	int code = portmapd_check(d, err);
	unsigned count = 0, kept = 0;

	if (!code)
		code = read_leases(d, now_us, err);
	if (code)
		return code;
	d->aged_us += us;
	for (unsigned i = 0; i < d->lease_count; i++) {
		if (count < max && d->leases[i].ends_us <= now_us + d->aged_us)
			gone[count++] = d->leases[i].lease;
		else
			d->leases[kept++] = d->leases[i];
	}
	d->lease_count = kept;
	d->changed |= count > 0;
	return (int)count;
}

int portmapd_look(struct portmapd *d, uint64_t now_us, struct err *err)
{
	int code = read_leases(d, now_us, err);
	bool changed = d->changed;

	if (code)
		return code;
	d->changed = false;
	return changed;
}

unsigned portmapd_lease_count(const struct portmapd *d)
{
	return d->lease_count;
}

const struct portmapd_lease *portmapd_lease(const struct portmapd *d,
					    unsigned index)
{
	return &d->leases[index].lease;
}

int portmapd_find(struct portmapd *d, uint64_t now_us, int proto,
		  struct endpoint inside, struct err *err)
{
	int code = read_leases(d, now_us, err);

	for (unsigned i = 0; i < d->lease_count && !code; i++)
		if (d->leases[i].lease.proto == proto &&
		    endpoint_equal(d->leases[i].lease.inside, inside))
			return d->leases[i].lease.external_port;
	return code;
}
