/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Against a real miniupnpd, in a sandbox:
 *
 *   host                      router
 *   eth0 192.168.1.2 -------- lan 192.168.1.1    wan 25.0.0.1
 *        192.168.1.3               :5000 miniupnpd
 *                                  :5001 a gateway that listens and is mute
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "harness/upnp.h"
#include "netns/sandbox.h"

enum { SKIPPED = 77, MUTE_PORT = 5001 };

static const char url[] = "http://192.168.1.1:5000/rootDesc.xml";
static const char mute_url[] = "http://192.168.1.1:5001/rootDesc.xml";
static const char closed_url[] = "http://192.168.1.1:5002/rootDesc.xml";

static const char router_script[] =
	"set -e; exec >&2; PATH=$PATH:/usr/sbin:/sbin\n"
	"ip link set lo up\n"
	"ip link add wan type veth peer name wan-end\n"
	"ip addr add 25.0.0.1/8 dev wan\n"
	"ip link set wan up; ip link set wan-end up\n"
	"ip link add lan type veth peer name eth0 netns \"$HOST_NS\"\n"
	"ip addr add 192.168.1.1/24 dev lan\n"
	"ip link set lan up\n"
	"nft -f - <<END\n"
	"table inet filter {\n"
	"  chain upnp_forward { }\n"
	"  chain upnp_nat { }\n"
	"  chain upnp_post { }\n"
	"  chain forward {\n"
	"    type filter hook forward priority 0; jump upnp_forward;\n"
	"  }\n"
	"  chain pre {\n"
	"    type nat hook prerouting priority -100; jump upnp_nat;\n"
	"  }\n"
	"  chain post {\n"
	"    type nat hook postrouting priority 100; jump upnp_post;\n"
	"  }\n"
	"}\n"
	"END\n"
	"cd \"$(mktemp -d)\"; trap 'rm -rf \"$PWD\"' EXIT\n"
	"cat >conf <<END\n"
	"ext_ifname=wan\n"
	"listening_ip=lan\n"
	"http_port=5000\n"
	"enable_upnp=yes\n"
	"enable_natpmp=no\n"
	"upnp_table_name=filter\n"
	"upnp_nat_table_name=filter\n"
	"upnp_forward_chain=upnp_forward\n"
	"upnp_nat_chain=upnp_nat\n"
	"upnp_nat_postrouting_chain=upnp_post\n"
	"uuid=00000000-0000-0000-0000-000000000001\n"
	"allow 1024-65535 0.0.0.0/0 1024-65535\n"
	"deny 0-65535 0.0.0.0/0 0-65535\n"
	"END\n"
	"miniupnpd -f \"$PWD/conf\" -P \"$PWD/pid\"\n"
	"while ! [ -s pid ]; do sleep 0.01; done\n";

static const char host_script[] =
	"set -e; exec >&2; PATH=$PATH:/usr/sbin:/sbin\n"
	"ip link set lo up\n"
	"ip addr add 192.168.1.2/24 dev eth0\n"
	"ip addr add 192.168.1.3/24 dev eth0\n"
	"ip link set eth0 up\n";

/* More than one of the library's 5 s: whoever is mute is asked twice. */
#define PATIENCE_S 6

static int host_ns, router_ns;
static struct upnp_worker *worker;

/*
 * A cancelled thread cannot give back what the library had allocated (see
 * upnp.c), which is no news to the leak checker of a sanitizer build.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libminiupnpc\n";
}

/*
 * At a thread's end gcc 12's AddressSanitizer takes its own signal stack away
 * by way of this stack, where frames that were cancelled are still marked.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "use_sigaltstack=0";
}

static void set_up(void)
{
	worker = upnp_worker_new(PATIENCE_S);
	ck_assert_ptr_nonnull(worker);
}

static void tear_down(void)
{
	upnp_worker_free(worker);
}

static void ask(unsigned tag, const struct upnp_request *request)
{
	struct err err = {0};

	ck_assert_msg(upnp_worker_ask(worker, host_ns, tag, request, &err) == 0,
		      "%s", err.text);
}

static struct upnp_request map_request(uint16_t internal, uint16_t external)
{
	struct upnp_request request = {.op = UPNP_MAP,
				       .internal_port = internal,
				       .external_port = external};

	strcpy(request.url, url);
	return request;
}

static struct upnp_answer await(unsigned *tag)
{
	struct pollfd readable = {.fd = upnp_worker_fd(worker),
				  .events = POLLIN};
	struct upnp_answer answer;

	while (!upnp_worker_answer(worker, tag, &answer))
		/* Who does not answer is asked twice, 5 s each. */
		ck_assert_int_eq(poll(&readable, 1, 15000), 1);
	return answer;
}

