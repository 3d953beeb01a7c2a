/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/cast.h"
#include "wire/packet.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const kind_names[] = {"host", "router", "server"};

#define KIND_COUNT (sizeof(kind_names) / sizeof(kind_names[0]))
/* Far above any lab; keeps a hostile comment from taking all memory. */
#define CAST_MAX_NODES 8192

struct cast *cast_new(size_t count)
{
	struct cast *cast = calloc(1, sizeof(*cast));

	if (!cast)
		return NULL;
	cast->nodes = calloc(count ? count : 1, sizeof(*cast->nodes));
	if (!cast->nodes) {
		free(cast);
		return NULL;
	}
	cast->count = count;
	for (size_t i = 0; i < count; i++)
		cast->nodes[i].behind = -1;
	return cast;
}

void cast_free(struct cast *cast)
{
	if (!cast)
		return;
	free(cast->nodes);
	free(cast);
}

struct cast *cast_copy(const struct cast *cast)
{
	struct cast *copy = cast_new(cast->count);

	if (!copy)
		return NULL;
	memcpy(copy->title, cast->title, sizeof(copy->title));
	if (cast->count)
		memcpy(copy->nodes, cast->nodes,
		       cast->count * sizeof(*cast->nodes));
	return copy;
}

int cast_find(const struct cast *cast, const char *name)
{
	for (size_t i = 0; i < cast->count; i++)
		if (!strcmp(cast->nodes[i].name, name))
			return (int)i;
	return -1;
}

bool cast_has_ip(const struct cast_node *node, uint32_t ip)
{
	for (unsigned i = 0; i < node->ip_count; i++)
		if (node->ips[i] == ip)
			return true;
	return false;
}

unsigned cast_wan_count(const struct cast_node *node)
{
	unsigned count = node->wan_ips ? node->wan_ips : 1;

	return count < node->ip_count ? count : node->ip_count;
}

int cast_find_ip(const struct cast *cast, uint32_t ip)
{
	for (size_t i = 0; ip && i < cast->count; i++)
		if (cast_has_ip(&cast->nodes[i], ip))
			return (int)i;
	return -1;
}

static json_t *node_to_json(const struct cast *cast,
			    const struct cast_node *node)
{
	json_t *ips = json_array();
	char text[ENDPOINT_TEXT_BYTES];
	json_t *object;

	for (unsigned i = 0; i < node->ip_count; i++)
		json_array_append_new(ips, json_string(endpoint_format_ip(
						   node->ips[i], text)));
	object = json_pack("{s:s, s:s, s:o}", "name", node->name, "kind",
			   kind_names[node->kind], "ips", ips);
	if (!object)
		return NULL;
	if (node->behind >= 0 && (size_t)node->behind < cast->count)
		json_object_set_new(
			object, "behind",
			json_string(cast->nodes[node->behind].name));
	if (node->wan_ips)
		json_object_set_new(object, "wan_ips",
				    json_integer(node->wan_ips));
	return object;
}

char *cast_to_json(const struct cast *cast)
{
	json_t *nodes = json_array();
	json_t *root;
	char *text = NULL;

	for (size_t i = 0; i < cast->count; i++)
		json_array_append_new(nodes,
				      node_to_json(cast, &cast->nodes[i]));
	root = json_pack("{s:i, s:s, s:o}", "natrig", 1, "title", cast->title,
			 "nodes", nodes);
	if (root)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

static int ips_from_json(json_t *ips, struct cast_node *node, struct err *err)
{
	size_t index;
	json_t *value;

	json_array_foreach(ips, index, value)
	{
		struct endpoint e;
		const char *text = json_string_value(value);

		if (!text || endpoint_parse(text, &e) < 0 || e.port)
			return err_set(err, EBADMSG,
				       "cast: address %zu of %s is no IPv4 "
				       "address",
				       index + 1, node->name);
		if (node->ip_count == CAST_MAX_IPS)
			return err_set(err, EBADMSG,
				       "cast: %s has more than %d addresses",
				       node->name, CAST_MAX_IPS);
		node->ips[node->ip_count++] = e.ip;
	}
	return 0;
}

static int node_from_json(json_t *object, struct cast_node *node,
			  struct err *err)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *kind = json_string_value(json_object_get(object, "kind"));
	json_int_t wan_ips =
		json_integer_value(json_object_get(object, "wan_ips"));
	size_t i = 0;

	if (!name || !*name || strlen(name) >= sizeof(node->name))
		return err_set(err, EBADMSG,
			       "cast: a node needs a name of 1 to %zu letters",
			       sizeof(node->name) - 1);
	snprintf(node->name, sizeof(node->name), "%s", name);
	while (kind && i < KIND_COUNT && strcmp(kind, kind_names[i]))
		i++;
	if (!kind || i == KIND_COUNT)
		return err_set(err, EBADMSG,
			       "cast: %s is %s; expected host, router or "
			       "server",
			       name, kind ? kind : "of no kind");
	node->kind = (enum cast_kind)i;
	if (wan_ips < 0 || wan_ips > CAST_MAX_IPS)
		return err_set(err, EBADMSG, "cast: wan_ips of %s is not 0..%d",
			       name, CAST_MAX_IPS);
	node->wan_ips = (unsigned)wan_ips;
	return ips_from_json(json_object_get(object, "ips"), node, err);
}

