/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/gptq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/source_build.h"

#define CHUNK 65536

/* A module while it is looked at. */
struct look {
    struct pk_source *s;
    const struct pk_quant *q;
    const char *base; // X
    int length;       // of it
    struct pk_module module;
    enum pk_type type;
    uint32_t group; // of the tensor
    bool scattered;
    uint64_t odd_zeros; // stored as 15 in GPTQ version 1
    struct pk_error *e;
};

static bool fail(const struct look *l, const char *part, const char *what) {
    return pk_fail(l->e, MOXIE_ERROR_MODEL, "%s: tensor \"%.*s.%s\": %s", l->s->path, l->length, l->base, part, what);
}

/* The part called X.<part>; NULL: there is none. */
static struct pk_tensor *find_part(const struct look *l, const char *part) {
    char name[300];
    int n = snprintf(name, sizeof(name), "%.*s.%s", l->length, l->base, part);
    return n > 0 && (size_t)n < sizeof(name) ? pk_source_find(l->s, name) : NULL;
}

/* The part as [rows][cols] (rows 0: [cols]) of type `type`; it leaves the table. */
static bool take_part(struct look *l, const char *part, const char *type, uint64_t rows, uint64_t cols,
                      struct pk_module_part *out) {
    struct pk_tensor *t = find_part(l, part);
    if (!t) {
        return fail(l, part, "is missing");
    }
    const uint32_t n_dims = rows ? 2 : 1;
    if (strcmp(t->type_name, type) != 0 || t->n_dims != n_dims || t->cols != cols || (rows && t->rows != rows)) {
        char what[160];
        snprintf(what, sizeof(what), "expected %s of %llu x %llu, the file has %s of %llu x %llu", type,
                 (unsigned long long)(rows ? rows : 1), (unsigned long long)cols, t->type_name,
                 (unsigned long long)t->rows, (unsigned long long)t->cols);
        return fail(l, part, what);
    }
    t->consumed = true;
    *out = (struct pk_module_part){t->file, t->offset};
    return true;
}

static uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- What the numbers say ---- */

/* Are all zero-points 8? Counts those that version 1 of GPTQ cannot have meant. */
static bool scan_zeros(struct look *l, bool *eight) {
    const struct pk_module *m = &l->module;
    const uint32_t constant = m->add_one ? 0x77777777u : 0x88888888u;
    uint8_t chunk[CHUNK];
    *eight = true;
    for (uint64_t at = 0, all = m->groups * m->n / 2; at < all;) {
        const uint64_t n = all - at < CHUNK ? all - at : CHUNK;
        if (!pk_file_read(&l->s->files[m->qzeros.file], m->qzeros.offset + at, chunk, n, l->e)) {
            return false;
        }
        for (uint64_t i = 0; i < n; i += 4) {
            const uint32_t word = load32(chunk + i);
            *eight = *eight && word == constant;
            for (unsigned j = 0; m->add_one && word != constant && j < 8; j++) {
                l->odd_zeros += (word >> 4 * j & 15) == 15;
            }
        }
        at += n;
    }
    return true;
}

/* The groups of all columns, from g_idx or by counting; NULL: see the error. */
static uint32_t *read_groups(const struct look *l) {
    const struct pk_module *m = &l->module;
    uint32_t *groups = malloc(m->k * sizeof(*groups));
    if (!groups) {
        return pk_fail_memory(l->e);
    }
    if (m->has_g_idx && !pk_file_read(&l->s->files[m->g_idx.file], m->g_idx.offset, groups, 4 * m->k, l->e)) {
        free(groups);
        return NULL;
    }
    bool any = false;
    for (uint64_t k = 0; k < m->k; k++) {
        groups[k] = m->has_g_idx ? load32((const uint8_t *)&groups[k]) : (uint32_t)(k / m->group);
        any = any || groups[k];
    }
    for (uint64_t k = 0; !any && k < m->k; k++) { // all zero: nothing was put there
        groups[k] = (uint32_t)(k / m->group);
    }
    return groups;
}

