/* SPDX-License-Identifier: BSD-3-Clause */
/* endpoint: an IPv4 address and a port, both in host byte order. */
#ifndef NATRIG_WIRE_ENDPOINT_H
#define NATRIG_WIRE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint {
	uint32_t ip;   /* 0: none */
	uint16_t port; /* 0: none */
};

/* Room for "255.255.255.255:65535" and its NUL. */
#define ENDPOINT_TEXT_BYTES 22

bool endpoint_equal(struct endpoint a, struct endpoint b);

/* "25.0.0.2:41641" into TEXT; returns TEXT, for use inside a printf. */
const char *endpoint_format(struct endpoint e,
			    char text[static ENDPOINT_TEXT_BYTES]);

/* "25.0.0.2" into TEXT; returns TEXT. */
const char *endpoint_format_ip(uint32_t ip,
			       char text[static ENDPOINT_TEXT_BYTES]);

/* Parses "IP:PORT" or "IP" (port 0); 0 or -EINVAL. */
int endpoint_parse(const char *text, struct endpoint *e);

#endif
