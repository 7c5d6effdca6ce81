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

#include "pack/keys.h"
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
    struct pk_key key;
    if (!pk_key_read_private(&key, in_folder("rfc.key"), &e)) {
        fail_msg("%s", e.text);
    }
    uint8_t xy[64], digest[32], rs[64], expected[64];
    check_hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
              "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
              xy, 64);
    assert_memory_equal(key.xy, xy, 64);
    mx_sha256("sample", 6, digest);
    assert_true(pk_sign(&key, digest, rs, &e));
    check_hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
              "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
              expected, 64);
    assert_memory_equal(rs, expected, 64);
    pk_key_wipe(&key);
}

static void test_fresh_key(void **state) {
    (void)state;
    struct pk_error e = {0};
    struct pk_key made, read;
    uint8_t xy[64];
    char private[128], public[128];
    snprintf(private, sizeof private, "%s/fresh.key", folder);
    snprintf(public, sizeof public, "%s/fresh.pub", folder);
    assert_true(pk_key_generate(&made, &e));
    assert_true(pk_key_write_private(&made, private, &e));
    assert_true(pk_key_write_public(made.xy, public, &e));
    struct stat st;
    assert_int_equal(stat(private, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(pk_key_read_private(&read, private, &e));
    assert_memory_equal(&made, &read, sizeof made);
    assert_true(pk_key_read_public(xy, public, &e));
    assert_memory_equal(made.xy, xy, sizeof xy);
    assert_true(pk_key_read_public(xy, private, &e));
    assert_memory_equal(made.xy, xy, sizeof xy);

    uint8_t digest[32] = {1, 2, 3}, rs[64];
    assert_true(pk_sign(&read, digest, rs, &e));
    struct moxie_failure failure;
    check_ok(mx_p256_verify(made.xy, digest, rs, &failure), failure);
    digest[31] ^= 1;
    check_error(mx_p256_verify(made.xy, digest, rs, &failure), MOXIE_ERROR_SIGNATURE);

    /* A key is never written over. */
    assert_false(pk_key_write_private(&made, private, &e));
    assert_int_equal(e.code, MOXIE_ERROR_FILE);
    assert_non_null(strstr(e.text, private));
}

static void test_bad_files(void **state) {
    (void)state;
    struct pk_error e = {0};
    struct pk_key key;
    uint8_t xy[64];
    write_file("empty.key", "");
    write_file("text.key", "-----BEGIN PRIVATE KEY-----\nhello\n-----END PRIVATE KEY-----\n");
    /* secp256k1 is not P-256: openssl ecparam -name secp256k1 -genkey | openssl ec -pubout */
    write_file("k1.pub", "-----BEGIN PUBLIC KEY-----\n"
                         "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE+QIdjkvxODmCeqF3IiB3OoeTnyt3/cOL\n"
                         "QdeHKiDvhvnlgRZpvnMGWdgb+AfvcBU4Vw00D5KvTIHzfnxOo/uFmQ==\n"
                         "-----END PUBLIC KEY-----\n");
    const char *names[] = {"empty.key", "text.key", "k1.pub", "absent"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_false(pk_key_read_private(&key, in_folder(names[i]), &e));
        assert_non_null(strstr(e.text, names[i]));
        assert_false(pk_key_read_public(xy, in_folder(names[i]), &e));
        assert_non_null(strstr(e.text, names[i]));
    }
}

static void test_store(void **state) {
    (void)state;
    struct pk_error e = {0};
    struct pk_key made;
    uint8_t(*list)[64];
    size_t n;
    setenv("XDG_CONFIG_HOME", in_folder("config"), 1);
    assert_true(pk_keys_public(&list, &n, &e));
    assert_int_equal(n, 0);
    assert_true(pk_keys_create(PK_KEY_DEFAULT, &made, &e));
    assert_false(pk_keys_create(PK_KEY_DEFAULT, &made, &e));
    assert_true(pk_keys_public(&list, &n, &e));
    assert_int_equal(n, 1);
    struct pk_key again;
    bool missing;
    assert_true(pk_keys_private(PK_KEY_DEFAULT, &again, &missing, &e));
    assert_memory_equal(list[0], again.xy, sizeof again.xy);
    free(list);
    char *keys = pk_keys_folder(&e), public[256];
    snprintf(public, sizeof public, "%s/default.pub.pem", keys);
    free(keys);
    FILE *f = fopen(public, "w");
    assert_non_null(f);
    fputs("no key", f);
    fclose(f);
    assert_false(pk_keys_public(&list, &n, &e)); /* said, not skipped */
    assert_non_null(strstr(e.text, public));
    assert_false(pk_keys_private("absent", &again, &missing, &e));
    assert_true(missing);
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
