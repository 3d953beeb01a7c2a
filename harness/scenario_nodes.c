/* SPDX-License-Identifier: BSD-3-Clause */
/* Routers, hosts and servers: their names first, then what is said of each. */
#include "harness/clients.h"
#include "harness/scenario_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME_LEN 32

/* --- names -------------------------------------------------------------- */

static const char *const reserved_names[] = {"internet", "all", "stun", NULL};

static const char *const kind_names[] = {
	[LAB_HOST] = "a host",
	[LAB_ROUTER] = "a router",
	[LAB_SERVER] = "a server",
};

/* AT has the name as its key (KEYED) or as its text. */
static int refuse_name(struct reader *r, const struct yaml_node *at, bool keyed,
		       const char *name, const char *why)
{
	if (keyed)
		return reader_refuse_key(r, at, "\"%.64s\" %s", name, why);
	return reader_refuse(r, at, "\"%.64s\" %s", name, why);
}

static int check_name(struct reader *r, const struct yaml_node *at, bool keyed,
		      const char *name)
{
	size_t len = strlen(name);

	if (len > MAX_NAME_LEN)
		return refuse_name(r, at, keyed, name, "is longer than 32 "
				   "letters");
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len ||
	    *name < 'a')
		return refuse_name(r, at, keyed, name, "is no name: small "
				   "letters, digits and \"-\" expected, a "
				   "letter first");
	for (unsigned i = 0; reserved_names[i]; i++)
		if (!strcmp(name, reserved_names[i]))
			return refuse_name(r, at, keyed, name, "is a word of "
					   "the language, not a name");
	return 0;
}

/*
 * One more node of the plan. AT may be NULL for a server that nobody named;
 * the plan has the room.
 */
static int declare(struct reader *r, const struct yaml_node *at, bool keyed,
		   const char *name, enum lab_kind kind)
{
	struct lab_plan *plan = &r->s->plan;
	struct lab_plan_node *node = &plan->nodes[plan->count];
	char why[SCENARIO_NAME_BYTES];
	int ret = at ? check_name(r, at, keyed, name) : 0;

	if (ret)
		return ret;
	for (unsigned i = 0; i < plan->count; i++) {
		if (strcmp(plan->nodes[i].name, name))
			continue;
		snprintf(why, sizeof(why), "is already the name of %s",
			 kind_names[plan->nodes[i].kind]);
		return refuse_name(r, at, keyed, name, why);
	}
	snprintf(node->name, sizeof(node->name), "%s", name);
	node->kind = kind;
	node->router = -1;
	plan->count++;
	return 0;
}

static int declare_members(struct reader *r, const struct yaml_node *map,
			   enum lab_kind kind)
{
	int ret = 0;

	if (!map)
		return 0;
	for (const struct yaml_node *m = map->first; m && !ret; m = m->next)
		ret = declare(r, m, true, m->key, kind);
	return ret;
}

/*
 * A server that the lab has of itself. Where a node of the scenario has taken
 * its name, that node is at fault.
 */
static int declare_own(struct reader *r, const char *name, unsigned *index)
{
	const struct yaml_node *taken = yaml_get(r->routers, name);
	char why[SCENARIO_NAME_BYTES];

	if (!taken)
		taken = yaml_get(r->hosts, name);
	if (taken) {
		snprintf(why, sizeof(why), "is the name of a server that the "
			 "lab has");
		return refuse_name(r, taken, true, name, why);
	}
	*index = r->s->plan.count;
	return declare(r, NULL, false, name, LAB_SERVER);
}

/* --- servers ------------------------------------------------------------ */

static int declare_stun(struct reader *r, const struct yaml_node *servers)
{
	const struct yaml_node *node = yaml_get(servers, "stun");
	uint64_t count = 2;
	char name[16];
	int ret = 0;

	if (node)
		ret = reader_number(r, node, 0, CLIENT_MAX_SERVERS, &count);
	for (unsigned i = 0; i < count && !ret; i++) {
		snprintf(name, sizeof(name), "stun%u", i + 1);
		ret = declare_own(r, name, &r->s->stun_nodes[i]);
		r->s->stun_count = i + 1;
	}
	return ret;
}

