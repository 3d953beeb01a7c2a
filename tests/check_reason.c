/* SPDX-License-Identifier: BSD-3-Clause */
/* Why packets died, from what the recording had shown up to then. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
#include "tests/stage.h"
#include "wire/natpmp.h"
#include "wire/pcp.h"

#define C_LEAVES(REMOTE)                                                       \
	"c.eth0 out 192.168.2.2:41641 " REMOTE " 64;"                          \
	"edge-c.lan in 192.168.2.2:41641 " REMOTE " 64;"                       \
	"edge-c.wan out 25.0.0.3:5765 " REMOTE " 63;"

static struct stage *s;

static void set_up(void)
{
	s = stage_seed();
}

static void tear_down(void)
{
	stage_free(s);
}

/* The reason of the last journey. */
static void because(const char *wanted)
{
	char text[512];

	stage_journeys(s);
	ck_assert_uint_gt(s->j->count, 0);
	ck_assert_str_eq(journey_reason(s->j, &s->j->list[s->j->count - 1],
					text, sizeof(text)),
			 wanted);
}

START_TEST(no_mapping)
{
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	because("no mapping for port 5765");
	/* What comes later does not change why it died then. */
	stage_ping(s, 2);
	stage_wait(s, 1);
	stage_hops(s, C_LEAVES("25.0.0.2:41641"));
	stage_journeys(s);
	{
		char text[128];

		ck_assert_str_eq(journey_reason(s->j, &s->j->list[0], text,
						sizeof(text)),
				 "no mapping for port 5765");
	}
}
END_TEST

START_TEST(filtered)
{
	stage_ping(s, 1);
	stage_hops(s, C_LEAVES("25.0.1.1:3478"));
	stage_ping(s, 2);
	stage_wait(s, 20);
	stage_hops(s, A_OUT);
	because("port 5765 is mapped, but filtered for 25.0.0.2:41641");
}
END_TEST

START_TEST(idle_with_this_peer)
{
	stage_ping(s, 1);
	stage_hops(s, C_LEAVES("25.0.0.2:41641"));
	stage_wait(s, 31);
	stage_ping(s, 2);
	stage_hops(s, A_OUT);
	because("mapping for port 5765 had been idle for 31 s");
}
END_TEST

/* What came in keeps a mapping alive as well. */
START_TEST(inbound_packets_refresh)
{
	stage_ping(s, 1);
	stage_hops(s, C_LEAVES("25.0.0.2:41641"));
	stage_wait(s, 20);
	stage_ping(s, 2);
	stage_hops(s,
		   A_OUT "edge-c.lan out 25.0.0.2:41641 192.168.2.2:41641 62;"
			 "c.eth0 in 25.0.0.2:41641 192.168.2.2:41641 62");
	stage_wait(s, 20);
	stage_ping(s, 3);
	stage_hops(s, A_OUT);
	because("port 5765 had been open to 25.0.0.2:41641 20 s before: "
		"edge-c blocked it or lost its state");
}
END_TEST

START_TEST(idle_with_all)
{
	stage_ping(s, 1);
	stage_hops(s, C_LEAVES("25.0.1.1:3478"));
	stage_wait(s, 125);
	stage_ping(s, 2);
	stage_hops(s, A_OUT);
	because("mapping for port 5765 had been idle for 125 s");
}
END_TEST

START_TEST(state_lost)
{
	stage_ping(s, 1);
	stage_hops(s, C_LEAVES("25.0.0.2:41641"));
	stage_wait(s, 1.5);
	stage_ping(s, 2);
	stage_hops(s, A_OUT);
	because("port 5765 had been open to 25.0.0.2:41641 1.5 s before: "
		"edge-c blocked it or lost its state");
}
END_TEST

static void natpmp_answer(uint32_t lifetime_s, uint16_t result)
{
	struct natpmp_message m = {.response = true,
				   .op = NATPMP_MAP_UDP,
				   .internal_port = 41641,
				   .external_port = lifetime_s ? 5765 : 0,
				   .result = result,
				   .lifetime_s = lifetime_s};
	static uint8_t answer[NATPMP_MAX_BYTES];
	int size = natpmp_encode(&m, answer, sizeof(answer));

	ck_assert_int_gt(size, 0);
	s->payload = answer;
	s->payload_bytes = (size_t)size;
	stage_hops(s, "edge-c.lan out 192.168.2.1:5351 192.168.2.2:50000 64;"
		      "c.eth0 in 192.168.2.1:5351 192.168.2.2:50000 64");
}

