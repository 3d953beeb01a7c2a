/* SPDX-License-Identifier: BSD-3-Clause */
/* What scenarios become: nodes, hosts, servers, steps, statements. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/check_scenario_suites.h"

START_TEST(example_nodes)
{
	static const char *const names[] = {"home-a", "edge-c", "a",
					    "c",      "stun1",	"stun2",
					    "control", "relay"};

	parse_good(example);
	ck_assert_str_eq(s->title, "A reaches C only after C pings A, while "
				   "the relay is blocked");
	ck_assert_str_eq(s->source, "field report");
	ck_assert_str_eq(s->file, "t.yaml");
	ck_assert_uint_eq(s->seed, 1);
	ck_assert_uint_eq(s->plan.count, 8);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_str_eq(s->plan.nodes[i].name, names[i]);
	ck_assert_int_eq(s->plan.nodes[0].kind, LAB_ROUTER);
	ck_assert_int_eq(s->plan.nodes[0].router, -1);
	ck_assert_int_eq(s->plan.nodes[0].nat.filtering, NAT_EIF);
	ck_assert_int_eq(s->plan.nodes[1].nat.mapping, NAT_APDM);
	ck_assert_int_eq(s->plan.nodes[2].kind, LAB_HOST);
	ck_assert_int_eq(s->plan.nodes[2].router, 0);
	ck_assert_int_eq(s->plan.nodes[3].router, 1);
	ck_assert_int_eq(s->plan.nodes[7].kind, LAB_SERVER);
	ck_assert_uint_eq(s->stun_count, 2);
	ck_assert_uint_eq(s->stun_nodes[1], 5);
	ck_assert_uint_eq(s->control_node, 6);
	ck_assert_uint_eq(s->relay_count, 1);
	ck_assert_uint_eq(s->relay_nodes[0], 7);
	ck_assert_uint_eq(s->host_count, 2);
	ck_assert_uint_eq(s->hosts[1].node, 3);
	ck_assert_uint_eq(s->hosts[1].port, 41641);
	ck_assert_str_eq(s->hosts[1].client, "model");
	ck_assert_uint_eq(s->hosts[1].at.line, 9);
	ck_assert_uint_eq(s->hosts[1].at.column, 3);
	ck_assert_ptr_eq(scenario_host(s, 3), &s->hosts[1]);
	ck_assert_ptr_null(scenario_host(s, 0));
}
END_TEST

START_TEST(example_steps)
{
	const struct step *step;

	parse_good(example);
	ck_assert_uint_eq(s->step_count, 6);
	step = &s->steps[0];
	ck_assert_int_eq(step->verb, STEP_BLOCK);
	ck_assert_int_eq(step->x, 3);
	ck_assert_int_eq(step->y, 7);
	ck_assert_int_eq(step->proto, 0);
	ck_assert_uint_eq(step->at.line, 11);
	ck_assert_uint_eq(step->at.column, 5);
	ck_assert_int_eq(s->steps[1].x, -1);
	step = &s->steps[2];
	ck_assert_int_eq(step->verb, STEP_NETCHECK);
	ck_assert_int_eq(step->expect_varies, 1);
	ck_assert_int_eq(step->expect_portmap, CLIENT_PORTMAP_NONE);
	ck_assert_int_eq(step->expect_udp, STEP_ANY);
	step = &s->steps[3];
	ck_assert_str_eq(step->text, "ping a -> c");
	ck_assert_int_eq(step->kind, CLIENT_PING_DATA);
	ck_assert_uint_eq(step->for_us, 12000000);
	ck_assert_int_eq(step->expect, EXPECT_UNREACHABLE);
	step = &s->steps[4];
	ck_assert_uint_eq(step->for_us, 15000000);
	ck_assert_int_eq(step->expect, EXPECT_DIRECT);
	ck_assert_str_eq(step_verb_name(step->verb), "ping");
	ck_assert_str_eq(step_expect_name(step->expect), "direct");
	ck_assert_uint_eq(s->order_count, 2);
	ck_assert_int_eq(s->orders[0].statement.form, ORDER_NO_BEFORE);
	ck_assert_int_eq(s->orders[0].statement.left.from, 2);
	ck_assert_uint_eq(s->orders[1].at.line, 19);
	ck_assert_uint_eq(s->orders[1].at.column, 5);
}
END_TEST

START_TEST(example_cast)
{
	struct cast *cast;

	parse_good(example);
	cast = scenario_cast(s);
	ck_assert_uint_eq(cast->count, 8);
	ck_assert_str_eq(cast->title, s->title);
	ck_assert_int_eq(cast->nodes[1].kind, CAST_ROUTER);
	ck_assert_int_eq(cast->nodes[3].kind, CAST_HOST);
	ck_assert_int_eq(cast->nodes[3].behind, 1);
	ck_assert_int_eq(cast->nodes[4].kind, CAST_SERVER);
	ck_assert_int_eq(cast->nodes[4].behind, -1);
	cast_free(cast);
}
END_TEST

START_TEST(routers)
{
	const struct lab_plan_node *n;

	parse_good(HEAD "routers:\n"
			"  one: {nat: easy, wan-input: accept, udp-timeout: "
			"1m30s, portmap: [upnp, nat-pmp], router: two}\n"
			"  two: {nat: {preset: full-cone, hairpin: true}}\n"
			"  three:\n    nat:\n      mapping: apdm\n"
			"      filtering: apdf\n      ports: random\n"
			"      wan-input: reject\n"
			"      udp-stream-timeout: 2h\n"
			"hosts: {a: {router: one}, b: }\n" STEPS);
	n = &s->plan.nodes[0];
	ck_assert_int_eq(n->nat.mapping, NAT_EIM);
	ck_assert_int_eq(n->nat.filtering, NAT_APDF);
	ck_assert_int_eq(n->nat.wan_input, NAT_WAN_ACCEPT);
	ck_assert_uint_eq(n->nat.udp_timeout_s, 90);
	ck_assert_uint_eq(n->nat.udp_stream_timeout_s, 120);
	ck_assert_uint_eq(n->portmap, LAB_PORTMAP_UPNP | LAB_PORTMAP_NAT_PMP);
	ck_assert_int_eq(n->router, 1);
	ck_assert(n[1].nat.hairpin);
	ck_assert_int_eq(n[1].nat.filtering, NAT_EIF);
	ck_assert_uint_eq(n[1].portmap, 0);
	ck_assert_int_eq(n[2].nat.mapping, NAT_APDM);
	ck_assert_int_eq(n[2].nat.ports, NAT_PORTS_RANDOM);
	ck_assert_int_eq(n[2].nat.wan_input, NAT_WAN_REJECT);
	ck_assert_uint_eq(n[2].nat.udp_timeout_s, 30);
	ck_assert_uint_eq(n[2].nat.udp_stream_timeout_s, 7200);
	ck_assert_int_eq(s->plan.nodes[4].router, -1);
}
END_TEST

START_TEST(hosts_and_servers)
{
	parse_good("natrig: 1\ntitle: t\nseed: 18446744073709551615\n"
		   "hosts:\n"
		   "  a: {client: {portmap: on-first-send, publish: never,\n"
		   "      learn: never, call-me-maybe: false, relay: false,\n"
		   "      port: 1234}}\n"
		   "  b: {port: 5}\n"
		   "servers: {relays: [hw-sh, fra], stun: 0, control: "
		   "{delay: 5s}}\n" STEPS);
	ck_assert_uint_eq(s->seed, UINT64_MAX);
	ck_assert_int_eq(s->hosts[0].policy.portmap, CLIENT_ON_FIRST_SEND);
	ck_assert_int_eq(s->hosts[0].policy.publish, CLIENT_NEVER);
	ck_assert_int_eq(s->hosts[0].policy.learn, CLIENT_NEVER);
	ck_assert(!s->hosts[0].policy.call_me_maybe);
	ck_assert(!s->hosts[0].policy.relay);
	ck_assert_uint_eq(s->hosts[0].port, 1234);
	ck_assert_str_eq(s->hosts[1].client, "model");
	ck_assert_uint_eq(s->hosts[1].port, 5);
	ck_assert(s->hosts[1].policy.relay);
	ck_assert_ptr_null(scenario_real_client(s));
	ck_assert_uint_eq(s->stun_count, 0);
	ck_assert_uint_eq(s->relay_count, 2);
	ck_assert_str_eq(s->plan.nodes[s->relay_nodes[1]].name, "fra");
	ck_assert_uint_eq(s->control_delay_us, 5000000);
}
END_TEST

START_TEST(real_clients)
{
	parse_good("natrig: 1\ntitle: t\nhosts:\n"
		   "  a: {client: tailscale, port: 5}\n"
		   "  b: {client: {kind: tailscale, version: 1.80.3}}\n" STEPS);
	ck_assert_str_eq(scenario_real_client(s), "tailscale");
	ck_assert_str_eq(s->hosts[0].version, "");
	ck_assert_uint_eq(s->hosts[0].port, 5);
	ck_assert_str_eq(s->hosts[1].version, "1.80.3");
	ck_assert_int_eq(scenario_use_client(s, "model", &err), 0);
	ck_assert_ptr_null(scenario_real_client(s));
	ck_assert_int_eq(scenario_use_client(s, "tailscale@1.2", &err), 0);
	ck_assert_str_eq(s->hosts[0].version, "1.2");
	ck_assert_int_eq(scenario_use_client(s, "tailscail", &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "did you mean \"tailscale\"?"));
	ck_assert_int_eq(scenario_use_client(s, "model@1", &err), -EINVAL);
}
END_TEST

/* What a scenario asks of the model only, a real client is not asked. */
START_TEST(real_clients_have_no_policy)
{
	parse_good("natrig: 1\ntitle: t\nhosts:\n"
		   "  a: {client: {publish: never}}\n  b: {}\n" STEPS);
	ck_assert_int_eq(scenario_use_client(s, "tailscale", &err), -ENOTSUP);
	ck_assert_uint_eq(err.line, 4);
	ck_assert_ptr_nonnull(strstr(err.text, "a has a policy"));
	parse_good("natrig: 1\ntitle: t\nhosts: {a: , b: }\n"
		   "servers: {control: {delay: 5s}}\n" STEPS);
	ck_assert_int_eq(scenario_use_client(s, "tailscale", &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "control server"));
}
END_TEST

