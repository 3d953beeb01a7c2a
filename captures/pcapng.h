/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcapng: writes the blocks of a pcapng file to a file descriptor, buffered.
 * The fd stays the caller's. A write error sticks and comes out of
 * pcapng_flush. Timestamps are nanoseconds (if_tsresol 9).
 */
#ifndef NATRIG_CAPTURES_PCAPNG_H
#define NATRIG_CAPTURES_PCAPNG_H

#include "captures/recording.h"

struct pcapng;

/* Writes the section header; COMMENT may be NULL. */
struct pcapng *pcapng_new(int fd, const char *comment);
/* Returns the interface's index in the file. */
unsigned pcapng_add_interface(struct pcapng *p, const struct vantage *v,
			      unsigned snaplen_bytes);
/* COMMENT may be NULL. Returns the frame's number, from 1. */
unsigned pcapng_add_packet(struct pcapng *p, const struct frame *f,
			   const char *comment);
/* An interface statistics block. */
void pcapng_add_statistics(struct pcapng *p, unsigned interface,
			   uint64_t time_ns, uint64_t received,
			   uint64_t dropped);
/* 0, or the first write error as -errno. */
int pcapng_flush(struct pcapng *p);
/* Flushes; returns what pcapng_flush returns. NULL is legal. */
int pcapng_free(struct pcapng *p);

#endif
