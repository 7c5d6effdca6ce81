/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 against FIPS 180-4's examples and NIST's, P-256 verification against RFC 6979 appendix A.2.5, the hostile
 * keys and signatures that a verifier must refuse, and the fixed pool under mbedTLS. */
#include "tests/check.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <mbedtls/sha256.h>

#include "runtime/crypto.h"
#include "runtime/sha256_blocks.h"
#include "runtime/third_party.h"

static void sha256_of_published_examples(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
         "stu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    uint8_t digest[32], expected[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_hex(cases[i][1], expected, 32);
        mx_sha256(cases[i][0], strlen(cases[i][0]), digest);
        assert_memory_equal(digest, expected, 32);
    }
    mx_sha256(NULL, 0, digest);
    check_hex(cases[0][1], expected, 32);
    assert_memory_equal(digest, expected, 32);
}

static void sha256_of_a_million_letters(void **state) {
    (void)state;
    char letters[1000];
    memset(letters, 'a', sizeof letters);
    struct mx_sha256 h;
    mx_sha256_init(&h);
    for (int i = 0; i < 1000; i++) {
        mx_sha256_update(&h, letters, sizeof letters);
    }
    uint8_t digest[32], expected[32];
    mx_sha256_finish(&h, digest);
    check_hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", expected, 32);
    assert_memory_equal(digest, expected, 32);
}

static void fill(uint8_t *bytes, size_t n) {
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(x >> 24);
    }
}

/* Every length around the block and padding borders, whole and in two parts; expectation: the system's mbedTLS. */
static void sha256_of_every_length_agrees_with_mbedtls(void **state) {
    (void)state;
    uint8_t bytes[300], digest[32], expected[32];
    fill(bytes, sizeof bytes);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        assert_int_equal(mbedtls_sha256_ret(bytes, n, expected, 0), 0);
        mx_sha256(bytes, n, digest);
        assert_memory_equal(digest, expected, 32);
        struct mx_sha256 h;
        mx_sha256_init(&h);
        mx_sha256_update(&h, bytes, n / 3);
        mx_sha256_update(&h, bytes + n / 3, n - n / 3);
        mx_sha256_finish(&h, digest);
        assert_memory_equal(digest, expected, 32);
    }
}

static void both_block_functions_agree(void **state) {
    (void)state;
    if (!mx_sha256_x86_usable()) {
        skip();
    }
    uint8_t bytes[64 * 20];
    fill(bytes, sizeof bytes);
    for (size_t n = 0; n <= 20; n++) {
        uint32_t a[8], b[8];
        fill((uint8_t *)a, sizeof a);
        memcpy(b, a, sizeof b);
        mx_sha256_blocks_portable(a, bytes, n);
        mx_sha256_blocks_x86(b, bytes, n);
        assert_memory_equal(a, b, sizeof a);
    }
}

/* RFC 6979, A.2.5 */
#define KEY_X "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
#define KEY_Y "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
/* SEC 2, 2.4.2: the order of the group, the prime of the field */
#define ORDER "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"
#define PRIME "FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF"

/* Signatures of the same two messages with other hash functions are signatures of a 256-bit number too: hashes are cut
 * to, or padded on the left to, 256 bits (FIPS 186-4, 6.4). */
