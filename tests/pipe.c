/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/pipe.h"

#include <check.h>
#include <string.h>

#define SERVER_INFO_BYTES 60

const uint8_t pipe_key_a[DERP_KEY_BYTES] = {0xaa, 1};
const uint8_t pipe_key_c[DERP_KEY_BYTES] = {0xcc, 2};
const uint8_t pipe_key_other[DERP_KEY_BYTES] = {0xdd, 3};

static const char *const ways[4][4] = {
	{"a.eth0 out 192.168.1.2:5000 25.0.1.3:80 64",
	 "home-a.lan in 192.168.1.2:5000 25.0.1.3:80 64",
	 "home-a.wan out 25.0.0.2:5000 25.0.1.3:80 63",
	 "relay.eth0 in 25.0.0.2:5000 25.0.1.3:80 63"},
	{"relay.eth0 out 25.0.1.3:80 25.0.0.2:5000 64",
	 "home-a.wan in 25.0.1.3:80 25.0.0.2:5000 64",
	 "home-a.lan out 25.0.1.3:80 192.168.1.2:5000 63",
	 "a.eth0 in 25.0.1.3:80 192.168.1.2:5000 63"},
	{"c.eth0 out 192.168.2.2:6000 25.0.1.3:80 64",
	 "edge-c.lan in 192.168.2.2:6000 25.0.1.3:80 64",
	 "edge-c.wan out 25.0.0.3:7777 25.0.1.3:80 63",
	 "relay.eth0 in 25.0.0.3:7777 25.0.1.3:80 63"},
	{"relay.eth0 out 25.0.1.3:80 25.0.0.3:7777 64",
	 "edge-c.wan in 25.0.1.3:80 25.0.0.3:7777 64",
	 "edge-c.lan out 25.0.1.3:80 192.168.2.2:6000 63",
	 "c.eth0 in 25.0.1.3:80 192.168.2.2:6000 63"},
};

void pipes_init(struct pipes *p, struct stage *s)
{
	struct pipe *all[4] = {&p->a_up, &p->a_down, &p->c_up, &p->c_down};

	memset(p, 0, sizeof(*p));
	for (int i = 0; i < 4; i++) {
		all[i]->s = s;
		memcpy(all[i]->hops, ways[i], sizeof(ways[i]));
	}
	/* Over the edge of sequence numbers on purpose. */
	p->a_up.seq = p->c_down.seq = UINT32_MAX - 200;
}

void pipe_segment(const struct pipe *p, size_t from, size_t to, unsigned hops)
{
	for (unsigned i = 0; i < hops && p->hops[i]; i++)
		stage_tcp(p->s, p->hops[i], p->seq + 1 + (uint32_t)from, 0,
			  TCP_FLAG_ACK, p->data + from, to - from);
}

void pipe_flush(const struct pipe *p, size_t from, unsigned hops)
{
	pipe_segment(p, from, p->size_bytes, hops);
}

void pipe_syn(const struct pipe *p, uint8_t flags, unsigned hops)
{
	for (unsigned i = 0; i < hops && p->hops[i]; i++)
		stage_tcp(p->s, p->hops[i], p->seq, 0, flags | TCP_FLAG_SYN,
			  NULL, 0);
}

void pipe_add(struct pipe *p, const void *data, size_t size_bytes)
{
	ck_assert_uint_le(p->size_bytes + size_bytes, PIPE_MAX_BYTES);
	memcpy(p->data + p->size_bytes, data, size_bytes);
	p->size_bytes += size_bytes;
}

static void add_frame(struct pipe *p, uint8_t type, const void *body,
		      size_t size_bytes)
{
	uint8_t frame[1024];
	int size = derp_encode(type, body, size_bytes, frame, sizeof(frame));

	ck_assert_int_gt(size, 0);
	pipe_add(p, frame, (size_t)size);
}

void pipe_add_packet(struct pipe *p, uint8_t type, const uint8_t *key)
{
	uint8_t frame[2048];
	int size =
		derp_encode_packet(type, key, p->s->payload,
				   p->s->payload_bytes, frame, sizeof(frame));

	ck_assert_int_gt(size, 0);
	pipe_add(p, frame, (size_t)size);
}

void pipe_add_opening(struct pipe *up, struct pipe *down, const uint8_t *client)
{
	uint8_t bytes[1024], info[DERP_KEY_BYTES + SERVER_INFO_BYTES] = {0};
	int size = derp_encode_upgrade_request("relay", bytes, sizeof(bytes));

	pipe_add(up, bytes, (size_t)size);
	size = derp_encode_upgrade_response(bytes, sizeof(bytes));
	pipe_add(down, bytes, (size_t)size);
	size = derp_encode_server_key(pipe_key_other, bytes, sizeof(bytes));
	pipe_add(down, bytes, (size_t)size);
	memcpy(info, client, DERP_KEY_BYTES);
	add_frame(up, DERP_CLIENT_INFO, info, sizeof(info));
	add_frame(down, DERP_SERVER_INFO, info, SERVER_INFO_BYTES);
}

void pipes_open(struct pipes *p)
{
	pipe_add_opening(&p->a_up, &p->a_down, pipe_key_a);
	pipe_add_opening(&p->c_up, &p->c_down, pipe_key_c);
	pipe_syn(&p->a_up, 0, 4);
	pipe_syn(&p->a_down, TCP_FLAG_ACK, 4);
	pipe_syn(&p->c_up, 0, 4);
	pipe_syn(&p->c_down, TCP_FLAG_ACK, 4);
	pipe_flush(&p->a_up, 0, 4);
	pipe_flush(&p->a_down, 0, 4);
	pipe_flush(&p->c_up, 0, 4);
	pipe_flush(&p->c_down, 0, 4);
}

void pipes_send_through(struct pipes *p)
{
	size_t from = p->a_up.size_bytes;

	pipe_add_packet(&p->a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_flush(&p->a_up, from, 4);
	from = p->c_down.size_bytes;
	pipe_add_packet(&p->c_down, DERP_RECV_PACKET, pipe_key_a);
	pipe_flush(&p->c_down, from, 4);
}

const struct journey *pipe_find(const struct stage *s, unsigned kind,
				unsigned nth)
{
	for (size_t i = 0; i < s->j->count; i++)
		if ((s->j->list[i].kind & kind) == kind && !nth--)
			return &s->j->list[i];
	ck_abort_msg("no such journey");
	return NULL;
}

unsigned pipe_count(const struct stage *s, unsigned kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->j->count; i++)
		n += (s->j->list[i].kind & kind) == kind;
	return n;
}

void pipe_expect(const struct stage *s, const struct journey *one,
		 const char *from, const char *to, unsigned sightings,
		 const char *died_at)
{
	char text[512];

	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_msg(one->over_relay && one->kind & JOURNEY_RELAY, "%s", text);
	ck_assert_msg(!strcmp(stage_name(s, one->from), from), "%s", text);
	ck_assert_msg(!strcmp(stage_name(s, one->to), to), "%s", text);
	ck_assert_msg(one->sighting_count == sightings, "%u: %s",
		      one->sighting_count, text);
	ck_assert_msg(one->arrived == !died_at, "%s", text);
	ck_assert_msg(
		!strcmp(stage_name(s, one->died_at), died_at ? died_at : "-"),
		"%s", text);
}

void pipe_reason_is(const struct stage *s, const struct journey *one,
		    const char *wanted)
{
	char text[256];

	ck_assert_str_eq(journey_reason(s->j, one, text, sizeof(text)), wanted);
}
