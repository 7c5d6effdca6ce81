/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that appear whole or not at all, on file systems with nameless files (O_TMPFILE) and, with an open() that knows
 * none, on those without. */
#define _GNU_SOURCE // O_TMPFILE, mkdtemp
#include "tests/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pack/destination.h"

static bool nameless_files;
static unsigned refused;
static char folder[] = "/tmp/moxie-destination-XXXXXX";

/* Stand before the C library's, for this program. */
int open_here(const char *path, int flags, ...) __asm__("open");
int open_64_here(const char *path, int flags, ...) __asm__("open64");

static int open_if(const char *path, int flags, va_list more) {
    const bool creates = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
    if ((flags & O_TMPFILE) == O_TMPFILE && !nameless_files) {
        refused++;
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, creates ? va_arg(more, mode_t) : 0);
}

int open_here(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const int fd = open_if(path, flags, more);
    va_end(more);
    return fd;
}

int open_64_here(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const int fd = open_if(path, flags, more);
    va_end(more);
    return fd;
}

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void check_content(const char *name, const char *text) {
    char got[64] = {0};
    FILE *f = fopen(in_folder(name), "r");
    assert_non_null(f);
    fread(got, 1, sizeof got - 1, f);
    fclose(f);
    assert_string_equal(got, text);
}

static unsigned names(void) {
    unsigned n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n - 2; /* . and .. */
}

static void open_and_write(struct pk_destination *d, const char *name) {
    const unsigned before = refused;
    assert_true(pk_destination_open(d, in_folder(name)));
    assert_int_equal(refused, before + !nameless_files);
    assert_int_equal(write(d->fd, "new", 3), 3);
}

static void each_way(void (*check)(void)) {
    for (int with = 0; with < 2; with++) {
        nameless_files = with;
        check();
        assert_int_equal(names(), 0);
    }
}

static void new_file(void) {
    struct pk_destination d;
    struct stat st;
    open_and_write(&d, "a");
    assert_int_equal(names(), !d.nameless); /* at most the temporary one */
    assert_int_equal(access(in_folder("a"), F_OK), -1);
    assert_true(pk_destination_commit(&d));
    pk_destination_close(&d);
    assert_int_equal(names(), 1);
    check_content("a", "new");
    assert_int_equal(stat(in_folder("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640); /* of the mask below */
    unlink(in_folder("a"));
}

static void abandoned_file(void) {
    struct pk_destination d;
    open_and_write(&d, "a");
    errno = ENOSPC;
    pk_destination_close(&d);
    assert_int_equal(errno, ENOSPC); /* the caller's reason */
    assert_int_equal(names(), 0);
}

static void replaced_file(void) {
    struct pk_destination d;
    write_file("a", "old");
    open_and_write(&d, "a");
    check_content("a", "old");
    pk_destination_close(&d);
    assert_int_equal(names(), 1);
    open_and_write(&d, "a");
    assert_true(pk_destination_commit(&d));
    pk_destination_close(&d);
    assert_int_equal(names(), 1);
    check_content("a", "new");
    unlink(in_folder("a"));
}

static void link_to_a_file(void) {
    struct pk_destination d;
    struct stat st;
    write_file("a", "old");
    assert_int_equal(symlink("a", in_folder("link")), 0);
    open_and_write(&d, "link");
    assert_true(pk_destination_commit(&d));
    pk_destination_close(&d);
    check_content("a", "new");
    assert_int_equal(lstat(in_folder("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    unlink(in_folder("link"));
    assert_false(pk_destination_open(&d, in_folder("missing/a")));
    assert_int_equal(errno, ENOENT);
    pk_destination_close(&d);
    unlink(in_folder("a"));
}

static void new_files_appear_whole(void **state) {
    (void)state;
    each_way(new_file);
}

static void what_is_not_committed_leaves_nothing(void **state) {
    (void)state;
    each_way(abandoned_file);
}

static void an_old_file_stays_until_the_new_one_is_whole(void **state) {
    (void)state;
    each_way(replaced_file);
}

static void links_are_followed(void **state) {
    (void)state;
    each_way(link_to_a_file);
}

static int make_folder(void **state) {
    (void)state;
    umask(026);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_files_appear_whole),
        cmocka_unit_test(what_is_not_committed_leaves_nothing),
        cmocka_unit_test(an_old_file_stays_until_the_new_one_is_whole),
        cmocka_unit_test(links_are_followed),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, make_folder, remove_folder);
}
