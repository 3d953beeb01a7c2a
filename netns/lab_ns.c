/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces, with all that needs no link: sysctls and rulesets. */
#include "netns/lab_own.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <linux/netlink.h>

/* Below this many nodes a lab does without: a mount costs 1 ms at its end. */
#define PROC_USES 64

struct making {
	struct lab *lab;
	const char *skip[12];	 /* sysctls that already have their value */
	unsigned skip_count;
	bool usual_timeouts;	 /* the kernel's own are 30 s and 120 s */
	int proc_fd;		 /* see fresh_proc */
	unsigned proc_uses;
};

int lab_sysctl(int proc_fd, const char *name, const char *value,
	       struct err *err)
{
	char path[128];
	int fd, code = 0;

	snprintf(path, sizeof(path), "%ssys/net/%s", proc_fd < 0 ? "/proc/" : "",
		 name);
	fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
	/* A kernel without IPv6 or br_netfilter needs none of their sysctls. */
	if (fd < 0 && errno == ENOENT &&
	    (strncmp(name, "ipv6/", 5) == 0 || strncmp(name, "bridge/", 7) == 0))
		return 0;
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		code = err_set(err, errno, "cannot set %s to %s: %s", path,
			       value, strerror(errno));
	if (fd >= 0)
		close(fd);
	return code;
}

struct sysctl {
	const char *name, *value;
};

/*
 * IPv6 off before any link is up, lest its chatter be recorded. No reverse
 * path filter: it is inherited from the host, and would drop what a NAT is
 * being tested with. Redirects would tell hosts of hairpins. The kernel limits
 * ICMP errors to so many a second, and its seconds are real ones: in skipped
 * time most would be missing.
 */
static const struct sysctl all_sysctls[] = {
	{"ipv6/conf/all/disable_ipv6", "1"},
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
	{"ipv4/icmp_ratemask", "0"},
};
/* With br_netfilter, neighbours on a bridge would pass the router's NAT. */
static const struct sysctl bridge_sysctls[] = {
	{"bridge/bridge-nf-call-iptables", "0"},
};
/* Packet counters tell lab_age which flows were refreshed. */
static const struct sysctl router_sysctls[] = {
	{"ipv4/ip_forward", "1"},
	{"ipv4/conf/all/send_redirects", "0"},
	{"ipv4/conf/default/send_redirects", "0"},
	{"netfilter/nf_conntrack_acct", "1"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Also where there is no such sysctl and none is needed. */
static bool sysctl_has(const char *name, const char *value)
{
	char path[128], found[16] = "";
	ssize_t bytes = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	bytes = read(fd, found, sizeof(found) - 1);
	close(fd);
	found[bytes > 0 ? bytes - 1 : 0] = 0;
	return strcmp(found, value) == 0;
}

static void look_at(struct making *m, const struct sysctl *sysctls,
		    unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (sysctl_has(sysctls[i].name, sysctls[i].value))
			m->skip[m->skip_count++] = sysctls[i].name;
}

/* All fresh namespaces start alike: what the first one has need not be set. */
static void look_at_sysctls(struct making *m)
{
	m->skip_count = 0;
	look_at(m, all_sysctls, COUNT(all_sysctls));
	look_at(m, bridge_sysctls, COUNT(bridge_sysctls));
	look_at(m, router_sysctls, COUNT(router_sysctls));
	m->usual_timeouts =
		sysctl_has("netfilter/nf_conntrack_udp_timeout", "30") &&
		sysctl_has("netfilter/nf_conntrack_udp_timeout_stream", "120");
}

/*
 * The kernel finds a namespace's sysctl by walking those of all namespaces
 * that were looked at through the same mount: with 2,000 of them that is most
 * of the time. So each few dozen have a /proc of their own, mounted nowhere.
 */
static void fresh_proc(struct making *m)
{
	int fs;

	if (m->lab->count < PROC_USES || m->proc_uses++ % PROC_USES)
		return;
	if (m->proc_fd >= 0)
		close(m->proc_fd);
	m->proc_fd = -1; /* /proc itself will do, only slower */
	fs = fsopen("proc", FSOPEN_CLOEXEC);
	if (fs < 0)
		return;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		m->proc_fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
}

static bool has_usual_timeouts(const struct making *m, const struct nat *nat)
{
	return m->usual_timeouts && nat->udp_timeout_s == 30 &&
	       nat->udp_stream_timeout_s == 120 && !nat->tcp_timeout_s &&
	       !nat->tcp_transitory_timeout_s && !nat->icmp_timeout_s;
}

static int set_sysctls(const struct making *m, const struct sysctl *sysctls,
		       unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		bool skip = false;
		int code;

		for (unsigned j = 0; j < m->skip_count; j++)
			skip |= m->skip[j] == sysctls[i].name;
		code = skip ? 0 : lab_sysctl(m->proc_fd, sysctls[i].name,
					     sysctls[i].value, err);
		if (code)
			return code;
	}
	return 0;
}

/* The calling thread is in the new namespace afterwards. */
static int make_namespace(const char *name, int *ns_fd, struct netlink *nl,
			  struct err *err)
{
	if (unshare(CLONE_NEWNET))
		return err_set(err, errno, "%s: cannot make a network "
			       "namespace: %s%s", name, strerror(errno),
			       errno == ENOSPC ? "; raise user.max_net_"
						 "namespaces with sysctl" : "");
	*ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*ns_fd < 0)
		return err_set(err, errno, "%s: cannot hold its network "
			       "namespace: %s%s", name, strerror(errno),
			       errno == EMFILE ? "; raise the limit of open "
						 "files (ulimit -n)" : "");
	return netlink_open(nl, NETLINK_ROUTE, err);
}

