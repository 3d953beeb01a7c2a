/* SPDX-License-Identifier: BSD-3-Clause */
/* The questions about ports: which ones, and what if two hosts want one. */
#include "harness/probe_private.h"

#include <stdlib.h>

/* --- ports: allocation, parity, pooling ---------------------------------- */

/* One at a time, so that the order of the mappings is known. */
void probe_ports_start(struct probe *p)
{
	p->scratch_port = probe_take_port(p);
	probe_ask(p, p->scratch_port, p->config.server);
}

static bool all_steps(const struct probe_report *r, int low, int high)
{
	for (unsigned i = 1; i < r->sample_count; i++) {
		int step = r->samples[i].mapped.port -
			   r->samples[i - 1].mapped.port;

		if (step < low || step > high)
			return false;
	}
	return true;
}

static bool all_shifted(const struct probe_report *r, int by)
{
	for (unsigned i = 0; i < r->sample_count; i++)
		if (r->samples[i].mapped.port - r->samples[i].local_port != by)
			return false;
	return true;
}

/* Other hosts may take a port in between: so up to that is still a step. */
enum { LONGEST_STEP = 16 };

static void judge_allocation(struct probe *p)
{
	struct probe_report *r = &p->report;
	int shift = r->samples[0].mapped.port - r->samples[0].local_port;
	int step = r->samples[1].mapped.port - r->samples[0].mapped.port;
	unsigned preserved = 0;

	for (unsigned i = 0; i < r->sample_count; i++)
		preserved += r->samples[i].mapped.port ==
			     r->samples[i].local_port;
	if (preserved * 2 > r->sample_count) {
		probe_found(p, PROBE_ALLOCATION, PROBE_PRESERVED);
		if (preserved < r->sample_count)
			probe_remark(p, PROBE_ALLOCATION, "%u of %u",
				     preserved, r->sample_count);
	} else if (all_shifted(r, shift)) {
		r->step = shift;
		probe_found(p, PROBE_ALLOCATION, PROBE_SHIFTED);
		probe_remark(p, PROBE_ALLOCATION, "%+d from the local port",
			     shift);
	} else if (all_steps(r, 1, LONGEST_STEP) ||
		   all_steps(r, -LONGEST_STEP, -1)) {
		r->step = step;
		probe_found(p, PROBE_ALLOCATION, PROBE_SEQUENTIAL);
		probe_remark(p, PROBE_ALLOCATION,
			     all_steps(r, step, step) ? "step %d" :
							"about %d a step",
			     step);
	} else {
		probe_found(p, PROBE_ALLOCATION, PROBE_RANDOM);
	}
}

static void judge_parity(struct probe *p)
{
	const struct probe_report *r = &p->report;
	bool kept = true;

	if (probe_knows(p, PROBE_ALLOCATION, PROBE_PRESERVED)) {
		probe_found(p, PROBE_PARITY, 1);
		return;
	}
	for (unsigned i = 0; i < r->sample_count; i++)
		kept = kept && !((r->samples[i].mapped.port ^
				  r->samples[i].local_port) & 1);
	probe_found(p, PROBE_PARITY, kept);
}

static void judge_pooling(struct probe *p)
{
	const struct probe_report *r = &p->report;

	for (unsigned i = 0; i < r->sample_count; i++)
		if (r->samples[i].mapped.ip != r->mapped.ip) {
			probe_found(p, PROBE_POOLING, PROBE_ARBITRARY);
			return;
		}
	probe_found(p, PROBE_POOLING, PROBE_PAIRED);
	probe_remark(p, PROBE_POOLING, "one address seen");
}

bool probe_ports_finish(struct probe *p)
{
	struct probe_report *r = &p->report;
	const struct exchange *e = &p->exchanges[0];

	if (probe_mapped(e))
		r->samples[r->sample_count++] = (struct probe_sample){
			p->config.ports[p->scratch_port], e->answer.mapped};
	if (p->phase + 1 < PROBE_SAMPLES)
		return true;
	if (r->sample_count < PROBE_SAMPLES / 2) {
		for (unsigned i = PROBE_ALLOCATION; i <= PROBE_POOLING; i++)
			probe_unknown(p, i, "%u of %u questions from fresh "
				      "ports were answered", r->sample_count,
				      (unsigned)PROBE_SAMPLES);
		return false;
	}
	judge_allocation(p);
	judge_parity(p);
	judge_pooling(p);
	return false;
}

