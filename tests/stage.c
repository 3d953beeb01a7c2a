/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/stage.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "wire/cursor.h"

#define START_NS UINT64_C(1700000000000000000)
#define STEP_NS 100000

static const char *const seed[] = {"host a home-a 192.168.1.2",
				   "router home-a - 25.0.0.2 192.168.1.1",
				   "router edge-c - 25.0.0.3 192.168.2.1",
				   "host c edge-c 192.168.2.2",
				   "server stun1 - 25.0.1.1",
				   "server stun2 - 25.0.1.2",
				   "server relay - 25.0.1.3",
				   NULL};

static struct endpoint ends(const char *text)
{
	struct endpoint e;

	ck_assert_msg(endpoint_parse(text, &e) == 0, "%s", text);
	return e;
}

static void add_node(struct stage *s, const char *line, struct cast_node *n)
{
	char kind[16], behind[64], ips[2][ENDPOINT_TEXT_BYTES] = {"", ""};

	ck_assert_int_ge(sscanf(line, "%15s %63s %63s %21s %21s", kind, n->name,
				behind, ips[0], ips[1]),
			 3);
	n->kind = !strcmp(kind, "host")	    ? CAST_HOST
		  : !strcmp(kind, "router") ? CAST_ROUTER
					    : CAST_SERVER;
	n->behind = strcmp(behind, "-") ? cast_find(s->cast, behind) : -1;
	for (int i = 0; i < 2; i++)
		if (*ips[i])
			n->ips[n->ip_count++] = ends(ips[i]).ip;
}

void stage_add_vantage(struct stage *s, const char *name)
{
	struct recording *r = &s->rec;
	struct vantage *v;

	r->vantages = realloc(r->vantages, (r->vantage_count + 1) * sizeof(*v));
	v = &r->vantages[r->vantage_count++];
	memset(v, 0, sizeof(*v));
	snprintf(v->name, sizeof(v->name), "%s", name);
	snprintf(v->node, sizeof(v->node), "%.*s", (int)strcspn(name, "."),
		 name);
	snprintf(v->interface, sizeof(v->interface), "%s",
		 name + strcspn(name, ".") + 1);
	v->link = PACKET_LINK_RAW;
}

struct stage *stage_of(const char *const *lines)
{
	struct stage *s = calloc(1, sizeof(*s));
	size_t count = 0;
	char name[96];

	while (lines[count])
		count++;
	s->cast = cast_new(count);
	s->now_ns = START_NS;
	/* Twice: the router may stand behind the host that it is for. */
	for (size_t i = 0; i < count; i++)
		add_node(s, lines[i], &s->cast->nodes[i]);
	for (size_t i = 0; i < count; i++) {
		struct cast_node *n = &s->cast->nodes[i];

		n->ip_count = 0;
		add_node(s, lines[i], n);
		snprintf(name, sizeof(name), "%s.%s", n->name,
			 n->kind == CAST_ROUTER ? "wan" : "eth0");
		stage_add_vantage(s, name);
		if (n->kind != CAST_ROUTER)
			continue;
		snprintf(name, sizeof(name), "%s.lan", n->name);
		stage_add_vantage(s, name);
	}
	return s;
}

struct stage *stage_seed(void)
{
	return stage_of(seed);
}

void stage_free(struct stage *s)
{
	journeys_free(s->j);
	for (size_t i = 0; i < s->rec.frame_count; i++)
		free((void *)(uintptr_t)s->rec.frames[i].data);
	free(s->rec.frames);
	free(s->rec.vantages);
	cast_free(s->cast);
	free(s);
}

struct cast_node *stage_node(struct stage *s, const char *name)
{
	return &s->cast->nodes[stage_index(s, name)];
}

int stage_index(const struct stage *s, const char *name)
{
	int node = cast_find(s->cast, name);

	ck_assert_msg(node >= 0, "%s", name);
	return node;
}

static int find_vantage(const struct stage *s, const char *name)
{
	for (size_t i = 0; i < s->rec.vantage_count; i++)
		if (!strcmp(s->rec.vantages[i].name, name))
			return (int)i;
	return -1;
}

