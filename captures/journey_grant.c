/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port mappings that routers granted, from NAT-PMP (RFC 6886), PCP (RFC 6887)
 * and UPnP's AddPortMapping, AddAnyPortMapping and DeletePortMapping.
 */
#include "captures/journey_private.h"
#include "wire/natpmp.h"
#include "wire/pcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SOAP_MAX_VALUE 32

static int add_grant(struct witness *w, const struct grant *g)
{
	if (list_room(&w->grants, &w->grant_room, w->grant_count,
		      sizeof(*w->grants)) < 0)
		return -ENOMEM;
	w->grants[w->grant_count++] = *g;
	return 0;
}

/* Router and host that talk, as seen at NODE (one of them, or -1). */
static void find_pair(const struct witness *w, int node, uint32_t router_ip,
		      uint32_t host_ip, struct grant *g)
{
	const struct cast *cast = w->cast;

	g->router = -1;
	g->host = -1;
	if (node >= 0 && cast->nodes[node].kind != CAST_ROUTER)
		g->router = cast->nodes[node].behind;
	else if (node >= 0 && cast_has_ip(&cast->nodes[node], router_ip))
		g->router = node;
	if (g->router < 0)
		g->router = cast_find_ip(cast, router_ip);
	if (g->router < 0 || cast->nodes[g->router].kind != CAST_ROUTER) {
		g->router = -1;
		return;
	}
	for (int i = 0; i < (int)cast->count && g->host < 0; i++)
		if (cast->nodes[i].behind == g->router &&
		    cast_has_ip(&cast->nodes[i], host_ip))
			g->host = i;
	/* An inner router may ask for whoever is behind it. */
	if (g->host >= 0 && cast->nodes[g->host].kind == CAST_ROUTER)
		g->host = w->only_host[g->host];
}

static void set_lease(struct grant *g, uint64_t from_ns, uint64_t lease_s)
{
	g->from_ns = from_ns;
	g->lease_s = lease_s;
	g->until_ns = UINT64_MAX;
	if (lease_s && lease_s < (UINT64_MAX - from_ns) / 1000000000u)
		g->until_ns = from_ns + lease_s * 1000000000u;
}

static bool read_pcp(const struct seen *s, struct grant *g)
{
	struct pcp_message m;

	if (pcp_decode(s->id, s->id_bytes, &m, NULL) < 0 || !m.response ||
	    m.op != PCP_MAP || m.result != PCP_SUCCESS)
		return false;
	g->proto = m.protocol;
	g->internal_port = m.internal_port;
	g->external_port = m.external_port;
	g->deletes = !m.lifetime_s;
	set_lease(g, s->frame->time_ns, m.lifetime_s);
	return true;
}

static bool read_natpmp(const struct seen *s, struct grant *g)
{
	struct natpmp_message m;

	if (natpmp_decode(s->id, s->id_bytes, &m, NULL) < 0 || !m.response ||
	    m.op == NATPMP_ADDRESS || m.result != NATPMP_SUCCESS)
		return false;
	g->proto = m.op == NATPMP_MAP_UDP ? PACKET_UDP : PACKET_TCP;
	g->internal_port = m.internal_port;
	g->external_port = m.external_port;
	g->deletes = !m.lifetime_s;
	set_lease(g, s->frame->time_ns, m.lifetime_s);
	return true;
}

int grant_learn_datagram(struct witness *w, const struct seen *seen)
{
	struct grant g = {.router = -1};

	if (seen->src.port != NATPMP_PORT)
		return 0;
	if (!read_natpmp(seen, &g) && !read_pcp(seen, &g))
		return 0;
	find_pair(w, seen->node, seen->src.ip, seen->dst.ip, &g);
	return add_grant(w, &g);
}

/* The text of an XML element without children, as SOAP's arguments are. */
static bool soap_value(const uint8_t *text, size_t text_bytes, const char *name,
		       char value[static SOAP_MAX_VALUE])
{
	size_t name_len = strlen(name), len = 0;
	const uint8_t *end = text + text_bytes;
	const uint8_t *at = text;

	while ((at = memmem(at, (size_t)(end - at), name, name_len))) {
		bool opens = at > text && at[-1] == '<';

		at += name_len;
		/* Attributes may stand between the name and the bracket. */
		if (opens && at < end && (*at == '>' || *at == ' ')) {
			at = memchr(at, '>', (size_t)(end - at));
			break;
		}
	}
	if (!at)
		return false;
	for (at++; at < end && *at != '<'; at++) {
		if (len == SOAP_MAX_VALUE - 1)
			return false;
		if (*at > ' ')
			value[len++] = (char)*at;
	}
	value[len] = '\0';
	return at < end;
}