START_TEST(client_steps)
{
	parse_good(HEAD NODES "steps:\n"
			"  - start: [a, c]\n"
			"  - {restart: all}\n"
			"  - stop: c\n"
			"  - {ping: a->c, kind: disco, for: 256s, expect: relay}\n"
			"  - {netcheck: a, expect: {mapping-varies: unknown, "
			"portmap: nat-pmp, udp: false}}\n");
	ck_assert_uint_eq(s->step_count, 5 + 1);
	ck_assert_str_eq(s->steps[0].text, "start a");
	ck_assert_int_eq(s->steps[0].x, 2);
	ck_assert_str_eq(s->steps[1].text, "start c");
	ck_assert_uint_eq(s->steps[1].at.line, s->steps[0].at.line);
	ck_assert_str_eq(s->steps[2].text, "restart all");
	ck_assert_int_eq(s->steps[2].x, -1);
	ck_assert_int_eq(s->steps[3].verb, STEP_STOP);
	ck_assert_int_eq(s->steps[4].kind, CLIENT_PING_DISCO);
	ck_assert_uint_eq(s->steps[4].for_us, 256000000);
	ck_assert_int_eq(s->steps[4].expect, EXPECT_RELAY);
	ck_assert_int_eq(s->steps[5].expect_varies, -1);
	ck_assert_int_eq(s->steps[5].expect_portmap, CLIENT_PORTMAP_NAT_PMP);
	ck_assert_int_eq(s->steps[5].expect_udp, 0);
}
END_TEST

