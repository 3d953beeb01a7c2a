/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The messages were made by a Go program from tailscale.com v1.90.0: payloads
 * by AppendMarshal of package disco's Ping, Pong, CallMeMaybe and
 * BindUDPRelayEndpoint, boxes by box.Seal of golang.org/x/crypto v0.38.0
 * (nacl/box). The keys are the secrets 01 02 .. 20 (a, the sender) and
 * 80 81 .. 9f (b, the recipient), the nonce is 40 41 .. 57.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <sodium.h>

#include "tests/hex.h"
#include "tests/valgrind.h"
#include "wire/disco.h"

static const char a_pub[] =
	"07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c";
static const char b_pub[] =
	"493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d";
/* TxID a0 a1 .. ab, node key c0 c1 .. df. */
static const char ping[] =
	"5453f09f92ac07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdf"
	"c0b2b86d1c7c404142434445464748494a4b4c4d4e4f5051525354555657d76d"
	"202fddfcd728a5354c5b360149d9d09d21441e4e8e5376ae92d92c99ff156cc9"
	"cda60af3be710728a43580b93242a2114e8a122bd000f83ebd7fa3f1";
/* The same with Padding: 20. */
static const char ping_padded[] =
	"5453f09f92ac07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdf"
	"c0b2b86d1c7c404142434445464748494a4b4c4d4e4f50515253545556578f84"
	"693dabf7dcbf26b1f6370e8fdf89d09d21441e4e8e5376ae92d92c99ff156cc9"
	"cda60af3be710728a43580b93242a2114e8a122bd000f83ebd7fa3f1a38d6bf7"
	"964bf7fe0918880f7ebe93947f4886a5";
/* Without a node key, as clients before 1.16 sent it. */
static const char ping_bare[] =
	"5453f09f92ac07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdf"
	"c0b2b86d1c7c404142434445464748494a4b4c4d4e4f50515253545556572be6"
	"fb1da0b310f80091cb46bbdcadcad09d21441e4e8e5376ae92d92c99";
/* Src 25.0.0.2:41641 */
static const char pong[] =
	"5453f09f92ac07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdf"
	"c0b2b86d1c7c404142434445464748494a4b4c4d4e4f50515253545556572e19"
	"5bc09f5bf457d9c7e29d4cf4fcdfd39d21441e4e8e5376ae92d92c993fd4ae0a"
	"0963cc3476b8321c71f84e74403a";
/* Src [2001:db8::1]:41641 */
static const char pong_ipv6[] =
	"5453f09f92ac07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdf"
	"c0b2b86d1c7c404142434445464748494a4b4c4d4e4f50515253545556571ac4"
	"a6bb5d7afcba7cd7b434ae7f057cd39d21441e4e8e5376ae92d92c991fd5a3b2"
	"0963cc3476b8cde368f84e77403a";
/* 25.0.0.2:41641, [2001:db8::1]:1, 10.1.2.3:65535 */
static const char call_me_maybe[] =
	"5453f09f92ac07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdf"
	"c0b2b86d1c7c404142434445464748494a4b4c4d4e4f505152535455565710f1"
	"2b0f76077aa3c920e6a74e9e9108d29d81e5bced2af6d0093a7079cd26d4ae08"
	"abcaec357b00cde368f84e76e29370c29a5ec4fd08d922e561a27d2ea38d9408"
	"9c4af5fdf6e7";
/* Type 4, which natrig has no use for. */
static const char bind_relay[] =
	"5453f09f92ac07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdf"
	"c0b2b86d1c7c404142434445464748494a4b4c4d4e4f5051525354555657ba25"
	"4cdd9b3e5840c781ca2a6443bf30d59d81e5bced2af6d0093a7086323fd4ae0a"
	"0963cc3476b8cde368f84e76e29370c29a5fc4fc08d922e561a27d2ea38d6bf7"
	"964bf7fe0918880f7ebe93947f4886a50c841a3c3626ad6f";

static const char *const vectors[] = {
	ping,	   ping_padded,	  ping_bare,  pong,
	pong_ipv6, call_me_maybe, bind_relay,
};

enum { VECTOR_COUNT = sizeof(vectors) / sizeof(vectors[0]) };

static const uint8_t txid[DISCO_TXID_BYTES] = {
	0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab};

