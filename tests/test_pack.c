/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing as a whole: what the summary says, what options do, and that a failure leaves nothing behind. What the bytes
 * mean is tested by test_bundle.c, test_encode.c and test_spec.py. */
#define _GNU_SOURCE // setrlimit
#include "tests/check.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/bundle_kit.h"
#include "tests/importer_files.h"

static size_t files_in(const char *folder) {
    DIR *d = opendir(folder);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(d));) {
        n += entry->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

static const struct pk_kind *kind(const struct pk_summary *s, uint32_t role) {
    for (uint32_t i = 0; i < s->kinds; i++) {
        if (s->kind[i].role == role) {
            return &s->kind[i];
        }
    }
    fail_msg("the summary lacks role %u", role);
    return NULL;
}

static struct pk_summary pack(const char *name, const char *output, struct pk_pack_options o) {
    struct pk_summary s;
    struct pk_error e = {0};
    char source[128];
    snprintf(source, sizeof(source), REFERENCE "%s", name);
    o.source = source;
    o.output = output;
    o.key = &bundle_key;
    if (!pk_pack(&o, NULL, NULL, &s, &e)) {
        fail_msg("%s: %s", name, e.text);
    }
    return s;
}

static void the_summary_tells_what_became_of_the_weights(void **state) {
    (void)state;
    char *folder = make_folder();
    const char *out = in_folder(folder, "b.moxie");
    struct pk_summary s = pack("moe-sparse-step", out, (struct pk_pack_options){0});
    struct stat st;
    assert_int_equal(stat(out, &st), 0);
    assert_int_equal(s.bundle_bytes, st.st_size);
    const mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
    assert_string_equal(s.model, "moe-sparse-step");
    assert_string_equal(s.architecture, "qwen2_moe");
    assert_int_equal(s.layers, 3);
    assert_true(s.tokenizer && !s.license);
    /* the experts of layer 1 and two dense FFNs; hidden 80, width 24 padded to 32, dense width 112 */
    const struct pk_kind *gate_up = kind(&s, MX_ROLE_GATE_UP);
    assert_int_equal(gate_up->matrices, 7 + 3 + 2);
    assert_int_equal(gate_up->format, MX_FORMAT_F16);
    assert_int_equal(gate_up->bytes, (10 * 64 + 2 * 224) * 96 * 2);
    assert_true(gate_up->error == 0);
    /* embedding, head, attention (q 80, k and v 16 rows), router, experts; the shared expert's gate is a vector */
    assert_int_equal(s.parameters, 2 * 265 * 80 + 3 * (112 * 80 + 80 * 80) + 7 * 80 + 3 * 80 * (7 * 24 + 72 + 2 * 112));

    s = pack("moe-sparse-step", out, (struct pk_pack_options){.weights = PK_WEIGHTS_INT4, .group = 64});
    gate_up = kind(&s, MX_ROLE_GATE_UP);
    assert_int_equal(gate_up->format, MX_FORMAT_I4);
    assert_int_equal(gate_up->group, 64);
    /* normal values in four bits: about a tenth of their size is lost; in eight bits two thirds of a percent */
    assert_true(gate_up->error > 0.05 && gate_up->error < 0.12);
    assert_int_equal(kind(&s, MX_ROLE_HEAD)->format, MX_FORMAT_I8);
    assert_true(kind(&s, MX_ROLE_HEAD)->error > 0.003 && kind(&s, MX_ROLE_HEAD)->error < 0.01);
    assert_int_equal(kind(&s, MX_ROLE_ROUTER)->format, MX_FORMAT_F32);
    assert_true(kind(&s, MX_ROLE_ROUTER)->error == 0);
    remove_folder(folder);
}

static void names_and_counters_are_options(void **state) {
    (void)state;
    char *folder = make_folder();
    const char *out = in_folder(folder, "b.moxie");
    pack("llama", out, (struct pk_pack_options){.id = "Ein Name äöü", .security_counter = 4294967295});
    struct bytes file = read_whole(out);
    struct bundle_bytes b = bundle_new(file.n);
    memcpy(b.bytes, file.data, file.n);
    free_bytes(&file);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    check_ok(bundle_open(&b, &bundle, &f), f);
    assert_string_equal(bundle.manifest->model.id, "Ein Name äöü");
    assert_int_equal(bundle.manifest->security_counter, 4294967295);
    bundle_free(&b);
    remove_folder(folder);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    char *folder = make_folder();
    const char *source = REFERENCE "llama", *out = in_folder(folder, "b.moxie");
    char long_id[65];
    memset(long_id, 'x', 64);
    long_id[64] = 0;
    const struct pk_pack_options cases[] = {
        {.output = out, .key = &bundle_key},
        {.source = source, .key = &bundle_key},
        {.source = source, .output = out},
        {.source = source, .output = out, .key = &bundle_key, .group = 16},
        {.source = source, .output = out, .key = &bundle_key, .group = 256},
        {.source = source, .output = out, .key = &bundle_key, .kv_type = 4},
        {.source = source, .output = out, .key = &bundle_key, .id = ""},
        {.source = source, .output = out, .key = &bundle_key, .id = long_id},
        {.source = source, .output = out, .key = &bundle_key, .security_counter = 1ull << 32},
        {.source = source, .output = out, .key = &bundle_key, .segment_max = 1ull << 30},
        {.source = source, .output = out, .key = &bundle_key, .segment_max = 65537},
        {.source = source, .output = out, .key = &bundle_key, .segment_max = 4096},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pk_summary s;
        struct pk_error e = {0};
        assert_false(pk_pack(&cases[i], NULL, NULL, &s, &e));
        assert_int_equal(e.code, MOXIE_ERROR_ARGUMENT);
    }
    assert_int_equal(files_in(folder), 0);
    remove_folder(folder);
}

static int stop_at(void *user, uint64_t done, uint64_t total) {
    uint64_t *limit = user;
    assert_true(done <= total);
    return done >= *limit;
}

/* Packs over a file that is there; it must stay as it was, with nothing beside it. */
static void fails_and_leaves(struct pk_pack_options o, uint64_t stop, int code, const char *part) {
    char *folder = make_folder();
    struct pk_summary s;
    struct pk_error e = {0};
    o.output = in_folder(folder, "b.moxie");
    o.key = &bundle_key;
    write_file(o.output, "before", 6);
    assert_false(pk_pack(&o, stop_at, &stop, &s, &e));
    check_pk_error(&e, code, part);
    assert_int_equal(files_in(folder), 1);
    struct bytes left = read_whole(in_folder(folder, "b.moxie"));
    assert_int_equal(left.n, 6);
    free_bytes(&left);
    remove_folder(folder);
}

static void a_failure_leaves_nothing_behind(void **state) {
    (void)state;
    const struct pk_pack_options llama = {.source = REFERENCE "llama"};
    fails_and_leaves(llama, 1, MOXIE_ERROR_CANCELLED, "stopped");
    fails_and_leaves(llama, 500000, MOXIE_ERROR_CANCELLED, "stopped");
    fails_and_leaves((struct pk_pack_options){.source = REFERENCE "none"}, UINT64_MAX, MOXIE_ERROR_FILE, "none");
    /* an expert that fits no segment */
    fails_and_leaves((struct pk_pack_options){.source = REFERENCE "qwen2", .segment_max = 65536}, UINT64_MAX,
                     MOXIE_ERROR_BOUNDS, "layer 0");

    struct pk_pack_options o = llama;
    struct pk_summary s;
    struct pk_error e = {0};
    o.key = &bundle_key;
    o.output = "/nowhere/at/all.moxie";
    assert_false(pk_pack(&o, NULL, NULL, &s, &e));
    check_pk_error(&e, MOXIE_ERROR_FILE, "/nowhere/at/all.moxie");
}

static void a_hollow_bundle_opens_and_never_verifies(void **state) {
    (void)state;
    struct moxie_failure f = {0};
    struct mx_bundle bundle;
    /* it has a tokenizer */
    fails_and_leaves((struct pk_pack_options){.source = REFERENCE "moe-sparse-step", .hollow = true}, UINT64_MAX,
                     MOXIE_ERROR_ARGUMENT, "hollow");
    struct bundle_bytes whole = bundle_pack("qwen2", NULL);
    struct bundle_bytes hollow = bundle_pack("qwen2", &(struct pk_pack_options){.hollow = true});
    assert_int_equal(hollow.size, whole.size);
    assert_int_equal(bundle_manifest(&hollow)->segments, bundle_manifest(&whole)->segments);
    check_ok(bundle_open(&hollow, &bundle, &f), f);
    check_error(bundle_check(&hollow, &f), MOXIE_ERROR_HASH);
    bundle_free(&whole);
    bundle_free(&hollow);
}

static void a_full_disk_is_an_error_wherever_it_strikes(void **state) {
    (void)state;
    /* a limit on the size of files stands for it: 0, in the headers, in a layer, in the last member */
    static const rlim_t limits[] = {0, 100, 513, 70000, 300000, 600000};
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        char *folder = make_folder();
        struct pk_pack_options o = {
            .source = REFERENCE "llama", .output = in_folder(folder, "b.moxie"), .key = &bundle_key};
        struct pk_summary s;
        struct pk_error e = {0};
        limit = (struct rlimit){limits[i], before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        bool ok = pk_pack(&o, NULL, NULL, &s, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_false(ok);
        check_pk_error(&e, MOXIE_ERROR_FILE, "cannot be written");
        assert_int_equal(files_in(folder), 0);
        remove_folder(folder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_summary_tells_what_became_of_the_weights),
        cmocka_unit_test(names_and_counters_are_options),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(a_failure_leaves_nothing_behind),
        cmocka_unit_test(a_hollow_bundle_opens_and_never_verifies),
        cmocka_unit_test(a_full_disk_is_an_error_wherever_it_strikes),
    };
    return check_run(tests);
}