/* A router that is behind itself would send every walk outwards in circles. */
static int check_nesting(const struct cast *cast, struct err *err)
{
	for (size_t i = 0; i < cast->count; i++) {
		int at = cast->nodes[i].behind;
		size_t hops = 0;

		while (at >= 0 && hops <= cast->count) {
			at = cast->nodes[at].behind;
			hops++;
		}
		if (at >= 0)
			return err_set(err, EBADMSG,
				       "cast: %s is behind itself",
				       cast->nodes[i].name);
	}
	return 0;
}

static int nodes_from_json(json_t *nodes, struct cast *cast, struct err *err)
{
	size_t i;
	json_t *object;
	int rc;

	json_array_foreach(nodes, i, object)
	{
		rc = node_from_json(object, &cast->nodes[i], err);
		if (rc < 0)
			return rc;
		if (cast_find(cast, cast->nodes[i].name) != (int)i)
			return err_set(err, EBADMSG, "cast: two nodes are %s",
				       cast->nodes[i].name);
	}
	json_array_foreach(nodes, i, object)
	{
		const char *behind =
			json_string_value(json_object_get(object, "behind"));
		int at = behind ? cast_find(cast, behind) : -1;

		if (behind && (at < 0 || cast->nodes[at].kind != CAST_ROUTER))
			return err_set(err, EBADMSG,
				       "cast: %s is behind %s, which is no "
				       "router",
				       cast->nodes[i].name, behind);
		cast->nodes[i].behind = at;
	}
	return check_nesting(cast, err);
}

int cast_from_json(const char *text, struct cast **cast, struct err *err)
{
	json_error_t at;
	json_t *root = text ? json_loads(text, 0, &at) : NULL;
	json_t *nodes = json_object_get(root, "nodes");
	struct cast *made = NULL;
	const char *title;
	int rc = 0;

	*cast = NULL;
	if (!json_object_get(root, "natrig")) {
		rc = err_set(err, ENODATA, "the recording names no cast");
		goto out;
	}
	if (json_integer_value(json_object_get(root, "natrig")) != 1 ||
	    !json_is_array(nodes) || json_array_size(nodes) > CAST_MAX_NODES) {
		rc = err_set(err, EBADMSG,
			     "cast: expected {\"natrig\": 1, \"nodes\": [..]}");
		goto out;
	}
	made = cast_new(json_array_size(nodes));
	if (!made) {
		rc = err_set(err, ENOMEM, "no memory for the cast");
		goto out;
	}
	title = json_string_value(json_object_get(root, "title"));
	snprintf(made->title, sizeof(made->title), "%s", title ? title : "");
	rc = nodes_from_json(nodes, made, err);
out:
	json_decref(root);
	if (rc < 0)
		cast_free(made);
	else
		*cast = made;
	return rc;
}

/* A router's outside addresses stay in front of its inside ones. */
static void add_ip(struct cast_node *node, uint32_t ip, bool outside)
{
	unsigned wan = cast_wan_count(node);

	if (!ip || node->ip_count == CAST_MAX_IPS || cast_has_ip(node, ip))
		return;
	if (node->kind != CAST_ROUTER || !outside) {
		/* An inside address must not slip into the outside's place. */
		if (node->kind == CAST_ROUTER && !node->ip_count)
			return;
		node->ips[node->ip_count++] = ip;
		return;
	}
	memmove(&node->ips[wan + 1], &node->ips[wan],
		(node->ip_count - wan) * sizeof(node->ips[0]));
	node->ips[wan] = ip;
	node->ip_count++;
	node->wan_ips = wan + 1;
}

