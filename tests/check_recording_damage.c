/* SPDX-License-Identifier: BSD-3-Clause */
/* What the reader of recordings makes of files that are broken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/recording_maker.h"
#include "tests/valgrind.h"

static const char *const samples[] = {
	"text2pcap-us.pcap",   "text2pcap-ns.pcap", "dumpcap-sll.pcap",
	"dumpcap-sll2.pcapng", "dumpcap.pcapng",    "mergecap-a.pcapng",
	"mergecap.pcapng",     "editcap.pcapng",
};

/* Each makes a file that must be refused with the text that follows. */
static void no_interface(struct maker *m)
{
	packet(m, 0, 0, "x", 1);
	end(m);
}

static void interface_of_another_section(struct maker *m)
{
	plain_interface(m);
	section(m, !m->little);
	no_interface(m);
}

static void simple_without_interface(struct maker *m)
{
	begin(m, 3);
	m32(m, 0);
	end(m);
}

static void statistics_without_interface(struct maker *m)
{
	begin(m, 5);
	m32(m, 4);
	m64(m, 0);
	end(m);
}

static void too_long_packet(struct maker *m)
{
	plain_interface(m);
	begin(m, 6);
	for (int i = 0; i < 3; i++)
		m32(m, 0);
	m32(m, UINT32_MAX);
	m32(m, UINT32_MAX);
	end(m);
}

static void too_long_option(struct maker *m)
{
	interface(m, 1, 0);
	m16(m, 2);
	m16(m, 5);
	m32(m, 0);
	end(m);
}

static void odd_address(struct maker *m)
{
	interface(m, 1, 0);
	option(m, 4, "\1\2\3\4", 4);
	end(m);
}

static void short_mac(struct maker *m)
{
	interface(m, 1, 0);
	option(m, 6, "\1\2\3\4", 4);
	end(m);
}

static void short_flags(struct maker *m)
{
	plain_interface(m);
	packet(m, 0, 0, "x", 1);
	option(m, 2, "\1\2", 2);
	end(m);
}

static void far_future(struct maker *m)
{
	plain_interface(m);
	packet(m, 0, UINT64_MAX, "x", 1);
	end(m);
}

static void far_past(struct maker *m)
{
	interface(m, 1, 0);
	option(m, 14, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	end(m);
	packet(m, 0, 0, "x", 1);
	end(m);
}

static void small_interface(struct maker *m)
{
	begin(m, 1);
	end(m);
}

static void small_packet(struct maker *m)
{
	plain_interface(m);
	begin(m, 6);
	m32(m, 0);
	end(m);
}

static void other_tail(struct maker *m)
{
	plain_interface(m);
	m->w.at_bytes -= 4;
	m32(m, 24);
}

static void odd_total(struct maker *m)
{
	m32(m, 1);
	m32(m, 13);
	m64(m, 0);
}

static void tiny_total(struct maker *m)
{
	m32(m, 1);
	m32(m, 8);
	m64(m, 0);
}

static void huge_total(struct maker *m)
{
	m32(m, 6);
	m32(m, 0xfffffffc);
	m64(m, 0);
}

static void stray_bytes(struct maker *m)
{
	m64(m, 0);
}

static void other_version(struct maker *m)
{
	begin(m, 0x0a0d0d0a);
	m32(m, 0x1a2b3c4d);
	m16(m, 2);
	m16(m, 0);
	m64(m, 0);
	end(m);
}

static void other_magic(struct maker *m)
{
	begin(m, 0x0a0d0d0a);
	m64(m, 0);
	m64(m, 0);
	end(m);
}

static void small_section(struct maker *m)
{
	begin(m, 0x0a0d0d0a);
	m32(m, 0x1a2b3c4d);
	end(m);
}

static const struct {
	void (*make)(struct maker *m);
	const char *text;
} refused[] = {
	{no_interface, "enhanced packet block at offset 28: is of interface 0"},
	{interface_of_another_section, "at offset 76: is of interface 0"},
	{simple_without_interface, "simple packet block at offset 28: is of"},
	{statistics_without_interface, "statistics block at offset 28: is of "
				       "interface 4, but only 0"},
	{too_long_packet, "enhanced packet block at offset 48: says it holds "
			  "4294967295 bytes"},
	{too_long_option, "interface description block at offset 28: option 2 "
			  "(5 bytes)"},
	{odd_address, "option 4 has 4 bytes instead of 8"},
	{short_mac, "option 6 has 4 bytes instead of 6"},
	{short_flags, "option 2 has 2 bytes instead of 4"},
	{far_future, "offset 48: its time"},
	{far_past, "offset 60: its time"},
	{small_interface, "interface description block at offset 28: cut"},
	{small_packet, "enhanced packet block at offset 48: cut short"},
	{other_tail, "offset 28: says it has 20 bytes, and 24 at its end"},
	{odd_total, "offset 28: says it has 13 bytes: no block"},
	{tiny_total, "offset 28: says it has 8 bytes: no block"},
	{huge_total, "enhanced packet block at offset 28: cut short: says it "
		     "has 4294967292 bytes, the file has 16"},
	{stray_bytes, "offset 28: cut short: 8 bytes"},
	{other_version, "section header block at offset 28: version 2"},
	{other_magic, "section header block at offset 28: its byte-order"},
	{small_section, "section header block at offset 28: cut short"},
};

START_TEST(refuses_with_block_and_offset)
{
	struct bytes b;
	struct maker m = maker_over(&b, _i % 2);
	struct recording *rec;
	struct err err = {0};

	refused[_i / 2].make(&m);
	ck_assert(!m.w.bad);
	ck_assert_int_eq(
		recording_parse(b.data, m.w.at_bytes, "f.pcapng", &rec, &err),
		-EBADMSG);
	ck_assert_ptr_null(rec);
	ck_assert_msg(strstr(err.text, refused[_i / 2].text) != NULL, "%s",
		      err.text);
	ck_assert_msg(!strncmp(err.text, "f.pcapng: ", 10), "%s", err.text);
}
END_TEST

START_TEST(refuses_what_is_no_recording)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *text;
	} cases[] = {
		{"", 0, "is empty"},
		{"\x1f\x8b\x08", 3, "gunzip"},
		{"natrig: 1\n", 10, "no pcapng and no pcap"},
		{"\x0a", 1, "no pcapng and no pcap"},
		{"\xa1\xb2\xcd\x34", 4, "no pcapng and no pcap"},
		{"\xa1\xb2\xc3\xd4", 4, "file header at offset 0: cut short"},
		{"\x0a\x0d\x0d\x0a", 4, "at offset 0: cut short"},
	};
	struct recording *rec;
	struct err err;

	for (size_t i = 0; i < COUNT(cases); i++) {
		ck_assert_int_eq(recording_parse(cases[i].bytes, cases[i].size,
						 "f", &rec, &err),
				 -EBADMSG);
		ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s",
			      err.text);
	}
	ck_assert_int_eq(recording_read("/nonexistent/f", &rec, &err), -ENOENT);
	ck_assert_int_eq(recording_read("/", &rec, &err), -EISDIR);
	recording_free(NULL);
}
END_TEST