START_TEST(blocks)
{
	parse_good(HEAD NODES "steps:\n"
			"  - {block: c -> relay of tcp}\n"
			"  - {block: a -> stun}\n"
			"  - {block: relay -> d of udp 53}\n"
			"  - {block: a -> c of 443}\n"
			"  - {unblock: a -> stun}\n"
			"  - {unblock: c -> relay of tcp}\n");
	ck_assert_uint_eq(s->step_count, 8);
	ck_assert_int_eq(s->steps[0].proto, IPPROTO_TCP);
	ck_assert_uint_eq(s->steps[0].port, 0);
	ck_assert_str_eq(s->steps[0].text, "block c -> relay of tcp");
	ck_assert_str_eq(s->steps[1].text, "block a -> stun1");
	ck_assert_str_eq(s->steps[2].text, "block a -> stun2");
	ck_assert_int_eq(s->steps[3].proto, IPPROTO_UDP);
	ck_assert_uint_eq(s->steps[3].port, 53);
	ck_assert_str_eq(s->steps[3].text, "block relay -> d of udp 53");
	ck_assert_int_eq(s->steps[4].proto, 0);
	ck_assert_uint_eq(s->steps[4].port, 443);
	ck_assert_int_eq(s->steps[5].verb, STEP_UNBLOCK);
	/* What is unblocked stands no more. */
	refused_at(HEAD NODES "steps:\n"
			"  - {block: a -> c}\n"
			"  - {unblock: a -> c}\n"
			"  - {unblock: a -> c}\n",
		   13, 15, "no such block");
}
END_TEST

