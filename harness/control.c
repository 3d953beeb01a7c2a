/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/server.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "harness/netmap.h"

enum { LINE_MAX_BYTES = 65536 };

struct control_client {
	uint32_t stream;
	struct netmap_node *node; /* NULL until it has registered */
	bool greeted;		  /* has had a netmap as this node */
	char *in;		  /* a line that has not ended yet */
	size_t in_bytes;
};

struct control {
	struct netmap *netmap;
	struct control_client **clients; /* in the order of arrival */
	size_t clients_len;
};

struct control *control_new(uint64_t delay_us)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->netmap = netmap_new(delay_us);
	if (!c->netmap) {
		free(c);
		return NULL;
	}
	return c;
}

static void client_destroy(struct control_client *client)
{
	free(client->in);
	free(client);
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->clients_len; i++)
		client_destroy(c->clients[i]);
	free(c->clients);
	netmap_free(c->netmap);
	free(c);
}

static struct control_client *find_stream(const struct control *c,
					  uint32_t stream)
{
	for (size_t i = 0; i < c->clients_len; i++)
		if (c->clients[i]->stream == stream)
			return c->clients[i];
	return NULL;
}

/* Its node stays in the netmap, offline: nobody is told. */
static void client_drop(struct control *c, struct control_client *client)
{
	size_t at = 0;

	while (c->clients[at] != client)
		at++;
	c->clients_len--;
	memmove(&c->clients[at], &c->clients[at + 1],
		(c->clients_len - at) * sizeof(*c->clients));
	client_destroy(client);
}

/* Once at the end of each call, so that its changes go out as one netmap. */
static void send_netmaps(struct control *c, struct actions *out)
{
	for (size_t i = 0; i < c->clients_len; i++) {
		struct control_client *client = c->clients[i];
		size_t line_bytes;
		char *line;

		if (!client->node ||
		    (client->greeted &&
		     !netmap_changed_for(c->netmap, client->node)))
			continue;
		line = netmap_line(c->netmap, client->node, &line_bytes);
		if (line)
			actions_write(out, client->stream, line, line_bytes);
		else
			out->failed = true;
		free(line);
		client->greeted = true;
	}
	netmap_settle(c->netmap);
}

/* --- what clients say: each returns NULL, or what is wrong with it -------- */

static const char *on_endpoints(struct control *c,
				struct control_client *client, uint64_t now_us,
				const json_t *list)
{
	struct netmap_endpoints endpoints = {0};

	if (!client->node)
		return "endpoints before register";
	if (!json_is_array(list))
		return "endpoints is not a list";
	if (json_array_size(list) > NETMAP_ENDPOINTS_MAX)
		return "too many endpoints";
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct endpoint *e = &endpoints.list[endpoints.count++];

		if (!text || endpoint_parse(text, e) < 0 || !e->ip || !e->port)
			return "an endpoint is not \"IP:PORT\"";
	}
	if (netmap_publish(c->netmap, client->node, now_us, &endpoints) < 0)
		return "out of memory";
	return NULL;
}

static bool key_valid(const char *key)
{
	return strlen(key) == NETMAP_KEY_LEN &&
	       strspn(key, "0123456789abcdef") == NETMAP_KEY_LEN;
}

/* Newest wins: a restarted client is here before its old stream has died. */
static void replace(struct control *c, const struct control_client *client,
		    const struct netmap_node *node, struct actions *out)
{
	for (size_t i = 0; i < c->clients_len; i++) {
		struct control_client *old = c->clients[i];

		if (old == client || old->node != node)
			continue;
		actions_close(out, old->stream);
		client_drop(c, old);
		return;
	}
}

static const char *on_register(struct control *c, struct control_client *client,
			       json_t *wish, struct actions *out)
{
	const char *name, *node_key, *disco_key, *relay;
	struct netmap_node *node;

	if (json_unpack(wish, "{s:s, s:s, s:s, s:s}", "name", &name, "node_key",
			&node_key, "disco_key", &disco_key, "relay",
			&relay) != 0)
		return "register wants name, node_key, disco_key and relay";
	if (!*name || strlen(name) >= NETMAP_NAME_BYTES ||
	    strlen(relay) >= NETMAP_NAME_BYTES)
		return "a name is empty or too long";
	if (!key_valid(node_key) || !key_valid(disco_key))
		return "a key is not 64 lower-case hexadecimal digits";
	node = netmap_register(c->netmap, name, node_key, disco_key, relay);
	if (!node)
		return "no room for another node";
	replace(c, client, node, out);
	client->greeted = client->greeted && client->node == node;
	client->node = node;
	return NULL;
}