void stage_deafen(struct stage *s, const char *vantage)
{
	int i = find_vantage(s, vantage);

	ck_assert_msg(i >= 0, "%s", vantage);
	ck_assert_msg(!s->rec.frame_count, "deafen before the first frame");
	s->rec.vantage_count--;
	memmove(&s->rec.vantages[i], &s->rec.vantages[i + 1],
		(s->rec.vantage_count - (size_t)i) * sizeof(*s->rec.vantages));
}

void stage_wait(struct stage *s, double seconds)
{
	s->now_ns += (uint64_t)(seconds * 1e9);
}

void stage_say(struct stage *s, const char *payload)
{
	s->payload_bytes = strlen(payload);
	memcpy(s->own, payload, s->payload_bytes);
	s->payload = s->own;
}

static void disco(struct stage *s, uint8_t n, size_t size_bytes)
{
	memset(s->own, n, sizeof(s->own));
	memcpy(s->own, "TS\xf0\x9f\x92\xac", 6);
	s->payload = s->own;
	s->payload_bytes = size_bytes;
}

void stage_ping(struct stage *s, uint8_t n)
{
	disco(s, n, 124);
}

void stage_pong(struct stage *s, uint8_t n)
{
	disco(s, n, 110);
}

void stage_wireguard(struct stage *s, uint8_t n)
{
	memset(s->own, n, sizeof(s->own));
	memcpy(s->own, "\1\0\0\0", 4);
	s->payload = s->own;
	s->payload_bytes = 148;
}

struct hop {
	char vantage[64], src_text[32], dst_text[32];
	bool out;
	struct endpoint src, dst;
	uint8_t ttl;
};

static struct hop read_hop(const char *text)
{
	struct hop h;
	char way[8];
	unsigned ttl;

	ck_assert_msg(sscanf(text, " %63s %7s %31s %31s %u", h.vantage, way,
			     h.src_text, h.dst_text, &ttl) == 5,
		      "%s", text);
	h.out = !strcmp(way, "out");
	h.src = ends(h.src_text);
	h.dst = ends(h.dst_text);
	h.ttl = (uint8_t)ttl;
	return h;
}

unsigned stage_raw(struct stage *s, const char *vantage, bool out,
		   const void *ip, size_t size_bytes)
{
	int v = find_vantage(s, vantage);
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
	struct frame *f;

	s->now_ns += STEP_NS;
	if (v < 0) {
		free(copy);
		return 0;
	}
	if (s->rec.frame_count == s->frame_room) {
		s->frame_room = s->frame_room ? s->frame_room * 2 : 64;
		s->rec.frames =
			realloc(s->rec.frames, s->frame_room * sizeof(*f));
	}
	memcpy(copy, ip, size_bytes);
	f = &s->rec.frames[s->rec.frame_count++];
	*f = (struct frame){.time_ns = s->now_ns,
			    .number = (unsigned)s->rec.frame_count,
			    .vantage = (unsigned)v,
			    .direction = out ? DIRECTION_OUT : DIRECTION_IN,
			    .data = copy,
			    .captured_bytes = size_bytes,
			    .wire_bytes = size_bytes};
	return f->number;
}

unsigned stage_hop(struct stage *s, const char *hop)
{
	struct hop h = read_hop(hop);
	uint8_t ip[2200];
	int size = packet_encode_udp(h.src, h.dst, h.ttl, s->ip_id, s->payload,
				     s->payload_bytes, ip, sizeof(ip));

	ck_assert_int_gt(size, 0);
	return stage_raw(s, h.vantage, h.out, ip, (size_t)size);
}

void stage_hops(struct stage *s, const char *hops)
{
	while (*hops) {
		size_t len = strcspn(hops, ";\n");
		char one[160];

		snprintf(one, sizeof(one), "%.*s", (int)len, hops);
		if (one[strspn(one, " \t")])
			stage_hop(s, one);
		hops += len + (hops[len] != '\0');
	}
}

