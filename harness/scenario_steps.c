/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps: a table of verbs, the keys of each, and what they turn into. */
#include "harness/scenario_reader.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *node_name(const struct reader *r, int node)
{
	return node < 0 ? "all" : r->s->plan.nodes[node].name;
}

/* --- start, stop, restart ----------------------------------------------- */

/* A client that has never been started can do nothing. NODE -1: all. */
static int need_started(struct reader *r, const struct yaml_node *at,
			int node)
{
	for (unsigned i = 0; node < 0 && i < r->s->host_count; i++)
		if (r->started[r->s->hosts[i].node])
			return 0;
	if (node >= 0 && r->started[node])
		return 0;
	return reader_refuse(r, at, "%s was never started: put a step "
			     "\"start: %s\" before this one",
			     node < 0 ? "any client" : node_name(r, node),
			     node_name(r, node));
}

static int push_client(struct reader *r, const struct yaml_node *body,
		       const struct yaml_node *at, struct step *step)
{
	int ret = 0;

	if (step->verb != STEP_START)
		ret = need_started(r, at, step->x);
	if (ret)
		return ret;
	for (unsigned i = 0; i < r->s->plan.count; i++)
		if (step->x < 0 || step->x == (int)i)
			r->started[i] = true;
	return reader_push(r, body, step);
}

/* all, a host, or a list of hosts: a list becomes several steps. */
static int finish_clients(struct reader *r, const struct yaml_node *body,
			  struct step *step)
{
	const struct yaml_node *who = body->first, *item, *old;
	int ret = 0;

	if (who->kind == YAML_TEXT && !strcmp(who->text, "all"))
		return push_client(r, body, who, step);
	if (who->kind != YAML_LIST) {
		ret = reader_kind(r, who, YAML_TEXT,
				  "a host, a list of hosts or \"all\"");
		if (!ret)
			ret = reader_node(r, who, READER_HOST, &step->x);
		return ret ? ret : push_client(r, body, who, step);
	}
	if (!who->members)
		return reader_refuse(r, who, "%s: an empty list", who->key);
	for (item = who->first; item; item = item->next) {
		ret = reader_node(r, item, READER_HOST, &step->x);
		for (old = who->first; !ret && old != item; old = old->next)
			if (!strcmp(old->text, item->text))
				ret = reader_refuse(r, item, "%s is here twice",
						    item->text);
		if (!ret)
			ret = push_client(r, body, item, step);
		if (ret)
			return ret;
	}
	return 0;
}

static const struct reader_key start_keys[] = {{"start", NULL, true},
					       {NULL, NULL, false}};
static const struct reader_key stop_keys[] = {{"stop", NULL, true},
					      {NULL, NULL, false}};
static const struct reader_key restart_keys[] = {{"restart", NULL, true},
						 {NULL, NULL, false}};

/* --- ping --------------------------------------------------------------- */

#define PING_DEFAULT_US (15 * READER_SECOND_US)
#define PING_MAX_US (CLIENT_MAX_PINGS * READER_SECOND_US)

static int read_ping(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	static const char wanted[] = "\"x -> y\"";
	struct step *step = into;
	struct reader_words w;
	int ret = reader_arrow(r, value, wanted, &w);

	step->for_us = PING_DEFAULT_US;
	if (!ret)
		ret = reader_name(r, value, w.at[0], w.text[0], READER_HOST,
				  &step->x);
	if (!ret)
		ret = reader_name(r, value, w.at[2], w.text[2], READER_HOST,
				  &step->y);
	if (!ret && w.count > 3)
		ret = reader_refuse_in(r, value, w.at[3], "nothing expected "
				       "after \"%s -> %s\"", w.text[0],
				       w.text[2]);
	if (!ret && step->x == step->y)
		ret = reader_refuse_in(r, value, w.at[2], "%s pings itself",
				       w.text[2]);
	return ret ? ret : need_started(r, value, step->x);
}

static int read_ping_kind(struct reader *r, const struct yaml_node *value,
			  void *into)
{
	static const char *const names[] = {"data", "disco", NULL};
	struct step *step = into;
	int index = 0;
	int ret = reader_choice(r, value, names, &index);

	if (!ret)
		step->kind = (enum client_ping_kind)index;
	return ret;
}

static int read_for(struct reader *r, const struct yaml_node *value, void *into)
{
	struct step *step = into;

	return reader_duration(r, value, 1000, PING_MAX_US, &step->for_us);
}

static const char *const expect_names[] = {
	[EXPECT_NOTHING] = "nothing",
	[EXPECT_UNREACHABLE] = "unreachable",
	[EXPECT_REACHABLE] = "reachable",
	[EXPECT_DIRECT] = "direct",
	[EXPECT_RELAY] = "relay",
	NULL};

static int read_expect(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	struct step *step = into;
	int index = 0;
	int ret = reader_choice(r, value, expect_names + 1, &index);

	if (!ret)
		step->expect = (enum step_expect)(index + 1);
	return ret;
}

