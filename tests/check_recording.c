/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the reader of recordings makes of whole files.
 *
 * tests/data/ was written by Wireshark 4.0.17's tools: dumpcap on a cable
 * between home-a.wan and net.home-a (25.0.0.2) while "ping1" to "ping3" were
 * sent; text2pcap from three lines "ping" 01..03; mergecap (-a: appended) of
 * those; editcap --inject-secrets --capture-comment -a. The frames expected
 * are what tshark -T fields says of them. Names of the machine that dumpcap
 * and text2pcap put into the section header were overwritten with x.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "captures/recording.h"
#include "wire/packet.h"
#include "tests/recording_maker.h"

#define MAX_FRAMES 10

#define U DIRECTION_UNKNOWN
#define IN DIRECTION_IN
#define OUT DIRECTION_OUT

struct expected {
	unsigned number;
	uint64_t time_ns;
	unsigned vantage;
	enum direction direction;
	size_t bytes;
	char last; /* of the payload "pingN" */
};

struct sample {
	const char *file;
	const char *vantages[3];
	const char *comment;
	struct expected frames[MAX_FRAMES + 1]; /* ends with number 0 */
};

static const struct sample samples[] = {
	{.file = "text2pcap-us.pcap",
	 .vantages = {"text2pcap-us"},
	 .frames = {{1, 1704164641123456000, 0, U, 60, 1},
		    {2, 1704164642123456000, 0, U, 60, 2},
		    {3, 1704164643123456000, 0, U, 60, 3}}},
	{.file = "text2pcap-ns.pcap",
	 .vantages = {"text2pcap-ns"},
	 .frames = {{1, 1704164641123456781, 0, U, 60, 1},
		    {2, 1704164642123456782, 0, U, 60, 2},
		    {3, 1704164643123456783, 0, U, 60, 3}}},
	{.file = "dumpcap-sll.pcap",
	 .vantages = {"dumpcap-sll"},
	 .frames = {{1, 1795394449413831000, 0, OUT, 49, '1'},
		    {2, 1795394449413843000, 0, IN, 49, '1'},
		    {3, 1795394449515567000, 0, OUT, 49, '2'},
		    {4, 1795394449515580000, 0, IN, 49, '2'}}},
	{.file = "dumpcap-sll2.pcapng",
	 .vantages = {"any"},
	 .frames = {{1, 1795394421589972284, 0, OUT, 53, '1'},
		    {2, 1795394421589980191, 0, IN, 53, '1'},
		    {3, 1795394421691861464, 0, OUT, 53, '2'},
		    {4, 1795394421691871013, 0, IN, 53, '2'}}},
	{.file = "dumpcap.pcapng",
	 .vantages = {"home-a.wan", "net.home-a"},
	 .frames = {{1, 1795394421589972284, 0, U, 47, '1'},
		    {2, 1795394421589980191, 1, U, 47, '1'},
		    {3, 1795394421691861464, 0, U, 47, '2'},
		    {5, 1795394421691871013, 1, U, 47, '2'},
		    {4, 1795394421793841230, 0, U, 47, '3'},
		    {6, 1795394421793852843, 1, U, 47, '3'}}},
	{.file = "mergecap-a.pcapng",
	 .vantages = {"home-a.wan", "net.home-a", "any"},
	 .frames = {{1, 1795394421589972284, 0, U, 47, '1'},
		    {7, 1795394421589972284, 2, OUT, 53, '1'},
		    {2, 1795394421589980191, 1, U, 47, '1'},
		    {8, 1795394421589980191, 2, IN, 53, '1'},
		    {3, 1795394421691861464, 0, U, 47, '2'},
		    {9, 1795394421691861464, 2, OUT, 53, '2'},
		    {5, 1795394421691871013, 1, U, 47, '2'},
		    {10, 1795394421691871013, 2, IN, 53, '2'},
		    {4, 1795394421793841230, 0, U, 47, '3'},
		    {6, 1795394421793852843, 1, U, 47, '3'}}},
	{.file = "mergecap.pcapng",
	 .vantages = {"if0", "if1"},
	 .frames = {{1, 1704164641123456000, 0, U, 60, 1},
		    {2, 1704164641123456781, 1, U, 60, 1},
		    {3, 1704164642123456000, 0, U, 60, 2},
		    {4, 1704164642123456782, 1, U, 60, 2},
		    {5, 1704164643123456000, 0, U, 60, 3},
		    {6, 1704164643123456783, 1, U, 60, 3}}},
	{.file = "editcap.pcapng",
	 .vantages = {"Fake IF, text2pcap"},
	 .comment = "Generated from input file in.txt.",
	 .frames = {{1, 1704164641123456781, 0, U, 60, 1},
		    {2, 1704164642123456782, 0, U, 60, 2},
		    {3, 1704164643123456783, 0, U, 60, 3}}},
};

