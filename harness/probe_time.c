/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long does a mapping live, and what prolongs it? RFC 5780 4.6: one port
 * makes a mapping and falls silent; later a second port asks the server to
 * answer to the first one's mapping (RESPONSE-PORT), which shows whether it
 * is still there. Each trial has a fresh port, since a trial prolongs what it
 * finds alive.
 */
#include "harness/probe_private.h"

#define SECOND_US UINT64_C(1000000)

enum {
	/*
	 * Linux lets a flow live longer once it was answered and is two seconds
	 * old; others count packets.
	 */
	STREAM_AGE_US = 3 * 1000000,
	FIRST_WAIT_US = 15 * 1000000,
	KEEP_US = 5 * 1000000,
	POOL_TRIES = PROBE_CONTROLS + 2
};

enum { OPEN, WARM, TRY };

static const char *const no_ports = "no local port is left to try with";

/* RESPONSE-PORT must reach the first port from the second one's address. */
static void ask_back(struct probe *p, uint64_t start_us)
{
	struct lifetime_search *s = &p->search;
	struct exchange *e = probe_ask(p, p->control_port, p->config.server);

	e->response_port = s->mapped_port;
	e->heard_at = probe_local(p, s->port, false);
	e->start_us = start_us;
}

static void ask_controls(struct probe *p, uint64_t start_us)
{
	for (unsigned i = 0; i < p->control_count; i++)
		probe_ask(p, p->controls[i].port, p->config.server)->start_us =
			start_us;
}

/*
 * Where each mapping may have another external address, those of the controls
 * must not end meanwhile: their next ones could not reach the first port. True:
 * that is seen to now, and the question itself comes later, at DUE.
 */
static bool keep_controls(struct probe *p, uint64_t due_us)
{
	struct lifetime_search *s = &p->search;

	s->keeping = probe_knows(p, PROBE_POOLING, PROBE_ARBITRARY) &&
		     s->kept_us + KEEP_US < due_us;
	if (s->keeping) {
		s->kept_us += KEEP_US;
		ask_controls(p, s->kept_us);
	}
	return s->keeping;
}

static void add_control(struct probe *p, unsigned port, uint32_t ip)
{
	if (p->control_count < PROBE_CONTROLS)
		p->controls[p->control_count++] =
			(struct probe_control){port, ip};
}

static void open_mapping(struct probe *p)
{
	struct lifetime_search *s = &p->search;

	if (!p->control_count)
		add_control(p, probe_take_port(p), 0);
	s->port = probe_take_port(p);
	probe_ask(p, s->port, p->config.server);
	ask_controls(p, 0);
	probe_rest(p);
}

/* The control that shares its external address, if there is one. */
static bool choose_control(struct probe *p, uint32_t ip)
{
	bool found = false;

	for (unsigned i = 0; i < p->control_count; i++) {
		const struct exchange *e = &p->exchanges[1 + i];

		if (probe_mapped(e))
			p->controls[i].ip = e->answer.mapped.ip;
		if (!probe_mapped(e) || p->controls[i].ip != ip || found)
			continue;
		p->control_port = p->controls[i].port;
		found = true;
	}
	return found;
}

/*
 * The mapping is there and idle from now on. False: it cannot be had; then
 * ITEM says why. *AGAIN: another try may help.
 */
static bool opened(struct probe *p, enum probe_item item, bool *again)
{
	struct lifetime_search *s = &p->search;
	const struct exchange *x = &p->exchanges[0], *y = &p->exchanges[1];

	*again = false;
	if (s->port >= PROBE_PORTS || p->controls[0].port >= PROBE_PORTS) {
		probe_unknown(p, item, "%s", no_ports);
		return false;
	}
	if (!probe_mapped(x) || !probe_mapped(y)) {
		probe_unknown(p, item, "no answer");
		return false;
	}
	if (!choose_control(p, x->answer.mapped.ip)) {
		/* The next one with that address has a control in this. */
		add_control(p, s->port, x->answer.mapped.ip);
		*again = ++s->pool_tries < POOL_TRIES;
		probe_unknown(p, item, "two ports have different external "
			      "addresses");
		return false;
	}
	s->pool_tries = 0;
	s->mapped_port = x->answer.mapped.port;
	s->idle_since_us = x->answered_us;
	s->kept_us = y->answered_us;
	return true;
}

/* --- lifetimes ------------------------------------------------------------ */

static bool stream(const struct lifetime_search *s)
{
	return s->item == PROBE_STREAM_LIFETIME;
}

static void begin_search(struct probe *p, enum probe_item item)
{
	p->search = (struct lifetime_search){.item = item};
}

void probe_lifetime_start(struct probe *p)
{
	struct lifetime_search *s = &p->search;
	struct exchange *e;

	if (!p->config.lifetime)
		return;
	if (!p->phase)
		begin_search(p, PROBE_LIFETIME);
	switch (s->phase) {
	case OPEN:
		open_mapping(p);
		break;
	case WARM:
		e = probe_ask(p, s->port, p->config.server);
		e->start_us = s->idle_since_us + STREAM_AGE_US;
		break;
	case TRY:
		if (!keep_controls(p, s->idle_since_us + s->wait_us))
			ask_back(p, s->idle_since_us + s->wait_us);
		break;
	}
}

