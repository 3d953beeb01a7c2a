/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's files (configuration, leases) are in a tmpfs that is mounted
 * nowhere: the daemon has it as descriptor 3, and names it /proc/self/fd/3.
 */
#include "netns/portmapd_own.h"

#include "netns/child.h"
#include "netns/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define HTTP_PORT 5000
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
	bool pmp = plan->protocols & PMP_OR_PCP;
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
	free(d->leases);
	free(d);
}

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
