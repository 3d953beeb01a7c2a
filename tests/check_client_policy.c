/* SPDX-License-Identifier: BSD-3-Clause */
/* Each knob of a client's policy, with its twin; netcheck; life cycle. */
#include <check.h>
#include <string.h>

#include "tests/check_client_suites.h"
#include "tests/check_client_world.h"

#define DATA CLIENT_PING_DATA
#define NOWAY CLIENT_PATH_NONE
#define RELAY CLIENT_PATH_RELAY
#define DIRECT CLIENT_PATH_DIRECT

static struct world *w;

static void setup(void)
{
	w = world_new();
}

static void teardown(void)
{
	world_free(w);
}

static enum client_path ping(unsigned from, unsigned to, unsigned span_s,
			     bool until_direct)
{
	return world_ping(w, from, to, DATA, span_s * WORLD_S, until_direct);
}

static struct client_policy *policy_of(unsigned i)
{
	return &world_node(w, i)->config.policy;
}

static unsigned asked_gateway(unsigned i)
{
	return world_count(w, 0, i, WORLD_SSDP, -1) +
	       world_count(w, 0, i, WORLD_PMP, -1);
}

static void c_symmetric_upnp(bool blocked)
{
	world_node(w, C)->nat = WORLD_SYMMETRIC;
	world_node(w, C)->upnp = true;
	world_node(w, C)->relay_blocked = blocked;
}

/* h1: the mapping is made when C first sends. */
START_TEST(portmap_on_first_send)
{
	c_symmetric_upnp(true);
	policy_of(C)->portmap = CLIENT_ON_FIRST_SEND;
	world_start_all(w);
	ck_assert_uint_eq(asked_gateway(C), 0);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	ck_assert_uint_eq(asked_gateway(C), 0);
	ping(C, A, 5, false);
	ck_assert_uint_eq(asked_gateway(C), 2);
	ck_assert_uint_eq(world_node(w, C)->mapped_port, 41641);
	world_run(w, 60 * WORLD_S);
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
}
END_TEST

START_TEST(answers_are_no_first_send)
{
	c_symmetric_upnp(false);
	policy_of(C)->portmap = CLIENT_ON_FIRST_SEND;
	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 20, false), RELAY);
	world_run(w, 30 * WORLD_S);
	ck_assert_uint_eq(asked_gateway(C), 0);
}
END_TEST

START_TEST(portmap_never)
{
	c_symmetric_upnp(true);
	policy_of(C)->portmap = CLIENT_NEVER;
	world_start_all(w);
	ping(C, A, 5, false);
	ck_assert_uint_eq(asked_gateway(C), 0);
	ck_assert_int_eq(
		client_netcheck_report(world_node(w, C)->client)->portmap,
		CLIENT_PORTMAP_NONE);
}
END_TEST

START_TEST(no_gateway_no_portmap)
{
	world_node(w, C)->config.gateway_ip = 0;
	world_start_all(w);
	ck_assert_uint_eq(asked_gateway(C), 0);
}
END_TEST

/* h3: C's endpoints are told when C first sends. */
START_TEST(publish_on_first_send)
{
	size_t mark;

	c_symmetric_upnp(true);
	policy_of(C)->publish = CLIENT_ON_FIRST_SEND;
	world_start_all(w);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_PING, 0), 0);
	ping(C, A, 1, false);
	world_run(w, 60 * WORLD_S);
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
	ck_assert_uint_gt(world_count(w, mark, A, WORLD_PING, 0), 0);
}
END_TEST

START_TEST(publish_never)
{
	size_t mark;

	c_symmetric_upnp(true);
	policy_of(C)->publish = CLIENT_NEVER;
	world_start_all(w);
	ping(C, B, 1, false);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_PING, 0), 0);
}
END_TEST

/* A later change is told as well. */
START_TEST(control_delay)
{
	world_delay_control(w, 30 * WORLD_S);
	c_symmetric_upnp(true);
	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	world_run(w, 15 * WORLD_S);
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
}
END_TEST

START_TEST(learn_never)
{
	size_t mark;

	c_symmetric_upnp(true);
	policy_of(A)->learn = CLIENT_NEVER;
	world_start_all(w);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_PING, 0), 0);
	/* Keys and relay are learnt all the same. */
	ck_assert_uint_gt(world_count(w, mark, A, WORLD_INITIATION, 1), 1);
	ck_assert_int_eq(ping(A, B, 1, false), RELAY);
}
END_TEST