static void natpmp(uint32_t lifetime_s)
{
	natpmp_answer(lifetime_s, NATPMP_SUCCESS);
}

static void pcp(uint32_t lifetime_s, uint8_t result)
{
	struct pcp_message m = {.response = true,
				.op = PCP_MAP,
				.result = result,
				.protocol = PACKET_UDP,
				.internal_port = 41641,
				.external_port = 5765,
				.external_ip = 0x19000003,
				.lifetime_s = lifetime_s};
	static uint8_t answer[PCP_MAX_BYTES];
	int size = pcp_encode(&m, answer, sizeof(answer));

	ck_assert_int_gt(size, 0);
	s->payload = answer;
	s->payload_bytes = (size_t)size;
	stage_hops(s, "edge-c.lan out 192.168.2.1:5351 192.168.2.2:50000 64;"
		      "c.eth0 in 192.168.2.1:5351 192.168.2.2:50000 64");
}

START_TEST(natpmp_mapped_but_not_forwarded)
{
	natpmp(7200);
	stage_ping(s, 1);
	stage_wait(s, 5);
	stage_hops(s, A_OUT);
	because("port 5765 is mapped to c, but edge-c did not forward it");
}
END_TEST

START_TEST(natpmp_lease_ran_out)
{
	natpmp(60);
	stage_ping(s, 1);
	stage_wait(s, 72);
	stage_hops(s, A_OUT);
	because("port mapping of port 5765 had run out 12 s before "
		"(lease of 60 s)");
}
END_TEST

START_TEST(natpmp_released)
{
	natpmp(7200);
	stage_wait(s, 10);
	natpmp(0);
	stage_ping(s, 1);
	stage_wait(s, 3);
	stage_hops(s, A_OUT);
	because("port mapping of port 5765 had been released 3.0 s before");
}
END_TEST

START_TEST(natpmp_refused)
{
	natpmp_answer(7200, NATPMP_REFUSED);
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	because("no mapping for port 5765");
}
END_TEST

START_TEST(pcp_lease_ran_out)
{
	pcp(60, PCP_SUCCESS);
	stage_ping(s, 1);
	stage_wait(s, 72);
	stage_hops(s, A_OUT);
	because("port mapping of port 5765 had run out 12 s before "
		"(lease of 60 s)");
}
END_TEST

START_TEST(pcp_refused)
{
	pcp(60, PCP_NOT_AUTHORIZED);
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	because("no mapping for port 5765");
}
END_TEST

#define SOAP_C "192.168.2.2:40000 192.168.2.1:5000 64"
#define SOAP_EDGE "192.168.2.1:5000 192.168.2.2:40000 64"

static void soap(const char *action, const char *answer)
{
	char body[700], message[900];
	static uint32_t seq = 1000;
	uint32_t ack = seq + 500000;

	snprintf(body, sizeof(body),
		 "<?xml version=\"1.0\"?><s:Envelope><s:Body><u:%s>"
		 "<NewRemoteHost></NewRemoteHost>"
		 "<NewExternalPort dt=\"ui2\">5765</NewExternalPort>"
		 "<NewProtocol>UDP</NewProtocol>"
		 "<NewInternalPort>41641</NewInternalPort>"
		 "<NewInternalClient>192.168.2.2</NewInternalClient>"
		 "<NewLeaseDuration>0</NewLeaseDuration>"
		 "</u:%s></s:Body></s:Envelope>",
		 action, action);
	snprintf(message, sizeof(message),
		 "POST /ctl/IPConn HTTP/1.1\r\nHost: 192.168.2.1:5000\r\n"
		 "Content-Length: %zu\r\nSOAPAction: \"urn:x#%s\"\r\n\r\n%s",
		 strlen(body), action, body);
	for (int half = 0; half < 2; half++) {
		size_t from = half ? 100 : 0;
		size_t size = half ? strlen(message) - 100 : 100;
		uint32_t at = seq + 1 + (uint32_t)from;

		if (!half) {
			stage_tcp(s, "c.eth0 out " SOAP_C, seq, 0, TCP_FLAG_SYN,
				  NULL, 0);
			stage_tcp(s, "edge-c.lan in " SOAP_C, seq, 0,
				  TCP_FLAG_SYN, NULL, 0);
			stage_tcp(s, "edge-c.lan out " SOAP_EDGE, ack, seq + 1,
				  TCP_FLAG_SYN | TCP_FLAG_ACK, NULL, 0);
			stage_tcp(s, "c.eth0 in " SOAP_EDGE, ack, seq + 1,
				  TCP_FLAG_SYN | TCP_FLAG_ACK, NULL, 0);
		}
		stage_tcp(s, "c.eth0 out " SOAP_C, at, 0, TCP_FLAG_ACK,
			  message + from, size);
		stage_tcp(s, "edge-c.lan in " SOAP_C, at, 0, TCP_FLAG_ACK,
			  message + from, size);
	}
	snprintf(message, sizeof(message),
		 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(answer), answer);
	stage_tcp(s, "edge-c.lan out " SOAP_EDGE, ack + 1, 0, TCP_FLAG_ACK,
		  message, strlen(message));
	stage_tcp(s, "c.eth0 in " SOAP_EDGE, ack + 1, 0, TCP_FLAG_ACK, message,
		  strlen(message));
	seq += 10000;
}

