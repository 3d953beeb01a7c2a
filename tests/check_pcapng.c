/* SPDX-License-Identifier: BSD-3-Clause */
/* What the writer of recordings writes is read by ours and by Wireshark. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "captures/pcapng.h"
#include "tests/recording_maker.h"

/* 200,000 bytes and more, of characters of one to four bytes. */
static char *long_comment(void)
{
	static const char *const pieces[] = {"{", "\xc3\xa9", "\xe2\x82\xac",
					     "\xf0\x9f\x92\xac"};
	char *text = calloc(1, 200008);
	size_t len = 0;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; len < 200000; i++)
		len += strlen(strcpy(text + len, pieces[i % 7 % 4]));
	return text;
}

#define ROUND_FRAMES 500

static struct frame round_frame(unsigned i, const uint8_t *data)
{
	return (struct frame){
		.time_ns = 1795394421000000000 + i * 1000003ull,
		.vantage = i % 3,
		.direction = (enum direction)(i % 3),
		.data = data + i,
		.captured_bytes = i * 7 % 1515,
		.wire_bytes = i * 7 % 1515 + i % 5,
	};
}

/* Writes ROUND_FRAMES frames from three vantages; DATA is what they hold. */
static void write_file(int fd, const char *comment, const uint8_t *data)
{
	static const struct vantage vantages[] = {
		{.name = "home-a.wan",
		 .link = 1,
		 .ip = 0x19000002,
		 .mac = {2, 0, 0, 0, 0, 1}},
		{.name = "home-a.lan", .link = 1},
		{.name = "c", .link = 101, .ip = 0x19000003},
	};
	struct pcapng *p = pcapng_new(fd, comment);
	struct frame f;

	ck_assert_ptr_nonnull(p);
	for (unsigned i = 0; i < COUNT(vantages); i++)
		ck_assert_uint_eq(pcapng_add_interface(p, &vantages[i], 1920),
				  i);
	for (unsigned i = 0; i < ROUND_FRAMES; i++) {
		f = round_frame(i, data);
		ck_assert_uint_eq(
			pcapng_add_packet(p, &f, i % 50 ? NULL : "remark"),
			i + 1);
	}
	pcapng_add_statistics(p, 1, 1795394422000000000, 9, 0x200000003);
	ck_assert_int_eq(pcapng_flush(p), 0);
	ck_assert_int_eq(pcapng_free(p), 0);
}

static void check_round_trip(const struct recording *rec, const uint8_t *data)
{
	const struct frame *f;
	struct frame e;

	ck_assert_uint_eq(rec->vantage_count, 3);
	ck_assert_str_eq(rec->vantages[0].node, "home-a");
	ck_assert_str_eq(rec->vantages[0].interface, "wan");
	ck_assert_uint_eq(rec->vantages[0].ip, 0x19000002);
	ck_assert_mem_eq(rec->vantages[0].mac, "\2\0\0\0\0\1", 6);
	ck_assert_uint_eq(rec->vantages[1].ip, 0);
	ck_assert_mem_eq(rec->vantages[1].mac, "\0\0\0\0\0\0", 6);
	ck_assert_uint_eq(rec->vantages[1].dropped, 0x200000003);
	ck_assert_str_eq(rec->vantages[2].name, "c");
	ck_assert_int_eq(rec->vantages[2].link, 101);
	ck_assert_uint_eq(rec->frame_count, ROUND_FRAMES);
	for (unsigned i = 0; i < ROUND_FRAMES; i++) {
		f = &rec->frames[i];
		e = round_frame(i, data);
		ck_assert_uint_eq(f->number, i + 1);
		ck_assert_uint_eq(f->time_ns, e.time_ns);
		ck_assert_uint_eq(f->vantage, e.vantage);
		ck_assert_uint_eq(f->captured_bytes, e.captured_bytes);
		ck_assert_uint_eq(f->wire_bytes, e.wire_bytes);
		if (e.captured_bytes)
			ck_assert_mem_eq(f->data, e.data, e.captured_bytes);
		if (e.direction)
			ck_assert_int_eq(f->direction, e.direction);
	}
}

