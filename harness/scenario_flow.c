/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps that name packets: "x -> y [of ...]", blocks, and crafted packets. */
#include "harness/scenario_reader.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* --- words -------------------------------------------------------------- */

/* "->" is a word of its own, spaces or not. */
static size_t word_len(const char *p)
{
	const char *arrow = strstr(p, "->");
	size_t len = strcspn(p, " \t\n");

	if (arrow == p)
		return 2;
	return arrow && (size_t)(arrow - p) < len ? (size_t)(arrow - p) : len;
}

int reader_words(struct reader *r, const struct yaml_node *node,
		 const char *wanted, struct reader_words *words)
{
	const char *p;
	int ret = reader_kind(r, node, YAML_TEXT, wanted);

	words->count = 0;
	if (ret)
		return ret;
	for (p = node->text + strspn(node->text, " \t\n"); *p;
	     p += strspn(p, " \t\n")) {
		size_t len = word_len(p);

		if (words->count == READER_MAX_WORDS ||
		    len >= sizeof(words->text[0]))
			return reader_refuse_in(r, node,
						(size_t)(p - node->text),
						"%s expected", wanted);
		memcpy(words->text[words->count], p, len);
		words->text[words->count][len] = '\0';
		words->at[words->count++] = (size_t)(p - node->text);
		p += len;
	}
	return 0;
}

int reader_arrow(struct reader *r, const struct yaml_node *node,
		 const char *wanted, struct reader_words *words)
{
	int ret = reader_words(r, node, wanted, words);
	size_t at = 0;

	if (ret)
		return ret;
	if (words->count >= 3 && !strcmp(words->text[1], "->"))
		return 0;
	if (words->count > 1)
		at = words->at[1];
	return reader_refuse_in(r, node, at, "%s expected, not \"%.64s\"",
				wanted, node->text);
}

/* --- block, unblock ----------------------------------------------------- */

#define BLOCK_WANTED                                                           \
	"\"x -> y\" or \"x -> y of udp|tcp|PORT|udp PORT|tcp PORT\""

/* PORT of a word, or -EINVAL. */
static int parse_port(const char *word, uint16_t *port)
{
	unsigned number = 0;

	if (!*word || strlen(word) > 5 || word[strspn(word, "0123456789")])
		return -EINVAL;
	for (; *word; word++)
		number = number * 10 + (unsigned)(*word - '0');
	if (!number || number > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)number;
	return 0;
}

/* What stands behind "of": words 4 and 5. */
static int read_what(struct reader *r, const struct yaml_node *node,
		     const struct reader_words *w, struct step *step)
{
	static const char *const protos[] = {"udp", "tcp", "a port", NULL};
	unsigned port_word = 5;

	if (!strcmp(w->text[4], "udp"))
		step->proto = IPPROTO_UDP;
	else if (!strcmp(w->text[4], "tcp"))
		step->proto = IPPROTO_TCP;
	else
		port_word = 4;
	if (port_word == w->count)
		return 0;
	if (!parse_port(w->text[port_word], &step->port) &&
	    w->count == port_word + 1)
		return 0;
	if (port_word == 4 && parse_port(w->text[4], &step->port))
		return reader_unknown(r, node, w->at[4], "packets", w->text[4],
				      protos);
	return reader_refuse_in(r, node, w->at[5], "a port from 1 to 65535 "
				"expected after %s, and nothing more",
				w->text[4]);
}

/* `stun` stands for all STUN servers: step->y is then -2, see finish. */
static int read_block(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	struct step *step = into;
	struct reader_words w;
	int ret = reader_arrow(r, value, BLOCK_WANTED, &w);

	if (!ret)
		ret = reader_name(r, value, w.at[0], w.text[0],
				  READER_HOST | READER_SERVER, &step->x);
	if (ret)
		return ret;
	step->y = -2;
	if (strcmp(w.text[2], "stun"))
		ret = reader_name(r, value, w.at[2], w.text[2],
				  READER_HOST | READER_SERVER, &step->y);
	else if (!r->s->stun_count)
		ret = reader_refuse_in(r, value, w.at[2], "stun means every "
				       "STUN server, and there is none");
	if (!ret && step->x == step->y)
		ret = reader_refuse_in(r, value, w.at[2], "%s to itself never "
				       "passes a router", w.text[2]);
	if (ret || w.count == 3)
		return ret;
	if (strcmp(w.text[3], "of") || w.count < 5)
		return reader_refuse_in(r, value, w.at[3], BLOCK_WANTED
					" expected");
	return read_what(r, value, &w, step);
}