static struct upnp_answer ask_once(const struct upnp_request *request)
{
	struct upnp_answer answer;
	unsigned tag;

	ask(7, request);
	ck_assert_uint_eq(upnp_worker_busy(worker), 1);
	answer = await(&tag);
	ck_assert_uint_eq(tag, 7);
	ck_assert_uint_eq(upnp_worker_busy(worker), 0);
	ck_assert_int_eq(answer.op, request->op);
	return answer;
}

static bool router_has(const char *rule)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/sbin nft list ruleset | grep -q '%s'",
		 rule);
	return system(command) == 0;
}

START_TEST(maps_and_unmaps)
{
	struct upnp_request request = map_request(41641, 41642);
	struct upnp_answer answer;
	struct stat before, after;

	ck_assert_int_eq(stat("/proc/thread-self/ns/net", &before), 0);
	answer = ask_once(&request);
	ck_assert_int_eq(answer.error, 0);
	ck_assert_uint_eq(answer.external_ip, 0x19000001);
	ck_assert_uint_eq(answer.external_port, 41642);
	ck_assert_uint_eq(answer.lease_s, 0);
	ck_assert(router_has("dport 41642 dnat.*192.168.1.2:41641"));
	/* The same once more, as a client does that was restarted. */
	ck_assert_int_eq(ask_once(&request).error, 0);
	request.op = UPNP_UNMAP;
	ck_assert_int_eq(ask_once(&request).error, 0);
	ck_assert(!router_has("41642"));
	ck_assert_int_eq(stat("/proc/thread-self/ns/net", &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
}
END_TEST

START_TEST(no_external_port_means_the_internal_one)
{
	struct upnp_request request = map_request(2000, 0);

	request.lease_s = 600;
	ck_assert_uint_eq(ask_once(&request).external_port, 2000);
	ck_assert(router_has("dport 2000 dnat.*192.168.1.2:2000"));
	request.op = UPNP_UNMAP;
	ck_assert_int_eq(ask_once(&request).error, 0);
}
END_TEST

START_TEST(gives_on_what_the_gateway_says)
{
	struct upnp_request request = map_request(41641, 80);

	/* Action not authorized: its configuration denies ports below 1024. */
	ck_assert_int_eq(ask_once(&request).error, 606);
	strcpy(request.url, "http://192.168.1.1:5000/no-such-file.xml");
	ck_assert_int_eq(ask_once(&request).error, -ENOPROTOOPT);
	strcpy(request.url, closed_url);
	ck_assert_int_eq(ask_once(&request).error, -EHOSTUNREACH);
}
END_TEST

START_TEST(many_at_once_keep_their_tags)
{
	enum { MANY = 30 };
	struct pollfd readable = {.fd = upnp_worker_fd(worker),
				  .events = POLLIN};
	bool answered[MANY] = {false};
	unsigned tag;

	for (unsigned i = 0; i < MANY; i++) {
		struct upnp_request request =
			map_request(3000, (uint16_t)(3000 + i));

		ask(i, &request);
	}
	ck_assert_uint_eq(upnp_worker_busy(worker), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		struct upnp_answer answer = await(&tag);

		ck_assert_int_eq(answer.error, 0);
		ck_assert_uint_lt(tag, MANY);
		ck_assert_uint_eq(answer.external_port, 3000 + tag);
		ck_assert(!answered[tag]);
		answered[tag] = true;
		ck_assert_uint_eq(upnp_worker_busy(worker), MANY - 1 - i);
	}
	/* And then there is nothing that would wake a driver. */
	ck_assert(!upnp_worker_answer(worker, &tag, &(struct upnp_answer){0}));
	ck_assert_int_eq(poll(&readable, 1, 0), 0);
}
END_TEST

START_TEST(the_namespace_may_be_closed_meanwhile)
{
	struct upnp_request request = map_request(5000, 5000);
	struct err err;
	unsigned tag;
	int copy = dup(host_ns);

	ck_assert_int_eq(upnp_worker_ask(worker, copy, 1, &request, &err), 0);
	close(copy);
	ck_assert_int_eq(await(&tag).error, 0);
}
END_TEST

static const char *const bad_urls[] = {
	"",
	"192.168.1.1:5000/rootDesc.xml",
	"https://192.168.1.1:5000/rootDesc.xml",
	"http://router.example:5000/rootDesc.xml",
	"http://192.168.1.1:5000",
	"http://192.168.1.1.1:5000/rootDesc.xml",
	"http://[::1]:5000/rootDesc.xml",
};

START_TEST(refuses_what_is_no_address_of_a_gateway)
{
	struct upnp_request request = map_request(1, 1);
	struct err err;

	strcpy(request.url, bad_urls[_i]);
	ck_assert_int_eq(upnp_worker_ask(worker, host_ns, 1, &request, &err),
			 -EINVAL);
	memset(request.url, 'x', sizeof(request.url));
	ck_assert_int_eq(upnp_worker_ask(worker, host_ns, 1, &request, &err),
			 -EINVAL);
	ck_assert_uint_eq(upnp_worker_busy(worker), 0);
}
END_TEST

START_TEST(says_when_it_is_no_namespace)
{
	struct upnp_request request = map_request(1, 1);
	struct err err;
	unsigned tag;
	int null_fd = open("/dev/null", O_RDONLY);

	ck_assert_int_eq(upnp_worker_ask(worker, null_fd, 1, &request, &err),
			 0);
	ck_assert_int_eq(await(&tag).error, -EINVAL);
	ck_assert_int_lt(upnp_worker_ask(worker, -1, 1, &request, &err), 0);
	close(null_fd);
}
END_TEST

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(a_mute_gateway_does_not_hold_the_end_up)
{
	struct upnp_request request = map_request(41641, 41641);
	double started_s = now_s();

	strcpy(request.url, mute_url);
	for (unsigned i = 0; i < 5; i++)
		ask(i, &request);
	upnp_worker_free(worker);
	worker = NULL;
	ck_assert_double_lt(now_s() - started_s, 2.5);
}
END_TEST

START_TEST(a_mute_gateway_is_given_up)
{
	struct upnp_request request = map_request(41641, 41641);

	strcpy(request.url, mute_url);
	ck_assert_int_eq(ask_once(&request).error, -EHOSTUNREACH);
}
END_TEST

/* --- the lab ------------------------------------------------------------- */

static int new_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(router_ns, CLONE_NEWNET) < 0)
		return -1;
	return fd;
}