static int make_router(struct making *m, struct lab_node *router,
		       struct err *err)
{
	bool engine = lab_wants_engine(&router->plan);
	int code = set_sysctls(m, router_sysctls, COUNT(router_sysctls), err);

	if (!code && engine)
		code = lab_router_forwarding(m->proc_fd, router, err);
	if (!code)
		code = set_sysctls(m, bridge_sysctls, COUNT(bridge_sysctls),
				   err);
	if (!code && !has_usual_timeouts(m, &router->plan.nat))
		code = lab_router_timeouts(m->proc_fd, router, NULL, err);
	if (!code)
		code = lab_router_rules(m->lab, router, true, err);
	if (!code && !engine && m->lab->own->ages)
		code = conntrack_new(&router->own->conntrack,
				     router->plan.name, true, err);
	return code;
}

static int make_node(struct making *m, struct lab_node *node,
		     struct netlink *nl, struct err *err)
{
	int code;

	fresh_proc(m);
	code = make_namespace(node->plan.name, &node->ns_fd, nl, err);
	if (!code)
		code = set_sysctls(m, all_sysctls, COUNT(all_sysctls), err);
	if (code || node->plan.kind != LAB_ROUTER)
		return code;
	return make_router(m, node, err);
}

static int make_all(struct making *m, struct netlink *sockets, struct err *err)
{
	struct lab *lab = m->lab;
	int code = make_namespace("the internet", &lab->internet_ns_fd,
				  &lab->own->internet, err);

	if (code)
		return code;
	look_at_sysctls(m);
	code = set_sysctls(m, all_sysctls, COUNT(all_sysctls), err);
	for (unsigned i = 0; i < lab->count && !code; i++)
		code = make_node(m, &lab->nodes[i], &sockets[i], err);
	return code;
}

int lab_namespaces(struct lab *lab, struct netlink *sockets, struct err *err)
{
	struct making m = {.lab = lab, .proc_fd = -1};
	int code = make_all(&m, sockets, err);

	if (m.proc_fd >= 0)
		close(m.proc_fd);
	return code;
}

int lab_deafen(struct lab *lab, const struct lab_node *node, struct err *err)
{
	int code = lab_enter(lab, node, err);

	if (code)
		return code;
	code = lab_nft(lab,
		       "table inet deaf {\n"
		       "	chain input {\n"
		       "		type filter hook input priority raw; policy drop;\n"
		       "	}\n"
		       "}\n",
		       NULL, node->plan.name, err);
	lab_leave(lab);
	return code;
}