static int declare_relays(struct reader *r, const struct yaml_node *servers)
{
	const struct yaml_node *list = yaml_get(servers, "relays"), *item;
	struct scenario *s = r->s;
	int ret;

	if (!list) {
		s->relay_count = 1;
		return declare_own(r, "relay", &s->relay_nodes[0]);
	}
	ret = reader_kind(r, list, YAML_LIST, "a list of names");
	if (ret)
		return ret;
	for (item = list->first; item; item = item->next) {
		if (s->relay_count == CLIENT_MAX_SERVERS)
			return reader_refuse(r, item, "more than %u relays",
					     CLIENT_MAX_SERVERS);
		ret = reader_kind(r, item, YAML_TEXT, "a name");
		if (ret)
			return ret;
		s->relay_nodes[s->relay_count++] = s->plan.count;
		ret = declare(r, item, false, item->text, LAB_SERVER);
		if (ret)
			return ret;
	}
	return 0;
}

int reader_declare(struct reader *r, const struct yaml_node *servers)
{
	unsigned room = 2 * CLIENT_MAX_SERVERS + 1;
	struct scenario *s = r->s;
	int ret;

	room += r->routers ? r->routers->members : 0;
	room += r->hosts ? r->hosts->members : 0;
	s->plan.nodes = calloc(room, sizeof(*s->plan.nodes));
	if (!s->plan.nodes)
		return err_set(r->err, ENOMEM, "out of memory");
	ret = declare_members(r, r->routers, LAB_ROUTER);
	if (!ret)
		ret = declare_members(r, r->hosts, LAB_HOST);
	if (!ret)
		ret = declare_stun(r, servers);
	if (!ret)
		ret = declare_own(r, "control", &s->control_node);
	if (!ret)
		ret = declare_relays(r, servers);
	return ret;
}

static int read_delay(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	(void)into;
	return reader_duration(r, value, 0, READER_MAX_US,
			       &r->s->control_delay_us);
}

static int read_control(struct reader *r, const struct yaml_node *value,
			void *into)
{
	static const struct reader_key keys[] = {{"delay", read_delay, false},
						 {NULL, NULL, false}};

	return reader_map(r, value, "control", keys, into);
}

int reader_servers(struct reader *r, const struct yaml_node *servers)
{
	static const struct reader_key keys[] = {
		{"relays", NULL, false}, /* declared already */
		{"stun", NULL, false},
		{"control", read_control, false},
		{NULL, NULL, false}};

	return servers ? reader_map(r, servers, "servers", keys, NULL) : 0;
}

/* --- routers ------------------------------------------------------------ */

/* Follows each router outwards: more steps than routers is a ring. */
static int check_rings(struct reader *r)
{
	const struct lab_plan *plan = &r->s->plan;
	const struct yaml_node *member = r->routers->first;

	for (unsigned i = 0; i < r->routers->members; i++) {
		int outer = plan->nodes[i].router;
		unsigned hops = 0;

		while (outer >= 0 && outer != (int)i &&
		       hops++ < r->routers->members)
			outer = plan->nodes[outer].router;
		if (outer == (int)i)
			return reader_refuse(r, yaml_get(member, "router"),
					     "%s would be behind itself",
					     plan->nodes[i].name);
		member = member->next;
	}
	return 0;
}

int reader_routers(struct reader *r)
{
	const struct yaml_node *member;
	unsigned i = 0;
	int ret;

	if (!r->routers)
		return 0;
	for (member = r->routers->first; member; member = member->next) {
		ret = reader_router(r, member, false, &r->s->plan.nodes[i++]);
		if (ret)
			return ret;
	}
	return check_rings(r);
}

/* --- hosts -------------------------------------------------------------- */

static const char *const portmap_words[] = {"at-start", "on-first-send",
					    "never", NULL};
static const char *const publish_words[] = {"at-once", "on-first-send", "never",
					    NULL};
static const char *const learn_words[] = {"at-once", "never", NULL};

static int read_kind(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	struct scenario_host *host = into;
	int index = 0;
	int ret = reader_choice(r, value, clients_names(), &index);

	if (!ret)
		snprintf(host->client, sizeof(host->client), "%s",
			 clients_names()[index]);
	return ret;
}

/* That HOST has the model client, whose policy KEY is. */
static int need_model(struct reader *r, const struct yaml_node *value,
		      const struct scenario_host *host)
{
	if (!strcmp(host->client, CLIENTS_MODEL))
		return 0;
	return reader_refuse_key(r, value, "%s is the model client's; of %s "
				 "natrig cannot choose it", value->key,
				 host->client);
}

static int read_version(struct reader *r, const struct yaml_node *value,
			void *into)
{
	struct scenario_host *host = into;

	if (!strcmp(host->client, CLIENTS_MODEL))
		return reader_refuse_key(r, value, "version is for real "
					 "clients; the model has none");
	return reader_text(r, value, host->version, sizeof(host->version));
}

