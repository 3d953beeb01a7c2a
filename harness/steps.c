/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/steps.h"
#include "wire/stun.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Real time after which a lab that does not come to rest is left alone. */
#define SETTLE_US 100000
/* A start that has not settled by then (control server cut off) goes on. */
#define SETTLE_LIMIT_US 15000000
/* Real clients load their state and log in first, all on one machine. */
#define REAL_SETTLE_LIMIT_US 30000000
/* A netcheck is over after 5 s whatever happens; a little is for the answer. */
#define NETCHECK_LIMIT_US 6000000
/* A real client's are programs of their own, and busy machines are slow. */
#define FIRST_ECHO_LIMIT_US 10000000
#define REAL_NETCHECK_LIMIT_US 20000000
/*
 * Port-mapping daemons answer within a tenth of a second where they live, but
 * clearing large labs away has been seen to hold them up for a minute.
 */
#define DAEMON_LIMIT_US 120000000
#define DAEMON_POLL_US 500

typedef int step_fn(struct steps *s, const struct step *step,
		    struct step_outcome *o, struct err *err);

static void got(struct step_outcome *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void got(struct step_outcome *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(o->got, sizeof(o->got), format, args);
	va_end(args);
}

static const char *name_of(const struct steps *s, int node)
{
	return s->scenario->plan.nodes[node].name;
}

/* --- clients ------------------------------------------------------------- */

struct chosen {
	struct steps *s;
	int node; /* -1: all */
};

static bool is_chosen(const struct chosen *c, unsigned node)
{
	return c->node < 0 || (unsigned)c->node == node;
}

static bool all_settled(void *arg, uint64_t now_us)
{
	const struct chosen *c = arg;
	const struct scenario *sc = c->s->scenario;

	(void)now_us;
	for (unsigned i = 0; i < sc->host_count; i++) {
		unsigned host = sc->hosts[i].node;

		if (is_chosen(c, host) && driver_running(c->s->driver, host) &&
		    !driver_settled(c->s->driver, host))
			return false;
	}
	return true;
}

static int each_chosen(const struct chosen *c,
		       int (*fn)(struct driver *, unsigned, struct err *),
		       struct err *err)
{
	const struct scenario *sc = c->s->scenario;
	int ret = 0;

	for (unsigned i = 0; i < sc->host_count && !ret; i++)
		if (is_chosen(c, sc->hosts[i].node))
			ret = fn(c->s->driver, sc->hosts[i].node, err);
	return ret;
}

static int do_start(struct steps *s, const struct step *step,
		    struct step_outcome *o, struct err *err)
{
	uint64_t limit_us = driver_is_real(s->driver) ? REAL_SETTLE_LIMIT_US :
							SETTLE_LIMIT_US;
	struct chosen c = {s, step->x};
	int ret = each_chosen(&c, driver_start, err);

	if (ret)
		return ret;
	ret = driver_run_until(s->driver, driver_now_us(s->driver) + limit_us,
			       all_settled, &c, err);
	if (ret < 0)
		return ret;
	if (ret)
		got(o, "started");
	else
		got(o, "started, but not settled after %u s",
		    (unsigned)(limit_us / 1000000));
	/* Netmaps that others' registrations cause are on their way. */
	return driver_settle(s->driver, SETTLE_US, err);
}

static int do_stop(struct steps *s, const struct step *step,
		   struct step_outcome *o, struct err *err)
{
	struct chosen c = {s, step->x};
	int ret = each_chosen(&c, driver_stop, err);

	got(o, "stopped");
	return ret ? ret : driver_settle(s->driver, SETTLE_US, err);
}

static int do_restart(struct steps *s, const struct step *step,
		      struct step_outcome *o, struct err *err)
{
	int ret = do_stop(s, step, o, err);

	return ret ? ret : do_start(s, step, o, err);
}

/* --- ping ---------------------------------------------------------------- */

struct pinging {
	const struct client_ping *ping;
	enum step_expect expect;
};

/* The first reply of all (ANY), or the first that was direct; or NULL. */
static const struct client_echo *first_reply(const struct client_ping *ping,
					     bool direct)
{
	const struct client_echo *first = NULL;

	for (unsigned i = 0; i < ping->sent; i++) {
		const struct client_echo *e = &ping->echoes[i];

		if (!e->replied_us ||
		    (direct && e->path != CLIENT_PATH_DIRECT))
			continue;
		if (!first || e->replied_us < first->replied_us)
			first = e;
	}
	return first;
}

/* `unreachable` and `relay` are known only when all the time is over. */
static bool ping_decided(void *arg, uint64_t now_us)
{
	const struct pinging *p = arg;
	const struct client_ping *ping = p->ping;

	(void)now_us;
	switch (p->expect) {
	case EXPECT_UNREACHABLE:
	case EXPECT_REACHABLE:
	case EXPECT_NOTHING:
		return first_reply(ping, false);
	case EXPECT_DIRECT:
	case EXPECT_RELAY:
		return first_reply(ping, true);
	}
	return false;
}

static bool ping_begun(void *arg, uint64_t now_us)
{
	const struct pinging *p = arg;

	(void)now_us;
	return p->ping->sent;
}

static bool ping_holds(enum step_expect expect, const struct client_echo *any,
		       const struct client_echo *direct)
{
	switch (expect) {
	case EXPECT_UNREACHABLE:
		return !any;
	case EXPECT_REACHABLE:
		return any;
	case EXPECT_DIRECT:
		return direct;
	case EXPECT_RELAY:
		return any && !direct;
	case EXPECT_NOTHING:
		break;
	}
	return true;
}

static void judge_ping(const struct step *step, const struct client_ping *ping,
		       bool real, struct step_outcome *o)
{
	const struct client_echo *any = first_reply(ping, false);
	const struct client_echo *direct = first_reply(ping, true);
	const struct client_echo *deciding = any;

	if (step->expect == EXPECT_DIRECT || step->expect == EXPECT_RELAY)
		deciding = direct ? direct : any;
	o->holds = ping_holds(step->expect, any, direct);
	o->first_reply_us = -1;
	/* A real client may tell of echo and reply in one breath. */
	if (any)
		o->first_reply_us = any->replied_us > o->started_us ?
			(int64_t)(any->replied_us - o->started_us) : 0;
	o->path = deciding ? deciding->path : CLIENT_PATH_NONE;
	if (!deciding) {
		got(o, "unreachable");
		return;
	}
	got(o, deciding->path == CLIENT_PATH_DIRECT ? "direct" : "relay");
	o->carrier = !real ? CARRIER_KNOWN :
		     deciding->told ? CARRIER_TOLD : CARRIER_SOUGHT;
	o->echo_bytes = deciding->bytes;
	o->sent_us = deciding->sent_us;
	o->replied_us = deciding->replied_us;
	memcpy(o->carrier_hash, deciding->carrier_hash,
	       sizeof(o->carrier_hash));
}

static int do_ping(struct steps *s, const struct step *step,
		   struct step_outcome *o, struct err *err)
{
	struct driver *d = s->driver;
	struct pinging p = {driver_echoes(d, (unsigned)step->x), step->expect};
	int ret;

	if (!driver_running(d, (unsigned)step->x)) {
		got(o, "not started");
		o->holds = false;
		return 0;
	}
	ret = driver_ping(d, (unsigned)step->x, name_of(s, step->y), step->kind,
			  err);
	if (ret)
		return ret;
	/* A real client's program takes its time to start: that is not the
	 * ping's. */
	if (driver_is_real(d)) {
		ret = driver_run_until(d, o->started_us + FIRST_ECHO_LIMIT_US,
				       ping_begun, &p, err);
		if (ret < 0)
			return ret;
		o->started_us = driver_now_us(d);
	}
	ret = driver_run_until(d, o->started_us + step->for_us, ping_decided,
			       &p, err);
	driver_ping_stop(d, (unsigned)step->x);
	judge_ping(step, p.ping, driver_is_real(d), o);
	return ret < 0 ? ret : 0;
}

/* --- netcheck ------------------------------------------------------------ */

static const char *const portmap_names[] = {"none", "upnp", "nat-pmp", "pcp"};

static const char *varies_name(int varies)
{
	return varies < 0 ? "unknown" : varies ? "true" : "false";
}

static bool netcheck_done(void *arg, uint64_t now_us)
{
	const struct client_netcheck *report = arg;

	(void)now_us;
	return report->done;
}

static int do_netcheck(struct steps *s, const struct step *step,
		       struct step_outcome *o, struct err *err)
{
	struct driver *d = s->driver;
	const struct client_netcheck *r = driver_report(d, (unsigned)step->x);
	uint64_t limit_us = driver_is_real(d) ? REAL_NETCHECK_LIMIT_US :
						NETCHECK_LIMIT_US;
	int ret;

	if (!driver_running(d, (unsigned)step->x)) {
		got(o, "not started");
		o->holds = false;
		return 0;
	}
	ret = driver_netcheck(d, (unsigned)step->x, err);
	if (ret)
		return ret;
	ret = driver_run_until(d, o->started_us + limit_us, netcheck_done,
			       (void *)r, err);
	if (ret < 0)
		return ret;
	if (!ret) {
		got(o, "no report after %u s", (unsigned)(limit_us / 1000000));
		o->holds = false;
		return 0;
	}
	got(o, "mapping-varies: %s, portmap: %s, udp: %s",
	    varies_name(r->mapping_varies), portmap_names[r->portmap],
	    r->udp ? "true" : "false");
	o->holds = (step->expect_varies == STEP_ANY ||
		    step->expect_varies == r->mapping_varies) &&
		   (step->expect_portmap == STEP_ANY ||
		    step->expect_portmap == (int)r->portmap) &&
		   (step->expect_udp == STEP_ANY || step->expect_udp == r->udp);
	return 0;
}

static void netcheck_expectation(const struct step *step, char *text,
				 size_t size)
{
	char *at = text, *end = text + size;

	*text = '\0';
	if (step->expect_varies != STEP_ANY)
		at += snprintf(at, (size_t)(end - at), ", mapping-varies: %s",
			       varies_name(step->expect_varies));
	if (step->expect_portmap != STEP_ANY)
		at += snprintf(at, (size_t)(end - at), ", portmap: %s",
			       portmap_names[step->expect_portmap]);
	if (step->expect_udp != STEP_ANY)
		snprintf(at, (size_t)(end - at), ", udp: %s",
			 step->expect_udp ? "true" : "false");
	if (*text)
		memmove(text, text + 2, strlen(text + 2) + 1);
}

/* --- the world ----------------------------------------------------------- */

static struct lab_node *node(struct steps *s, int index)
{
	return &s->lab->nodes[index];
}

typedef int block_fn(struct lab *lab, struct lab_node *x, struct lab_node *y,
		     int proto, uint16_t port, struct err *err);

/* The relays that real clients bring answer STUN, too. */
static int each_block(struct steps *s, const struct step *step, block_fn *fn,
		      struct err *err)
{
	const struct scenario *sc = s->scenario;
	int ret = fn(s->lab, node(s, step->x), node(s, step->y), step->proto,
		     step->port, err);

	if (!step->every_stun || !driver_is_real(s->driver))
		return ret;
	for (unsigned i = 0; i < sc->relay_count && !ret; i++)
		ret = fn(s->lab, node(s, step->x),
			 node(s, (int)sc->relay_nodes[i]), IPPROTO_UDP,
			 STUN_PORT, err);
	return ret;
}

static int do_block(struct steps *s, const struct step *step,
		    struct step_outcome *o, struct err *err)
{
	got(o, "blocked");
	return each_block(s, step, lab_block, err);
}

static int do_unblock(struct steps *s, const struct step *step,
		      struct step_outcome *o, struct err *err)
{
	got(o, "unblocked");
	return each_block(s, step, lab_unblock, err);
}

/* A daemon that starts is at work in real time; lab time waits for it. */
static int wait_for_daemons(struct steps *s, struct err *err)
{
	uint64_t until_us = clock_real_us() + DAEMON_LIMIT_US;
	bool ready = false;
	int ret;

	while (clock_real_us() < until_us) {
		ret = lab_ready(s->lab, &ready, err);
		if (!ret && !ready)
			ret = driver_stand(s->driver, DAEMON_POLL_US, err);
		if (ret || ready)
			return ret;
	}
	return err_set(err, ETIMEDOUT,
		       "a port-mapping daemon gives no answer after 2 min");
}

static int do_reboot(struct steps *s, const struct step *step,
		     struct step_outcome *o, struct err *err)
{
	int ret = lab_reboot(s->lab, node(s, step->x), err);

	got(o, "rebooted");
	return ret ? ret : wait_for_daemons(s, err);
}

static int do_flush(struct steps *s, const struct step *step,
		    struct step_outcome *o, struct err *err)
{
	got(o, "flushed");
	return lab_flush(s->lab, node(s, step->x), err);
}

static int do_renumber(struct steps *s, const struct step *step,
		       struct step_outcome *o, struct err *err)
{
	char ip[ENDPOINT_TEXT_BYTES];
	int ret = lab_renumber(s->lab, node(s, step->x), err);

	if (ret)
		return ret;
	got(o, "now %s",
	    endpoint_format_ip(node(s, step->x)->ifaces[0].ip, ip));
	return wait_for_daemons(s, err);
}

static int do_set(struct steps *s, const struct step *step,
		  struct step_outcome *o, struct err *err)
{
	int ret = lab_set(s->lab, node(s, step->x), &step->nat, step->portmap,
			  err);

	got(o, "set");
	return ret ? ret : wait_for_daemons(s, err);
}

static int do_link(struct steps *s, const struct step *step,
		   struct step_outcome *o, struct err *err)
{
	int ret = lab_link(s->lab, node(s, step->x), step->up, err);

	got(o, step->up ? "up" : "down");
	if (!ret && step->up)
		ret = driver_link_up(s->driver, (unsigned)step->x, err);
	return ret;
}

static int do_wait(struct steps *s, const struct step *step,
		   struct step_outcome *o, struct err *err)
{
	int ret = driver_run_until(s->driver, o->started_us + step->for_us,
				   NULL, NULL, err);

	got(o, "waited");
	return ret < 0 ? ret : 0;
}

static int do_send(struct steps *s, const struct step *step,
		   struct step_outcome *o, struct err *err)
{
	struct endpoint src = {0, step->src_port}, dst = step->dst;
	int ret;

	if (step->to_tunnel) {
		ret = lab_public_port(s->lab, node(s, step->y), dst.port, err);
		if (ret < 0)
			return ret;
		dst.port = (uint16_t)ret;
	}
	if (!dst.ip)
		dst.ip = lab_public_ip(s->lab, node(s, step->y));
	ret = driver_send(s->driver, (unsigned)step->x, src, dst, step->ttl,
			  step->payload, step->payload_bytes, err);
	if (ret)
		return ret;
	got(o, "sent");
	return driver_settle(s->driver, SETTLE_US, err);
}

/* One more verb: one more row here, and its function above. */
static step_fn *const step_fns[] = {
	[STEP_START] = do_start,       [STEP_STOP] = do_stop,
	[STEP_RESTART] = do_restart,   [STEP_PING] = do_ping,
	[STEP_NETCHECK] = do_netcheck, [STEP_BLOCK] = do_block,
	[STEP_UNBLOCK] = do_unblock,   [STEP_REBOOT] = do_reboot,
	[STEP_FLUSH] = do_flush,       [STEP_RENUMBER] = do_renumber,
	[STEP_SET] = do_set,	       [STEP_LINK] = do_link,
	[STEP_WAIT] = do_wait,	       [STEP_SEND] = do_send,
};

static void expectation(const struct step *step, struct step_outcome *o)
{
	if (step->verb == STEP_NETCHECK)
		netcheck_expectation(step, o->expect, sizeof(o->expect));
	else if (step->expect != EXPECT_NOTHING)
		snprintf(o->expect, sizeof(o->expect), "%s",
			 step_expect_name(step->expect));
}

static int run_one(struct steps *s, struct err *err)
{
	const struct step *step = &s->scenario->steps[s->current];
	struct step_outcome *o = &s->outcomes[s->current];
	struct err cause = {0};
	int ret;

	/* What the step before has set going does not belong to this one. */
	ret = driver_settle(s->driver, SETTLE_US, &cause);
	o->started_us = driver_now_us(s->driver);
	o->from_us = driver_recorded_us(s->driver);
	o->first_reply_us = -1;
	o->holds = true;
	expectation(step, o);
	if (!ret)
		ret = step_fns[step->verb](s, step, o, &cause);
	o->ended_us = driver_now_us(s->driver);
	o->to_us = driver_recorded_us(s->driver);
	if (ret == -EINTR) {
		got(o, "interrupted");
		o->holds = false;
		return err_set(err, EINTR, "interrupted");
	}
	if (ret) {
		got(o, "could not be done");
		o->holds = false;
		return err_at(err, -ret, s->scenario->file, step->at.line,
			      step->at.column, "%.80s: %.400s", step->text,
			      cause.text);
	}
	o->done = true;
	return 0;
}

int steps_run(struct steps *s, bool until_ping, struct err *err)
{
	int ret = wait_for_daemons(s, err);

	if (!ret)
		ret = driver_serve(s->driver, err);
	for (s->current = 0; !ret && s->current < s->scenario->step_count;
	     s->current++) {
		if (until_ping &&
		    s->scenario->steps[s->current].verb == STEP_PING)
			break;
		ret = run_one(s, err);
	}
	return ret;
}