/* Every group must exist, and have as many columns as groups have; the last may be short. */
static bool check_groups(const struct look *l, const uint32_t *groups) {
    const struct pk_module *m = &l->module;
    uint64_t *count = calloc(m->groups, sizeof(*count));
    if (!count) {
        return pk_fail_memory(l->e) != NULL;
    }
    bool ok = true;
    char what[120];
    for (uint64_t k = 0; ok && k < m->k; k++) {
        if (groups[k] >= m->groups) {
            snprintf(what, sizeof(what), "column %llu is in group %u of %llu", (unsigned long long)k, groups[k],
                     (unsigned long long)m->groups);
            ok = fail(l, "g_idx", what);
        } else {
            count[groups[k]]++;
        }
    }
    for (uint64_t g = 0; ok && g < m->groups; g++) {
        const uint64_t expected = g + 1 < m->groups ? m->group : m->k - g * m->group;
        if (count[g] != expected) {
            snprintf(what, sizeof(what), "group %llu has %llu columns, expected %llu", (unsigned long long)g,
                     (unsigned long long)count[g], (unsigned long long)expected);
            ok = fail(l, "g_idx", what);
        }
    }
    free(count);
    return ok;
}

/* The largest group of a bundle inside which no column changes its group; 0: there is none. */
static uint32_t common_group(const uint32_t *groups, uint64_t k) {
    for (uint32_t size = 128; size >= 32; size /= 2) {
        bool same = true;
        for (uint64_t i = 0; same && i < k; i++) {
            same = groups[i] == groups[i - i % size];
        }
        if (same) {
            return size;
        }
    }
    return 0;
}

static bool scan_groups(struct look *l) {
    struct pk_module *m = &l->module;
    uint32_t *groups = read_groups(l);
    bool ok = groups && check_groups(l, groups);
    if (ok) {
        bool plain = true;
        for (uint64_t k = 0; plain && k < m->k; k++) {
            plain = groups[k] == k / m->group;
        }
        m->has_g_idx = !plain;
        l->group = common_group(groups, m->k);
        l->scattered = l->group == 0;
    }
    free(groups);
    return ok;
}

/* ---- One module ---- */

static bool is_excluded(const struct look *l) {
    for (size_t i = 0; i < json_array_size(l->q->excluded); i++) {
        const char *part = json_string_value(json_array_get(l->q->excluded, i)), *at = strstr(l->base, part);
        if (*part && at && at + strlen(part) <= l->base + l->length) {
            return true;
        }
    }
    return false;
}

static bool read_shape(struct look *l, const struct pk_tensor *qweight) {
    struct pk_module *m = &l->module;
    const bool awq = l->q->method == PK_QUANT_AWQ;
    m->method = l->q->method;
    m->add_one = !awq && !l->q->v2;
    if (qweight->n_dims != 2 || strcmp(qweight->type_name, "I32") != 0) {
        return fail(l, "qweight", "expected 2 dims of type I32");
    }
    m->k = qweight->dims[0] * (awq ? 1 : 8); // no overflow: the file holds 4 bytes for each
    m->n = qweight->dims[1] * (awq ? 8 : 1);
    if (m->k == 0 || m->n == 0 || m->k % PK_BLOCK || m->n % 8 || m->k > MX_WIDTH_MAX || m->n > MX_VOCAB_MAX) {
        return fail(l, "qweight", "expected a multiple of 32 columns and of 8 rows");
    }
    m->group = l->q->group ? l->q->group : m->k;
    m->groups = (m->k + m->group - 1) / m->group;
    return true;
}

/* The parts of module X, whose qweight is given; the table does not move. */
static bool look_at(struct look *l, struct pk_tensor *qweight) {
    struct pk_module *m = &l->module;
    const bool awq = l->q->method == PK_QUANT_AWQ;
    bool eight;
    l->base = qweight->name;
    l->length = (int)(strlen(qweight->name) - strlen(".qweight"));
    if (is_excluded(l)) {
        return fail(l, "qweight", "is quantised, but listed under modules_to_not_convert");
    }
    if (!read_shape(l, qweight) ||
        !take_part(l, "qweight", "I32", awq ? m->k : m->k / 8, awq ? m->n / 8 : m->n, &m->qweight) ||
        !take_part(l, "qzeros", "I32", m->groups, m->n / 8, &m->qzeros) ||
        !take_part(l, "scales", "F16", m->groups, m->n, &m->scales)) {
        return false;
    }
    if (!awq && find_part(l, "g_idx")) {
        m->has_g_idx = true;
        if (!take_part(l, "g_idx", "I32", 0, m->k, &m->g_idx)) {
            return false;
        }
    }
    if (!scan_zeros(l, &eight) || !scan_groups(l)) {
        return false;
    }
    if (l->odd_zeros && l->q->sym) {
        return fail(l, "qzeros", "a zero-point is stored as 15, but the settings say \"sym\"");
    }
    l->type = l->scattered ? PK_F32 : eight ? PK_Q4_0 : PK_Q4_Z;
    return true;
}