static int read_when(struct reader *r, const struct yaml_node *value,
		     const struct scenario_host *host,
		     const char *const *words, enum client_when *when)
{
	int index = 0;
	int ret = need_model(r, value, host);

	if (!ret)
		ret = reader_choice(r, value, words, &index);
	if (!ret)
		*when = (enum client_when)index;
	return ret;
}

static int read_portmap(struct reader *r, const struct yaml_node *value,
			void *into)
{
	struct scenario_host *host = into;

	return read_when(r, value, host, portmap_words, &host->policy.portmap);
}

static int read_publish(struct reader *r, const struct yaml_node *value,
			void *into)
{
	struct scenario_host *host = into;

	return read_when(r, value, host, publish_words, &host->policy.publish);
}

static int read_learn(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	struct scenario_host *host = into;
	enum client_when when = CLIENT_AT_START;
	int ret = read_when(r, value, host, learn_words, &when);

	if (!ret)
		host->policy.learn = when ? CLIENT_NEVER : CLIENT_AT_START;
	return ret;
}

static int read_call_me_maybe(struct reader *r, const struct yaml_node *value,
			      void *into)
{
	struct scenario_host *host = into;
	int ret = need_model(r, value, host);

	if (ret)
		return ret;
	return reader_bool(r, value, &host->policy.call_me_maybe);
}

static int read_relay(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	struct scenario_host *host = into;
	int ret = need_model(r, value, host);

	return ret ? ret : reader_bool(r, value, &host->policy.relay);
}

static int read_port(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	struct scenario_host *host = into;
	uint64_t port;
	int ret = reader_number(r, value, 1, UINT16_MAX, &port);

	if (!ret)
		host->port = (uint16_t)port;
	return ret;
}

static int read_client(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	static const struct reader_key keys[] = {
		{"kind", read_kind, false},
		{"version", read_version, false},
		{"options", reader_options, false},
		{"portmap", read_portmap, false},
		{"publish", read_publish, false},
		{"learn", read_learn, false},
		{"call-me-maybe", read_call_me_maybe, false},
		{"relay", read_relay, false},
		{"port", read_port, false},
		{NULL, NULL, false}};
	const struct yaml_node *port = yaml_get(value, "port");

	if (value->kind != YAML_MAP)
		return read_kind(r, value, into);
	if (port && yaml_get(value->parent, "port"))
		return reader_refuse_key(r, port, "port is said twice: in "
					 "client and beside it");
	return reader_map(r, value, "client", keys, into);
}

static int read_router(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	struct scenario_host *host = into;

	return reader_node(r, value, READER_ROUTER,
			   &r->s->plan.nodes[host->node].router);
}

static int read_host(struct reader *r, const struct yaml_node *body,
		     struct scenario_host *host)
{
	static const struct reader_key keys[] = {
		{"router", read_router, false},
		{"client", read_client, false},
		{"port", read_port, false},
		{NULL, NULL, false}};
	char where[SCENARIO_NAME_BYTES + 16];

	snprintf(where, sizeof(where), "host %.32s", body->key);
	snprintf(host->client, sizeof(host->client), CLIENTS_MODEL);
	host->port = CLIENT_DEFAULT_PORT;
	host->policy = client_policy_default();
	host->at.line = body->key_line;
	host->at.column = body->key_column;
	/* `b:` and `b: {}` are a host on the internet. */
	return body->kind == YAML_NULL ? 0 : reader_map(r, body, where, keys,
							host);
}

int reader_hosts(struct reader *r)
{
	unsigned before = r->routers ? r->routers->members : 0;
	const struct yaml_node *member = r->hosts->first;
	struct scenario *s = r->s;
	int ret = 0;

	s->hosts = calloc(r->hosts->members + 1, sizeof(*s->hosts));
	if (!s->hosts)
		return err_set(r->err, ENOMEM, "out of memory");
	for (; member && !ret; member = member->next) {
		struct scenario_host *host = &s->hosts[s->host_count];

		host->node = before + s->host_count++;
		ret = read_host(r, member, host);
		if (!ret && strcmp(host->client, s->hosts->client))
			ret = reader_refuse_key(
				r, member, "%s runs %s and %s runs %s, who "
				"cannot talk to each other: one client for all "
				"hosts of a lab", member->key, host->client,
				r->hosts->first->key, s->hosts->client);
	}
	return ret;
}
