/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ruleset's text. Two tables: `router` is what the NAT is, and is made
 * anew at each load; `portmap` belongs to the port-mapping daemon, whose rules
 * outlive a load (a reboot drops them, lab_router.c).
 *
 * Independence of the remote end is learnt, not configured: `learn` notes for
 * each UDP packet that leaves which outside port stands for which inside
 * endpoint. It is a filter chain after the translation, not a nat chain, since
 * nat chains see a flow's first packet only, and a steady flow would lose its
 * mapping.
 */
#include "netns/nat.h"
#include "wire/endpoint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct rules {
	const struct nat *nat;
	const struct nat_place *place;
	char *text;
	size_t room_bytes;
	size_t used; /* may pass room_bytes: then it did not fit */
};

static void put(struct rules *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct rules *r, const char *format, ...)
{
	size_t left = r->used < r->room_bytes ? r->room_bytes - r->used : 0;
	va_list args;
	int wrote;

	va_start(args, format);
	wrote = vsnprintf(left ? r->text + r->used : NULL, left, format, args);
	va_end(args);
	r->used += wrote > 0 ? (size_t)wrote : 0;
}

/* Do packets for a mapping come in from elsewhere than its own flows? */
static bool learns_mappings(const struct nat *nat)
{
	return nat->mapping == NAT_EIM &&
	       (nat->filtering != NAT_APDF || nat->hairpin);
}

static bool learns_endpoints(const struct nat *nat)
{
	return nat->mapping == NAT_MAPPING_NONE &&
	       (nat->filtering == NAT_EIF || nat->filtering == NAT_ADF);
}

unsigned nat_sets(const struct nat *nat, const char *names[NAT_MAX_SETS])
{
	unsigned count = 0;

	if (learns_mappings(nat)) {
		names[count++] = "inside";
		names[count++] = "outside";
		if (nat->filtering == NAT_ADF)
			names[count++] = "contacted";
	}
	if (learns_endpoints(nat))
		names[count++] = "talked";
	if (count)
		names[count++] = "steady";
	return count;
}

/* No sizes: the kernel would make room for that many at once, in 20 ms. */
static void put_sets(struct rules *r)
{
	if (learns_mappings(r->nat))
		put(r, "	# outside port -> inside endpoint, and back\n"
		       "	map inside {\n"
		       "		type inet_service : ipv4_addr . inet_service\n"
		       "		flags dynamic,timeout\n"
		       "	}\n"
		       "	map outside {\n"
		       "		type ipv4_addr . inet_service : ipv4_addr . inet_service\n"
		       "		flags dynamic,timeout\n"
		       "	}\n");
	if (learns_mappings(r->nat) && r->nat->filtering == NAT_ADF)
		put(r, "	# outside port . remote address it has sent to\n"
		       "	set contacted {\n"
		       "		type inet_service . ipv4_addr\n"
		       "		flags dynamic,timeout\n"
		       "	}\n");
	if (learns_endpoints(r->nat))
		put(r, "	# inside endpoints%s that have sent\n"
		       "	set talked {\n"
		       "		type ipv4_addr . inet_service%s\n"
		       "		flags dynamic,timeout\n"
		       "	}\n",
		    r->nat->filtering == NAT_ADF ? ", each with whom it sent to," : "",
		    r->nat->filtering == NAT_ADF ? " . ipv4_addr" : "");
}

static void put_input(struct rules *r)
{
	static const char *const stray[] = {
		[NAT_WAN_DROP] = "drop",
		[NAT_WAN_REJECT] = "reject with icmp type port-unreachable",
		[NAT_WAN_ACCEPT] = "accept",
	};

	put(r, "	chain input {\n"
	       "		type filter hook input priority filter; policy drop;\n"
	       "		iifname \"lo\" accept\n");
	if (!r->nat->hairpin && r->nat->mapping != NAT_MAPPING_NONE) {
		char wan[ENDPOINT_TEXT_BYTES];

		put(r, "		# no hairpin: the outside address is not served inside\n"
		       "		iifname \"%s\" ip daddr %s meta l4proto { tcp, udp } drop\n",
		    r->place->lan, endpoint_format_ip(r->place->wan_ip, wan));
	}
	put(r, "		iifname \"%s\" accept\n"
	       "		ct state established,related accept\n"
	       "		# a stray packet from outside; when it is accepted, its conntrack\n"
	       "		# entry is in the way of the inside host's own later flow\n"
	       "		iifname \"%s\" %s\n"
	       "	}\n",
	    r->place->lan, r->place->wan, stray[r->nat->wan_input]);
}