START_TEST(router_steps)
{
	parse_good(HEAD NODES "steps:\n"
			"  - {reboot: edge-c}\n"
			"  - {flush: edge-c}\n"
			"  - {renumber: home-a}\n"
			"  - {link: d, state: down}\n"
			"  - {link: home-a, state: up}\n"
			"  - {wait: 1h1m1s1ms1us}\n");
	ck_assert_int_eq(s->steps[0].verb, STEP_REBOOT);
	ck_assert_int_eq(s->steps[0].x, 1);
	ck_assert_int_eq(s->steps[1].verb, STEP_FLUSH);
	ck_assert_int_eq(s->steps[2].verb, STEP_RENUMBER);
	ck_assert_str_eq(s->steps[3].text, "link d down");
	ck_assert(!s->steps[3].up);
	ck_assert(s->steps[4].up);
	ck_assert_uint_eq(s->steps[5].for_us, 3661001001);
}
END_TEST

/* What a set step does not name stays as the steps before have left it. */
START_TEST(set_keeps_the_rest)
{
	const struct step *step;

	parse_good(HEAD "routers:\n"
			"  r: {nat: easy, wan-input: accept, portmap: upnp}\n"
			"hosts: {a: {router: r}}\n"
			"steps:\n"
			"  - {set: {r: {udp-timeout: 5s}}}\n"
			"  - {set: {r: {nat: symmetric}}}\n"
			"  - {set: {r: {portmap: [nat-pmp], wan-input: drop}}}\n"
			"  - {set: {r: {nat: {mapping: eim, ports: preserve}}}}\n");
	step = &s->steps[0];
	ck_assert_uint_eq(step->nat.udp_timeout_s, 5);
	ck_assert_int_eq(step->nat.wan_input, NAT_WAN_ACCEPT);
	ck_assert_uint_eq(step->portmap, LAB_PORTMAP_UPNP);
	ck_assert_str_eq(step->text, "set r udp-timeout 5s");
	step = &s->steps[1];
	ck_assert_int_eq(step->nat.mapping, NAT_APDM);
	ck_assert_int_eq(step->nat.wan_input, NAT_WAN_ACCEPT);
	ck_assert_uint_eq(step->nat.udp_timeout_s, 5);
	step = &s->steps[2];
	ck_assert_int_eq(step->nat.mapping, NAT_APDM);
	ck_assert_int_eq(step->nat.wan_input, NAT_WAN_DROP);
	ck_assert_uint_eq(step->portmap, LAB_PORTMAP_NAT_PMP);
	ck_assert_str_eq(step->text, "set r portmap [nat-pmp], wan-input drop");
	step = &s->steps[3];
	ck_assert_int_eq(step->nat.mapping, NAT_EIM);
	ck_assert_int_eq(step->nat.filtering, NAT_APDF);
	ck_assert_uint_eq(step->nat.udp_timeout_s, 5);
	ck_assert_str_eq(step->text,
			 "set r nat {mapping: eim, ports: preserve}");
	ck_assert_int_eq(s->plan.nodes[0].nat.mapping, NAT_EIM);
	ck_assert_uint_eq(s->plan.nodes[0].nat.udp_timeout_s, 30);
}
END_TEST