/* ---- All of them ---- */

/* What pk_source_add needs, once the parts have left the table. */
struct made {
    char *name;
    struct look look;
};

static bool look_at_all(struct pk_source *s, const struct pk_quant *q, struct made *made, size_t *n,
                        struct pk_error *e) {
    for (size_t i = 0; i < s->n_tensors; i++) {
        if (!pk_ends_with(s->tensors[i].name, ".qweight")) {
            continue;
        }
        struct look l = {.s = s, .q = q, .e = e};
        if (!look_at(&l, &s->tensors[i])) {
            return false;
        }
        const size_t size = (size_t)l.length + sizeof(".weight");
        made[*n] = (struct made){.name = malloc(size), .look = l};
        if (!made[*n].name) {
            return pk_fail_memory(e) != NULL;
        }
        snprintf(made[(*n)++].name, size, "%.*s.weight", l.length, l.base);
    }
    return true;
}

static void drop_parts(struct pk_source *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->n_tensors; i++) {
        if (s->tensors[i].consumed) {
            free((char *)s->tensors[i].name);
        } else {
            s->tensors[kept++] = s->tensors[i];
        }
    }
    s->n_tensors = kept;
}

static bool add_modules(struct pk_source *s, const struct made *made, size_t n, struct pk_error *e) {
    s->modules = calloc(n + 1, sizeof(*s->modules));
    if (!s->modules || !(s->panels = pk_panels_new(e))) {
        return pk_fail_memory(e) != NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const struct look *l = &made[i].look;
        const uint64_t dims[2] = {l->module.n, l->module.k};
        struct pk_tensor *t =
            pk_source_add(s, made[i].name, l->type, l->q->method == PK_QUANT_AWQ ? "AWQ Int4" : "GPTQ Int4", 2, dims,
                          l->module.qweight.file, l->module.qweight.offset, e);
        if (!t) {
            return false;
        }
        t->group = l->group;
        t->scattered = l->scattered;
        s->modules[s->n_modules++] = l->module;
        t->module = (uint32_t)s->n_modules;
    }
    return true;
}

static bool add_notes(struct pk_source *s, const struct pk_quant *q, const struct made *made, size_t n,
                      struct pk_error *e) {
    size_t unequal = 0, odd = 0;
    const char *first_unequal = NULL, *first_odd = NULL;
    for (size_t i = 0; i < n; i++) {
        if (q->sym && made[i].look.type == PK_Q4_Z) {
            first_unequal = unequal++ ? first_unequal : made[i].name;
        }
        if (made[i].look.odd_zeros) {
            first_odd = odd++ ? first_odd : made[i].name;
        }
    }
    return (!unequal || pk_source_note(s, e,
                                       "the settings say \"sym\", but %zu matrices have zero-points other than 8; they "
                                       "are used as they are (first: %s)",
                                       unequal, first_unequal)) &&
           (!odd || pk_source_note(s, e,
                                   "%zu matrices store a zero-point as 15, which readers understand differently; taken "
                                   "as 0 (first: %s)",
                                   odd, first_odd));
}

bool pk_gptq_join(struct pk_source *s, const struct pk_quant *q, struct pk_error *e) {
    if (!pk_source_sort(s, e)) {
        return false;
    }
    size_t n = 0;
    const char *any = NULL;
    for (size_t i = 0; i < s->n_tensors; i++) {
        if (pk_ends_with(s->tensors[i].name, ".qweight")) {
            any = s->tensors[i].name;
            n++;
        }
    }
    if ((n == 0) != (q->method == PK_QUANT_NONE)) {
        return n ? pk_fail(e, MOXIE_ERROR_MODEL, "%s: tensor \"%s\", but no quantization_config says what it means",
                           s->path, any)
                 : pk_fail(e, MOXIE_ERROR_MODEL, "%s: the settings say that it is quantised, but no tensor is",
                           s->path);
    }
    if (n == 0) {
        return true;
    }
    struct made *made = calloc(n, sizeof(*made));
    if (!made) {
        pk_fail_memory(e);
        return false;
    }
    size_t looked = 0;
    bool ok = look_at_all(s, q, made, &looked, e);
    if (ok) {
        drop_parts(s);
        ok = add_modules(s, made, looked, e) && add_notes(s, q, made, looked, e);
    }
    for (size_t i = 0; i < looked; i++) {
        free(made[i].name);
    }
    free(made);
    return ok;
}