static const struct {
    const char *hash, *r, *s;
} signatures[] = {
    {/* SHA-256("sample") */ "AF2BDBE1AA9B6EC1E2ADE1D694F41FC71A831D0268E9891562113D8A62ADD1BF",
     "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
     "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
    {/* SHA-256("test") */ "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
     "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
     "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
    {/* SHA-1("sample") */ "0000000000000000000000008151325DCDBAE9E0FF95F9F9658432DBEDFDB209",
     "61340C88C3AAEBEB4F6D667F672CA9759A6CCAA9FA8811313039EE4A35471D32",
     "6D7F147DAC089441BB2E2FE8F7A3FA264B9C475098FDCF6E00D7C996E1B8B7EB"},
    {/* SHA-384("sample") */ "9A9083505BC92276AEC4BE312696EF7BF3BF603F4BBD381196A029F340585312",
     "0EAFEA039B20E9B42309FB1D89E213057CBF973DC0CFC8F129EDDDC800EF7719",
     "4861F0491E6998B9455193E34E7B0D284DDD7149A74B95B9261F13ABDE940954"},
    {/* SHA-512("sample") */ "39A5E04AAFF7455D9850C605364F514C11324CE64016960D23D5DC57D3FFD8F4",
     "8496A60B5E9B47C825488827E0495B0E3FA109EC4568FD3F8D1097678EB97F00",
     "2362AB1ADBE2B8ADF9CB9EDAB740EA6049C028114F2460F96554F61FAE3302FE"},
};

static void rfc_6979_signatures_are_accepted(void **state) {
    (void)state;
    struct moxie_failure f;
    uint8_t key[64], hash[32], rs[64];
    check_hex(KEY_X KEY_Y, key, 64);
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        check_hex(signatures[i].hash, hash, 32);
        check_hex(signatures[i].r, rs, 32);
        check_hex(signatures[i].s, rs + 32, 32);
        check_ok(mx_p256_verify(key, hash, rs, &f), f);
    }
    mx_sha256("sample", 6, hash);
    uint8_t expected[32];
    check_hex(signatures[0].hash, expected, 32);
    assert_memory_equal(hash, expected, 32);
}

static void good(uint8_t key[64], uint8_t hash[32], uint8_t rs[64]) {
    check_hex(KEY_X KEY_Y, key, 64);
    check_hex(signatures[0].hash, hash, 32);
    check_hex(signatures[0].r, rs, 32);
    check_hex(signatures[0].s, rs + 32, 32);
}

static void any_changed_byte_is_refused(void **state) {
    (void)state;
    struct moxie_failure f;
    uint8_t key[64], hash[32], rs[64];
    good(key, hash, rs);
    for (size_t i = 0; i < 64; i++) {
        rs[i] ^= 1U << i % 8;
        check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_SIGNATURE);
        rs[i] ^= 1U << i % 8;
        /* a changed coordinate leaves the curve */
        key[i] ^= 1U << i % 8;
        check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_KEY_INVALID);
        key[i] ^= 1U << i % 8;
    }
    for (size_t i = 0; i < 32; i++) {
        hash[i] ^= 1U << i % 8;
        check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_SIGNATURE);
        hash[i] ^= 1U << i % 8;
    }
    check_ok(mx_p256_verify(key, hash, rs, &f), f);
    /* another point of the curve: the same X, −Y */
    uint8_t prime[32];
    check_hex(PRIME, prime, 32);
    int borrow = 0;
    for (size_t i = 32; i-- > 0;) {
        int d = prime[i] - key[32 + i] - borrow;
        borrow = d < 0;
        key[32 + i] = (uint8_t)d;
    }
    check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_SIGNATURE);
}

static void numbers_out_of_range_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"0000000000000000000000000000000000000000000000000000000000000000", ORDER,
                                      "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632552", /* n + 1 */
                                      "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"};
    struct moxie_failure f;
    uint8_t key[64], hash[32], rs[64];
    for (size_t half = 0; half < 3; half++) { /* r, s, both */
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            good(key, hash, rs);
            if (half != 1) {
                check_hex(bad[i], rs, 32);
            }
            if (half != 0) {
                check_hex(bad[i], rs + 32, 32);
            }
            check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_SIGNATURE);
        }
    }
}

/* With the hash 0, r = x(Q) and s = r is a signature under every key Q (u1 = 0, u2 = 1): anyone can make it, so it
 * proves nothing, but it is valid by the standard. It shows that u1 = 0 is computed and not mistaken for an error. */
static void the_zero_hash_is_computed_like_any_other(void **state) {
    (void)state;
    struct moxie_failure f;
    uint8_t key[64], hash[32] = {0}, rs[64];
    check_hex(KEY_X KEY_Y, key, 64);
    memcpy(rs, key, 32);
    memcpy(rs + 32, key, 32);
    check_ok(mx_p256_verify(key, hash, rs, &f), f);
    rs[63] ^= 1;
    check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_SIGNATURE);
}

