/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

/* No message of natrig's own is longer. */
#define MESSAGE_ROOM_BYTES 4096

int netlink_open(struct netlink *nl, int protocol, struct err *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const struct timeval patience = {.tv_sec = 10};
	int on = 1, big = 1 << 20;

	nl->seq = 0;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (nl->fd < 0)
		return err_set(err, errno, "cannot open a netlink socket "
			       "(protocol %d): %s", protocol, strerror(errno));
	/* Refusals come with the kernel's own words; acks without an echo. */
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	/* The kernel answers at once; a lost answer must not hang a lab. */
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
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

static bool is_batch_mark(const struct nlmsghdr *nlh)
{
	return nlh->nlmsg_type == NFNL_MSG_BATCH_BEGIN ||
	       nlh->nlmsg_type == NFNL_MSG_BATCH_END;
}

/* Numbers the messages from the socket's next number on; returns that. */
static uint32_t batch_number(struct netlink *nl, struct netlink_batch *batch)
{
	uint32_t first = nl->seq + 1;
	size_t at = 0;

	while (at < batch->used_bytes) {
		struct nlmsghdr *nlh = (void *)(batch->data + at);

		nlh->nlmsg_seq = ++nl->seq;
		at += MNL_ALIGN(nlh->nlmsg_len);
	}
	return first;
}

/*
 * Has the last message acknowledged (of an nftables batch, the last one in it:
 * older kernels do not answer its end mark); returns that one's number.
 */
static uint32_t batch_ask_ack(struct netlink_batch *batch)
{
	struct nlmsghdr *last = NULL;
	size_t at = 0;

	while (at < batch->used_bytes) {
		struct nlmsghdr *nlh = (void *)(batch->data + at);

		if (!last || !is_batch_mark(nlh))
			last = nlh;
		at += MNL_ALIGN(nlh->nlmsg_len);
	}
	last->nlmsg_flags |= NLM_F_ACK;
	return last->nlmsg_seq;
}

void netlink_drop(struct netlink_batch *batch)
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
	netlink_for_each_in(attr, nlh, skip)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			return mnl_attr_get_str(attr);
	return "";
}

struct answers {
	const struct netlink_batch *batch;
	const char *where;
	uint32_t first, last; /* numbers of the messages */
	int tolerate;
	int failed; /* the first refusal */
	bool done;
	int (*each)(const struct nlmsghdr *nlh, void *arg); /* or NULL */
	void *arg;
};

static void read_answers(struct answers *a, const void *data, int bytes,
			 struct err *err)
{
	const struct nlmsghdr *nlh = data;

	for (; mnl_nlmsg_ok(nlh, bytes); nlh = mnl_nlmsg_next(nlh, &bytes)) {
		const struct nlmsgerr *answer = mnl_nlmsg_get_payload(nlh);
		uint32_t index = nlh->nlmsg_seq - a->first;
		const char *words;

		if (index >= a->batch->count)
			continue;
		if (nlh->nlmsg_type >= NLMSG_MIN_TYPE && a->each &&
		    a->each(nlh, a->arg) == MNL_CB_ERROR && !a->failed)
			a->failed = err_set(err, errno, "%s: cannot %s: %s",
					    a->where, a->batch->what[index],
					    strerror(errno));
		if (nlh->nlmsg_type != NLMSG_ERROR)
			continue;
		if (answer->error && -answer->error != a->tolerate &&
		    !a->failed) {
			words = kernel_words(nlh);
			a->failed = err_set(err, -answer->error,
					    "%s: cannot %s: %s%s%s", a->where,
					    a->batch->what[index],
					    strerror(-answer->error),
					    *words ? ": " : "", words);
		}
		/* A batch that may not even begin has no other answer. */
		if (nlh->nlmsg_seq == a->last ||
		    (answer->error && is_batch_mark(&answer->msg)))
			a->done = true;
	}
}

int netlink_send(struct netlink *nl, struct netlink_batch *batch,
		 const char *where, int tolerate, struct err *err)
{
	return netlink_ask(nl, batch, NULL, NULL, where, tolerate, err);
}

int netlink_ask(struct netlink *nl, struct netlink_batch *batch,
		int (*each)(const struct nlmsghdr *nlh, void *arg), void *arg,
		const char *where, int tolerate, struct err *err)
{
	static _Thread_local _Alignas(8) unsigned char data[32768];
	struct answers a = {.batch = batch, .where = where,
			    .tolerate = tolerate, .each = each, .arg = arg};
	ssize_t bytes;

	if (batch->error) {
		netlink_drop(batch);
		return err_set(err, ENOMEM, "%s: out of memory for netlink "
			       "messages", where);
	}
	if (!batch->count)
		return 0;
	a.first = batch_number(nl, batch);
	a.last = batch_ask_ack(batch);
	if (send(nl->fd, batch->data, batch->used_bytes, 0) < 0) {
		a.failed = err_set(err, errno, "%s: cannot send %zu bytes of "
				   "netlink: %s", where, batch->used_bytes,
				   strerror(errno));
		a.done = true;
	}
	/* A refused message in the middle does not stop the rest: read all. */
	while (!a.done) {
		bytes = recv(nl->fd, data, sizeof(data), 0);
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0) {
			a.failed = err_set(err, errno, "%s: no netlink answer: "
					   "%s", where, strerror(errno));
			break;
		}
		read_answers(&a, data, (int)bytes, err);
	}
	netlink_drop(batch);
	return a.failed;
}

int netlink_dump(struct netlink *nl, struct netlink_batch *batch,
		 int (*each)(const struct nlmsghdr *nlh, void *arg), void *arg,
		 const char *where, struct err *err)
{
	static _Thread_local _Alignas(8) unsigned char answer[65536];
	const char *what = batch->count ? batch->what[0] : "dump";
	ssize_t bytes;
	int run = MNL_CB_OK;

	if (batch->error || batch->count != 1) {
		netlink_drop(batch);
		return err_set(err, ENOMEM, "%s: cannot %s", where, what);
	}
	((struct nlmsghdr *)(void *)batch->data)->nlmsg_flags |= NLM_F_DUMP;
	batch_number(nl, batch);
	if (send(nl->fd, batch->data, batch->used_bytes, 0) < 0)
		run = MNL_CB_ERROR;
	netlink_drop(batch);
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
