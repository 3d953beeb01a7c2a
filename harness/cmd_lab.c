/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb that draws a scenario's lab. Nothing is built for it. */
#include "harness/commands.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
	"Usage: natrig lab [--dot] FILE\n"
	"\n"
	"Draws the lab of a scenario as a tree: what is behind what, addresses,\n"
	"NATs, port mapping. Builds nothing and needs no privilege.\n"
	"\n"
	"      --dot    for Graphviz: natrig lab --dot FILE | dot -Tsvg >lab.svg\n"
	"  -h, --help   this\n"
	"\n"
	"Exit status: 0; 2 usage or a bad scenario.\n";

static const char *const kinds[] = {
	[LAB_HOST] = "host", [LAB_ROUTER] = "router", [LAB_SERVER] = "server"};

static const char *portmap_words(unsigned portmap, char text[static 40])
{
	snprintf(text, 40, "%s%s%s", portmap & LAB_PORTMAP_UPNP ? " upnp" : "",
		 portmap & LAB_PORTMAP_NAT_PMP ? " nat-pmp" : "",
		 portmap & LAB_PORTMAP_PCP ? " pcp" : "");
	return text;
}

/* --- tree ----------------------------------------------------------------- */

/* Wide enough for the deepest node's name. */
static unsigned name_width(const struct lab *lab)
{
	unsigned width = 0;

	for (unsigned i = 0; i < lab->count; i++) {
		unsigned need = (unsigned)strlen(lab->nodes[i].plan.name);
		int up = lab->nodes[i].plan.router;

		for (; up >= 0; up = lab->nodes[up].plan.router)
			need += 2;
		if (need > width)
			width = need;
	}
	return width;
}

static void print_node(const struct lab_node *n, unsigned depth, unsigned width)
{
	char ip[ENDPOINT_TEXT_BYTES], words[NAT_WORDS_BYTES], portmap[40];

	printf("%*s%-*s  %-6s  %s", (int)(2 + 2 * depth), "",
	       (int)(width - 2 * depth), n->plan.name, kinds[n->plan.kind],
	       endpoint_format_ip(n->ifaces[0].ip, ip));
	if (n->plan.kind == LAB_ROUTER) {
		printf(", lan %s/%u\n%*s  %s",
		       endpoint_format_ip(n->ifaces[1].ip, ip),
		       n->ifaces[1].prefix_bits, (int)(2 + width), "",
		       nat_words(&n->plan.nat, words));
		if (n->plan.portmap)
			printf("; portmap%s",
			       portmap_words(n->plan.portmap, portmap));
	}
	putchar('\n');
}

/* Those behind ROUTER (-1: the internet), and those behind them. */
static void print_behind(const struct lab *lab, int router, unsigned depth,
			 unsigned width)
{
	for (unsigned i = 0; i < lab->count; i++) {
		if (lab->nodes[i].plan.router != router)
			continue;
		print_node(&lab->nodes[i], depth, width);
		if (lab->nodes[i].plan.kind == LAB_ROUTER)
			print_behind(lab, (int)i, depth + 1, width);
	}
}

/* --- Graphviz ------------------------------------------------------------- */

static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text == '\n' ? ' ' : *text);
	}
	putchar('"');
}

static void print_dot_node(const struct lab_node *n)
{
	static const char *const shapes[] = {[LAB_HOST] = "box",
					     [LAB_ROUTER] = "house",
					     [LAB_SERVER] = "component"};
	char ip[ENDPOINT_TEXT_BYTES], words[NAT_WORDS_BYTES], portmap[40];

	printf("\t\"%s\" [shape=%s, label=\"%s\\n%s", n->plan.name,
	       shapes[n->plan.kind], n->plan.name,
	       endpoint_format_ip(n->ifaces[0].ip, ip));
	if (n->plan.kind == LAB_ROUTER) {
		printf("\\nlan %s/%u\\n%s",
		       endpoint_format_ip(n->ifaces[1].ip, ip),
		       n->ifaces[1].prefix_bits,
		       nat_words(&n->plan.nat, words));
		if (n->plan.portmap)
			printf("\\nportmap%s",
			       portmap_words(n->plan.portmap, portmap));
	}
	printf("\"];\n");
}

static void print_dot(const struct lab *lab, const char *title)
{
	printf("graph lab {\n\tlabel=");
	print_quoted(title);
	/* The internet's name has a blank: no node can be called so. */
	printf(";\n\t\"the internet\" [shape=ellipse, "
	       "label=\"internet\\n25.0.0.0/8\"];\n");
	for (unsigned i = 0; i < lab->count; i++)
		print_dot_node(&lab->nodes[i]);
	for (unsigned i = 0; i < lab->count; i++) {
		int router = lab->nodes[i].plan.router;

		printf("\t\"%s\" -- \"%s\";\n",
		       router < 0 ? "the internet" :
				    lab->nodes[router].plan.name,
		       lab->nodes[i].plan.name);
	}
	printf("}\n");
}

/* ------------------------------------------------------------------------- */

static int draw(const char *file, bool dot)
{
	struct scenario *s = NULL;
	struct lab *lab = NULL;
	struct err err = {0};
	int ret = scenario_read(file, &s, &err);

	if (!ret)
		ret = lab_sketch(&s->plan, &lab, &err);
	if (ret) {
		print_err(&err);
	} else if (dot) {
		print_dot(lab, s->title);
	} else {
		printf("%s\n\ninternet 25.0.0.0/8\n", s->title);
		print_behind(lab, -1, 0, name_width(lab));
	}
	lab_free(lab);
	scenario_free(s);
	return ret ? EXIT_USAGE : EXIT_HOLDS;
}

int cmd_lab(int argc, char **argv)
{
	static const struct option options[] = {
		{"dot", no_argument, NULL, 'D'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	bool dot = false;
	int c;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h')
			return print_help(help);
		if (c != 'D')
			return bad_option("lab", argv, options);
		dot = true;
	}
	if (argc - optind != 1)
		return usage_error("lab", "wants one scenario FILE");
	return draw(argv[optind], dot);
}
