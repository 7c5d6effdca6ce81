/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and signatures of the packer. The expected signature is RFC 6979's (A.2.5, P-256, SHA-256, message "sample");
 * the library's own verifier, another copy of mbedTLS behind another interface, checks fresh keys. */
#define _GNU_SOURCE // mkdtemp, setenv
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack/sign.h"
#include "runtime/crypto.h"

static char folder[] = "/tmp/moxie-sign-XXXXXX";

static char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void test_rfc6979(void **state) {
    (void)state;
    /* The RFC's private key as PKCS#8. */
    write_file("rfc.key", "-----BEGIN PRIVATE KEY-----\n"
                          "MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCDJr6nYRbp1FmtcIVdn\n"
                          "sdaTTlDD2zbomxJ7imIrEg9nIQ==\n"
                          "-----END PRIVATE KEY-----\n");
    struct pk_error e = {0};
    struct pk_key *key = pk_key_open(in_folder("rfc.key"), &e);
    if (!key) {
        fail_msg("%s", e.text);
    }
    struct pk_public public;
    pk_key_public(key, &public);
    uint8_t xy[64], digest[32], rs[64], expected[64];
    check_hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
              "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
              xy, 64);
    assert_memory_equal(public.xy, xy, 64);
    mx_sha256("sample", 6, digest);
    assert_true(pk_sign(key, digest, rs, &e));
    check_hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
              "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
              expected, 64);
    assert_memory_equal(rs, expected, 64);
    pk_key_close(key);
}

static void test_fresh_key(void **state) {
    (void)state;
    struct pk_error e = {0};
    struct pk_public made, read;
    char private[128], public[128];
    strcpy(private, in_folder("fresh.key"));
    strcpy(public, in_folder("fresh.pub"));
    assert_true(pk_key_generate(private, public, &made, &e));
    struct stat st;
    assert_int_equal(stat(private, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(pk_public_open(public, &read, &e));
    assert_memory_equal(&made, &read, sizeof made);
    assert_true(pk_public_open(private, &read, &e));
    assert_memory_equal(&made, &read, sizeof made);

    struct pk_key *key = pk_key_open(private, &e);
    assert_non_null(key);
    uint8_t digest[32] = {1, 2, 3}, rs[64];
    assert_true(pk_sign(key, digest, rs, &e));
    struct moxie_failure failure;
    check_ok(mx_p256_verify(made.xy, digest, rs, &failure), failure);
    digest[31] ^= 1;
    check_error(mx_p256_verify(made.xy, digest, rs, &failure), MOXIE_ERROR_SIGNATURE);
    pk_key_close(key);

    /* A key is never written over. */
    assert_false(pk_key_generate(private, public, &made, &e));
    assert_int_equal(e.code, MOXIE_ERROR_FILE);
    assert_non_null(strstr(e.text, private));
}

static void test_bad_files(void **state) {
    (void)state;
    struct pk_error e = {0};
    struct pk_public public;
    write_file("empty.key", "");
    write_file("text.key", "-----BEGIN PRIVATE KEY-----\nhello\n-----END PRIVATE KEY-----\n");
    /* secp256k1 is not P-256: openssl ecparam -name secp256k1 -genkey | openssl ec -pubout */
    write_file("k1.pub", "-----BEGIN PUBLIC KEY-----\n"
                         "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE+QIdjkvxODmCeqF3IiB3OoeTnyt3/cOL\n"
                         "QdeHKiDvhvnlgRZpvnMGWdgb+AfvcBU4Vw00D5KvTIHzfnxOo/uFmQ==\n"
                         "-----END PUBLIC KEY-----\n");
    const char *names[] = {"empty.key", "text.key", "k1.pub", "absent"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_null(pk_key_open(in_folder(names[i]), &e));
        assert_non_null(strstr(e.text, names[i]));
        assert_false(pk_public_open(in_folder(names[i]), &public, &e));
        assert_non_null(strstr(e.text, names[i]));
    }
}

static void test_store(void **state) {
    (void)state;
    struct pk_error e = {0};
    struct pk_public *list, made;
    size_t n;
    setenv("XDG_CONFIG_HOME", in_folder("config"), 1);
    assert_true(pk_key_store_list(&list, &n, &e));
    assert_int_equal(n, 0);
    char *private = pk_key_store("default.key", true, &e), *public = pk_key_store("default.pub", false, &e);
    assert_non_null(private);
    assert_true(pk_key_generate(private, public, &made, &e));
    assert_true(pk_key_store_list(&list, &n, &e));
    assert_int_equal(n, 1);
    assert_memory_equal(&list[0], &made, sizeof made);
    free(list);
    FILE *f = fopen(public, "w");
    fputs("no key", f);
    fclose(f);
    assert_false(pk_key_store_list(&list, &n, &e)); /* said, not skipped */
    assert_non_null(strstr(e.text, public));
    free(private);
    free(public);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc6979),
        cmocka_unit_test(test_fresh_key),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_store),
    };
    if (!mkdtemp(folder)) {
        return 1;
    }
    int failed = check_run(tests);
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || failed;
}
