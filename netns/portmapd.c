/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's files (configuration, leases) are in a tmpfs that is mounted
 * nowhere: the daemon has it as descriptor 3, and names it /proc/self/fd/3.
 */
#include "netns/portmapd_own.h"

#include "netns/child.h"
#include "netns/lab.h"
#include "wire/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HTTP_PORT 5000
#define SSDP_PORT 1900
#define NAT_PMP_PORT 5351
/*
 * How long an unanswered question is left before it is asked again. It waits
 * in the daemon's socket meanwhile, and a pile of them would be answered one
 * by one, 13 ms apart, before anybody else's. A refusal is asked again at once.
 */
#define ASK_AGAIN_US 250000
#define LOG_MAX_BYTES 65536

int portmapd_files(struct err *err)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), fd = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		fd = err_set(err, errno, "cannot make a private tmpfs for the "
			     "port-mapping daemons: %s; it takes Linux 5.2",
			     strerror(errno));
	if (fs >= 0)
		close(fs);
	return fd;
}

static const char *find_program(void)
{
	static const char *const places[] = {"/usr/sbin/miniupnpd",
					     "/usr/local/sbin/miniupnpd",
					     "/sbin/miniupnpd",
					     "/usr/bin/miniupnpd"};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/*
 * Notifications would be chatter in the recording; leases may be as short or
 * long as a scenario wants them. PCP comes with NAT-PMP in this program.
 */
static int write_config(const struct portmapd_plan *plan, struct err *err)
{
	bool pmp = plan->protocols & (LAB_PORTMAP_NAT_PMP | LAB_PORTMAP_PCP);
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "conf%u", plan->id);
	fd = openat(plan->files_fd, name, O_WRONLY | O_CREAT | O_TRUNC |
		    O_CLOEXEC, 0600);
	if (fd < 0 ||
	    dprintf(fd,
		    "ext_ifname=wan\n"
		    "listening_ip=lan\n"
		    "http_port=%d\n"
		    "ipv6_disable=yes\n"
		    "enable_natpmp=%s\n"
		    "enable_upnp=%s\n"
		    "upnp_table_name=portmap\n"
		    "upnp_nat_table_name=portmap\n"
		    "upnp_forward_chain=forward\n"
		    "upnp_nat_chain=prerouting\n"
		    "upnp_nat_postrouting_chain=postrouting\n"
		    "lease_file=/proc/self/fd/3/leases%u\n"
		    "secure_mode=no\n"
		    "system_uptime=no\n"
		    "notify_interval=86400\n"
		    "clean_ruleset_interval=0\n"
		    "min_lifetime=1\n"
		    "max_lifetime=31536000\n"
		    "uuid=6e617472-6967-4000-8000-%012u\n"
		    "allow 0-65535 0.0.0.0/0 0-65535\n",
		    HTTP_PORT, pmp ? "yes" : "no",
		    plan->protocols & LAB_PORTMAP_UPNP ? "yes" : "no",
		    plan->id, plan->id) < 0)
		return err_set(err, errno, "%s: cannot write its miniupnpd's "
			       "configuration: %s", plan->where,
			       strerror(errno));
	close(fd);
	return 0;
}

static int start_program(struct portmapd *d, struct err *err)
{
	char config[64], pid_file[64];
	const char *argv[] = {find_program(), "-d", "-f", config, "-P",
			      pid_file, NULL};
	struct child_plan plan = {
		.argv = argv,
		.stdin_fd = -1,
		.stdout_fd = d->log_fd,
		.stderr_fd = d->log_fd,
		.extra_fd = d->plan.files_fd,
		.own_session = true,
	};

	if (!argv[0])
		return err_set(err, ENOENT, "%s: its port mapping needs "
			       "miniupnpd, which is not installed: apt install "
			       "miniupnpd-nftables", d->plan.where);
	snprintf(config, sizeof(config), "/proc/self/fd/3/conf%u", d->plan.id);
	snprintf(pid_file, sizeof(pid_file), "/proc/self/fd/3/pid%u",
		 d->plan.id);
	d->pid = child_start(&plan, err);
	return d->pid < 0 ? d->pid : 0;
}

/* A socket of the router's own, from its LAN address to its LAN address. */
static int open_asker(struct portmapd *d, uint16_t port, struct err *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(d->plan.lan_ip)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
		at.sin_port = htons(port);
		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
			return fd;
	}
	if (fd >= 0)
		close(fd);
	return err_set(err, errno, "%s: cannot ask its miniupnpd on port %u: "
		       "%s", d->plan.where, port, strerror(errno));
}

static int open_askers(struct portmapd *d, struct err *err)
{
	if (d->plan.protocols & LAB_PORTMAP_UPNP) {
		d->ssdp.fd = open_asker(d, SSDP_PORT, err);
		if (d->ssdp.fd < 0)
			return d->ssdp.fd;
	}
	if (d->plan.protocols & (LAB_PORTMAP_NAT_PMP | LAB_PORTMAP_PCP)) {
		d->nat_pmp.fd = open_asker(d, NAT_PMP_PORT, err);
		if (d->nat_pmp.fd < 0)
			return d->nat_pmp.fd;
	}
	return 0;
}

