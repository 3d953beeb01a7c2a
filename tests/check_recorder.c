/* SPDX-License-Identifier: BSD-3-Clause */
/* The recorder on a cable between two namespaces: see recorder_cable.h. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <pcap/pcap.h>

#include "captures/recorder.h"
#include "tests/recorder_cable.h"
#include "tests/valgrind.h"

#define SKIPPED 77
#define HEADERS_BYTES (14 + 20 + 8)
#define WAIT_MS 5000
#define BURST 200
#define BURST_ROUNDS 100
#define MAX_HEARD 1024

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t mac_b[6] = {2, 0, 0, 0, 0, 2};

/* What a test heard through recorder_drain. */
struct heard {
	struct frame frames[MAX_HEARD];
	uint32_t sequence[MAX_HEARD]; /* the payload's first four bytes */
	unsigned count;		      /* may exceed what is kept */
	uint64_t last_ns;
};

static void add(struct recorder *r, bool a, const char *name,
		const uint8_t *mac)
{
	struct vantage v = {.ip = a ? 0x19000001 : 0x19000002};

	snprintf(v.name, sizeof(v.name), "%s", name);
	snprintf(v.interface, sizeof(v.interface), "%s", a ? "va" : "vb");
	if (mac)
		memcpy(v.mac, mac, sizeof(v.mac));
	ck_assert_int_ge(recorder_add(r, a ? world.ns_a : world.ns_b, &v), 0);
}

/* Both ends of the cable: vantage 0 is a's. */
static struct recorder *open_both(int fd)
{
	struct recorder *r = recorder_new(fd, "a cable");
	struct err err = {0};

	ck_assert_ptr_nonnull(r);
	add(r, true, "a.va", mac_a);
	add(r, false, "b.vb", mac_b);
	ck_assert_msg(!recorder_open(r, &err), "%s", err.text);
	return r;
}

static void hear(void *arg, const struct frame *f)
{
	struct heard *h = arg;

	ck_assert_msg(f->time_ns >= h->last_ns, "frame %u is late", f->number);
	h->last_ns = f->time_ns;
	h->count++;
	ck_assert_uint_eq(f->number, h->count);
	if (h->count > MAX_HEARD)
		return;
	h->frames[h->count - 1] = *f;
	if (f->captured_bytes >= HEADERS_BYTES + 4)
		memcpy(&h->sequence[h->count - 1], f->data + HEADERS_BYTES, 4);
}

static int drain(struct recorder *r, struct heard *h)
{
	struct err err = {0};
	int rc = recorder_drain(r, 0, hear, h, &err);

	ck_assert_msg(rc >= 0, "%s", err.text);
	return rc;
}

