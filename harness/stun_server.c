/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/server.h"

#include <stdio.h>
#include <string.h>

#include "wire/cursor.h"
#include "wire/stun.h"

enum {
	/* RFC 5780 6.1: padding as long as the MTU, so that it fragments. */
	PADDING_BYTES = 1500,
	ANSWER_MAX_BYTES = STUN_MAX_BYTES + PADDING_BYTES,
	TXID_AT_BYTES = 8,
	TYPE_BINDING_REQUEST = 0x0001,
	ATTRIBUTE_CHANGE_REQUEST = 0x0003
};

static struct stun_message answer_to(const struct stun_message *request,
				     enum stun_class class)
{
	struct stun_message answer = {
		.class = class,
		.method = STUN_METHOD_BINDING,
		.software = "natrig",
		.fingerprint = request->fingerprint,
	};

	memcpy(answer.txid, request->txid, sizeof(answer.txid));
	return answer;
}

static void send_answer(const struct stun_message *answer, struct endpoint src,
			struct endpoint dst, struct actions *out)
{
	uint8_t bytes[ANSWER_MAX_BYTES];
	int size_bytes = stun_encode(answer, bytes, sizeof(bytes));

	if (size_bytes > 0)
		actions_udp(out, src, dst, bytes, (size_t)size_bytes);
}

/* Errors go back the way the request came, whatever it wished. */
static void refuse(const struct stun_message *request, uint16_t code,
		   const char *reason, struct endpoint src, struct endpoint dst,
		   struct actions *out)
{
	struct stun_message answer = answer_to(request, STUN_ERROR);

	answer.error_code = code;
	snprintf(answer.error_reason, sizeof(answer.error_reason), "%s",
		 reason);
	memcpy(answer.unknown_required, request->unknown_required,
	       sizeof(answer.unknown_required));
	answer.unknown_required_count = request->unknown_required_count;
	send_answer(&answer, dst, src, out);
}

/*
 * A header that reads as a binding request over attributes that do not read:
 * who wrote it is helped by an error. Anything else gets no answer, since one
 * error in answer to another could go on forever.
 */
static void on_malformed(struct endpoint src, struct endpoint dst,
			 const void *payload, size_t payload_bytes,
			 struct actions *out)
{
	struct reader r = reader_over(payload, payload_bytes);
	struct stun_message request = {0};

	if (reader_u16(&r) != TYPE_BINDING_REQUEST)
		return;
	reader_skip(&r, TXID_AT_BYTES - 2);
	reader_bytes(&r, request.txid, sizeof(request.txid));
	refuse(&request, 400, "Bad Request", src, dst, out);
}

/* The corner of the square of addresses and ports opposite DST, RFC 5780 6. */
static struct endpoint opposite_of(const struct stun_server_config *config,
				   struct endpoint dst)
{
	return (struct endpoint){
		.ip = dst.ip == config->alt_ip ? config->ip : config->alt_ip,
		.port = dst.port == config->alt_port ? config->port
						     : config->alt_port};
}

static void succeed(const struct stun_server_config *config,
		    const struct stun_message *request, struct endpoint src,
		    struct endpoint dst, struct actions *out)
{
	struct stun_message answer = answer_to(request, STUN_SUCCESS);
	struct endpoint other = opposite_of(config, dst);
	struct endpoint from = dst, to = src;

	if (request->change_request & STUN_CHANGE_IP)
		from.ip = other.ip;
	if (request->change_request & STUN_CHANGE_PORT)
		from.port = other.port;
	if (request->response_port)
		to.port = request->response_port;
	answer.mapped = src;
	answer.response_origin = from;
	answer.other_address = other; /* ip 0, so absent, without alt */
	if (request->padding_bytes)
		answer.padding_bytes = PADDING_BYTES;
	send_answer(&answer, from, to, out);
}

void stun_server_on_udp(const struct stun_server_config *config,
			struct endpoint src, struct endpoint dst,
			const void *payload, size_t payload_bytes,
			struct actions *out)
{
	struct stun_message request;

	if (!stun_looks_like(payload, payload_bytes))
		return;
	if (stun_decode(payload, payload_bytes, &request, NULL) < 0) {
		on_malformed(src, dst, payload, payload_bytes, out);
		return;
	}
	if (request.class != STUN_REQUEST ||
	    request.method != STUN_METHOD_BINDING)
		return;
	if (request.change_request && !config->alt_ip &&
	    request.unknown_required_count <
		    sizeof(request.unknown_required) /
			    sizeof(request.unknown_required[0]))
		request.unknown_required[request.unknown_required_count++] =
			ATTRIBUTE_CHANGE_REQUEST;
	if (request.unknown_required_count)
		refuse(&request, 420, "Unknown Attribute", src, dst, out);
	else if (request.padding_bytes && request.response_port)
		/* RFC 5780 6.1: together they would flood a third party. */
		refuse(&request, 400, "Bad Request", src, dst, out);
	else
		succeed(config, &request, src, dst, out);
}