/* Whether a block or a record ends here, told without the reader's help. */
static bool ends_at(const struct bytes *b, size_t cut)
{
	bool pcapng = b->data[0] == 0x0a;
	size_t at = pcapng ? 0 : 24;
	uint32_t size;

	while (at < cut) {
		memcpy(&size, b->data + at + (pcapng ? 4 : 8), sizeof(size));
		at += pcapng ? size : size + 16;
	}
	return at == cut && cut > 0;
}

START_TEST(says_when_cut_anywhere)
{
	struct recording *rec;
	struct err err = {0};
	struct bytes b;
	uint8_t *exact;
	int rc;

	sample_load(samples[_i], &b);
	for (size_t cut = 0; cut < b.size; cut++) {
		/* Of just that size, so that a sanitizer sees a step beyond. */
		exact = malloc(cut ? cut : 1);
		memcpy(exact, b.data, cut);
		rc = recording_parse(exact, cut, "f", &rec, &err);
		ck_assert_msg((rc == 0) == ends_at(&b, cut), "%zu: %d %s", cut,
			      rc, err.text);
		ck_assert(!rc || cut < 4 || strstr(err.text, "at offset "));
		recording_free(rec);
		free(exact);
	}
}
END_TEST

/* Reads every byte that a recording points to. */
static void touch(const struct recording *rec)
{
	unsigned sum = 0;

	for (size_t i = 0; rec && i < rec->frame_count; i++) {
		ck_assert_uint_lt(rec->frames[i].vantage, rec->vantage_count);
		ck_assert(!i ||
			  rec->frames[i - 1].time_ns <= rec->frames[i].time_ns);
		for (size_t n = 0; n < rec->frames[i].captured_bytes; n++)
			sum += rec->frames[i].data[n];
	}
	ck_assert_uint_le(sum, UINT32_MAX);
}

START_TEST(survives_flipped_bits)
{
	struct recording *rec;
	struct err err;
	struct bytes b;
	const size_t step = (size_t)unless_valgrind(1, 13);

	sample_load(samples[_i], &b);
	for (size_t bit = 0; bit < 8 * b.size; bit += step) {
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!recording_parse(b.data, b.size, "f", &rec, &err))
			touch(rec);
		recording_free(rec);
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Random words where a real file's were: most heads stay in place. */
START_TEST(survives_random_bytes)
{
	uint32_t state = 0x6e617472 + (uint32_t)_i, at;
	struct bytes whole, b;
	struct recording *rec;
	struct err err;
	const int often = unless_valgrind(4000, 300);

	sample_load(samples[_i], &whole);
	for (int i = 0; i < often; i++) {
		b = whole;
		for (uint32_t n = next_random(&state) % 6; n; n--) {
			at = next_random(&state) % (uint32_t)b.size;
			b.data[at] = (uint8_t)next_random(&state);
		}
		if (!recording_parse(b.data, b.size, "f", &rec, &err))
			touch(rec);
		recording_free(rec);
		for (size_t n = 24; n < 200; n++)
			b.data[n] = (uint8_t)next_random(&state);
		if (!recording_parse(b.data, 200, "f", &rec, &err))
			touch(rec);
		recording_free(rec);
	}
}
END_TEST

static TCase *damage(void)
{
	TCase *tc = tcase_create("damage");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, refuses_with_block_and_offset, 0,
			    2 * COUNT(refused));
	tcase_add_test(tc, refuses_what_is_no_recording);
	tcase_add_loop_test(tc, says_when_cut_anywhere, 0, COUNT(samples));
	tcase_add_loop_test(tc, survives_flipped_bits, 0, COUNT(samples));
	tcase_add_loop_test(tc, survives_random_bytes, 0, COUNT(samples));
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("recording_damage");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, damage());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
