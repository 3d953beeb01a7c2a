/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/scenario.h"

#include "harness/clients.h"
#include "harness/scenario_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- order statements --------------------------------------------------- */

static int read_statement(struct reader *r, const struct yaml_node *item,
			  const struct cast *cast)
{
	struct scenario_order *order = &r->s->orders[r->s->order_count];
	struct err why = {0};
	int ret = reader_kind(r, item, YAML_TEXT, "a statement");

	if (ret)
		return ret;
	if (strlen(item->text) >= sizeof(order->statement.text))
		return reader_refuse(r, item, "a statement of more than %zu "
				     "bytes",
				     sizeof(order->statement.text) - 1);
	ret = order_parse(item->text, cast, &order->statement, &why);
	if (ret) {
		reader_refuse_in(r, item, why.column ? why.column - 1 : 0, "%s",
				 why.text);
		return ret;
	}
	order->at.line = item->line;
	order->at.column = item->column;
	r->s->order_count++;
	return 0;
}

static int read_order(struct reader *r, const struct yaml_node *list,
		      void *into)
{
	struct cast *cast;
	int ret = reader_kind(r, list, YAML_LIST, "a list of statements");

	(void)into;
	if (ret)
		return ret;
	cast = scenario_cast(r->s);
	r->s->orders = calloc(list->members + 1, sizeof(*r->s->orders));
	if (!cast || !r->s->orders)
		ret = err_set(r->err, ENOMEM, "out of memory");
	for (const struct yaml_node *m = list->first; m && !ret; m = m->next)
		ret = read_statement(r, m, cast);
	cast_free(cast);
	return ret;
}

/* --- the file's own keys ------------------------------------------------ */

static int read_version(struct reader *r, const struct yaml_node *value,
			void *into)
{
	(void)into;
	if (value->kind == YAML_TEXT && !strcmp(value->text, "1"))
		return 0;
	return reader_refuse(r, value, "natrig: 1 expected: this natrig reads "
			     "version 1 of the language");
}

static int read_title(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	(void)into;
	return reader_text(r, value, r->s->title, sizeof(r->s->title));
}

static int read_source(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	(void)into;
	return reader_text(r, value, r->s->source, sizeof(r->s->source));
}

static int read_seed(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	(void)into;
	return reader_number(r, value, 0, UINT64_MAX, &r->s->seed);
}

/* Routers, hosts and servers name each other, so all names come first. */
static int read_nodes(struct reader *r, const struct yaml_node *hosts,
		      void *into)
{
	const struct yaml_node *root = hosts->parent;
	const struct yaml_node *servers = yaml_get(root, "servers");
	int ret = reader_kind(r, hosts, YAML_MAP, "{NAME: {router: ...}}");

	(void)into;
	r->hosts = hosts;
	r->routers = yaml_get(root, "routers");
	if (!ret && r->routers)
		ret = reader_kind(r, r->routers, YAML_MAP,
				  "{NAME: {nat: ...}}");
	if (!ret && servers)
		ret = reader_kind(r, servers, YAML_MAP, "{stun: 2, ...}");
	if (!ret && !hosts->members)
		ret = reader_refuse(r, hosts, "hosts: none is named");
	if (!ret)
		ret = reader_declare(r, servers);
	if (!ret)
		ret = reader_routers(r);
	if (!ret)
		ret = reader_hosts(r);
	return ret ? ret : reader_servers(r, servers);
}

static int read_steps(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	(void)into;
	return reader_steps(r, value);
}

/* In the order in which they are read, whatever the file's is. */
static const struct reader_key file_keys[] = {
	{"natrig", read_version, true},
	{"title", read_title, true},
	{"source", read_source, false},
	{"seed", read_seed, false},
	{"routers", NULL, false}, /* read with hosts */
	{"hosts", read_nodes, true},
	{"servers", NULL, false}, /* read with hosts */
	{"steps", read_steps, true},
	{"order", read_order, false},
	{NULL, NULL, false}};

/* --- clients ------------------------------------------------------------- */

const char *scenario_real_client(const struct scenario *s)
{
	/* They all run the same. */
	if (!s->host_count || !strcmp(s->hosts->client, CLIENTS_MODEL))
		return NULL;
	return s->hosts->client;
}

static bool is_default(const struct client_policy *p)
{
	struct client_policy usual = client_policy_default();

	return p->portmap == usual.portmap && p->publish == usual.publish &&
	       p->learn == usual.learn &&
	       p->call_me_maybe == usual.call_me_maybe &&
	       p->relay == usual.relay;
}

