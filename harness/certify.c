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

enum { STUN_SERVERS = 2, HOSTS_EACH = 2 };

/* The lab that is made for measuring: a router, two hosts, another router... */
struct measuring {
	struct scenario lab;
	const struct scenario *asked;
	unsigned *routers; /* of the asked plan, those to be measured */
	unsigned count;
	struct probe_report *reports; /* one a measured router */
};

static bool alike(const struct lab_plan_node *a, const struct lab_plan_node *b)
{
	return !memcmp(&a->nat, &b->nat, sizeof(a->nat));
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
	unsigned router = add_node(m, LAB_ROUTER, -1, "router", number);

	m->lab.plan.nodes[router].nat =
		m->asked->plan.nodes[m->routers[number]].nat;
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
	m->reports = calloc(m->count + 1, sizeof(*m->reports));
	m->lab.plan.nodes = calloc(m->count * (1 + HOSTS_EACH) + STUN_SERVERS +
					   1,
				   sizeof(*m->lab.plan.nodes));
	if (!m->reports || !m->lab.plan.nodes)
		return -ENOMEM;
	m->lab.seed = s->seed;
	for (unsigned i = 0; i < m->count; i++)
		add_router(m, i);
	for (unsigned i = 0; i < STUN_SERVERS; i++)
		m->lab.stun_nodes[m->lab.stun_count++] =
			add_node(m, LAB_SERVER, -1, "stun", i);
	m->lab.control_node = add_node(m, LAB_SERVER, -1, "control", 0);
	return 0;
}

static void measuring_end(struct measuring *m)
{
	free(m->routers);
	free(m->reports);
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

static int measure(void *arg, struct driver *driver, struct lab *lab,
		   const struct scenario *s, struct err *err)
{
	struct measuring *m = arg;
	int ret = 0;

	for (unsigned i = 0; i < m->count && !ret; i++) {
		unsigned host = i * (1 + HOSTS_EACH) + 1;
		struct probe_config config = {
			.server = {lab->nodes[s->stun_nodes[0]].ifaces[0].ip,
				   STUN_PORT},
			.lifetime = true,
			.lifetime_max_us =
				longest_us(&s->plan.nodes[host - 1].nat),
			.seed = s->seed};

		ret = probe_in_lab(driver, lab, host, (int)host + 1, &config,
				   &m->reports[i], err);
	}
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
		certify_judge(&node->nat, &m.reports[stand_in(&m, i)], &c);
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
