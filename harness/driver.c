/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/clients.h"
#include "harness/driver_private.h"
#include "wire/stun.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64
#define PROGRESS_EVERY_US 100000
/* How long to wait before asking again whether a helper process is done. */
#define QUIET_POLL_US 500
/* What takes longer than this to come to rest has lab time run on. */
#define RESTLESS_MAX_US 1000000
/*
 * A daemon that the kernel holds up has as much time again, so often: clearing
 * away a lab of 1,000 homes has been seen to hold up others for a minute.
 */
#define HELD_UP_MAX 300
/* Of a turn no more counts for that; most take less than 1 ms. */
#define TURN_MAX_US 5000

/*
 * The machines' time stands still while packets are under way, and then goes
 * to the next deadline, whether it is skipped to or waited for. So what a
 * machine hears and does at 5 s it does at 5 s, not 83 or 214 microseconds
 * later as this machine pleases, and of two timers the same one always comes
 * first: the same seed gives the same run.
 */
uint64_t driver_now_us(const struct driver *d)
{
	return d->instant_us;
}

uint64_t driver_recorded_us(const struct driver *d)
{
	return clock_now_us(d->config.clock);
}

static void set_instant(struct driver *d, uint64_t at_us)
{
	if (at_us > d->instant_us)
		d->instant_us = at_us;
}

/* A request that a daemon missed while it was held up comes again later. */
static bool is_held_up(const struct driver *d)
{
	return d->held_up < HELD_UP_MAX &&
	       (lab_daemons_held_up(d->config.lab) ||
		(d->held_up && upnp_worker_busy(d->upnp)));
}

/*
 * Something that hangs, or sends for ever, must not stop the time. What counts
 * is the time in which we turned: a machine that stands still for seconds, or
 * lets others go first, has kept the daemons waiting as well.
 */
static void bound_instant(struct driver *d)
{
	uint64_t now_us = clock_real_us();
	uint64_t turn_us = now_us - d->turned_us;

	/* What real clients do, they do in real time. */
	if (d->reals) {
		set_instant(d, clock_now_us(d->config.clock));
		return;
	}
	d->restless_us += turn_us < TURN_MAX_US ? turn_us : TURN_MAX_US;
	d->turned_us = now_us;
	if (d->restless_us <= RESTLESS_MAX_US)
		return;
	if (is_held_up(d)) {
		d->held_up++;
		d->restless_us = 0;
		return;
	}
	set_instant(d, d->instant_us + d->restless_us - RESTLESS_MAX_US);
	d->restless_us = RESTLESS_MAX_US;
}

int driver_watch(struct driver *d, struct watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	return epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev) ? -errno : 0;
}

void driver_break(struct driver *d, int code, const struct err *err)
{
	if (d->broken)
		return;
	d->broken = code;
	d->broken_err = *err;
}

/* --- making the actors --------------------------------------------------- */

static struct endpoint service_of(const struct driver *d, unsigned node,
				  uint16_t port)
{
	return (struct endpoint){d->config.lab->nodes[node].ifaces[0].ip, port};
}

static int make_client(struct driver *d, struct actor *a,
		       const struct scenario_host *host)
{
	const struct scenario *s = d->config.scenario;
	const struct lab_node *node = &d->config.lab->nodes[host->node];
	struct client_config c = {.policy = host->policy,
				  .port = host->port,
				  .ip = node->ifaces[0].ip,
				  .gateway_ip = node->gateway_ip,
				  .stun_count = s->stun_count,
				  .relay_count = s->relay_count,
				  .seed = s->seed};

	memcpy(c.name, node->plan.name, sizeof(c.name));
	c.control = service_of(d, s->control_node, SERVER_CONTROL_PORT);
	for (unsigned i = 0; i < s->stun_count; i++)
		c.stun[i] = service_of(d, s->stun_nodes[i], STUN_PORT);
	for (unsigned i = 0; i < s->relay_count; i++) {
		c.relays[i] = service_of(d, s->relay_nodes[i],
					 SERVER_RELAY_PORT);
		memcpy(c.relay_names[i], s->plan.nodes[s->relay_nodes[i]].name,
		       sizeof(c.relay_names[i]));
	}
	a->kind = ACTOR_CLIENT;
	a->node = host->node;
	a->client = client_new(&c);
	return a->client ? 0 : -ENOMEM;
}

static void make_stun(struct driver *d, struct actor *a, unsigned index)
{
	const struct scenario *s = d->config.scenario;
	unsigned other = s->stun_nodes[(index + 1) % s->stun_count];

	if (a->kind != ACTOR_STUN)
		return;
	a->stun.ip = d->config.lab->nodes[a->node].ifaces[0].ip;
	a->stun.port = STUN_PORT;
	/* With a neighbour, the two make one RFC 5780 server. */
	if (other != a->node) {
		a->stun.alt_ip = d->config.lab->nodes[other].ifaces[0].ip;
		a->stun.alt_port = SERVER_STUN_ALT_PORT;
	}
}

