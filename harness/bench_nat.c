/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * natrig bench nat: what forwarding costs, the kernel's NAT and our engine
 * side by side, in a lab of two hosts with a router between.
 *
 * Packets a second: one process on one core sends, forwards and receives, in
 * turns, so that nothing is lost and all of it counts. Latency: one packet at
 * a time from a process that waits for it, as a real client's; the engine is
 * woken from its sleep for each, on the same core. Both also without a router,
 * which is what sending and receiving cost themselves; the ways take short
 * turns, so that what else the machine does befalls them alike.
 */
#include "harness/bench.h"
#include "harness/commands.h"
#include "harness/pool.h"
#include "netns/lab.h"
#include "netns/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	AT_ONCE = 64,	    /* packets sent before any is forwarded */
	PACKET_BYTES = 100, /* the IPv4 packet */
	PAYLOAD_BYTES = PACKET_BYTES - 28,
	PORT = 9,
	/*
	 * A run; each of AT_ONCE packets, which is so short that most are not
	 * disturbed. The median is of all.
	 */
	SPELLS = 200,
	PINGS = 2000,
	LOST_US = 1000000,
	WHY_BYTES = 512
};

enum { KERNEL, KERNEL_HOST, ENGINE, ENGINE_HOST, SERVER, OUTSIDE, NODES };

/* How packets can go; the first has no router between. */
enum { DIRECT, WAYS = 3 };

struct way {
	const char *key, *what;
	unsigned from; /* node that sends to the server */
	/* Medians; of the router alone, those of the differences to DIRECT. */
	double packet_us, router_us, latency_us;
};

/* What is shared with the sandbox that measures; all but RUNS shared memory. */
struct nat_bench {
	const struct way *ways;
	unsigned runs;
	double *packet_us;  /* WAYS a spell */
	double *latency_us; /* PINGS a way */
	char *why;	    /* WHY_BYTES */
};

/* A way's sockets in the lab. */
struct path {
	struct lab *lab;
	struct clock *clock;
	int from_fd, to_fd;
	struct mmsghdr out[AT_ONCE], in[AT_ONCE];
	struct iovec data[AT_ONCE];
	uint8_t bytes[AT_ONCE][PAYLOAD_BYTES];
};

static int make_lab(struct lab **lab, struct err *err)
{
	const struct nat nat = nat_preset_find("easy")->nat;
	struct lab_plan_node nodes[NODES] = {
		[KERNEL] = {"kernel", LAB_ROUTER, -1, nat, 0, false},
		[KERNEL_HOST] = {"a", LAB_HOST, KERNEL, {0}, 0, false},
		[ENGINE] = {"engine", LAB_ROUTER, -1, nat, 0, true},
		[ENGINE_HOST] = {"b", LAB_HOST, ENGINE, {0}, 0, false},
		[SERVER] = {"server", LAB_SERVER, -1, {0}, 0, false},
		[OUTSIDE] = {"outside", LAB_HOST, -1, {0}, 0, false},
	};
	struct lab_plan plan = {.nodes = nodes, .count = NODES};

	return lab_new(&plan, lab, err);
}

static int open_socket(struct lab *lab, unsigned node, uint16_t port,
		       struct err *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	int fd, ret = lab_enter(lab, &lab->nodes[node], err);

	if (ret)
		return ret;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		ret = err_set(err, errno, "cannot open a socket: %s",
			      strerror(errno));
	lab_leave(lab);
	return ret ? ret : fd;
}

/* Each with a server's port of its own. */
static int open_path(struct path *p, unsigned from, uint16_t port,
		     struct err *err)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	uint32_t ip = p->lab->nodes[SERVER].ifaces[0].ip;

	p->from_fd = open_socket(p->lab, from, port, err);
	if (p->from_fd < 0)
		return p->from_fd;
	p->to_fd = open_socket(p->lab, SERVER, port, err);
	if (p->to_fd < 0)
		return p->to_fd;
	to.sin_addr.s_addr = htonl(ip);
	if (connect(p->from_fd, (struct sockaddr *)&to, sizeof(to)))
		return err_set(err, errno, "no way to the server: %s",
			       strerror(errno));
	for (unsigned i = 0; i < AT_ONCE; i++) {
		p->data[i] = (struct iovec){p->bytes[i], PAYLOAD_BYTES};
		p->out[i].msg_hdr.msg_iov = &p->data[i];
		p->out[i].msg_hdr.msg_iovlen = 1;
		p->in[i] = p->out[i];
	}
	return 0;
}

