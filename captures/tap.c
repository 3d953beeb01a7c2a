/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/tap.h"

#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* libpcap keeps a few error texts and paths on the stack, no more. */
#define STACK_BYTES (128 * 1024)

/*
 * How many handles are being closed by threads that nobody joins. It is the
 * one mutable global here, since these threads outlive the recorder they come
 * from: only the process can wait for them.
 */
static pthread_mutex_t closing_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closing_none = PTHREAD_COND_INITIALIZER;
static size_t closing_count;

/* Asks with the handle's own socket: it belongs to the right namespace. */
static int tap_ioctl(const struct tap *tap, unsigned long request,
		     struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, tap->vantage.interface,
	       strnlen(tap->vantage.interface, IFNAMSIZ - 1));
	return ioctl(tap->fd, request, ifr);
}

int tap_lost(const struct tap *tap, struct err *err)
{
	struct ifreq ifr;

	if (tap_ioctl(tap, SIOCGIFFLAGS, &ifr) < 0 && errno == ENODEV)
		return 0;
	/* libpcap 1.10.3 waits here itself; not all versions do. */
	if (!(ifr.ifr_flags & IFF_UP))
		return 0;
	return err_set(err, EIO, "%s: cannot read from %s: %s",
		       tap->vantage.name, tap->vantage.interface,
		       pcap_geterr(tap->pcap));
}

static int open_failed(struct tap *tap, int status)
{
	const char *why = pcap_geterr(tap->pcap);
	int code = EIO;

	if (status == PCAP_ERROR_NO_SUCH_DEVICE)
		code = ENODEV;
	else if (status == PCAP_ERROR_IFACE_NOT_UP)
		code = ENETDOWN;
	else if (status == PCAP_ERROR_PERM_DENIED)
		code = EPERM;
	return err_set(&tap->err, code, "%s: cannot record at %s: %s%s%s",
		       tap->vantage.name, tap->vantage.interface,
		       pcap_statustostr(status), *why ? ": " : "", why);
}

static void learn_mac(struct tap *tap)
{
	static const uint8_t none[sizeof(tap->vantage.mac)];
	struct ifreq ifr;

	if (tap->vantage.link == DLT_EN10MB &&
	    !memcmp(tap->vantage.mac, none, sizeof(none)) &&
	    !tap_ioctl(tap, SIOCGIFHWADDR, &ifr))
		memcpy(tap->vantage.mac, ifr.ifr_hwaddr.sa_data, sizeof(none));
}

static int tap_activate(struct tap *tap)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	int status;

	tap->pcap = pcap_create(tap->vantage.interface, text);
	if (!tap->pcap)
		return err_set(&tap->err, EIO, "%s: %s", tap->vantage.name,
			       text);
	pcap_set_snaplen(tap->pcap, TAP_SNAPLEN_BYTES);
	pcap_set_promisc(tap->pcap, 0);
	/* Also chooses the kernel's older ring, whose memory is the slots'. */
	pcap_set_immediate_mode(tap->pcap, 1);
	pcap_set_tstamp_precision(tap->pcap, PCAP_TSTAMP_PRECISION_NANO);
	pcap_set_buffer_size(tap->pcap, tap->ring_bytes);
	status = pcap_activate(tap->pcap);
	if (status < 0)
		return open_failed(tap, status);
	if (pcap_setnonblock(tap->pcap, 1, text) < 0)
		return err_set(&tap->err, EIO, "%s: %s", tap->vantage.name,
			       text);
	tap->fd = pcap_get_selectable_fd(tap->pcap);
	tap->vantage.link = pcap_datalink(tap->pcap);
	learn_mac(tap);
	return 0;
}

static void *tap_open(void *arg)
{
	struct tap *tap = arg;

	/* Moves this thread alone, and it ends when the handle is open. */
	if (setns(tap->ns_fd, CLONE_NEWNET) < 0)
		tap->code = err_set(&tap->err, errno,
				    "%s: cannot enter its namespace: %s",
				    tap->vantage.name, strerror(errno));
	else
		tap->code = tap_activate(tap);
	if (tap->code && tap->pcap) {
		pcap_close(tap->pcap);
		tap->pcap = NULL;
	}
	return NULL;
}

static void *tap_close(void *arg)
{
	pcap_close(arg);
	return NULL;
}

static void *tap_close_behind(void *arg)
{
	pcap_close(arg);
	pthread_mutex_lock(&closing_lock);
	if (!--closing_count)
		pthread_cond_broadcast(&closing_none);
	pthread_mutex_unlock(&closing_lock);
	return NULL;
}

/* The threads take no signals: those are for the program's own. */
static int thread_start(pthread_t *thread, void *(*run)(void *), void *arg,
			bool detached)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int code;

	code = pthread_attr_init(&attr);
	if (code)
		return code;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (detached)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return code;
}

int taps_open(struct tap *taps, size_t count, struct err *err)
{
	pthread_t *threads = calloc(count ? count : 1, sizeof(*threads));
	size_t started = 0;
	int code = 0, rc = 0;

	if (!threads)
		return err_set(err, ENOMEM, "out of memory");
	while (started < count && !code) {
		code = thread_start(&threads[started], tap_open, &taps[started],
				    false);
		started += !code;
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	if (code)
		rc = err_set(err, code, "cannot start a thread: %s",
			     strerror(code));
	for (size_t i = 0; i < started && !rc; i++)
		if (taps[i].code)
			rc = err_set(err, -taps[i].code, "%s",
				     taps[i].err.text);
	if (rc)
		taps_close(taps, count);
	return rc;
}

void taps_close(struct tap *taps, size_t count)
{
	pthread_t *threads = calloc(count ? count : 1, sizeof(*threads));
	bool *started = calloc(count ? count : 1, sizeof(*started));

	for (size_t i = 0; i < count; i++) {
		if (!taps[i].pcap)
			continue;
		/* Where there is no thread to be had it is merely slower. */
		if (threads && started)
			started[i] = !thread_start(&threads[i], tap_close,
						   taps[i].pcap, false);
		if (!threads || !started || !started[i])
			pcap_close(taps[i].pcap);
		taps[i].pcap = NULL;
	}
	for (size_t i = 0; i < count && threads && started; i++)
		if (started[i])
			pthread_join(threads[i], NULL);
	free(threads);
	free(started);
}

void taps_close_behind(struct tap *taps, size_t count)
{
	pthread_t thread;

	for (size_t i = 0; i < count; i++) {
		if (!taps[i].pcap)
			continue;
		pthread_mutex_lock(&closing_lock);
		closing_count++;
		pthread_mutex_unlock(&closing_lock);
		if (thread_start(&thread, tap_close_behind, taps[i].pcap, true))
			tap_close_behind(taps[i].pcap);
		taps[i].pcap = NULL;
	}
}

void taps_wait_closed(void)
{
	pthread_mutex_lock(&closing_lock);
	while (closing_count)
		pthread_cond_wait(&closing_none, &closing_lock);
	pthread_mutex_unlock(&closing_lock);
}