static const struct reader_key ping_keys[] = {{"ping", read_ping, true},
					      {"kind", read_ping_kind, false},
					      {"for", read_for, false},
					      {"expect", read_expect, false},
					      {NULL, NULL, false}};

/* --- netcheck ----------------------------------------------------------- */

static int read_netcheck(struct reader *r, const struct yaml_node *value,
			 void *into)
{
	struct step *step = into;
	int ret = reader_node(r, value, READER_HOST, &step->x);

	return ret ? ret : need_started(r, value, step->x);
}

static int read_varies(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	static const char *const names[] = {"unknown", "false", "true", NULL};
	struct step *step = into;
	int index = 0;
	int ret = reader_choice(r, value, names, &index);

	if (!ret)
		step->expect_varies = index - 1;
	return ret;
}

static int read_found(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	static const char *const names[] = {
		[CLIENT_PORTMAP_NONE] = "none",
		[CLIENT_PORTMAP_UPNP] = "upnp",
		[CLIENT_PORTMAP_NAT_PMP] = "nat-pmp",
		[CLIENT_PORTMAP_PCP] = "pcp",
		NULL};
	struct step *step = into;

	return reader_choice(r, value, names, &step->expect_portmap);
}

static int read_udp(struct reader *r, const struct yaml_node *value, void *into)
{
	struct step *step = into;
	bool udp = false;
	int ret = reader_bool(r, value, &udp);

	if (!ret)
		step->expect_udp = udp;
	return ret;
}

static int read_report(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	static const struct reader_key keys[] = {
		{"mapping-varies", read_varies, false},
		{"portmap", read_found, false},
		{"udp", read_udp, false},
		{NULL, NULL, false}};

	return reader_map(r, value, "expect", keys, into);
}

static const struct reader_key netcheck_keys[] = {
	{"netcheck", read_netcheck, true},
	{"expect", read_report, false},
	{NULL, NULL, false}};

/* --- routers, links, time ----------------------------------------------- */

static int read_router(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	struct step *step = into;

	return reader_node(r, value, READER_ROUTER, &step->x);
}

static const struct reader_key reboot_keys[] = {{"reboot", read_router, true},
						{NULL, NULL, false}};
static const struct reader_key flush_keys[] = {{"flush", read_router, true},
					       {NULL, NULL, false}};
static const struct reader_key renumber_keys[] = {
	{"renumber", read_router, true}, {NULL, NULL, false}};

static const struct reader_key set_keys[] = {{"set", NULL, true},
					     {NULL, NULL, false}};

static int read_link(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	struct step *step = into;

	return reader_node(r, value, READER_ANY, &step->x);
}

static int read_state(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	static const char *const names[] = {"down", "up", NULL};
	struct step *step = into;
	int index = 0;
	int ret = reader_choice(r, value, names, &index);

	if (!ret)
		step->up = index;
	return ret;
}

static const struct reader_key link_keys[] = {{"link", read_link, true},
					      {"state", read_state, true},
					      {NULL, NULL, false}};

static int read_wait(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	struct step *step = into;

	return reader_duration(r, value, 1, READER_MAX_US, &step->for_us);
}

static const struct reader_key wait_keys[] = {{"wait", read_wait, true},
					      {NULL, NULL, false}};

/* --- verbs -------------------------------------------------------------- */

/*
 * One more verb is one more row, beside its enum step_verb. The first of its
 * keys is the verb itself. FINISH pushes the step, or several, once the keys
 * are read; NULL: just this one.
 */
