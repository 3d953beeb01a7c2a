# SPDX-License-Identifier: BSD-3-Clause
# The programs check_MODULE (Check) and fuzz/replay_FORMAT (a fuzz target that
# replays its corpus) are in the local.mk of the layer that they test.
# test_*.py run the whole program: see conftest.py.

# With a compiler that has libFuzzer, in a build directory of its own:
# ../configure CC=clang CFLAGS='-g -O1 -fsanitize=fuzzer-no-link,address' &&
# make fuzzers && tests/fuzz/fuzz_stun ../tests/fuzz/corpus/stun
fuzzers: libharness.a libcaptures.a libnetns.a libwire.a
	@$(MKDIR_P) tests/fuzz
	@for source in $(srcdir)/tests/fuzz/fuzz_*.c; do \
		name=$$(basename $$source .c); \
		echo "  FUZZER   tests/fuzz/$$name"; \
		$(COMPILE) -fsanitize=fuzzer -o tests/fuzz/$$name $$source \
			$(harness_libs) || exit; \
	done

# Lines covered, a layer a line, after whatever ran in this build directory:
# ../configure --enable-coverage && make check coverage
coverage:
	gcovr --root $(srcdir) --csv - . | awk -F, ' \
		NR > 1 && $$1 !~ /^tests/ { \
			split($$1, part, "/"); layer = part[1]; \
			lines[layer] += $$2; hit[layer] += $$3; \
			lines["all"] += $$2; hit["all"] += $$3 } \
		END { n = split("wire netns captures harness all", name, " "); \
			printf "%-10s%8s%10s\n", "layer", "lines", "covered"; \
			for (i = 1; i <= n; i++) if (lines[name[i]]) \
				printf "%-10s%8d%9.1f%%\n", name[i], lines[name[i]], \
					100 * hit[name[i]] / lines[name[i]] }'
.PHONY: coverage fuzzers

EXTRA_DIST += tests/conftest.py tests/helpers.py tests/test_clean.py \
	tests/test_cli.py tests/test_doctor.py tests/test_exec.py \
	tests/packets.py tests/test_certify.py tests/test_clients.py \
	tests/test_compare.py tests/test_probe.py tests/test_run.py \
	tests/test_tailscale.py tests/test_time.py tests/test_verify_show.py \
	tests/valgrind.supp
