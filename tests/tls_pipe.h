/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tls_pipe: TLS streams between hosts and a relay, for tests of what a witness
 * without keys makes of them. The world is the stage's with one home more:
 *
 *   a --- home-a ---+--- home-b --- b
 *                 relay
 *                   +--- edge-c --- c
 *
 * A record's bytes come of the pipe and its place in it: the same when sent
 * again, and else no others'.
 */
#ifndef NATRIG_TESTS_TLS_PIPE_H
#define NATRIG_TESTS_TLS_PIPE_H

#include "tests/stage.h"

/* What a record has beside the packet: the relay's frame, type and tag. */
#define TLS_AROUND_BYTES (5 + 32 + 17)

struct tls_pipe {
	struct stage *s;
	char hops[4][64];
	uint32_t seq, salt;
};

struct tls_client {
	struct tls_pipe up, down;
};

enum tls_host { TLS_A, TLS_B, TLS_C, TLS_HOSTS };

struct stage *tls_stage(void);
/* Those whose routers the stage does not have cannot be used. */
void tls_clients_init(struct tls_client clients[TLS_HOSTS], struct stage *s);
/* SYN and answer. */
void tls_connect(struct tls_client *c);
/* Hellos and the rest of a TLS 1.3 handshake, up to the client's Finished. */
void tls_handshake(struct tls_client *c);
/* All up to where packets may follow, as clients in a hurry do it. */
void tls_open(struct tls_client *c);

/* A record of that type with a body of that size, past the first HOPS. */
void tls_record(struct tls_pipe *p, uint8_t type, size_t body_bytes,
		unsigned hops);
/* The same, in segments of SEGMENT_BYTES. */
void tls_record_cut(struct tls_pipe *p, uint8_t type, size_t body_bytes,
		    unsigned hops, size_t segment_bytes);
/* A packet's record, the whole way to, or from, the relay. */
void tls_packet(struct tls_pipe *p, size_t packet_bytes);

#endif
