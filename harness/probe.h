/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe: what NAT is between this host and the internet? Discovery as in
 * RFC 5780 against one STUN server with two addresses, in RFC 4787's words, as
 * a sans-I/O state machine (see actions.h).
 *
 *   probe_new -> probe_start -> probe_on_udp, probe_on_timer ... until
 *   probe_done -> probe_report -> probe_free
 *
 * Each question is asked from local ports of its own, since an answer to one
 * opens filters and takes ports that would spoil the next. What cannot be
 * found out is reported with the reason, never guessed.
 *
 * A second host behind the same NAT (only a lab has one at hand) lets it see
 * also what becomes of two hosts on one port. Host and peer use the same local
 * port numbers; the driver opens every port of config.ports on both.
 */
#ifndef NATRIG_HARNESS_PROBE_H
#define NATRIG_HARNESS_PROBE_H

#include "harness/actions.h"

#define PROBE_PORTS 64
#define PROBE_SAMPLES 8
#define PROBE_NOTE_BYTES 160

struct probe_config {
	struct endpoint server; /* STUN; of RFC 5780 if all is to be found */
	uint32_t ip;	  /* this host's own, towards the server */
	uint32_t peer_ip; /* of the second host; 0: there is none */
	/* Local UDP ports. Not evenly spaced: see the port samples. */
	uint16_t ports[PROBE_PORTS];
	uint64_t rto_us; /* to the second try, then doubled; 0: 500 ms */
	unsigned tries;	 /* 0: 3 */
	/* How long mappings live; takes about ten times as long as they do. */
	bool lifetime;
	uint64_t lifetime_max_us;  /* 0: 600 s */
	uint64_t lifetime_step_us; /* how exactly; 0: 1 s */
	/*
	 * Where a host has few ports: so long is waited before a question that
	 * needs new ones, until the mappings before have ended. 0: not at all.
	 */
	uint64_t rest_us;
	uint64_t seed;
};

/* One more question is one more value, and a row in probe_report.c. */
enum probe_item {
	PROBE_MAPPING,	   /* enum probe_dependence */
	PROBE_FILTERING,   /* enum probe_dependence */
	PROBE_ALLOCATION,  /* enum probe_allocation */
	PROBE_PARITY,	   /* 1: of ports that are not preserved; 0 */
	PROBE_POOLING,	   /* enum probe_pooling */
	PROBE_HAIRPIN,	   /* enum probe_hairpin */
	PROBE_FRAGMENTS_OUT, /* 1: they pass; 0 */
	PROBE_FRAGMENTS_IN,
	PROBE_SHARED_PORT, /* enum probe_shared */
	PROBE_DETERMINISM, /* 1: the second host is treated as the first; 0 */
	PROBE_LIFETIME,	   /* seconds, after one exchange */
	PROBE_STREAM_LIFETIME, /* seconds, after an exchange of some seconds */
	PROBE_REFRESH_OUT, /* 1: outbound packets prolong it; 0 */
	PROBE_REFRESH_IN,
	PROBE_ITEMS
};

enum probe_dependence {
	PROBE_EI,
	PROBE_AD,
	PROBE_APD,
	PROBE_UNTRANSLATED /* mapping only: the server sees the host itself */
};
enum probe_allocation {
	PROBE_PRESERVED,
	PROBE_SEQUENTIAL, /* each next one a step further, see step */
	PROBE_RANDOM,
	PROBE_SHIFTED, /* a constant away from the local port, see step */
	PROBE_BLOCK    /* sequential, and the peer's are far away */
};
enum probe_pooling { PROBE_PAIRED, PROBE_ARBITRARY };
enum probe_hairpin {
	PROBE_HAIRPIN_NONE,
	PROBE_HAIRPIN_INTERNAL, /* arrives with the sender's inside source */
	PROBE_HAIRPIN_EXTERNAL	/* with its mapped one: RFC 4787 REQ-9 a */
};
enum probe_shared {
	PROBE_SHARED_OTHER,   /* the second host gets another port */
	PROBE_SHARED_REFUSED, /* the second host gets nothing */
	PROBE_SHARED_OVERLOADED /* both have the same: RFC 4787 REQ-3 */
};

enum probe_state { PROBE_NOT_ASKED, PROBE_UNKNOWN, PROBE_FOUND };

struct probe_finding {
	enum probe_state state;
	int value; /* where FOUND */
	/* UNKNOWN: why. FOUND: what else was seen, or "". */
	char note[PROBE_NOTE_BYTES];
};

struct probe_sample {
	uint16_t local_port;
	struct endpoint mapped;
};

struct probe_report {
	struct endpoint server, other; /* other.ip 0: it told none */
	uint32_t ip;
	struct endpoint mapped; /* of the first question; ip 0: no answer */
	char software[64];	/* the server's, or "" */
	struct probe_finding findings[PROBE_ITEMS];
	/* New mappings to one destination, in order of their making. */
	struct probe_sample samples[PROBE_SAMPLES];
	unsigned sample_count;
	int step; /* of sequential and shifted allocation */
	unsigned sent, heard; /* packets */
};

struct probe;

struct probe *probe_new(const struct probe_config *config);
void probe_free(struct probe *p); /* NULL is legal */
void probe_start(struct probe *p, uint64_t now_us, struct actions *out);
/*
 * A datagram from SRC came to local port DST of the host or the peer. Whatever
 * is no answer to something asked is passed over.
 */
void probe_on_udp(struct probe *p, uint64_t now_us, struct endpoint src,
		  struct endpoint dst, const void *payload,
		  size_t payload_bytes, struct actions *out);
void probe_on_timer(struct probe *p, uint64_t now_us, struct actions *out);
uint64_t probe_deadline(const struct probe *p);
bool probe_done(const struct probe *p);
/* What is asked just now, for a progress line. Valid until the next call. */
const char *probe_stage(const struct probe *p);
/* Valid as long as P; complete once probe_done. */
const struct probe_report *probe_report(const struct probe *p);

/*
 * Fills config->ports: unevenly spaced, of both parities, from FIRST up to at
 * most FIRST + 1023. FIRST <= 64000.
 */
void probe_choose_ports(struct probe_config *config, uint16_t first);

#endif
