/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "harness/server.h"
#include "wire/stun.h"

enum { IP = 0x19ff0001, ALT_IP = 0x19ff0002 };

static const struct stun_server_config config = {
	.ip = IP,
	.port = STUN_PORT,
	.alt_ip = ALT_IP,
	.alt_port = SERVER_STUN_ALT_PORT,
};
static const struct stun_server_config lone = {.ip = IP, .port = STUN_PORT};
static const struct endpoint client = {0x19000001, 41641};
static const struct endpoint server = {IP, STUN_PORT};

static struct actions out;

static void set_up(void)
{
	actions_init(&out);
}

static void tear_down(void)
{
	ck_assert(!out.failed);
	actions_free(&out);
}

static struct stun_message request(void)
{
	return (struct stun_message){.class = STUN_REQUEST,
				     .method = STUN_METHOD_BINDING,
				     .txid = "twelve bytes"};
}

static void give(const struct stun_server_config *to, struct endpoint dst,
		 const void *bytes, size_t size_bytes)
{
	actions_clear(&out);
	stun_server_on_udp(to, client, dst, bytes, size_bytes, &out);
}

static void ask(const struct stun_server_config *to, struct endpoint dst,
		const struct stun_message *m)
{
	uint8_t bytes[4000];
	int size_bytes = stun_encode(m, bytes, sizeof(bytes));

	ck_assert_int_gt(size_bytes, 0);
	give(to, dst, bytes, (size_t)size_bytes);
}

/* The one answer, from and to where. */
static struct stun_message answer(struct endpoint from, struct endpoint to)
{
	struct stun_message m;
	struct err err;

	ck_assert_uint_eq(out.count, 1);
	ck_assert_int_eq(out.list[0].kind, ACTION_UDP);
	ck_assert(endpoint_equal(out.list[0].src, from));
	ck_assert(endpoint_equal(out.list[0].dst, to));
	ck_assert_msg(stun_decode(actions_payload(&out, &out.list[0]),
				  out.list[0].payload_bytes, &m, &err) == 0,
		      "%s", err.text);
	ck_assert_mem_eq(m.txid, "twelve bytes", STUN_TXID_BYTES);
	ck_assert_str_eq(m.software, "natrig");
	return m;
}

START_TEST(tells_the_address_seen)
{
	struct stun_message m = request();

	ask(&lone, server, &m);
	m = answer(server, client);
	ck_assert_int_eq(m.class, STUN_SUCCESS);
	ck_assert(endpoint_equal(m.mapped, client));
	ck_assert(endpoint_equal(m.response_origin, server));
	ck_assert_uint_eq(m.other_address.ip, 0);
	ck_assert(!m.fingerprint);
	ck_assert_uint_eq(m.padding_bytes, 0);
}
END_TEST

START_TEST(fingerprints_where_the_request_is)
{
	struct stun_message m = request();

	m.fingerprint = true;
	ask(&lone, server, &m);
	ck_assert(answer(server, client).fingerprint);
}
END_TEST

/* RFC 5780 6.1, table 1: for each place of arrival each change request. */
START_TEST(answers_from_the_changed_place)
{
	static const uint32_t changes[] = {0, STUN_CHANGE_IP, STUN_CHANGE_PORT,
					   STUN_CHANGE_IP | STUN_CHANGE_PORT};
	bool at_alt_ip = _i & 1, at_alt_port = _i & 2;
	uint32_t change = changes[_i >> 2];
	bool from_alt_ip = at_alt_ip != !!(change & STUN_CHANGE_IP);
	bool from_alt_port = at_alt_port != !!(change & STUN_CHANGE_PORT);
	struct endpoint dst = {at_alt_ip ? ALT_IP : IP,
			       at_alt_port ? SERVER_STUN_ALT_PORT : STUN_PORT};
	struct endpoint other = {at_alt_ip ? IP : ALT_IP,
				 at_alt_port ? STUN_PORT
					     : SERVER_STUN_ALT_PORT};
	struct endpoint from = {from_alt_ip ? ALT_IP : IP,
				from_alt_port ? SERVER_STUN_ALT_PORT
					      : STUN_PORT};
	struct stun_message m = request();

	m.change_request = change;
	ask(&config, dst, &m);
	m = answer(from, client);
	ck_assert_int_eq(m.class, STUN_SUCCESS);
	ck_assert(endpoint_equal(m.mapped, client));
	ck_assert(endpoint_equal(m.response_origin, from));
	ck_assert(endpoint_equal(m.other_address, other));
}
END_TEST

START_TEST(refuses_to_change_where_it_cannot)
{
	struct stun_message m = request();

	m.change_request = STUN_CHANGE_PORT;
	m.fingerprint = true;
	ask(&lone, server, &m);
	m = answer(server, client);
	ck_assert_int_eq(m.class, STUN_ERROR);
	ck_assert_uint_eq(m.error_code, 420);
	ck_assert_uint_eq(m.unknown_required_count, 1);
	ck_assert_uint_eq(m.unknown_required[0], 0x0003);
	ck_assert(m.fingerprint);
}
END_TEST