static void put_forward(struct rules *r)
{
	const char *lan = r->place->lan;

	put(r, "	chain forward {\n"
	       "		type filter hook forward priority filter; policy drop;\n");
	if (r->nat->udp_blocked)
		put(r, "		iifname \"%s\" meta l4proto udp drop\n", lan);
	put(r, "		ct state established,related accept\n"
	       "		iifname \"%s\" accept\n"
	       "		ct status dnat accept\n",
	    lan);
	if (r->nat->mapping == NAT_MAPPING_NONE &&
	    r->nat->filtering == NAT_FILTERING_NONE)
		put(r, "		oifname \"%s\" accept\n", lan);
	if (learns_endpoints(r->nat))
		put(r, "		oifname \"%s\" ip daddr . udp dport%s @talked accept\n",
		    lan, r->nat->filtering == NAT_ADF ? " . ip saddr" : "");
	put(r, "	}\n");
}

static void put_dstnat(struct rules *r)
{
	const struct nat_place *p = r->place;
	const char *to = "dnat ip to udp dport map @inside";
	char wan[ENDPOINT_TEXT_BYTES];

	if (!learns_mappings(r->nat))
		return;
	endpoint_format_ip(p->wan_ip, wan);
	put(r, "	chain dstnat {\n"
	       "		type nat hook prerouting priority dstnat; policy accept;\n");
	if (r->nat->filtering == NAT_EIF)
		put(r, "		iifname \"%s\" ip daddr %s %s\n", p->wan, wan, to);
	else if (r->nat->filtering == NAT_ADF)
		put(r, "		iifname \"%s\" ip daddr %s udp dport . ip saddr @contacted %s\n",
		    p->wan, wan, to);
	if (r->nat->hairpin)
		put(r, "		# hairpin: not filtered\n"
		       "		iifname \"%s\" ip daddr %s %s\n", p->lan, wan, to);
	put(r, "	}\n");
}

static void put_srcnat(struct rules *r)
{
	const struct nat_place *p = r->place;
	char wan[ENDPOINT_TEXT_BYTES];

	if (r->nat->mapping == NAT_MAPPING_NONE)
		return;
	endpoint_format_ip(p->wan_ip, wan);
	put(r, "	chain srcnat {\n"
	       "		type nat hook postrouting priority srcnat; policy accept;\n");
	if (r->nat->hairpin == NAT_HAIRPIN_EXTERNAL)
		put(r, "		iifname \"%s\" oifname \"%s\" meta l4proto udp snat ip to ip saddr . udp sport map @outside\n"
		       "		iifname \"%s\" oifname \"%s\" ct status dnat snat ip to %s\n",
		    p->lan, p->lan, p->lan, p->lan, wan);
	if (learns_mappings(r->nat))
		put(r, "		# as before; else another port where this one is taken; else the same\n"
		       "		oifname \"%s\" meta l4proto udp snat ip to ip saddr . udp sport map @outside\n"
		       "		oifname \"%s\" udp sport @inside masquerade to :1024-65535 fully-random\n",
		    p->wan, p->wan);
	put(r, "		oifname \"%s\" masquerade%s\n"
	       "	}\n", p->wan,
	    r->nat->ports == NAT_PORTS_RANDOM ? " fully-random" : "");
}

/*
 * After the translation the packet bears its outside endpoint; the inside one
 * is in conntrack, on the side that this packet's direction makes the source.
 */
static void put_notes(struct rules *r, unsigned timeout_s)
{
	static const char *const directions[] = {"original", "reply"};

	if (learns_endpoints(r->nat)) {
		put(r, "		update @talked { ip saddr . udp sport%s timeout %us }\n",
		    r->nat->filtering == NAT_ADF ? " . ip daddr" : "",
		    timeout_s);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		const char *d = directions[i];

		put(r, "		meta l4proto udp ct direction %s update @inside { udp sport timeout %us : ct %s ip saddr . ct %s proto-src } update @outside { ct %s ip saddr . ct %s proto-src timeout %us : ip saddr . udp sport }\n",
		    d, timeout_s, d, d, d, d, timeout_s);
	}
}

static void put_contacted(struct rules *r, unsigned timeout_s)
{
	if (learns_mappings(r->nat) && r->nat->filtering == NAT_ADF)
		put(r, "		update @contacted { udp sport . ip daddr timeout %us }\n",
		    timeout_s);
}

/*
 * A flow that conntrack calls assured (answered, and two seconds old) has the
 * stream timeout. The port's other flows must not shorten that again: `steady`.
 */
static void put_learn(struct rules *r)
{
	const struct nat *nat = r->nat;

	if (!learns_mappings(nat) && !learns_endpoints(nat))
		return;
	put(r, "	chain learn_stream {\n");
	put_contacted(r, nat->udp_stream_timeout_s);
	put(r, "		update @steady { udp sport . ip saddr timeout %us }\n",
	    nat->udp_stream_timeout_s);
	put_notes(r, nat->udp_stream_timeout_s);
	put(r, "	}\n"
	       "	chain learn {\n"
	       "		type filter hook postrouting priority srcnat + 10; policy accept;\n"
	       "		iifname != \"%s\" accept\n"
	       "		meta l4proto != udp accept\n"
	       "		ct status assured goto learn_stream\n"
	       "		ct mark 2 goto learn_stream\n",
	    r->place->lan);
	put_contacted(r, nat->udp_timeout_s);
	put(r, "		udp sport . ip saddr @steady accept\n");
	put_notes(r, nat->udp_timeout_s);
	put(r, "	}\n");
}

