/* SPDX-License-Identifier: Apache-2.0
 *
 * What every C test includes first: cmocka, and the few things that the tests share. Tests run in the root of the
 * repository, so that they can open "tests/data/…". */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "platform/moxie_error.h"

/* Runs `const struct CMUnitTest tests[]` of main(); its value is the exit status. */
#define check_run(tests) cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL)

/* Fails with the failure's own words when `call` does not return MOXIE_OK; `f` is the struct moxie_failure it fills. */
#define check_ok(call, f)                                                                                              \
    do {                                                                                                               \
        enum moxie_error check_code = (call);                                                                          \
        if (check_code != MOXIE_OK) {                                                                                  \
            fail_msg("%s: %s: %s", #call, moxie_error_name(check_code), (f).what);                                     \
        }                                                                                                              \
    } while (0)

/* Fails unless `call` returns `code`, and says which code came instead. */
#define check_error(call, code)                                                                                        \
    do {                                                                                                               \
        enum moxie_error check_code = (call);                                                                          \
        if (check_code != (code)) {                                                                                    \
            fail_msg("%s: expected '%s', got '%s'", #call, moxie_error_name(code), moxie_error_name(check_code));      \
        }                                                                                                              \
    } while (0)

/* Bytes of the hexadecimal text `hex` (spaces ignored) into `out`; fails unless there are exactly `n`. */
static inline void check_hex(const char *hex, uint8_t *out, size_t n) {
    size_t digits = 0;
    for (const char *p = hex; *p; p++) {
        if (*p == ' ') {
            continue;
        }
        int v = *p >= '0' && *p <= '9' ? *p - '0' : (*p | 32) >= 'a' && (*p | 32) <= 'f' ? (*p | 32) - 'a' + 10 : -1;
        assert_true(v >= 0 && digits < 2 * n);
        out[digits / 2] = (uint8_t)(digits % 2 ? out[digits / 2] << 4 | v : v);
        digits++;
    }
    assert_int_equal(digits, 2 * n);
}

#endif
