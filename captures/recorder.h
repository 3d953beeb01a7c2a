/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder: listens at every vantage of a lab through libpcap and writes one
 * pcapng file, frames in time order.
 *
 *   recorder_new -> recorder_add ... -> recorder_open -> recorder_drain ...
 *   -> recorder_close
 *
 * Handles are opened and closed in parallel threads, each in its vantage's
 * namespace: one pcap_activate costs 13 ms and one pcap_close 24 ms, but many
 * at once cost little more than one. The caller's own namespace is untouched.
 *
 * The recorder is also the ears of the model clients: drain hands each frame
 * to a callback, so what a client heard and what was recorded are the same.
 */
#ifndef NATRIG_CAPTURES_RECORDER_H
#define NATRIG_CAPTURES_RECORDER_H

#include "captures/recording.h"

struct recorder;

struct recorder_stats {
	uint64_t received; /* by all handles, kernel's count; with dropped */
	uint64_t dropped;  /* by the kernel, for want of room */
	uint64_t written;  /* frames in the file */
};

/*
 * FD is where the pcapng goes; the recorder does not close it. COMMENT goes
 * into the section header. Returns NULL when memory runs out.
 */
struct recorder *recorder_new(int fd, const char *comment);

/*
 * Adds a vantage before recorder_open: INTERFACE inside the namespace NS_FD
 * (kept open by the caller until recorder_open returns). V gives name, ip and
 * mac; its link is filled in. Returns the vantage's index or -ENOMEM.
 */
int recorder_add(struct recorder *r, int ns_fd, const struct vantage *v);

/*
 * Before recorder_open: what is recorded does not wait until it has been, so
 * more of it must fit between two drains. It costs memory.
 */
void recorder_expect_bursts(struct recorder *r);

/* Opens all handles; on error none stays open. */
int recorder_open(struct recorder *r, struct err *err);

/* Readable (epoll) when any vantage has a frame. */
int recorder_fd(const struct recorder *r);

/* The vantage with its link, and its MAC where none was given; or NULL. */
const struct vantage *recorder_vantage(const struct recorder *r,
				       unsigned index);

/*
 * Direction comes from the vantage's MAC. The frame has the number it has in
 * the file; its data are valid during the call only.
 */
typedef void recorder_frame_fn(void *arg, const struct frame *frame);

/*
 * Takes all frames that are there now at every vantage and calls FN (may be
 * NULL) for each, time order within a call. Kernel timestamps (CLOCK_REALTIME)
 * become lab time by adding OFFSET_NS. Frames are written once no earlier one
 * can come any more. Returns the number of frames taken or a negative errno.
 */
int recorder_drain(struct recorder *r, int64_t offset_ns, recorder_frame_fn *fn,
		   void *arg, struct err *err);

/* Totals so far, asking the kernel. */
void recorder_stats(struct recorder *r, struct recorder_stats *stats);

/*
 * Takes what is left (recorder_drain until nothing comes), writes statistics
 * and flushes the file. The handles stay open: recorder_close closes them.
 */
int recorder_finish(struct recorder *r, int64_t offset_ns,
		    recorder_frame_fn *fn, void *arg,
		    struct recorder_stats *stats, struct err *err);

/* Closes all handles in parallel and frees. NULL is legal. */
void recorder_close(struct recorder *r);

/*
 * The same, but returns at once: threads close the handles behind the next
 * scenario's back. recorder_wait_closed returns when all those of the process
 * have ended, as it should before the process ends.
 */
void recorder_close_behind(struct recorder *r);
void recorder_wait_closed(void);

#endif