const struct reader_key reader_block_keys[] = {{"block", read_block, true},
					       {NULL, NULL, false}};
const struct reader_key reader_unblock_keys[] = {{"unblock", read_block, true},
						 {NULL, NULL, false}};

/* Whether the steps so far leave exactly this block standing. */
static bool stands(const struct reader *r, const struct step *step)
{
	bool standing = false;

	for (unsigned i = 0; i < r->s->step_count; i++) {
		const struct step *old = &r->s->steps[i];

		if ((old->verb == STEP_BLOCK || old->verb == STEP_UNBLOCK) &&
		    old->x == step->x && old->y == step->y &&
		    old->proto == step->proto && old->port == step->port)
			standing = old->verb == STEP_BLOCK;
	}
	return standing;
}

static int push_block(struct reader *r, const struct yaml_node *body,
		      struct step *step)
{
	if (step->verb == STEP_UNBLOCK && !stands(r, step))
		return reader_refuse(r, body->first, "no such block stands "
				     "here: unblock says exactly what block "
				     "said");
	return reader_push(r, body, step);
}

int reader_finish_block(struct reader *r, const struct yaml_node *body,
			struct step *step)
{
	bool all_stun = step->y == -2;
	int ret = 0;

	if (!all_stun)
		return push_block(r, body, step);
	step->every_stun = true;
	for (unsigned i = 0; i < r->s->stun_count && !ret; i++) {
		step->y = (int)r->s->stun_nodes[i];
		ret = push_block(r, body, step);
		step->every_stun = false; /* the first stands for all */
	}
	return ret;
}

/* --- send --------------------------------------------------------------- */

static int read_from(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	struct step *step = into;
	int ret = reader_node(r, value, READER_HOST, &step->x);

	if (!ret)
		step->src_port = scenario_host(r->s, (unsigned)step->x)->port;
	return ret;
}

/* The port that somebody listens to on NODE; 0: that must be said. */
static uint16_t usual_port(const struct scenario *s, int node)
{
	const struct scenario_host *host = scenario_host(s, (unsigned)node);

	for (unsigned i = 0; i < s->stun_count; i++)
		if ((int)s->stun_nodes[i] == node)
			return 3478;
	return host ? host->port : 0;
}

static int read_to(struct reader *r, const struct yaml_node *value, void *into)
{
	struct step *step = into;
	int ret = reader_kind(r, value, YAML_TEXT, "a node or \"IP:PORT\"");

	if (ret)
		return ret;
	if (*value->text < '0' || *value->text > '9') {
		ret = reader_node(r, value, READER_ANY, &step->y);
		if (!ret && step->y == step->x)
			ret = reader_refuse(r, value, "%s to itself never "
					    "leaves the host", value->text);
		if (!ret)
			step->dst.port = usual_port(r->s, step->y);
		step->to_tunnel = !ret && scenario_host(r->s,
							(unsigned)step->y);
		return ret;
	}
	if (endpoint_parse(value->text, &step->dst) || !step->dst.ip)
		return reader_refuse(r, value, "to: a node or \"IP:PORT\" "
				     "expected, not \"%.64s\"", value->text);
	if (step->dst.port && yaml_get(value->parent, "dst-port"))
		return reader_refuse(r, value, "the port is said twice: here "
				     "and in dst-port");
	return 0;
}

static int read_port(struct reader *r, const struct yaml_node *value,
		     uint16_t *port)
{
	uint64_t number;
	int ret = reader_number(r, value, 1, UINT16_MAX, &number);

	if (!ret)
		*port = (uint16_t)number;
	return ret;
}