static void close_path(struct path *p)
{
	if (p->from_fd >= 0)
		close(p->from_fd);
	if (p->to_fd >= 0)
		close(p->to_fd);
}

/* The engine, where there is one, until it has nothing left to do. */
static int forward(struct path *p, struct err *err)
{
	int count;

	do
		count = lab_serve(p->lab, clock_now_us(p->clock), err);
	while (count > 0);
	return count;
}

/* --- packets a second ----------------------------------------------------- */

/* So many through; a negative errno where one is lost. */
static int pass(struct path *p, unsigned count, struct err *err)
{
	uint64_t give_up_us = clock_real_us() + LOST_US;
	unsigned arrived = 0;
	int n = sendmmsg(p->from_fd, p->out, count, 0);

	if (n != (int)count)
		return err_set(err, errno, "cannot send: %s", strerror(errno));
	while (arrived < count) {
		n = forward(p, err);
		if (n < 0)
			return n;
		n = recvmmsg(p->to_fd, p->in, AT_ONCE, MSG_DONTWAIT, NULL);
		if (n > 0)
			arrived += (unsigned)n;
		else if (clock_real_us() > give_up_us)
			return err_set(err, EIO, "%u of %u packets were lost",
				       count - arrived, count);
	}
	return 0;
}

static int measure_rate(struct path *p, double *packet_us, struct err *err)
{
	uint64_t start_us = clock_real_us();
	int ret = pass(p, AT_ONCE, err);

	*packet_us = (double)(clock_real_us() - start_us) / AT_ONCE;
	return ret;
}

/* --- latency -------------------------------------------------------------- */

static int ping(struct path *p, double *latency_us)
{
	struct pollfd wait = {.fd = p->to_fd, .events = POLLIN};
	uint64_t start_ns = clock_now_ns(p->clock);

	if (send(p->from_fd, p->bytes, PAYLOAD_BYTES, 0) < 0 ||
	    poll(&wait, 1, LOST_US / 1000) != 1 ||
	    recv(p->to_fd, p->bytes, PAYLOAD_BYTES, 0) < 0)
		return -EIO;
	*latency_us = (double)(clock_now_ns(p->clock) - start_ns) / 1000;
	return 0;
}

static int ping_all(struct path *p, double *latency_us)
{
	int ret = 0;

	for (unsigned i = 0; i < PINGS && !ret; i++)
		ret = ping(p, &latency_us[i]);
	return ret;
}

/* The child sends and waits; this process is the router meanwhile. */
static int measure_latency(struct path *p, double *latency_us, struct err *err)
{
	struct pollfd wait[2] = {{.fd = lab_fd(p->lab), .events = POLLIN},
				 {.events = POLLIN}};
	int ends[2], ret = 0, status = 1;
	pid_t child;

	if (pipe(ends))
		return err_set(err, errno, "no pipe: %s", strerror(errno));
	child = fork();
	if (!child)
		_exit(ping_all(p, latency_us) != 0);
	close(ends[1]); /* the child's end closes with it */
	wait[1].fd = ends[0];
	while (child > 0 && ret >= 0 && !wait[1].revents) {
		poll(wait, 2, -1);
		ret = lab_serve(p->lab, clock_now_us(p->clock), err);
	}
	close(ends[0]);
	if (child < 0 || waitpid(child, &status, 0) < 0 || (ret >= 0 && status))
		return err_set(err, EIO, "a packet was lost");
	return ret < 0 ? ret : 0;
}

/* --- all ------------------------------------------------------------------ */

static int measure_paths(struct path *paths, struct nat_bench *b,
			 struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < WAYS && !ret; i++) {
		ret = open_path(&paths[i], b->ways[i].from,
				(uint16_t)(PORT + i), err);
		if (!ret)
			ret = pass(&paths[i], 1, err); /* ARP and a mapping */
	}
	for (unsigned i = 0; i < b->runs * SPELLS * WAYS && !ret; i++)
		ret = measure_rate(&paths[i % WAYS], &b->packet_us[i], err);
	for (unsigned i = 0; i < WAYS && !ret; i++)
		ret = measure_latency(&paths[i], &b->latency_us[i * PINGS],
				      err);
	return ret;
}

