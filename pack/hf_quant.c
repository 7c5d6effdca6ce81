/* SPDX-License-Identifier: Apache-2.0
 *
 * How a folder's Int4 matrices are stored, by its own words. Tools put these settings into config.json, into
 * quantize_config.json (AutoGPTQ) or quant_config.json (AutoAWQ), often into two of them. */
#define _POSIX_C_SOURCE 200809L // strcasecmp
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pack/gptq.h"

#define CONFIG_MAX_BYTES (64u << 20)

static bool refuse(const struct pk_json *j, const char *key, const char *why) {
    return pk_fail(j->e, MOXIE_ERROR_MODEL, "%s: quantisation: \"%s\": %s", j->path, key, why);
}

/* The value under `key`, or under the name that older files have. */
static const char *present(const struct pk_json *j, const char *key, const char *old) {
    return pk_json_get(j, old) && !pk_json_get(j, key) ? old : key;
}

static bool read_method(const struct pk_json *j, enum pk_quant_method assumed, struct pk_quant *q) {
    const char *method;
    if (!pk_json_string(j, "quant_method", &method)) {
        return false;
    }
    q->method = !method ? assumed : strcmp(method, "gptq") == 0 ? PK_QUANT_GPTQ : PK_QUANT_AWQ;
    return !method || q->method == PK_QUANT_GPTQ || strcmp(method, "awq") == 0 ||
           pk_json_fail(j, "quant_method", "\"gptq\" or \"awq\"");
}

static bool read_group(const struct pk_json *j, struct pk_quant *q) {
    const char *key = present(j, "group_size", "q_group_size");
    const json_t *value = pk_json_get(j, key);
    const json_int_t group = json_is_integer(value) ? json_integer_value(value) : 0;
    if (group != -1 && (group < PK_BLOCK || group % PK_BLOCK || group > MX_WIDTH_MAX)) {
        return pk_json_fail(j, key, "-1 or a multiple of 32");
    }
    q->group = group == -1 ? 0 : (uint32_t)group;
    return true;
}

/* Layouts of the same numbers that are not read. */
static bool read_format(const struct pk_json *j, struct pk_quant *q) {
    const char *key = present(j, "checkpoint_format", "format"), *format, *version, *backend;
    bool marlin;
    if (!pk_json_string(j, key, &format) || !pk_json_string(j, "version", &version) ||
        !pk_json_string(j, "backend", &backend) || !pk_json_bool_or(j, "is_marlin_format", false, &marlin)) {
        return false;
    }
    const json_t *dynamic = pk_json_get(j, "dynamic");
    if (dynamic && (!json_is_object(dynamic) || json_object_size(dynamic))) {
        return refuse(j, "dynamic", "settings of single modules are not supported");
    }
    if (q->method == PK_QUANT_AWQ) {
        return (!version || strcasecmp(version, "gemm") == 0 || pk_json_fail(j, "version", "\"gemm\"")) &&
               (!backend || strcmp(backend, "autoawq") == 0 || pk_json_fail(j, "backend", "\"autoawq\""));
    }
    q->v2 = format && strcmp(format, "gptq_v2") == 0;
    return (!format || q->v2 || strcmp(format, "gptq") == 0 || pk_json_fail(j, key, "\"gptq\" or \"gptq_v2\"")) &&
           (!marlin || refuse(j, "is_marlin_format", "the layout of Marlin is not supported"));
}

static bool read_excluded(const struct pk_json *j, struct pk_quant *q) {
    const json_t *list = pk_json_get(j, "modules_to_not_convert");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i))) {
            return pk_json_fail(j, "modules_to_not_convert", "an array of strings");
        }
    }
    if (list && !json_is_array(list)) {
        return pk_json_fail(j, "modules_to_not_convert", "an array of strings");
    }
    q->excluded = json_incref((json_t *)list);
    return true;
}

static bool read_sym(const struct pk_json *j, struct pk_quant *q) {
    bool sym;
    q->sym_said = pk_json_get(j, "sym") != NULL;
    if (!pk_json_bool_or(j, "sym", false, &sym)) {
        return false;
    }
    q->sym = sym;
    return true;
}

static bool read_settings(const struct pk_json *j, enum pk_quant_method assumed, struct pk_quant *q) {
    uint32_t bits;
    const char *key = present(j, "bits", "w_bit");
    return read_method(j, assumed, q) && pk_json_u32(j, key, 1, 16, &bits) &&
           (bits == 4 || pk_json_fail(j, key, "4: other widths are not supported")) && read_group(j, q) &&
           read_format(j, q) && read_sym(j, q) && read_excluded(j, q);
}

/* Takes over `other`, the settings of another file, unless they contradict. */
static bool merge(struct pk_quant *q, struct pk_quant *other, const char *path, struct pk_error *e) {
    const bool first = q->method == PK_QUANT_NONE;
    if (!first && (q->method != other->method || q->group != other->group || q->v2 != other->v2 ||
                   (q->sym_said && other->sym_said && q->sym != other->sym))) {
        return pk_fail(e, MOXIE_ERROR_MODEL,
                       "%s: quantisation: method, group size, format or symmetry is not that of config.json", path);
    }
    json_t *excluded = q->excluded ? q->excluded : json_incref(other->excluded);
    const bool sym = q->sym_said ? q->sym : other->sym;
    *q = *other;
    q->sym = sym;
    q->excluded = excluded;
    return true;
}

static bool read_file(const struct pk_folder *folder, const char *name, struct pk_quant *q, struct pk_error *e) {
    if (!pk_folder_has(folder, name)) {
        return true;
    }
    char *path = pk_folder_path(folder, name, e);
    json_t *root = path ? pk_json_in(folder, name, CONFIG_MAX_BYTES, e) : NULL;
    struct pk_json j = {root, path, e};
    struct pk_quant own = {0};
    const bool awq = root && (pk_json_get(&j, "w_bit") || pk_json_get(&j, "q_group_size"));
    bool ok = root && read_settings(&j, awq ? PK_QUANT_AWQ : PK_QUANT_GPTQ, &own) && merge(q, &own, path, e);
    pk_quant_free(&own);
    json_decref(root);
    free(path);
    return ok;
}

bool pk_quant_read(const struct pk_folder *folder, const struct pk_json *config, struct pk_quant *q,
                   struct pk_error *e) {
    *q = (struct pk_quant){0};
    const json_t *block = pk_json_get(config, "quantization_config");
    if (block) {
        struct pk_json j = {block, config->path, e};
        if (!json_is_object(block)) {
            return pk_json_fail(config, "quantization_config", "an object");
        }
        if (!pk_json_get(&j, "quant_method")) {
            return pk_json_fail(&j, "quant_method", "\"gptq\" or \"awq\"");
        }
        if (!read_settings(&j, PK_QUANT_NONE, q)) {
            return false;
        }
    }
    return read_file(folder, "quantize_config.json", q, e) && read_file(folder, "quant_config.json", q, e);
}

void pk_quant_free(struct pk_quant *q) {
    json_decref(q->excluded);
    *q = (struct pk_quant){0};
}