/* The text may be in WHY. */
static const char *on_line(struct control *c, struct control_client *client,
			   uint64_t now_us, const char *line, size_t line_len,
			   json_error_t *why, struct actions *out)
{
	json_t *wish = json_loadb(line, line_len, JSON_REJECT_DUPLICATES, why);
	json_t *who = json_object_get(wish, "register");
	const json_t *where = json_object_get(wish, "endpoints");
	const char *wrong = NULL;

	if (!wish)
		return why->text;
	if (!who && !where)
		wrong = "neither register nor endpoints";
	if (who)
		wrong = on_register(c, client, who, out);
	if (where && !wrong)
		wrong = on_endpoints(c, client, now_us, where);
	json_decref(wish);
	return wrong;
}

/* Takes whole lines off the front. */
static const char *on_lines(struct control *c, struct control_client *client,
			    uint64_t now_us, json_error_t *why,
			    struct actions *out)
{
	const char *wrong = NULL;
	size_t at = 0;

	while (!wrong && at < client->in_bytes) {
		const char *line = client->in + at;
		size_t left = client->in_bytes - at;
		const char *end = memchr(line, '\n', left);
		size_t len = end ? (size_t)(end - line) : left;

		if (len > LINE_MAX_BYTES)
			return "a line is longer than 65536 bytes";
		if (!end)
			break;
		at += len + 1;
		wrong = on_line(c, client, now_us, line, len, why, out);
	}
	client->in_bytes -= at;
	memmove(client->in, client->in + at, client->in_bytes);
	return wrong;
}

static void refuse(struct control *c, struct control_client *client,
		   const char *why, struct actions *out)
{
	json_t *error = json_pack("{s:s}", "error", why);
	char *line = json_dumps(error, JSON_COMPACT);

	if (line) {
		actions_write(out, client->stream, line, strlen(line));
		actions_write(out, client->stream, "\n", 1);
	}
	free(line);
	json_decref(error);
	actions_close(out, client->stream);
	client_drop(c, client);
}

/* --- inputs -------------------------------------------------------------- */

void control_on_accept(struct control *c, uint64_t now_us, uint32_t stream,
		       struct endpoint peer, struct actions *out)
{
	struct control_client *client = calloc(1, sizeof(*client));
	struct control_client **more;

	(void)now_us;
	(void)peer;
	more = realloc(c->clients, (c->clients_len + 1) * sizeof(*more));
	if (more)
		c->clients = more;
	if (!client || !more) {
		free(client);
		out->failed = true;
		actions_close(out, stream);
		return;
	}
	client->stream = stream;
	c->clients[c->clients_len++] = client;
}

static bool take_in(struct control_client *client, const void *data,
		    size_t size_bytes)
{
	char *more = realloc(client->in, client->in_bytes + size_bytes);

	if (!more)
		return false;
	memcpy(more + client->in_bytes, data, size_bytes);
	client->in = more;
	client->in_bytes += size_bytes;
	return true;
}

void control_on_stream(struct control *c, uint64_t now_us, uint32_t stream,
		       const void *data, size_t size_bytes, struct actions *out)
{
	struct control_client *client = find_stream(c, stream);
	const char *wrong = "out of memory";
	json_error_t why;

	if (!client || !size_bytes)
		return;
	netmap_show_due(c->netmap, now_us);
	if (take_in(client, data, size_bytes))
		wrong = on_lines(c, client, now_us, &why, out);
	if (wrong)
		refuse(c, client, wrong, out);
	send_netmaps(c, out);
}

void control_on_closed(struct control *c, uint64_t now_us, uint32_t stream,
		       struct actions *out)
{
	struct control_client *client = find_stream(c, stream);

	(void)now_us;
	(void)out;
	if (client)
		client_drop(c, client);
}

uint64_t control_deadline(const struct control *c)
{
	return netmap_due(c->netmap);
}

void control_on_timer(struct control *c, uint64_t now_us, struct actions *out)
{
	netmap_show_due(c->netmap, now_us);
	send_netmaps(c, out);
}
