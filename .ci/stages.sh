#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The stages of .ci/run: `stages.sh FUNCTION WORK_DIR` from the tree's root.
# Exit status 77: the stage has nothing to do here, and said why.
#
# Functions are called by their name in an argument:
# shellcheck disable=SC2317
set -euo pipefail

source_dir=$PWD
work=$2
last_log=$work/$1.log
jobs=$(nproc)
# Labs wait more than they compute.
test_jobs=$((2 * jobs))
export PYTEST_XDIST_AUTO_NUM_WORKERS=$test_jobs
# Check's own 4 s are for a machine that does nothing else.
export CK_TIMEOUT_MULTIPLIER=5

# What was compiled before is not compiled again, wherever it was built.
export PATH=/usr/lib/ccache:$PATH
export CCACHE_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/natrig-ci/ccache
export CCACHE_BASEDIR=/ CCACHE_NOHASHDIR=1

skip() {
	printf 'skipped: %s\n' "$*"
	exit 77
}

need() {
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

# Runs a command; shows the end of what it said where it fails.
quietly() {
	"$@" >"$last_log" 2>&1 || {
		tail -n 40 "$last_log"
		return 1
	}
}

# build DIR SOURCE OPTION...: configures and builds everything in DIR, where that
# has not been done, and stays in it.
build() {
	local dir=$1 source=$2
	shift 2
	mkdir -p "$dir"
	cd "$dir"
	[ -f Makefile ] || quietly "$source/configure" --quiet "$@"
	quietly make -s -j "$jobs"
	quietly make -s -j "$jobs" check TESTS=
}

# build_in NAME OPTION...: the same from the tree, in a directory of that name.
build_in() {
	local dir=$work/$1
	shift
	[ -x configure ] || ./autogen.sh
	build "$dir" "$source_dir" "$@"
}

# Runs the Check programs; shows Check's closing line of each. "$@": how make
# is run.
check_with() {
	local status=0
	"$@" -s -j "$test_jobs" check VERBOSE=1 || status=$?
	find . -path '*/tests/check_*.log' -exec grep -h '%: Checks:' {} +
	return "$status"
}

pytest_with() {
	"$@" /usr/bin/python3 -m pytest -p no:cacheprovider -q "${pytest_args[@]}"
}

# Whether the first stage can leave installing out.
all_installed() {
	local tool
	for tool in clang valgrind gcovr shellcheck turnserver ccache nebula; do
		command -v "$tool" >/dev/null || return 1
	done
}

# Real clients want the machine for themselves, and have a stage of their own.
quickstart_test() {
	NATRIG_TEST_REAL=no ./quickstart test
}

packages() {
	./quickstart ci
}

# One version of each, pinned here, built once and found again. Where the Go
# modules cannot be had, their tests say what is missing.
tailscale=1.102.5
headscale=0.29.0

install_clients() {
	need go
	if ! build/natrig client install "tailscale@$tailscale" ||
		! build/natrig client install "headscale@$headscale"; then
		skip "they cannot be had here"
	fi
	build/natrig client list
}

# In real time, and nothing else beside them.
real_clients() {
	local status=0
	pytest_args=(-m real tests)
	pytest_with env || status=$?
	pytest_args=(-n 3 -m real scenarios)
	pytest_with env || status=$?
	return "$status"
}

# A throw-away copy, and a user who may nothing. The whole-program tests run
# natrig as this very user beside root already, so here are those that do not.
unprivileged() {
	[ "$(id -u)" -eq 0 ] || skip "all of this run is unprivileged"
	local status=0 copy=$work/unprivileged
	local nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups
		--inh-caps=-all env HOME="$copy" USER=nobody)
	cp -a "$source_dir" "$copy"
	# What is built looks for its sources where they were.
	if ! "${nobody[@]}" test -r "$source_dir/configure.ac"; then
		rm -rf "$copy/build"
		(build "$copy/build" ..)
	fi
	chown -R nobody:nogroup "$copy"
	cd "$copy"
	check_with "${nobody[@]}" make -C build || status=$?
	pytest_args=(-n auto -m "not alone and not real" tests/test_run.py
		tests/test_doctor.py tests/test_exec.py scenarios)
	pytest_with "${nobody[@]}" || status=$?
	return "$status"
}

gcc_build() {
	build_in gcc --enable-werror CC=gcc
}

clang_build() {
	need clang
	build_in clang --enable-werror CC=clang
}

# One build for both: all tests are seen by the sanitizers, and by gcov. As one
# user: others may not write down what they covered. Of use_sigaltstack see
# tests/check_upnp.c.
sanitizers() {
	build_in sanitizers --enable-sanitizers --enable-coverage CFLAGS='-g'
	check_with make
	(
		cd "$source_dir"
		pytest_args=(-n auto -k "not nobody" -m "not alone and not real"
			tests scenarios)
		pytest_with env NATRIG="$work/sanitizers/natrig" \
			ASAN_OPTIONS=use_sigaltstack=0
	)
	need gcovr
	make -s coverage
}

# In one process (CK_FORK=no), so that valgrind sees what the tests do. Without
# three programs: valgrind 3.19 can neither be process 1 of a namespace nor does
# it know fsopen(2), which the labs with a port-mapping daemon need, nor
# epoll_pwait2(2).
memcheck() {
	need valgrind
	build_in memcheck CFLAGS='-g -O1'
	local programs
	export CK_FORK=no CK_TIMEOUT_MULTIPLIER=20 UNDER_VALGRIND=1
	programs=$(find tests -maxdepth 1 -name 'check_*' -type f -executable \
		! -name check_sandbox ! -name check_lab \
		! -name check_certify_all -printf '%p ')
	check_with make TESTS="$programs" LOG_COMPILER="valgrind --quiet \
		--error-exitcode=99 --leak-check=full \
		--suppressions=$source_dir/tests/valgrind.supp"
}

# fuzz_one TARGET CORPUS: a few seconds, from the corpus on.
fuzz_one() {
	local name=${1##*/fuzz_} status=0
	mkdir -p "found/$name"
	"$1" -max_total_time=2 -verbosity=0 -print_final_stats=0 \
		"found/$name" "$2/$name" >"found/$name.log" 2>&1 || status=$?
	[ "$status" -eq 0 ] || tail -n 40 "found/$name.log"
	printf '%-12s %s inputs found\n' "$name" \
		"$(find "found/$name" -type f | wc -l)"
	return "$status"
}

# Finds what is new and shallow.
fuzzers() {
	need clang
	build_in fuzzers CC=clang \
		CFLAGS='-g -O1 -fsanitize=fuzzer-no-link,address,undefined'
	quietly make -s -j "$jobs" fuzzers
	export -f fuzz_one
	find tests/fuzz -name 'fuzz_*' -type f -executable -print0 |
		xargs -0 -P "$jobs" -I '{}' bash -c \
		'fuzz_one "$@"' - '{}' "$source_dir/tests/fuzz/corpus"
}

# From the tree of gcc_build, where there is one.
distribution() {
	build_in gcc --enable-werror CC=gcc
	quietly make -s -j "$test_jobs" distcheck
	tail -n 3 "$last_log"
}

shell_scripts() {
	need shellcheck
	shellcheck quickstart .ci/run .ci/stages.sh autogen.sh
}

"$1"