static void drain_until(struct recorder *r, struct heard *h, unsigned count)
{
	struct pollfd p = {.fd = recorder_fd(r), .events = POLLIN};

	while (h->count < count) {
		ck_assert_msg(poll(&p, 1, WAIT_MS) == 1, "%u of %u frames came",
			      h->count, count);
		drain(r, h);
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Every packet once at each end: out at its sender, then in at the other. */
static void check_pairs(const struct heard *h, unsigned packets)
{
	const struct frame *f;
	unsigned out[MAX_HEARD] = {0}, in[MAX_HEARD] = {0};
	uint32_t sequence;
	unsigned sender;

	for (unsigned i = 0; i < h->count; i++) {
		f = &h->frames[i];
		sequence = h->sequence[i];
		ck_assert_uint_lt(sequence, packets);
		sender = sequence % 3 == 0; /* every third is b's */
		if (f->vantage == sender) {
			ck_assert_int_eq(f->direction, DIRECTION_OUT);
			ck_assert_uint_eq(in[sequence], 0);
			out[sequence]++;
		} else {
			ck_assert_int_eq(f->direction, DIRECTION_IN);
			ck_assert_uint_eq(out[sequence], 1);
			in[sequence]++;
		}
		ck_assert_uint_eq(f->wire_bytes, f->captured_bytes);
		ck_assert_uint_eq(f->captured_bytes,
				  HEADERS_BYTES + 18 + sequence);
	}
	for (unsigned i = 0; i < packets; i++)
		ck_assert_uint_eq(out[i] + in[i], 2);
}

static void check_file(int fd, const struct heard *h)
{
	struct recording *rec;
	struct err err = {0};

	ck_assert_msg(!recording_read_fd(fd, "memory", &rec, &err), "%s",
		      err.text);
	ck_assert_str_eq(rec->comment, "a cable");
	ck_assert_uint_eq(rec->vantage_count, 2);
	ck_assert_str_eq(rec->vantages[0].name, "a.va");
	ck_assert_str_eq(rec->vantages[1].node, "b");
	ck_assert_str_eq(rec->vantages[1].interface, "vb");
	ck_assert_mem_eq(rec->vantages[1].mac, mac_b, 6);
	ck_assert_uint_eq(rec->vantages[0].ip, 0x19000001);
	ck_assert_int_eq(rec->vantages[0].link, 1);
	ck_assert_uint_eq(rec->frame_count, h->count);
	for (unsigned i = 0; i < h->count; i++) {
		/* In order of time, and numbered in order of the file. */
		ck_assert_uint_eq(rec->frames[i].number, i + 1);
		ck_assert_uint_eq(rec->frames[i].time_ns, h->frames[i].time_ns);
		ck_assert_uint_eq(rec->frames[i].vantage, h->frames[i].vantage);
		ck_assert_int_eq(rec->frames[i].direction,
				 h->frames[i].direction);
		ck_assert_mem_eq(rec->frames[i].data + HEADERS_BYTES,
				 &h->sequence[i], 4);
		ck_assert_uint_eq(rec->frames[i].captured_bytes,
				  h->frames[i].captured_bytes);
	}
	recording_free(rec);
}

START_TEST(records_each_packet_at_both_ends)
{
	static struct heard h;
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = open_both(fd);
	struct recorder_stats stats;
	uint64_t before = now_ns();
	struct err err = {0};

	for (uint32_t i = 0; i < 150; i++)
		send_udp(i % 3 != 0, i, 18 + i);
	drain_until(r, &h, 300);
	ck_assert_int_eq(recorder_finish(r, 0, hear, &h, &stats, &err), 0);
	ck_assert_uint_eq(h.count, 300);
	ck_assert_uint_ge(h.frames[0].time_ns, before);
	ck_assert_uint_le(h.last_ns, now_ns());
	check_pairs(&h, 150);
	check_file(fd, &h);
	ck_assert_uint_eq(stats.written, 300);
	ck_assert_uint_eq(stats.received, 300);
	ck_assert_uint_eq(stats.dropped, 0);
	recorder_close(r);
	close(fd);
}
END_TEST

START_TEST(a_burst_drained_in_turns_loses_nothing)
{
	static struct heard h;
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = open_both(fd);
	struct recorder_stats stats;
	struct recording *rec;
	struct err err = {0};

	for (unsigned round = 0; round < BURST_ROUNDS; round++) {
		for (uint32_t i = 0; i < BURST; i++)
			send_udp(true, round * BURST + i, 100);
		drain(r, &h);
	}
	drain_until(r, &h, 2 * BURST * BURST_ROUNDS);
	ck_assert_int_eq(recorder_finish(r, 0, hear, &h, &stats, &err), 0);
	ck_assert_uint_eq(stats.dropped, 0);
	ck_assert_uint_eq(stats.written, 2 * BURST * BURST_ROUNDS);
	recorder_close(r);
	ck_assert_int_eq(recording_read_fd(fd, "memory", &rec, &err), 0);
	ck_assert_uint_eq(rec->frame_count, 2 * BURST * BURST_ROUNDS);
	for (size_t i = 0; i < rec->frame_count; i++)
		ck_assert_uint_eq(rec->frames[i].number, i + 1);
	recording_free(rec);
	close(fd);
}
END_TEST

/* How many of the next dispatches a packet is to follow at once. */
static unsigned packets_between;

/*
 * Stands in for libpcap's, to send at the worst moment: when one end has been
 * read and the other has not.
 */
int pcap_dispatch(pcap_t *pcap, int count, pcap_handler handler, u_char *user)
{
	int (*real)(pcap_t *, int, pcap_handler, u_char *);
	int rc;

	*(void **)&real = dlsym(RTLD_NEXT, "pcap_dispatch");
	rc = real(pcap, count, handler, user);
	if (packets_between) {
		packets_between--;
		send_udp(true, 1, 100);
	}
	return rc;
}

START_TEST(order_holds_while_packets_come)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = open_both(fd);
	static struct heard h;

	for (int i = 0; i < 10; i++) {
		packets_between = 1 + (unsigned)i;
		send_udp(true, 0, 100);
		drain(r, &h);
	}
	drain_until(r, &h, 2 * (10 + 55));
	/* hear() has seen to it that none came late. */
	ck_assert_uint_eq(packets_between, 0);
	ck_assert_uint_eq(h.count, 2 * (10 + 55));
	recorder_close(r);
	close(fd);
}
END_TEST

START_TEST(counts_what_the_kernel_dropped)
{
	static struct heard h;
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = open_both(fd);
	struct recorder_stats stats;
	struct recording *rec;
	struct err err = {0};

	for (uint32_t i = 0; i < 5000; i++)
		send_udp(true, i, 100);
	ck_assert_int_eq(recorder_finish(r, 0, hear, &h, &stats, &err), 0);
	ck_assert_uint_gt(stats.dropped, 0);
	ck_assert_uint_eq(stats.received, stats.written + stats.dropped);
	ck_assert_uint_eq(stats.written, h.count);
	recorder_stats(r, &stats);
	ck_assert_uint_gt(stats.dropped, 0);
	ck_assert_int_eq(recording_read_fd(fd, "memory", &rec, &err), 0);
	ck_assert_uint_eq(rec->vantages[0].dropped + rec->vantages[1].dropped,
			  stats.dropped);
	recording_free(rec);
	recorder_close(r);
	close(fd);
}
END_TEST

START_TEST(keeps_frames_of_the_whole_mtu)
{
	static struct heard h;
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = open_both(fd);

	send_udp(true, 7, 1472);
	drain_until(r, &h, 2);
	ck_assert_uint_eq(h.frames[1].wire_bytes, 1514);
	ck_assert_uint_eq(h.frames[1].captured_bytes, 1514);
	recorder_close(r);
	close(fd);
}
END_TEST

START_TEST(lab_time_is_kernel_time_and_the_offset)
{
	static struct heard h;
	const int64_t hour = 3600000000000;
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = open_both(fd);
	uint64_t before = now_ns();
	struct err err;

	send_udp(true, 1, 100);
	while (h.count < 2)
		ck_assert_int_ge(recorder_drain(r, -hour, hear, &h, &err), 0);
	ck_assert_uint_ge(h.frames[0].time_ns, before - (uint64_t)hour);
	ck_assert_uint_le(h.last_ns, now_ns() - (uint64_t)hour);
	send_udp(true, 2, 100);
	while (h.count < 4)
		ck_assert_int_ge(recorder_drain(r, hour, hear, &h, &err), 0);
	ck_assert_uint_ge(h.frames[2].time_ns, before + (uint64_t)hour);
	recorder_close(r);
	close(fd);
}
END_TEST

START_TEST(the_mac_is_learnt_where_none_is_given)
{
	static struct heard h;
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = recorder_new(fd, NULL);
	struct err err = {0};

	add(r, true, "a.va", NULL);
	ck_assert_int_eq(recorder_open(r, &err), 0);
	ck_assert_mem_eq(recorder_vantage(r, 0)->mac, mac_a, 6);
	ck_assert_int_eq(recorder_vantage(r, 0)->link, 1);
	ck_assert_ptr_null(recorder_vantage(r, 1));
	send_udp(true, 1, 100);
	drain_until(r, &h, 1);
	ck_assert_int_eq(h.frames[0].direction, DIRECTION_OUT);
	recorder_close(r);
	close(fd);
}
END_TEST

/* True when nothing is ready in the end, however often one drains. */
static bool falls_silent(struct recorder *r, struct heard *h)
{
	struct pollfd p = {.fd = recorder_fd(r), .events = POLLIN};
	uint64_t until = now_ns() + (uint64_t)WAIT_MS * 1000000;

	while (poll(&p, 1, 0) && now_ns() < until)
		drain(r, h);
	return now_ns() < until;
}

START_TEST(survives_links_that_go_down_and_away)
{
	static struct heard h;
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = open_both(fd);
	uint64_t until = now_ns() + (uint64_t)WAIT_MS * 1000000;
	struct err err = {0};
	unsigned heard;

	send_udp(true, 0, 100);
	drain_until(r, &h, 2);
	ck_assert_int_eq(run("ip link set va down"), 0);
	ck_assert(falls_silent(r, &h));
	ck_assert_int_eq(run("ip link set va up && ip neigh replace 25.0.0.2 "
			     "lladdr 02:00:00:00:00:02 dev va"),
			 0);
	/* The kernel sends nothing until it has noticed that the link is up. */
	while (h.count < 4 && now_ns() < until) {
		send_udp(true, 1, 100);
		drain(r, &h);
	}
	ck_assert_uint_ge(h.count, 4);
	ck_assert_uint_eq(h.sequence[3], 1);
	ck_assert_int_eq(run("ip link delete va"), 0);
	ck_assert(falls_silent(r, &h));
	heard = h.count;
	ck_assert_int_eq(recorder_finish(r, 0, hear, &h, NULL, &err), 0);
	ck_assert_uint_eq(h.count, heard);
	recorder_close(r);
	close(fd);
}
END_TEST

START_TEST(says_what_cannot_be_opened)
{
	struct vantage v = {.name = "a.nothing", .interface = "nothing"};
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = recorder_new(fd, NULL);
	struct err err = {0};

	add(r, true, "a.va", mac_a);
	ck_assert_int_eq(recorder_add(r, world.ns_a, &v), 1);
	ck_assert_int_eq(recorder_open(r, &err), -ENODEV);
	ck_assert_msg(strstr(err.text, "a.nothing") != NULL, "%s", err.text);
	recorder_close(r);
	r = recorder_new(fd, NULL);
	ck_assert_int_eq(recorder_add(r, fd, &v), 0);
	ck_assert_int_eq(recorder_open(r, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "namespace") != NULL, "%s", err.text);
	recorder_close(r);
	recorder_close(NULL);
	recorder_close_behind(NULL);
	close(fd);
}
END_TEST

START_TEST(says_when_the_file_cannot_be_written)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct recorder *r = open_both(fd);
	struct err err = {0};

	ck_assert_int_eq(recorder_finish(r, 0, NULL, NULL, NULL, &err),
			 -ENOSPC);
	ck_assert_msg(strstr(err.text, "cannot write") != NULL, "%s", err.text);
	recorder_close(r);
	close(fd);
}
END_TEST

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

