/* SPDX-License-Identifier: BSD-3-Clause */
/* What `natrig doctor` shows: each thing is tried, in a sandbox of its own. */
#include "netns/sandbox.h"

#include "netns/conntrack.h"
#include "netns/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_tun.h>

#include <nftables/libnftables.h>

struct probe {
	const char *name;
	/* 0, or negative errno with what was seen. */
	int (*try)(struct err *err);
	const char *remedy;
	bool required;
	bool inside; /* in a sandbox; else in a plain child */
};

static int try_unshare(int flags, struct err *err)
{
	if (unshare(flags) == 0)
		return 0;
	return err_set(err, errno, "%s", strerror(errno));
}

static int try_user(struct err *err)
{
	return try_unshare(CLONE_NEWUSER, err);
}

/* Root needs no user namespace for the others; everybody else does. */
static int try_with_user(int flag, struct err *err)
{
	if (geteuid() == 0 && unshare(flag) == 0)
		return 0;
	return try_unshare(flag | CLONE_NEWUSER, err);
}

static int try_net(struct err *err)
{
	return try_with_user(CLONE_NEWNET, err);
}

static int try_mount(struct err *err)
{
	return try_with_user(CLONE_NEWNS, err);
}

static int try_pid(struct err *err)
{
	return try_with_user(CLONE_NEWPID, err);
}

/* The sandbox is up when this runs, its /proc with it. */
static int try_sandbox(struct err *err)
{
	(void)err;
	return 0;
}

/* The smallest lab that has everything: macvlan, veth, bridge, NAT. */
static int try_lab(unsigned hosts, unsigned portmap, struct err *err)
{
	struct lab_plan_node nodes[3] = {
		{.name = "router", .kind = LAB_ROUTER, .router = -1,
		 .nat = nat_preset_find("address-restricted")->nat,
		 .portmap = portmap},
		{.name = "a", .kind = LAB_HOST, .router = 0},
		{.name = "b", .kind = LAB_HOST, .router = 0},
	};
	struct lab_plan plan = {.nodes = nodes, .count = 1 + hosts};
	struct lab *lab;
	int code = lab_new(&plan, &lab, err);

	if (code)
		return code;
	code = lab_block(lab, &lab->nodes[hosts], &lab->nodes[0], 0, 0, err);
	if (!code)
		code = lab_age(lab, 1000, err);
	lab_free(lab);
	return code;
}

static int try_router(struct err *err)
{
	return try_lab(1, 0, err);
}

static int try_lan(struct err *err)
{
	return try_lab(2, 0, err);
}

static int try_words(const char *words, struct err *err)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *said;
	int code = 0;

	if (!nft)
		return err_set(err, ENOMEM, "no nftables context");
	nft_ctx_buffer_error(nft);
	if (nft_run_cmd_from_buffer(nft, words)) {
		said = nft_ctx_get_error_buffer(nft);
		code = err_set(err, EOPNOTSUPP, "%.150s",
			       said ? said : "refused");
	}
	nft_ctx_free(nft);
	return code;
}

static int try_nft(struct err *err)
{
	return try_words("table inet t {\n"
			 "chain c {\n"
			 "type nat hook postrouting priority 0\n"
			 "masquerade fully-random\n"
			 "}\n}\n", err);
}

static int try_bridge_filter(struct err *err)
{
	return try_words("table bridge t {\n"
			 "chain c {\n"
			 "type filter hook forward priority 0\n"
			 "ip saddr 25.0.0.1 drop\n"
			 "}\n}\n", err);
}

static int try_ingress_filter(struct err *err)
{
	return try_words("table netdev t {\n"
			 "chain c {\n"
			 "type filter hook ingress device lo priority 0\n"
			 "ip saddr 25.0.0.1 drop\n"
			 "}\n}\n", err);
}

static int try_conntrack(struct err *err)
{
	const struct conntrack_timeouts timeouts = {30, 120};
	struct conntrack *ct;
	int code = conntrack_new(&ct, "conntrack", false, err);

	if (code)
		return code;
	code = conntrack_age(ct, 0, 0, &timeouts, err);
	conntrack_free(ct);
	return code;
}

static int try_packet_socket(struct err *err)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	if (fd < 0)
		return err_set(err, errno, "%s", strerror(errno));
	close(fd);
	return 0;
}

