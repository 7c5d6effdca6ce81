/* SPDX-License-Identifier: Apache-2.0
 *
 * tools/helpers.h: units of a work are done by one process each, and this one waits for nobody who is gone. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "tests/check.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "tools/helpers.h"

enum { UNITS = 40 };

static struct helpers helpers;
static atomic_uint *times; /* (UNITS) how often a helper did each */

static void backwards(void *user) {
    const bool *dies = user;
    for (uint32_t i = UNITS; i-- > 0;) {
        if (!helpers_take(&helpers, i)) {
            continue;
        }
        atomic_fetch_add(&times[i], 1);
        if (*dies) {
            raise(SIGKILL);
        }
    }
}

static void run(bool dies) {
    times = mmap(NULL, UNITS * sizeof *times, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(times != MAP_FAILED);
    helpers_start(&helpers, 3, backwards, &dies);
    for (uint32_t i = 0; i < UNITS; i++) {
        assert_true(helpers_take(&helpers, i)); /* with the helper's part behind it */
        assert_true(atomic_load(&times[i]) <= 1);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    helpers_end(&helpers);
    assert_null(helpers.row);
    munmap(times, UNITS * sizeof *times);
}

static void test_each_unit_is_one_helpers(void **state) {
    (void)state;
    run(false);
}

static void test_a_helper_that_dies_holds_nobody_up(void **state) {
    (void)state;
    run(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_unit_is_one_helpers),
        cmocka_unit_test(test_a_helper_that_dies_holds_nobody_up),
    };
    return check_run(tests);
}
