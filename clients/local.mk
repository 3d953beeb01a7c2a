# SPDX-License-Identifier: BSD-3-Clause
# Real clients, installed under $(pkgdatadir)/clients. One more client is its
# program and its manifest here; README.md is the contract.
nobase_dist_pkgdata_SCRIPTS = \
	clients/nebula/client \
	clients/tailscale/client
nobase_dist_pkgdata_DATA += \
	clients/README.md \
	clients/natrig_client.py \
	clients/nebula/README.md \
	clients/nebula/client.json \
	clients/tailscale/README.md \
	clients/tailscale/client.json
