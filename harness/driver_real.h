/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the driver_real*.c files share; for nobody else. driver_real.c has the
 * life of a real client or its server on a node, driver_real_lab.c what all of
 * a lab's have in common, driver_real_words.c what they say, and what packets
 * say of them.
 */
#ifndef NATRIG_HARNESS_DRIVER_REAL_H
#define NATRIG_HARNESS_DRIVER_REAL_H

#include "harness/adapter.h"
#include "harness/driver_private.h"
#include "harness/real.h"
#include "netns/folder.h"

/* As many as come within an echo's life, and more. */
#define CAME_MAX 512

/* What the lab's real clients have in common. */
struct reals {
	struct clients_kind kind;
	struct environment env;
};

/* One call that goes on for a while. */
struct call {
	struct watch watch;
	struct adapter *adapter;
	/* When it had said nothing more: what is read next was said later. */
	uint64_t silent_us;
};

struct real {
	const char *name;  /* of the node */
	int log_fd;
	struct environment env;
	struct call life;  /* start, or serve */
	struct call ping, netcheck;
	bool ready;
	struct client_ping echoes;
	struct client_netcheck report;
	/* Tunnel packets that came in directly, the last ones in a ring. */
	struct came {
		uint64_t at_us;
		size_t bytes;
	} came[CAME_MAX];
	unsigned came_count;
};

/* driver_real_lab.c */
/* NAME: the hosts that are WANTED (NULL: all); 0 or -ENOMEM. */
int real_add_hosts(struct environment *env, const struct scenario *s,
		   const char *name, const bool *wanted);
/* The version that runs on plan node NODE; servers have the first host's. */
const char *real_version(const struct driver *d, unsigned node);
/* The log of NAME in the lab's folder, or a negative errno. */
int real_open_log(const char *name, struct err *err);

/* driver_real.c */
void real_end_call(struct actor *a, struct call *call);

/* driver_real_words.c: -EREMOTEIO, HOW it broke, and its last words. */
int real_broke(struct actor *a, const char *how, struct err *err);

#endif
