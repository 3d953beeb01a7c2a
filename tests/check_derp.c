/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes were written down between derphttp.Client and derpserver.Server
 * of tailscale.com v1.90.0, in one Go program over plain HTTP on loopback: a
 * listener that prints what its connections read and write. The keys were
 * made by key.NewNode for that one run. The JSON of the boxes was read with
 * PyNaCl 1.6.2 as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <sodium.h>

#include "tests/hex.h"
#include "wire/derp.h"

static const char server_secret[] =
	"a0210c8358d677845c5cdc0016779fd37136996a09f4f0df900a8facac487b4f";
static const char server_pub[] =
	"25fc1c61224f63bf89f66d458d751c6e7ede7d78b051a2a1405faf4018670d27";
static const char a_secret[] =
	"8810e7ebfe4cf1b37869a88320d68c996ce7e03287212357be208e593d556c60";
static const char a_pub[] =
	"a43ad8038d7f46ec6755b0c296e1a05638d582486c5429f08c96efe78856b65e";
static const char b_pub[] =
	"33824b9dbb853c2ba855628edf60e6fbfcd2466093122cfa31c4d6b3791aea71";
static const char request[] =
	"474554202f6465727020485454502f312e310d0a486f73743a203132372e302e"
	"302e313a34313136350d0a557365722d4167656e743a20476f2d687474702d63"
	"6c69656e742f312e310d0a436f6e6e656374696f6e3a20557067726164650d0a"
	"557067726164653a20444552500d0a0d0a";
static const char response[] =
	"485454502f312e312031303120537769746368696e672050726f746f636f6c73"
	"0d0a557067726164653a20444552500d0a436f6e6e656374696f6e3a20557067"
	"726164650d0a446572702d56657273696f6e3a20320d0a446572702d5075626c"
	"69632d4b65793a20323566633163363132323466363362663839663636643435"
	"3864373531633665376564653764373862303531613261313430356661663430"
	"31383637306432370d0a0d0a";
static const char server_key[] =
	"010000002844455250f09f949125fc1c61224f63bf89f66d458d751c6e7ede7d"
	"78b051a2a1405faf4018670d27";
static const char client_info[] =
	"0200000069a43ad8038d7f46ec6755b0c296e1a05638d582486c5429f08c96ef"
	"e78856b65eb96d349738afba193ab7c3006c30eecaf2d3ecc36fcd673392cded"
	"c5acc6888a14b7d1b3c0c223916ee5fe2d4463e4a74dd9025a0cf8231a92b863"
	"b1488c2cf8497447c33b8b8c5d0e";
static const char server_info[] =
	"0300000035646ef7ce15b298d49e731dcce9b543482c602d2257378b9858f423"
	"c961fe89dc727524c4be97b1aea6727b5ece617c64ea95f1fe35";
static const char send_packet[] =
	"040000003233824b9dbb853c2ba855628edf60e6fbfcd2466093122cfa31c4d6"
	"b3791aea716e61747269672072656c6179732074686973";
static const char recv_packet[] =
	"0500000032a43ad8038d7f46ec6755b0c296e1a05638d582486c5429f08c96ef"
	"e78856b65e6e61747269672072656c6179732074686973";
static const char note_preferred[] = "070000000101";
static const char ping[] = "12000000080102030405060708";
static const char pong[] = "13000000080102030405060708";

static const char client_json[] = "{\"version\":2,\"CanAckPings\":false}";
static const char server_json[] = "{\"version\":2}";
static const char text[] = "natrig relays this";

static const char *const frames[] = {
	server_key,  client_info,    server_info, send_packet,
	recv_packet, note_preferred, ping,	  pong,
};

enum { FRAME_COUNT = sizeof(frames) / sizeof(frames[0]) };

static void key_of(const char *hex, uint8_t key[static DERP_KEY_BYTES])
{
	bytes_of(hex);
	memcpy(key, buffer, DERP_KEY_BYTES);
}

static void assert_key(const uint8_t *key, const char *hex)
{
	char got[2 * DERP_KEY_BYTES + 1];

	ck_assert_ptr_nonnull(key);
	sodium_bin2hex(got, sizeof(got), key, DERP_KEY_BYTES);
	ck_assert_str_eq(got, hex);
}

/* The views are into the buffer. */
static struct derp_frame decoded(const char *hex)
{
	size_t size_bytes = bytes_of(hex);
	struct derp_frame frame;

	ck_assert_int_eq(derp_decode(buffer, size_bytes, &frame, NULL),
			 (int)size_bytes);
	return frame;
}

