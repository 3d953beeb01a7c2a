# SPDX-License-Identifier: BSD-3-Clause
# Installed under $(pkgdatadir)/scenarios. One more scenario is one more line:
# (cd TOP && ls scenarios/seed/*.yaml) in this order.
nobase_dist_pkgdata_DATA = \
	scenarios/seed/01-easy-both-twin.yaml \
	scenarios/seed/01-easy-both.yaml \
	scenarios/seed/02-hard-c-no-mapping-twin.yaml \
	scenarios/seed/02-hard-c-no-mapping.yaml \
	scenarios/seed/03-mapping-at-first-send-twin.yaml \
	scenarios/seed/03-mapping-at-first-send.yaml \
	scenarios/seed/04-upnp-comes-late-twin.yaml \
	scenarios/seed/04-upnp-comes-late.yaml \
	scenarios/seed/05-mapping-outlives-client-twin.yaml \
	scenarios/seed/05-mapping-outlives-client.yaml \
	scenarios/seed/06-endpoints-told-late-twin.yaml \
	scenarios/seed/06-endpoints-told-late.yaml \
	scenarios/seed/07-relay-carries-twin.yaml \
	scenarios/seed/07-relay-carries.yaml \
	scenarios/seed/08-upnp-off-twin.yaml \
	scenarios/seed/08-upnp-off.yaml \
	scenarios/seed/09-wan-input-accept-twin.yaml \
	scenarios/seed/09-wan-input-accept.yaml \
	scenarios/seed/09-wan-input-drop-twin.yaml \
	scenarios/seed/10-wan-input-accept-relay-twin.yaml \
	scenarios/seed/10-wan-input-accept-relay.yaml \
	scenarios/seed/11-oracle-1-data.yaml \
	scenarios/seed/11-oracle-1-disco.yaml \
	scenarios/seed/12-oracle-2-data.yaml \
	scenarios/seed/12-oracle-2-disco.yaml \
	scenarios/seed/13-oracle-3-data.yaml \
	scenarios/seed/13-oracle-3-disco.yaml \
	scenarios/seed/14-oracle-4-data.yaml \
	scenarios/seed/14-oracle-4-disco.yaml \
	scenarios/seed/15-oracle-5-data.yaml \
	scenarios/seed/15-oracle-5-disco.yaml \
	scenarios/seed/16-oracle-6-data.yaml \
	scenarios/seed/16-oracle-6-disco.yaml

# Broken on purpose, for the tests.
EXTRA_DIST += scenarios/bad