static struct actor *next_actor(struct driver *d)
{
	struct actor *a = &d->actors[d->actor_count++];

	a->driver = d;
	a->listener.fd = -1;
	a->raw_fd = -1;
	return a;
}

static struct actor *make_server(struct driver *d, unsigned node,
				 enum actor_kind kind, unsigned server)
{
	struct actor *a = next_actor(d);

	a->node = node;
	a->kind = reals_serve(d, server) ? ACTOR_REAL_SERVER : kind;
	return a;
}

static int open_actors(struct driver *d, struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < d->actor_count && !ret; i++) {
		struct actor *a = &d->actors[i];

		if (a->kind == ACTOR_REAL || a->kind == ACTOR_REAL_SERVER)
			ret = real_open(a, err);
		else if (!a->client && a->kind != ACTOR_STUN)
			ret = err_set(err, ENOMEM, "no memory");
		if (!ret)
			ret = actor_open(d, a, err);
	}
	return ret;
}

static int make_actors(struct driver *d, struct err *err)
{
	const struct scenario *s = d->config.scenario;
	struct actor *a;
	int ret = 0;

	d->actors = calloc(s->host_count + s->stun_count + s->relay_count + 1,
			   sizeof(*d->actors));
	if (!d->actors)
		return err_set(err, ENOMEM, "no memory for the lab's machines");
	for (unsigned i = 0; i < s->host_count && !ret; i++) {
		a = next_actor(d);
		a->kind = ACTOR_REAL;
		a->node = s->hosts[i].node;
		if (!d->reals)
			ret = make_client(d, a, &s->hosts[i]);
	}
	for (unsigned i = 0; i < s->stun_count; i++)
		make_stun(d, make_server(d, s->stun_nodes[i], ACTOR_STUN,
					 CLIENTS_STUN), i);
	for (unsigned i = 0; i < s->relay_count; i++) {
		a = make_server(d, s->relay_nodes[i], ACTOR_RELAY,
				CLIENTS_RELAY);
		if (a->kind == ACTOR_RELAY)
			a->relay = relay_new(s->seed,
					     s->plan.nodes[a->node].name);
	}
	a = make_server(d, s->control_node, ACTOR_CONTROL, CLIENTS_CONTROL);
	if (a->kind == ACTOR_CONTROL)
		a->control = control_new(s->control_delay_us);
	if (!ret)
		ret = open_actors(d, err);
	return ret == -ENOMEM ? err_set(err, ENOMEM, "no memory") : ret;
}

/* Frames of a host's only interface are what its client hears. */
static int map_vantages(struct driver *d)
{
	const struct lab *lab = d->config.lab;
	unsigned v = 0;

	for (unsigned i = 0; i < lab->count; i++)
		d->vantage_count += lab->nodes[i].iface_count;
	d->actor_of_vantage = calloc(d->vantage_count, sizeof(int));
	if (!d->actor_of_vantage)
		return -ENOMEM;
	for (unsigned i = 0; i < lab->count; i++)
		for (unsigned j = 0; j < lab->nodes[i].iface_count; j++) {
			d->actor_of_vantage[v] = -1;
			for (unsigned k = 0; k < d->actor_count; k++)
				if (d->actors[k].node == i)
					d->actor_of_vantage[v] = (int)k;
			v++;
		}
	return 0;
}

static int watch_own(struct driver *d, struct err *err)
{
	int ret;

	d->watch_recorder = (struct watch){.kind = WATCH_RECORDER,
		.fd = recorder_fd(d->config.recorder)};
	ret = driver_watch(d, &d->watch_recorder, EPOLLIN);
	d->watch_upnp = (struct watch){.kind = WATCH_UPNP,
		.fd = upnp_worker_fd(d->upnp)};
	if (!ret)
		ret = driver_watch(d, &d->watch_upnp, EPOLLIN);
	d->watch_lab = (struct watch){.kind = WATCH_LAB,
				      .fd = lab_fd(d->config.lab)};
	if (!ret)
		ret = driver_watch(d, &d->watch_lab, EPOLLIN);
	if (!ret && d->config.interrupt_fd >= 0) {
		d->watch_interrupt = (struct watch){.kind = WATCH_INTERRUPT,
			.fd = d->config.interrupt_fd};
		ret = driver_watch(d, &d->watch_interrupt, EPOLLIN);
	}
	return ret ? err_set(err, -ret, "cannot watch: %s", strerror(-ret)) : 0;
}