bool cast_is_outside(const struct cast_node *node, const struct vantage *v)
{
	if (node->kind != CAST_ROUTER)
		return true;
	for (unsigned i = 0; v->ip && i < node->ip_count; i++)
		if (node->ips[i] == v->ip)
			return i < cast_wan_count(node);
	return !strncasecmp(v->interface, "wan", 3) ||
	       !strncasecmp(v->interface, "ppp", 3);
}

/*
 * The section header is written before a router is renumbered, so its later
 * addresses are learnt from what leaves its outside: NAT gives those packets
 * an address that nobody else in the cast has.
 */
static void learn_frame(struct cast *cast, const struct frame *frame, int link,
			struct cast_node *node, bool outside)
{
	struct packet p;
	uint32_t ip;

	if (frame->direction != DIRECTION_OUT ||
	    node->ip_count == CAST_MAX_IPS || node->kind == CAST_SERVER ||
	    (node->kind == CAST_HOST && node->ip_count) || !outside)
		return;
	if (packet_decode(link, frame->data, frame->captured_bytes, &p, NULL) <
		    0 ||
	    !p.is_ipv4)
		return;
	ip = p.src.ip;
	if (!ip || ip == UINT32_MAX || ip >> 28 == 0xe ||
	    cast_find_ip(cast, ip) >= 0)
		return;
	add_ip(node, ip, true);
}

void cast_learn(struct cast *cast, const struct recording *rec)
{
	int *nodes = calloc(rec->vantage_count + 1, sizeof(*nodes));

	if (!nodes)
		return;
	/* Twice: an inside address has to wait until an outside one is there.
	 */
	for (size_t i = 0; i < 2 * rec->vantage_count; i++) {
		size_t k = i % rec->vantage_count;
		const struct vantage *v = &rec->vantages[k];

		nodes[k] = cast_find(cast, v->node);
		if (nodes[k] >= 0)
			add_ip(&cast->nodes[nodes[k]], v->ip,
			       cast_is_outside(&cast->nodes[nodes[k]], v));
	}
	for (size_t i = 0; i < rec->frame_count; i++) {
		const struct frame *f = &rec->frames[i];
		const struct vantage *v;
		struct cast_node *node;

		if (f->vantage >= rec->vantage_count || nodes[f->vantage] < 0)
			continue;
		v = &rec->vantages[f->vantage];
		node = &cast->nodes[nodes[f->vantage]];
		learn_frame(cast, f, v->link, node, cast_is_outside(node, v));
	}
	free(nodes);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

#define DISTANCE_MAX_LEN 63

unsigned cast_distance(const char *a, const char *b)
{
	unsigned rows[3][DISTANCE_MAX_LEN + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *swap;
	size_t a_len = strnlen(a, DISTANCE_MAX_LEN);
	size_t b_len = strnlen(b, DISTANCE_MAX_LEN);

	for (size_t j = 0; j <= b_len; j++)
		last[j] = (unsigned)j;
	memcpy(before, last, sizeof(rows[0]));
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned cost = a[i - 1] != b[j - 1];

			row[j] = least(least(last[j] + 1, row[j - 1] + 1),
				       last[j - 1] + cost);
			/* Two letters swapped are one slip of the fingers. */
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		swap = before;
		before = last;
		last = row;
		row = swap;
	}
	return last[b_len];
}

bool cast_is_near(const char *word, const char *name, unsigned *best)
{
	unsigned distance = cast_distance(word, name);
	size_t len = strlen(word) > strlen(name) ? strlen(word) : strlen(name);

	if (!strcasecmp(word, name))
		distance = 0;
	/* Half a word wrong is another word. */
	if (distance * 2 > len || distance >= *best)
		return false;
	*best = distance;
	return true;
}

const char *cast_nearest(const struct cast *cast, const char *name)
{
	const char *nearest = NULL;
	unsigned best = UINT32_MAX;

	for (size_t i = 0; i < cast->count; i++)
		if (cast_is_near(name, cast->nodes[i].name, &best))
			nearest = cast->nodes[i].name;
	return nearest;
}