/* Accepts into its backlog and never says a word. */
static int listen_mute(void)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons(MUTE_PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		return -1;
	return listen(fd, 16);
}

static bool build_lab(void)
{
	char host_path[64];
	bool ok;

	router_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	host_ns = new_namespace();
	if (router_ns < 0 || host_ns < 0)
		return false;
	snprintf(host_path, sizeof(host_path), "/proc/%d/fd/%d", getpid(),
		 host_ns);
	setenv("HOST_NS", host_path, 1);
	if (system(router_script) != 0 || setns(host_ns, CLONE_NEWNET) < 0)
		return false;
	ok = system(host_script) == 0;
	return setns(router_ns, CLONE_NEWNET) == 0 && ok && listen_mute() == 0;
}

static Suite *suite_of_all(void)
{
	Suite *suite = suite_create("upnp");
	TCase *tc = tcase_create("miniupnpd");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, maps_and_unmaps);
	tcase_add_test(tc, no_external_port_means_the_internal_one);
	tcase_add_test(tc, gives_on_what_the_gateway_says);
	tcase_add_test(tc, many_at_once_keep_their_tags);
	tcase_add_test(tc, the_namespace_may_be_closed_meanwhile);
	tcase_add_loop_test(tc, refuses_what_is_no_address_of_a_gateway, 0,
			    (int)(sizeof(bad_urls) / sizeof(bad_urls[0])));
	tcase_add_test(tc, says_when_it_is_no_namespace);
	tcase_add_test(tc, a_mute_gateway_does_not_hold_the_end_up);
	tcase_add_test(tc, a_mute_gateway_is_given_up);
	suite_add_tcase(suite, tc);
	return suite;
}

static int in_sandbox(void *unused)
{
	SRunner *runner;
	int failed;

	(void)unused;
	if (!build_lab()) {
		fprintf(stderr, "the lab could not be built\n");
		return EXIT_FAILURE;
	}
	runner = srunner_create(suite_of_all());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(void)
{
	static const char *const needed[] = {"ip", "nft", "miniupnpd"};
	struct err err = {0};
	char command[100];
	int status;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		snprintf(command, sizeof(command),
			 "PATH=$PATH:/usr/sbin:/sbin command -v %s >/dev/null",
			 needed[i]);
		if (system(command) != 0) {
			printf("skipped: no program %s\n", needed[i]);
			return SKIPPED;
		}
	}
	if (sandbox_run(in_sandbox, NULL, &status, &err) < 0) {
		printf("skipped: %s\n", err.text);
		return SKIPPED;
	}
	return status;
}
