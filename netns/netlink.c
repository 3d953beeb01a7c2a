/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

/* No message of natrig's own is longer. */
#define MESSAGE_ROOM_BYTES 4096

int netlink_open(struct netlink *nl, int protocol, struct err *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int on = 1, big = 1 << 20;

	nl->seq = 0;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (nl->fd < 0)
		return err_set(err, errno, "cannot open a netlink socket "
			       "(protocol %d): %s", protocol, strerror(errno));
	/* Refusals come with the kernel's own words; acks without an echo. */
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	/* A batch is one datagram: make room for it. */
	if (setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big)))
		setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	if (connect(nl->fd, (struct sockaddr *)&kernel, sizeof(kernel))) {
		int code = errno;

		netlink_close(nl);
		return err_set(err, code, "cannot bind a netlink socket: %s",
			       strerror(code));
	}
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

void netlink_batch_free(struct netlink_batch *batch)
{
	free(batch->data);
	free(batch->what);
	memset(batch, 0, sizeof(*batch));
}

static int batch_reserve(struct netlink_batch *batch)
{
	if (batch->used_bytes + MESSAGE_ROOM_BYTES > batch->room_bytes) {
		size_t room = batch->room_bytes * 2 + 4 * MESSAGE_ROOM_BYTES;
		unsigned char *data = realloc(batch->data, room);

		if (!data)
			return -ENOMEM;
		batch->data = data;
		batch->room_bytes = room;
	}
	if (batch->count == batch->what_room) {
		unsigned room = batch->what_room * 2 + 16;
		const char **what = realloc(batch->what, room * sizeof(*what));

		if (!what)
			return -ENOMEM;
		batch->what = what;
		batch->what_room = room;
	}
	return 0;
}

struct nlmsghdr *netlink_begin(struct netlink_batch *batch, const char *what,
			       uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh;

	if (!batch->error)
		batch->error = batch_reserve(batch);
	if (batch->error)
		return NULL;
	memset(batch->data + batch->used_bytes, 0, MESSAGE_ROOM_BYTES);
	nlh = mnl_nlmsg_put_header(batch->data + batch->used_bytes);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST);
	batch->last = nlh;
	batch->what[batch->count++] = what;
	return nlh;
}

void *netlink_extra(struct nlmsghdr *nlh, size_t bytes)
{
	return mnl_nlmsg_put_extra_header(nlh, bytes);
}

void netlink_end(struct netlink_batch *batch)
{
	if (batch->error)
		return;
	batch->used_bytes += MNL_ALIGN(batch->last->nlmsg_len);
	batch->last = NULL;
}

/* Numbers the messages; returns the first one's number. */
static uint32_t batch_number(struct netlink *nl, struct netlink_batch *batch,
			     uint16_t last_flags)
{
	uint32_t first = nl->seq + 1;
	size_t at = 0;

	while (at < batch->used_bytes) {
		struct nlmsghdr *nlh = (void *)(batch->data + at);

		nlh->nlmsg_seq = ++nl->seq;
		at += MNL_ALIGN(nlh->nlmsg_len);
		if (at >= batch->used_bytes)
			nlh->nlmsg_flags |= last_flags;
	}
	return first;
}

static void batch_empty(struct netlink_batch *batch)
{
	batch->used_bytes = 0;
	batch->count = 0;
	batch->error = 0;
}

/* The kernel's own words in an error message, or "". */
static const char *kernel_words(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *answer = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*answer);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += answer->msg.nlmsg_len - sizeof(answer->msg);
	mnl_attr_for_each(attr, nlh, skip)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			return mnl_attr_get_str(attr);
	return "";
}

/* The last message is answered: all is said. *FAILED keeps the first refusal. */
static bool read_answers(const struct netlink *nl, uint32_t first,
			 const struct netlink_batch *batch, const char *where,
			 int tolerate, const void *data, int bytes, int *failed,
			 struct err *err)
{
	const struct nlmsghdr *nlh = data;

	for (; mnl_nlmsg_ok(nlh, bytes); nlh = mnl_nlmsg_next(nlh, &bytes)) {
		const struct nlmsgerr *answer = mnl_nlmsg_get_payload(nlh);
		uint32_t index = nlh->nlmsg_seq - first;
		const char *words;

		if (nlh->nlmsg_type != NLMSG_ERROR || index >= batch->count)
			continue;
		if (answer->error && -answer->error != tolerate && !*failed) {
			words = kernel_words(nlh);
			*failed = err_set(err, -answer->error,
					  "%s: cannot %s: %s%s%s", where,
					  batch->what[index],
					  strerror(-answer->error),
					  *words ? ": " : "", words);
		}
		if (nlh->nlmsg_seq == nl->seq)
			return true;
	}
	return false;
}

int netlink_send(struct netlink *nl, struct netlink_batch *batch,
		 const char *where, int tolerate, struct err *err)
{
	static _Thread_local unsigned char answer[32768];
	bool done = false;
	int failed = 0;
	uint32_t first;
	ssize_t bytes;

	if (batch->error) {
		batch_empty(batch);
		return err_set(err, ENOMEM, "%s: out of memory for netlink "
			       "messages", where);
	}
	if (!batch->count)
		return 0;
	first = batch_number(nl, batch, NLM_F_ACK);
	if (send(nl->fd, batch->data, batch->used_bytes, 0) < 0) {
		failed = err_set(err, errno, "%s: cannot send %zu bytes of "
				 "netlink: %s", where, batch->used_bytes,
				 strerror(errno));
		done = true;
	}
	/* A refused message in the middle does not stop the rest: read all. */
	while (!done) {
		bytes = recv(nl->fd, answer, sizeof(answer), 0);
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0) {
			failed = err_set(err, errno, "%s: no netlink answer: "
					 "%s", where, strerror(errno));
			break;
		}
		done = read_answers(nl, first, batch, where, tolerate, answer,
				    (int)bytes, &failed, err);
	}
	batch_empty(batch);
	return failed;
}

int netlink_dump(struct netlink *nl, struct netlink_batch *batch,
		 int (*each)(const struct nlmsghdr *nlh, void *arg), void *arg,
		 const char *where, struct err *err)
{
	static _Thread_local unsigned char answer[65536];
	const char *what = batch->count ? batch->what[0] : "dump";
	ssize_t bytes;
	int run = MNL_CB_OK;

	if (batch->error || batch->count != 1) {
		batch_empty(batch);
		return err_set(err, ENOMEM, "%s: cannot %s", where, what);
	}
	batch_number(nl, batch, NLM_F_DUMP);
	if (send(nl->fd, batch->data, batch->used_bytes, 0) < 0)
		run = MNL_CB_ERROR;
	batch_empty(batch);
	while (run > MNL_CB_STOP) {
		bytes = recv(nl->fd, answer, sizeof(answer), 0);
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			run = MNL_CB_ERROR;
		else
			run = mnl_cb_run(answer, (size_t)bytes, nl->seq, 0,
					 each, arg);
	}
	if (run == MNL_CB_ERROR)
		return err_set(err, errno, "%s: cannot %s: %s", where, what,
			       strerror(errno));
	return 0;
}