START_TEST(decodes_each_type)
{
	struct derp_frame f = decoded(server_key);

	ck_assert_uint_eq(f.type, DERP_SERVER_KEY);
	assert_key(f.key, server_pub);
	f = decoded(client_info);
	ck_assert_uint_eq(f.type, DERP_CLIENT_INFO);
	assert_key(f.key, a_pub);
	f = decoded(server_info);
	ck_assert_uint_eq(f.type, DERP_SERVER_INFO);
	ck_assert_ptr_null(f.key);
	f = decoded(note_preferred);
	ck_assert_uint_eq(f.type, DERP_NOTE_PREFERRED);
	ck_assert_uint_eq(f.body_bytes, 1);
	ck_assert_uint_eq(f.body[0], 1);
	f = decoded(pong);
	ck_assert_uint_eq(f.type, DERP_PONG);
	ck_assert_mem_eq(f.body, "\1\2\3\4\5\6\7\x08", 8);
}
END_TEST

START_TEST(decodes_packets)
{
	struct derp_frame f = decoded(send_packet);

	ck_assert_uint_eq(f.type, DERP_SEND_PACKET);
	assert_key(f.key, b_pub);
	ck_assert_uint_eq(f.packet_bytes, strlen(text));
	ck_assert_mem_eq(f.packet, text, strlen(text));
	f = decoded(recv_packet);
	ck_assert_uint_eq(f.type, DERP_RECV_PACKET);
	assert_key(f.key, a_pub);
	ck_assert_mem_eq(f.packet, text, strlen(text));
}
END_TEST

