/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the probe share; for nobody else.
 *
 *   probe.c        exchanges: sending, trying again, matching answers
 *   probe_ask.c    the questions that take a moment, and the order of all
 *   probe_ports.c  those of them that are about ports
 *   probe_time.c   the questions about lifetimes, which take minutes
 *   probe_report.c words and numbers (probe_report.h)
 */
#ifndef NATRIG_HARNESS_PROBE_PRIVATE_H
#define NATRIG_HARNESS_PROBE_PRIVATE_H

#include "harness/probe.h"
#include "harness/rng.h"
#include "wire/stun.h"

#define PROBE_EXCHANGES 9
/* So many external addresses may a pool have: the first port's, and these. */
#define PROBE_CONTROLS (PROBE_EXCHANGES - 1)

enum probe_bulk {
	BULK_NONE,
	BULK_REQUEST, /* a request that must be fragmented */
	BULK_ANSWER   /* a request for an answer that must be fragmented */
};

/* One request, until it was answered or given up. */
struct exchange {
	unsigned port; /* index into config.ports */
	bool by_peer;  /* sent by the second host, from the same port */
	struct endpoint to;
	uint32_t change;	/* STUN_CHANGE_* */
	uint16_t response_port; /* 0: answer to where it came from */
	enum probe_bulk bulk;
	/*
	 * Goes to another local endpoint's mapping, to arrive there itself;
	 * `from` is then the source it arrived with.
	 */
	bool loops;
	struct endpoint heard_at; /* ip 0: where it was sent from */
	uint64_t start_us; /* not before; 0: at once */

	/* What became of it. */
	uint8_t txid[STUN_TXID_BYTES];
	unsigned tries;
	uint64_t next_us; /* next try, or giving up */
	bool done, answered;
	bool unchanged;	 /* the answer came from where the request went */
	bool strayed;	 /* it was heard by the other one of host and peer */
	uint64_t answered_us;
	struct endpoint from;
	struct stun_message answer;
	size_t answer_bytes;
};

/* A search for the time after which a mapping is gone. */
struct lifetime_search {
	enum probe_item item;
	uint64_t alive_us, dead_us; /* dead_us 0: not seen dead yet */
	uint64_t wait_us;	    /* of the trial in hand */
	uint64_t idle_since_us;
	unsigned port; /* of the mapping under trial */
	uint16_t mapped_port;
	unsigned phase;
	unsigned pool_tries; /* to have both ports on one external address */
	uint64_t kept_us;    /* when the controls were last heard of */
	bool keeping;	     /* that is all that is asked just now */
};

struct probe {
	struct probe_config config;
	struct probe_report report;
	struct rng rng;
	unsigned stage;
	bool started, running; /* running: the stage's exchanges are out */
	unsigned phase;	       /* of the stage, counted by itself */
	unsigned next_port;
	struct exchange exchanges[PROBE_EXCHANGES];
	unsigned count;
	uint64_t now_us;
	/* Carried from one phase of a question to the next. */
	unsigned scratch_port;
	struct endpoint shared_mapped[4];
	struct endpoint hairpin_mapped[2];
	unsigned hairpin_ports[2];
	/* The lifetime questions' second ports, one an external address. */
	struct probe_control {
		unsigned port;
		uint32_t ip;
	} controls[PROBE_CONTROLS];
	unsigned control_count;
	unsigned control_port; /* of the trial in hand */
	struct lifetime_search search;
};

/*
 * A question: START says what to send (or nothing, where it cannot be asked);
 * FINISH looks at what came of it. True: start again (see phase).
 */
struct probe_stage {
	const char *name;
	void (*start)(struct probe *p);
	bool (*finish)(struct probe *p);
	bool rests; /* before it begins, see config.rest_us */
};

/* --- probe.c -------------------------------------------------------------- */

/* A port that no question has used; PROBE_PORTS: there is none left. */
unsigned probe_take_port(struct probe *p);
/* The local endpoint behind that port, of the host or of the peer. */
struct endpoint probe_local(const struct probe *p, unsigned port, bool of_peer);
/* One more exchange of the stage, from that port to there; never NULL. */
struct exchange *probe_ask(struct probe *p, unsigned port, struct endpoint to);
void probe_found(struct probe *p, enum probe_item item, int value);
/* What else was seen, of an item that was found. */
void probe_remark(struct probe *p, enum probe_item item, const char *note, ...)
	__attribute__((format(printf, 3, 4)));
void probe_unknown(struct probe *p, enum probe_item item, const char *why, ...)
	__attribute__((format(printf, 3, 4)));
/* What is asked now is put off until old mappings have ended. */
void probe_rest(struct probe *p);
/* Answered with success, and so with an address. */
bool probe_mapped(const struct exchange *e);
/* The server's four corners: its own or other address, own or other port. */
struct endpoint probe_corner(const struct probe *p, bool other_ip,
			     bool other_port);
bool probe_translated(const struct probe *p);
bool probe_knows(const struct probe *p, enum probe_item item, int value);

bool probe_has_peer(const struct probe *p);

/* --- probe_ask.c, probe_ports.c, probe_time.c ---------------------------- */

/* True (and says why) where ITEM needs the server's second address. */
bool probe_lacks_other(struct probe *p, enum probe_item item);
/* "no answer" and the like, of an exchange without address. */
const char *probe_failure(const struct exchange *e, char text[static 80]);

extern const struct probe_stage probe_stages[];
extern const unsigned probe_stage_count;

void probe_ports_start(struct probe *p);
bool probe_ports_finish(struct probe *p);
void probe_shared_start(struct probe *p);
bool probe_shared_finish(struct probe *p);
void probe_lifetime_start(struct probe *p);
bool probe_lifetime_finish(struct probe *p);
void probe_refresh_start(struct probe *p);
bool probe_refresh_finish(struct probe *p);

#endif
