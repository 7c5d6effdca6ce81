/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests that lie, signed all the same: each field, one at a time, is set to what it must not be. The checkpoint has
 * dense layers 0 and 2 around a sparse layer 1 with 7 routed and 3 shared experts, a tokenizer, and an untied head. */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bundle_kit.h"

static struct bundle_bytes intact;

static int set_up(void **state) {
    (void)state;
    struct pk_pack_options o = {.weights = PK_WEIGHTS_INT4};
    intact = bundle_pack("moe-sparse-step", &o);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bundle_free(&intact);
    return 0;
}

enum where { HEADER, MEMBER, LAYER, SEGMENT, TENSOR };

struct change {
    const char *what;
    enum where where;
    uint32_t index; /* of the record */
    size_t offset, bytes;
    uint64_t value;
    enum moxie_error expected;
};

#define FIELD(type, name) offsetof(struct type, name), sizeof(((struct type *)0)->name)
#define MODEL(name) offsetof(struct mx_manifest, model.name), sizeof(((struct mx_model *)0)->name)
#define FORMAT_ MOXIE_ERROR_FORMAT
#define VERSION_ MOXIE_ERROR_FORMAT_VERSION
#define BOUNDS_ MOXIE_ERROR_BOUNDS
#define MODEL_ MOXIE_ERROR_MODEL
#define TRUNCATED_ MOXIE_ERROR_TRUNCATED

/* bit patterns of floats */
#define NAN_BITS 0x7fc00000u
#define INF_BITS 0x7f800000u
#define MINUS_ONE 0xbf800000u
#define TINY 0x00000001u

