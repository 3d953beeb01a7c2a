# SPDX-License-Identifier: BSD-3-Clause
# check_MODULE.c tests one module with Check and links its layer and what is
# below; one more is a name in its layer's list and a line for what it links.
# test_*.py run the whole program: see conftest.py.
wire_checks = \
	tests/check_cursor tests/check_derp tests/check_disco \
	tests/check_endpoint tests/check_natpmp tests/check_packet \
	tests/check_pcp tests/check_stun tests/check_wireguard

if HAVE_CHECK
check_PROGRAMS += $(wire_checks)
endif

tests_check_cursor_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_derp_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_disco_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_endpoint_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_natpmp_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_packet_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_pcp_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_stun_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_wireguard_LDADD = $(wire_libs) $(CHECK_LIBS)

EXTRA_DIST += \
	tests/conftest.py \
	tests/test_clean.py \
	tests/test_cli.py \
	tests/test_doctor.py \
	tests/test_exec.py \
	tests/test_run.py \
	tests/test_verify_show.py

# Lines covered, a layer a line, after whatever ran in this build directory:
# ../configure --enable-coverage && make check coverage
coverage:
	gcovr --root $(srcdir) --csv . | awk -F, ' \
		NR > 1 && $$1 !~ /^tests/ { \
			split($$1, part, "/"); layer = part[1]; \
			lines[layer] += $$2; hit[layer] += $$3; \
			lines["all"] += $$2; hit["all"] += $$3 } \
		END { n = split("wire netns captures harness all", name, " "); \
			printf "%-10s%8s%10s\n", "layer", "lines", "covered"; \
			for (i = 1; i <= n; i++) if (lines[name[i]]) \
				printf "%-10s%8d%9.1f%%\n", name[i], lines[name[i]], \
					100 * hit[name[i]] / lines[name[i]] }'
.PHONY: coverage
