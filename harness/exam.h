/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exam: what a router of a lab does to crafted packets: what the probe's STUN
 * requests cannot show. TCP (RFC 5382) without the kernel's TCP and its timers,
 * ICMP queries and errors (RFC 5508), fragments out of order, packets that are
 * too big, payloads that an ALG would change.
 *
 *   exam_in_lab -> exam_report
 *
 * Each question sends from ports of its own; what a packet became is told by
 * what was heard on the wire at the other side, never by a socket.
 */
#ifndef NATRIG_HARNESS_EXAM_H
#define NATRIG_HARNESS_EXAM_H

#include "harness/driver.h"
#include "harness/probe.h"
#include "harness/raw.h"

/* One more question is one more value, a row in exam.c, and a function. */
enum exam_item {
	EXAM_CHECKSUMS, /* 1: all that came through were right; 0 */
	EXAM_NETWORKS,	/* 1: inside and outside addresses do not overlap */
	EXAM_ALG,	/* 1: SIP and FTP arrive as they were sent; 0 */
	EXAM_UDP_ERROR, /* 1: an ICMP error for a UDP flow comes in; 0 */
	EXAM_UDP_ERROR_KEEPS, /* 1: the mapping is there afterwards; 0 */
	EXAM_TOO_BIG,	      /* 1: "fragmentation needed" comes back; 0 */
	EXAM_FRAGMENTS_OUT,   /* 1: out of order, they pass; 0 */
	EXAM_FRAGMENTS_IN,
	EXAM_STRAY_UDP, /* enum exam_stray */
	EXAM_UDP_SHARED, /* enum probe_shared: with another destination */
	EXAM_TCP_MAPPING, /* enum probe_dependence */
	EXAM_TCP_HANDSHAKE, /* 1: open, data both ways, closed; 0 */
	EXAM_TCP_SIMULTANEOUS, /* 1: two SYNs that cross make one; 0 */
	EXAM_TCP_FILTERING, /* enum probe_dependence */
	EXAM_TCP_STRAY,	    /* enum exam_stray */
	EXAM_TCP_LIFETIME, /* seconds, established */
	EXAM_TCP_TRANSITORY, /* seconds, after a SYN */
	EXAM_TCP_SHARED,     /* enum probe_shared */
	EXAM_TCP_HAIRPIN,    /* enum probe_hairpin */
	EXAM_TCP_ERROR,	     /* 1: an ICMP error for a connection comes in */
	EXAM_TCP_ERROR_KEEPS, /* 1: which works on; 0 */
	EXAM_ICMP_QUERY,      /* 1: echo and its reply pass; 0 */
	EXAM_ICMP_LIFETIME,   /* seconds */
	EXAM_ICMP_FORGED, /* 1: an error with a wrong checksum is dropped; 0 */
	EXAM_ICMP_ERROR,  /* 1: an error for a query comes in; 0 */
	EXAM_ICMP_ERROR_OUT, /* 1: an error from inside goes out; 0 */
	EXAM_ICMP_ERROR_KEEPS, /* 1: neither refreshes nor ends a query; 0 */
	EXAM_ICMP_HAIRPIN,     /* 1: errors come back by the outside; 0 */
	EXAM_REFUSED, /* 1: a refused flow is told (code 13); 0 */
	EXAM_TTL,     /* 1: "time exceeded" comes from the router; 0 */
	EXAM_ITEMS
};

#define EXAM_VALUE_BYTES 48

enum exam_stray {
	EXAM_STRAY_SILENT,
	EXAM_STRAY_LATE,    /* an ICMP error, but not for 6 s */
	EXAM_STRAY_ICMP,    /* at once */
	EXAM_STRAY_RESET    /* a TCP RST, at once */
};

struct exam_config {
	unsigned router, inside[2], outside[2]; /* nodes of the lab's plan */
	bool udp_blocked; /* as asked: no question of UDP is put */
	/*
	 * Timeouts to look around, in seconds; what is measured need not be
	 * there. Never 0.
	 */
	unsigned tcp_timeout_s, tcp_transitory_s, icmp_timeout_s;
	/* Timeouts of the two TCP states run from a mapping's making. */
	bool absolute;
	/*
	 * Where a host has few ports: so long is waited before each question,
	 * until all mappings of those before have ended. 0: not at all.
	 */
	uint64_t rest_us;
};

struct exam_report {
	struct probe_finding findings[EXAM_ITEMS];
};

/*
 * The inside and outside nodes' own stacks must be deaf (lab_deafen). RAW may
 * serve any number of exams. 0, or a negative errno where the lab breaks.
 */
int exam_in_lab(struct driver *driver, struct lab *lab, struct raw *raw,
		const struct exam_config *config, struct exam_report *report,
		struct err *err);

/* "yes", "7440 s", "address-dependent" ... in TEXT. */
const char *exam_value_words(enum exam_item item, int value,
			     char text[static EXAM_VALUE_BYTES]);

#endif