static int check_real(const struct scenario *s, struct err *err)
{
	const char *name = scenario_real_client(s);

	if (!name || !s->control_delay_us)
		return 0;
	return err_at(err, ENOTSUP, s->file, s->hosts->at.line,
		      s->hosts->at.column, "the control server is to be slow "
		      "(servers: control: delay), which only the model's can "
		      "be; %s brings its own", name);
}

int scenario_use_client(struct scenario *s, const char *client,
			struct err *err)
{
	char name[CLIENTS_NAME_BYTES], version[256];
	struct clients_kind kind;
	bool model;
	int ret = clients_parse(client, name, version, err);

	if (ret)
		return ret;
	model = !strcmp(name, CLIENTS_MODEL);
	if (model && *version)
		return err_set(err, EINVAL, "the model has no versions, so "
			       "\"%s\" is none", client);
	if (!model && clients_find(name, &kind, err))
		return -EINVAL;
	for (unsigned i = 0; i < s->host_count; i++) {
		struct scenario_host *host = &s->hosts[i];

		if (!model && !is_default(&host->policy))
			return err_at(err, ENOTSUP, s->file, host->at.line,
				      host->at.column, "%s has a policy that "
				      "only the model can be given; %s does as "
				      "it does", s->plan.nodes[host->node].name,
				      name);
		if (host->has_options && strcmp(host->client, name))
			return err_at(err, ENOTSUP, s->file, host->at.line,
				      host->at.column, "%s has options that "
				      "are %s's; %s has others",
				      s->plan.nodes[host->node].name,
				      host->client, name);
		snprintf(host->client, sizeof(host->client), "%s", name);
		snprintf(host->version, sizeof(host->version), "%s", version);
	}
	return check_real(s, err);
}

/* --- files and texts ---------------------------------------------------- */

int scenario_parse(const char *name, const char *text, size_t size_bytes,
		   struct scenario **scenario, struct err *err)
{
	struct scenario *s = calloc(1, sizeof(*s));
	struct reader r = {.s = s, .err = err};
	struct yaml_node *root = NULL;
	int ret;

	*scenario = NULL;
	if (!s)
		return err_set(err, ENOMEM, "out of memory");
	snprintf(s->file, sizeof(s->file), "%s", name);
	s->seed = 1;
	ret = yaml_parse(name, text, size_bytes, &root, err);
	if (!ret)
		ret = reader_map(&r, root, "a scenario", file_keys, NULL);
	if (!ret)
		ret = check_real(s, err);
	yaml_free(root);
	free(r.now);
	free(r.started);
	if (ret) {
		scenario_free(s);
		return ret;
	}
	*scenario = s;
	return 0;
}

/* Up to ROOM bytes of the file into TEXT; the number, or a negative errno. */
static ssize_t read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -errno;
	while (got && used < room) {
		got = read(fd, text + used, room - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			got = -errno;
			close(fd);
			return got;
		}
		used += (size_t)got;
	}
	close(fd);
	return (ssize_t)used;
}

int scenario_read(const char *path, struct scenario **scenario,
		  struct err *err)
{
	size_t room = YAML_MAX_BYTES + 1;
	char *text = malloc(room);
	ssize_t bytes;
	int ret;

	*scenario = NULL;
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	bytes = read_file(path, text, room);
	if (bytes < 0)
		ret = err_at(err, (int)-bytes, path, 0, 0, "cannot be read: %s",
			     strerror((int)-bytes));
	else
		ret = scenario_parse(path, text, (size_t)bytes, scenario, err);
	free(text);
	return ret;
}

void scenario_free(struct scenario *s)
{
	if (!s)
		return;
	free(s->plan.nodes);
	free(s->hosts);
	free(s->steps);
	free(s->orders);
	free(s);
}

/* --- the witness's view -------------------------------------------------- */

struct cast *scenario_cast(const struct scenario *s)
{
	static const enum cast_kind kinds[] = {
		[LAB_HOST] = CAST_HOST,
		[LAB_ROUTER] = CAST_ROUTER,
		[LAB_SERVER] = CAST_SERVER,
	};
	struct cast *cast = cast_new(s->plan.count);

	if (!cast)
		return NULL;
	snprintf(cast->title, sizeof(cast->title), "%s", s->title);
	for (unsigned i = 0; i < s->plan.count; i++) {
		const struct lab_plan_node *node = &s->plan.nodes[i];

		snprintf(cast->nodes[i].name, sizeof(cast->nodes[i].name), "%s",
			 node->name);
		cast->nodes[i].kind = kinds[node->kind];
		cast->nodes[i].behind = node->router;
	}
	return cast;
}

const struct scenario_host *scenario_host(const struct scenario *s,
					  unsigned node)
{
	for (unsigned i = 0; i < s->host_count; i++)
		if (s->hosts[i].node == node)
			return &s->hosts[i];
	return NULL;
}
