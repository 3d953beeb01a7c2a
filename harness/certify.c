/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/certify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/probe_io.h"
#include "harness/run.h"
#include "wire/stun.h"

enum { STUN_SERVERS = 2, HOSTS_EACH = 2, OUTSIDE = 2 };

/* The lab that is made for measuring: a router, two hosts, another router... */
struct measuring {
	struct scenario lab;
	const struct scenario *asked;
	unsigned *routers; /* of the asked plan, those to be measured */
	unsigned count;
	unsigned outside[OUTSIDE]; /* where the exam's packets go */
	struct certify_measured *measured; /* one a measured router */
};

static bool alike(const struct lab_plan_node *a, const struct lab_plan_node *b)
{
	return nat_equal(&a->nat, &b->nat) &&
	       lab_wants_engine(a) == lab_wants_engine(b);
}

/* Which of those to be measured stands for node I; or -1. */
static int stand_in(const struct measuring *m, unsigned i)
{
	const struct lab_plan_node *nodes = m->asked->plan.nodes;

	for (unsigned k = 0; k < m->count; k++)
		if (alike(&nodes[m->routers[k]], &nodes[i]))
			return (int)k;
	return -1;
}

/* --- the plan ------------------------------------------------------------- */

static unsigned add_node(struct measuring *m, enum lab_kind kind, int router,
			 const char *name, unsigned number)
{
	struct lab_plan *plan = &m->lab.plan;
	struct lab_plan_node *node = &plan->nodes[plan->count];

	*node = (struct lab_plan_node){.kind = kind, .router = router};
	snprintf(node->name, sizeof(node->name), "%s%u", name, number);
	return plan->count++;
}

static void add_router(struct measuring *m, unsigned number)
{
	const struct lab_plan_node *asked =
		&m->asked->plan.nodes[m->routers[number]];
	unsigned router = add_node(m, LAB_ROUTER, -1, "router", number);

	m->lab.plan.nodes[router].nat = asked->nat;
	m->lab.plan.nodes[router].force_engine = asked->force_engine;
	for (unsigned i = 0; i < HOSTS_EACH; i++)
		add_node(m, LAB_HOST, (int)router, "host",
			 number * HOSTS_EACH + i);
}

static int make_plan(struct measuring *m)
{
	const struct scenario *s = m->asked;

	m->routers = calloc(s->plan.count + 1, sizeof(*m->routers));
	if (!m->routers)
		return -ENOMEM;
	for (unsigned i = 0; i < s->plan.count; i++)
		if (s->plan.nodes[i].kind == LAB_ROUTER && stand_in(m, i) < 0)
			m->routers[m->count++] = i;
	m->measured = calloc(m->count + 1, sizeof(*m->measured));
	m->lab.plan.nodes = calloc(m->count * (1 + HOSTS_EACH) + STUN_SERVERS +
					   OUTSIDE + 1,
				   sizeof(*m->lab.plan.nodes));
	if (!m->measured || !m->lab.plan.nodes)
		return -ENOMEM;
	m->lab.seed = s->seed;
	for (unsigned i = 0; i < m->count; i++)
		add_router(m, i);
	for (unsigned i = 0; i < STUN_SERVERS; i++)
		m->lab.stun_nodes[m->lab.stun_count++] =
			add_node(m, LAB_SERVER, -1, "stun", i);
	for (unsigned i = 0; i < OUTSIDE; i++)
		m->outside[i] = add_node(m, LAB_SERVER, -1, "outside", i);
	m->lab.control_node = add_node(m, LAB_SERVER, -1, "control", 0);
	return 0;
}

static void measuring_end(struct measuring *m)
{
	free(m->routers);
	free(m->measured);
	free(m->lab.plan.nodes);
}

/* --- measuring ------------------------------------------------------------ */

/* Long enough to see the end of what was asked for. */
static uint64_t longest_us(const struct nat *nat)
{
	unsigned longest_s = 60;

	if (nat->udp_timeout_s > longest_s)
		longest_s = nat->udp_timeout_s;
	if (nat->udp_stream_timeout_s > longest_s)
		longest_s = nat->udp_stream_timeout_s;
	return (longest_s + longest_s / 2) * UINT64_C(1000000);
}

/* A router is followed in the plan by its hosts. */
static unsigned router_of(unsigned number)
{
	return number * (1 + HOSTS_EACH);
}

