/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver: the thin shell of I/O around the sans-I/O machines of a lab. It owns
 * their sockets, libnet contexts and timers, hears through the recorder, and
 * runs everything in one event loop and one thread.
 *
 *   driver_new -> driver_run_until ... -> driver_free
 *
 * The scenario, lab, recorder and clock outlive the driver.
 *
 * Whenever nothing is in flight (see driver_quiet), driver_run_until goes on
 * to the nearest deadline: with `skip` set it jumps the lab clock there and
 * ages the lab by as much, else it waits.
 */
#ifndef NATRIG_HARNESS_DRIVER_H
#define NATRIG_HARNESS_DRIVER_H

#include "captures/recorder.h"
#include "harness/scenario.h"

struct driver;

struct driver_config {
	const struct scenario *scenario;
	struct lab *lab;
	struct recorder *recorder;
	struct clock *clock;
	int interrupt_fd; /* readable: stop with -EINTR; -1: none */
	bool skip; /* not in a lab with real clients */
	const char *folder; /* real clients' files are kept there; NULL: not */
	/* Called about ten times a real second while it waits; may be NULL. */
	void (*progress)(void *arg);
	void *progress_arg;
};

int driver_new(const struct driver_config *config, struct driver **driver,
	       struct err *err);
void driver_free(struct driver *d); /* NULL is legal */

typedef bool driver_condition(void *arg, uint64_t now_us);

/*
 * Runs the lab until CONDITION (may be NULL) says true or lab time is
 * UNTIL_US. 1: the condition holds; 0: time is over; -EINTR: interrupted;
 * -EREMOTEIO: a real client failed; another negative errno: something of the
 * lab broke; err says what.
 */
int driver_run_until(struct driver *d, uint64_t until_us,
		     driver_condition *condition, void *arg, struct err *err);

/* The same until everything in flight has arrived, LIMIT_US at most. */
int driver_settle(struct driver *d, uint64_t limit_us, struct err *err);

/*
 * Lab time as the machines know it: it stands still while anything is under
 * way, then goes on to the next deadline.
 */
uint64_t driver_now_us(const struct driver *d);

/* Lab time as frames are recorded now: later, by what has been under way. */
uint64_t driver_recorded_us(const struct driver *d);

/*
 * Serves the lab for REAL_US at most while something of the real world is
 * waited for, such as a daemon that starts. Lab time stands still.
 */
int driver_stand(struct driver *d, uint64_t real_us, struct err *err);

/*
 * Waits until the servers that real clients bring are serving. Nothing to do
 * in a lab of models.
 */
int driver_serve(struct driver *d, struct err *err);

/* Of the client on plan node NODE, be it the model or a real one. */
bool driver_running(struct driver *d, unsigned node);
bool driver_settled(struct driver *d, unsigned node);
/* Its ping under way, or the last one; NULL: it has none. */
const struct client_ping *driver_echoes(struct driver *d, unsigned node);
const struct client_netcheck *driver_report(struct driver *d, unsigned node);
bool driver_is_real(const struct driver *d);

int driver_start(struct driver *d, unsigned node, struct err *err);
int driver_stop(struct driver *d, unsigned node, struct err *err);
int driver_netcheck(struct driver *d, unsigned node, struct err *err);
int driver_ping(struct driver *d, unsigned node, const char *peer,
		enum client_ping_kind kind, struct err *err);
void driver_ping_stop(struct driver *d, unsigned node);
/* Tells the client on NODE that its link has come up again. */
int driver_link_up(struct driver *d, unsigned node, struct err *err);
/* A crafted packet from the host; errors of the network are errors here. */
int driver_send(struct driver *d, unsigned node, struct endpoint src,
		struct endpoint dst, uint8_t ttl, const void *payload,
		size_t payload_bytes, struct err *err);

#endif
