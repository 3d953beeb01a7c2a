/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <sodium.h>

#include "harness/rng.h"
#include "tests/valgrind.h"

static struct rng rng_of(uint64_t seed, const char *label)
{
	struct rng rng;

	ck_assert_int_ge(sodium_init(), 0);
	rng_init(&rng, seed, label);
	return rng;
}

static void draw(struct rng *rng, uint8_t out[static 64])
{
	/* Of uneven size, since what follows must not depend on it. */
	rng_bytes(rng, out, 13);
	rng_bytes(rng, out + 13, 51);
}

START_TEST(one_seed_one_stream)
{
	struct rng a = rng_of(42, "client a"), b = rng_of(42, "client a");
	uint8_t from_a[64], from_b[64];

	for (int i = 0; i < 10; i++) {
		draw(&a, from_a);
		draw(&b, from_b);
		ck_assert_mem_eq(from_a, from_b, 64);
	}
}
END_TEST

/*
 * What a recorded run drew must be drawn again by a later natrig. The bytes are
 * ChaCha20's, key BLAKE2b-256(seed as 8 little-endian bytes, label), nonce the
 * number of the draw; computed with Python's hashlib and cryptography.
 */
START_TEST(draws_what_it_always_drew)
{
	static const uint8_t want[] = {0xce, 0x00, 0xf7, 0xed, 0x21, 0xae,
				       0x1a, 0x20, 0x69, 0x8d, 0x63, 0x3d,
				       0xc1, 0xff, 0x79, 0xdf};
	struct rng rng = rng_of(0x0102030405060708, "client a");
	uint8_t got[16];

	rng_bytes(&rng, got, 8);
	rng_bytes(&rng, got + 8, 8);
	ck_assert_mem_eq(got, want, sizeof(want));
}
END_TEST

START_TEST(other_seeds_and_labels_draw_other_streams)
{
	struct rng all[] = {rng_of(42, "client a"), rng_of(43, "client a"),
			    rng_of(42, "client b"), rng_of(42, ""),
			    rng_of(42ull << 32, "client a")};
	uint8_t drawn[5][64];

	for (int i = 0; i < 5; i++)
		draw(&all[i], drawn[i]);
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(drawn[i], drawn[j], 64);
}
END_TEST

START_TEST(no_draw_repeats_another)
{
	struct rng rng = rng_of(1, "x");
	uint8_t first[64], second[64];

	rng_bytes(&rng, first, 64);
	rng_bytes(&rng, second, 64);
	ck_assert_mem_ne(first, second, 64);
	rng_bytes(&rng, first, 0);
}
END_TEST

/* Bounds that do not divide 2^32, where a plain remainder would be skewed. */
static const uint32_t bounds[] = {1, 2, 3, 7, 10, 64512, 3000000000};

START_TEST(below_is_uniform)
{
	enum { DRAWS = 70000, BINS = 7 };
	struct rng rng = rng_of(5, "below");
	uint32_t bound = bounds[_i];
	unsigned bins[BINS] = {0}, used = bound < BINS ? bound : BINS;

	for (int i = 0; i < DRAWS; i++) {
		uint32_t v = rng_below(&rng, bound);

		ck_assert_uint_lt(v, bound);
		bins[(uint64_t)v * used / bound]++;
	}
	/* 6 standard deviations are below 700 for all of them. */
	for (unsigned i = 0; i < used; i++) {
		uint64_t low = ((uint64_t)bound * i + used - 1) / used;
		uint64_t high = ((uint64_t)bound * (i + 1) + used - 1) / used;
		double want = (double)DRAWS * (double)(high - low) / bound;

		ck_assert_double_ge((double)bins[i], want - 700);
		ck_assert_double_le((double)bins[i], want + 700);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rng");
	TCase *tc = tcase_create("rng");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, one_seed_one_stream);
	tcase_add_test(tc, draws_what_it_always_drew);
	tcase_add_test(tc, other_seeds_and_labels_draw_other_streams);
	tcase_add_test(tc, no_draw_repeats_another);
	tcase_add_loop_test(tc, below_is_uniform, 0,
			    unless_valgrind((int)(sizeof(bounds) /
						  sizeof(bounds[0])), 1));
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
