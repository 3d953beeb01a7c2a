/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real clients on the lab's hosts, and the servers that they bring, through
 * their adapters (clients/README.md). They live in real time, and their
 * packets are theirs: what a reply came by is told by the client where it
 * knows, else by the packets seen at both hosts.
 */
#include "harness/driver_real.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define STOP_LIMIT_MS 10000
#define STATUS_LIMIT_MS 5000

static const struct lab_node *node_of(const struct actor *a)
{
	return &a->driver->config.lab->nodes[a->node];
}

static const char *role_of(const struct actor *a)
{
	const struct scenario *s = a->driver->config.scenario;

	if (a->node == s->control_node)
		return "control";
	for (unsigned i = 0; i < s->relay_count; i++)
		if (s->relay_nodes[i] == a->node)
			return "relay";
	return "stun";
}

/* NATRIG_OPTION_<NAME> of each option that the client has. */
static int add_options(struct environment *env, const struct clients_kind *kind,
		       const struct scenario_host *host)
{
	int ret = 0;

	for (unsigned i = 0; i < kind->option_count && !ret; i++) {
		const struct clients_option *o = &kind->options[i];

		ret = environment_set_word(env, "NATRIG_OPTION_", o->name,
					   o->values[host->options[i]]);
	}
	return ret;
}

static int own_environment(struct actor *a)
{
	struct driver *d = a->driver;
	struct environment *env = &a->real->env;
	const struct scenario_host *host;
	int ret = environment_copy(env, &d->reals->env);

	if (!ret)
		ret = environment_add_host(env, node_of(a));
	if (!ret)
		ret = environment_set(env, "NATRIG_DIR", FOLDER_PATH "/%s",
				      a->real->name);
	if (!ret)
		ret = environment_set(env, "NATRIG_CLIENT_VERSION", "%s",
				      real_version(d, a->node));
	if (!ret && a->kind == ACTOR_REAL_SERVER)
		ret = environment_set(env, "NATRIG_SERVER", "%s", role_of(a));
	if (ret || a->kind != ACTOR_REAL)
		return ret;
	host = scenario_host(d->config.scenario, a->node);
	ret = environment_set(env, "NATRIG_PORT", "%u", host->port);
	return ret ? ret : add_options(env, &d->reals->kind, host);
}

/* Starts a call in the node's namespace and listens to it. */
static int begin(struct actor *a, struct call *call, const char *verb,
		 struct err *err)
{
	struct driver *d = a->driver;
	struct err why = {0};
	int ret = lab_enter(d->config.lab, node_of(a), err);

	if (ret)
		return ret;
	call->silent_us = clock_now_us(d->config.clock);
	ret = adapter_start(&d->reals->kind, verb, &a->real->env,
			    a->real->log_fd, &call->adapter, &why);
	lab_leave(d->config.lab);
	if (ret)
		return err_set(err, -ret, "%s: %s", a->real->name, why.text);
	call->watch = (struct watch){.kind = WATCH_ADAPTER, .actor = a,
				     .fd = adapter_fd(call->adapter)};
	ret = driver_watch(d, &call->watch, EPOLLIN);
	return ret ? err_set(err, -ret, "cannot watch: %s", strerror(-ret)) : 0;
}

void real_end_call(struct actor *a, struct call *call)
{
	if (!call->adapter)
		return;
	epoll_ctl(a->driver->epoll_fd, EPOLL_CTL_DEL, call->watch.fd, NULL);
	adapter_free(call->adapter);
	call->adapter = NULL;
}

/* A call that is soon over and whose answer matters to nobody but the log. */
static void call_briefly(struct actor *a, const char *verb, unsigned limit_ms,
			 const char *file)
{
	struct lab *lab = a->driver->config.lab;
	struct err err = {0};
	json_t *answer = NULL;
	char path[160];

	if (lab_enter(lab, node_of(a), &err))
		return;
	if (adapter_call(&a->driver->reals->kind, verb, &a->real->env,
			 a->real->log_fd, limit_ms, &answer, &err))
		dprintf(a->real->log_fd, "natrig: %s\n", err.text);
	lab_leave(lab);
	if (file && answer) {
		snprintf(path, sizeof(path), FOLDER_PATH "/%s", file);
		json_dump_file(answer, path, JSON_INDENT(2));
	}
	json_decref(answer);
}