static const struct verb {
	const char *name;
	const struct reader_key *keys;
	int (*finish)(struct reader *r, const struct yaml_node *body,
		      struct step *step);
} verbs[] = {
	[STEP_START] = {"start", start_keys, finish_clients},
	[STEP_STOP] = {"stop", stop_keys, finish_clients},
	[STEP_RESTART] = {"restart", restart_keys, finish_clients},
	[STEP_PING] = {"ping", ping_keys, NULL},
	[STEP_NETCHECK] = {"netcheck", netcheck_keys, NULL},
	[STEP_BLOCK] = {"block", reader_block_keys, reader_finish_block},
	[STEP_UNBLOCK] = {"unblock", reader_unblock_keys, reader_finish_block},
	[STEP_REBOOT] = {"reboot", reboot_keys, NULL},
	[STEP_FLUSH] = {"flush", flush_keys, NULL},
	[STEP_RENUMBER] = {"renumber", renumber_keys, NULL},
	[STEP_SET] = {"set", set_keys, reader_finish_set},
	[STEP_LINK] = {"link", link_keys, NULL},
	[STEP_WAIT] = {"wait", wait_keys, NULL},
	[STEP_SEND] = {"send", reader_send_keys, reader_finish_send},
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

const char *step_verb_name(enum step_verb verb)
{
	return verb < VERB_COUNT ? verbs[verb].name : "?";
}

const char *step_expect_name(enum step_expect expect)
{
	return expect <= EXPECT_RELAY ? expect_names[expect] : "?";
}

/* "ping a -> c", "block c -> relay of tcp 80", "link a down" */
static void step_text(const struct reader *r, struct step *step)
{
	size_t size_bytes = sizeof(step->text), at;
	char *text = step->text, wait[32];

	if (step->verb == STEP_WAIT) {
		reader_duration_text(step->for_us, wait, sizeof(wait));
		snprintf(text, size_bytes, "wait %s", wait);
		return;
	}
	snprintf(text, size_bytes, "%s %s", verbs[step->verb].name,
		 node_name(r, step->x));
	at = strlen(text);
	if (step->verb == STEP_LINK)
		snprintf(text + at, size_bytes - at, " %s",
			 step->up ? "up" : "down");
	if (step->y < 0)
		return;
	snprintf(text + at, size_bytes - at, " -> %s", node_name(r, step->y));
	at = strlen(text);
	if (step->proto || step->port)
		snprintf(text + at, size_bytes - at, " of%s",
			 step->proto == IPPROTO_UDP   ? " udp"
			 : step->proto == IPPROTO_TCP ? " tcp"
						      : "");
	at = strlen(text);
	if (step->port)
		snprintf(text + at, size_bytes - at, " %u", step->port);
}

int reader_push(struct reader *r, const struct yaml_node *body,
		const struct step *step)
{
	struct scenario *s = r->s;
	unsigned room = r->steps_room;
	struct step *steps;

	if (s->step_count == READER_MAX_STEPS)
		return reader_refuse(r, body, "more than %u steps",
				     READER_MAX_STEPS);
	if (s->step_count == room) {
		room = room ? 2 * room : 16;
		steps = realloc(s->steps, room * sizeof(*steps));
		if (!steps)
			return err_set(r->err, ENOMEM, "out of memory");
		s->steps = steps;
		r->steps_room = room;
	}
	s->steps[s->step_count] = *step;
	if (!step->text[0])
		step_text(r, &s->steps[s->step_count]);
	s->step_count++;
	return 0;
}

/* The verb among the keys of BODY; *VERB is NULL where there is none. */
static int find_verb(struct reader *r, const struct yaml_node *body,
		     const struct verb **verb, const struct yaml_node **at)
{
	const struct yaml_node *member;

	*verb = NULL;
	*at = NULL;
	for (member = body->first; member; member = member->next)
		for (unsigned i = 0; i < VERB_COUNT; i++) {
			if (strcmp(verbs[i].name, member->key))
				continue;
			if (*verb)
				return reader_refuse_key(
					r, member, "a step has one verb, this "
					"has %s and %s", (*verb)->name,
					verbs[i].name);
			*verb = &verbs[i];
			*at = member;
		}
	return 0;
}

static int refuse_verb(struct reader *r, const struct yaml_node *body)
{
	const char *names[VERB_COUNT + 1] = {NULL};
	struct yaml_node key = {.kind = YAML_TEXT};

	for (unsigned i = 0; i < VERB_COUNT; i++)
		names[i] = verbs[i].name;
	if (!body->first)
		return reader_refuse(r, body, "an empty step");
	key.text = body->first->key;
	key.line = body->first->key_line;
	key.column = body->first->key_column;
	return reader_unknown(r, &key, 0, "verb", key.text, names);
}

static int read_step(struct reader *r, const struct yaml_node *body)
{
	struct step step = {.x = -1,
			    .y = -1,
			    .expect_varies = STEP_ANY,
			    .expect_portmap = STEP_ANY,
			    .expect_udp = STEP_ANY};
	const struct yaml_node *at;
	const struct verb *verb;
	char where[32];
	int ret;

	if (body->kind != YAML_MAP)
		return reader_refuse(r, body, "a step is a verb and what it is "
				     "done to, like \"start: all\"");
	ret = find_verb(r, body, &verb, &at);
	if (ret)
		return ret;
	if (!verb)
		return refuse_verb(r, body);
	step.verb = (enum step_verb)(verb - verbs);
	step.at.line = body->line;
	step.at.column = body->column;
	snprintf(where, sizeof(where), "a %s step", verb->name);
	ret = reader_map(r, body, where, verb->keys, &step);
	if (ret)
		return ret;
	return verb->finish ? verb->finish(r, body, &step)
			    : reader_push(r, body, &step);
}

int reader_steps(struct reader *r, const struct yaml_node *steps)
{
	const struct lab_plan *plan = &r->s->plan;
	int ret = reader_kind(r, steps, YAML_LIST, "a list of steps");

	if (ret)
		return ret;
	if (!steps->members)
		return reader_refuse(r, steps, "steps: an empty list proves "
				     "nothing");
	r->now = calloc(plan->count + 1, sizeof(*r->now));
	r->started = calloc(plan->count + 1, sizeof(*r->started));
	if (!r->now || !r->started)
		return err_set(r->err, ENOMEM, "out of memory");
	memcpy(r->now, plan->nodes, plan->count * sizeof(*r->now));
	for (const struct yaml_node *m = steps->first; m && !ret; m = m->next)
		ret = read_step(r, m);
	return ret;
}
