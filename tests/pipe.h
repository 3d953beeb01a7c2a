/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe: the TCP streams between the clients of a stage and its relay, for
 * tests of what is relayed. Bytes are added to a pipe, then sent past some of
 * its vantages, cut into segments as the test likes.
 */
#ifndef NATRIG_TESTS_PIPE_H
#define NATRIG_TESTS_PIPE_H

#include "tests/stage.h"
#include "wire/derp.h"

#define PIPE_MAX_BYTES 3000

/* One direction of a connection, and its way past the vantages. */
struct pipe {
	struct stage *s;
	const char *hops[5];
	uint32_t seq;
	uint8_t data[PIPE_MAX_BYTES];
	size_t size_bytes;
};

/* The four of the seed: a's and c's, to the relay and back. */
struct pipes {
	struct pipe a_up, a_down, c_up, c_down;
};

extern const uint8_t pipe_key_a[DERP_KEY_BYTES];
extern const uint8_t pipe_key_c[DERP_KEY_BYTES];
extern const uint8_t pipe_key_other[DERP_KEY_BYTES];

void pipes_init(struct pipes *p, struct stage *s);
/* Bytes FROM..TO of the stream, past the first HOPS vantages. */
void pipe_segment(const struct pipe *p, size_t from, size_t to, unsigned hops);
/* All bytes from FROM on. */
void pipe_flush(const struct pipe *p, size_t from, unsigned hops);
void pipe_syn(const struct pipe *p, uint8_t flags, unsigned hops);
void pipe_add(struct pipe *p, const void *data, size_t size_bytes);
/* The stage's payload, as a send or receive frame. */
void pipe_add_packet(struct pipe *p, uint8_t type, const uint8_t *key);
/* The openings of both directions, up to where packets may follow. */
void pipe_add_opening(struct pipe *up, struct pipe *down,
		      const uint8_t *client);
/* Handshakes and openings of all four. */
void pipes_open(struct pipes *p);
/* a's packet for c, whole way. */
void pipes_send_through(struct pipes *p);

/* The NTH journey of the kind, which must be there; and how many there are. */
const struct journey *pipe_find(const struct stage *s, unsigned kind,
				unsigned nth);
unsigned pipe_count(const struct stage *s, unsigned kind);
/* DIED_AT: NULL where it arrived, "-" where it died at no node. */
void pipe_expect(const struct stage *s, const struct journey *one,
		 const char *from, const char *to, unsigned sightings,
		 const char *died_at);
void pipe_reason_is(const struct stage *s, const struct journey *one,
		    const char *wanted);

#endif
