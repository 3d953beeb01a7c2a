/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tap: the libpcap handle of one vantage. Private to captures/.
 *
 * Opening or closing a handle waits for all CPUs (an RCU grace period, some
 * 12 ms and twice that), but those who wait together share one wait, and only
 * those who wait together: a thread for each handle opens 100 of them in the
 * time of one, 32 threads need four times as long.
 */
#ifndef NATRIG_CAPTURES_TAP_H
#define NATRIG_CAPTURES_TAP_H

#include "captures/recording.h"

#include <pcap/pcap.h>

/*
 * A frame of a 1500-byte MTU has 1514 bytes, 1518 with a VLAN tag. A slot of
 * the kernel's ring is this and up to 84 bytes of headers, and as many slots
 * as fit whole go into a page: with 2048 it would be one slot a page and half
 * of the ring would be waste; with this it is two.
 */
#define TAP_SNAPLEN_BYTES 1920
#define TAP_SLOT_BYTES 2048

struct tap {
	struct vantage vantage;
	int ns_fd;
	int ring_bytes;
	pcap_t *pcap; /* NULL: not open */
	int fd;	      /* what pcap listens on; its, not ours */
	int code;     /* of opening: 0 or a negative errno, with err's text */
	struct err err;
};

/*
 * Opens all, each inside its namespace, all at once. All or none is open
 * after it.
 */
int taps_open(struct tap *taps, size_t count, struct err *err);

/* Closes all at once; returns when all are closed. */
void taps_close(struct tap *taps, size_t count);

/* Starts to close all and returns. taps_wait_closed waits for all of those. */
void taps_close_behind(struct tap *taps, size_t count);
void taps_wait_closed(void);

/*
 * What a failed read of the tap means: 0 where its interface is down (when it
 * comes up again, so do frames) or was deleted, else -EIO.
 */
int tap_lost(const struct tap *tap, struct err *err);

#endif