START_TEST(crafted_packets)
{
	const struct step *step;

	parse_good(HEAD NODES "steps:\n"
			"  - {send: {from: a, to: c, text: hello}}\n"
			"  - {send: {from: a, to: 25.0.0.9:53, src-port: 7,\n"
			"           ttl: 2, hex: 00ff 7F}}\n"
			"  - {send: {from: a, to: stun1, text: ''}}\n"
			"  - {send: {from: a, to: edge-c, dst-port: 9, hex: ''}}\n");
	step = &s->steps[0];
	ck_assert_int_eq(step->x, 2);
	ck_assert_int_eq(step->y, 3);
	ck_assert_uint_eq(step->dst.ip, 0);
	ck_assert_uint_eq(step->dst.port, 41641);
	ck_assert_uint_eq(step->src_port, 41641);
	ck_assert_uint_eq(step->ttl, 64);
	ck_assert_uint_eq(step->payload_bytes, 5);
	ck_assert_mem_eq(step->payload, "hello", 5);
	ck_assert_str_eq(step->text, "send a -> c");
	step = &s->steps[1];
	ck_assert_int_eq(step->y, -1);
	ck_assert_uint_eq(step->dst.ip, 0x19000009);
	ck_assert_uint_eq(step->dst.port, 53);
	ck_assert_uint_eq(step->src_port, 7);
	ck_assert_uint_eq(step->ttl, 2);
	ck_assert_uint_eq(step->payload_bytes, 3);
	ck_assert_mem_eq(step->payload, "\x00\xff\x7f", 3);
	ck_assert_str_eq(step->text, "send a -> 25.0.0.9:53");
	ck_assert_uint_eq(s->steps[2].dst.port, 3478);
	ck_assert_uint_eq(s->steps[2].payload_bytes, 0);
	ck_assert_uint_eq(s->steps[3].dst.port, 9);
}
END_TEST

START_TEST(started_or_not)
{
	refused_at(HEAD NODES "steps:\n  - {start: a}\n  - {ping: c -> a}\n", 12,
		   12, "c was never started: put a step \"start: c\"");
	refused_at(HEAD NODES "steps:\n  - {netcheck: a}\n", 11, 16,
		   "a was never started");
	refused_at(HEAD NODES "steps:\n  - {restart: all}\n", 11, 15,
		   "start: all");
	parse_good(HEAD NODES "steps:\n  - {start: a}\n  - {ping: a -> c}\n"
			      "  - {stop: a}\n");
}
END_TEST

void add_parts(TCase *tcase)
{
	tcase_add_test(tcase, example_nodes);
	tcase_add_test(tcase, example_steps);
	tcase_add_test(tcase, example_cast);
	tcase_add_test(tcase, routers);
	tcase_add_test(tcase, hosts_and_servers);
	tcase_add_test(tcase, real_clients);
	tcase_add_test(tcase, real_clients_have_no_policy);
	tcase_add_test(tcase, client_steps);
	tcase_add_test(tcase, blocks);
	tcase_add_test(tcase, router_steps);
	tcase_add_test(tcase, set_keeps_the_rest);
	tcase_add_test(tcase, crafted_packets);
	tcase_add_test(tcase, started_or_not);
}