START_TEST(answers_to_the_wished_port)
{
	struct endpoint to = {client.ip, 5000};
	struct stun_message m = request();

	m.response_port = 5000;
	ask(&config, server, &m);
	ck_assert(endpoint_equal(answer(server, to).mapped, client));
}
END_TEST

START_TEST(pads_to_the_mtu_and_no_more)
{
	struct stun_message m = request();

	m.padding_bytes = 4;
	ask(&config, server, &m);
	ck_assert_uint_eq(answer(server, client).padding_bytes, 1500);
	m.padding_bytes = 3000;
	ask(&config, server, &m);
	ck_assert_uint_eq(answer(server, client).padding_bytes, 1500);
	m.response_port = 5000;
	ask(&config, server, &m);
	m = answer(server, client);
	ck_assert_uint_eq(m.error_code, 400);
	ck_assert_uint_eq(m.padding_bytes, 0);
}
END_TEST

/* A binding request of RFC 8489's layout with the txid "twelve bytes". */
static size_t with_attributes(uint8_t *bytes, const uint8_t *attributes,
			      uint8_t size_bytes)
{
	static const uint8_t header[] = {0,    1,   0,	 0,   0x21, 0x12, 0xa4,
					 0x42, 't', 'w', 'e', 'l',  'v',  'e',
					 ' ',  'b', 'y', 't', 'e',  's'};

	memcpy(bytes, header, sizeof(header));
	bytes[3] = size_bytes;
	if (size_bytes)
		memcpy(bytes + sizeof(header), attributes, size_bytes);
	return sizeof(header) + size_bytes;
}

START_TEST(names_what_it_does_not_know)
{
	static const uint8_t attributes[] = {0x7f, 1, 0, 0, 0xff, 1, 0, 0,
					     0x7f, 2, 0, 1, 9,	  0, 0, 0};
	uint8_t bytes[64];
	struct stun_message m;

	give(&config, server, bytes,
	     with_attributes(bytes, attributes, sizeof(attributes)));
	m = answer(server, client);
	ck_assert_int_eq(m.class, STUN_ERROR);
	ck_assert_uint_eq(m.error_code, 420);
	ck_assert_str_eq(m.error_reason, "Unknown Attribute");
	ck_assert_uint_eq(m.unknown_required_count, 2);
	ck_assert_uint_eq(m.unknown_required[0], 0x7f01);
	ck_assert_uint_eq(m.unknown_required[1], 0x7f02);
}
END_TEST

START_TEST(says_that_a_request_is_malformed)
{
	static const uint8_t beyond[] = {0x80, 0x22, 0, 9, 'x', 0, 0, 0};
	uint8_t bytes[64];
	struct stun_message m;

	give(&config, server, bytes,
	     with_attributes(bytes, beyond, sizeof(beyond)));
	m = answer(server, client);
	ck_assert_int_eq(m.class, STUN_ERROR);
	ck_assert_uint_eq(m.error_code, 400);
	ck_assert_uint_eq(m.unknown_required_count, 0);
}
END_TEST

START_TEST(is_silent_to_all_else)
{
	uint8_t bytes[64];
	struct stun_message m = request();
	size_t size_bytes = with_attributes(bytes, NULL, 0);

	give(&config, server, "hello", 5);
	ck_assert_uint_eq(out.count, 0);
	give(&config, server, bytes, size_bytes - 1);
	ck_assert_uint_eq(out.count, 0);
	/* A malformed response: an error in return might go on for ever. */
	bytes[0] = 1;
	bytes[3] = 4;
	give(&config, server, bytes, size_bytes);
	ck_assert_uint_eq(out.count, 0);
	m.class = STUN_SUCCESS;
	ask(&config, server, &m);
	ck_assert_uint_eq(out.count, 0);
	m.class = STUN_INDICATION;
	ask(&config, server, &m);
	ck_assert_uint_eq(out.count, 0);
	m.class = STUN_REQUEST;
	m.method = 3; /* TURN's allocate */
	ask(&config, server, &m);
	ck_assert_uint_eq(out.count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stun_server");
	TCase *tc = tcase_create("stun_server");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, tells_the_address_seen);
	tcase_add_test(tc, fingerprints_where_the_request_is);
	tcase_add_loop_test(tc, answers_from_the_changed_place, 0, 16);
	tcase_add_test(tc, refuses_to_change_where_it_cannot);
	tcase_add_test(tc, answers_to_the_wished_port);
	tcase_add_test(tc, pads_to_the_mtu_and_no_more);
	tcase_add_test(tc, names_what_it_does_not_know);
	tcase_add_test(tc, says_that_a_request_is_malformed);
	tcase_add_test(tc, is_silent_to_all_else);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