START_TEST(closes_behind_and_stays_in_its_namespace)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);
	unsigned before = open_files();
	struct stat was, is;

	ck_assert_int_eq(stat("/proc/self/ns/net", &was), 0);
	for (int i = 0; i < 3; i++)
		recorder_close_behind(open_both(fd));
	recorder_wait_closed();
	ck_assert_uint_eq(open_files(), before);
	recorder_close(open_both(fd));
	ck_assert_uint_eq(open_files(), before);
	recorder_wait_closed();
	ck_assert_int_eq(stat("/proc/self/ns/net", &is), 0);
	ck_assert_uint_eq(was.st_ino, is.st_ino);
	close(fd);
}
END_TEST

static long rss_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Sanitizers take memory of their own for each thread. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RSS_LIMIT_KIB (512 * 1024)
#elif defined(__clang__)
#define RSS_LIMIT_KIB                                                          \
	(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)   \
		 ? 512 * 1024                                                  \
		 : 32 * 1024)
#else
#define RSS_LIMIT_KIB (32 * 1024)
#endif

/* A lab has about 14 vantages, a large one 200; natrig may take 64 MiB. */
START_TEST(many_handles_stay_small)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);
	struct recorder *r = recorder_new(fd, NULL);
	unsigned count = _i ? 200 : 14;
	static struct heard h;
	struct err err = {0};
	long before = rss_kib();

	/* Without a fork of its own it would find the last turn's count. */
	memset(&h, 0, sizeof(h));
	for (unsigned i = 0; i < count; i++)
		add(r, i % 2, i % 2 ? "a.va" : "b.vb", i % 2 ? mac_a : mac_b);
	ck_assert_msg(!recorder_open(r, &err), "%s", err.text);
	for (uint32_t i = 0; i < 40; i++)
		send_udp(true, i, 1000);
	drain_until(r, &h, 40 * count);
	/* What valgrind needs for itself would count, too. */
	if (!getenv("UNDER_VALGRIND"))
		ck_assert_int_lt(rss_kib() - before, RSS_LIMIT_KIB);
	recorder_close(r);
	close(fd);
}
END_TEST