static const struct change changes[] = {
    /* what the bundle is */
    {"magic", HEADER, 0, FIELD(mx_manifest, magic), 0x324e424549584f4d, FORMAT_},
    {"major 0", HEADER, 0, FIELD(mx_manifest, major), 0, VERSION_},
    {"major 2", HEADER, 0, FIELD(mx_manifest, major), 2, VERSION_},
    {"arithmetic", HEADER, 0, FIELD(mx_manifest, arithmetic), 2, VERSION_},
    {"newer runtime", HEADER, 0, FIELD(mx_manifest, min_runtime), 0xffffff, VERSION_},
    {"longer than the file", HEADER, 0, FIELD(mx_manifest, bundle_bytes), 1 << 30, TRUNCATED_},
    {"2^64 - 1 bytes", HEADER, 0, FIELD(mx_manifest, bundle_bytes), UINT64_MAX, TRUNCATED_},
    {"shorter than the file", HEADER, 0, FIELD(mx_manifest, bundle_bytes), 4096, FORMAT_},
    {"counter 2^32", HEADER, 0, FIELD(mx_manifest, security_counter), 1ull << 32, FORMAT_},
    {"counter 2^64 - 1", HEADER, 0, FIELD(mx_manifest, security_counter), UINT64_MAX, FORMAT_},
    {"reserved", HEADER, 0, offsetof(struct mx_manifest, reserved) + 31, 1, 1, FORMAT_},
    {"tokenizer hash", HEADER, 0, offsetof(struct mx_manifest, tokenizer_sha256), 1, 0x55, MOXIE_ERROR_TOKENIZER},
    /* the manifest's own tables */
    {"members elsewhere", HEADER, 0, FIELD(mx_manifest, members_offset), 424, BOUNDS_},
    {"no members", HEADER, 0, FIELD(mx_manifest, members), 0, BOUNDS_},
    {"2^32 - 1 members", HEADER, 0, FIELD(mx_manifest, members), UINT32_MAX, BOUNDS_},
    {"2^26 members, size wraps", HEADER, 0, FIELD(mx_manifest, members), 1 << 26, BOUNDS_},
    {"layers elsewhere", HEADER, 0, FIELD(mx_manifest, layers_offset), 0, BOUNDS_},
    {"a layer less", HEADER, 0, FIELD(mx_manifest, layers), 2, BOUNDS_},
    {"segments elsewhere", HEADER, 0, FIELD(mx_manifest, segments_offset), UINT32_MAX, BOUNDS_},
    {"no segments", HEADER, 0, FIELD(mx_manifest, segments), 0, BOUNDS_},
    {"2^32 - 1 segments", HEADER, 0, FIELD(mx_manifest, segments), UINT32_MAX, BOUNDS_},
    {"tensors elsewhere", HEADER, 0, FIELD(mx_manifest, tensors_offset), 416, BOUNDS_},
    {"2^32 - 1 tensors", HEADER, 0, FIELD(mx_manifest, tensors), UINT32_MAX, BOUNDS_},
    {"a tensor less", HEADER, 0, FIELD(mx_manifest, tensors), 20, FORMAT_},
    {"no leaves", HEADER, 0, FIELD(mx_manifest, leaves), 0, BOUNDS_},
    {"2^59 leaves, size wraps", HEADER, 0, FIELD(mx_manifest, leaves), 1ull << 59, BOUNDS_},
    /* the model */
    {"no id", HEADER, 0, offsetof(struct mx_manifest, model.id), 1, 0, FORMAT_},
    {"id not ended", HEADER, 0, offsetof(struct mx_manifest, model.id) + 63, 1, 'x', FORMAT_},
    {"id not UTF-8", HEADER, 0, offsetof(struct mx_manifest, model.id), 1, 0xff, FORMAT_},
    {"control character", HEADER, 0, offsetof(struct mx_manifest, model.id), 1, '\n', FORMAT_},
    {"no architecture", HEADER, 0, offsetof(struct mx_manifest, model.architecture), 1, 0, FORMAT_},
    {"hidden 0", HEADER, 0, MODEL(hidden), 0, MODEL_},
    {"hidden 2^32 - 1", HEADER, 0, MODEL(hidden), UINT32_MAX, MODEL_},
    {"hidden other", HEADER, 0, MODEL(hidden), 96, MODEL_},
    {"layers 0", HEADER, 0, MODEL(layers), 0, MODEL_},
    {"layers 4", HEADER, 0, MODEL(layers), 4, MODEL_},
    {"layers 2^32 - 1", HEADER, 0, MODEL(layers), UINT32_MAX, MODEL_},
    {"heads 0", HEADER, 0, MODEL(heads), 0, MODEL_},
    {"heads 4", HEADER, 0, MODEL(heads), 4, BOUNDS_},
    {"heads 2^32 - 1", HEADER, 0, MODEL(heads), UINT32_MAX, MODEL_},
    {"kv_heads 0", HEADER, 0, MODEL(kv_heads), 0, MODEL_},
    {"kv_heads 2 of 5", HEADER, 0, MODEL(kv_heads), 2, MODEL_},
    {"kv_heads 10", HEADER, 0, MODEL(kv_heads), 10, MODEL_},
    {"head_dim 0", HEADER, 0, MODEL(head_dim), 0, MODEL_},
    {"head_dim odd", HEADER, 0, MODEL(head_dim), 15, MODEL_},
    {"head_dim 258", HEADER, 0, MODEL(head_dim), 258, MODEL_},
    {"vocab 0", HEADER, 0, MODEL(vocab), 0, MODEL_},
    {"vocab 266", HEADER, 0, MODEL(vocab), 266, BOUNDS_},
    {"vocab 2^32 - 1", HEADER, 0, MODEL(vocab), UINT32_MAX, MODEL_},
    {"positions 0", HEADER, 0, MODEL(max_positions), 0, MODEL_},
    {"positions 2^18 + 1", HEADER, 0, MODEL(max_positions), (1 << 18) + 1, MODEL_},
    {"kv type 0", HEADER, 0, MODEL(kv_type), 0, MODEL_},
    {"kv type 4", HEADER, 0, MODEL(kv_type), 4, MODEL_},
    {"eps 0", HEADER, 0, MODEL(rms_eps), 0, MODEL_},
    {"eps NaN", HEADER, 0, MODEL(rms_eps), NAN_BITS, MODEL_},
    {"eps infinite", HEADER, 0, MODEL(rms_eps), INF_BITS, MODEL_},
    {"eps subnormal", HEADER, 0, MODEL(rms_eps), TINY, MODEL_},
    {"eps negative", HEADER, 0, MODEL(rms_eps), MINUS_ONE, MODEL_},
    {"1 / hidden off", HEADER, 0, MODEL(inv_hidden), 0x3c4ccccc, MODEL_},
    {"1 / hidden NaN", HEADER, 0, MODEL(inv_hidden), NAN_BITS, MODEL_},
    {"attention scale NaN", HEADER, 0, MODEL(attn_scale), NAN_BITS, MODEL_},
    {"attention scale -1/4", HEADER, 0, MODEL(attn_scale), 0xbe800000, MODEL_},
    {"attention scale 1/2", HEADER, 0, MODEL(attn_scale), 0x3f000000, MODEL_},
    {"RoPE base 0", HEADER, 0, MODEL(rope_theta), 0, MODEL_},
    {"RoPE base NaN", HEADER, 0, MODEL(rope_theta), NAN_BITS, MODEL_},
    {"RoPE base -1", HEADER, 0, MODEL(rope_theta), MINUS_ONE, MODEL_},
    {"RoPE base infinite", HEADER, 0, MODEL(rope_theta), INF_BITS, MODEL_},
    {"tied 1", HEADER, 0, MODEL(tied), 1, MODEL_},
    {"tied 2", HEADER, 0, MODEL(tied), 2, MODEL_},
    {"template 11", HEADER, 0, MODEL(chat_template), 11, MODEL_},
    {"bos = vocab", HEADER, 0, MODEL(bos), 265, MODEL_},
    {"9 end tokens", HEADER, 0, MODEL(eos_count), 9, MODEL_},
    {"2^32 - 1 end tokens", HEADER, 0, MODEL(eos_count), UINT32_MAX, MODEL_},
    {"end token = vocab", HEADER, 0, offsetof(struct mx_manifest, model.eos), 4, 265, MODEL_},
    {"unused end token", HEADER, 0, offsetof(struct mx_manifest, model.eos) + 28, 4, 1, MODEL_},
    {"model reserved", HEADER, 0, offsetof(struct mx_manifest, model.reserved), 4, 1, FORMAT_},
    {"do_sample 2", HEADER, 0, MODEL(generation.do_sample), 2, MODEL_},
    {"temperature NaN", HEADER, 0, MODEL(generation.temperature), NAN_BITS, MODEL_},
    {"temperature -1", HEADER, 0, MODEL(generation.temperature), MINUS_ONE, MODEL_},
    {"temperature 2^-149", HEADER, 0, MODEL(generation.temperature), TINY, MODEL_},
    {"top_p NaN", HEADER, 0, MODEL(generation.top_p), NAN_BITS, MODEL_},
    {"top_p 2", HEADER, 0, MODEL(generation.top_p), 0x40000000, MODEL_},
    {"min_p -1", HEADER, 0, MODEL(generation.min_p), MINUS_ONE, MODEL_},
    {"penalty infinite", HEADER, 0, MODEL(generation.repetition_penalty), INF_BITS, MODEL_},
    {"penalty -1", HEADER, 0, MODEL(generation.repetition_penalty), MINUS_ONE, MODEL_},
    {"generation reserved", HEADER, 0, offsetof(struct mx_manifest, model.generation.reserved), 4, 1, FORMAT_},
    /* members */
    {"manifest not first", MEMBER, 0, FIELD(mx_member, name), 0x6f6f66, FORMAT_},
    {"manifest's size", MEMBER, 0, FIELD(mx_member, bytes), 416, BOUNDS_},
    {"manifest's place", MEMBER, 0, FIELD(mx_member, offset), 0, BOUNDS_},
    {"signature's size", MEMBER, 1, FIELD(mx_member, bytes), 97, BOUNDS_},
    {"tree's size", MEMBER, 2, FIELD(mx_member, bytes), 32, BOUNDS_},
    {"tree's place", MEMBER, 2, FIELD(mx_member, offset), 0, BOUNDS_},
    {"member name", MEMBER, 3, FIELD(mx_member, name), 0x2e2e2f, FORMAT_},
    {"name ends late", MEMBER, 3, offsetof(struct mx_member, name) + 39, 1, 'x', FORMAT_},
    {"absolute name", MEMBER, 3, offsetof(struct mx_member, name), 1, '/', FORMAT_},
    {"member's place", MEMBER, 4, FIELD(mx_member, offset), 65536, BOUNDS_},
    {"member's place wraps", MEMBER, 4, FIELD(mx_member, offset), UINT64_MAX - 511, BOUNDS_},
    {"member's size 0", MEMBER, 4, FIELD(mx_member, bytes), 0, FORMAT_},
    {"member's size wraps", MEMBER, 4, FIELD(mx_member, bytes), UINT64_MAX - 4095, BOUNDS_},
    {"member of 8 GiB", MEMBER, 4, FIELD(mx_member, bytes), 1ull << 33, BOUNDS_},
    {"member past the end", MEMBER, 5, FIELD(mx_member, bytes), 1 << 29, BOUNDS_},
    {"member reserved", MEMBER, 4, FIELD(mx_member, reserved), 1, FORMAT_},
    /* layers */
    {"routed 0", LAYER, 1, FIELD(mx_layer, routed), 0, MODEL_},
    {"routed 8", LAYER, 1, FIELD(mx_layer, routed), 8, MODEL_},
    {"routed 1025", LAYER, 1, FIELD(mx_layer, routed), 1025, MODEL_},
    {"routed 2^32 - 1", LAYER, 1, FIELD(mx_layer, routed), UINT32_MAX, MODEL_},
    {"dense routed", LAYER, 0, FIELD(mx_layer, routed), 1, MODEL_},
    {"top-k 0", LAYER, 1, FIELD(mx_layer, top_k), 0, MODEL_},
    {"top-k 8 of 7", LAYER, 1, FIELD(mx_layer, top_k), 8, MODEL_},
    {"top-k 2^32 - 1", LAYER, 1, FIELD(mx_layer, top_k), UINT32_MAX, MODEL_},
    {"dense top-k 1", LAYER, 0, FIELD(mx_layer, top_k), 1, MODEL_},
    {"shared 0", LAYER, 1, FIELD(mx_layer, shared), 0, MODEL_},
    {"shared 2", LAYER, 1, FIELD(mx_layer, shared), 2, MODEL_},
    {"shared 65", LAYER, 1, FIELD(mx_layer, shared), 65, MODEL_},
    {"shared 2^32 - 7: the sum wraps", LAYER, 1, FIELD(mx_layer, shared), 0xfffffff9, MODEL_},
    {"dense shared 0", LAYER, 0, FIELD(mx_layer, shared), 0, MODEL_},
    {"width 0", LAYER, 1, FIELD(mx_layer, width), 0, MODEL_},
    {"width other", LAYER, 1, FIELD(mx_layer, width), 40, BOUNDS_},
    {"width 2^32 - 1", LAYER, 1, FIELD(mx_layer, width), UINT32_MAX, MODEL_},
    {"unknown flag", LAYER, 1, FIELD(mx_layer, flags), 2 | 64, MODEL_},
    {"carried from a dense layer", LAYER, 1, FIELD(mx_layer, flags), 2 | 16, MODEL_},
    {"zeros apart, none there", LAYER, 1, FIELD(mx_layer, flags), 1 | 2 | 32, MODEL_},
    {"two layers, the second missing", LAYER, 1, FIELD(mx_layer, flags), 2 | 8, MODEL_},
    {"a light expert with a segment", LAYER, 1, FIELD(mx_layer, zeros), 1, MODEL_},
    {"only light experts", LAYER, 1, FIELD(mx_layer, constants), 7, MODEL_},
    {"more light experts", LAYER, 1, FIELD(mx_layer, copies), 255, MODEL_},
    {"deviation negative", LAYER, 1, FIELD(mx_layer, deviation), 0xbf800000, MODEL_},
    {"deviation infinite", LAYER, 1, FIELD(mx_layer, deviation), 0x7f800000, MODEL_},
    {"dense deviation", LAYER, 0, FIELD(mx_layer, deviation), 0x3f800000, MODEL_},
    {"dense copies", LAYER, 0, FIELD(mx_layer, copies), 1, MODEL_},
    {"embedding scale NaN", HEADER, 0, MODEL(embedding_scale), 0x7fc00000, MODEL_},
    {"embedding scale 2^11", HEADER, 0, MODEL(embedding_scale), 0x45000000, MODEL_},
    {"no shared gate", LAYER, 1, FIELD(mx_layer, flags), 0, BOUNDS_},
    {"dense flag", LAYER, 0, FIELD(mx_layer, flags), 1, MODEL_},
    {"first expert", LAYER, 1, FIELD(mx_layer, first_expert), 3, MODEL_},
    {"first expert 2^32 - 1", LAYER, 1, FIELD(mx_layer, first_expert), UINT32_MAX, MODEL_},
    {"layer reserved", LAYER, 2, FIELD(mx_layer, reserved), 1, FORMAT_},
    /* segments: 0 tokenizer, 1 layer 0, 2 its FFN, 3 layer 1, 4 .. 13 its experts, 14 layer 2, 15 its FFN, 16 17 dense
     */
    {"kind 0", SEGMENT, 1, FIELD(mx_segment, kind), 0, FORMAT_},
    {"kind 6", SEGMENT, 1, FIELD(mx_segment, kind), 6, FORMAT_},
    {"tokenizer in a layer", SEGMENT, 1, FIELD(mx_segment, kind), 1, FORMAT_},
    {"a second tokenizer", SEGMENT, 16, FIELD(mx_segment, kind), 1, FORMAT_},
    {"tokenizer as licence", SEGMENT, 0, FIELD(mx_segment, kind), 2, MOXIE_ERROR_TOKENIZER},
    {"expert as layer", SEGMENT, 4, FIELD(mx_segment, kind), 3, MODEL_},
    {"layer outside", SEGMENT, 1, FIELD(mx_segment, layer), 7, FORMAT_},
    {"layer of the tokenizer", SEGMENT, 0, FIELD(mx_segment, layer), 0, MOXIE_ERROR_TOKENIZER},
    {"duplicate expert", SEGMENT, 5, FIELD(mx_segment, expert), 0, MODEL_},
    {"expert outside", SEGMENT, 13, FIELD(mx_segment, expert), 10, MODEL_},
    {"first leaf", SEGMENT, 4, FIELD(mx_segment, first_leaf), 0, FORMAT_},
    {"first leaf 2^32 - 1", SEGMENT, 4, FIELD(mx_segment, first_leaf), UINT32_MAX, FORMAT_},
    {"misaligned", SEGMENT, 4, FIELD(mx_segment, offset), 65537, BOUNDS_},
    {"over the manifest", SEGMENT, 4, FIELD(mx_segment, offset), 0, BOUNDS_},
    {"past the end", SEGMENT, 4, FIELD(mx_segment, offset), 1 << 30, BOUNDS_},
    {"offset wraps", SEGMENT, 4, FIELD(mx_segment, offset), UINT64_MAX - 4095, BOUNDS_},
    {"length 0", SEGMENT, 4, FIELD(mx_segment, bytes), 0, BOUNDS_},
    {"length wraps", SEGMENT, 4, FIELD(mx_segment, bytes), UINT64_MAX - 4095, BOUNDS_},
    {"used 0", SEGMENT, 4, FIELD(mx_segment, used), 0, BOUNDS_},
    {"used more", SEGMENT, 4, FIELD(mx_segment, used), 1 << 20, BOUNDS_},
    {"used 2^64 - 1: rounding wraps", SEGMENT, 4, FIELD(mx_segment, used), UINT64_MAX, BOUNDS_},
    {"one byte less used", SEGMENT, 4, FIELD(mx_segment, used), 4000, BOUNDS_},
    {"segment reserved", SEGMENT, 4, FIELD(mx_segment, reserved), 1, FORMAT_},
    {"root", SEGMENT, 4, offsetof(struct mx_segment, root), 8, 0, MOXIE_ERROR_HASH},
    {"root of the tokenizer", SEGMENT, 0, offsetof(struct mx_segment, root), 8, 0, MOXIE_ERROR_HASH},
    /* tensors: 0 norm, 1 qkv, 2 bias, 3 out, 4 norm, 5 gate and up, 6 down; 7 .. 14 with router 12; .. 21; 22 embedding
     */
    {"role 0", TENSOR, 0, FIELD(mx_tensor, role), 0, MODEL_},
    {"role of the next", TENSOR, 0, FIELD(mx_tensor, role), MX_ROLE_QKV, MODEL_},
    {"role unknown", TENSOR, 3, FIELD(mx_tensor, role), 99, MODEL_},
    {"format 0", TENSOR, 1, FIELD(mx_tensor, format), 0, BOUNDS_},
    {"format 9", TENSOR, 1, FIELD(mx_tensor, format), 9, BOUNDS_},
    {"matrix as vector", TENSOR, 1, FIELD(mx_tensor, format), MX_FORMAT_VECTOR, BOUNDS_},
    {"vector as matrix", TENSOR, 0, FIELD(mx_tensor, format), MX_FORMAT_F32, BOUNDS_},
    {"I4 as I4M", TENSOR, 1, FIELD(mx_tensor, format), MX_FORMAT_I4M, BOUNDS_},
    {"I4 as I8", TENSOR, 1, FIELD(mx_tensor, format), MX_FORMAT_I8, BOUNDS_},
    {"router not F32", TENSOR, 12, FIELD(mx_tensor, format), MX_FORMAT_F16, BOUNDS_},
    {"tensor in another layer", TENSOR, 1, FIELD(mx_tensor, layer), 1, MODEL_},
    {"layer outside", TENSOR, 1, FIELD(mx_tensor, layer), 3, MODEL_},
    {"segment before", TENSOR, 1, FIELD(mx_tensor, segment), 0, BOUNDS_},
    {"segment behind", TENSOR, 1, FIELD(mx_tensor, segment), 2, BOUNDS_},
    {"segment 2^32 - 1", TENSOR, 1, FIELD(mx_tensor, segment), UINT32_MAX, BOUNDS_},
    {"segments 0", TENSOR, 1, FIELD(mx_tensor, segments), 0, BOUNDS_},
    {"segments 2^32 - 1", TENSOR, 13, FIELD(mx_tensor, segments), UINT32_MAX, BOUNDS_},
    {"an expert less", TENSOR, 13, FIELD(mx_tensor, segments), 9, BOUNDS_},
    {"rows 0", TENSOR, 1, FIELD(mx_tensor, rows), 0, BOUNDS_},
    {"rows 2^32 - 1", TENSOR, 1, FIELD(mx_tensor, rows), UINT32_MAX, BOUNDS_},
    {"fewer rows", TENSOR, 1, FIELD(mx_tensor, rows), 16, BOUNDS_},
    {"rows end in a tile", TENSOR, 1, FIELD(mx_tensor, rows), 17, BOUNDS_},
    {"cols 0", TENSOR, 1, FIELD(mx_tensor, cols), 0, BOUNDS_},
    {"cols 2^32 - 1", TENSOR, 1, FIELD(mx_tensor, cols), UINT32_MAX, BOUNDS_},
    {"row offset", TENSOR, 1, FIELD(mx_tensor, row_offset), 16, BOUNDS_},
    {"row offset 2^32 - 16", TENSOR, 1, FIELD(mx_tensor, row_offset), 0xfffffff0, BOUNDS_},
    {"group 0", TENSOR, 1, FIELD(mx_tensor, group), 0, BOUNDS_},
    {"group 16", TENSOR, 1, FIELD(mx_tensor, group), 16, BOUNDS_},
    {"group 96", TENSOR, 1, FIELD(mx_tensor, group), 96, BOUNDS_},
    {"group 128", TENSOR, 1, FIELD(mx_tensor, group), 128, BOUNDS_},
    {"group of a vector", TENSOR, 0, FIELD(mx_tensor, group), 32, BOUNDS_},
    {"no scales", TENSOR, 1, FIELD(mx_tensor, scale_type), 0, BOUNDS_},
    {"other scales", TENSOR, 1, FIELD(mx_tensor, scale_type), MX_SCALE_F32, BOUNDS_},
    {"unknown scales", TENSOR, 1, FIELD(mx_tensor, scale_type), 3, BOUNDS_},
    {"data elsewhere", TENSOR, 1, FIELD(mx_tensor, data), 0, BOUNDS_},
    {"data misaligned", TENSOR, 1, FIELD(mx_tensor, data), 513, BOUNDS_},
    {"data 2^32 - 256", TENSOR, 1, FIELD(mx_tensor, data), 0xffffff00, BOUNDS_},
    {"no data", TENSOR, 1, FIELD(mx_tensor, data), MX_NONE, BOUNDS_},
    {"scales over data", TENSOR, 1, FIELD(mx_tensor, scale), 512, BOUNDS_},
    {"scale past the end", TENSOR, 1, FIELD(mx_tensor, scale), 0x7fffff00, BOUNDS_},
    {"no scale plane", TENSOR, 1, FIELD(mx_tensor, scale), MX_NONE, BOUNDS_},
    {"an extra plane", TENSOR, 1, FIELD(mx_tensor, extra), 0, BOUNDS_},
    {"tensor reserved", TENSOR, 1, offsetof(struct mx_tensor, reserved) + 8, 4, 1, BOUNDS_},
};

