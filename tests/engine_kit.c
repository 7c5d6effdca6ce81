/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* mkstemp */
#include "tests/check.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/engine_kit.h"
#include "tests/fake_opencl.h"
#include "tests/importer_files.h"

const char *const kit_model[KIT_MODELS] = {"moe-f32", "moe-norm-tied", "moe-sparse-step", "moe-dead-sharded",
                                           "qwen2",   "llama",         "moepp",           "gemma"};

static struct pk_key test_key(void) {
    struct pk_key key = {{0}, {0}};
    check_hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", key.d, 32);
    check_hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
              "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
              key.xy, 64);
    return key;
}

struct moxie_key kit_key(void) {
    struct moxie_key pinned;
    const struct pk_key key = test_key();
    memcpy(pinned.xy, key.xy, sizeof pinned.xy);
    return pinned;
}

static void reference_path(char *path, size_t size, const char *name) {
    snprintf(path, size, strchr(name, '/') ? "%s" : "tests/data/reference/%s", name);
}

void kit_open_kv(struct kit *kit, const char *name, enum pk_weights weights, uint32_t kv_type) {
    char source[512], output[512];
    const char *folder = getenv("TMPDIR");
    const struct pk_key key = test_key();
    struct pk_error error = {0};
    struct pk_summary summary;
    reference_path(source, sizeof source, name);
    snprintf(output, sizeof output, "%s/moxie-kit-XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(output);
    assert_true(fd >= 0);
    close(fd);
    const struct pk_pack_options options = {
        .source = source, .output = output, .key = &key, .weights = weights, .threads = 1, .kv_type = kv_type};
    if (!pk_pack(&options, NULL, NULL, &summary, &error)) {
        unlink(output);
        fail_msg("packing %s: %s", source, error.text);
    }
    const struct moxie_key pinned = kit_key();
    struct moxie_trust trust = MOXIE_TRUST;
    trust.keys = 1;
    trust.key = &pinned;
    enum moxie_error e = moxie_bundle_open(&kit->bundle, output, &trust, &kit->failure);
    unlink(output);
    check_ok(e, kit->failure);
    check_ok(moxie_bundle_model(&kit->bundle, &kit->model), kit->failure);
}

void kit_open(struct kit *kit, const char *name, enum pk_weights weights) {
    kit_open_kv(kit, name, weights, 0);
}

struct moxie_config kit_config(void) {
    struct moxie_config config = MOXIE_CONFIG;
    config.context = KIT_CONTEXT;
    config.sequences = 3;
    config.step_tokens = 3 * KIT_TOKENS;
    config.step_logits = KIT_TOKENS;
    return config;
}

void kit_discrete(void) {
    fake_device_info(CL_DEVICE_TYPE, CL_DEVICE_TYPE_ACCELERATOR);
    fake_device_info(CL_DEVICE_HOST_UNIFIED_MEMORY, CL_FALSE);
    fake_device_info(CL_DEVICE_MAX_WORK_GROUP_SIZE, 32);
}

void kit_start(struct kit *kit, const struct moxie_config *config) {
    check_ok(moxie_init(&kit->engine, &kit->bundle, config, NULL, NULL, &kit->failure), kit->failure);
    moxie_engine_plan(kit->engine, &kit->plan, NULL);
}

void kit_stop(struct kit *kit) {
    moxie_close(kit->engine);
    kit->engine = NULL;
}

void kit_close(struct kit *kit) {
    kit_stop(kit);
    moxie_bundle_close(&kit->bundle);
}

void kit_tokens(const char *name, int32_t tokens[KIT_TOKENS]) {
    char path[512];
    snprintf(path, sizeof path, "tests/data/reference/%s/tokens-%d.txt", name, KIT_TOKENS);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int i = 0; i < KIT_TOKENS; i++) {
        assert_int_equal(fscanf(f, "%" SCNd32, &tokens[i]), 1);
    }
    fclose(f);
}

uint32_t kit_entries(struct moxie_entry *entries, uint32_t sequence, uint32_t position, const int32_t *tokens,
                     uint32_t count, bool want_logits) {
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct moxie_entry){
            .sequence = sequence, .position = position + i, .token = tokens[i], .want_logits = want_logits};
    }
    return count;
}

void kit_feed(struct kit *kit, uint32_t sequence, const int32_t *tokens, uint32_t count, uint32_t chunk,
              float *logits) {
    struct moxie_entry entries[KIT_TOKENS];
    uint32_t before = moxie_sequence_length(kit->engine, sequence);
    for (uint32_t done = 0; done < count;) {
        uint32_t n = count - done < chunk ? count - done : chunk;
        kit_entries(entries, sequence, before + done, tokens + done, n, logits != NULL);
        check_ok(moxie_step(kit->engine, entries, n, &kit->failure), kit->failure);
        for (uint32_t i = 0; logits && i < n; i++) {
            memcpy(logits + (size_t)(done + i) * kit->model.vocab, moxie_logits(kit->engine, i),
                   sizeof(float) * kit->model.vocab);
        }
        done += n;
    }
    assert_int_equal(moxie_sequence_length(kit->engine, sequence), before + count);
}

float *kit_rows(const struct kit *kit) {
    float *rows = calloc((size_t)KIT_TOKENS * kit->model.vocab, sizeof *rows);
    assert_non_null(rows);
    return rows;
}

void kit_same(const struct kit *kit, const char *what, const float *got, const float *want, uint32_t rows) {
    uint32_t vocab = kit->model.vocab;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < vocab; i++) {
            uint32_t a, b;
            memcpy(&a, got + (size_t)r * vocab + i, 4);
            memcpy(&b, want + (size_t)r * vocab + i, 4);
            if (a != b) {
                fail_msg("%s, %s: row %u, logit %u is %08x, expected %08x", kit->model.id, what, r, i, a, b);
            }
        }
    }
}

char *kit_copy(const char *name) {
    char source[512], path[1024];
    reference_path(source, sizeof source, name);
    char *folder = make_folder();
    DIR *d = opendir(source);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, "logits", 6) == 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", source, entry->d_name);
        struct bytes b = read_whole(path);
        write_file(in_folder(folder, entry->d_name), b.data, b.n);
        free_bytes(&b);
    }
    closedir(d);
    return folder;
}

void kit_spoil(const char *path, const char *name, uint64_t first, uint64_t count, float value) {
    char quoted[256];
    struct bytes b = read_whole(path);
    uint64_t header, begin, end;
    memcpy(&header, b.data, 8);
    assert_true(header < b.n - 8);
    char *json = strndup((char *)b.data + 8, (size_t)header);
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(json, quoted);
    at = at ? strstr(at, "\"data_offsets\"") : NULL;
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"data_offsets\"%*[: []%" SCNu64 "%*[, ]%" SCNu64, &begin, &end), 2);
    free(json);
    assert_true((first + count) * 4 <= end - begin);
    for (uint64_t i = first; i < first + count; i++) {
        memcpy(b.data + 8 + header + begin + 4 * i, &value, 4);
    }
    write_file(path, b.data, b.n);
    free_bytes(&b);
}