START_TEST(call_me_maybe_off)
{
	world_node(w, A)->nat = WORLD_FULL_CONE;
	world_node(w, C)->nat = WORLD_SYMMETRIC;
	policy_of(A)->call_me_maybe = false;
	world_start_all(w);
	/* Only the answers' own search for a path is left to C. */
	ck_assert_int_eq(
		world_ping(w, A, C, CLIENT_PING_DISCO, 20 * WORLD_S, true),
		RELAY);
	ck_assert_uint_eq(world_count(w, 0, A, WORLD_CALL, -1), 0);
}
END_TEST

START_TEST(call_me_maybe_not_heeded)
{
	world_node(w, A)->nat = WORLD_FULL_CONE;
	world_node(w, C)->nat = WORLD_SYMMETRIC;
	policy_of(C)->call_me_maybe = false;
	world_start_all(w);
	ck_assert_int_eq(
		world_ping(w, A, C, CLIENT_PING_DISCO, 20 * WORLD_S, true),
		RELAY);
	ck_assert_uint_gt(world_count(w, 0, A, WORLD_CALL, 1), 0);
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_PING, 0), 0);
}
END_TEST

START_TEST(relay_off)
{
	policy_of(C)->relay = false;
	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	ck_assert_int_eq(ping(C, A, 15, false), DIRECT);
	for (unsigned k = WORLD_OTHER; k <= WORLD_DATA; k++)
		ck_assert_uint_eq(world_count(w, 0, C, k, 1), 0);
}
END_TEST

/* A peer's home may be another relay: it is connected when needed. */
START_TEST(two_homes)
{
	world_second_relay(w, C);
	world_node(w, C)->nat = WORLD_SYMMETRIC;
	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 10, false), RELAY);
	ck_assert_uint_lt(world_reply_us(w), 200 * WORLD_MS);
	ck_assert_int_eq(ping(C, A, 10, false), RELAY);
}
END_TEST

/* --- netcheck ------------------------------------------------------------ */

static const struct client_netcheck *netcheck(unsigned i)
{
	struct world_node *n = world_node(w, i);

	client_netcheck(n->client, world_now(w), &n->out);
	ck_assert(!client_netcheck_report(n->client)->done ||
		  !n->config.stun_count);
	world_run(w, 6 * WORLD_S);
	ck_assert(client_netcheck_report(n->client)->done);
	return client_netcheck_report(n->client);
}

START_TEST(netcheck_varies)
{
	const struct client_netcheck *r;

	c_symmetric_upnp(false);
	world_start_all(w);
	r = netcheck(C);
	ck_assert_int_eq(r->mapping_varies, 1);
	ck_assert_int_eq(r->portmap, CLIENT_PORTMAP_UPNP);
	ck_assert_uint_eq(r->portmapped.ip, WORLD_WAN_IP(C));
	ck_assert_uint_eq(r->portmapped.port, 41641);
	r = netcheck(A);
	ck_assert_int_eq(r->mapping_varies, 0);
	ck_assert_int_eq(r->portmap, CLIENT_PORTMAP_NONE);
	ck_assert(r->udp);
	ck_assert_uint_eq(r->mapped.ip, WORLD_WAN_IP(A));
	ck_assert_uint_eq(r->mapped.port, 41641);
	ck_assert_uint_lt(r->finished_us - r->started_us, 300 * WORLD_MS);
}
END_TEST

START_TEST(netcheck_one_server)
{
	world_stuns(w, 1);
	world_start_all(w);
	ck_assert_int_eq(netcheck(A)->mapping_varies, -1);
	ck_assert(netcheck(A)->udp);
}
END_TEST

START_TEST(netcheck_no_server)
{
	world_stuns(w, 0);
	world_start_all(w);
	ck_assert_int_eq(netcheck(A)->mapping_varies, -1);
	ck_assert(!netcheck(A)->udp);
}
END_TEST

