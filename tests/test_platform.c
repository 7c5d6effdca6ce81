/* SPDX-License-Identifier: Apache-2.0
 *
 * The POSIX port: files and regions. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"

static char folder[] = "/tmp/moxie-platform-XXXXXX";
static char path[64];

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    return rmdir(folder);
}

static const char *file_with(const char *text, size_t n) {
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void a_file_is_mapped_whole(void **state) {
    (void)state;
    struct moxie_failure f;
    struct mx_mapping m;
    file_with("0123456789", 10);
    check_ok(mx_map_file(path, &m, &f), f);
    assert_int_equal(m.size, 10);
    assert_memory_equal(m.data, "0123456789", 10);
    mx_unmap_file(&m);
    assert_null(m.data);
    mx_unmap_file(&m);
    unlink(path);
}

static void an_empty_file_has_no_bytes(void **state) {
    (void)state;
    struct moxie_failure f;
    struct mx_mapping m;
    check_ok(mx_map_file(file_with("", 0), &m, &f), f);
    assert_int_equal(m.size, 0);
    assert_non_null(m.data);
    mx_unmap_file(&m);
    unlink(path);
}

static void what_is_no_file_is_refused(void **state) {
    (void)state;
    struct moxie_failure f;
    struct mx_mapping m = {.data = (const uint8_t *)"", .size = 1};
    check_error(mx_map_file("/nonexistent/bundle.moxie", &m, &f), MOXIE_ERROR_FILE);
    assert_null(m.data);
    assert_string_equal(f.what, "/nonexistent/bundle.moxie: cannot open: no such file (errno 2)");
    check_error(mx_map_file(folder, &m, &f), MOXIE_ERROR_FILE);
    assert_non_null(strstr(f.what, "is a folder"));
    check_error(mx_map_file("/dev/null", &m, &f), MOXIE_ERROR_FILE);
    check_error(mx_map_file(NULL, &m, &f), MOXIE_ERROR_FILE);
    /* a FIFO without a writer must not block */
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_error(mx_map_file(path, &m, &f), MOXIE_ERROR_FILE);
    unlink(path);
}

static void a_file_larger_than_the_address_space_is_refused(void **state) {
    (void)state;
    struct moxie_failure f;
    struct mx_mapping m;
    file_with("", 0);
    /* 2^62 bytes exceed the 47 bits of user addresses; few file systems can hold such a sparse file */
    if (truncate(path, (off_t)1 << 62) == 0) {
        check_error(mx_map_file(path, &m, &f), MOXIE_ERROR_MAP);
        assert_null(m.data);
    }
    unlink(path);
}

static void regions_are_zeroed_pages(void **state) {
    (void)state;
    struct moxie_failure f;
    void *region;
    check_ok(mx_region_map(100000, &region, &f), f);
    assert_int_equal((uintptr_t)region % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(((uint8_t *)region)[i], 0);
    }
    memset(region, 1, 100000);
    mx_region_unmap(region, 100000);
    mx_region_unmap(NULL, 5);
    check_error(mx_region_map(0, &region, &f), MOXIE_ERROR_ARGUMENT);
    check_error(mx_region_map(UINT64_MAX, &region, &f), MOXIE_ERROR_MAP);
    assert_null(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_mapped_whole),     cmocka_unit_test(an_empty_file_has_no_bytes),
        cmocka_unit_test(what_is_no_file_is_refused), cmocka_unit_test(a_file_larger_than_the_address_space_is_refused),
        cmocka_unit_test(regions_are_zeroed_pages),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