static Suite *recorder_suite(void)
{
	Suite *suite = suite_create("recorder");
	TCase *tc = tcase_create("cable");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, records_each_packet_at_both_ends);
	tcase_add_test(tc, a_burst_drained_in_turns_loses_nothing);
	tcase_add_test(tc, order_holds_while_packets_come);
	tcase_add_test(tc, counts_what_the_kernel_dropped);
	tcase_add_test(tc, keeps_frames_of_the_whole_mtu);
	tcase_add_test(tc, lab_time_is_kernel_time_and_the_offset);
	tcase_add_test(tc, the_mac_is_learnt_where_none_is_given);
	tcase_add_test(tc, says_what_cannot_be_opened);
	tcase_add_test(tc, says_when_the_file_cannot_be_written);
	tcase_add_test(tc, closes_behind_and_stays_in_its_namespace);
	tcase_add_loop_test(tc, many_handles_stay_small, 0,
			    unless_valgrind(2, 1));
	/* The last: it takes the cable away. */
	tcase_add_test(tc, survives_links_that_go_down_and_away);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	const char *missing = world_missing();
	SRunner *runner;
	int failed;

	if (missing) {
		printf("skipped: %s is missing\n", missing);
		return SKIPPED;
	}
	if (world_make() < 0) {
		printf("the cable could not be made\n");
		return EXIT_FAILURE;
	}
	runner = srunner_create(recorder_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
