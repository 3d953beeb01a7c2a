/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real clients on the lab's hosts, and the servers that they bring, through
 * their adapters (clients/README.md). They live in real time, and their
 * packets are theirs: what a reply came by is told by the client where it
 * knows, else by the packets seen at both hosts.
 */
#include "harness/adapter.h"
#include "harness/driver_private.h"
#include "harness/real.h"
#include "netns/folder.h"
#include "wire/disco.h"
#include "wire/packet.h"
#include "wire/stun.h"
#include "wire/wireguard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

/* A server that has to make its database takes seconds on a slow machine. */
#define SERVE_LIMIT_US 60000000
#define SERVE_POLL_US 20000
#define PREPARE_LIMIT_MS 60000
#define STOP_LIMIT_MS 10000
#define STATUS_LIMIT_MS 5000

/* As many as come within an echo's life, and more. */
#define CAME_MAX 512

/* What the lab's real clients have in common. */
struct reals {
	struct clients_kind kind;
	struct environment env;
};

/* One call that goes on for a while. */
struct call {
	struct watch watch;
	struct adapter *adapter;
	/* When it had said nothing more: what is read next was said later. */
	uint64_t silent_us;
};

struct real {
	const char *name;  /* of the node */
	int log_fd;
	struct environment env;
	struct call life;  /* start, or serve */
	struct call ping, netcheck;
	bool ready;
	struct client_ping echoes;
	struct client_netcheck report;
	/* Tunnel packets that came in directly, the last ones in a ring. */
	struct came {
		uint64_t at_us;
		size_t bytes;
	} came[CAME_MAX];
	unsigned came_count;
};

/* --- the lab's ----------------------------------------------------------- */

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

static int add_hosts(struct environment *env, const struct scenario *s,
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

static const char *version_of(const struct driver *d, unsigned node)
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
		ret = real_environment(version_of(d, s->control_node), env);
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
	return ret ? ret : add_hosts(env, s, "NATRIG_HOSTS", NULL);
}

static int open_log(const char *name, struct err *err)
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
	int log_fd = open_log("prepare", err), ret;
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

/* --- one of them --------------------------------------------------------- */

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
				      version_of(d, a->node));
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

static void end(struct actor *a, struct call *call)
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
	a->real->log_fd = open_log(a->real->name, err);
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
	end(a, &a->real->ping);
	end(a, &a->real->netcheck);
	end(a, &a->real->life);
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
		ret = add_hosts(&a->real->env, s, "NATRIG_STARTED", started);
	free(started);
	if (ret)
		return err_set(err, ENOMEM, "no memory");
	a->real->ready = false;
	return begin(a, &a->real->life, "start", err);
}

void real_stop(struct actor *a)
{
	real_ping_stop(a);
	end(a, &a->real->netcheck);
	call_briefly(a, "stop", STOP_LIMIT_MS, NULL);
	end(a, &a->real->life);
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
	end(a, &a->real->ping);
}

int real_netcheck(struct actor *a, struct err *err)
{
	end(a, &a->real->netcheck);
	a->real->report = (struct client_netcheck){
		.started_us = driver_now_us(a->driver), .mapping_varies = -1};
	return begin(a, &a->real->netcheck, "netcheck", err);
}

/* --- what they say ------------------------------------------------------- */

static struct client_echo *echo_of(struct client_ping *p, json_int_t number)
{
	if (number < 1 || number > CLIENT_MAX_PINGS)
		return NULL;
	while (p->sent < (unsigned)number)
		p->echoes[p->sent++] = (struct client_echo){0};
	return &p->echoes[number - 1];
}

static const struct real *real_of(struct driver *d, const char *name)
{
	for (unsigned i = 0; i < d->actor_count; i++)
		if (d->actors[i].kind == ACTOR_REAL &&
		    !strcmp(d->actors[i].real->name, name))
			return d->actors[i].real;
	return NULL;
}

static bool came_since(const struct real *r, const struct client_echo *e)
{
	for (unsigned i = 0; r && i < CAME_MAX; i++)
		if (r->came[i].at_us && r->came[i].at_us >= e->sent_us &&
		    real_can_carry(e->bytes, r->came[i].bytes))
			return true;
	return false;
}

/*
 * Where the client does not say what an echo's reply came by: directly if,
 * since it was sent, a packet that can carry it came directly to either host.
 */
static enum client_path path_seen(struct actor *a, const struct client_echo *e)
{
	return came_since(a->real, e) &&
			       came_since(real_of(a->driver,
						  a->real->echoes.peer), e) ?
		       CLIENT_PATH_DIRECT : CLIENT_PATH_RELAY;
}

/* An echo is of the size that clients are told of, unless they say another. */
static unsigned echo_bytes(json_t *line)
{
	json_int_t bytes = json_integer_value(json_object_get(line, "bytes"));

	return bytes < REAL_LEAST_ECHO_BYTES || bytes > UINT16_MAX ?
		       REAL_ECHO_BYTES : (unsigned)bytes;
}

static void on_echo(struct actor *a, json_t *line)
{
	struct driver *d = a->driver;
	json_t *sent = json_object_get(line, "sent");
	json_t *reply = json_object_get(line, "reply");
	const char *path = json_string_value(json_object_get(line, "path"));
	struct err err = {0};
	struct client_echo *e;
	uint64_t now_us;

	e = echo_of(&a->real->echoes, json_integer_value(sent ? sent : reply));
	if (!e)
		return;
	/* Its packets are recorded by now, but perhaps not heard. */
	if (driver_hear(d, &err) < 0)
		driver_break(d, -EIO, &err);
	now_us = clock_now_us(d->config.clock);
	/* On a busy machine the echo is back before we read that it went. */
	if (sent && !e->sent_us) {
		e->sent_us = a->real->ping.silent_us;
		e->bytes = echo_bytes(line);
	}
	if (!reply || e->replied_us)
		return;
	e->replied_us = now_us;
	e->told = path;
	if (path)
		e->path = strcmp(path, "direct") ? CLIENT_PATH_RELAY :
						   CLIENT_PATH_DIRECT;
	else
		e->path = path_seen(a, e);
}

