/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loader: what the readers of the file formats fill a recording with. Private
 * to captures/.
 *
 * Formats only append: order and missing directions are recording.c's.
 * Nothing is allocated by a length that the file tells: arrays grow with what
 * was really found in it.
 */
#ifndef NATRIG_CAPTURES_LOADER_H
#define NATRIG_CAPTURES_LOADER_H

#include "captures/recording.h"

struct loader {
	struct recording *rec; /* its bytes are there */
	const char *name;      /* of the file, for messages */
	struct err *err;
	size_t vantage_room, frame_room;
	size_t comment_bytes;
};

/* NAME_BYTES of NAME, or "if<index>" where there are none. Copies V. */
int loader_add_vantage(struct loader *l, const struct vantage *v,
		       const void *name, size_t name_bytes);
int loader_add_frame(struct loader *l, const struct frame *f);
int loader_add_comment(struct loader *l, const void *text, size_t bytes);

/* True where the first bytes are those of the format. */
bool loader_is_pcapng(const struct recording *rec);
bool loader_is_pcap(const struct recording *rec);

int loader_read_pcapng(struct loader *l);
int loader_read_pcap(struct loader *l);

#endif