/*
 * Where time is skipped, conntrack.c marks a UDP flow that is two seconds old
 * with 1. The packet that then finds it answered makes it a stream: any from
 * where the first came, and the second answer.
 */
static void put_streams(struct rules *r)
{
	put(r, "	chain streams {\n"
	       "		type filter hook prerouting priority mangle; policy accept;\n"
	       "		meta l4proto != udp accept\n"
	       "		ct mark 1 ct direction original ct status seen-reply ct mark set 2\n"
	       "		ct mark 1 ct reply packets > 1 ct mark set 2\n"
	       "	}\n");
}

static void put_steady(struct rules *r)
{
	const char *names[NAT_MAX_SETS];

	if (!nat_sets(r->nat, names))
		return;
	put(r, "	# ports with a flow that is answered\n"
	       "	set steady {\n"
	       "		type inet_service . ipv4_addr\n"
	       "		flags dynamic,timeout\n"
	       "	}\n");
}

/*
 * Where an engine translates, the kernel answers only what is for the router
 * itself from inside. From outside that is what the engine hands on, by way of
 * lo: only it knows what no mapping fits.
 */
static void put_engine(struct rules *r)
{
	char lan[ENDPOINT_TEXT_BYTES], wan[ENDPOINT_TEXT_BYTES];
	const uint32_t *more = r->place->more_wan_ips;

	put(r, "table inet router {\n"
	       "	chain input {\n"
	       "		type filter hook input priority filter; policy drop;\n"
	       "		iifname \"lo\" accept\n"
	       "		iifname \"%s\" ip daddr %s accept\n"
	       "		iifname \"%s\" meta pkttype { broadcast, multicast } accept\n"
	       "		iifname \"%s\" ip daddr { %s",
	    r->place->lan, endpoint_format_ip(r->place->lan_net + 1, lan),
	    r->place->lan, r->place->lan,
	    endpoint_format_ip(r->place->wan_ip, wan));
	for (unsigned i = 0; i < NAT_MAX_POOL - 1 && more[i]; i++)
		put(r, ", %s", endpoint_format_ip(more[i], wan));
	put(r, " } ip protocol icmp accept\n"
	       "	}\n"
	       "	chain forward {\n"
	       "		type filter hook forward priority filter; policy drop;\n"
	       "	}\n"
	       "}\n");
}

/*
 * Base chains are filled anew; the daemon's own three keep what they hold. With
 * an engine nothing leads there: they are the daemon's own book.
 */
static void put_portmap(struct rules *r)
{
	put(r, "table inet portmap {\n"
	       "	chain forward {\n"
	       "	}\n"
	       "	chain prerouting {\n"
	       "	}\n"
	       "	chain postrouting {\n"
	       "	}\n"
	       "	chain dstnat {\n"
	       "		type nat hook prerouting priority dstnat - 5; policy accept;\n"
	       "	}\n"
	       "	chain srcnat {\n"
	       "		type nat hook postrouting priority srcnat - 5; policy accept;\n"
	       "	}\n"
	       "}\n"
	       "flush chain inet portmap dstnat\n"
	       "flush chain inet portmap srcnat\n");
	if (r->place->engine)
		put(r, "delete chain inet portmap dstnat\n"
		       "delete chain inet portmap srcnat\n");
	else
		put(r, "add rule inet portmap dstnat jump prerouting\n"
	       "add rule inet portmap srcnat jump postrouting\n");
}

static int length_of(const struct rules *r, struct err *err)
{
	if (r->used >= r->room_bytes)
		return err_set(err, EMSGSIZE, "a NAT ruleset of %zu bytes does "
			       "not fit %zu", r->used, r->room_bytes);
	return (int)r->used;
}

int nat_ruleset(const struct nat *nat, const struct nat_place *place,
		char *text, size_t text_bytes, struct err *err)
{
	struct rules r = {nat, place, text, text_bytes, 0};
	int code = nat_supported(nat, err);

	if (code)
		return code;
	if (!place->engine && nat_by(nat) != NAT_BY_NETFILTER)
		return err_set(err, ENOTSUP, "netfilter cannot do this NAT "
			       "exactly: %s", nat_why_engine(nat));
	if (!place->fresh)
		put(&r, "table inet router\n"
			"delete table inet router\n");
	if (place->engine) {
		put_engine(&r);
		if (place->portmap)
			put_portmap(&r);
		return length_of(&r, err);
	}
	put(&r, "table inet router {\n");
	put_sets(&r);
	put_steady(&r);
	put_input(&r);
	put_forward(&r);
	put_dstnat(&r);
	put_srcnat(&r);
	put_learn(&r);
	put_streams(&r);
	put(&r, "}\n");
	if (place->portmap)
		put_portmap(&r);
	return length_of(&r, err);
}
