/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/upnp.h"

#include "netns/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/*
 * libminiupnpc gives each connect 3 s and each read 5 s, but a gateway that
 * sends a byte now and then keeps it for ever, and its sockets are not to be
 * had. So each request has an end of its own, kept by the kernel in a timer,
 * and a thread that is late is cancelled. That leaks the few KiB of the
 * library's buffers, and nothing else: descriptors are the thread's own (see
 * keep_to_oneself), and all that it blocks in are cancellation points.
 */
#define HANGS_S 20
/* What took so long was not refused: nobody came to it. */
#define LONG_WAIT_US 2000000
/* What a request still has when everything is to end: SOAP takes a few ms. */
static const int farewell_ms = 1000;

struct upnp_job {
	struct upnp_job *next;
	unsigned tag;
	int ns_fd;
	int timer_fd;
	int event_fd; /* the worker's own */
	pthread_t thread;
	unsigned patience_s;
	struct upnp_request request;
	/* The thread's until done is set, then the worker's. */
	struct upnp_answer answer;
	atomic_bool done;
};

struct upnp_worker {
	int epoll_fd; /* of event_fd and each job's timer_fd */
	int event_fd;
	struct upnp_job *jobs; /* oldest first */
	unsigned busy;
	unsigned patience_s;
};

/* --- in the thread ------------------------------------------------------- */

/*
 * The library complains on stderr, which is not its to write on, and a thread
 * that hangs must not keep the lab's namespaces and sockets open. A file table
 * of its own solves both. Where that is not to be had, noise is all that comes
 * of it.
 */
static void keep_to_oneself(int event_fd)
{
	unsigned keep = (unsigned)event_fd;
	int null_fd;

	if (unshare(CLONE_FILES) < 0)
		return;
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null_fd >= 0)
		dup2(null_fd, STDERR_FILENO);
	if (keep > 3)
		close_range(3, keep - 1, 0);
	close_range(keep + 1, ~0u, 0);
}

/* UPnP's own codes are positive; the library's become a negative errno. */
static int error_of(int result)
{
	if (result >= 0)
		return result;
	switch (result) {
	case UPNPCOMMAND_INVALID_ARGS:
		return -EINVAL;
	case UPNPCOMMAND_HTTP_ERROR:
		return -EIO;
	case UPNPCOMMAND_MEM_ALLOC_ERROR:
		return -ENOMEM;
	default:
		return -EPROTO;
	}
}

static int map(const struct UPNPUrls *urls, const struct IGDdatas *data,
	       const char *lan_ip, const struct upnp_request *request,
	       struct upnp_answer *answer)
{
	char internal[8], external[8], lease[16], external_ip[16] = "";
	struct endpoint seen = {0};
	int ret;

	ret = UPNP_GetExternalIPAddress(urls->controlURL,
					data->first.servicetype, external_ip);
	if (ret != UPNPCOMMAND_SUCCESS)
		return error_of(ret);
	if (endpoint_parse(external_ip, &seen) < 0 || !seen.ip)
		return -EADDRNOTAVAIL;
	answer->external_ip = seen.ip;
	snprintf(internal, sizeof(internal), "%u", request->internal_port);
	snprintf(external, sizeof(external), "%u", answer->external_port);
	snprintf(lease, sizeof(lease), "%u", request->lease_s);
	ret = UPNP_AddPortMapping(urls->controlURL, data->first.servicetype,
				  external, internal, lan_ip, "natrig", "UDP",
				  NULL, lease);
	return error_of(ret);
}

static int unmap(const struct UPNPUrls *urls, const struct IGDdatas *data,
		 const struct upnp_answer *answer)
{
	char external[8];

	snprintf(external, sizeof(external), "%u", answer->external_port);
	return error_of(UPNP_DeletePortMapping(urls->controlURL,
					       data->first.servicetype,
					       external, "UDP", NULL));
}