static void write_ip(struct writer *w, const struct hop *h, uint8_t proto,
		     size_t total_bytes)
{
	writer_u16(w, 0x4500);
	writer_u16(w, (uint16_t)total_bytes);
	writer_u32(w, 0);
	writer_u8(w, h->ttl);
	writer_u8(w, proto);
	writer_u16(w, 0);
	writer_u32(w, h->src.ip);
	writer_u32(w, h->dst.ip);
}

unsigned stage_tcp(struct stage *s, const char *hop, uint32_t seq, uint32_t ack,
		   uint8_t flags, const void *data, size_t size_bytes)
{
	struct hop h = read_hop(hop);
	uint8_t ip[4096];
	struct writer w = writer_over(ip, sizeof(ip));

	write_ip(&w, &h, PACKET_TCP, 40 + size_bytes);
	writer_u16(&w, h.src.port);
	writer_u16(&w, h.dst.port);
	writer_u32(&w, seq);
	writer_u32(&w, ack);
	writer_u8(&w, 0x50);
	writer_u8(&w, flags);
	writer_zero(&w, 6);
	writer_bytes(&w, data, size_bytes);
	ck_assert_int_gt(writer_result(&w), 0);
	return stage_raw(s, h.vantage, h.out, ip, w.at_bytes);
}

unsigned stage_icmp(struct stage *s, const char *hop, uint8_t type,
		    uint8_t code, uint8_t proto, const char *quoted_src,
		    const char *quoted_dst)
{
	struct hop h = read_hop(hop);
	struct hop q = {
		.src = ends(quoted_src), .dst = ends(quoted_dst), .ttl = 1};
	uint8_t ip[128];
	struct writer w = writer_over(ip, sizeof(ip));

	write_ip(&w, &h, PACKET_ICMP, 56);
	writer_u8(&w, type);
	writer_u8(&w, code);
	writer_zero(&w, 6);
	write_ip(&w, &q, proto, 152);
	writer_u16(&w, q.src.port);
	writer_u16(&w, q.dst.port);
	writer_zero(&w, 4);
	return stage_raw(s, h.vantage, h.out, ip, w.at_bytes);
}

struct journeys *stage_journeys(struct stage *s)
{
	struct err err = {0};

	journeys_free(s->j);
	s->j = NULL;
	ck_assert_msg(journeys_new(&s->rec, s->cast, &s->j, &err) == 0, "%s",
		      err.text);
	return s->j;
}

const struct journey *stage_at(const struct stage *s, size_t i)
{
	ck_assert_uint_lt(i, s->j->count);
	return &s->j->list[i];
}

const char *stage_name(const struct stage *s, int node)
{
	return node < 0 ? "-" : s->cast->nodes[node].name;
}

/* FATE: "arrived", "internet", "?" or the node where it died. */
void stage_expect(const struct stage *s, size_t i, const char *from,
		  const char *to, unsigned sightings, const char *fate)
{
	const struct journey *one = stage_at(s, i);
	char text[512];

	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_msg(!strcmp(stage_name(s, one->from), from), "from %s: %s",
		      stage_name(s, one->from), text);
	ck_assert_msg(!strcmp(stage_name(s, one->to), to), "to %s: %s",
		      stage_name(s, one->to), text);
	ck_assert_msg(one->sighting_count == sightings, "%u sightings: %s",
		      one->sighting_count, text);
	ck_assert_msg(one->arrived == !strcmp(fate, "arrived"), "%s", text);
	ck_assert_msg(one->on_internet == !strcmp(fate, "internet"), "%s",
		      text);
	if (one->arrived || one->on_internet || !strcmp(fate, "?"))
		fate = "-";
	ck_assert_msg(!strcmp(stage_name(s, one->died_at), fate),
		      "died at %s: %s", stage_name(s, one->died_at), text);
}

void stage_describes(const struct stage *s, size_t i, const char *wanted)
{
	char text[512];

	journey_describe(s->j, stage_at(s, i), text, sizeof(text));
	ck_assert_str_eq(text, wanted);
}
