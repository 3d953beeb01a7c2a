/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reader: how the parts of a scenario are read out of its YAML: mappings by
 * tables of keys, scalars by type, names by what they may name. Private to
 * scenario*.c.
 *
 * Every function returns 0, or a negative errno with the place and the words
 * in the reader's err. A mapping's members are read in the table's order, so
 * that a reader can rely on the rows above its own.
 */
#ifndef NATRIG_HARNESS_SCENARIO_READER_H
#define NATRIG_HARNESS_SCENARIO_READER_H

#include "harness/scenario.h"
#include "harness/scenario_yaml.h"

#define READER_DAY_US (24 * 3600 * UINT64_C(1000000))
#define READER_SECOND_US UINT64_C(1000000)
#define READER_MAX_US (30 * READER_DAY_US)
#define READER_MAX_STEPS 4096

struct reader {
	struct scenario *s;
	struct err *err;
	const struct yaml_node *routers, *hosts; /* their mappings or NULL */
	unsigned steps_room;
	/* As the steps read so far leave the lab: one for each plan node. */
	struct lab_plan_node *now;
	bool *started;
};

struct reader_key {
	const char *name; /* NULL ends the table */
	/* NULL: the key is legal, and read by somebody else. */
	int (*read)(struct reader *r, const struct yaml_node *value,
		    void *into);
	bool required;
};

/* Errors: at a node's value, at its key, at a byte of its text. */
int reader_refuse(struct reader *r, const struct yaml_node *node,
		  const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int reader_refuse_key(struct reader *r, const struct yaml_node *node,
		      const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int reader_refuse_in(struct reader *r, const struct yaml_node *node,
		     size_t byte, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/*
 * `unknown WHAT "word": expected one of ...; did you mean "..."?` at a byte
 * of NODE's text.
 */
int reader_unknown(struct reader *r, const struct yaml_node *node, size_t byte,
		   const char *what, const char *word,
		   const char *const *expected);

/* WHERE, "router home-a" or "a ping step", is for errors. */
int reader_map(struct reader *r, const struct yaml_node *map, const char *where,
	       const struct reader_key *keys, void *into);
/* That NODE is of KIND; WANTED says so in errors ("a list of steps"). */
int reader_kind(struct reader *r, const struct yaml_node *node,
		enum yaml_kind kind, const char *wanted);
/* One line of text, not empty. */
int reader_text(struct reader *r, const struct yaml_node *node, char *text,
		size_t size_bytes);
int reader_bool(struct reader *r, const struct yaml_node *node, bool *value);
int reader_number(struct reader *r, const struct yaml_node *node,
		  uint64_t least, uint64_t most, uint64_t *value);
/* "1m30s"; LEAST and MOST are inclusive. */
int reader_duration(struct reader *r, const struct yaml_node *node,
		    uint64_t least_us, uint64_t most_us, uint64_t *us);
/* "90s" into TEXT; returns TEXT. */
const char *reader_duration_text(uint64_t us, char *text, size_t size_bytes);
/* The index of NODE's text in NAMES. */
int reader_choice(struct reader *r, const struct yaml_node *node,
		  const char *const *names, int *index);

/* Kinds of nodes that a name may stand for, or'ed. */
enum {
	READER_HOST = 1 << LAB_HOST,
	READER_ROUTER = 1 << LAB_ROUTER,
	READER_SERVER = 1 << LAB_SERVER,
	READER_ANY = READER_HOST | READER_ROUTER | READER_SERVER
};

/* The plan node called NAME, which stands at a byte of NODE's text. */
int reader_name(struct reader *r, const struct yaml_node *node, size_t byte,
		const char *name, unsigned kinds, int *index);
/* The same, NODE's whole text being the name. */
int reader_node(struct reader *r, const struct yaml_node *node, unsigned kinds,
		int *index);

/* --- scenario_nodes.c, scenario_nat.c, scenario_steps.c ----------------- */

/* The names of all nodes into the plan; SERVERS may be NULL. */
int reader_declare(struct reader *r, const struct yaml_node *servers);
int reader_routers(struct reader *r);
int reader_hosts(struct reader *r);
int reader_servers(struct reader *r, const struct yaml_node *servers);

/* What `routers` or (SET) a set step says of a router, into its plan node. */
int reader_router(struct reader *r, const struct yaml_node *body, bool set,
		  struct lab_plan_node *node);

int reader_finish_set(struct reader *r, const struct yaml_node *body,
		      struct step *step);

int reader_steps(struct reader *r, const struct yaml_node *steps);
/* Appends STEP; where its text is empty, it is made. */
int reader_push(struct reader *r, const struct yaml_node *body,
		const struct step *step);

/* scenario_options.c: what may be chosen of a real client, INTO its host. */
int reader_options(struct reader *r, const struct yaml_node *value, void *into);

/* scenario_flow.c: the verbs that name packets. */
extern const struct reader_key reader_block_keys[], reader_unblock_keys[],
	reader_send_keys[];
int reader_finish_block(struct reader *r, const struct yaml_node *body,
			struct step *step);
int reader_finish_send(struct reader *r, const struct yaml_node *body,
		       struct step *step);

/* "x -> y", with as many words after it as MOST; see scenario_flow.c. */
#define READER_MAX_WORDS 6

struct reader_words {
	char text[READER_MAX_WORDS][64];
	size_t at[READER_MAX_WORDS]; /* byte in the node's text */
	unsigned count;
};

int reader_words(struct reader *r, const struct yaml_node *node,
		 const char *wanted, struct reader_words *words);
/* That the first three words are "x -> y". */
int reader_arrow(struct reader *r, const struct yaml_node *node,
		 const char *wanted, struct reader_words *words);

#endif