static int read_src_port(struct reader *r, const struct yaml_node *value,
			 void *into)
{
	return read_port(r, value, &((struct step *)into)->src_port);
}

static int read_dst_port(struct reader *r, const struct yaml_node *value,
			 void *into)
{
	((struct step *)into)->to_tunnel = false;
	return read_port(r, value, &((struct step *)into)->dst.port);
}

static int read_ttl(struct reader *r, const struct yaml_node *value, void *into)
{
	struct step *step = into;
	uint64_t number;
	int ret = reader_number(r, value, 1, UINT8_MAX, &number);

	if (!ret)
		step->ttl = (uint8_t)number;
	return ret;
}

static int read_payload_text(struct reader *r, const struct yaml_node *value,
			     void *into)
{
	struct step *step = into;
	int ret = reader_kind(r, value, YAML_TEXT, "a text");

	if (ret)
		return ret;
	step->payload_bytes = strlen(value->text);
	if (step->payload_bytes > sizeof(step->payload))
		return reader_refuse(r, value, "text: longer than %zu bytes",
				     sizeof(step->payload));
	memcpy(step->payload, value->text, step->payload_bytes);
	return 0;
}

/* The value of a hex digit, or -1. */
static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, c | 0x20) : NULL;

	return p && (c >= 'A' || (c >= '0' && c <= '9')) ? (int)(p - digits)
							  : -1;
}

static int read_payload_hex(struct reader *r, const struct yaml_node *value,
			    void *into)
{
	struct step *step = into;
	int high, low, ret = reader_kind(r, value, YAML_TEXT, "hex digits");
	const char *p;

	if (ret)
		return ret;
	for (p = value->text; *p; p += 2) {
		p += strspn(p, " \n");
		if (!*p)
			break;
		high = hex_digit(p[0]);
		low = high < 0 ? -1 : hex_digit(p[1]);
		if (low < 0)
			return reader_refuse_in(r, value,
						(size_t)(p - value->text),
						"hex: pairs of hex digits "
						"expected");
		if (step->payload_bytes == sizeof(step->payload))
			return reader_refuse(r, value, "hex: more than %zu "
					     "bytes", sizeof(step->payload));
		step->payload[step->payload_bytes++] =
			(uint8_t)(high << 4 | low);
	}
	return 0;
}

static int read_send(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	static const struct reader_key keys[] = {
		{"from", read_from, true},
		{"to", read_to, true},
		{"src-port", read_src_port, false},
		{"dst-port", read_dst_port, false},
		{"ttl", read_ttl, false},
		{"text", read_payload_text, false},
		{"hex", read_payload_hex, false},
		{NULL, NULL, false}};
	const struct yaml_node *hex = yaml_get(value, "hex");
	struct step *step = into;
	int ret;

	step->ttl = 64;
	ret = reader_map(r, value, "send", keys, step);
	if (ret)
		return ret;
	if (hex && yaml_get(value, "text"))
		return reader_refuse_key(r, hex, "text and hex: one payload "
					 "expected");
	if (!hex && !yaml_get(value, "text"))
		return reader_refuse(r, value, "send has no \"text\" and no "
				     "\"hex\": nothing to send");
	if (!step->dst.port)
		return reader_refuse(r, yaml_get(value, "to"), "to: which "
				     "port? write dst-port");
	return 0;
}

const struct reader_key reader_send_keys[] = {{"send", read_send, true},
					      {NULL, NULL, false}};

int reader_finish_send(struct reader *r, const struct yaml_node *body,
		       struct step *step)
{
	char to[ENDPOINT_TEXT_BYTES];
	const struct lab_plan_node *nodes = r->s->plan.nodes;

	snprintf(step->text, sizeof(step->text), "send %s -> %s",
		 nodes[step->x].name,
		 step->y >= 0 ? nodes[step->y].name
			      : endpoint_format(step->dst, to));
	return reader_push(r, body, step);
}