static uint8_t *record(const struct bundle_bytes *b, const struct change *c) {
    switch (c->where) {
    case MEMBER:
        return (uint8_t *)&bundle_members(b)[c->index];
    case LAYER:
        return (uint8_t *)&bundle_layers(b)[c->index];
    case SEGMENT:
        return (uint8_t *)&bundle_segments(b)[c->index];
    case TENSOR:
        return (uint8_t *)&bundle_tensors(b)[c->index];
    default:
        return (uint8_t *)bundle_manifest(b);
    }
}

static void every_lie_is_refused_by_name(void **state) {
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct change *c = &changes[i];
        struct bundle_bytes b = bundle_copy(&intact, intact.size);
        struct mx_bundle bundle;
        struct moxie_failure f = {0};
        uint8_t *at = record(&b, c) + c->offset;
        uint64_t before = 0;
        size_t bytes = c->bytes < 8 ? c->bytes : 8;
        memcpy(&before, at, bytes);
        memcpy(at, &c->value, bytes); /* little-endian, as bundles are */
        assert_memory_not_equal(&before, &c->value, bytes);
        bundle_sign(&b, &bundle_key);
        enum moxie_error e = bundle_open(&b, &bundle, &f);
        if (e != c->expected || bundle.bytes || !f.what[0]) {
            print_error("%s: expected '%s', got '%s': %s\n", c->what, moxie_error_name(c->expected),
                        moxie_error_name(e), f.what);
            wrong++;
        }
        bundle_free(&b);
    }
    assert_int_equal(wrong, 0);
}

