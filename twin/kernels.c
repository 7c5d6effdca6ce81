/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "twin/kernels.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "opencl/kernel_sources.h"
#include "opencl/known_inputs.h"
#include "runtime/bundle_format.h"

bool twin_kernel(size_t i, struct twin_kernel *k) {
    static const struct twin_kernel others[] = {
        {{.kernel_file = "embed"}, "mx_embed"},
        {{.kernel_file = "norm"}, "mx_norm"},
        {{.kernel_file = "norm"}, "mx_qk_norm"},
        {{.kernel_file = "norm"}, "mx_quantise"},
        {{.kernel_file = "rope"}, "mx_rope_table"},
        {{.kernel_file = "route"}, "mx_route"},
        {{.kernel_file = "route"}, "mx_sort"},
        {{.kernel_file = "route"}, "mx_keep"},
        {{.kernel_file = "route"}, "mx_combine"},
        {{.kernel_file = "hash"}, "mx_hash_leaves"},
        {{.kernel_file = "rope", .kv = 1}, "mx_rope_kv"},
        {{.kernel_file = "rope", .kv = 1}, "mx_kv_copy"},
        {{.kernel_file = "attention", .kv = 1}, "mx_attention"},
        {{.kernel_file = "rope", .kv = 2}, "mx_rope_kv"},
        {{.kernel_file = "rope", .kv = 2}, "mx_kv_copy"},
        {{.kernel_file = "attention", .kv = 2}, "mx_attention"},
        {{.kernel_file = "rope", .kv = 3}, "mx_rope_kv"},
        {{.kernel_file = "rope", .kv = 3}, "mx_kv_copy"},
        {{.kernel_file = "attention", .kv = 3}, "mx_attention"},
    };
    if (i >= MX_KNOWN_FORMATS) {
        i -= MX_KNOWN_FORMATS;
        *k = others[i < sizeof others / sizeof others[0] ? i : 0];
        return i < sizeof others / sizeof others[0];
    }
    k->kernel = "mx_linear";
    k->key = (struct mx_program_key){.kernel_file = "linear"};
    mx_known_format((uint32_t)i, &k->key);
    return true;
}

/* ---- Parameters, from the text of the source ---- */

/* Copies the word that ends before `end`, and returns where it begins. */
static const char *word_before(const char *start, const char *end, char *word, size_t size) {
    while (end > start && !isalnum((unsigned char)end[-1]) && end[-1] != '_')
        end--;
    const char *from = end;
    while (from > start && (isalnum((unsigned char)from[-1]) || from[-1] == '_'))
        from--;
    snprintf(word, size, "%.*s", (int)(end - from), from);
    return from;
}

/* "__global const float *restrict q" */
static void parse(const char *text, const char *end, struct twin_parameter *p) {
    const char *name = word_before(text, end, p->name, sizeof p->name);
    p->memory = memchr(text, '*', (size_t)(end - text)) != NULL;
    const char *star = p->memory ? memchr(text, '*', (size_t)(end - text)) : name;
    word_before(text, star, p->type, sizeof p->type);
}

/* A list that ends at `end`; MX_WEIGHTS stands for the list of its definition. */
static uint32_t parse_list(const char *text, const char *end, struct twin_parameter *list, uint32_t n) {
    static const char macro[] = "#define MX_WEIGHTS", last[] = "uint extra";
    while (text < end && n < MX_MAX_ARGS) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma ? comma : end;
        const struct mx_kernel_source *weights = mx_kernel_source("weights");
        const char *from = weights ? strstr(weights->source, macro) : NULL, *to = from ? strstr(from, last) : NULL;
        if (memmem(text, (size_t)(stop - text), "MX_WEIGHTS", strlen("MX_WEIGHTS")) && to)
            n = parse_list(from + strlen(macro), to + strlen(last), list, n);
        else
            parse(text, stop, &list[n++]);
        text = stop + 1;
    }
    return n;
}

uint32_t twin_parameters(const struct twin_kernel *k, struct twin_parameter list[MX_MAX_ARGS]) {
    static const char *const starts[] = {"MX_KERNEL(%s,", "MX_ENTRY void %s("};
    const struct mx_kernel_source *source = mx_kernel_source(k->key.kernel_file);
    for (size_t i = 0; source && i < sizeof starts / sizeof starts[0]; i++) {
        char start[64];
        snprintf(start, sizeof start, starts[i], k->kernel);
        const char *at = strstr(source->source, start), *end = at ? strchr(at + strlen(start), ')') : NULL;
        if (end)
            return parse_list(at + strlen(start), end, list, 0);
    }
    return 0;
}

uint32_t twin_element_bytes(const struct twin_kernel *k, const struct twin_parameter *p) {
    static const uint32_t kv_bytes[] = {[MX_KV_F16] = 2, [MX_KV_F32] = 4, [MX_KV_I8] = 1};
    if (strstr(p->name, "_cache"))
        return kv_bytes[k->key.kv];
    return strcmp(p->type, "char") == 0 || strcmp(p->type, "uchar") == 0 ? 1 : 4;
}