static int ask_gateway(const struct upnp_request *request,
		       struct upnp_answer *answer)
{
	struct UPNPUrls urls = {0};
	struct IGDdatas data = {0};
	char lan_ip[64] = "";
	int ret;

	if (!UPNP_GetIGDFromUrl(request->url, &urls, &data, lan_ip,
				sizeof(lan_ip)))
		return -EHOSTUNREACH;
	if (!data.first.servicetype[0] || !urls.controlURL)
		ret = -ENOPROTOOPT;
	else if (request->op == UPNP_MAP)
		ret = map(&urls, &data, lan_ip, request, answer);
	else
		ret = unmap(&urls, &data, answer);
	FreeUPNPUrls(&urls);
	return ret;
}

/*
 * The library waits 5 s for an answer. A daemon that is held up for longer (the
 * kernel has one lock for the links of all namespaces, and clearing labs away
 * takes it) has the same question again when it comes to it.
 */
static int ask_patiently(const struct upnp_request *request,
			 unsigned patience_s, struct upnp_answer *answer)
{
	uint64_t now_us = clock_real_us(), asked_us;
	uint64_t until_us = now_us + patience_s * 1000000ULL;
	int ret;

	do {
		asked_us = now_us;
		ret = ask_gateway(request, answer);
		now_us = clock_real_us();
	} while ((ret == -EIO || ret == -EPROTO || ret == -EHOSTUNREACH) &&
		 now_us - asked_us >= LONG_WAIT_US && now_us < until_us);
	return ret;
}

static void *job_run(void *arg)
{
	struct upnp_job *job = arg;
	uint64_t one = 1;

	if (setns(job->ns_fd, CLONE_NEWNET) < 0)
		job->answer.error = -errno;
	keep_to_oneself(job->event_fd);
	if (!job->answer.error)
		job->answer.error =
			ask_patiently(&job->request, job->patience_s,
				      &job->answer);
	/* From here on the job is the worker's. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	atomic_store(&job->done, true);
	if (write(job->event_fd, &one, sizeof(one)) < 0)
		return NULL; /* a full counter is readable, too */
	return NULL;
}

/* --- the worker ---------------------------------------------------------- */

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

struct upnp_worker *upnp_worker_new(unsigned patience_s)
{
	struct upnp_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->patience_s = patience_s;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->event_fd < 0 || w->epoll_fd < 0 ||
	    watch(w->epoll_fd, w->event_fd) < 0) {
		upnp_worker_free(w);
		return NULL;
	}
	return w;
}

static void job_destroy(struct upnp_job *job)
{
	if (job->ns_fd >= 0)
		close(job->ns_fd);
	if (job->timer_fd >= 0)
		close(job->timer_fd);
	free(job);
}

/* Ends the thread, now where it has not ended by itself. */
static void job_join(struct upnp_job *job)
{
	if (!atomic_load(&job->done))
		pthread_cancel(job->thread);
	pthread_join(job->thread, NULL);
	if (!atomic_load(&job->done))
		job->answer.error = -ETIMEDOUT;
}

static bool all_done(const struct upnp_worker *w)
{
	for (const struct upnp_job *job = w->jobs; job; job = job->next)
		if (!atomic_load(&job->done))
			return false;
	return true;
}

void upnp_worker_free(struct upnp_worker *w)
{
	struct pollfd event = {.events = POLLIN};
	uint64_t ignored;

	if (!w)
		return;
	event.fd = w->event_fd;
	while (!all_done(w) && poll(&event, 1, farewell_ms) > 0)
		if (read(w->event_fd, &ignored, sizeof(ignored)) < 0)
			break;
	while (w->jobs) {
		struct upnp_job *job = w->jobs;

		w->jobs = job->next;
		job_join(job);
		job_destroy(job);
	}
	if (w->event_fd >= 0)
		close(w->event_fd);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	free(w);
}

int upnp_worker_fd(const struct upnp_worker *w)
{
	return w->epoll_fd;
}

unsigned upnp_worker_busy(const struct upnp_worker *w)
{
	return w->busy;
}