START_TEST(netcheck_blocked)
{
	const struct client_netcheck *r;
	size_t mark;

	world_node(w, A)->stun_blocked = true;
	world_start_all(w);
	mark = world_mark(w);
	r = netcheck(A);
	ck_assert(!r->udp);
	ck_assert_int_eq(r->mapping_varies, -1);
	ck_assert_uint_eq(r->finished_us - r->started_us, 3 * WORLD_S);
	/* Two servers, asked four times. */
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_STUN, 0), 8);
	ck_assert_uint_eq(world_nth(w, mark, A, WORLD_STUN, 2)->at_us,
			  r->started_us + 200 * WORLD_MS);
	ck_assert_uint_eq(world_nth(w, mark, A, WORLD_STUN, 4)->at_us,
			  r->started_us + 600 * WORLD_MS);
	ck_assert_uint_eq(world_nth(w, mark, A, WORLD_STUN, 6)->at_us,
			  r->started_us + 1400 * WORLD_MS);
}
END_TEST

/* Observing changes nothing: no mapping is asked for. */
START_TEST(netcheck_only_looks)
{
	unsigned before;

	world_start_all(w);
	before = asked_gateway(C);
	world_node(w, C)->upnp = true;
	ck_assert_int_eq(netcheck(C)->portmap, CLIENT_PORTMAP_NONE);
	ck_assert_uint_eq(asked_gateway(C), before);
}
END_TEST

/* --- life cycle ---------------------------------------------------------- */

START_TEST(stop_says_nothing)
{
	struct world_node *n = world_node(w, C);
	uint8_t node_key[32], disco_key[32];
	size_t mark;

	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 12, true), DIRECT);
	memcpy(node_key, client_node_key(n->client), 32);
	memcpy(disco_key, client_disco_key(n->client), 32);
	mark = world_mark(w);
	world_stop(w, C);
	ck_assert(!client_running(n->client));
	ck_assert(!client_settled(n->client, world_now(w)));
	ck_assert_uint_eq(client_deadline(n->client), ACTIONS_NEVER);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	for (unsigned k = WORLD_OTHER; k <= WORLD_SSDP; k++)
		ck_assert_uint_eq(world_count(w, mark, C, k, -1), 0);
	world_start(w, C);
	ck_assert_mem_eq(node_key, client_node_key(n->client), 32);
	ck_assert_mem_ne(disco_key, client_disco_key(n->client), 32);
}
END_TEST

/* After a restart the old session is dead on both sides, not on one. */
START_TEST(restart_heals)
{
	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 12, true), DIRECT);
	world_restart(w, C);
	world_run(w, 500 * WORLD_MS);
	ck_assert_int_ne(ping(A, C, 12, false), NOWAY);
	ck_assert_uint_lt(world_reply_us(w), 100 * WORLD_MS);
	world_restart(w, A);
	world_run(w, 500 * WORLD_MS);
	ck_assert_int_ne(ping(C, A, 12, false), NOWAY);
	ck_assert_uint_lt(world_reply_us(w), 100 * WORLD_MS);
}
END_TEST

/* h2: a mapping outlives its client, but not its router's reboot. */
START_TEST(mapping_outlives_client)
{
	c_symmetric_upnp(true);
	world_start_all(w);
	ping(C, A, 15, true);
	world_restart(w, C);
	world_restart(w, A);
	world_run(w, 2 * WORLD_S);
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
	world_run(w, 120 * WORLD_S);
	world_reboot_router(w, C, true);
	ck_assert_int_eq(ping(A, C, 15, false), NOWAY);
}
END_TEST

/* Field by field: what lies between them is nobody's. */
static void same_sent(const struct world_sent *a, const struct world_sent *b)
{
	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(a->at_us, b->at_us);
	ck_assert_uint_eq(a->node, b->node);
	ck_assert_int_eq(a->kind, b->kind);
	ck_assert_int_eq(a->relayed, b->relayed);
	ck_assert(endpoint_equal(a->dst, b->dst));
	ck_assert_uint_eq(a->size_bytes, b->size_bytes);
}

START_TEST(same_seed_same_run)
{
	struct world *other = world_new();

	world_start_all(w);
	world_start_all(other);
	ping(A, C, 30, false);
	world_run(w, 100 * WORLD_S);
	world_ping(other, A, C, DATA, 30 * WORLD_S, false);
	world_run(other, 100 * WORLD_S);
	ck_assert_uint_eq(world_mark(w), world_mark(other));
	for (unsigned n = 0; n < WORLD_NODES; n++)
		for (unsigned k = WORLD_STUN; k <= WORLD_SSDP; k++)
			for (unsigned i = 0; world_nth(w, 0, n, k, i); i++)
				same_sent(world_nth(w, 0, n, k, i),
					  world_nth(other, 0, n, k, i));
	world_free(other);
}
END_TEST

