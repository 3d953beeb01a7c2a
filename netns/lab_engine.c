/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routers whose NAT is our own engine: one natbox each, served by the caller's
 * event loop by way of lab_fd.
 */
#include "netns/lab_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS_AT_ONCE 32

bool lab_wants_engine(const struct lab_plan_node *node)
{
	return node->kind == LAB_ROUTER &&
	       (node->force_engine || nat_by(&node->nat) == NAT_BY_ENGINE);
}

int lab_router_supported(const struct lab_plan_node *node, struct err *err)
{
	int code = nat_supported(&node->nat, err);

	if (code || !lab_wants_engine(node))
		return code;
	if (node->nat.mapping == NAT_MAPPING_NONE)
		return err_set(err, ENOTSUP, "mapping none: an engine "
			       "translates");
	return 0;
}

/* After each restart ports are drawn anew, but alike in each run. */
static uint64_t next_seed(struct lab_node *router)
{
	return ((uint64_t)router->own->index + 1) << 32 |
	       ++router->own->engine_starts;
}

static struct natbox_plan plan_of(struct lab_node *router)
{
	struct natbox_plan plan = {
		.where = router->plan.name,
		.nat = router->plan.nat,
		.wan_index = LAB_INDEX_FIRST,
		.lan_index = LAB_INDEX_LAN,
		.lan_ip = router->ifaces[1].ip,
		.lan_net = router->own->lan_net,
		.lan_mask = lab_mask(router->ifaces[1].prefix_bits),
		.seed = next_seed(router),
	};

	lab_wan_ips(router, plan.wan_ips);
	return plan;
}

/*
 * The daemon tells netfilter what it grants, and its lease file. What it has
 * there when packets have come was granted before they came, or would have been
 * in time for them with netfilter, too: the file is written before the answer.
 */
static int on_heard(void *arg, uint64_t now_us, struct err *err)
{
	struct lab_node *router = arg;
	const struct portmapd_lease *lease;
	struct natbox_grant *grants;
	unsigned count;
	int code;

	if (!router->own->daemon)
		return 0;
	code = portmapd_look(router->own->daemon, clock_real_us(), err);
	if (code < 0 || (!code && !natbox_lacks_grants(router->own->box)))
		return code;
	count = portmapd_lease_count(router->own->daemon);
	grants = calloc(count + 1, sizeof(*grants));
	if (!grants)
		return err_set(err, ENOMEM, "no memory for port mappings");
	for (unsigned i = 0; i < count; i++) {
		lease = portmapd_lease(router->own->daemon, i);
		grants[i] = (struct natbox_grant){
			lease->proto, lease->external_port, lease->inside};
	}
	code = natbox_set_grants(router->own->box, now_us, grants, count, err);
	free(grants);
	return code;
}

int lab_engine_start(struct lab *lab, struct lab_node *router, struct err *err)
{
	struct natbox_plan plan = plan_of(router);
	int code;

	if (router->own->box)
		return natbox_restart(router->own->box, &plan, err);
	code = natbox_new(&plan, &router->own->box, err);
	if (code)
		return code;
	natbox_on_heard(router->own->box, on_heard, router);
	lab->own->box_count++;
	return natbox_watch(router->own->box, lab->own->boxes_fd, err);
}

void lab_engine_end(struct lab *lab, struct lab_node *router,
		    struct closing **closing)
{
	if (!router->own->box)
		return;
	natbox_unwatch(router->own->box, lab->own->boxes_fd);
	natbox_free(router->own->box, closing);
	router->own->box = NULL;
	lab->own->box_count--;
}

int lab_fd(const struct lab *lab)
{
	return lab->own->boxes_fd;
}

int lab_serve(struct lab *lab, uint64_t now_us, struct err *err)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int count = epoll_wait(lab->own->boxes_fd, events, EVENTS_AT_ONCE, 0);
	int code = 0;

	if (count < 0)
		return errno == EINTR ? 0
				      : err_set(err, errno, "cannot wait for "
						"packets: %s", strerror(errno));
	for (int i = 0; i < count && !code; i++)
		code = natbox_serve(events[i].data.ptr, now_us, err);
	return code ? code : count;
}

uint64_t lab_deadline(const struct lab *lab)
{
	uint64_t nearest = UINT64_MAX;

	for (unsigned i = 0; i < lab->count && lab->own->box_count; i++) {
		const struct natbox *box = lab->own->nodes[i].box;
		uint64_t at = box ? natbox_deadline(box) : UINT64_MAX;

		if (at < nearest)
			nearest = at;
	}
	return nearest;
}

void lab_on_timer(struct lab *lab, uint64_t now_us)
{
	for (unsigned i = 0; i < lab->count && lab->own->box_count; i++) {
		struct natbox *box = lab->own->nodes[i].box;

		if (box && natbox_deadline(box) <= now_us)
			natbox_on_timer(box, now_us);
	}
}
