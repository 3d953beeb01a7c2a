/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the exam share; for nobody else.
 *
 *   exam.c       findings, the order of questions
 *   exam_io.c    packets sent and heard
 *   exam_udp.c   questions of UDP, exam_tcp.c of TCP, exam_icmp.c of ICMP
 *
 * An error of the lab sticks (x->code): from then on nothing is sent or heard,
 * and every question finds nothing.
 */
#ifndef NATRIG_HARNESS_EXAM_PRIVATE_H
#define NATRIG_HARNESS_EXAM_PRIVATE_H

#include "harness/exam.h"
#include "wire/packet.h"

enum exam_who { IN0, IN1, OUT0, OUT1, EXAM_NODES };

enum { HEARD_MAX = 64, HEARD_BYTES = 2048, TEXT_BYTES = 64, TTL = 64 };

#define SECOND_US UINT64_C(1000000)

struct heard {
	enum exam_who at;
	struct packet p; /* points into bytes */
	uint8_t bytes[HEARD_BYTES];
	size_t size_bytes;
};

struct exam {
	const struct exam_config *config;
	struct driver *driver;
	struct lab *lab;
	struct raw *raw;
	int send_fds[EXAM_NODES], hear_fds[EXAM_NODES];
	uint32_t ips[EXAM_NODES];
	struct heard *heard; /* since the last exam_go */
	unsigned count;
	unsigned next_port, next_tag;
	unsigned checked, wrong_sums; /* of packets that came through */
	int code;
	struct err err;
	struct exam_report *report;
};

/* --- sending and hearing -------------------------------------------------- */

void exam_open(struct exam *x); /* where it fails, x->code is set */
void exam_close(struct exam *x);
/* Of IN0 and IN1; never given twice. */
uint16_t exam_port(struct exam *x);
struct endpoint exam_at(const struct exam *x, enum exam_who who, uint16_t port);
/* All on its way arrives; only what was heard since the last time is there. */
void exam_go(struct exam *x);
/* The same, and lab time passes. */
void exam_wait(struct exam *x, uint64_t us);

void exam_send_udp(struct exam *x, enum exam_who who, uint16_t port,
		   struct endpoint to, const void *payload,
		   size_t payload_bytes);
void exam_send_tcp(struct exam *x, enum exam_who who, uint16_t port,
		   struct endpoint to, const struct raw_tcp *tcp);
void exam_send_ip(struct exam *x, enum exam_who who, uint32_t to,
		  uint8_t proto, uint16_t fragment, uint16_t id, uint8_t ttl,
		  const void *payload, size_t payload_bytes);
void exam_send_echo(struct exam *x, enum exam_who who, uint8_t type,
		    uint32_t to, uint16_t id, uint8_t ttl);
/* An ICMP error about what was heard; WRONG: with a checksum that is wrong. */
void exam_send_error(struct exam *x, enum exam_who who, uint32_t to,
		     uint8_t code, const struct heard *about, bool wrong);

/* NULL where nothing of the kind was heard. Valid until the next exam_go. */
const struct heard *exam_udp_at(const struct exam *x, enum exam_who at,
				const void *payload, size_t payload_bytes);
const struct heard *exam_tcp_at(const struct exam *x, enum exam_who at,
				uint32_t seq);
const struct heard *exam_icmp_at(const struct exam *x, enum exam_who at,
				 int type);
/* What an ICMP error quotes. False: it is none, or what it quotes is cut. */
bool exam_quoted(const struct heard *error, struct packet *quoted);

/* --- flows ---------------------------------------------------------------- */

/* From an inside port to an outside one: UDP, or a TCP connection. */
struct flow {
	enum exam_who inside, outside;
	uint16_t port, remote_port;
	struct endpoint mapped;	  /* as the outside sees it */
	uint32_t in_seq, out_seq; /* next to be sent from inside, outside */
};

struct flow exam_flow(struct exam *x, enum exam_who inside,
		      enum exam_who outside, uint16_t remote_port);
/* One packet with a text that no other has. True: it arrived. */
bool exam_udp_out(struct exam *x, struct flow *f);
bool exam_udp_in(struct exam *x, const struct flow *f);
/* What came of the last exam_udp_out, exam_udp_in. */
const struct heard *exam_last(const struct exam *x, enum exam_who at);

/* --- findings ------------------------------------------------------------- */

void exam_found(struct exam *x, enum exam_item item, int value);
void exam_remark(struct exam *x, enum exam_item item, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void exam_unknown(struct exam *x, enum exam_item item, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool exam_knows(const struct exam *x, enum exam_item item);
int exam_value(const struct exam *x, enum exam_item item);

/*
 * How long something lives, of which ALIVE tells whether it does after so many
 * seconds; near EXPECTED_S if it is there. Up to MAX_S, or twice EXPECTED_S.
 */
void exam_lifetime(struct exam *x, enum exam_item item,
		   bool (*alive)(struct exam *x, uint64_t after_us),
		   unsigned expected_s, unsigned max_s);

/* --- questions, one function for each group ------------------------------- */

struct exam_question {
	void (*ask)(struct exam *x);
	enum exam_item first, last; /* unknown where the lab breaks */
	bool of_udp;
};
extern const struct exam_question exam_udp_questions[];
extern const unsigned exam_udp_question_count;
extern const struct exam_question exam_tcp_questions[];
extern const unsigned exam_tcp_question_count;
extern const struct exam_question exam_icmp_questions[];
extern const unsigned exam_icmp_question_count;

#endif