int driver_new(const struct driver_config *config, struct driver **driver,
	       struct err *err)
{
	struct driver *d = calloc(1, sizeof(*d));
	int ret;

	*driver = NULL;
	if (!d)
		return err_set(err, ENOMEM, "no memory for a driver");
	d->config = *config;
	d->instant_us = 1; /* 0 means never to some machines */
	actions_init(&d->actions);
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->upnp = upnp_worker_new(HELD_UP_MAX * (RESTLESS_MAX_US / 1000000));
	d->raw = raw_new(err);
	if (d->epoll_fd < 0 || !d->upnp)
		ret = err_set(err, ENOMEM, "no event loop: %s", strerror(errno));
	else
		ret = d->raw ? reals_open(d, err) : -EPERM;
	if (!ret)
		ret = make_actors(d, err);
	if (!ret)
		ret = map_vantages(d);
	if (!ret)
		ret = watch_own(d, err);
	if (ret) {
		driver_free(d);
		return ret;
	}
	*driver = d;
	return 0;
}

void driver_free(struct driver *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->actor_count; i++)
		actor_close(&d->actors[i]);
	reals_close(d);
	upnp_worker_free(d->upnp);
	raw_free(d->raw);
	if (d->epoll_fd >= 0)
		close(d->epoll_fd);
	actions_free(&d->actions);
	free(d->actor_of_vantage);
	free(d->actors);
	free(d);
}

/* --- the loop ------------------------------------------------------------ */

static void on_frame(void *arg, const struct frame *f)
{
	struct driver *d = arg;
	int actor = f->vantage < d->vantage_count ?
			    d->actor_of_vantage[f->vantage] : -1;

	if (actor >= 0)
		actor_on_frame(&d->actors[actor], f, driver_now_us(d));
}

int driver_hear(struct driver *d, struct err *err)
{
	return recorder_drain(d->config.recorder,
			      clock_offset_ns(d->config.clock), on_frame, d,
			      err);
}

static void take_upnp_answers(struct driver *d)
{
	struct upnp_answer answer;
	struct actor *a;
	unsigned node;

	/* Only the model asks this way. */
	while (upnp_worker_answer(d->upnp, &node, &answer)) {
		a = driver_actor(d, node);
		if (!a || !client_running(a->client))
			continue;
		d->heard_us = driver_now_us(d);
		client_on_upnp(a->client, d->heard_us, &answer, &d->actions);
		actor_act(a);
	}
}

static uint64_t nearest_deadline(const struct driver *d, uint64_t limit_us)
{
	uint64_t nearest = limit_us, lab_us = lab_deadline(d->config.lab);

	if (lab_us < nearest)
		nearest = lab_us;
	for (unsigned i = 0; i < d->actor_count; i++) {
		uint64_t at = actor_deadline(&d->actors[i]);

		if (at < nearest)
			nearest = at;
	}
	return nearest;
}

static void run_timers(struct driver *d)
{
	uint64_t now = driver_now_us(d);

	for (unsigned i = 0; i < d->actor_count; i++)
		if (actor_deadline(&d->actors[i]) <= now)
			actor_on_timer(&d->actors[i], now);
	lab_on_timer(d->config.lab, now);
}

/* Packets that are at routers with an engine go on. */
static void serve_lab(struct driver *d)
{
	struct err err = {0};
	int ret = lab_serve(d->config.lab, driver_now_us(d), &err);

	if (ret < 0)
		driver_break(d, ret, &err);
}

/*
 * Waits WAIT_US of real time at most for descriptors and serves them. Number
 * served, or -EINTR when the user wants to stop.
 */
static int serve(struct driver *d, uint64_t wait_us)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	struct timespec wait = {(time_t)(wait_us / 1000000),
				(long)(wait_us % 1000000 * 1000)};
	int n = epoll_pwait2(d->epoll_fd, events, EVENTS_AT_ONCE, &wait, NULL);
	bool interrupted = false;

	for (int i = 0; i < n; i++) {
		struct watch *w = events[i].data.ptr;

		if (w->kind == WATCH_INTERRUPT)
			interrupted = true;
		else if (w->kind == WATCH_UPNP)
			take_upnp_answers(d);
		else if (w->kind == WATCH_LAB)
			serve_lab(d);
		else if (w->kind != WATCH_RECORDER)
			actor_on_watch(w, events[i].events, driver_now_us(d));
	}
	for (unsigned i = 0; i < d->actor_count; i++)
		actor_sweep(&d->actors[i]);
	return interrupted ? -EINTR : n < 0 ? 0 : n;
}

