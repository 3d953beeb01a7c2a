/* SPDX-License-Identifier: BSD-3-Clause */
/* What real clients say, and what their packets say of them. */
#include "harness/driver_real.h"
#include "wire/disco.h"
#include "wire/packet.h"
#include "wire/stun.h"
#include "wire/wireguard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

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

int real_broke(struct actor *a, const char *how, struct err *err)
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

	real_end_call(a, call);
	if (call == &a->real->netcheck) {
		if (a->real->report.done)
			return;
		how = "has ended its netcheck without a report";
	} else if (call == &a->real->ping) {
		how = "has ended its ping by itself";
	}
	driver_break(a->driver, real_broke(a, how, &err), &err);
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
	    p.dst.ip != a->driver->config.lab->nodes[a->node].ifaces[0].ip ||
	    real_is_about_tunnel(p.payload, p.payload_bytes) ||
	    is_server(a->driver, p.src.ip))
		return;
	came = &a->real->came[a->real->came_count++ % CAME_MAX];
	came->at_us = clock_of_record_us(a->driver->config.clock, f->time_ns);
	came->bytes = p.payload_bytes;
}