static void check_sample(const struct sample *sample,
			 const struct recording *rec)
{
	const struct expected *e = sample->frames;
	const struct frame *f = rec->frames;
	const uint8_t *ping;

	for (unsigned i = 0; i < rec->vantage_count; i++)
		ck_assert_str_eq(rec->vantages[i].name, sample->vantages[i]);
	ck_assert(rec->vantage_count == 3 ||
		  !sample->vantages[rec->vantage_count]);
	ck_assert_pstr_eq(rec->comment, sample->comment);
	for (; e->number; e++, f++) {
		ck_assert_uint_lt(f - rec->frames, rec->frame_count);
		ck_assert_uint_eq(f->number, e->number);
		ck_assert_uint_eq(f->time_ns, e->time_ns);
		ck_assert_uint_eq(f->vantage, e->vantage);
		ck_assert_int_eq(f->direction, e->direction);
		ck_assert_uint_eq(f->captured_bytes, e->bytes);
		ck_assert_uint_eq(f->wire_bytes, e->bytes);
		ping = memmem(f->data, f->captured_bytes, "ping", 4);
		ck_assert_ptr_nonnull(ping);
		ck_assert_int_eq(ping[4], e->last);
	}
	ck_assert_uint_eq(f - rec->frames, rec->frame_count);
}

START_TEST(reads_what_wireshark_wrote)
{
	const struct sample *sample = &samples[_i];
	struct recording *rec;
	struct err err = {0};

	ck_assert_msg(!recording_read(sample_path(sample->file), &rec, &err),
		      "%s", err.text);
	check_sample(sample, rec);
	recording_free(rec);
}
END_TEST

static void swap_u32(uint8_t *p)
{
	uint8_t b[4] = {p[3], p[2], p[1], p[0]};

	memcpy(p, b, sizeof(b));
}

START_TEST(reads_pcap_of_the_other_byte_order)
{
	struct sample sample = samples[_i];
	struct recording *rec;
	struct bytes b;
	uint32_t captured;

	sample_load(sample.file, &b);
	swap_u32(b.data);
	memcpy(b.data + 4, "\0\2\0\4", 4);
	for (size_t at = 8; at < 24; at += 4)
		swap_u32(b.data + at);
	for (size_t at = 24; at < b.size; at += 16 + captured) {
		memcpy(&captured, b.data + at + 8, 4);
		for (size_t i = 0; i < 16; i += 4)
			swap_u32(b.data + at + i);
	}
	sample.vantages[0] = "bytes";
	rec = parsed(&b);
	check_sample(&sample, rec);
	recording_free(rec);
}
END_TEST

START_TEST(reads_every_unit_of_time)
{
	static const struct {
		uint8_t tsresol;
		int64_t offset_s;
		uint64_t units, time_ns;
	} cases[] = {
		{6, 0, 1704164641123456, 1704164641123456000},
		{3, 0, 1704164641123, 1704164641123000000},
		{0, 0, 1704164641, 1704164641000000000},
		{9, 0, 1704164641123456789, 1704164641123456789},
		{12, 0, 1704164641123456, 1704164641123},
		{127, 0, UINT64_MAX, 0},
		{0x80 | 0, 0, 1704164641, 1704164641000000000},
		{0x80 | 10, 0, 1025, 1000976562},
		{0x80 | 32, 0, 0x180000000, 1500000000},
		{0x80 | 127, 0, UINT64_MAX, 0},
		{9, 10, 5, 10000000005},
		{6, -1, 2000000, 1000000000},
	};
	bool little = _i % 2;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bytes b;
		struct maker m = maker_over(&b, little);
		uint8_t offset[8];
		struct maker o = {.w = writer_over(offset, 8),
				  .little = little};
		struct recording *rec;

		m64(&o, (uint64_t)cases[i].offset_s);
		interface(&m, 1, 0);
		option(&m, 9, &cases[i].tsresol, 1);
		option(&m, 14, offset, 8);
		end(&m);
		packet(&m, 0, cases[i].units, "x", 1);
		end(&m);
		rec = made(&m, &b);
		ck_assert_msg(rec->frames[0].time_ns == cases[i].time_ns,
			      "case %zu: %llu", i,
			      (unsigned long long)rec->frames[0].time_ns);
		recording_free(rec);
	}
}
END_TEST

