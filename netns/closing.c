/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/closing.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct closing {
	unsigned count, room;
	int fds[];
};

void closing_add(struct closing **c, int fd)
{
	unsigned count = *c ? (*c)->count : 0;
	unsigned room = *c ? (*c)->room : 0;
	struct closing *bigger = *c;

	if (fd < 0)
		return;
	if (count == room) {
		room = room * 2 + 16;
		bigger = realloc(*c, sizeof(**c) + room * sizeof(int));
		if (!bigger) {
			close(fd);
			return;
		}
		*c = bigger;
		bigger->count = count;
		bigger->room = room;
	}
	bigger->fds[bigger->count++] = fd;
}

static void *close_all(void *arg)
{
	struct closing *c = arg;

	for (unsigned i = 0; i < c->count; i++)
		close(c->fds[i]);
	free(c);
	return NULL;
}

void closing_start(struct closing *c)
{
	pthread_t thread;

	if (!c)
		return;
	if (pthread_create(&thread, NULL, close_all, c))
		close_all(c);
	else
		pthread_detach(thread);
}