START_TEST(upnp_mapped_but_not_forwarded)
{
	size_t i = 0;

	soap("AddPortMapping", "<s:Envelope><u:AddPortMappingResponse/>");
	stage_ping(s, 1);
	stage_wait(s, 400);
	stage_hops(s, A_OUT);
	because("port 5765 is mapped to c, but edge-c did not forward it");
	/* SYN, request and answer are journeys of their own. */
	ck_assert_uint_eq(s->j->count, 4);
	ck_assert_uint_eq(s->j->list[i].kind, JOURNEY_TCP);
	ck_assert(s->j->list[i++].arrived);
	ck_assert_uint_eq(s->j->list[i].kind, JOURNEY_PORTMAP);
	ck_assert_int_eq(s->j->list[i].from, stage_index(s, "c"));
	ck_assert_int_eq(s->j->list[i].to, stage_index(s, "edge-c"));
	ck_assert(s->j->list[i++].arrived);
	ck_assert_uint_eq(s->j->list[i].kind, JOURNEY_PORTMAP);
	ck_assert_int_eq(s->j->list[i].from, stage_index(s, "edge-c"));
	ck_assert(s->j->list[i++].arrived);
	ck_assert_int_eq(s->j->list[i].to, stage_index(s, "c"));
}
END_TEST

START_TEST(upnp_refused)
{
	soap("AddPortMapping",
	     "<s:Envelope><UPnPError><errorCode>725</errorCode>");
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	because("no mapping for port 5765");
}
END_TEST

START_TEST(upnp_deleted)
{
	soap("AddPortMapping", "<s:Envelope><u:AddPortMappingResponse/>");
	stage_wait(s, 10);
	soap("DeletePortMapping", "<s:Envelope><u:DeletePortMappingResponse/>");
	stage_ping(s, 1);
	stage_wait(s, 20);
	stage_hops(s, A_OUT);
	because("port mapping of port 5765 had been released 20 s before");
}
END_TEST

/* AddAnyPortMapping says in its answer which port it became. */
START_TEST(upnp_any_port)
{
	soap("AddAnyPortMapping",
	     "<s:Envelope><u:AddAnyPortMappingResponse><NewReservedPort>6000"
	     "</NewReservedPort></u:AddAnyPortMappingResponse>");
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	because("no mapping for port 5765");
	stage_ping(s, 2);
	stage_hops(s, "edge-c.wan in 25.0.0.2:41641 25.0.0.3:6000 63");
	because("port 6000 is mapped to c, but edge-c did not forward it");
}
END_TEST

