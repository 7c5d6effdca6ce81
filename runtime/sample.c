/* SPDX-License-Identifier: Apache-2.0
 *
 * The candidates are a list of (value, id) in scratch, ids ascending, that each filter makes shorter. A candidate's
 * weight is exp(value - largest) in units of 2^-40: integers, whose sums do not depend on the order.
 *
 * A vocabulary may have 150 000 tokens and a small model's step takes two milliseconds, so what looks at every token
 * does so in loops of AT_ONCE that compilers turn into vector instructions. */
#include "runtime/sample.h"

#include <string.h>

#include "platform/fail.h"
#include "runtime/arith.h"

struct list {
    float *value;   /* (vocab) */
    uint32_t *id;   /* (vocab) */
    uint32_t *seen; /* (ceil(vocab / 32)) bitmap of the history */
    float *block;   /* (ceil(vocab / AT_ONCE)) the largest value of each block of as many */
    uint32_t n;     /* candidates left */
};

enum { AT_ONCE = 64 };
#define MOST_TOKENS (1u << 22) /* of a bundle; their weights together stay below 2^63 */
#define LARGEST_FLOAT 0x1.fffffep127f
#define WEIGHT_OF_1 0x1p40f

static bool in_range(float x, float min, float max) {
    return x >= min && x <= max; /* false for NaN */
}

static uint64_t weight(float value) {
    return (uint64_t)(mx_exp(value) * WEIGHT_OF_1);
}

size_t mx_sample_scratch(uint32_t vocab) {
    return 8 * (size_t)vocab + 4 * ((size_t)vocab / 32 + 1) + 4 * ((size_t)vocab / AT_ONCE + 1);
}

void mx_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The exponent of what is not finite is all ones: one more carries into the sign. */
static uint32_t carried(float x) {
    return ((uint32_t)mx_as_int(x) & 0x7fffffffu) + 0x00800000u;
}