int real_open(struct actor *a, struct err *err)
{
	char path[128];

	a->real = calloc(1, sizeof(*a->real));
	if (!a->real)
		return err_set(err, ENOMEM, "no memory");
	a->real->log_fd = -1;
	a->real->name = node_of(a)->plan.name;
	snprintf(path, sizeof(path), FOLDER_PATH "/%s", a->real->name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return err_set(err, errno, "cannot make %s: %s", path,
			       strerror(errno));
	a->real->log_fd = real_open_log(a->real->name, err);
	if (a->real->log_fd < 0)
		return a->real->log_fd;
	if (own_environment(a))
		return err_set(err, ENOMEM, "no memory");
	if (a->kind == ACTOR_REAL_SERVER)
		return begin(a, &a->real->life, "serve", err);
	return 0;
}

void real_close(struct actor *a)
{
	if (!a->real)
		return;
	/* Somebody who keeps the files will want to know how it ended. */
	if (a->kind == ACTOR_REAL && real_running(a) &&
	    a->driver->config.folder && *a->driver->config.folder) {
		char file[96];

		snprintf(file, sizeof(file), "%s.status.json", a->real->name);
		call_briefly(a, "status", STATUS_LIMIT_MS, file);
	}
	real_end_call(a, &a->real->ping);
	real_end_call(a, &a->real->netcheck);
	real_end_call(a, &a->real->life);
	if (a->real->log_fd >= 0)
		close(a->real->log_fd);
	environment_clear(&a->real->env);
	free(a->real);
	a->real = NULL;
}

bool real_running(const struct actor *a)
{
	return a->real->life.adapter;
}

bool real_ready(const struct actor *a)
{
	return a->real->ready;
}

const struct client_ping *real_echoes(const struct actor *a)
{
	return &a->real->echoes;
}

const struct client_netcheck *real_report(const struct actor *a)
{
	return &a->real->report;
}

int real_start(struct actor *a, struct err *err)
{
	const struct scenario *s = a->driver->config.scenario;
	bool *started = calloc(s->host_count, sizeof(*started));
	int ret = -ENOMEM;

	for (unsigned i = 0; started && i < s->host_count; i++)
		started[i] = s->hosts[i].node == a->node ||
			     driver_running(a->driver, s->hosts[i].node);
	if (started)
		ret = real_add_hosts(&a->real->env, s, "NATRIG_STARTED",
				     started);
	free(started);
	if (ret)
		return err_set(err, ENOMEM, "no memory");
	a->real->ready = false;
	return begin(a, &a->real->life, "start", err);
}

void real_stop(struct actor *a)
{
	real_ping_stop(a);
	real_end_call(a, &a->real->netcheck);
	call_briefly(a, "stop", STOP_LIMIT_MS, NULL);
	real_end_call(a, &a->real->life);
	a->real->ready = false;
}

int real_ping(struct actor *a, const char *peer, enum client_ping_kind kind,
	      struct err *err)
{
	struct client_ping *p = &a->real->echoes;
	int ret;

	real_ping_stop(a);
	*p = (struct client_ping){.kind = kind, .running = true,
				  .started_us = driver_now_us(a->driver)};
	snprintf(p->peer, sizeof(p->peer), "%s", peer);
	ret = environment_set(&a->real->env, "NATRIG_PEER", "%s", peer);
	if (!ret)
		ret = environment_set(&a->real->env, "NATRIG_PING",
				      kind == CLIENT_PING_DATA ? "data" :
								 "disco");
	if (ret)
		return err_set(err, ENOMEM, "no memory");
	return begin(a, &a->real->ping, "ping", err);
}

void real_ping_stop(struct actor *a)
{
	a->real->echoes.running = false;
	real_end_call(a, &a->real->ping);
}

int real_netcheck(struct actor *a, struct err *err)
{
	real_end_call(a, &a->real->netcheck);
	a->real->report = (struct client_netcheck){
		.started_us = driver_now_us(a->driver), .mapping_varies = -1};
	return begin(a, &a->real->netcheck, "netcheck", err);
}
