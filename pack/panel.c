/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of GPTQ's and AWQ's matrices. A row lies scattered over the whole of qweight, so matrices are loaded whole, the
 * last few are kept, and rows are gathered from there. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pack/gptq.h"
#include "pack/source_build.h"

#define SLOTS 4 /* gate and up alternate; query, key and value follow each other */

struct panel {
    const struct pk_module *module;
    uint8_t *words;   // qweight
    uint8_t *zeros;   // qzeros
    uint8_t *scales;  // (groups, n) halfs
    uint32_t *groups; // (k) of each column
};

struct slot {
    struct panel panel;
    unsigned users;
    uint64_t used; // when last
};

struct pk_panels {
    pthread_mutex_t lock;
    pthread_cond_t released;
    struct slot slot[SLOTS];
    uint64_t clock;
};

struct pk_panels *pk_panels_new(struct pk_error *e) {
    struct pk_panels *p = calloc(1, sizeof(*p));
    if (!p) {
        return pk_fail_memory(e);
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->released, NULL);
    return p;
}

static void free_panel(struct panel *p) {
    free(p->words);
    free(p->zeros);
    free(p->scales);
    free(p->groups);
    *p = (struct panel){0};
}

void pk_panels_free(struct pk_panels *p) {
    if (p) {
        for (size_t i = 0; i < SLOTS; i++) {
            free_panel(&p->slot[i].panel);
        }
        pthread_cond_destroy(&p->released);
        pthread_mutex_destroy(&p->lock);
        free(p);
    }
}

static uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- Loading ---- */

static uint8_t *load(const struct pk_source *s, const struct pk_module_part *part, uint64_t bytes, struct pk_error *e) {
    uint8_t *data = malloc(bytes);
    if (!data) {
        return pk_fail_memory(e);
    }
    if (!pk_file_read(&s->files[part->file], part->offset, data, bytes, e)) {
        free(data);
        return NULL;
    }
    return data;
}

static bool load_groups(const struct pk_source *s, struct panel *p, struct pk_error *e) {
    const struct pk_module *m = p->module;
    uint8_t *raw = m->has_g_idx ? load(s, &m->g_idx, 4 * m->k, e) : NULL;
    if (m->has_g_idx && !raw) {
        return false;
    }
    p->groups = malloc(m->k * sizeof(*p->groups));
    for (uint64_t k = 0; p->groups && k < m->k; k++) {
        p->groups[k] = raw ? load32(raw + 4 * k) : (uint32_t)(k / m->group);
        if (p->groups[k] >= m->groups) { // the file has changed since it was checked
            free(raw);
            return pk_fail(e, MOXIE_ERROR_BOUNDS, "%s: a group of g_idx is outside the scales",
                           s->files[m->g_idx.file].path);
        }
    }
    free(raw);
    return p->groups || pk_fail_memory(e);
}

static bool load_panel(const struct pk_source *s, const struct pk_module *m, struct panel *p, struct pk_error *e) {
    *p = (struct panel){.module = m};
    if ((p->words = load(s, &m->qweight, m->k * m->n / 2, e)) &&
        (p->zeros = load(s, &m->qzeros, m->groups * m->n / 2, e)) &&
        (p->scales = load(s, &m->scales, m->groups * m->n * 2, e)) && load_groups(s, p, e)) {
        return true;
    }
    free_panel(p);
    return false;
}

/* The slot with the matrix, in use; NULL: see `e`. */
static struct slot *acquire(const struct pk_source *s, const struct pk_module *m, struct pk_error *e) {
    struct pk_panels *all = s->panels;
    struct slot *found = NULL;
    pthread_mutex_lock(&all->lock);
    while (!found) {
        struct slot *oldest = NULL;
        for (size_t i = 0; i < SLOTS; i++) {
            struct slot *slot = &all->slot[i];
            found = slot->panel.module == m ? slot : found;
            oldest = !slot->users && (!oldest || slot->used < oldest->used) ? slot : oldest;
        }
        if (!found && !oldest) {
            pthread_cond_wait(&all->released, &all->lock);
        } else if (!found) {
            free_panel(&oldest->panel);
            if (!load_panel(s, m, &oldest->panel, e)) {
                break;
            }
            found = oldest;
        }
    }
    if (found) {
        found->users++;
        found->used = ++all->clock;
    }
    pthread_mutex_unlock(&all->lock);
    return found;
}