static int measure_inside(void *arg)
{
	struct nat_bench *b = arg;
	static struct path paths[WAYS]; /* large, and once a process */
	struct clock clock;
	struct lab *lab = NULL;
	struct err err = {0};
	int ret;

	pool_pin_cpu(0);
	clock_start(&clock);
	ret = make_lab(&lab, &err);
	for (unsigned i = 0; i < WAYS; i++)
		paths[i] = (struct path){.lab = lab, .clock = &clock,
					 .from_fd = -1, .to_fd = -1};
	if (!ret)
		ret = measure_paths(paths, b, &err);
	if (ret)
		snprintf(b->why, WHY_BYTES, "%s", err.text);
	for (unsigned i = 0; i < WAYS; i++)
		close_path(&paths[i]);
	lab_free(lab);
	return ret != 0;
}

/* Of each spell's own differences: what disturbs one disturbs its neighbour. */
static void take_medians(struct way *way, unsigned i, const struct nat_bench *b,
			 double *values)
{
	unsigned spells = b->runs * SPELLS;

	for (unsigned k = 0; k < spells; k++)
		values[k] = b->packet_us[k * WAYS + i];
	way->packet_us = bench_median(values, spells);
	for (unsigned k = 0; k < spells; k++)
		values[k] = b->packet_us[k * WAYS + i] -
			    b->packet_us[k * WAYS + DIRECT];
	way->router_us = bench_median(values, spells);
	way->latency_us = bench_median(&b->latency_us[i * PINGS], PINGS);
}

static int measure(struct way ways[static WAYS], unsigned runs,
		   struct err *err)
{
	unsigned spells = runs * SPELLS;
	size_t bytes = (WAYS * (spells + PINGS) + spells) * sizeof(double) +
		       WHY_BYTES;
	double *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *latency = shared + WAYS * spells;
	double *scratch = latency + WAYS * PINGS;
	struct nat_bench b = {ways, runs, shared, latency,
			      (char *)(scratch + spells)};
	int status = 0, ret;

	if (shared == MAP_FAILED)
		return err_set(err, ENOMEM, "no memory");
	ret = sandbox_run(measure_inside, &b, &status, err);
	if (!ret && status)
		ret = err_set(err, EIO, "cannot measure forwarding: %s",
			      b.why[0] ? b.why : "the measuring process died");
	for (unsigned i = 0; i < WAYS && !ret; i++)
		take_medians(&ways[i], i, &b, scratch);
	munmap(shared, bytes);
	return ret;
}

static double added_us(const struct way *ways, unsigned i)
{
	return ways[i].latency_us - ways[DIRECT].latency_us;
}

static void print_json(const struct way ways[static WAYS])
{
	json_t *json = json_object();

	for (unsigned i = 0; i < WAYS; i++) {
		json_t *one = json_pack("{s:f, s:f}", "packets_s",
					1e6 / ways[i].packet_us, "latency_us",
					ways[i].latency_us);

		if (i != DIRECT) {
			json_object_set_new(one, "router_us",
					    json_real(ways[i].router_us));
			json_object_set_new(
				one, "router_packets_s",
				json_real(1e6 / ways[i].router_us));
			json_object_set_new(one, "added_us",
					    json_real(added_us(ways, i)));
		}
		json_object_set_new(json, ways[i].key, one);
	}
	json_dumpf(json, stdout, JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(json);
}

static void print_text(const struct way ways[static WAYS], unsigned runs)
{
	printf("median of %u runs; packets of %d bytes, all on one core\n"
	       "%-22s %17s %14s %19s\n",
	       runs, PACKET_BYTES, "", "packets/s with", "packets/s,",
	       "latency added");
	printf("%-22s %17s %14s %19s\n", "way", "sender, receiver",
	       "router alone", "at the median, us");
	printf("%-22s %17.0f %14s %19s\n", ways[DIRECT].what,
	       1e6 / ways[DIRECT].packet_us, "-", "-");
	for (unsigned i = DIRECT + 1; i < WAYS; i++)
		printf("%-22s %17.0f %14.0f %19.1f\n", ways[i].what,
		       1e6 / ways[i].packet_us, 1e6 / ways[i].router_us,
		       added_us(ways, i));
}

int bench_nat(const struct bench_options *options, struct err *err)
{
	struct way ways[WAYS] = {
		[DIRECT] = {"direct", "no router between", OUTSIDE, 0, 0, 0},
		{"netfilter", "netfilter's NAT", KERNEL_HOST, 0, 0, 0},
		{"engine", "natrig's engine", ENGINE_HOST, 0, 0, 0},
	};
	int ret;

	bench_progress("forwarding");
	ret = measure(ways, options->runs, err);
	bench_progress(NULL);
	if (ret)
		return ret;
	if (options->json)
		print_json(ways);
	else
		print_text(ways, options->runs);
	return 0;
}
