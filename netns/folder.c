/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESOLV "/etc/resolv.conf"
#define EMPTY "/run/natrig-resolv.conf"

static int refused(struct err *err, const char *what)
{
	return err_set(err, errno, "cannot make %s for the lab's real clients: "
		       "%s", what, strerror(errno));
}

/* Once in a sandbox: its mounts are its own, and go with it. */
static int cover_machine(struct err *err)
{
	static bool covered; /* of this process, which is the sandbox's first */
	int fd;

	if (covered)
		return 0;
	if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"))
		return refused(err, "a /run of their own");
	fd = open(EMPTY, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return refused(err, EMPTY);
	close(fd);
	/* A machine without one has none that could be written to. */
	if (mount(EMPTY, RESOLV, NULL, MS_BIND, NULL) && errno != ENOENT)
		return refused(err, "a " RESOLV " of their own");
	if (mkdir(FOLDER_PATH, 0755))
		return refused(err, FOLDER_PATH);
	covered = true;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	(void)st;
	(void)type;
	/* The folder itself stays. */
	return at->level && remove(path) ? -1 : 0;
}

/* What an earlier run kept here must not be found by this one's clients. */
static int empty(const char *keep, struct err *err)
{
	if (nftw(keep, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		return err_set(err, errno, "cannot empty the folder %s of an "
			       "earlier run: %s", keep, strerror(errno));
	return 0;
}

int folder_open(const char *keep, struct err *err)
{
	int ret = cover_machine(err);

	if (ret)
		return ret;
	if (!keep || !*keep) {
		if (mount("tmpfs", FOLDER_PATH, "tmpfs", MS_NOSUID | MS_NODEV,
			  "mode=755"))
			return refused(err, FOLDER_PATH);
		return 0;
	}
	if (mkdir(keep, 0777) && errno != EEXIST)
		return err_set(err, errno, "cannot make the folder %s: %s",
			       keep, strerror(errno));
	ret = empty(keep, err);
	if (ret)
		return ret;
	if (mount(keep, FOLDER_PATH, NULL, MS_BIND, NULL))
		return err_set(err, errno, "cannot mount %s for the lab's real "
			       "clients: %s", keep, strerror(errno));
	return 0;
}

void folder_close(void)
{
	umount2(FOLDER_PATH, MNT_DETACH);
}

void folder_end_processes(void)
{
	/* Anybody else would end the whole machine. */
	if (getpid() != 1)
		return;
	if (kill(-1, SIGKILL) && errno != ESRCH)
		return;
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
}
