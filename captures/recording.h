/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recording: a pcapng file in memory, frames in time order.
 *
 * recording_read -> look at it -> recording_free. It checks files from
 * elsewhere as well as natrig's own: whatever is cut short or contradicts
 * itself is an error that names the block and its offset, never a crash.
 * Classic pcap files are read too (one vantage, named after the file).
 *
 * natrig's own recordings have an interface a vantage, named node.interface
 * (if_name), with its addresses (if_MACaddr, if_IPv4addr), a direction with
 * each packet (epb_flags), and in the section header's comment the cast as
 * JSON (see cast.h). Source: draft-ietf-opsawg-pcapng.
 */
#ifndef NATRIG_CAPTURES_RECORDING_H
#define NATRIG_CAPTURES_RECORDING_H

#include "wire/endpoint.h"
#include "wire/err.h"

#include <stdio.h>

enum direction { DIRECTION_UNKNOWN, DIRECTION_IN, DIRECTION_OUT };

struct vantage {
	char name[96];	    /* "home-a.wan" */
	char node[64];	    /* "home-a"; the whole name where it has no dot */
	char interface[32]; /* "wan" */
	int link;	    /* LINKTYPE_*: enum packet_link */
	uint32_t ip;	    /* first if_IPv4addr; 0: not told */
	uint8_t mac[6];	    /* zero: not told */
	uint64_t dropped;   /* isb_ifdrop, where the file has statistics */
};

struct frame {
	uint64_t time_ns; /* since the epoch the file uses */
	unsigned number;  /* from 1, in file order, as Wireshark counts */
	unsigned vantage; /* index */
	enum direction direction;
	const uint8_t *data;
	size_t captured_bytes;
	size_t wire_bytes;
};

struct recording {
	struct vantage *vantages;
	size_t vantage_count;
	struct frame *frames; /* by time, then by number */
	size_t frame_count;
	char *comment; /* section header's first opt_comment, or NULL */
	uint8_t *bytes; /* the file; frames point into it */
	size_t bytes_size;
};

/*
 * Where the file tells no direction it is worked out from the vantage's MAC,
 * then its address, else stays unknown.
 */
int recording_read(const char *path, struct recording **rec, struct err *err);
/* A file is read from its start, a pipe from where it is. */
int recording_read_fd(int fd, const char *name, struct recording **rec,
		      struct err *err);
/* Copies the bytes of a file; NAME stands for it in messages. */
int recording_parse(const void *bytes, size_t size_bytes, const char *name,
		    struct recording **rec, struct err *err);
void recording_free(struct recording *rec);

#endif
