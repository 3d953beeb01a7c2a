/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/netmap.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING_MAX = 64 }; /* publications of one node on their way */

struct publication {
	uint64_t due_us;
	struct netmap_endpoints endpoints;
};

struct netmap_node {
	char name[NETMAP_NAME_BYTES];
	char node_key[NETMAP_KEY_LEN + 1];
	char disco_key[NETMAP_KEY_LEN + 1];
	char relay[NETMAP_NAME_BYTES];
	struct netmap_endpoints endpoints; /* as others may see them now */
	struct publication *pending; /* oldest first; PENDING_MAX, or NULL */
	unsigned pending_count;
	bool changed; /* since the netmap was settled */
	char *text;   /* its entry in a netmap; NULL: to be made anew */
};

struct netmap {
	uint64_t delay_us;
	struct netmap_node **nodes; /* by name */
	size_t nodes_len;
	size_t changed_count;
};

struct netmap *netmap_new(uint64_t delay_us)
{
	struct netmap *m = calloc(1, sizeof(*m));

	if (m)
		m->delay_us = delay_us;
	return m;
}

void netmap_free(struct netmap *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nodes_len; i++) {
		free(m->nodes[i]->pending);
		free(m->nodes[i]->text);
		free(m->nodes[i]);
	}
	free(m->nodes);
	free(m);
}

/* --- what has changed ---------------------------------------------------- */

static void note_change(struct netmap *m, struct netmap_node *node)
{
	free(node->text);
	node->text = NULL;
	m->changed_count += !node->changed;
	node->changed = true;
}

bool netmap_changed_for(const struct netmap *m, const struct netmap_node *node)
{
	return m->changed_count > (node->changed ? 1 : 0);
}

void netmap_settle(struct netmap *m)
{
	for (size_t i = 0; m->changed_count && i < m->nodes_len; i++) {
		m->changed_count -= m->nodes[i]->changed;
		m->nodes[i]->changed = false;
	}
}

/* --- nodes --------------------------------------------------------------- */

/* Where NAME is in the list, or where it would have to be. */
static size_t node_at(const struct netmap *m, const char *name)
{
	size_t low = 0, high = m->nodes_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(m->nodes[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct netmap_node *find_or_add(struct netmap *m, const char *name)
{
	size_t at = node_at(m, name);
	struct netmap_node **more, *node;

	if (at < m->nodes_len && strcmp(m->nodes[at]->name, name) == 0)
		return m->nodes[at];
	if (m->nodes_len == NETMAP_NODES_MAX)
		return NULL;
	more = realloc(m->nodes, (m->nodes_len + 1) * sizeof(*m->nodes));
	if (!more)
		return NULL;
	m->nodes = more;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	snprintf(node->name, sizeof(node->name), "%s", name);
	memmove(&m->nodes[at + 1], &m->nodes[at],
		(m->nodes_len - at) * sizeof(*m->nodes));
	m->nodes[at] = node;
	m->nodes_len++;
	return node;
}

struct netmap_node *netmap_register(struct netmap *m, const char *name,
				    const char *node_key, const char *disco_key,
				    const char *relay)
{
	struct netmap_node *node = find_or_add(m, name);

	if (!node)
		return NULL;
	if (strcmp(node->disco_key, disco_key) != 0 ||
	    strcmp(node->node_key, node_key) != 0) {
		/* Another process, whose sockets are not the old one's. */
		node->endpoints.count = 0;
		node->pending_count = 0;
	} else if (strcmp(node->relay, relay) == 0) {
		return node;
	}
	snprintf(node->node_key, sizeof(node->node_key), "%s", node_key);
	snprintf(node->disco_key, sizeof(node->disco_key), "%s", disco_key);
	snprintf(node->relay, sizeof(node->relay), "%s", relay);
	note_change(m, node);
	return node;
}

/* --- endpoints ----------------------------------------------------------- */

static bool endpoints_equal(const struct netmap_endpoints *a,
			    const struct netmap_endpoints *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (!endpoint_equal(a->list[i], b->list[i]))
			return false;
	return true;
}

static void show(struct netmap *m, struct netmap_node *node,
		 const struct netmap_endpoints *endpoints)
{
	if (endpoints_equal(&node->endpoints, endpoints))
		return;
	node->endpoints = *endpoints;
	note_change(m, node);
}

static void forget_oldest(struct netmap_node *node, unsigned count)
{
	node->pending_count -= count;
	memmove(node->pending, node->pending + count,
		node->pending_count * sizeof(*node->pending));
}

int netmap_publish(struct netmap *m, struct netmap_node *node, uint64_t now_us,
		   const struct netmap_endpoints *endpoints)
{
	struct publication *last;

	if (!m->delay_us) {
		show(m, node, endpoints);
		return 0;
	}
	if (!node->pending)
		node->pending = calloc(PENDING_MAX, sizeof(*node->pending));
	if (!node->pending)
		return -ENOMEM;
	/* Where it is too much, what follows the oldest says it better. */
	if (node->pending_count == PENDING_MAX)
		forget_oldest(node, 1);
	last = &node->pending[node->pending_count++];
	last->due_us = now_us + m->delay_us;
	last->endpoints = *endpoints;
	return 0;
}

void netmap_show_due(struct netmap *m, uint64_t now_us)
{
	for (size_t i = 0; i < m->nodes_len; i++) {
		struct netmap_node *node = m->nodes[i];
		unsigned due = 0;

		while (due < node->pending_count &&
		       node->pending[due].due_us <= now_us)
			due++;
		if (!due)
			continue;
		show(m, node, &node->pending[due - 1].endpoints);
		forget_oldest(node, due);
	}
}

uint64_t netmap_due(const struct netmap *m)
{
	uint64_t due_us = UINT64_MAX;

	for (size_t i = 0; i < m->nodes_len; i++)
		if (m->nodes[i]->pending_count &&
		    m->nodes[i]->pending[0].due_us < due_us)
			due_us = m->nodes[i]->pending[0].due_us;
	return due_us;
}

/* --- as text ------------------------------------------------------------- */

/* Kept until the node changes: of N nodes each is sent N times. */
static const char *node_text(struct netmap_node *node)
{
	char text[ENDPOINT_TEXT_BYTES];
	json_t *endpoints, *entry;

	if (node->text)
		return node->text;
	endpoints = json_array();
	for (unsigned i = 0; i < node->endpoints.count; i++) {
		endpoint_format(node->endpoints.list[i], text);
		json_array_append_new(endpoints, json_string(text));
	}
	entry = json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", node->name,
			  "node_key", node->node_key, "disco_key",
			  node->disco_key, "relay", node->relay, "endpoints",
			  endpoints);
	node->text = json_dumps(entry, JSON_COMPACT);
	json_decref(entry);
	return node->text;
}

char *netmap_line(struct netmap *m, const struct netmap_node *node,
		  size_t *line_bytes)
{
	const char *comma = "";
	char *line = NULL;
	FILE *f = open_memstream(&line, line_bytes);
	bool ok = true;

	if (!f)
		return NULL;
	fputs("{\"netmap\":[", f);
	for (size_t i = 0; i < m->nodes_len; i++) {
		const char *text;

		if (m->nodes[i] == node)
			continue;
		text = node_text(m->nodes[i]);
		ok = ok && text;
		fprintf(f, "%s%s", comma, text ? text : "");
		comma = ",";
	}
	fputs("]}\n", f);
	if (fclose(f) == 0 && ok)
		return line;
	free(line);
	return NULL;
}