static uint16_t soap_port(const uint8_t *text, size_t text_bytes,
			  const char *name)
{
	char value[SOAP_MAX_VALUE];
	unsigned long port;

	if (!soap_value(text, text_bytes, name, value))
		return 0;
	port = strtoul(value, NULL, 10);
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool soap_has(const uint8_t *text, size_t text_bytes, const char *word)
{
	return memmem(text, text_bytes, word, strlen(word)) != NULL;
}

int grant_learn_soap(struct witness *w, const struct seen *seen,
		     uint32_t *grant)
{
	const uint8_t *text = seen->id;
	size_t size = seen->id_bytes;
	char value[SOAP_MAX_VALUE];
	struct endpoint client = {0};
	struct grant g = {.proto = PACKET_UDP};
	uint64_t lease_s = 0;

	*grant = 0;
	g.deletes = soap_has(text, size, "DeletePortMapping");
	if (!g.deletes && !soap_has(text, size, "AddPortMapping") &&
	    !soap_has(text, size, "AddAnyPortMapping"))
		return 0;
	g.external_port = soap_port(text, size, "NewExternalPort");
	g.internal_port = soap_port(text, size, "NewInternalPort");
	if (soap_value(text, size, "NewProtocol", value) &&
	    !strcmp(value, "TCP"))
		g.proto = PACKET_TCP;
	if (soap_value(text, size, "NewLeaseDuration", value))
		lease_s = strtoul(value, NULL, 10);
	if (soap_value(text, size, "NewInternalClient", value))
		endpoint_parse(value, &client);
	find_pair(w, seen->node, seen->dst.ip, client.ip, &g);
	set_lease(&g, seen->frame->time_ns, lease_s);
	if (add_grant(w, &g) < 0)
		return -ENOMEM;
	*grant = (uint32_t)w->grant_count;
	return 0;
}

void grant_learn_answer(struct witness *w, uint32_t grant, const uint8_t *text,
			size_t text_bytes)
{
	struct grant *g = &w->grants[grant - 1];
	uint16_t port;

	if (soap_has(text, text_bytes, "<errorCode>"))
		g->refused = true;
	/* AddAnyPortMapping may be given another port than it asked for. */
	port = soap_port(text, text_bytes, "NewReservedPort");
	if (port)
		g->external_port = port;
}

static int compare_grants(const void *left, const void *right)
{
	const struct grant *a = left, *b = right;

	if (a->router != b->router)
		return a->router < b->router ? -1 : 1;
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (a->external_port != b->external_port)
		return a->external_port < b->external_port ? -1 : 1;
	return (a->from_ns > b->from_ns) - (a->from_ns < b->from_ns);
}

/* Releases by NAT-PMP name the inside port only. */
static int find_released(struct witness *w)
{
	struct table by_inside = {0};
	int rc = 0;

	for (size_t i = 0; i < w->grant_count && !rc; i++) {
		struct grant *g = &w->grants[i];
		int key[4] = {g->router, g->host, g->proto, g->internal_port};
		uint64_t hash = table_hash(key, sizeof(key), 2);
		uint32_t last = table_get(&by_inside, hash);

		if (g->deletes && !g->external_port && last)
			g->external_port = (uint16_t)(last - 1);
		else if (!g->deletes && !g->refused)
			rc = table_put(&by_inside, hash, g->external_port + 1u);
	}
	table_free(&by_inside);
	return rc;
}

int grants_finish(struct witness *w)
{
	size_t kept = 0;

	if (find_released(w) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < w->grant_count; i++) {
		struct grant *g = &w->grants[i];

		if (g->deletes)
			g->until_ns = g->from_ns;
		if (!g->refused)
			w->grants[kept++] = *g;
	}
	w->grant_count = kept;
	if (kept)
		qsort(w->grants, kept, sizeof(*w->grants), compare_grants);
	return 0;
}

const struct grant *grant_find(const struct witness *w, int router,
			       uint8_t proto, uint16_t port, uint64_t time_ns)
{
	struct grant key = {.router = router,
			    .proto = proto,
			    .external_port = port,
			    .from_ns = time_ns};
	size_t low = 0, high = w->grant_count;
	const struct grant *g;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_grants(&w->grants[middle], &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	g = low ? &w->grants[low - 1] : NULL;
	if (!g || g->router != router || g->proto != proto ||
	    g->external_port != port)
		return NULL;
	return g;
}