static void release(struct pk_panels *all, struct slot *slot) {
    pthread_mutex_lock(&all->lock);
    slot->users--;
    pthread_cond_signal(&all->released);
    pthread_mutex_unlock(&all->lock);
}

/* ---- Gathering ---- */

/* Bits of row n % 8 in AWQ's words. */
static const uint8_t awq_shift[8] = {0, 16, 4, 20, 8, 24, 12, 28};

static unsigned zero_at(const struct panel *p, uint64_t group, uint64_t n) {
    const struct pk_module *m = p->module;
    const uint32_t word = load32(p->zeros + 4 * (group * (m->n / 8) + n / 8));
    return m->method == PK_QUANT_AWQ ? word >> awq_shift[n % 8] & 15 : ((word >> 4 * (n % 8)) + m->add_one) & 15;
}

static const uint8_t *scale_at(const struct panel *p, uint64_t group, uint64_t n) {
    return p->scales + 2 * (group * p->module->n + n);
}

/* Integers of row `n` at columns [k, k + 32). */
static void gather(const struct panel *p, uint64_t n, uint64_t k, uint8_t codes[static PK_BLOCK]) {
    const struct pk_module *m = p->module;
    if (m->method == PK_QUANT_AWQ) {
        const uint8_t *at = p->words + 4 * (k * (m->n / 8) + n / 8);
        for (unsigned i = 0; i < PK_BLOCK; i++, at += m->n / 2) {
            codes[i] = load32(at) >> awq_shift[n % 8] & 15;
        }
        return;
    }
    const uint8_t *at = p->words + 4 * (k / 8 * m->n + n);
    for (unsigned i = 0; i < PK_BLOCK; i += 8, at += 4 * m->n) {
        const uint32_t word = load32(at);
        for (unsigned j = 0; j < 8; j++) {
            codes[i + j] = word >> 4 * j & 15;
        }
    }
}

/* Row `n` as float32 values: the product of a half and five bits. */
static void put_values(const struct panel *p, uint64_t n, uint8_t *dst) {
    uint8_t codes[PK_BLOCK];
    for (uint64_t k = 0; k < p->module->k; k++) {
        if (k % PK_BLOCK == 0) {
            gather(p, n, k, codes);
        }
        const uint8_t *scale = scale_at(p, p->groups[k], n);
        const int code = codes[k % PK_BLOCK] - (int)zero_at(p, p->groups[k], n);
        const float value = pk_half_to_f32((uint16_t)(scale[0] | scale[1] << 8)) * (float)code;
        memcpy(dst + 4 * k, &value, 4); // little-endian, checked by pk_pack
    }
}

/* Row `n` as blocks of PK_Q4_0 or PK_Q4_Z. */
static void put_blocks(const struct panel *p, enum pk_type type, uint64_t n, uint8_t *dst) {
    uint8_t codes[PK_BLOCK];
    for (uint64_t k = 0; k < p->module->k; k += PK_BLOCK) {
        gather(p, n, k, codes);
        memcpy(dst, scale_at(p, p->groups[k], n), 2);
        dst += 2;
        if (type == PK_Q4_Z) {
            *dst++ = (uint8_t)zero_at(p, p->groups[k], n);
        }
        for (unsigned i = 0; i < PK_BLOCK / 2; i++) {
            *dst++ = (uint8_t)(codes[i] | codes[PK_BLOCK / 2 + i] << 4);
        }
    }
}

bool pk_panels_read(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows,
                    void *dst, struct pk_error *e) {
    struct slot *slot = acquire(s, &s->modules[t->module - 1], e);
    if (!slot) {
        return false;
    }
    for (uint64_t i = 0; i < n_rows; i++) {
        uint8_t *row = (uint8_t *)dst + i * t->row_bytes;
        if (t->type == PK_F32) {
            put_values(&slot->panel, first_row + i, row);
        } else {
            put_blocks(&slot->panel, t->type, first_row + i, row);
        }
    }
    release(s->panels, slot);
    return true;
}
