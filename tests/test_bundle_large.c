/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle of more than 4 GiB: the packer's own layout of a model that large, with the weights left as holes in a
 * sparse file, so that it costs neither disk nor time. */
#define _GNU_SOURCE // ftruncate, mmap
#define _FILE_OFFSET_BITS 64
#include "tests/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pack/layout.h"
#include "runtime/bundle_check.h"
#include "tests/bundle_kit.h"
#include "tests/importer_files.h"

enum { HIDDEN = 4096, VOCAB = 160000, WIDTH = 64 };

static struct pk_tensor tensor(const char *name, uint64_t rows, uint64_t cols) {
    return (struct pk_tensor){.name = name, .type = PK_F32, .n_dims = 2, .rows = rows, .cols = cols};
}

/* A llama of one layer; its tensors have shapes and no bytes. Sorted by name, as a source's are. */
static struct pk_source source_of(struct pk_tensor *t, struct mx_layer *layer) {
    const struct pk_tensor tensors[] = {
        tensor("lm_head.weight", VOCAB, HIDDEN),
        tensor("model.embed_tokens.weight", VOCAB, HIDDEN),
        tensor("model.layers.0.input_layernorm.weight", 1, HIDDEN),
        tensor("model.layers.0.mlp.down_proj.weight", HIDDEN, WIDTH),
        tensor("model.layers.0.mlp.gate_proj.weight", WIDTH, HIDDEN),
        tensor("model.layers.0.mlp.up_proj.weight", WIDTH, HIDDEN),
        tensor("model.layers.0.post_attention_layernorm.weight", 1, HIDDEN),
        tensor("model.layers.0.self_attn.k_proj.weight", 64, HIDDEN),
        tensor("model.layers.0.self_attn.o_proj.weight", HIDDEN, 64),
        tensor("model.layers.0.self_attn.q_proj.weight", 64, HIDDEN),
        tensor("model.layers.0.self_attn.v_proj.weight", 64, HIDDEN),
        tensor("model.norm.weight", 1, HIDDEN),
    };
    memcpy(t, tensors, sizeof(tensors));
    *layer = (struct mx_layer){.shared = 1, .width = WIDTH};
    return (struct pk_source){.model = {.id = "large",
                                        .architecture = "llama",
                                        .hidden = HIDDEN,
                                        .layers = 1,
                                        .heads = 1,
                                        .kv_heads = 1,
                                        .head_dim = 64,
                                        .vocab = VOCAB,
                                        .max_positions = 2048,
                                        .rms_eps = 1e-5f,
                                        .inv_hidden = 1.0f / HIDDEN,
                                        .attn_scale = 0.125f,
                                        .rope_theta = 1e4f,
                                        .bos = MX_NONE},
                              .layers = layer,
                              .tensors = t,
                              .n_tensors = sizeof(tensors) / sizeof(tensors[0]),
                              .path = "large"};
}

static void write_at(int fd, uint64_t at, const void *bytes, size_t n) {
    assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
}

/* Leaves and roots of segments full of zeros. */
static uint8_t *hash_zeros(struct pk_layout *l) {
    static const uint8_t leaf_domain[64] = "moxie leaf v1", zeros[MX_LEAF_BYTES];
    uint8_t *leaves = malloc(32 * l->manifest->leaves), full[32];
    pk_sha256(leaf_domain, 64, zeros, MX_LEAF_BYTES, full);
    for (uint32_t i = 0; i < l->manifest->segments; i++) {
        struct mx_segment *s = &l->segments[i];
        uint8_t head[88] = "moxie segment v1", *own = leaves + 32ull * s->first_leaf;
        uint64_t n = 0;
        for (uint64_t at = 0; at < s->bytes; at += MX_LEAF_BYTES, n++) {
            if (s->bytes - at >= MX_LEAF_BYTES) {
                memcpy(own + 32 * n, full, 32);
            } else {
                pk_sha256(leaf_domain, 64, zeros, s->bytes - at, own + 32 * n);
            }
        }
        memcpy(head + 64, &i, 4);
        memcpy(head + 68, &s->kind, 12);
        memcpy(head + 80, &s->bytes, 8);
        pk_sha256(head, sizeof(head), own, 32 * n, s->root);
    }
    return leaves;
}