static void what_may_differ_is_accepted(void **state) {
    (void)state;
    struct bundle_bytes b = bundle_copy(&intact, intact.size);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    struct mx_manifest *m = bundle_manifest(&b);
    m->security_counter = 0xffffffff;
    m->model.bos = MX_NONE;
    m->model.chat_template = MX_CHAT_NONE;
    m->model.generation.temperature = 0.7f;
    bundle_sign(&b, &bundle_key);
    check_ok(bundle_open(&b, &bundle, &f), f);
    /* a later minor version may use what is reserved */
    m->minor = MX_BUNDLE_MINOR + 1;
    m->reserved[0] = 1;
    m->model.reserved[6] = 1;
    m->model.generation.reserved[0] = 1;
    struct mx_member *members = bundle_members(&b);
    struct mx_layer *layers = bundle_layers(&b);
    struct mx_segment *segments = bundle_segments(&b);
    struct mx_tensor *tensors = bundle_tensors(&b);
    members[4].reserved = 1;
    layers[1].reserved = 1;
    segments[3].reserved = 1;
    tensors[3].reserved[2] = 1;
    bundle_sign(&b, &bundle_key);
    check_ok(bundle_open(&b, &bundle, &f), f);
    bundle_free(&b);
}

static void random_words_are_survived(void **state) {
    (void)state;
    uint32_t random = 12345;
    struct bundle_bytes b = bundle_copy(&intact, intact.size);
    const size_t words = bundle_manifest(&intact)->manifest_bytes / 4;
    for (int i = 0; i < 1500; i++) {
        memcpy(b.bytes, intact.bytes, bundle_members(&intact)[2].offset);
        for (int k = 0; k < 1 + i % 3; k++) {
            random = random * 1664525 + 1013904223;
            size_t word = 8 + (size_t)((uint64_t)random * (words - 8) >> 32); /* behind the manifest's size */
            random = random * 1664525 + 1013904223;
            static const uint32_t values[] = {0, 1, 0xffffffff, 0x80000000, 0x7fffffff, 0x10000, 4096, 0xfffff000};
            uint32_t value = random >> 31 ? values[random >> 8 & 7] : random;
            memcpy(b.bytes + 512 + 4 * word, &value, 4);
        }
        struct mx_bundle bundle;
        struct moxie_failure f = {0};
        bundle_sign(&b, &bundle_key);
        if (bundle_open(&b, &bundle, &f) == MOXIE_OK) { /* then everything that it promises must be readable */
            mx_bundle_verify_host(&bundle, 0, bundle.manifest->segments, NULL, NULL, &f);
        }
    }
    bundle_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_lie_is_refused_by_name),
        cmocka_unit_test(what_may_differ_is_accepted),
        cmocka_unit_test(random_words_are_survived),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