static void tell_bounds(struct probe *p)
{
	const struct lifetime_search *s = &p->search;
	int alive_s = (int)(s->alive_us / SECOND_US);

	probe_found(p, s->item, alive_s);
	if (!s->dead_us)
		probe_remark(p, s->item, "or longer");
	else
		probe_remark(p, s->item, "gone after %.4g s",
			     (double)s->dead_us / SECOND_US);
}

/* The next time to try, or 0 where the answer is good enough. */
static uint64_t next_wait(const struct probe *p)
{
	const struct lifetime_search *s = &p->search;
	const struct probe_config *c = &p->config;
	uint64_t doubled = s->alive_us ? 2 * s->alive_us : FIRST_WAIT_US;

	if (s->dead_us) {
		if (s->dead_us - s->alive_us <= c->lifetime_step_us)
			return 0;
		return s->alive_us + (s->dead_us - s->alive_us) / 2;
	}
	if (s->alive_us >= c->lifetime_max_us)
		return 0;
	return doubled < c->lifetime_max_us ? doubled : c->lifetime_max_us;
}

/* What a trial has shown. True: there is more to try. */
static bool learn(struct probe *p)
{
	struct lifetime_search *s = &p->search;
	bool alive = p->exchanges[0].answered;

	if (!s->wait_us && !alive) {
		probe_unknown(p, s->item, "the server does not answer to "
			      "another port of ours (RESPONSE-PORT)");
		return false;
	}
	if (alive)
		s->alive_us = s->wait_us;
	else
		s->dead_us = s->wait_us;
	tell_bounds(p);
	s->wait_us = next_wait(p);
	s->phase = OPEN;
	return s->wait_us;
}

/* One of the two searches is over: on to the next, if there is one. */
static bool next_search(struct probe *p)
{
	if (stream(&p->search) ||
	    p->report.findings[PROBE_LIFETIME].state != PROBE_FOUND)
		return false;
	begin_search(p, PROBE_STREAM_LIFETIME);
	return true;
}

/* Out of ports in the middle: the bounds so far are still true. */
static bool stop_search(struct probe *p, bool had_bounds)
{
	if (had_bounds)
		tell_bounds(p);
	return next_search(p);
}

bool probe_lifetime_finish(struct probe *p)
{
	struct lifetime_search *s = &p->search;
	bool had_bounds = s->alive_us || s->dead_us, again;

	if (!p->config.lifetime)
		return false;
	if (s->keeping)
		return true;
	switch (s->phase) {
	case OPEN:
		if (!opened(p, s->item, &again))
			return again || stop_search(p, had_bounds);
		s->phase = stream(s) && s->wait_us ? WARM : TRY;
		return true;
	case WARM:
		if (p->exchanges[0].answered)
			s->idle_since_us = p->exchanges[0].answered_us;
		s->phase = TRY;
		return true;
	default:
		return learn(p) || next_search(p);
	}
}

/* --- refresh -------------------------------------------------------------- */

/* Twice this is longer than a mapping lives, once is not. */
static uint64_t refresh_wait_us(const struct probe *p)
{
	int alive_s = p->report.findings[PROBE_LIFETIME].value;

	return (uint64_t)alive_s * SECOND_US * 6 / 10;
}

static bool can_refresh(struct probe *p)
{
	const struct probe_finding *f = &p->report.findings[PROBE_LIFETIME];
	bool too_long = f->state == PROBE_FOUND &&
			(uint64_t)f->value * SECOND_US >=
				p->config.lifetime_max_us;

	if (!p->config.lifetime)
		return false;
	if (f->state == PROBE_FOUND && !too_long && f->value)
		return true;
	for (unsigned i = PROBE_REFRESH_OUT; i <= PROBE_REFRESH_IN; i++)
		probe_unknown(p, i, too_long ?
			      "mappings outlive the time given" :
			      "how long a mapping lives is not known");
	return false;
}

void probe_refresh_start(struct probe *p)
{
	struct lifetime_search *s = &p->search;
	uint64_t due_us;

	if (!can_refresh(p))
		return;
	if (!p->phase)
		begin_search(p, PROBE_REFRESH_OUT);
	if (s->phase == OPEN) {
		open_mapping(p);
		return;
	}
	due_us = s->idle_since_us + refresh_wait_us(p);
	if (keep_controls(p, due_us))
		return;
	if (s->phase == WARM && s->item == PROBE_REFRESH_OUT)
		probe_ask(p, s->port, p->config.server)->start_us = due_us;
	else
		ask_back(p, due_us);
}

bool probe_refresh_finish(struct probe *p)
{
	struct lifetime_search *s = &p->search;
	bool answered = p->exchanges[0].answered, again;

	if (!p->count)
		return false;
	if (s->keeping)
		return true;
	switch (s->phase) {
	case OPEN:
		if (opened(p, s->item, &again))
			s->phase = WARM;
		return again || s->phase == WARM;
	case WARM:
		s->idle_since_us = p->exchanges[0].answered_us;
		s->phase = TRY;
		if (answered)
			return true;
		probe_unknown(p, s->item, "no answer half-way");
		return false;
	default:
		probe_found(p, s->item, answered);
		if (s->item == PROBE_REFRESH_IN)
			return false;
		begin_search(p, PROBE_REFRESH_IN);
		return true;
	}
}