/* Counts up from FIRST, as all keys and nonces above do. */
static void fill(uint8_t *key, size_t size_bytes, uint8_t first)
{
	for (size_t i = 0; i < size_bytes; i++)
		key[i] = (uint8_t)(first + i);
}

static int open_as_b(const uint8_t *data, size_t size_bytes,
		     struct disco_message *m)
{
	uint8_t secret[DISCO_KEY_BYTES];

	fill(secret, sizeof(secret), 0x80);
	return disco_open(data, size_bytes, secret, m, NULL);
}

static struct disco_message opened(const char *hex)
{
	size_t size_bytes = bytes_of(hex);
	struct disco_message m;

	ck_assert_int_eq(open_as_b(buffer, size_bytes, &m), 0);
	return m;
}

static int seal_as_a(const struct disco_message *m, uint8_t *out,
		     size_t out_bytes)
{
	uint8_t secret[DISCO_KEY_BYTES], nonce[DISCO_NONCE_BYTES];
	uint8_t sender[DISCO_KEY_BYTES], recipient[DISCO_KEY_BYTES];

	fill(secret, sizeof(secret), 1);
	fill(nonce, sizeof(nonce), 0x40);
	bytes_of(a_pub);
	memcpy(sender, buffer, sizeof(sender));
	bytes_of(b_pub);
	memcpy(recipient, buffer, sizeof(recipient));
	return disco_seal(m, sender, secret, recipient, nonce, out, out_bytes);
}

static void assert_endpoint(struct endpoint e, const char *want)
{
	char text[ENDPOINT_TEXT_BYTES];

	ck_assert_str_eq(endpoint_format(e, text), want);
}

START_TEST(opens_a_ping)
{
	struct disco_message m = opened(ping);
	uint8_t key[DISCO_KEY_BYTES];

	fill(key, sizeof(key), 0xc0);
	ck_assert_uint_eq(m.type, DISCO_PING);
	ck_assert_mem_eq(m.txid, txid, sizeof(txid));
	ck_assert(m.has_node_key);
	ck_assert_mem_eq(m.node_key, key, sizeof(key));
	ck_assert_uint_eq(m.padding_bytes, 0);
	m = opened(ping_padded);
	ck_assert(m.has_node_key);
	ck_assert_uint_eq(m.padding_bytes, 20);
	m = opened(ping_bare);
	ck_assert_mem_eq(m.txid, txid, sizeof(txid));
	ck_assert(!m.has_node_key);
	ck_assert_uint_eq(m.padding_bytes, 0);
}
END_TEST

START_TEST(opens_a_pong)
{
	struct disco_message m = opened(pong);

	ck_assert_uint_eq(m.type, DISCO_PONG);
	ck_assert_mem_eq(m.txid, txid, sizeof(txid));
	assert_endpoint(m.observed, "25.0.0.2:41641");
	m = opened(pong_ipv6);
	ck_assert_uint_eq(m.type, DISCO_PONG);
	assert_endpoint(m.observed, "0.0.0.0:0");
}
END_TEST

START_TEST(opens_a_call_me_maybe)
{
	struct disco_message m = opened(call_me_maybe);

	ck_assert_uint_eq(m.type, DISCO_CALL_ME_MAYBE);
	ck_assert_uint_eq(m.endpoint_count, 2);
	assert_endpoint(m.endpoints[0], "25.0.0.2:41641");
	assert_endpoint(m.endpoints[1], "10.1.2.3:65535");
}
END_TEST

START_TEST(lets_other_types_pass)
{
	struct disco_message m = opened(bind_relay);

	ck_assert_uint_eq(m.type, 4);
}
END_TEST

