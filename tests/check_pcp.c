/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captured with dumpcap in a throwaway network namespace: the requests are
 * those of tailscale.com v1.90.0's net/portmapper (everything but PCP turned
 * off), the responses are miniupnpd 2.3.1's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/hex.h"
#include "wire/pcp.h"

static const char announce_request[] =
	"020000000000000000000000000000000000ffffc0a80702";
static const char announce_response[] =
	"028000000000000000000003000000000000000000000000";
static const char map_request[] =
	"0201000000001c2000000000000000000000ffffc0a80702965b1c32c04b6923"
	"c584d9b311000000a2a9000000000000000000000000ffff00000000";
static const char map_response[] =
	"0281000000001c2000000004000000000000000000000000965b1c32c04b6923"
	"c584d9b311000000a2a9a2a900000000000000000000ffff19000002";
static const char unmap_request[] =
	"020100000000000000000000000000000000ffffc0a80702c47f3bc977558f57"
	"309fe47711000000a2a9a2a900000000000000000000ffff19000002";
/* The answer to it: miniupnpd wants the nonce that made the mapping. */
static const char refused_response[] =
	"028100020000000000000006000000000000000000000000c47f3bc977558f57"
	"309fe47711000000a2a9a2a900000000000000000000ffff19000002";

static const struct {
	const char *hex;
	struct pcp_message m;
} vectors[] = {
	{announce_request, {.op = PCP_ANNOUNCE, .client_ip = 0xc0a80702}},
	{announce_response, {.response = true, .epoch_s = 3}},
	{map_request,
	 {.op = PCP_MAP,
	  .lifetime_s = 7200,
	  .client_ip = 0xc0a80702,
	  .nonce = {0x96, 0x5b, 0x1c, 0x32, 0xc0, 0x4b, 0x69, 0x23, 0xc5, 0x84,
		    0xd9, 0xb3},
	  .protocol = 17,
	  .internal_port = 41641}},
	{map_response,
	 {.response = true,
	  .op = PCP_MAP,
	  .lifetime_s = 7200,
	  .epoch_s = 4,
	  .nonce = {0x96, 0x5b, 0x1c, 0x32, 0xc0, 0x4b, 0x69, 0x23, 0xc5, 0x84,
		    0xd9, 0xb3},
	  .protocol = 17,
	  .internal_port = 41641,
	  .external_port = 41641,
	  .external_ip = 0x19000002}},
	{unmap_request,
	 {.op = PCP_MAP,
	  .client_ip = 0xc0a80702,
	  .nonce = {0xc4, 0x7f, 0x3b, 0xc9, 0x77, 0x55, 0x8f, 0x57, 0x30, 0x9f,
		    0xe4, 0x77},
	  .protocol = 17,
	  .internal_port = 41641,
	  .external_port = 41641,
	  .external_ip = 0x19000002}},
	{refused_response,
	 {.response = true,
	  .op = PCP_MAP,
	  .result = PCP_NOT_AUTHORIZED,
	  .epoch_s = 6,
	  .nonce = {0xc4, 0x7f, 0x3b, 0xc9, 0x77, 0x55, 0x8f, 0x57, 0x30, 0x9f,
		    0xe4, 0x77},
	  .protocol = 17,
	  .internal_port = 41641,
	  .external_port = 41641,
	  .external_ip = 0x19000002}},
};

enum { VECTOR_COUNT = sizeof(vectors) / sizeof(vectors[0]) };

static void assert_same(const struct pcp_message *a,
			const struct pcp_message *b)
{
	ck_assert_int_eq(a->response, b->response);
	ck_assert_uint_eq(a->op, b->op);
	ck_assert_uint_eq(a->result, b->result);
	ck_assert_uint_eq(a->lifetime_s, b->lifetime_s);
	ck_assert_uint_eq(a->epoch_s, b->epoch_s);
	ck_assert_uint_eq(a->client_ip, b->client_ip);
	ck_assert_mem_eq(a->nonce, b->nonce, PCP_NONCE_BYTES);
	ck_assert_uint_eq(a->protocol, b->protocol);
	ck_assert_uint_eq(a->internal_port, b->internal_port);
	ck_assert_uint_eq(a->external_port, b->external_port);
	ck_assert_uint_eq(a->external_ip, b->external_ip);
	ck_assert_int_eq(a->prefer_failure, b->prefer_failure);
}

