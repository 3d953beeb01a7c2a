/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the driver share; for nobody else. */
#ifndef NATRIG_HARNESS_DRIVER_PRIVATE_H
#define NATRIG_HARNESS_DRIVER_PRIVATE_H

#include "harness/conn.h"
#include "harness/driver.h"
#include "harness/raw.h"
#include "harness/server.h"
#include "harness/upnp.h"

enum actor_kind {
	ACTOR_CLIENT,
	ACTOR_STUN,
	ACTOR_RELAY,
	ACTOR_CONTROL,
	ACTOR_REAL,	  /* a real client on a host */
	ACTOR_REAL_SERVER /* what it brings for a server's node */
};

struct actor;

/* What epoll hands back: which descriptor of which actor. */
enum watch_kind {
	WATCH_RECORDER,
	WATCH_INTERRUPT,
	WATCH_UPNP,
	WATCH_LAB, /* packets for routers with an engine */
	WATCH_LISTENER,
	WATCH_UDP,
	WATCH_CONN,
	WATCH_ADAPTER /* words of a real client */
};

struct watch {
	enum watch_kind kind;
	struct actor *actor;
	struct conn *conn;
	int fd;
	uint16_t port; /* WATCH_UDP */
};

struct watched_conn {
	struct watch watch;
	struct conn *conn;
	bool dead;
	uint32_t events;
	struct watched_conn *next;
};

#define ACTOR_MAX_UDP 2
#define ACTOR_MAX_ASKING 64

struct actor {
	enum actor_kind kind;
	unsigned node;	/* in the plan */
	struct driver *driver;
	union {
		struct client *client;
		struct relay *relay;
		struct control *control;
		struct stun_server_config stun;
		struct real *real; /* ACTOR_REAL, ACTOR_REAL_SERVER */
	};
	/* A client's: bound and never read, so that the kernel holds them and
	 * answers nothing with port-unreachable. A STUN server's: its ports. */
	struct watch udp[ACTOR_MAX_UDP];
	unsigned udp_count;
	struct watch listener; /* relay, control */
	int raw_fd;	       /* client: its raw socket */
	uint16_t ip_id;
	struct upnp_request question; /* of a client, while it is in asking */
	struct watched_conn *conns;
	uint32_t next_stream; /* for accepted ones */
};

struct driver {
	struct driver_config config;
	int epoll_fd;
	struct actor *actors;
	unsigned actor_count;
	int *actor_of_vantage; /* index into actors; -1: nobody listens */
	unsigned vantage_count;
	struct upnp_worker *upnp;
	/*
	 * What gateways are to be asked, one question a node at most. A thread
	 * does it, so it waits until all else of the instant has come to rest:
	 * which of two packets goes first must not be the machine's choice.
	 */
	struct actor *asking[ACTOR_MAX_ASKING];
	unsigned asking_count;
	struct raw *raw; /* crafts for all clients */
	struct watch watch_recorder, watch_interrupt, watch_upnp, watch_lab;
	struct actions actions;
	uint64_t instant_us; /* lab time, as the machines know it */
	uint64_t turned_us, restless_us; /* real time, see bound_instant */
	unsigned held_up; /* times that was too long for the kernel's sake */
	uint64_t heard_us; /* lab time of the input in hand */
	uint64_t progress_real_us;
	struct reals *reals; /* NULL: a lab of model clients only */
	int broken; /* first fatal error of a callback */
	struct err broken_err;
};

/* driver_actor.c: one actor's sockets, inputs and actions. */
int actor_open(struct driver *d, struct actor *a, struct err *err);
void actor_close(struct actor *a);
/* A client's ports are held only while it runs, as a real one's are. */
int actor_hold_ports(struct actor *a, struct err *err);
void actor_release_ports(struct actor *a);
uint64_t actor_deadline(const struct actor *a);
void actor_on_timer(struct actor *a, uint64_t now_us);
void actor_on_watch(struct watch *w, uint32_t events, uint64_t now_us);
void actor_on_frame(struct actor *a, const struct frame *f, uint64_t now_us);
/* Carries out what is in d->actions for A, and empties it. */
void actor_act(struct actor *a);
/* Has its gateway asked what it wanted to ask. */
void actor_ask_gateway(struct actor *a);
/* Frees what was closed in this turn. */
void actor_sweep(struct actor *a);

/* driver_real.c: real clients, and the servers that they bring. */
struct reals;
struct real;
/* Nothing where the scenario's hosts run the model. */
int reals_open(struct driver *d, struct err *err);
void reals_close(struct driver *d);
/* Whether the real client brings the server (CLIENTS_*) itself. */
bool reals_serve(const struct driver *d, unsigned server);
int real_open(struct actor *a, struct err *err);
void real_close(struct actor *a);
void real_on_watch(struct actor *a, struct watch *w);
void real_on_frame(struct actor *a, const struct frame *f, uint64_t now_us);
int real_start(struct actor *a, struct err *err);
void real_stop(struct actor *a);
int real_ping(struct actor *a, const char *peer, enum client_ping_kind kind,
	      struct err *err);
void real_ping_stop(struct actor *a);
int real_netcheck(struct actor *a, struct err *err);
bool real_running(const struct actor *a);
bool real_ready(const struct actor *a); /* a server: it serves */
const struct client_ping *real_echoes(const struct actor *a);
const struct client_netcheck *real_report(const struct actor *a);

/* All frames that are there go to their actors; how many, or -errno. */
int driver_hear(struct driver *d, struct err *err);
struct actor *driver_actor(struct driver *d, unsigned node);
int driver_watch(struct driver *d, struct watch *w, uint32_t events);
/* Remembers the first fatal error; the loop stops with it. */
void driver_break(struct driver *d, int code, const struct err *err);

/* driver_quiet.c */
/*
 * True when no packet waits in the kernel between two namespaces and no helper
 * process or thread is at work. What has arrived by then is in a ring or a
 * socket: look there afterwards, and only if that is empty too may time be
 * skipped.
 */
bool driver_quiet(const struct driver *d);

#endif