static void keys_off_the_curve_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000",
        KEY_Y KEY_X,
        PRIME KEY_Y,
        KEY_X PRIME,
        /* X = 0 + p: a point of the curve (0, √b) written with an X that is not reduced */
        PRIME "66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4",
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
    };
    struct moxie_failure f;
    uint8_t key[64], hash[32], rs[64];
    good(key, hash, rs);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_hex(bad[i], key, 64);
        check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_KEY_INVALID);
    }
    /* the same point with X = 0 is one of the curve */
    memset(key, 0, 32);
    check_hex("66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4", key + 32, 32);
    check_error(mx_p256_verify(key, hash, rs, &f), MOXIE_ERROR_SIGNATURE);
}

static void a_key_id_hashes_the_uncompressed_point(void **state) {
    (void)state;
    uint8_t key[64], point[65], id[32], expected[32];
    check_hex("04" KEY_X KEY_Y, point, 65);
    check_hex(KEY_X KEY_Y, key, 64);
    mx_p256_key_id(key, id);
    assert_int_equal(mbedtls_sha256_ret(point, sizeof point, expected, 0), 0);
    assert_memory_equal(id, expected, 32);
}

static char threads_failed[1];

static void *verify_often(void *wrong) {
    struct moxie_failure f;
    uint8_t key[64], hash[32], rs[64];
    good(key, hash, rs);
    hash[0] ^= wrong != NULL;
    for (int i = 0; i < 20; i++) {
        enum moxie_error code = mx_p256_verify(key, hash, rs, &f);
        if (code != (wrong ? MOXIE_ERROR_SIGNATURE : MOXIE_OK)) {
            return threads_failed;
        }
    }
    return NULL;
}

static void threads_take_turns(void **state) {
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, i % 2 ? threads : NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

/* Runs last, after every kind of verification above. */
static void the_pool_has_room_to_spare(void **state) {
    (void)state;
    print_message("mbedTLS used at most %zu of %d bytes\n", mx_tp_peak(), (int)MX_TP_POOL_BYTES);
    assert_in_range(mx_tp_peak(), 1, MX_TP_POOL_BYTES / 2);
}

static void the_pool_allocates_frees_and_merges(void **state) {
    (void)state;
    mx_tp_enter();
    assert_null(mx_tp_calloc(1, MX_TP_POOL_BYTES));
    assert_null(mx_tp_calloc(SIZE_MAX, SIZE_MAX));
    assert_null(mx_tp_calloc(SIZE_MAX / 2, 3));
    uint8_t *blocks[MX_TP_POOL_BYTES / 16];
    size_t n = 0;
    for (uint8_t *p; (p = mx_tp_calloc(1, 100)); n++) {
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(p[i], 0);
        }
        memset(p, 0xFF, 100);
        blocks[n] = p;
    }
    assert_in_range(n, MX_TP_POOL_BYTES / 128 - 1, MX_TP_POOL_BYTES / 100);
    /* neighbours freed in any order become one block again, zeroed when it is given out */
    for (size_t i = 0; i < n; i += 2) {
        mx_tp_free(blocks[i]);
    }
    assert_null(mx_tp_calloc(1, 200));
    for (size_t i = 1; i < n; i += 2) {
        mx_tp_free(blocks[i]);
    }
    uint8_t *all = mx_tp_calloc(1, MX_TP_POOL_BYTES - sizeof(max_align_t));
    assert_non_null(all);
    for (size_t i = 0; i < MX_TP_POOL_BYTES - sizeof(max_align_t); i++) {
        assert_int_equal(all[i], 0);
    }
    all[5] = 77;
    mx_tp_free(NULL);
    mx_tp_leave();
    assert_int_equal(all[5], 0); /* wiped */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_published_examples),
        cmocka_unit_test(sha256_of_a_million_letters),
        cmocka_unit_test(sha256_of_every_length_agrees_with_mbedtls),
        cmocka_unit_test(both_block_functions_agree),
        cmocka_unit_test(rfc_6979_signatures_are_accepted),
        cmocka_unit_test(any_changed_byte_is_refused),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(the_zero_hash_is_computed_like_any_other),
        cmocka_unit_test(keys_off_the_curve_are_refused),
        cmocka_unit_test(a_key_id_hashes_the_uncompressed_point),
        cmocka_unit_test(threads_take_turns),
        cmocka_unit_test(the_pool_has_room_to_spare),
        cmocka_unit_test(the_pool_allocates_frees_and_merges),
    };
    return check_run(tests);
}