static const struct {
	const char *hops, *reason;
} ways[] = {
	{"edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 1", "TTL ran out"},
	{"a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
	 "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64",
	 "blocked by home-a (outbound)"},
	{"a.eth0 out 192.168.1.2:41641 192.168.2.2:41641 64;"
	 "home-a.lan in 192.168.1.2:41641 192.168.2.2:41641 64",
	 "home-a has no route to 192.168.2.2"},
	{"a.eth0 out 192.168.1.2:41641 25.0.0.2:41641 64;"
	 "home-a.lan in 192.168.1.2:41641 25.0.0.2:41641 64",
	 "home-a does not hairpin its own address 25.0.0.2"},
	{"a.eth0 out 192.168.1.2:41641 25.0.0.9:5765 64;"
	 "home-a.lan in 192.168.1.2:41641 25.0.0.9:5765 64;"
	 "home-a.wan out 25.0.0.2:41641 25.0.0.9:5765 63",
	 "nobody has 25.0.0.9"},
	{"a.eth0 out 192.168.1.2:41641 192.168.2.2:41641 64;"
	 "home-a.lan in 192.168.1.2:41641 192.168.2.2:41641 64;"
	 "home-a.wan out 25.0.0.2:41641 192.168.2.2:41641 63",
	 "nobody on the internet has 192.168.2.2, which is c's inside "
	 "address"},
	{"home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63",
	 "blocked on the internet, or edge-c's link is down"},
	{"a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64",
	 "lost on the link to home-a"},
	{"edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 63;"
	 "edge-c.lan out 25.0.0.2:41641 192.168.2.2:41641 62",
	 "lost on the link to c"},
	{"edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 63;"
	 "edge-c.lan out 25.0.0.2:41641 192.168.2.77:41641 62",
	 "nobody behind edge-c has 192.168.2.77"},
	{"a.eth0 out 192.168.1.2:41641 239.1.1.1:9 4;"
	 "home-a.lan in 192.168.1.2:41641 239.1.1.1:9 4",
	 ""},
	/* It arrived, whatever the port. */
	{"a.eth0 out 192.168.1.2:41641 25.0.1.1:9999 64;"
	 "home-a.lan in 192.168.1.2:41641 25.0.1.1:9999 64;"
	 "home-a.wan out 25.0.0.2:41641 25.0.1.1:9999 63;"
	 "stun1.eth0 in 25.0.0.2:41641 25.0.1.1:9999 63",
	 ""},
};

START_TEST(by_the_way)
{
	stage_ping(s, 1);
	stage_hops(s, ways[_i].hops);
	because(ways[_i].reason);
	/* On the internet, or at a node: never both. */
	ck_assert(s->j->list[0].died_at < 0 || !s->j->list[0].on_internet);
}
END_TEST

START_TEST(nobody_listened)
{
	stage_deafen(s, "edge-c.wan");
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	because("not seen again, and edge-c was not recorded");
}
END_TEST

START_TEST(not_recorded)
{
	stage_deafen(s, "edge-c.wan");
	stage_deafen(s, "edge-c.lan");
	stage_deafen(s, "c.eth0");
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	because("what came of it was not recorded");
}
END_TEST

static const struct {
	uint8_t type, code;
	const char *says;
} icmps[] = {
	{3, 0, "network unreachable"},
	{3, 1, "host unreachable"},
	{3, 3, "port unreachable"},
	{3, 13, "administratively prohibited"},
	{3, 14, "destination unreachable"},
	{11, 0, "time exceeded"},
	{12, 0, "parameter problem"},
};

START_TEST(icmp_says_so)
{
	char text[512], wanted[128];

	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	stage_icmp(s, "edge-c.wan out 25.0.0.3 25.0.0.2 64", icmps[_i].type,
		   icmps[_i].code, PACKET_UDP, "25.0.0.2:41641",
		   "25.0.0.3:5765");
	stage_journeys(s);
	snprintf(wanted, sizeof(wanted),
		 "no mapping for port 5765; answered with ICMP %s",
		 icmps[_i].says);
	ck_assert_str_eq(
		journey_reason(s->j, &s->j->list[0], text, sizeof(text)),
		wanted);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reason");
	TCase *tests = tcase_create("reason");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, no_mapping);
	tcase_add_test(tests, filtered);
	tcase_add_test(tests, idle_with_this_peer);
	tcase_add_test(tests, inbound_packets_refresh);
	tcase_add_test(tests, idle_with_all);
	tcase_add_test(tests, state_lost);
	tcase_add_test(tests, natpmp_mapped_but_not_forwarded);
	tcase_add_test(tests, natpmp_lease_ran_out);
	tcase_add_test(tests, natpmp_released);
	tcase_add_test(tests, pcp_lease_ran_out);
	tcase_add_test(tests, pcp_refused);
	tcase_add_test(tests, upnp_mapped_but_not_forwarded);
	tcase_add_test(tests, upnp_refused);
	tcase_add_test(tests, upnp_deleted);
	tcase_add_test(tests, upnp_any_port);
	tcase_add_loop_test(tests, by_the_way, 0,
			    sizeof(ways) / sizeof(ways[0]));
	tcase_add_test(tests, nobody_listened);
	tcase_add_test(tests, not_recorded);
	tcase_add_loop_test(tests, icmp_says_so, 0,
			    sizeof(icmps) / sizeof(icmps[0]));
	tcase_add_test(tests, natpmp_refused);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
