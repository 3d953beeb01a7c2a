# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libharness.a
libharness_a_SOURCES = \
	harness/actions.c harness/actions.h \
	harness/adapter.c harness/adapter.h \
	harness/certify.c harness/certify.h harness/certify_table.c \
	harness/clients.c harness/clients.h \
	harness/conn.c harness/conn.h \
	harness/driver.c harness/driver.h harness/driver_private.h \
	harness/driver_actor.c harness/driver_client.c \
	harness/driver_quiet.c harness/driver_real.c harness/driver_real.h \
	harness/driver_real_lab.c harness/driver_real_words.c harness/real.h \
	harness/environment.c harness/environment.h \
	harness/evidence.c harness/evidence.h \
	harness/exam.c harness/exam.h harness/exam_private.h \
	harness/exam_icmp.c harness/exam_io.c \
	harness/exam_tcp.c harness/exam_udp.c \
	harness/pool.c harness/pool.h \
	harness/pool_worker.c harness/pool_worker.h \
	harness/interrupt.c harness/interrupt.h \
	harness/probe.c harness/probe.h harness/probe_private.h \
	harness/probe_ask.c harness/probe_ports.c harness/probe_time.c \
	harness/probe_io.c harness/probe_io.h \
	harness/probe_report.c harness/probe_report.h \
	harness/raw.c harness/raw.h \
	harness/report.h harness/report_formats.c harness/report_text.c \
	harness/result.c harness/result.h \
	harness/run.c harness/run.h \
	harness/show_json.c harness/show_json.h \
	harness/steps.c harness/steps.h \
	harness/rng.c harness/rng.h \
	harness/nearest.c harness/nearest.h \
	harness/scenario.c harness/scenario.h \
	harness/scenario_flow.c harness/scenario_nat.c \
	harness/scenario_nodes.c harness/scenario_options.c \
	harness/scenario_steps.c \
	harness/scenario_reader.c harness/scenario_reader.h \
	harness/scenario_yaml.c harness/scenario_yaml.h \
	harness/client.c harness/client.h harness/client_private.h \
	harness/client_control.c harness/client_disco.c \
	harness/client_link.c harness/client_mapping.c \
	harness/client_noise.c harness/client_peer.c harness/client_ping.c \
	harness/client_relay.c harness/client_session.c \
	harness/client_stun.c \
	harness/stun_server.c harness/relay.c harness/control.c \
	harness/netmap.c harness/netmap.h \
	harness/server.h \
	harness/upnp.c harness/upnp.h

bin_PROGRAMS += natrig
natrig_SOURCES = harness/main.c \
	harness/commands.c harness/commands.h \
	harness/cmd_run.c harness/cmd_files.c harness/cmd_inside.c \
	harness/cmd_client.c harness/cmd_doctor.c harness/cmd_probe.c \
	harness/cmd_lab.c harness/cmd_nat.c \
	harness/bench.c harness/bench.h harness/bench_lab.c \
	harness/bench_nat.c harness/bench_run.c
natrig_LDADD = $(harness_libs) -lm

# The servers, what they stand on, and UPnP.
if HAVE_CHECK
check_PROGRAMS += \
	tests/check_actions \
	tests/check_rng \
	tests/check_stun_server \
	tests/check_relay \
	tests/check_control \
	tests/check_upnp
endif
tests_check_actions_LDADD = $(harness_libs) $(CHECK_LIBS)
tests_check_rng_LDADD = $(harness_libs) $(CHECK_LIBS)
tests_check_stun_server_LDADD = $(harness_libs) $(CHECK_LIBS)
tests_check_relay_SOURCES = tests/check_relay.c tests/relay_bytes.h
tests_check_relay_LDADD = $(harness_libs) $(CHECK_LIBS)
tests_check_control_LDADD = $(harness_libs) $(CHECK_LIBS)
tests_check_upnp_LDADD = $(harness_libs) $(CHECK_LIBS)

check_PROGRAMS += \
	tests/fuzz/replay_relay \
	tests/fuzz/replay_control
tests_fuzz_replay_relay_SOURCES = tests/fuzz/fuzz_relay.c \
	tests/fuzz/streams.h tests/relay_bytes.h $(fuzz_driver)
tests_fuzz_replay_relay_LDADD = $(harness_libs)
tests_fuzz_replay_control_SOURCES = tests/fuzz/fuzz_control.c \
	tests/fuzz/streams.h $(fuzz_driver)
tests_fuzz_replay_control_LDADD = $(harness_libs)

# The model client.
if HAVE_CHECK
check_PROGRAMS += tests/check_client
endif
tests_check_client_SOURCES = tests/check_client.c \
	tests/check_client_input.c tests/check_client_mapping.c \
	tests/check_client_policy.c tests/check_client_suites.h \
	tests/check_client_timers.c \
	tests/check_client_net.c tests/check_client_net.h \
	tests/check_client_world.c tests/check_client_world.h tests/valgrind.h
tests_check_client_LDADD = $(harness_libs) $(CHECK_LIBS)

check_PROGRAMS += tests/fuzz/replay_client
tests_fuzz_replay_client_SOURCES = tests/fuzz/fuzz_client.c $(fuzz_driver)
tests_fuzz_replay_client_LDADD = $(harness_libs)

# Scenarios.
if HAVE_CHECK
check_PROGRAMS += tests/check_scenario
endif
tests_check_scenario_SOURCES = tests/check_scenario.c \
	tests/check_scenario_parts.c tests/check_scenario_suites.h \
	tests/valgrind.h
tests_check_scenario_LDADD = $(harness_libs) $(CHECK_LIBS)

check_PROGRAMS += tests/fuzz/replay_scenario
tests_fuzz_replay_scenario_SOURCES = tests/fuzz/fuzz_scenario.c $(fuzz_driver)
tests_fuzz_replay_scenario_LDADD = $(harness_libs)

# Real clients.
if HAVE_CHECK
check_PROGRAMS += tests/check_clients
endif
tests_check_clients_LDADD = $(harness_libs) $(CHECK_LIBS)

check_PROGRAMS += tests/fuzz/replay_manifest
tests_fuzz_replay_manifest_SOURCES = tests/fuzz/fuzz_manifest.c $(fuzz_driver)
tests_fuzz_replay_manifest_LDADD = $(harness_libs)

# The probe.
if HAVE_CHECK
check_PROGRAMS += tests/check_probe tests/check_certify \
	tests/check_certify_all
endif
tests_check_probe_SOURCES = tests/check_probe.c \
	tests/check_probe_engine.c tests/check_probe_engine.h \
	tests/check_probe_world.c tests/check_probe_world.h
tests_check_certify_LDADD = $(harness_libs) $(CHECK_LIBS)
tests_check_certify_all_LDADD = $(harness_libs) $(CHECK_LIBS)
tests_check_probe_LDADD = $(harness_libs) $(CHECK_LIBS)

check_PROGRAMS += tests/fuzz/replay_probe
tests_fuzz_replay_probe_SOURCES = tests/fuzz/fuzz_probe.c $(fuzz_driver)
tests_fuzz_replay_probe_LDADD = $(harness_libs)

# What a run says from its recording; the witness's own tests make that.
if HAVE_CHECK
check_PROGRAMS += tests/check_evidence
tests_check_evidence_SOURCES = tests/check_evidence.c \
	tests/stage.c tests/stage.h tests/tls_pipe.c tests/tls_pipe.h
tests_check_evidence_LDADD = $(harness_libs) $(CHECK_LIBS) -lm
endif