START_TEST(encodes_packets_as_tailscale_does)
{
	uint8_t key[DERP_KEY_BYTES], out[128];
	size_t size_bytes;

	key_of(b_pub, key);
	size_bytes = bytes_of(send_packet);
	ck_assert_int_eq(derp_encode_packet(DERP_SEND_PACKET, key, text,
					    strlen(text), out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	for (size_t n = 0; n < size_bytes; n++)
		ck_assert_int_eq(derp_encode_packet(DERP_SEND_PACKET, key, text,
						    strlen(text), out, n),
				 -EMSGSIZE);
	size_bytes = bytes_of(ping);
	ck_assert_int_eq(
		derp_encode(DERP_PING, buffer + 5, 8, out, sizeof(out)),
		(int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	key_of(server_pub, key);
	size_bytes = bytes_of(server_key);
	ck_assert_int_eq(derp_encode_server_key(key, out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
}
END_TEST

START_TEST(opens_infos)
{
	uint8_t secret[DERP_KEY_BYTES], pub[DERP_KEY_BYTES];
	struct derp_frame f;
	char json[64];

	key_of(server_secret, secret);
	f = decoded(client_info);
	ck_assert_int_eq(derp_open_client_info(&f, secret, pub, json, 34), 0);
	ck_assert_str_eq(json, client_json);
	assert_key(pub, a_pub);
	ck_assert_int_eq(derp_open_client_info(&f, secret, pub, json, 33),
			 -EMSGSIZE);
	ck_assert_int_eq(derp_open_server_info(&f, secret, pub, json, 64),
			 -EBADMSG);
	key_of(a_secret, secret);
	key_of(server_pub, pub);
	f = decoded(server_info);
	ck_assert_int_eq(derp_open_server_info(&f, secret, pub, json, 64), 0);
	ck_assert_str_eq(json, server_json);
	ck_assert_int_eq(derp_open_client_info(&f, secret, pub, json, 64),
			 -EBADMSG);
}
END_TEST

START_TEST(an_info_for_another_does_not_open)
{
	uint8_t secret[DERP_KEY_BYTES], pub[DERP_KEY_BYTES];
	struct derp_frame f;
	char json[64] = "x";

	key_of(a_secret, secret);
	f = decoded(client_info);
	ck_assert_int_eq(derp_open_client_info(&f, secret, pub, json, 64),
			 -EACCES);
	ck_assert_str_eq(json, "");
}
END_TEST

START_TEST(encodes_infos_as_tailscale_does)
{
	uint8_t secret[DERP_KEY_BYTES], pub[DERP_KEY_BYTES];
	uint8_t peer[DERP_KEY_BYTES], out[128];
	size_t size_bytes;

	key_of(a_secret, secret);
	key_of(a_pub, pub);
	key_of(server_pub, peer);
	size_bytes = bytes_of(client_info);
	/* The nonce is the one that was seen. */
	ck_assert_int_eq(derp_encode_client_info(pub, secret, peer,
						 buffer + 5 + 32, client_json,
						 out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	key_of(server_secret, secret);
	size_bytes = bytes_of(server_info);
	ck_assert_int_eq(derp_encode_server_info(secret, pub, buffer + 5,
						 server_json, out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	ck_assert_int_eq(derp_encode_server_info(secret, pub, buffer + 5,
						 server_json, out,
						 size_bytes - 1),
			 -EMSGSIZE);
	memset(peer, 0, sizeof(peer));
	ck_assert_int_eq(derp_encode_client_info(pub, secret, peer, pub, "{}",
						 out, sizeof(out)),
			 -EINVAL);
}
END_TEST

START_TEST(waits_for_the_rest)
{
	size_t size_bytes = bytes_of(frames[_i]);
	struct derp_frame f;

	for (size_t n = 0; n < size_bytes; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, buffer, n);
		ck_assert_int_eq(derp_decode(cut, n, &f, NULL), 0);
		ck_assert_ptr_null(f.body);
		free(cut);
	}
	/* What belongs to the next frame is left. */
	ck_assert_int_eq(derp_decode(buffer, size_bytes + 9, &f, NULL),
			 (int)size_bytes);
}
END_TEST

static const char *const bad_frames[] = {
	"0100000027", "0200000047", "0300000027", "040000001f", "050000001f",
	"0700000000", "080000001f", "0a0000003f", "1200000007", "1300000000",
	"1500000007", "0400010021", /* one byte beyond the largest frame */
	"04ffffffff", "ffffffffff",
};

START_TEST(refuses_at_once)
{
	size_t size_bytes = bytes_of(bad_frames[_i]);
	struct err err = {0};
	struct derp_frame f;

	ck_assert_int_eq(derp_decode(buffer, size_bytes, &f, &err), -EBADMSG);
	ck_assert_uint_gt(strlen(err.text), 0);
}
END_TEST

START_TEST(a_server_key_needs_its_magic)
{
	size_t size_bytes = bytes_of(server_key);
	struct derp_frame f;

	for (size_t i = 5; i < 5 + 8; i++) {
		buffer[i] ^= 1;
		ck_assert_int_eq(derp_decode(buffer, size_bytes, &f, NULL),
				 -EBADMSG);
		buffer[i] ^= 1;
	}
}
END_TEST

START_TEST(lets_unknown_and_empty_frames_pass)
{
	struct derp_frame f;

	ck_assert_int_eq(derp_decode("\x66\0\0\0\2ab", 7, &f, NULL), 7);
	ck_assert_uint_eq(f.type, 0x66);
	ck_assert_uint_eq(f.body_bytes, 2);
	ck_assert_int_eq(derp_decode("\6\0\0\0\0", 5, &f, NULL), 5);
	ck_assert_uint_eq(f.type, DERP_KEEP_ALIVE);
}
END_TEST

START_TEST(the_largest_packet_passes)
{
	static uint8_t out[DERP_FRAME_HEADER_BYTES + DERP_MAX_FRAME_BYTES + 1];
	static uint8_t packet[DERP_MAX_PACKET_BYTES + 1];
	struct derp_frame f;
	int size_bytes;

	size_bytes =
		derp_encode_packet(DERP_RECV_PACKET, packet, packet,
				   DERP_MAX_PACKET_BYTES, out, sizeof(out));
	ck_assert_int_eq(size_bytes,
			 DERP_FRAME_HEADER_BYTES + DERP_MAX_FRAME_BYTES);
	ck_assert_int_eq(derp_decode(out, (size_t)size_bytes, &f, NULL),
			 size_bytes);
	ck_assert_uint_eq(f.packet_bytes, DERP_MAX_PACKET_BYTES);
	ck_assert_int_eq(derp_encode_packet(DERP_RECV_PACKET, packet, packet,
					    sizeof(packet), out, sizeof(out)),
			 -EMSGSIZE);
	ck_assert_int_eq(derp_encode(0x66, packet, DERP_MAX_FRAME_BYTES + 1,
				     out, SIZE_MAX),
			 -EMSGSIZE);
}
END_TEST

START_TEST(survives_flipped_bits)
{
	size_t size_bytes = bytes_of(frames[_i]);
	struct derp_frame f;

	for (size_t bit = 0; bit < size_bytes * 8; bit++) {
		int ret;

		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ret = derp_decode(buffer, size_bytes, &f, NULL);
		ck_assert(ret <= (int)size_bytes);
		if (ret > 0)
			ck_assert(f.body + f.body_bytes <= buffer + ret);
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

START_TEST(accepts_the_upgrade_that_tailscale_sends)
{
	size_t size_bytes = bytes_of(request);

	ck_assert_int_eq(derp_decode_upgrade(buffer, size_bytes, true, NULL),
			 (int)size_bytes);
	/* Frames may follow at once. */
	ck_assert_int_eq(
		derp_decode_upgrade(buffer, size_bytes + 5, true, NULL),
		(int)size_bytes);
	for (size_t n = 0; n < size_bytes; n++)
		ck_assert_int_eq(derp_decode_upgrade(buffer, n, true, NULL), 0);
	size_bytes = bytes_of(response);
	ck_assert_int_eq(derp_decode_upgrade(buffer, size_bytes, false, NULL),
			 (int)size_bytes);
	for (size_t n = 0; n < size_bytes; n++)
		ck_assert_int_eq(derp_decode_upgrade(buffer, n, false, NULL),
				 0);
}
END_TEST

START_TEST(its_own_upgrade_comes_back)
{
	uint8_t out[256];
	int size_bytes = derp_encode_upgrade_request("relay", out, sizeof(out));

	ck_assert_int_gt(size_bytes, 0);
	ck_assert_int_eq(
		derp_decode_upgrade(out, (size_t)size_bytes, true, NULL),
		size_bytes);
	ck_assert_int_eq(derp_encode_upgrade_request("relay", out,
						     (size_t)size_bytes - 1),
			 -EMSGSIZE);
	ck_assert_int_eq(
		derp_encode_upgrade_request("a\r\nX: y", out, sizeof(out)),
		-EINVAL);
	size_bytes = derp_encode_upgrade_response(out, sizeof(out));
	ck_assert_int_eq(
		derp_decode_upgrade(out, (size_t)size_bytes, false, NULL),
		size_bytes);
}
END_TEST

static const struct {
	bool as_server;
	int want; /* 1: all of it */
	const char *http;
} upgrades[] = {
	{true, 1,
	 "GET /derp HTTP/1.1\r\nUPGRADE:derp\r\n"
	 "connection: keep-alive ,\tupgrade \r\n\r\n"},
	{true, 1,
	 "GET /derp?x=1 HTTP/1.1\nUpgrade: DERP\n"
	 "Connection: Upgrade\n\n"},
	{true, -EBADMSG, "GET /derp HTTP/1.1\r\nConnection: Upgrade\r\n\r\n"},
	{true, -EBADMSG, "GET /derp HTTP/1.1\r\nUpgrade: DERP\r\n\r\n"},
	{true, -EBADMSG,
	 "GET /derp HTTP/1.1\r\nUpgrade: DERPS\r\n"
	 "Connection: Upgrade\r\n\r\n"},
	{true, -EBADMSG,
	 "GET /derp/probe HTTP/1.1\r\nUpgrade: DERP\r\n"
	 "Connection: Upgrade\r\n\r\n"},
	{true, -EBADMSG, "POST"},
	{true, -EBADMSG, "\x16\x03\x01"},
	{true, 0, "GET /de"},
	{true, 0, ""},
	{false, -EBADMSG, "GET /derp HTTP/1.1"},
	{false, -EBADMSG, "HTTP/1.1 404 Not Found\r\n\r\n"},
	{false, -EBADMSG, "HTTP/1.1 1010\r\n"},
	{false, -EBADMSG, "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
	{false, 1,
	 "HTTP/1.1 101\r\nUpgrade: DERP\r\n"
	 "Connection: Upgrade\r\n\r\n"},
};

START_TEST(judges_upgrades)
{
	size_t size_bytes = strlen(upgrades[_i].http);
	int want = upgrades[_i].want == 1 ? (int)size_bytes : upgrades[_i].want;

	ck_assert_int_eq(derp_decode_upgrade(upgrades[_i].http, size_bytes,
					     upgrades[_i].as_server, NULL),
			 want);
}
END_TEST

START_TEST(does_not_wait_forever)
{
	static char endless[9000] = "GET /derp HTTP/1.1\r\nX: ";

	memset(endless + 23, 'x', sizeof(endless) - 23);
	ck_assert_int_eq(derp_decode_upgrade(endless, 8192, true, NULL), 0);
	ck_assert_int_eq(derp_decode_upgrade(endless, 8193, true, NULL),
			 -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("derp");
	TCase *tc = tcase_create("derp");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_test(tc, decodes_each_type);
	tcase_add_test(tc, decodes_packets);
	tcase_add_test(tc, encodes_packets_as_tailscale_does);
	tcase_add_test(tc, opens_infos);
	tcase_add_test(tc, an_info_for_another_does_not_open);
	tcase_add_test(tc, encodes_infos_as_tailscale_does);
	tcase_add_loop_test(tc, waits_for_the_rest, 0, FRAME_COUNT);
	tcase_add_loop_test(tc, refuses_at_once, 0,
			    sizeof(bad_frames) / sizeof(bad_frames[0]));
	tcase_add_test(tc, a_server_key_needs_its_magic);
	tcase_add_test(tc, lets_unknown_and_empty_frames_pass);
	tcase_add_test(tc, the_largest_packet_passes);
	tcase_add_loop_test(tc, survives_flipped_bits, 0, FRAME_COUNT);
	tcase_add_test(tc, accepts_the_upgrade_that_tailscale_sends);
	tcase_add_test(tc, its_own_upgrade_comes_back);
	tcase_add_loop_test(tc, judges_upgrades, 0,
			    sizeof(upgrades) / sizeof(upgrades[0]));
	tcase_add_test(tc, does_not_wait_forever);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