/* Where the first of a long comment's pieces ends a character ends, too. */
static void check_first_piece(int fd, const char *comment)
{
	uint8_t head[4];
	size_t size;

	/* Behind the section header's fixed fields. */
	ck_assert_int_eq(pread(fd, head, sizeof(head), 24), sizeof(head));
	size = head[2] | (size_t)head[3] << 8;
	ck_assert_uint_eq(head[0], 1);
	ck_assert_uint_gt(size, 65531);
	ck_assert_uint_ne(comment[size] & 0xc0, 0x80);
}

/* Direction unknown is not written: vantage 0 then goes by its MAC. */
START_TEST(reads_what_it_wrote)
{
	char *comments[] = {NULL, strdup("{\"natrig\":1}"), long_comment()};
	char *comment = comments[_i];
	int fd = memfd_create("recording", MFD_CLOEXEC);
	uint8_t *data = malloc(2048);
	struct recording *rec;
	struct err err = {0};

	for (size_t i = 0; i < 2048; i++)
		data[i] = (uint8_t)(i * 31);
	write_file(fd, comment, data);
	/* From its start, though the file's offset is at its end. */
	ck_assert_msg(!recording_read_fd(fd, "memory", &rec, &err), "%s",
		      err.text);
	ck_assert_pstr_eq(rec->comment, comment);
	if (_i == 2)
		check_first_piece(fd, comment);
	check_round_trip(rec, data);
	recording_free(rec);
	for (size_t i = 0; i < COUNT(comments); i++)
		free(comments[i]);
	free(data);
	close(fd);
}
END_TEST

START_TEST(a_write_error_sticks)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct vantage v = {.name = "a", .link = 1};
	struct frame f = {.vantage = 1};
	struct pcapng *p = pcapng_new(fd, NULL);

	ck_assert_int_eq(pcapng_flush(p), -ENOSPC);
	pcapng_add_interface(p, &v, 1920);
	ck_assert_int_eq(pcapng_free(p), -ENOSPC);
	close(fd);
	/* So does a frame of a vantage that was never added. */
	fd = memfd_create("recording", MFD_CLOEXEC);
	p = pcapng_new(fd, NULL);
	pcapng_add_packet(p, &f, NULL);
	ck_assert_int_eq(pcapng_free(p), -EINVAL);
	ck_assert_int_eq(pcapng_free(NULL), 0);
	close(fd);
}
END_TEST

/* What TOOL says on standard error of the file, but for the remark it makes
 * to every root. */
static void check_silent(const char *tool, const char *path)
{
	char command[512], line[512];
	FILE *p;

	snprintf(command, sizeof(command),
		 "%s '%s' 2>&1 >/dev/null | grep -v '^Running as user'", tool,
		 path);
	p = popen(command, "re");
	ck_assert_ptr_nonnull(p);
	while (fgets(line, sizeof(line), p))
		ck_abort_msg("%s: %s", tool, line);
	pclose(p);
}

static void check_tshark_counts(const char *path)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "test \"$(tshark -r '%s' -T fields -e frame.number "
		 "-e frame.time_epoch -e frame.interface_name "
		 "-e frame.packet_flags 2>/dev/null | tail -1 | tr '\\t' '|')\""
		 " = '500|1795394421.499001497|home-a.lan|0x00000001'",
		 path);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(wireshark_opens_it_without_a_word)
{
	char *comments[] = {NULL, long_comment()};
	uint8_t data[2048] = {0};
	char path[] = "/tmp/natrig-recording-XXXXXX";
	int fd;

	if (system("tshark --version >/dev/null 2>&1")) {
		printf("skipped: wireshark_opens_it_without_a_word: tshark is "
		       "missing\n");
	} else {
		fd = mkstemp(path);
		ck_assert_int_ge(fd, 0);
		write_file(fd, comments[_i], data);
		check_silent("tshark -r", path);
		check_silent("capinfos", path);
		check_tshark_counts(path);
		unlink(path);
		close(fd);
	}
	free(comments[0]);
	free(comments[1]);
}
END_TEST

static TCase *writing(void)
{
	TCase *tc = tcase_create("writing");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, reads_what_it_wrote, 0, 3);
	tcase_add_test(tc, a_write_error_sticks);
	tcase_add_loop_test(tc, wireshark_opens_it_without_a_word, 0, 2);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("pcapng");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, writing());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
