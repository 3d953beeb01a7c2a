/* SPDX-License-Identifier: BSD-3-Clause */
/* What a lab's real clients have in common: folder, environment, servers. */
#include "harness/driver_real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A server that has to make its database takes seconds on a slow machine. */
#define SERVE_LIMIT_US 60000000
#define SERVE_POLL_US 20000
#define PREPARE_LIMIT_MS 60000

bool reals_serve(const struct driver *d, unsigned server)
{
	return d->reals && d->reals->kind.serves & server;
}

/* "relay=25.255.0.4 hw-sh=25.255.0.5" */
static int add_nodes(struct environment *env, const struct driver *d,
		     const char *name, const unsigned *nodes, unsigned count)
{
	char text[1024] = "", ip[ENDPOINT_TEXT_BYTES];
	size_t at = 0;

	for (unsigned i = 0; i < count && at < sizeof(text); i++) {
		const struct lab_node *n = &d->config.lab->nodes[nodes[i]];

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s=%s",
				       i ? " " : "", n->plan.name,
				       endpoint_format_ip(n->ifaces[0].ip, ip));
	}
	return environment_set(env, name, "%s", text);
}

int real_add_hosts(struct environment *env, const struct scenario *s,
		   const char *name, const bool *wanted)
{
	size_t room = s->host_count * SCENARIO_NAME_BYTES + 1, at = 0;
	char *text = calloc(1, room);
	int ret;

	if (!text)
		return -ENOMEM;
	for (unsigned i = 0; i < s->host_count; i++)
		if (!wanted || wanted[i])
			at += (size_t)snprintf(
				text + at, room - at, "%s%s", at ? " " : "",
				s->plan.nodes[s->hosts[i].node].name);
	ret = environment_set(env, name, "%s", text);
	free(text);
	return ret;
}

/* Where clients that were installed for the user are, and are looked for. */
static int add_cache(struct environment *env)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && *cache)
		return environment_set(env, "NATRIG_CACHE", "%s/natrig", cache);
	return environment_set(env, "NATRIG_CACHE", "%s/.cache/natrig",
			       home && *home ? home : "/nonexistent");
}

int real_environment(const char *version, struct environment *env)
{
	int ret = add_cache(env);

	return ret ? ret : environment_set(env, "NATRIG_CLIENT_VERSION", "%s",
					   version);
}

const char *real_version(const struct driver *d, unsigned node)
{
	const struct scenario_host *host =
		scenario_host(d->config.scenario, node);

	/* Servers are the first host's. */
	if (!host)
		host = d->config.scenario->hosts;
	return *host->version ? host->version : d->reals->kind.version;
}

static int make_environment(struct driver *d)
{
	const struct scenario *s = d->config.scenario;
	struct environment *env = &d->reals->env;
	unsigned control[] = {s->control_node};
	int ret = environment_add_lab(env, d->config.lab);

	if (!ret)
		ret = real_environment(real_version(d, s->control_node), env);
	if (!ret)
		ret = environment_set(env, "NATRIG_RUN", FOLDER_PATH);
	if (!ret)
		ret = environment_set(env, "NATRIG_SEED", "%llu",
				      (unsigned long long)s->seed);
	if (!ret)
		ret = environment_set(env, "NATRIG_ECHO_BYTES", "%u",
				      REAL_ECHO_BYTES);
	if (!ret)
		ret = add_nodes(env, d, "NATRIG_CONTROL", control, 1);
	if (!ret)
		ret = add_nodes(env, d, "NATRIG_RELAYS", s->relay_nodes,
				s->relay_count);
	if (!ret)
		ret = add_nodes(env, d, "NATRIG_STUN_SERVERS", s->stun_nodes,
				s->stun_count);
	return ret ? ret : real_add_hosts(env, s, "NATRIG_HOSTS", NULL);
}

int real_open_log(const char *name, struct err *err)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), FOLDER_PATH "/%s.log", name);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	return fd < 0 ? err_set(err, errno, "cannot open %s: %s", path,
				strerror(errno)) : fd;
}

static int prepare(struct driver *d, struct err *err)
{
	int log_fd = real_open_log("prepare", err), ret;
	struct err why = {0};
	json_t *answer;
	char words[300];

	if (log_fd < 0)
		return log_fd;
	ret = adapter_call(&d->reals->kind, "prepare", &d->reals->env, log_fd,
			   PREPARE_LIMIT_MS, &answer, &why);
	if (ret)
		ret = err_set(err, EREMOTEIO, "%s; its last words: %s",
			      why.text, adapter_last_words(log_fd, words,
							   sizeof(words)));
	json_decref(answer);
	close(log_fd);
	return ret;
}

int reals_open(struct driver *d, struct err *err)
{
	const char *name = scenario_real_client(d->config.scenario);
	int ret;

	if (!name)
		return 0;
	d->reals = calloc(1, sizeof(*d->reals));
	if (!d->reals)
		return err_set(err, ENOMEM, "no memory");
	ret = clients_find(name, &d->reals->kind, err);
	if (!ret)
		ret = folder_open(d->config.folder, err);
	if (!ret && make_environment(d))
		ret = err_set(err, ENOMEM, "no memory");
	return ret ? ret : prepare(d, err);
}

void reals_close(struct driver *d)
{
	if (!d->reals)
		return;
	folder_end_processes();
	folder_close();
	environment_clear(&d->reals->env);
	free(d->reals);
	d->reals = NULL;
}

/* --- servers ------------------------------------------------------------- */

static const struct actor *not_serving(const struct driver *d)
{
	for (unsigned i = 0; i < d->actor_count; i++)
		if (d->actors[i].kind == ACTOR_REAL_SERVER &&
		    !d->actors[i].real->ready)
			return &d->actors[i];
	return NULL;
}

int driver_serve(struct driver *d, struct err *err)
{
	uint64_t until_us = clock_real_us() + SERVE_LIMIT_US;
	const struct actor *waiting;
	int ret;

	while ((waiting = not_serving(d))) {
		if (clock_real_us() >= until_us)
			return real_broke((struct actor *)waiting,
				     "does not serve after 60 s", err);
		ret = driver_stand(d, SERVE_POLL_US, err);
		if (ret)
			return ret;
	}
	return 0;
}
