/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * upnp: IGD requests through libminiupnpc, which blocks, so each runs in a
 * thread of its own inside the asking host's namespace.
 */
#ifndef NATRIG_HARNESS_UPNP_H
#define NATRIG_HARNESS_UPNP_H

#include "harness/actions.h"
#include "wire/err.h"

struct upnp_worker;

/*
 * A gateway that does not answer is asked again until PATIENCE_S seconds of
 * real time are over.
 */
struct upnp_worker *upnp_worker_new(unsigned patience_s);
/* Waits for requests still under way (bounded by their time-outs), frees. */
void upnp_worker_free(struct upnp_worker *w);
/* Readable (epoll) when an answer is there. */
int upnp_worker_fd(const struct upnp_worker *w);
/* TAG comes back with the answer. NS_FD is duplicated. */
int upnp_worker_ask(struct upnp_worker *w, int ns_fd, unsigned tag,
		    const struct upnp_request *request, struct err *err);
/* True and one answer, or false when there is none (more). */
bool upnp_worker_answer(struct upnp_worker *w, unsigned *tag,
			struct upnp_answer *answer);
/* Requests asked and not yet answered. */
unsigned upnp_worker_busy(const struct upnp_worker *w);

#endif