START_TEST(decodes_what_was_captured)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	struct pcp_message m;

	ck_assert(pcp_looks_like(buffer, size_bytes));
	ck_assert_int_eq(pcp_decode(buffer, size_bytes, &m, NULL), 0);
	assert_same(&m, &vectors[_i].m);
}
END_TEST

START_TEST(encodes_what_was_captured)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	uint8_t out[PCP_MAX_BYTES];

	ck_assert_int_eq(pcp_encode(&vectors[_i].m, out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	for (size_t n = 0; n < size_bytes; n++)
		ck_assert_int_eq(pcp_encode(&vectors[_i].m, out, n), -EMSGSIZE);
}
END_TEST

START_TEST(refuses_being_cut_anywhere)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	struct pcp_message m;

	for (size_t n = 0; n < size_bytes; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		/* A failure may be its header alone. */
		bool enough = n == PCP_HEADER_BYTES && vectors[_i].m.result;

		memcpy(cut, buffer, n);
		ck_assert_int_eq(pcp_decode(cut, n, &m, NULL),
				 enough ? 0 : -EBADMSG);
		free(cut);
	}
}
END_TEST

START_TEST(survives_flipped_bits)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	struct pcp_message m, back;
	uint8_t out[PCP_MAX_BYTES];

	for (size_t bit = 0; bit < size_bytes * 8; bit++) {
		int ret;

		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ret = pcp_decode(buffer, size_bytes, &m, NULL);
		if (bit < 8)
			ck_assert_int_eq(ret, -EBADMSG);
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (ret)
			continue;
		ret = pcp_encode(&m, out, sizeof(out));
		ck_assert_int_eq(pcp_decode(out, (size_t)ret, &back, NULL), 0);
		assert_same(&back, &m);
	}
}
END_TEST

START_TEST(reads_options)
{
	size_t size_bytes = bytes_of(map_request);
	struct pcp_message m;
	uint8_t out[PCP_MAX_BYTES];
	int ret;

	/* Optional 200 of 5 bytes padded to 8, PREFER_FAILURE, required 77. */
	memcpy(buffer + size_bytes, "\310\0\0\5xxxxx\0\0\0\2\0\0\0\115\0\0\0",
	       20);
	ck_assert_int_eq(pcp_decode(buffer, size_bytes + 20, &m, NULL), 0);
	ck_assert(m.prefer_failure);
	ck_assert_uint_eq(m.unknown_option, 77);
	ck_assert_int_eq(pcp_decode(buffer, size_bytes + 8, &m, NULL),
			 -EBADMSG);
	ck_assert_int_eq(pcp_decode(buffer, size_bytes + 12, &m, NULL), 0);
	ck_assert(!m.prefer_failure);
	m.prefer_failure = true;
	ret = pcp_encode(&m, out, sizeof(out));
	ck_assert_int_eq(ret, PCP_MAP_BYTES + 4);
	ck_assert_int_eq(pcp_decode(out, (size_t)ret, &m, NULL), 0);
	ck_assert(m.prefer_failure);
	ck_assert_uint_eq(m.unknown_option, 0);
}
END_TEST

START_TEST(keeps_to_the_size_rules)
{
	size_t size_bytes = bytes_of(announce_request);
	struct err err = {0};
	struct pcp_message m;

	ck_assert_int_eq(pcp_decode(buffer, size_bytes + 2, &m, &err),
			 -EBADMSG);
	ck_assert_uint_gt(strlen(err.text), 0);
	ck_assert_int_eq(pcp_decode(buffer, PCP_MAX_BYTES, &m, NULL), 0);
	ck_assert_int_eq(pcp_decode(buffer, PCP_MAX_BYTES + 4, &m, NULL),
			 -EBADMSG);
}
END_TEST

START_TEST(reads_ipv6_as_none)
{
	size_t size_bytes = bytes_of(announce_request);
	struct pcp_message m;

	buffer[8] = 0x20;
	ck_assert_int_eq(pcp_decode(buffer, size_bytes, &m, NULL), 0);
	ck_assert_uint_eq(m.client_ip, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pcp");
	TCase *tc = tcase_create("pcp");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, decodes_what_was_captured, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, encodes_what_was_captured, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, refuses_being_cut_anywhere, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, survives_flipped_bits, 0, VECTOR_COUNT);
	tcase_add_test(tc, reads_options);
	tcase_add_test(tc, keeps_to_the_size_rules);
	tcase_add_test(tc, reads_ipv6_as_none);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