static int try_tun(struct err *err)
{
	struct ifreq request = {.ifr_name = "tun0"};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), code = 0;

	request.ifr_flags = IFF_TUN | IFF_NO_PI;
	if (fd < 0)
		return err_set(err, errno, "/dev/net/tun: %s", strerror(errno));
	if (ioctl(fd, TUNSETIFF, &request))
		code = err_set(err, errno, "cannot make an interface: %s",
			       strerror(errno));
	close(fd);
	return code;
}

static int try_miniupnpd(struct err *err)
{
	return try_lab(1, LAB_PORTMAP_UPNP | LAB_PORTMAP_NAT_PMP, err);
}

static int try_files(struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return err_set(err, errno, "%s", strerror(errno));
	if (limit.rlim_max < 4096)
		return err_set(err, EMFILE, "at most %llu",
			       (unsigned long long)limit.rlim_max);
	return 0;
}

#define USERNS_REMEDY                                                          \
	"run as root, or sysctl kernel.unprivileged_userns_clone=1 (Debian), " \
	"kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), "            \
	"user.max_user_namespaces=10000; in a container: --privileged"

static const struct probe probes[] = {
	{"user namespace", try_user, USERNS_REMEDY, false, false},
	{"network namespace", try_net,
	 USERNS_REMEDY "; sysctl user.max_net_namespaces=10000", true, false},
	{"mount namespace", try_mount, USERNS_REMEDY, true, false},
	{"PID namespace", try_pid, USERNS_REMEDY, true, false},
	{"sandbox with its own /proc", try_sandbox,
	 "in a container: --security-opt systempaths=unconfined", true, true},
	{"nf_tables NAT", try_nft,
	 "modprobe nf_tables nft_chain_nat nft_masq nft_nat", true, true},
	{"nf_tables bridge filter", try_bridge_filter,
	 "modprobe nf_tables_bridge (or a kernel with NF_TABLES_BRIDGE)", true,
	 true},
	{"nf_tables ingress filter", try_ingress_filter,
	 "a kernel with NETFILTER_INGRESS and NF_TABLES_NETDEV", true, true},
	{"conntrack via ctnetlink", try_conntrack,
	 "modprobe nf_conntrack_netlink", true, true},
	{"veth, macvlan and a router", try_router, "modprobe veth macvlan",
	 true, true},
	{"several hosts on a LAN", try_lan, "modprobe veth bridge", true, true},
	{"packet sockets", try_packet_socket, "modprobe af_packet", true, true},
	{"open files", try_files,
	 "raise the hard limit (ulimit -Hn) for labs of hundreds of homes",
	 false, false},
	{"TUN", try_tun,
	 "modprobe tun; needed by real clients without --tun=userspace-"
	 "networking only", false, true},
	{"miniupnpd", try_miniupnpd, "apt install miniupnpd-nftables", false,
	 true},
};

/* Written by a child, read by us: shared memory. */
struct outcome {
	int code;
	struct err err;
};

struct trial {
	const struct probe *probe;
	struct outcome *outcome;
};

static int run_trial(void *arg)
{
	struct trial *trial = arg;

	trial->outcome->code = trial->probe->try(&trial->outcome->err);
	return 0;
}

static void run_probe(struct trial *trial)
{
	struct outcome *outcome = trial->outcome;
	int status;
	pid_t pid;

	*outcome = (struct outcome){.code = -ECHILD};
	err_set(&outcome->err, ECHILD, "the attempt died");
	if (trial->probe->inside) {
		status = sandbox_run(run_trial, trial, &status, &outcome->err);
		if (status)
			outcome->code = status;
		return;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		run_trial(trial);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
}

static void fill(struct sandbox_feature *feature, const struct probe *probe,
		 const struct outcome *outcome)
{
	memset(feature, 0, sizeof(*feature));
	feature->name = probe->name;
	feature->present = outcome->code == 0;
	feature->required = probe->required;
	snprintf(feature->found, sizeof(feature->found), "%s",
		 outcome->code ? outcome->err.text : "works");
	if (outcome->code)
		snprintf(feature->remedy, sizeof(feature->remedy), "%s",
			 probe->remedy);
}

unsigned sandbox_probe(struct sandbox_feature *features, unsigned max)
{
	unsigned count = sizeof(probes) / sizeof(probes[0]);
	struct outcome *outcome;

	if (count > max)
		count = max;
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		struct trial trial = {&probes[i], outcome};

		run_probe(&trial);
		fill(&features[i], &probes[i], outcome);
	}
	munmap(outcome, sizeof(*outcome));
	return count;
}