START_TEST(seals_as_tailscale_does)
{
	/* Those without IPv6, which natrig reads over and cannot say. */
	static const char *const same[] = {ping, ping_padded, ping_bare, pong};
	struct disco_message m = opened(same[_i]);
	uint8_t out[DISCO_MAX_BYTES];
	int got = seal_as_a(&m, out, sizeof(out));
	size_t size_bytes = bytes_of(same[_i]);

	ck_assert_int_eq(got, (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	for (size_t n = 0; n < size_bytes; n++)
		ck_assert_int_eq(seal_as_a(&m, out, n), -EMSGSIZE);
}
END_TEST

START_TEST(a_call_me_maybe_comes_back)
{
	struct disco_message m = {.type = DISCO_CALL_ME_MAYBE}, back;
	uint8_t out[DISCO_MAX_BYTES];
	int size_bytes;

	for (unsigned n = 0; n <= DISCO_MAX_ENDPOINTS; n++) {
		m.endpoint_count = n;
		if (n)
			m.endpoints[n - 1] =
				(struct endpoint){0x19000000 + n, (uint16_t)n};
		size_bytes = seal_as_a(&m, out, sizeof(out));
		ck_assert_int_eq(size_bytes, (int)(80 + 18 * n));
		ck_assert_int_eq(open_as_b(out, (size_t)size_bytes, &back), 0);
		ck_assert_uint_eq(back.endpoint_count, n);
		for (unsigned i = 0; i < n; i++)
			ck_assert(endpoint_equal(back.endpoints[i],
						 m.endpoints[i]));
	}
	m.endpoint_count = DISCO_MAX_ENDPOINTS + 1;
	ck_assert_int_eq(seal_as_a(&m, out, sizeof(out)), -EMSGSIZE);
}
END_TEST

START_TEST(a_jumbo_ping_comes_back)
{
	struct disco_message m = {.type = DISCO_PING, .padding_bytes = 8800};
	static uint8_t out[9000];
	int size_bytes = seal_as_a(&m, out, sizeof(out));

	ck_assert_int_eq(size_bytes, 62 + 16 + 2 + 12 + 8800);
	ck_assert_int_eq(open_as_b(out, (size_t)size_bytes, &m), 0);
	/* A key of zeros is none, so all of it is padding. */
	ck_assert(!m.has_node_key);
	ck_assert_uint_eq(m.padding_bytes, 8800);
	m.padding_bytes = SIZE_MAX;
	ck_assert_int_eq(seal_as_a(&m, out, sizeof(out)), -EMSGSIZE);
}
END_TEST

START_TEST(tells_the_sender)
{
	uint8_t sender[DISCO_KEY_BYTES], want[DISCO_KEY_BYTES];
	size_t size_bytes;

	bytes_of(a_pub);
	memcpy(want, buffer, sizeof(want));
	size_bytes = bytes_of(pong);
	ck_assert(disco_looks_like(buffer, size_bytes));
	ck_assert_int_eq(disco_sender(buffer, size_bytes, sender), 0);
	ck_assert_mem_eq(sender, want, sizeof(want));
	ck_assert(!disco_looks_like(buffer, 77));
	ck_assert(disco_looks_like(buffer, 78));
	buffer[5] ^= 1;
	ck_assert(!disco_looks_like(buffer, size_bytes));
	ck_assert_int_eq(disco_sender(buffer, size_bytes, sender), -EBADMSG);
}
END_TEST

START_TEST(tells_the_kind_by_size)
{
	ck_assert_int_eq(disco_kind_by_size(bytes_of(ping), false), DISCO_PING);
	ck_assert_int_eq(disco_kind_by_size(bytes_of(ping_padded), false),
			 DISCO_PING);
	ck_assert_int_eq(disco_kind_by_size(bytes_of(pong), false), DISCO_PONG);
	ck_assert_int_eq(disco_kind_by_size(bytes_of(pong), true), DISCO_PONG);
	ck_assert_int_eq(disco_kind_by_size(bytes_of(ping), true), DISCO_PING);
	ck_assert_int_eq(disco_kind_by_size(bytes_of(call_me_maybe), true),
			 DISCO_CALL_ME_MAYBE);
	ck_assert_int_eq(disco_kind_by_size(98, true), DISCO_CALL_ME_MAYBE);
	ck_assert_int_eq(disco_kind_by_size(98, false), 0);
	ck_assert_int_eq(disco_kind_by_size(123, false), 0);
	ck_assert_int_eq(disco_kind_by_size(0, true), 0);
	ck_assert_int_eq(disco_kind_by_size(62, true), 0);
}
END_TEST

START_TEST(opens_for_its_recipient_only)
{
	size_t size_bytes = bytes_of(ping);
	uint8_t secret[DISCO_KEY_BYTES];
	struct err err = {0};
	struct disco_message m;

	fill(secret, sizeof(secret), 0x81);
	ck_assert_int_eq(disco_open(buffer, size_bytes, secret, &m, &err),
			 -EACCES);
	ck_assert_ptr_nonnull(strstr(err.text, "another key"));
}
END_TEST

START_TEST(refuses_a_key_that_nobody_has)
{
	struct disco_message m = {.type = DISCO_PING};
	static const uint8_t zero[DISCO_KEY_BYTES];
	uint8_t out[256];

	ck_assert_int_eq(
		disco_seal(&m, zero, zero, zero, zero, out, sizeof(out)),
		-EINVAL);
}
END_TEST

START_TEST(refuses_being_cut_anywhere)
{
	size_t size_bytes = bytes_of(vectors[_i]);
	struct disco_message m;

	for (size_t n = 0; n < size_bytes; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, buffer, n);
		ck_assert_int_eq(open_as_b(cut, n, &m),
				 n < 78 ? -EBADMSG : -EACCES);
		free(cut);
	}
}
END_TEST

START_TEST(a_flipped_bit_does_not_open)
{
	size_t size_bytes = bytes_of(vectors[_i]);
	const size_t step = (size_t)unless_valgrind(1, 13);
	struct disco_message m;

	for (size_t bit = 0; bit < size_bytes * 8; bit += step) {
		/* X25519 ignores the top bit of a public key (RFC 7748 5). */
		bool ignored = bit == (6 + 31) * 8 + 7;

		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(open_as_b(buffer, size_bytes, &m),
				 ignored       ? 0
				 : bit < 6 * 8 ? -EBADMSG
					       : -EACCES);
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

/* Seals PLAIN as it is, the way no honest client would. */
static int open_plain(const void *plain, size_t plain_bytes,
		      struct disco_message *m)
{
	uint8_t secret[DISCO_KEY_BYTES], message[256];
	size_t size_bytes;

	size_bytes = bytes_of(pong);
	memcpy(message, buffer, DISCO_HEADER_BYTES);
	fill(secret, sizeof(secret), 1);
	bytes_of(b_pub);
	ck_assert_int_eq(crypto_box_easy(message + DISCO_HEADER_BYTES, plain,
					 plain_bytes, message + 6 + 32, buffer,
					 secret),
			 0);
	size_bytes = DISCO_HEADER_BYTES + crypto_box_MACBYTES + plain_bytes;
	return open_as_b(message, size_bytes, m);
}

START_TEST(refuses_a_payload_cut_short)
{
	static const uint8_t plain[64] = {DISCO_PONG};
	struct disco_message m;

	ck_assert_int_eq(open_plain(plain, 0, &m), -EBADMSG);
	ck_assert_int_eq(open_plain(plain, 1, &m), -EBADMSG);
	ck_assert_int_eq(open_plain(plain, 2 + 29, &m), -EBADMSG);
	ck_assert_int_eq(open_plain(plain, 2 + 30, &m), 0);
	/* Trailing bytes are for versions to come. */
	ck_assert_int_eq(open_plain(plain, 2 + 40, &m), 0);
	ck_assert_int_eq(open_plain("\1\0xxxxxxxxxxx", 13, &m), -EBADMSG);
	ck_assert_int_eq(open_plain("\1\0xxxxxxxxxxxx", 14, &m), 0);
	ck_assert_int_eq(open_plain("\3\0xxxxxxxxxxxx", 14, &m), 0);
	ck_assert_uint_eq(m.endpoint_count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disco");
	TCase *tc = tcase_create("disco");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_test(tc, opens_a_ping);
	tcase_add_test(tc, opens_a_pong);
	tcase_add_test(tc, opens_a_call_me_maybe);
	tcase_add_test(tc, lets_other_types_pass);
	tcase_add_loop_test(tc, seals_as_tailscale_does, 0, 4);
	tcase_add_test(tc, a_call_me_maybe_comes_back);
	tcase_add_test(tc, a_jumbo_ping_comes_back);
	tcase_add_test(tc, tells_the_sender);
	tcase_add_test(tc, tells_the_kind_by_size);
	tcase_add_test(tc, opens_for_its_recipient_only);
	tcase_add_test(tc, refuses_a_key_that_nobody_has);
	tcase_add_loop_test(tc, refuses_being_cut_anywhere, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, a_flipped_bit_does_not_open, 0, VECTOR_COUNT);
	tcase_add_test(tc, refuses_a_payload_cut_short);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