START_TEST(link_change)
{
	struct world_node *n = world_node(w, C);
	size_t mark;

	world_start_all(w);
	mark = world_mark(w);
	client_on_link_change(n->client, world_now(w), WORLD_NODE_IP(C),
			      WORLD_GATEWAY_IP(C), &n->out);
	world_run(w, 2 * WORLD_S);
	ck_assert_uint_ge(world_count(w, mark, C, WORLD_STUN, 0), 2);
	ck_assert_uint_eq(world_count(w, mark, C, WORLD_SSDP, 0), 1);
	ck_assert(client_settled(n->client, world_now(w)));
	ck_assert_int_eq(ping(A, C, 12, true), DIRECT);
}
END_TEST

/* Without control nothing new is learnt, and what is known still works. */
START_TEST(control_lost_and_found)
{
	world_node(w, B)->control_blocked = true;
	for (unsigned i = 0; i < WORLD_NODES; i++)
		world_start(w, i);
	world_run(w, 25 * WORLD_S);
	ck_assert(!client_settled(world_node(w, B)->client, world_now(w)));
	ck_assert_int_eq(ping(B, A, 3, false), NOWAY);
	world_node(w, B)->control_blocked = false;
	world_run(w, 16 * WORLD_S);
	ck_assert(client_settled(world_node(w, B)->client, world_now(w)));
	world_node(w, B)->control_blocked = true;
	ck_assert_int_eq(ping(B, A, 12, true), DIRECT);
}
END_TEST

START_TEST(relay_lost_and_found)
{
	unsigned before;

	world_node(w, A)->nat = WORLD_SYMMETRIC;
	world_node(w, C)->nat = WORLD_SYMMETRIC;
	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 12, false), RELAY);
	world_node(w, C)->relay_blocked = true;
	ck_assert_int_eq(ping(A, C, 12, false), NOWAY);
	/* Two minutes of silence, then attempts of 10 s, 5 s apart. */
	before = world_node(w, C)->connects;
	world_run(w, 100 * WORLD_S);
	ck_assert_uint_eq(world_node(w, C)->connects, before);
	world_run(w, 40 * WORLD_S);
	ck_assert_uint_gt(world_node(w, C)->connects, before);
	world_node(w, C)->relay_blocked = false;
	world_run(w, 16 * WORLD_S);
	ck_assert_int_eq(ping(A, C, 12, false), RELAY);
	ck_assert_uint_lt(world_reply_us(w), 200 * WORLD_MS);
}
END_TEST

START_TEST(settles_without_relay)
{
	struct world_node *n = world_node(w, C);

	n->relay_blocked = true;
	world_start(w, C);
	world_run(w, 900 * WORLD_MS);
	ck_assert(!client_settled(n->client, world_now(w)));
	world_run(w, 100 * WORLD_MS);
	ck_assert(client_settled(n->client, world_now(w)));
}
END_TEST

Suite *client_policy_suite(void)
{
	Suite *s = suite_create("client policy");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, portmap_on_first_send);
	tcase_add_test(t, answers_are_no_first_send);
	tcase_add_test(t, portmap_never);
	tcase_add_test(t, no_gateway_no_portmap);
	tcase_add_test(t, publish_on_first_send);
	tcase_add_test(t, publish_never);
	tcase_add_test(t, control_delay);
	tcase_add_test(t, learn_never);
	tcase_add_test(t, call_me_maybe_off);
	tcase_add_test(t, call_me_maybe_not_heeded);
	tcase_add_test(t, relay_off);
	tcase_add_test(t, two_homes);
	tcase_add_test(t, netcheck_varies);
	tcase_add_test(t, netcheck_one_server);
	tcase_add_test(t, netcheck_no_server);
	tcase_add_test(t, netcheck_blocked);
	tcase_add_test(t, netcheck_only_looks);
	tcase_add_test(t, stop_says_nothing);
	tcase_add_test(t, restart_heals);
	tcase_add_test(t, mapping_outlives_client);
	tcase_add_test(t, same_seed_same_run);
	tcase_add_test(t, link_change);
	tcase_add_test(t, control_lost_and_found);
	tcase_add_test(t, relay_lost_and_found);
	tcase_add_test(t, settles_without_relay);
	suite_add_tcase(s, t);
	return s;
}