/* When nothing is left of any mapping; of a block there are few. */
static uint64_t rest_us(const struct lab_plan_node *node)
{
	const struct nat filled = nat_filled(&node->nat, NAT_BY_ENGINE);
	const struct nat *nat = &filled;
	const unsigned timeouts_s[] = {nat->udp_timeout_s,
				       nat->udp_stream_timeout_s,
				       nat->tcp_timeout_s,
				       nat->tcp_transitory_timeout_s,
				       nat->icmp_timeout_s};
	unsigned longest = 0;

	for (unsigned i = 0; i < sizeof(timeouts_s) / sizeof(*timeouts_s); i++)
		if (timeouts_s[i] > longest)
			longest = timeouts_s[i];
	return nat->ports == NAT_PORTS_BLOCK ?
		       (longest + 1) * UINT64_C(1000000) : 0;
}

static int probe_one(struct measuring *m, unsigned number,
		     struct driver *driver, struct lab *lab, struct err *err)
{
	unsigned router = router_of(number);
	struct probe_config config = {
		.server = {lab->nodes[m->lab.stun_nodes[0]].ifaces[0].ip,
			   STUN_PORT},
		.lifetime = true,
		.lifetime_max_us = longest_us(&m->lab.plan.nodes[router].nat),
		.rest_us = rest_us(&m->lab.plan.nodes[router]),
		.seed = m->lab.seed};

	return probe_in_lab(driver, lab, router + 1, (int)router + 2, &config,
			    &m->measured[number].probe, err);
}

static int exam_one(struct measuring *m, unsigned number,
		    struct driver *driver, struct lab *lab, struct raw *raw,
		    struct err *err)
{
	unsigned router = router_of(number);
	const struct lab_plan_node *node = &m->lab.plan.nodes[router];
	enum nat_by by = lab_wants_engine(node) ? NAT_BY_ENGINE :
						  NAT_BY_NETFILTER;
	struct nat nat = nat_filled(&node->nat, by);
	struct exam_config config = {
		.router = router,
		.inside = {router + 1, router + 2},
		.outside = {m->outside[0], m->outside[1]},
		.udp_blocked = nat.udp_blocked,
		.tcp_timeout_s = nat.tcp_timeout_s,
		.tcp_transitory_s = nat.tcp_transitory_timeout_s,
		.icmp_timeout_s = nat.icmp_timeout_s,
		.absolute = nat.lifetime == NAT_LIFETIME_ABSOLUTE,
		.rest_us = rest_us(node)};

	return exam_in_lab(driver, lab, raw, &config,
			   &m->measured[number].exam, err);
}

/* From now on no kernel answers what the exam sends. */
static int deafen_all(const struct measuring *m, struct lab *lab,
		      struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < m->count && !ret; i++)
		for (unsigned k = 1; k <= HOSTS_EACH && !ret; k++)
			ret = lab_deafen(lab, &lab->nodes[router_of(i) + k],
					 err);
	for (unsigned i = 0; i < OUTSIDE && !ret; i++)
		ret = lab_deafen(lab, &lab->nodes[m->outside[i]], err);
	return ret;
}

static int measure(void *arg, struct driver *driver, struct lab *lab,
		   const struct scenario *s, struct err *err)
{
	struct measuring *m = arg;
	struct raw *raw;
	int ret = 0;

	(void)s; /* m->lab */
	for (unsigned i = 0; i < m->count && !ret; i++)
		ret = probe_one(m, i, driver, lab, err);
	if (!ret)
		ret = deafen_all(m, lab, err);
	if (ret)
		return ret;
	raw = raw_new(err);
	if (!raw)
		return -EPERM;
	for (unsigned i = 0; i < m->count && !ret; i++)
		ret = exam_one(m, i, driver, lab, raw, err);
	raw_free(raw);
	return ret;
}

static int measure_all(struct measuring *m, int interrupt_fd, struct err *err)
{
	struct run_options options = {.interrupt_fd = interrupt_fd};
	int ret = make_plan(m);

	if (ret)
		return err_set(err, ENOMEM, "no memory to certify routers");
	if (!m->count)
		return 0;
	options.recording_fd = memfd_create("certificate", MFD_CLOEXEC);
	if (options.recording_fd < 0)
		return err_set(err, errno, "no room for a recording: %s",
			       strerror(errno));
	ret = run_inside(&m->lab, &options, measure, m, err);
	close(options.recording_fd);
	return ret;
}

