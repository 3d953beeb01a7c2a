/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netmap: what the control server knows of the lab's nodes, and which part of
 * it others may see already. Nodes are never forgotten, only changed: a control
 * server goes on handing out a client that is gone.
 *
 * netmap_register and netmap_publish change it at once or, for endpoints, after
 * the delay; netmap_show_due lets appear what is due by then. What became
 * visible is asked for with netmap_changed_for until netmap_settle.
 */
#ifndef NATRIG_HARNESS_NETMAP_H
#define NATRIG_HARNESS_NETMAP_H

#include "wire/endpoint.h"

#define NETMAP_NAME_BYTES 64 /* with its NUL, as elsewhere in the lab */
#define NETMAP_KEY_LEN 64    /* hexadecimal digits */
#define NETMAP_ENDPOINTS_MAX 64
#define NETMAP_NODES_MAX 4096

struct netmap;
struct netmap_node; /* lives as long as its netmap */

struct netmap_endpoints {
	struct endpoint list[NETMAP_ENDPOINTS_MAX];
	unsigned count;
};

struct netmap *netmap_new(uint64_t delay_us);
void netmap_free(struct netmap *m); /* NULL is legal */

/*
 * The node of that name, made where there is none; NULL: no room, no memory.
 * Another key than before means another process: its endpoints are forgotten.
 * The strings must fit (NETMAP_NAME_BYTES, NETMAP_KEY_LEN) and are copied.
 */
struct netmap_node *netmap_register(struct netmap *m, const char *name,
				    const char *node_key, const char *disco_key,
				    const char *relay);

/* 0 or -ENOMEM. Each publication waits its own delay. */
int netmap_publish(struct netmap *m, struct netmap_node *node, uint64_t now_us,
		   const struct netmap_endpoints *endpoints);

void netmap_show_due(struct netmap *m, uint64_t now_us);
/* When netmap_show_due has something to do; UINT64_MAX: nothing is waiting. */
uint64_t netmap_due(const struct netmap *m);

/* Has anything but NODE itself changed since netmap_settle? */
bool netmap_changed_for(const struct netmap *m, const struct netmap_node *node);
void netmap_settle(struct netmap *m);

/*
 * The line {"netmap":[...]} and its line feed as NODE is sent it: all but
 * itself, by name. Caller frees; NULL: no memory.
 */
char *netmap_line(struct netmap *m, const struct netmap_node *node,
		  size_t *line_bytes);

#endif