bool mx_finite(const float *v, size_t n) {
    uint32_t any = 0;
    for (; n >= AT_ONCE; v += AT_ONCE, n -= AT_ONCE) {
        for (int i = 0; i < AT_ONCE; i++) {
            any |= carried(v[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        any |= carried(v[i]);
    }
    return any >> 31 == 0;
}

static enum moxie_error read_logits(struct list *l, const float *logits, uint32_t vocab,
                                    struct moxie_failure *failure) {
    if (!mx_finite(logits, vocab)) {
        uint32_t i = 0;
        while (carried(logits[i]) >> 31 == 0) {
            i++;
        }
        return mx_fail(failure, MOXIE_ERROR_NOT_FINITE, i, "sample: the logit of token %u is not finite", i);
    }
    memcpy(l->value, logits, vocab * sizeof *logits);
    return MOXIE_OK;
}

static enum moxie_error penalise(struct list *l, uint32_t vocab, const struct mx_sample_options *o,
                                 struct moxie_failure *failure) {
    float penalty = o->repetition_penalty > 0 ? o->repetition_penalty : 1, divide = mx_div(1, penalty);
    memset(l->seen, 0, 4 * ((size_t)vocab / 32 + 1));
    for (size_t i = 0; i < o->history_count; i++) {
        int32_t id = o->history[i];
        if (id < 0 || (uint32_t)id >= vocab) {
            return mx_fail(failure, MOXIE_ERROR_TOKEN, i, "sample: token %d in the history, vocabulary of %u", id,
                           vocab);
        }
        if (penalty != 1 && !(l->seen[id / 32] >> id % 32 & 1)) {
            float x = l->value[id];
            x = x < 0 ? x * penalty : x * divide;
            l->value[id] = x > LARGEST_FLOAT ? LARGEST_FLOAT : x < -LARGEST_FLOAT ? -LARGEST_FLOAT : x;
            l->seen[id / 32] |= 1u << id % 32;
        }
    }
    return MOXIE_OK;
}

/* -infinity is nobody's logit. */
static void forbid(struct list *l, uint32_t vocab, const uint32_t *allowed) {
    for (uint32_t i = 0; i < vocab; i++) {
        l->value[i] = allowed[i / 32] >> i % 32 & 1 ? l->value[i] : -INFINITY;
    }
}

/* Integers in the order of floats; -0 is 0. */
static int32_t order(float x) {
    int32_t bits = mx_as_int(x + 0.0f);
    return bits < 0 ? bits ^ 0x7fffffff : bits;
}

static int32_t larger(int32_t a, float x) {
    int32_t b = order(x);
    return a > b ? a : b;
}

/* The id of the largest value, the first of equals. Fills block. */
static uint32_t largest(const struct list *l, uint32_t vocab) {
    const float *value = l->value;
    int32_t most = INT32_MIN;
    uint32_t id = 0;
    for (uint32_t i = 0; i < vocab; i += AT_ONCE) {
        int32_t here = INT32_MIN;
        if (vocab - i >= AT_ONCE) {
            for (size_t j = 0; j < AT_ONCE; j++) {
                here = larger(here, value[i + j]);
            }
        } else {
            for (size_t j = i; j < vocab; j++) {
                here = larger(here, value[j]);
            }
        }
        l->block[i / AT_ONCE] = mx_as_float(here < 0 ? here ^ 0x7fffffff : here);
        if (here > most) {
            most = here;
            id = i;
        }
    }
    while (order(value[id]) != most) {
        id++;
    }
    return id;
}

static void keep(struct list *l, uint32_t *n, uint32_t i, uint32_t id) {
    l->value[*n] = l->value[i];
    l->id[(*n)++] = id;
}

/* Orders like the value, largest first (all values are at most 0). */
static uint32_t key_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x7fffffffu; /* -0 is 0 */
}

/* floor(a * fraction), fraction in [0, 1]; a < 2^63. */
static uint64_t part_of(uint64_t a, float fraction) {
    uint64_t units = (uint64_t)(fraction * 0x1p24f);
    return (a >> 24) * units + ((a & 0xffffff) * units >> 24);
}

enum measure { COUNT, MASS };

/* Key of the candidate with which those before it, and it, reach *enough (at least 1, at most what all have; of a MASS
 * that part of what all have), equal values in order of ids. *enough becomes what the candidates of this very key have
 * to give. Byte by byte from the highest on: four passes, whatever the values are. */
static uint32_t find_key(const struct list *l, enum measure measure, float part, uint64_t *enough) {
    uint32_t prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint64_t sum[256] = {0};
        for (uint32_t i = 0; i < l->n; i++) {
            uint32_t key = key_of(l->value[i]);
            if ((key ^ prefix) >> shift < 256) {
                sum[key >> shift & 255] += measure == MASS ? weight(l->value[i]) : 1;
            }
        }
        if (measure == MASS && shift == 24) { /* all of them */
            uint64_t all = 0;
            for (uint32_t byte = 0; byte < 256; byte++) {
                all += sum[byte];
            }
            *enough = part_of(all, part);
            *enough = *enough ? *enough : 1;
        }
        uint32_t byte = 0;
        for (; sum[byte] < *enough; byte++) {
            *enough -= sum[byte];
        }
        prefix |= byte << shift;
    }
    return prefix;
}

/* Makes the list: value = (x - largest x) / temperature, at most 0. What is below -28 weighs nothing (see mx_exp), so
 * no filter and no draw needs it. Nor does top_k need what is below the k-th of the blocks' largest: k are above. */
static void scale(struct list *l, uint32_t vocab, float most, const struct mx_sample_options *o) {
    const float factor = mx_div(1, o->temperature);
    struct list blocks = {.value = l->block, .n = (vocab + AT_ONCE - 1) / AT_ONCE};
    float least = -28;
    if (o->top_k > 0 && o->top_k < blocks.n) {
        for (uint32_t i = 0; i < blocks.n; i++) {
            float below = l->block[i] - most;
            l->block[i] = below * factor;
        }
        uint64_t enough = o->top_k;
        const float of_blocks = -mx_as_float((int32_t)find_key(&blocks, COUNT, 1, &enough));
        least = of_blocks > least ? of_blocks : least;
    }
    l->n = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        float below = l->value[i] - most;
        l->value[i] = below * factor;
        if (l->value[i] >= least) {
            keep(l, &l->n, i, i);
        }
    }
}

static void keep_top(struct list *l, uint32_t top_k) {
    uint64_t enough = top_k;
    uint32_t last = find_key(l, COUNT, 1, &enough), n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (key_of(l->value[i]) <= last) {
            keep(l, &n, i, l->id[i]);
        }
    }
    l->n = n;
}