static int triple(const json_t *value)
{
	return json_is_true(value) ? 1 : json_is_false(value) ? 0 : -1;
}

static void on_report(struct actor *a, json_t *line)
{
	static const char *const names[] = {"none", "upnp", "nat-pmp", "pcp"};
	struct client_netcheck *r = &a->real->report;
	const char *portmap =
		json_string_value(json_object_get(line, "portmap"));

	r->udp = json_is_true(json_object_get(line, "udp"));
	r->mapping_varies = triple(json_object_get(line, "mapping-varies"));
	for (unsigned i = 0; portmap && i < 4; i++)
		if (!strcmp(portmap, names[i]))
			r->portmap = (enum client_portmap)i;
	r->finished_us = driver_now_us(a->driver);
	r->done = true;
}

static void take_line(struct actor *a, const struct call *call, json_t *line)
{
	const char *error = json_string_value(json_object_get(line, "error"));

	if (error)
		dprintf(a->real->log_fd, "natrig: it says: %s\n", error);
	else if (call == &a->real->ping)
		on_echo(a, line);
	else if (call == &a->real->netcheck)
		on_report(a, line);
	else if (json_is_true(json_object_get(line, "ready")))
		a->real->ready = true;
}

static int broke(struct actor *a, const char *how, struct err *err)
{
	char words[300];

	adapter_last_words(a->real->log_fd, words, sizeof(words));
	return err_set(err, EREMOTEIO, "%s: %s %s%s%s", a->real->name,
		       a->driver->reals->kind.name, how,
		       *words ? "; its last words: " :
				" and said nothing of it", words);
}

/*
 * Only a netcheck that has told may end. A ping that ends is no peer that
 * does not answer.
 */
static void on_end(struct actor *a, struct call *call)
{
	const char *how = "has ended by itself";
	struct err err = {0};

	end(a, call);
	if (call == &a->real->netcheck) {
		if (a->real->report.done)
			return;
		how = "has ended its netcheck without a report";
	} else if (call == &a->real->ping) {
		how = "has ended its ping by itself";
	}
	driver_break(a->driver, broke(a, how, &err), &err);
}

/* It says what nobody understands. */
static void break_off(struct actor *a, const struct err *why)
{
	struct err err = {0};
	int ret = err_set(&err, EREMOTEIO, "%s: %.400s", a->real->name,
			  why->text);

	driver_break(a->driver, ret, &err);
}

void real_on_watch(struct actor *a, struct watch *w)
{
	struct call *calls[] = {&a->real->life, &a->real->ping,
				&a->real->netcheck};
	struct err err = {0};
	uint64_t now_us;
	json_t *line;
	int ret;

	for (unsigned i = 0; i < 3; i++) {
		if (w != &calls[i]->watch)
			continue;
		while (calls[i]->adapter) {
			now_us = clock_now_us(a->driver->config.clock);
			ret = adapter_read(calls[i]->adapter, &line, &err);
			if (!ret) {
				calls[i]->silent_us = now_us;
				return;
			}
			if (ret < 0 && ret != -EPIPE)
				break_off(a, &err);
			if (ret < 0)
				on_end(a, calls[i]);
			else
				take_line(a, calls[i], line);
			json_decref(line);
		}
	}
}

/* What comes from a server of the lab is relayed, whatever it carries. */
static bool is_server(const struct driver *d, uint32_t ip)
{
	const struct lab *lab = d->config.lab;

	for (unsigned i = 0; i < lab->count; i++)
		if (lab->nodes[i].plan.kind == LAB_SERVER &&
		    lab->nodes[i].ifaces[0].ip == ip)
			return true;
	return false;
}

bool real_is_about_tunnel(const uint8_t *payload, size_t payload_bytes)
{
	static const uint8_t data = 4; /* WireGuard's message type */

	if (disco_looks_like(payload, payload_bytes) ||
	    stun_looks_like(payload, payload_bytes))
		return true;
	return wireguard_looks_like(payload, payload_bytes) &&
	       (payload[0] != data ||
		payload_bytes <=
			WIREGUARD_DATA_HEADER_BYTES + WIREGUARD_TAG_BYTES);
}

void real_on_frame(struct actor *a, const struct frame *f, uint64_t now_us)
{
	struct came *came;
	struct packet p;

	(void)now_us;
	if (f->direction != DIRECTION_IN ||
	    packet_decode(PACKET_LINK_ETHERNET, f->data, f->captured_bytes, &p,
			  NULL) ||
	    !p.is_ipv4 || p.ip_proto != PACKET_UDP || !p.has_ports ||
	    p.dst.ip != node_of(a)->ifaces[0].ip ||
	    real_is_about_tunnel(p.payload, p.payload_bytes) ||
	    is_server(a->driver, p.src.ip))
		return;
	came = &a->real->came[a->real->came_count++ % CAME_MAX];
	came->at_us = clock_of_record_us(a->driver->config.clock, f->time_ns);
	came->bytes = p.payload_bytes;
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
			return broke((struct actor *)waiting,
				     "does not serve after 60 s", err);
		ret = driver_stand(d, SERVE_POLL_US, err);
		if (ret)
			return ret;
	}
	return 0;
}