static void show_progress(struct driver *d)
{
	uint64_t real_us = clock_real_us();

	if (!d->config.progress ||
	    real_us - d->progress_real_us < PROGRESS_EVERY_US)
		return;
	d->progress_real_us = real_us;
	d->config.progress(d->config.progress_arg);
}

/* Jumps to a deadline; everything that was waiting ages with it. */
static int skip_to(struct driver *d, uint64_t at_us, struct err *err)
{
	uint64_t now = clock_now_us(d->config.clock);

	set_instant(d, at_us);
	if (at_us <= now)
		return 0;
	clock_skip_us(d->config.clock, at_us - now);
	return lab_age(d->config.lab, at_us - now, err);
}

/* Waits for a deadline, or for what happens before it (TCP has timers too). */
static void wait_to(struct driver *d, uint64_t at_us)
{
	uint64_t now = clock_now_us(d->config.clock);
	uint64_t wait_us = at_us > now ? at_us - now : 0;
	struct epoll_event event;
	struct timespec wait;

	if (wait_us > PROGRESS_EVERY_US && d->config.progress)
		wait_us = PROGRESS_EVERY_US;
	wait = (struct timespec){(time_t)(wait_us / 1000000),
				 (long)(wait_us % 1000000 * 1000)};
	/* Only looks; the next turn serves what there is. */
	epoll_pwait2(d->epoll_fd, &event, 1, &wait, NULL);
	now = clock_now_us(d->config.clock);
	set_instant(d, now < at_us ? now : at_us);
}

/* One turn: hear, run what is due. 1: something happened; 0: nothing did. */
static int turn(struct driver *d, struct err *err)
{
	int heard = driver_hear(d, err), served;

	if (heard < 0)
		return heard;
	run_timers(d);
	show_progress(d);
	served = serve(d, 0);
	if (served < 0)
		return err_set(err, EINTR, "interrupted");
	if (d->broken) {
		*err = d->broken_err;
		return d->broken;
	}
	bound_instant(d);
	return heard || served;
}

/* 1: nothing is under way in the lab; 0: something is, or just was. */
static int at_rest(struct driver *d, struct err *err)
{
	int heard, served;

	if (!driver_quiet(d)) {
		served = serve(d, QUIET_POLL_US);
		return served < 0 ? err_set(err, EINTR, "interrupted") : 0;
	}
	heard = driver_hear(d, err);
	if (heard < 0)
		return heard;
	served = serve(d, 0);
	if (served < 0)
		return err_set(err, EINTR, "interrupted");
	if (heard || served)
		return 0;
	d->restless_us = 0;
	d->held_up = 0;
	return 1;
}

/* What waited for the rest of the instant; whether there was any. */
static bool ask_gateways(struct driver *d)
{
	struct actor *first = d->asking_count ? d->asking[0] : NULL;

	if (!first)
		return false;
	d->asking_count--;
	memmove(d->asking, d->asking + 1,
		d->asking_count * sizeof(d->asking[0]));
	actor_ask_gateway(first);
	return true;
}

int driver_run_until(struct driver *d, uint64_t until_us,
		     driver_condition *condition, void *arg, struct err *err)
{
	uint64_t next;
	int ret;

	for (;;) {
		ret = turn(d, err);
		if (ret < 0)
			return ret;
		if (condition && condition(arg, d->instant_us))
			return 1;
		if (ret)
			continue;
		ret = at_rest(d, err);
		if (ret < 0)
			return ret;
		if (!ret || ask_gateways(d))
			continue;
		/*
		 * Time is over only when all that was on its way has been
		 * heard: a reply at the last moment still counts.
		 */
		if (d->instant_us >= until_us)
			return 0;
		next = nearest_deadline(d, until_us);
		if (d->config.skip && !d->reals)
			ret = skip_to(d, next, err);
		else
			wait_to(d, next);
		if (ret < 0)
			return ret;
	}
}

int driver_settle(struct driver *d, uint64_t limit_us, struct err *err)
{
	uint64_t until_us = clock_real_us() + limit_us;
	int ret;

	do {
		ret = turn(d, err);
		if (!ret)
			ret = at_rest(d, err);
		else if (ret > 0)
			ret = 0;
		if (ret > 0 && ask_gateways(d))
			ret = 0;
		if (ret)
			return ret < 0 ? ret : 0;
	} while (clock_real_us() < until_us);
	return 0;
}

int driver_stand(struct driver *d, uint64_t real_us, struct err *err)
{
	int ret = turn(d, err);

	d->restless_us = 0;
	if (ret >= 0 && serve(d, real_us) < 0)
		ret = err_set(err, EINTR, "interrupted");
	return ret < 0 ? ret : 0;
}