static uint64_t mass_of(const struct list *l) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        sum += weight(l->value[i]);
    }
    return sum;
}

static void keep_mass(struct list *l, float top_p) {
    uint64_t enough, had = 0;
    uint32_t last = find_key(l, MASS, top_p, &enough), n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t key = key_of(l->value[i]);
        if (key < last || (key == last && had < enough)) {
            had += key == last ? weight(l->value[i]) : 0;
            keep(l, &n, i, l->id[i]);
        }
    }
    l->n = n;
}

static void keep_probable(struct list *l, float min_p) {
    uint64_t least = (uint64_t)(min_p * WEIGHT_OF_1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (weight(l->value[i]) >= least) {
            keep(l, &n, i, l->id[i]);
        }
    }
    l->n = n;
}

/* floor(random * n / 2^64). */
static uint64_t below(uint64_t random, uint64_t n) {
    uint64_t low = (random & 0xffffffffu) * (n & 0xffffffffu), a = (random >> 32) * (n & 0xffffffffu),
             b = (random & 0xffffffffu) * (n >> 32), high = (random >> 32) * (n >> 32);
    uint64_t middle = (low >> 32) + (a & 0xffffffffu) + (b & 0xffffffffu);
    return high + (a >> 32) + (b >> 32) + (middle >> 32);
}

static uint32_t draw(const struct list *l, const struct mx_sample_options *o, uint64_t position) {
    const uint32_t counter[4] = {(uint32_t)position, (uint32_t)(position >> 32), o->choice, 0};
    const uint32_t key[2] = {(uint32_t)o->seed, (uint32_t)(o->seed >> 32)};
    uint32_t random[4], i = 0;
    mx_philox(counter, key, random);
    uint64_t target = below((uint64_t)random[1] << 32 | random[0], mass_of(l));
    for (uint64_t sum = weight(l->value[0]); sum <= target; sum += weight(l->value[i])) {
        i++;
    }
    return l->id[i];
}

enum moxie_error mx_sample(const float *logits, uint32_t vocab, const struct mx_sample_options *o, uint64_t position,
                           void *scratch, size_t scratch_bytes, int32_t *token, struct moxie_failure *failure) {
    if (!logits || vocab == 0 || vocab > MOST_TOKENS || !o || !scratch || !token ||
        scratch_bytes < mx_sample_scratch(vocab)) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET,
                       "sample: logits, options, scratch or token missing");
    }
    if (!o->history && o->history_count > 0) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "sample: a history of %zu ids that is NULL",
                       o->history_count);
    }
    const struct {
        const char *name;
        float value, least, most; /* or 0: off */
    } range[] = {{"temperature", o->temperature, 1e-6f, 1e6f},
                 {"top_p", o->top_p, 0, 1},
                 {"min_p", o->min_p, 0, 1},
                 {"repetition_penalty", o->repetition_penalty, 1e-6f, 1e6f}};
    for (size_t i = 0; i < sizeof range / sizeof range[0]; i++) {
        if (range[i].value != 0 && !in_range(range[i].value, range[i].least, range[i].most)) {
            return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "sample: %s is %g, expected %g to %g",
                           range[i].name, (double)range[i].value, (double)range[i].least, (double)range[i].most);
        }
    }
    struct list l = {.value = scratch};
    l.id = (uint32_t *)scratch + vocab;
    l.seen = l.id + vocab;
    l.block = (float *)scratch + 2 * (size_t)vocab + vocab / 32 + 1;
    enum moxie_error error = read_logits(&l, logits, vocab, failure);
    error = error ? error : penalise(&l, vocab, o, failure);
    if (error) {
        return error;
    }
    if (o->allowed) {
        forbid(&l, vocab, o->allowed);
    }
    *token = (int32_t)largest(&l, vocab);
    float most = l.value[*token];
    if (most == -INFINITY) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "sample: no token is allowed");
    }
    if (o->temperature == 0) {
        return MOXIE_OK;
    }
    scale(&l, vocab, most, o);
    if (o->top_k > 0 && o->top_k < l.n) {
        keep_top(&l, o->top_k);
    }
    if (o->top_p > 0 && o->top_p < 1) {
        keep_mass(&l, o->top_p);
    }
    if (o->min_p > 0) {
        keep_probable(&l, o->min_p);
    }
    *token = (int32_t)draw(&l, o, position);
    return MOXIE_OK;
}