START_TEST(reads_sections_of_both_byte_orders)
{
	struct bytes b;
	struct maker m = maker_over(&b, _i % 2);
	struct recording *rec;

	interface(&m, 1, 0);
	option(&m, 2, "a.eth0", 6);
	end(&m);
	packet(&m, 0, 7, "first", 5);
	end(&m);
	section(&m, !(_i % 2));
	interface(&m, 101, 0);
	option(&m, 2, "b", 1);
	end(&m);
	packet(&m, 0, 3, "second", 6);
	end(&m);
	rec = made(&m, &b);
	ck_assert_uint_eq(rec->vantage_count, 2);
	ck_assert_str_eq(rec->vantages[0].node, "a");
	ck_assert_str_eq(rec->vantages[0].interface, "eth0");
	ck_assert_str_eq(rec->vantages[1].node, "b");
	ck_assert_str_eq(rec->vantages[1].interface, "");
	ck_assert_int_eq(rec->vantages[1].link, 101);
	ck_assert_uint_eq(rec->frame_count, 2);
	ck_assert_uint_eq(rec->frames[0].number, 2);
	ck_assert_uint_eq(rec->frames[0].vantage, 1);
	ck_assert_mem_eq(rec->frames[0].data, "second", 6);
	ck_assert_mem_eq(rec->frames[1].data, "first", 5);
	recording_free(rec);
}
END_TEST

/* Numbers as tshark 4.0.17 gives them to a file with these blocks. */
static void old_and_foreign_blocks(struct maker *m)
{
	interface(m, 1, 4);
	end(m);
	packet(m, 0, 1000, "enhanced", 8); /* 1 */
	end(m);
	begin(m, 0xbad); /* custom: 2 */
	m32(m, 32473);
	end(m);
	begin(m, 9); /* journal: 3 */
	writer_bytes(&m->w, "MESSAGE=x\n__REALTIME_TIMESTAMP=123\n", 35);
	end(m);
	begin(m, 0x777); /* unknown */
	end(m);
	begin(m, 4); /* names */
	m32(m, 0);
	end(m);
	begin(m, 3); /* simple: 4 */
	m32(m, 6);
	writer_bytes(&m->w, "simp", 4); /* the snap length's worth */
	end(m);
	begin(m, 2); /* obsolete: 5 */
	m16(m, 0);
	m16(m, 0);
	m32(m, 0);
	m32(m, 2000);
	m32(m, 3);
	m32(m, 9);
	writer_bytes(&m->w, "old\0", 4);
	m16(m, 2);
	m16(m, 4);
	m32(m, 2); /* outbound */
	end(m);
	begin(m, 5); /* statistics */
	m32(m, 0);
	m64(m, 0);
	m16(m, 5);
	m16(m, 8);
	m64(m, 0x100000007);
	end(m);
}

START_TEST(reads_old_and_foreign_blocks)
{
	struct bytes b;
	struct maker m = maker_over(&b, _i % 2);
	struct recording *rec;

	old_and_foreign_blocks(&m);
	rec = made(&m, &b);
	ck_assert_uint_eq(rec->frame_count, 3);
	ck_assert_uint_eq(rec->frames[1].number, 4);
	ck_assert_uint_eq(rec->frames[1].time_ns, rec->frames[0].time_ns);
	ck_assert_uint_eq(rec->frames[1].captured_bytes, 4);
	ck_assert_uint_eq(rec->frames[1].wire_bytes, 6);
	ck_assert_uint_eq(rec->frames[2].number, 5);
	ck_assert_uint_eq(rec->frames[2].time_ns, 2000000);
	ck_assert_uint_eq(rec->frames[2].captured_bytes, 3);
	ck_assert_uint_eq(rec->frames[2].wire_bytes, 9);
	ck_assert_int_eq(rec->frames[2].direction, DIRECTION_OUT);
	ck_assert_uint_eq(rec->vantages[0].dropped, 0x100000007);
	recording_free(rec);
}
END_TEST

