/* SPDX-License-Identifier: BSD-3-Clause */
/* The suites that check_client runs besides its own (the oracle). */
#ifndef NATRIG_TESTS_CHECK_CLIENT_SUITES_H
#define NATRIG_TESTS_CHECK_CLIENT_SUITES_H

#include <check.h>

Suite *client_policy_suite(void);
Suite *client_timers_suite(void);
Suite *client_mapping_suite(void);
Suite *client_input_suite(void);

#endif
