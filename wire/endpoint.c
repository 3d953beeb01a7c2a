/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool endpoint_equal(struct endpoint a, struct endpoint b)
{
	return a.ip == b.ip && a.port == b.port;
}

const char *endpoint_format_ip(uint32_t ip,
			       char text[static ENDPOINT_TEXT_BYTES])
{
	snprintf(text, ENDPOINT_TEXT_BYTES, "%u.%u.%u.%u", ip >> 24,
		 ip >> 16 & 255, ip >> 8 & 255, ip & 255);
	return text;
}

const char *endpoint_format(struct endpoint e,
			    char text[static ENDPOINT_TEXT_BYTES])
{
	snprintf(text, ENDPOINT_TEXT_BYTES, "%u.%u.%u.%u:%u", e.ip >> 24,
		 e.ip >> 16 & 255, e.ip >> 8 & 255, e.ip & 255, e.port);
	return text;
}

int endpoint_parse(const char *text, struct endpoint *e)
{
	char ip[16];
	struct in_addr in;
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	unsigned long port = 0;
	char *end;

	if (len >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (inet_pton(AF_INET, ip, &in) != 1)
		return -EINVAL;
	if (colon) {
		if (colon[1] < '0' || colon[1] > '9')
			return -EINVAL;
		port = strtoul(colon + 1, &end, 10);
		if (*end || port > 65535)
			return -EINVAL;
	}
	*e = (struct endpoint){ntohl(in.s_addr), (uint16_t)port};
	return 0;
}