/* --- two hosts on one port ------------------------------------------------ */

void probe_shared_start(struct probe *p)
{
	struct exchange *e;

	if (!probe_has_peer(p)) {
		probe_unknown(p, PROBE_SHARED_PORT, "needs a second host "
			      "behind the same NAT");
		probe_unknown(p, PROBE_DETERMINISM, "needs a second host "
			      "behind the same NAT");
		return;
	}
	if (!p->phase) {
		p->scratch_port = probe_take_port(p);
		probe_ask(p, p->scratch_port, p->config.server);
		return;
	}
	/* The second host, then its other destinations; each in its turn. */
	e = probe_ask(p, p->scratch_port,
		      p->phase == 1 ? p->config.server :
				      probe_corner(p, p->phase == 3, true));
	e->by_peer = true;
}

/* Two mappings made one after the other, by two hosts, and far apart. */
static void judge_block(struct probe *p, uint16_t first, uint16_t second)
{
	if (!probe_knows(p, PROBE_ALLOCATION, PROBE_SEQUENTIAL) ||
	    abs(second - first) <= 2 * LONGEST_STEP)
		return;
	probe_found(p, PROBE_ALLOCATION, PROBE_BLOCK);
	probe_remark(p, PROBE_ALLOCATION,
		     "step %d; the second host's are %+d away",
		     p->report.step, second - first);
}

static void judge_shared(struct probe *p, const struct exchange *e)
{
	struct endpoint first = p->shared_mapped[0];

	if (probe_mapped(e))
		judge_block(p, first.port, e->answer.mapped.port);

	if (e->strayed)
		/* Two mappings of one port: one host gets it all. */
		probe_found(p, PROBE_SHARED_PORT, PROBE_SHARED_OVERLOADED);
	else if (!probe_mapped(e))
		probe_found(p, PROBE_SHARED_PORT, PROBE_SHARED_REFUSED);
	else if (endpoint_equal(e->answer.mapped, first))
		probe_found(p, PROBE_SHARED_PORT, PROBE_SHARED_OVERLOADED);
	else
		probe_found(p, PROBE_SHARED_PORT, PROBE_SHARED_OTHER);
	if (probe_mapped(e))
		probe_remark(p, PROBE_SHARED_PORT, "ports %u and %u",
			     first.port, e->answer.mapped.port);
}

/* Is the second host's mapping of the same kind as the first's? */
static void judge_determinism(struct probe *p)
{
	const struct endpoint *m = p->shared_mapped;
	const struct probe_finding *first = &p->report.findings[PROBE_MAPPING];
	enum probe_dependence seen = PROBE_APD;

	if (first->state != PROBE_FOUND) {
		probe_unknown(p, PROBE_DETERMINISM,
			      "the first host's mapping is not known");
		return;
	}
	if (first->value == PROBE_UNTRANSLATED)
		seen = PROBE_UNTRANSLATED;
	else if (endpoint_equal(m[1], m[2]) && endpoint_equal(m[2], m[3]))
		seen = PROBE_EI;
	else if (endpoint_equal(m[1], m[2]))
		seen = PROBE_AD;
	probe_found(p, PROBE_DETERMINISM, (int)seen == first->value);
}

bool probe_shared_finish(struct probe *p)
{
	const struct exchange *e = &p->exchanges[0];
	char why[80];

	if (!p->count)
		return false;
	p->shared_mapped[p->phase] = (struct endpoint){0};
	if (probe_mapped(e))
		p->shared_mapped[p->phase] = e->answer.mapped;
	if (!p->phase && !probe_mapped(e)) {
		for (unsigned i = 0; i < 2; i++)
			probe_unknown(p, PROBE_SHARED_PORT + i, "%s",
				      probe_failure(e, why));
		return false;
	}
	if (p->phase == 1)
		judge_shared(p, e);
	if (p->phase == 1 && !probe_mapped(e))
		probe_unknown(p, PROBE_DETERMINISM,
			      "the second host gets no mapping to compare");
	else if (p->phase == 1 && probe_lacks_other(p, PROBE_DETERMINISM))
		return false;
	else if (p->phase < 3)
		return true;
	else
		judge_determinism(p);
	return false;
}
