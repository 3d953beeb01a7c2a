/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "harness/actions.h"

static struct actions actions;

static void set_up(void)
{
	actions_init(&actions);
}

static void tear_down(void)
{
	ck_assert(!actions.failed);
	actions_free(&actions);
	ck_assert_ptr_null(actions.list);
	ck_assert_ptr_null(actions.bytes);
}

START_TEST(keeps_what_it_is_told_in_order)
{
	const struct endpoint a = {1, 2}, b = {3, 4};
	const struct upnp_request wish = {.op = UPNP_UNMAP,
					  .url = "http://192.168.1.1:5000/x",
					  .external_port = 7};

	actions_udp(&actions, a, b, "udp", 3);
	actions_connect(&actions, 5, b);
	actions_write(&actions, 5, "write", 5);
	actions_close(&actions, 6);
	actions_upnp(&actions, &wish);
	ck_assert_uint_eq(actions.count, 5);
	ck_assert_int_eq(actions.list[0].kind, ACTION_UDP);
	ck_assert(endpoint_equal(actions.list[0].src, a));
	ck_assert(endpoint_equal(actions.list[0].dst, b));
	ck_assert_uint_eq(actions.list[0].ttl, 0);
	ck_assert_uint_eq(actions.list[0].payload_bytes, 3);
	ck_assert_mem_eq(actions_payload(&actions, &actions.list[0]), "udp", 3);
	ck_assert_int_eq(actions.list[1].kind, ACTION_CONNECT);
	ck_assert_uint_eq(actions.list[1].stream, 5);
	ck_assert(endpoint_equal(actions.list[1].dst, b));
	ck_assert_int_eq(actions.list[2].kind, ACTION_WRITE);
	ck_assert_uint_eq(actions.list[2].stream, 5);
	ck_assert_mem_eq(actions_payload(&actions, &actions.list[2]), "write",
			 5);
	ck_assert_int_eq(actions.list[3].kind, ACTION_CLOSE);
	ck_assert_uint_eq(actions.list[3].stream, 6);
	ck_assert_int_eq(actions.list[4].kind, ACTION_UPNP);
	ck_assert_int_eq(actions.list[4].upnp.op, UPNP_UNMAP);
	ck_assert_str_eq(actions.list[4].upnp.url, wish.url);
	ck_assert_uint_eq(actions.list[4].upnp.external_port, 7);
}
END_TEST

START_TEST(payloads_survive_growing)
{
	uint8_t payload[1000];

	for (unsigned i = 0; i < 500; i++) {
		memset(payload, (int)i, sizeof(payload));
		actions_write(&actions, i, payload, i * 2);
	}
	ck_assert_uint_eq(actions.count, 500);
	for (unsigned i = 0; i < 500; i++) {
		const struct action *one = &actions.list[i];

		ck_assert_uint_eq(one->stream, i);
		ck_assert_uint_eq(one->payload_bytes, i * 2);
		memset(payload, (int)i, sizeof(payload));
		if (i)
			ck_assert_mem_eq(actions_payload(&actions, one),
					 payload, i * 2);
	}
}
END_TEST

START_TEST(is_empty_again_after_clear)
{
	actions_write(&actions, 1, "old", 3);
	actions_clear(&actions);
	ck_assert_uint_eq(actions.count, 0);
	ck_assert_uint_eq(actions.bytes_used, 0);
	actions_write(&actions, 2, "new", 3);
	ck_assert_uint_eq(actions.count, 1);
	ck_assert_uint_eq(actions.list[0].stream, 2);
	ck_assert_mem_eq(actions_payload(&actions, &actions.list[0]), "new", 3);
}
END_TEST

START_TEST(an_empty_payload_is_one)
{
	actions_udp(&actions, (struct endpoint){0}, (struct endpoint){1, 1},
		    NULL, 0);
	ck_assert_uint_eq(actions.count, 1);
	ck_assert_uint_eq(actions.list[0].payload_bytes, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("actions");
	TCase *tc = tcase_create("actions");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, keeps_what_it_is_told_in_order);
	tcase_add_test(tc, payloads_survive_growing);
	tcase_add_test(tc, is_empty_again_after_clear);
	tcase_add_test(tc, an_empty_payload_is_one);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