/*
 * Gateways name themselves by address. A host name would be looked up by the
 * resolver of the machine, which has no business in a lab.
 */
static bool url_valid(const char *url)
{
	char host[ENDPOINT_TEXT_BYTES];
	struct endpoint ignored;

	return sscanf(url, "http://%21[0-9.:]/", host) == 1 &&
	       url[strlen("http://") + strlen(host)] == '/' &&
	       endpoint_parse(host, &ignored) == 0;
}

/* Signals are the program's business: none is delivered to the thread. */
static int thread_start(struct upnp_job *job)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&job->thread, NULL, job_run, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

static int job_start(struct upnp_worker *w, struct upnp_job *job, int ns_fd,
		     struct err *err)
{
	const struct itimerspec end = {
		.it_value.tv_sec = (time_t)w->patience_s + HANGS_S};
	int code;

	job->ns_fd = fcntl(ns_fd, F_DUPFD_CLOEXEC, 0);
	job->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (job->ns_fd < 0 || job->timer_fd < 0 ||
	    timerfd_settime(job->timer_fd, 0, &end, NULL) < 0 ||
	    watch(w->epoll_fd, job->timer_fd) < 0)
		return err_set(err, errno, "cannot ask by UPnP: %s",
			       strerror(errno));
	code = thread_start(job);
	if (code)
		return err_set(err, code, "no thread to ask by UPnP: %s",
			       strerror(code));
	return 0;
}

static void job_append(struct upnp_worker *w, struct upnp_job *job)
{
	struct upnp_job **end = &w->jobs;

	while (*end)
		end = &(*end)->next;
	*end = job;
	w->busy++;
}

int upnp_worker_ask(struct upnp_worker *w, int ns_fd, unsigned tag,
		    const struct upnp_request *request, struct err *err)
{
	struct upnp_job *job;
	int ret;

	if (!memchr(request->url, '\0', sizeof(request->url)) ||
	    !url_valid(request->url))
		return err_set(err, EINVAL,
			       "not the address of a gateway's description: "
			       "\"%.*s\" (wanted: http://IP:PORT/...)",
			       (int)sizeof(request->url), request->url);
	job = calloc(1, sizeof(*job));
	if (!job)
		return err_set(err, ENOMEM, "out of memory");
	job->tag = tag;
	job->ns_fd = job->timer_fd = -1;
	job->event_fd = w->event_fd;
	job->request = *request;
	job->patience_s = w->patience_s;
	job->answer.op = request->op;
	job->answer.lease_s = request->lease_s;
	job->answer.external_port = request->external_port
					    ? request->external_port
					    : request->internal_port;
	ret = job_start(w, job, ns_fd, err);
	if (ret < 0) {
		job_destroy(job);
		return ret;
	}
	job_append(w, job);
	return 0;
}

static bool job_over(const struct upnp_job *job)
{
	struct pollfd timer = {.fd = job->timer_fd, .events = POLLIN};

	return atomic_load(&job->done) || poll(&timer, 1, 0) > 0;
}

/* The oldest job that has its answer or is late, off the list; or NULL. */
static struct upnp_job *take_over(struct upnp_worker *w)
{
	for (struct upnp_job **at = &w->jobs; *at; at = &(*at)->next) {
		struct upnp_job *job = *at;

		if (!job_over(job))
			continue;
		*at = job->next;
		w->busy--;
		return job;
	}
	return NULL;
}

bool upnp_worker_answer(struct upnp_worker *w, unsigned *tag,
			struct upnp_answer *answer)
{
	struct upnp_job *job = take_over(w);
	uint64_t ignored;

	/*
	 * The descriptor stays readable until nothing is left, and a job that
	 * ends after the first look and before the read is not forgotten.
	 */
	if (!job && read(w->event_fd, &ignored, sizeof(ignored)) > 0)
		job = take_over(w);
	if (!job)
		return false;
	job_join(job);
	*tag = job->tag;
	*answer = job->answer;
	job_destroy(job);
	return true;
}
