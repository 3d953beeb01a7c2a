/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb that asks what NAT this is: in a lab, or on the network at hand. */
#include "harness/commands.h"
#include "harness/interrupt.h"
#include "harness/nearest.h"
#include "harness/pool.h"
#include "harness/probe_io.h"
#include "harness/probe_report.h"
#include "harness/run.h"
#include "netns/sandbox.h"
#include "wire/stun.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char help[] =
	"Usage: natrig probe [OPTION]... FILE HOST\n"
	"       natrig probe [OPTION]... --stun SERVER[:PORT]\n"
	"\n"
	"What NAT is this? Asks a STUN server with two addresses (RFC 5780) how\n"
	"packets are mapped and filtered, and says it in RFC 4787's words. What\n"
	"cannot be found out is said with the reason.\n"
	"\n"
	"With FILE and HOST: builds the scenario's lab, does its steps up to the\n"
	"first ping, and asks from HOST, in skipped time. Where another host is\n"
	"behind the same router, it takes part. With --stun: asks from this\n"
	"machine, on the network it is in, in real time (about ten seconds).\n"
	"\n"
	"      --stun SERVER[:PORT]  ask this server, build no lab\n"
	"      --lifetime[=SECONDS]  how long mappings live, up to SECONDS\n"
	"                            (default 600). In a lab this is asked anyway;\n"
	"                            in real time it takes ten times as long as\n"
	"                            they live\n"
	"      --json                one JSON object\n"
	"  -h, --help                this\n"
	"\n"
	"Exit status: 0 the server answered, see what was found; 1 it did not;\n"
	"2 usage or a bad scenario; 3 this machine cannot run it; 130\n"
	"interrupted.\n";

struct options {
	const char *stun;
	bool json, lifetime;
	unsigned lifetime_s;
};

struct probing {
	const struct options *options;
	const struct scenario *scenario;
	unsigned host;
	int interrupt_fd;
	struct probe_report report;
};

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{"stun", required_argument, NULL, 'S'},
		{"lifetime", optional_argument, NULL, 'L'},
		{"json", no_argument, NULL, 'J'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1)
		switch (c) {
		case 'S':
			o->stun = optarg;
			break;
		case 'L':
			o->lifetime = true;
			if (!optarg)
				break;
			o->lifetime_s = (unsigned)strtoul(optarg, &end, 10);
			if (*end || !o->lifetime_s || o->lifetime_s > 86400)
				return usage_error("probe", "--lifetime wants "
						   "seconds from 1 to 86400, "
						   "not '%s'", optarg);
			break;
		case 'J':
			o->json = true;
			break;
		case 'h':
			print_help(help);
			exit(EXIT_HOLDS);
		default:
			return bad_option("probe", argv, options);
		}
	if (o->stun && optind != argc)
		return usage_error("probe", "--stun and a scenario exclude "
				   "each other");
	if (!o->stun && argc - optind != 2)
		return usage_error("probe", "wants FILE HOST, or --stun "
				   "SERVER");
	return 0;
}

static struct probe_config make_config(const struct options *o)
{
	return (struct probe_config){
		.lifetime = o->lifetime,
		.lifetime_max_us = o->lifetime_s * UINT64_C(1000000)};
}

static int print_report(const struct probe_report *r, bool as_json)
{
	json_t *json;

	if (as_json) {
		json = probe_report_json(r);
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(json);
	} else {
		probe_report_text(r, stdout);
	}
	if (fflush(stdout)) {
		fprintf(stderr, "natrig probe: cannot write: %s\n",
			strerror(errno));
		return EXIT_USAGE;
	}
	return r->mapped.ip ? EXIT_HOLDS : EXIT_FALLS_SHORT;
}

/* --- in a lab ------------------------------------------------------------- */

/* A second host behind the same router, or -1. */
static int find_peer(const struct scenario *s, unsigned host)
{
	int router = s->plan.nodes[host].router;

	for (unsigned i = 0; i < s->host_count && router >= 0; i++)
		if (s->hosts[i].node != host &&
		    s->plan.nodes[s->hosts[i].node].router == router)
			return (int)s->hosts[i].node;
	return -1;
}

static int inside(void *arg, struct driver *driver, struct lab *lab,
		  const struct scenario *s, struct err *err)
{
	struct probing *p = arg;
	struct probe_config config = make_config(p->options);
	int ret;

	if (!s->stun_count)
		return err_set(err, ENOENT, "the scenario has no STUN server");
	config.server = (struct endpoint){
		lab->nodes[s->stun_nodes[0]].ifaces[0].ip, STUN_PORT};
	config.seed = s->seed;
	config.lifetime = true; /* skipped time costs nothing */
	ret = probe_in_lab(driver, lab, p->host, find_peer(s, p->host),
			   &config, &p->report, err);
	return ret;
}