/* Headers and fillers around what the layout says; the data of segments stay holes. */
static void write_bundle(int fd, struct pk_layout *l) {
    static const uint8_t domain[64] = "moxie manifest v1";
    const struct mx_manifest *m = l->manifest;
    uint8_t *leaves = hash_zeros(l), header[512], digest[32];
    struct mx_signature signature;
    struct pk_error e = {0};
    assert_int_equal(ftruncate(fd, (off_t)m->bundle_bytes), 0);
    uint64_t end = 0;
    unsigned fillers = 0;
    for (uint32_t i = 0; i < m->members; i++) {
        const struct mx_member *member = &l->members[i];
        if (i >= 3 && member->offset - 512 > end) {
            char name[16];
            snprintf(name, sizeof(name), "pad.%u", fillers++);
            mx_ustar_header(header, name, member->offset - 1024 - end);
            write_at(fd, end, header, 512);
        }
        mx_ustar_header(header, member->name, member->bytes);
        write_at(fd, member->offset - 512, header, 512);
        end = (member->offset + member->bytes + 511) / 512 * 512;
    }
    pk_sha256(domain, 64, m, m->manifest_bytes, digest);
    pk_key_id(bundle_key.xy, signature.key_id);
    assert_true(pk_sign(&bundle_key, digest, signature.rs, &e));
    write_at(fd, l->members[0].offset, m, m->manifest_bytes);
    write_at(fd, l->members[1].offset, &signature, sizeof(signature));
    write_at(fd, l->members[2].offset, leaves, l->members[2].bytes);
    free(leaves);
}

static void more_than_4_gib_are_opened(void **state) {
    (void)state;
    struct pk_tensor tensors[16];
    struct mx_layer layer;
    struct pk_source source = source_of(tensors, &layer);
    struct pk_pack_options o = {.weights = PK_WEIGHTS_F32, .key = &bundle_key};
    struct pk_layout layout;
    struct pk_error e = {0};
    if (!pk_layout_make(&source, &o, 0, 0, &layout, &e)) {
        fail_msg("%s", e.text);
    }
    const uint64_t size = layout.manifest->bundle_bytes;
    assert_true(size > 5000000000);
    char *folder = make_folder();
    int fd = open(in_folder(folder, "large.moxie"), O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    write_bundle(fd, &layout);
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(bytes != MAP_FAILED);

    struct bundle_bytes b = {.bytes = bytes, .size = size};
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    check_ok(bundle_open(&b, &bundle, &f), f);
    /* 2.6 GB of embedding and as much of head, each in three segments cut at whole tiles */
    const struct mx_tensor *head = mx_bundle_find(&bundle, MX_ROLE_HEAD, MX_NONE, 2);
    assert_non_null(head);
    assert_null(mx_bundle_find(&bundle, MX_ROLE_HEAD, MX_NONE, 3));
    assert_int_equal(head->row_offset % 16, 0);
    assert_int_equal(head->row_offset + head->rows, VOCAB);
    const uint32_t last = bundle.manifest->segments - 1;
    const struct mx_segment *s = &bundle.segments[last];
    assert_true(s->offset > UINT32_MAX);
    check_ok(mx_bundle_verify_host(&bundle, last, 1, NULL, NULL, &f), f);
    /* a byte behind 4 GiB is found where it is */
    const uint64_t at = s->offset + s->bytes / 2;
    munmap(bytes, size);
    write_at(fd, at, "x", 1);
    bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(bytes != MAP_FAILED);
    b.bytes = bytes;
    check_ok(bundle_open(&b, &bundle, &f), f);
    check_error(mx_bundle_verify_host(&bundle, last, 1, NULL, NULL, &f), MOXIE_ERROR_HASH);
    assert_true(f.offset <= at && f.offset + MX_LEAF_BYTES > at);
    munmap(bytes, size);
    close(fd);
    pk_layout_free(&layout);
    remove_folder(folder);
}

static void what_no_bundle_can_hold_is_refused(void **state) {
    (void)state;
    struct pk_tensor tensors[16];
    struct mx_layer layer;
    struct pk_pack_options o = {.weights = PK_WEIGHTS_F32, .key = &bundle_key};
    static const struct {
        size_t field;
        uint32_t value;
        const char *part;
    } cases[] = {
        {offsetof(struct mx_model, hidden), 65537, "hidden size 65537"},
        {offsetof(struct mx_model, layers), 1025, "layers 1025"},
        {offsetof(struct mx_model, heads), 1025, "heads 1025"},
        {offsetof(struct mx_model, vocab), 4194305, "vocabulary 4194305"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pk_source source = source_of(tensors, &layer);
        struct pk_layout layout;
        struct pk_error e = {0};
        memcpy((uint8_t *)&source.model + cases[i].field, &cases[i].value, 4);
        assert_false(pk_layout_make(&source, &o, 0, 0, &layout, &e));
        check_pk_error(&e, MOXIE_ERROR_MODEL, cases[i].part);
        pk_layout_free(&layout);
    }
    /* an FFN of 3 * 4096 * 65536 floats is more than a segment holds; as halfs it is not */
    struct pk_source source = source_of(tensors, &layer);
    struct pk_layout layout;
    struct pk_error e = {0};
    layer.width = 65536;
    assert_false(pk_layout_make(&source, &o, 0, 0, &layout, &e));
    check_pk_error(&e, MOXIE_ERROR_BOUNDS, "layer 0");
    pk_layout_free(&layout);
    layer.width = 40000;
    o.weights = PK_WEIGHTS_F16;
    assert_true(pk_layout_make(&source, &o, 0, 0, &layout, &e));
    pk_layout_free(&layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_4_gib_are_opened),
        cmocka_unit_test(what_no_bundle_can_hold_is_refused),
    };
    return check_run(tests);
}