int portmapd_start(struct portmapd **out, const struct portmapd_plan *plan,
		   struct err *err)
{
	struct portmapd *d = calloc(1, sizeof(*d));
	char leases[32];
	int code;

	if (!d)
		return err_set(err, ENOMEM, "no memory for a daemon");
	d->plan = *plan;
	d->pid = -1;
	d->ssdp.fd = d->nat_pmp.fd = -1;
	/* Of a daemon before this one: a fresh one knows no leases. */
	snprintf(leases, sizeof(leases), "leases%u", plan->id);
	unlinkat(plan->files_fd, leases, 0);
	d->log_fd = memfd_create("miniupnpd", MFD_CLOEXEC);
	if (d->log_fd < 0)
		code = err_set(err, errno, "cannot make a log in memory: %s",
			       strerror(errno));
	else
		code = fcntl(d->log_fd, F_SETFL, O_APPEND) ? -errno : 0;
	if (!code)
		code = write_config(plan, err);
	if (!code)
		code = start_program(d, err);
	if (!code)
		code = open_askers(d, err);
	if (code) {
		portmapd_free(d);
		return code;
	}
	*out = d;
	return 0;
}

void portmapd_stop(struct portmapd *d)
{
	if (d && d->pid > 0)
		kill(d->pid, SIGKILL);
}

void portmapd_free(struct portmapd *d)
{
	if (!d)
		return;
	portmapd_stop(d);
	if (d->pid > 0)
		waitpid(d->pid, NULL, 0);
	if (d->log_fd >= 0)
		close(d->log_fd);
	if (d->ssdp.fd >= 0)
		close(d->ssdp.fd);
	if (d->nat_pmp.fd >= 0)
		close(d->nat_pmp.fd);
	free(d->leases);
	free(d);
}

/* --- readiness ------------------------------------------------------------- */

static int died(struct portmapd *d, int status, struct err *err)
{
	char words[301] = "";
	off_t end = lseek(d->log_fd, 0, SEEK_END);
	off_t from = end > 300 ? end - 300 : 0;
	ssize_t bytes = pread(d->log_fd, words, sizeof(words) - 1, from);

	words[bytes > 0 ? bytes : 0] = 0;
	d->pid = -1;
	return err_set(err, ECHILD, "%s: its miniupnpd ended (%s %d): %s",
		       d->plan.where,
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status)
					   : WEXITSTATUS(status),
		       words);
}

int portmapd_check(struct portmapd *d, struct err *err)
{
	off_t log_bytes;
	int status;

	if (d->pid < 0)
		return err_set(err, ECHILD, "%s: its miniupnpd has ended",
			       d->plan.where);
	if (waitpid(d->pid, &status, WNOHANG) == d->pid)
		return died(d, status, err);
	log_bytes = lseek(d->log_fd, 0, SEEK_END);
	/* Only its last words are ever wanted; forgetting cannot fail. */
	if (log_bytes > LOG_MAX_BYTES && ftruncate(d->log_fd, 0))
		return 0;
	return 0;
}

/* True once it has answered. A refusal (nobody listens yet) asks again. */
static bool ask(struct portmapd_asker *asker, const char *question,
		size_t bytes, uint64_t now_us)
{
	char answer[2048];
	ssize_t got;

	if (asker->fd < 0 || asker->answered)
		return true;
	got = recv(asker->fd, answer, sizeof(answer), 0);
	if (got > 0) {
		asker->answered = true;
		return true;
	}
	if (errno == ECONNREFUSED)
		asker->asked_us = 0;
	if (asker->asked_us && now_us - asker->asked_us < ASK_AGAIN_US)
		return false;
	/* A refusal may come back at once, with the send. */
	if (send(asker->fd, question, bytes, 0) == (ssize_t)bytes)
		asker->asked_us = now_us;
	return false;
}

int portmapd_ready(struct portmapd *d, uint64_t now_us, bool *ready,
		   struct err *err)
{
	static const char search[] =
		"M-SEARCH * HTTP/1.1\r\n"
		"HOST: 239.255.255.250:1900\r\n"
		"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
		"MAN: \"ssdp:discover\"\r\n"
		"MX: 1\r\n\r\n";
	static const char address_request[2] = {0, 0};
	int code = portmapd_check(d, err);
	bool upnp, nat_pmp;

	if (code)
		return code;
	upnp = ask(&d->ssdp, search, sizeof(search) - 1, now_us);
	nat_pmp = ask(&d->nat_pmp, address_request, sizeof(address_request),
		      now_us);
	*ready = upnp && nat_pmp;
	return 0;
}