static int in_sandbox(void *arg)
{
	struct probing *p = arg;
	struct run_options options = {.interrupt_fd = interrupt_open(NULL)};
	struct err err = {0};
	int ret;

	options.recording_fd = memfd_create("recording", MFD_CLOEXEC);
	pool_pin_cpu(0);
	ret = run_inside(p->scenario, &options, inside, p, &err);
	recorder_wait_closed();
	if (ret == -EINTR)
		return EXIT_INTERRUPTED;
	if (ret) {
		print_err(&err);
		return EXIT_CANNOT_RUN;
	}
	return print_report(&p->report, p->options->json);
}

static int find_host(const struct scenario *s, const char *name)
{
	const char **words;
	const char *near;

	for (unsigned i = 0; i < s->host_count; i++)
		if (!strcmp(s->plan.nodes[s->hosts[i].node].name, name))
			return (int)s->hosts[i].node;
	words = calloc(s->host_count + 1, sizeof(*words));
	for (unsigned i = 0; words && i < s->host_count; i++)
		words[i] = s->plan.nodes[s->hosts[i].node].name;
	near = words ? nearest_word(name, words) : NULL;
	usage_error("probe", "%s has no host '%s'%s%s%s", s->file, name,
		    near ? "; did you mean '" : "", near ? near : "",
		    near ? "'?" : "");
	free(words);
	return -1;
}

static int probe_lab(const struct options *o, const char *file,
		     const char *name)
{
	struct scenario *s = NULL;
	struct probing p = {.options = o};
	struct err err = {0};
	int host, status = EXIT_USAGE;

	if (scenario_read(file, &s, &err)) {
		print_err(&err);
		return EXIT_USAGE;
	}
	host = find_host(s, name);
	if (host >= 0) {
		p.scenario = s;
		p.host = (unsigned)host;
		fflush(NULL);
		if (sandbox_run(in_sandbox, &p, &status, &err)) {
			fprintf(stderr, "natrig: this machine cannot run a "
				"lab: %s\nnatrig: see natrig doctor\n",
				err.text);
			status = EXIT_CANNOT_RUN;
		}
	}
	scenario_free(s);
	return status;
}

/* --- on the real network -------------------------------------------------- */

/* SERVER[:PORT] into an IPv4 endpoint; 0, or EXIT_ after the words. */
static int resolve(const char *text, struct endpoint *server)
{
	static const struct addrinfo hints = {.ai_family = AF_INET,
					      .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found = NULL;
	char host[256];
	const char *colon = strrchr(text, ':');
	unsigned long port = STUN_PORT;
	char *end = NULL;
	int ret;

	if (colon)
		port = strtoul(colon + 1, &end, 10);
	if ((end && (*end || end == colon + 1)) || !port || port > 65535)
		return usage_error("probe", "--stun wants SERVER[:PORT] with a "
				   "port from 1 to 65535, not '%s'", text);
	snprintf(host, sizeof(host), "%.*s",
		 (int)(colon ? (size_t)(colon - text) : strlen(text)), text);
	ret = getaddrinfo(host, NULL, &hints, &found);
	if (ret) {
		fprintf(stderr, "natrig probe: no IPv4 address of '%s': %s\n",
			host, gai_strerror(ret));
		return EXIT_USAGE;
	}
	*server = (struct endpoint){
		ntohl(((struct sockaddr_in *)(void *)found->ai_addr)
			      ->sin_addr.s_addr),
		(uint16_t)port};
	freeaddrinfo(found);
	return 0;
}

static void show_progress(void *arg, const char *what)
{
	(void)arg;
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s%s", what, *what ? " ..." : "");
	fflush(stderr);
}

static int probe_network(const struct options *o)
{
	struct probe_io_options io = {.progress = show_progress};
	struct probe_config config = make_config(o);
	struct probe_report report = {0};
	struct err err = {0};
	int ret = resolve(o->stun, &config.server);

	if (ret)
		return ret;
	randombytes_buf(&config.seed, sizeof(config.seed));
	io.interrupt_fd = interrupt_open(NULL);
	ret = probe_real(&config, &io, &report, &err);
	show_progress(NULL, "");
	if (ret == -EINTR)
		return EXIT_INTERRUPTED;
	if (ret) {
		print_err(&err);
		return EXIT_CANNOT_RUN;
	}
	return print_report(&report, o->json);
}

int cmd_probe(int argc, char **argv)
{
	struct options o = {0};
	int status = read_options(argc, argv, &o);

	if (status)
		return status;
	return o.stun ? probe_network(&o) :
			probe_lab(&o, argv[optind], argv[optind + 1]);
}
