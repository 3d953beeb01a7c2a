/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_control: registers at the control server, tells own endpoints, reads
 * netmaps. The lines are documented in harness/server.h.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "harness/client_private.h"

#define MAX_LINE_BYTES ((size_t)4 << 20)

void client_control_start(struct client *c)
{
	c->control.link.to = c->config.control;
	client_link_open(c, &c->control.link);
}

/* Sends LINE, whose reference it takes, and a line feed. */
static void write_line(struct client *c, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	json_decref(line);
	if (!text)
		return;
	actions_write(c->out, c->control.link.stream, text, strlen(text));
	actions_write(c->out, c->control.link.stream, "\n", 1);
	free(text);
}

static void register_node(struct client *c)
{
	const struct client_config *config = &c->config;
	char node[2 * CLIENT_KEY_BYTES + 1], disco[2 * CLIENT_KEY_BYTES + 1];
	bool has_relay = config->relay_count && config->policy.relay;

	sodium_bin2hex(node, sizeof(node), c->node_public, CLIENT_KEY_BYTES);
	sodium_bin2hex(disco, sizeof(disco), c->disco_public, CLIENT_KEY_BYTES);
	write_line(c,
		   json_pack("{s:{s:s,s:s,s:s,s:s}}", "register", "name",
			     config->name, "node_key", node, "disco_key", disco,
			     "relay", has_relay ? config->relay_names[0] : ""));
}

static bool may_publish(const struct client *c)
{
	switch (c->config.policy.publish) {
	case CLIENT_AT_START:
		return true;
	case CLIENT_ON_FIRST_SEND:
		return c->sent_first;
	case CLIENT_NEVER:
		break;
	}
	return false;
}

static bool same_as_published(const struct client *c)
{
	const struct client_control *control = &c->control;

	if (control->published_count != c->own_count)
		return false;
	for (unsigned i = 0; i < c->own_count; i++)
		if (!endpoint_equal(control->published[i], c->own[i]))
			return false;
	return true;
}

void client_control_publish(struct client *c)
{
	char text[ENDPOINT_TEXT_BYTES];
	json_t *list;

	if (c->control.link.state != CLIENT_LINK_READY || !may_publish(c) ||
	    same_as_published(c))
		return;
	list = json_array();
	for (unsigned i = 0; i < c->own_count; i++)
		json_array_append_new(
			list, json_string(endpoint_format(c->own[i], text)));
	write_line(c, json_pack("{s:o}", "endpoints", list));
	memcpy(c->control.published, c->own, sizeof(c->own));
	c->control.published_count = c->own_count;
}

void client_control_on_connected(struct client *c)
{
	client_link_ready(c, &c->control.link);
	/* The server may have been restarted: tell all of it again. */
	c->control.published_count = 0;
	register_node(c);
	client_control_publish(c);
}

static bool read_key(const json_t *entry, const char *name,
		     uint8_t key[static CLIENT_KEY_BYTES])
{
	const char *hex = json_string_value(json_object_get(entry, name));
	size_t bytes = 0;

	return hex &&
	       sodium_hex2bin(key, CLIENT_KEY_BYTES, hex, strlen(hex), NULL,
			      &bytes, NULL) == 0 &&
	       bytes == CLIENT_KEY_BYTES;
}

static void read_entry(struct client *c, const json_t *json)
{
	struct client_netmap_entry entry = {0};
	const json_t *list = json_object_get(json, "endpoints");

	entry.name = json_string_value(json_object_get(json, "name"));
	entry.relay = json_string_value(json_object_get(json, "relay"));
	if (!entry.name || !read_key(json, "node_key", entry.node_key) ||
	    !read_key(json, "disco_key", entry.disco_key))
		return;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct endpoint e;

		if (entry.endpoint_count == DISCO_MAX_ENDPOINTS)
			break;
		if (text && endpoint_parse(text, &e) == 0 && e.ip && e.port)
			entry.endpoints[entry.endpoint_count++] = e;
	}
	client_peer_netmap_entry(c, &entry);
}

static void read_line(struct client *c, const char *line, size_t len)
{
	json_t *json = json_loadb(line, len, 0, NULL);
	const json_t *list = json_object_get(json, "netmap");

	if (json_is_array(list)) {
		client_peer_netmap_begin(c);
		for (size_t i = 0; i < json_array_size(list); i++)
			read_entry(c, json_array_get(list, i));
		client_peer_netmap_end(c);
		c->control.netmap = true;
	}
	json_decref(json);
}

void client_control_on_stream(struct client *c, const void *data,
			      size_t size_bytes)
{
	struct client_link *l = &c->control.link;
	const char *line, *end;
	size_t at = 0;

	if (!client_link_feed(c, l, data, size_bytes, MAX_LINE_BYTES))
		return;
	while (at < l->in_bytes) {
		line = (const char *)l->in + at;
		end = memchr(line, '\n', l->in_bytes - at);
		if (!end)
			break;
		read_line(c, line, (size_t)(end - line));
		at += (size_t)(end - line) + 1;
	}
	client_link_consume(l, at);
}