/* A UDP frame from 10.0.0.1 (MAC ...:01) to 10.0.0.2 (...:02). */
static size_t udp_frame(uint8_t *out, size_t room)
{
	static const uint8_t from[6] = {2, 0, 0, 0, 0, 1};
	static const uint8_t to[6] = {2, 0, 0, 0, 0, 2};
	struct endpoint src = {0x0a000001, 1}, dst = {0x0a000002, 2};
	uint8_t ip[64];
	int n = packet_encode_udp(src, dst, 64, 1, "hello", 5, ip, sizeof(ip));

	ck_assert_int_gt(n, 0);
	n = packet_encode_eth(from, to, 0x0800, ip, (size_t)n, out, room);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

START_TEST(works_directions_out)
{
	static const struct {
		const char *mac, *ip; /* of the vantage; NULL: not told */
		unsigned flags;	      /* epb_flags */
		enum direction expected;
	} cases[] = {
		{"\2\0\0\0\0\1", NULL, 0, DIRECTION_OUT},
		{"\2\0\0\0\0\2", NULL, 0, DIRECTION_IN},
		{"\2\0\0\0\0\3", NULL, 0, DIRECTION_IN},
		{NULL, "\12\0\0\1", 0, DIRECTION_OUT},
		{NULL, "\12\0\0\2", 0, DIRECTION_IN},
		{NULL, "\12\0\0\3", 0, DIRECTION_UNKNOWN},
		{NULL, NULL, 0, DIRECTION_UNKNOWN},
		/* The MAC goes before the address, what is told before both. */
		{"\2\0\0\0\0\1", "\12\0\0\2", 0, DIRECTION_OUT},
		{"\2\0\0\0\0\1", NULL, 1, DIRECTION_IN},
		{"\2\0\0\0\0\2", NULL, 2, DIRECTION_OUT},
		{"\2\0\0\0\0\2", NULL, 0xfffffffc, DIRECTION_IN},
	};
	uint8_t frame[128], ip[8] = {0};
	size_t size = udp_frame(frame, sizeof(frame));

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bytes b;
		struct maker m = maker_over(&b, i % 2);
		struct recording *rec;

		interface(&m, 1, 0);
		memcpy(ip, cases[i].ip ? cases[i].ip : "", cases[i].ip ? 4 : 0);
		if (cases[i].ip)
			option(&m, 4, ip, 8);
		if (cases[i].mac)
			option(&m, 6, cases[i].mac, 6);
		end(&m);
		packet(&m, 0, 0, frame, (uint32_t)size);
		m16(&m, 2);
		m16(&m, 4);
		m32(&m, cases[i].flags);
		end(&m);
		rec = made(&m, &b);
		ck_assert_msg(rec->frames[0].direction == cases[i].expected,
			      "case %zu", i);
		recording_free(rec);
	}
}
END_TEST

START_TEST(names_cannot_steer_a_terminal)
{
	struct bytes b;
	struct maker m = maker_over(&b, true);
	struct recording *rec;
	char name[200];

	memset(name, 'n', sizeof(name));
	interface(&m, 1, 0);
	option(&m, 2, "\033[2Ja.b\x7f", 8);
	end(&m);
	interface(&m, 1, 0);
	option(&m, 2, name, sizeof(name));
	end(&m);
	interface(&m, 1, 0);
	option(&m, 2, "\0hidden", 7);
	end(&m);
	rec = made(&m, &b);
	ck_assert_str_eq(rec->vantages[0].name, "?[2Ja.b?");
	ck_assert_uint_eq(strlen(rec->vantages[1].name), 95);
	ck_assert_uint_eq(strlen(rec->vantages[1].node), 63);
	ck_assert_str_eq(rec->vantages[2].name, "if2");
	recording_free(rec);
}
END_TEST

START_TEST(reads_from_a_pipe)
{
	struct recording *rec;
	struct err err = {0};
	struct bytes b;
	int fds[2];

	sample_load(samples[4].file, &b);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(write(fds[1], b.data, b.size), b.size);
	close(fds[1]);
	ck_assert_int_eq(recording_read_fd(fds[0], "pipe", &rec, &err), 0);
	check_sample(&samples[4], rec);
	recording_free(rec);
	close(fds[0]);
}
END_TEST

static TCase *reading(void)
{
	TCase *tc = tcase_create("reading");

	tcase_add_loop_test(tc, reads_what_wireshark_wrote, 0, COUNT(samples));
	tcase_add_loop_test(tc, reads_pcap_of_the_other_byte_order, 0, 2);
	tcase_add_loop_test(tc, reads_every_unit_of_time, 0, 2);
	tcase_add_loop_test(tc, reads_sections_of_both_byte_orders, 0, 2);
	tcase_add_loop_test(tc, reads_old_and_foreign_blocks, 0, 2);
	tcase_add_test(tc, works_directions_out);
	tcase_add_test(tc, names_cannot_steer_a_terminal);
	tcase_add_test(tc, reads_from_a_pipe);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("recording");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, reading());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
