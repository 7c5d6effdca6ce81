/* SPDX-License-Identifier: Apache-2.0
 *
 * The port without files: everything it cannot do is a named error. */
#include "tests/check.h"

/* its definitions take the place of the POSIX ones in this program */
#include "platform/minimal.c" // NOLINT(bugprone-suspicious-include)

static void files_and_regions_are_named_errors(void **state) {
    (void)state;
    struct moxie_failure f;
    struct mx_mapping m;
    void *region;
    check_error(mx_map_file("Makefile", &m, &f), MOXIE_ERROR_FILE);
    assert_null(m.data);
    assert_string_equal(f.what, "this build has no file access: give the bundle's bytes instead");
    mx_unmap_file(&m);
    check_error(mx_region_map(4096, &region, &f), MOXIE_ERROR_MAP);
    assert_null(region);
    mx_region_unmap(region, 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_and_regions_are_named_errors),
    };
    return check_run(tests);
}