/* --- JSON and text -------------------------------------------------------- */

static const char *const state_names[] = {
	[CERTIFY_MET] = "met",
	[CERTIFY_BROKEN_AS_ASKED] = "broken-as-asked",
	[CERTIFY_BROKEN] = "broken",
	[CERTIFY_NOT_MEASURED] = "not-measured"};

static json_t *certificate_json(const char *router,
				const struct certificate *c)
{
	json_t *lines = json_array(), *lies = json_array();

	for (unsigned i = 0; i < c->count; i++) {
		const struct certify_line *l = &c->lines[i];

		json_array_append_new(
			lines, json_pack("{s:s, s:s, s:s, s:b, s:s, s:s?}",
					 "requirement", l->requirement, "says",
					 l->says, "state",
					 state_names[l->state], "lies", l->lies,
					 "got", l->got, "how", l->how));
		if (l->lies)
			json_array_append_new(
				lies, json_sprintf("%s: %s", l->says, l->got));
	}
	return json_pack("{s:s, s:o, s:o}", "router", router, "lies", lies,
			 "lines", lines);
}

int certify_scenario(const struct scenario *s, int interrupt_fd, json_t **json,
		     unsigned *lies, struct err *err)
{
	struct measuring m = {.asked = s};
	struct certificate c;
	int ret = measure_all(&m, interrupt_fd, err);

	*json = ret ? NULL : json_array();
	*lies = 0;
	for (unsigned i = 0; !ret && i < s->plan.count; i++) {
		const struct lab_plan_node *node = &s->plan.nodes[i];

		if (node->kind != LAB_ROUTER)
			continue;
		certify_judge(&node->nat,
			      lab_wants_engine(node) ? NAT_BY_ENGINE :
						       NAT_BY_NETFILTER,
			      &m.measured[stand_in(&m, i)], &c);
		*lies += c.lies > 0;
		json_array_append_new(*json, certificate_json(node->name, &c));
	}
	measuring_end(&m);
	return ret;
}

enum { WIDTH = 80, NAME_WIDTH = 17, STATE_WIDTH = 17 };

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* How it was measured is of interest where it is not as it should be. */
static void print_line(const json_t *line, unsigned indent, FILE *out)
{
	char text[512], state[32];
	bool met = !strcmp(text_of(line, "state"), "met") &&
		   !json_is_true(json_object_get(line, "lies"));
	const char *rest = text, *how = met ? "" : text_of(line, "how");
	unsigned at = indent + NAME_WIDTH + STATE_WIDTH;

	snprintf(state, sizeof(state), "%s",
		 json_is_true(json_object_get(line, "lies")) ?
			 "LIES" : text_of(line, "state"));
	for (char *c = state; *c; c++)
		if (*c == '-')
			*c = ' ';
	snprintf(text, sizeof(text), "%s: %s%s%s%s", text_of(line, "says"),
		 text_of(line, "got"), *how ? " (" : "", how, *how ? ")" : "");
	fprintf(out, "%*s%-*s%-*s", (int)indent, "", NAME_WIDTH,
		text_of(line, "requirement"), STATE_WIDTH, state);
	while (strlen(rest) > WIDTH - at) {
		unsigned cut = WIDTH - at;

		while (cut && rest[cut] != ' ')
			cut--;
		if (!cut)
			cut = WIDTH - at;
		fprintf(out, "%.*s\n%*s", (int)cut, rest, (int)at, "");
		rest += cut + (rest[cut] == ' ');
	}
	fprintf(out, "%s\n", rest);
}

void certify_text(const json_t *json, unsigned indent, bool all, FILE *out)
{
	size_t i, k;
	json_t *router, *line;

	json_array_foreach(json, i, router) {
		bool lies = json_array_size(json_object_get(router, "lies"));

		if (!all && !lies)
			continue;
		fprintf(out, "%*srouter %s %s\n", (int)indent, "",
			text_of(router, "router"),
			lies ? "is not what was asked for" :
			       "is what was asked for");
		json_array_foreach(json_object_get(router, "lines"), k, line)
			print_line(line, indent + 2, out);
	}
}
