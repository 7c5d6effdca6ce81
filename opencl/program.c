/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/program.h"

#include <string.h>

#include "opencl/device.h"
#include "opencl/kernel_sources.h"
#include "opencl/launch.h"
#include "opencl/tunables.h"

/* ---- Options and sources ---- */

struct options {
    char text[256];
    size_t used;
};

static void add(struct options *o, const char *text) {
    size_t n = strlen(text);
    if (n < sizeof o->text - o->used) {
        memcpy(o->text + o->used, text, n + 1);
        o->used += n;
    }
}

static void define(struct options *o, const char *name, uint32_t value) {
    char digits[11];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    add(o, " -D");
    add(o, name);
    add(o, "=");
    add(o, digits + at);
}

/* Of a tunable that is left to the kernels, nothing. */
static void define_if(struct options *o, const char *name, uint32_t value) {
    if (value)
        define(o, name, value);
}

static bool is_sequence(const struct mx_program_key *key) {
    return strcmp(key->kernel_file, "sequence") == 0;
}

static bool is_linear(const struct mx_program_key *key) {
    return strcmp(key->kernel_file, "linear") == 0;
}

/* Nothing that lets a compiler change a value may ever stand here. -w: a user can do nothing about warnings, and some
 * drivers print them. */
static struct options options_of(const struct mx_cl *cl, const struct mx_program *p) {
    struct options o = {.used = 0};
    add(&o, "-cl-std=CL1.2 -w");
    define(&o, "MX_FORMAT", p->key.format);
    define(&o, "MX_GROUP", p->key.group);
    define(&o, "MX_KV", p->key.kv);
    define(&o, "MX_DOT", p->dot);
    if (strcmp(p->key.kernel_file, "hash") == 0 && mx_device_sha256(&cl->facts, p->dot))
        define(&o, "MX_SHA256", 1);
    if (is_sequence(&p->key))
        add(&o, " -DMX_SEQUENCE");
    if (p->half_by_integer)
        add(&o, " -DMX_HALF_BY_INTEGER");
    if (mx_in_lanes(&cl->tunables)) {
        define(&o, "MX_LANES", 1);
        define(&o, "MX_LOCAL", cl->tunables.work_group);
    }
    if (is_sequence(&p->key) || is_linear(&p->key)) {
        define_if(&o, "MX_TOKENS_PER_ITEM", cl->tunables.unit_entries);
        define_if(&o, "MX_T", cl->tunables.side_by_side);
        define_if(&o, "MX_AHEAD", cl->tunables.ahead);
        define_if(&o, "MX_X_AHEAD", cl->tunables.row_ahead);
    }
    return o;
}

enum { SOURCES_MAX = MX_PROGRAM_SOURCES };

#define LINEAR                                                                                                         \
    "linear_parts", "linear_tile", "linear_tile", "linear_tile", "linear_tile", "linear_block", "linear_block"

/* The strings that make up a program: what all share, then its own file; a sequence has all that it may run. */
static enum moxie_error sources_of(const struct mx_program *p, const struct mx_kernel_source *source[SOURCES_MAX],
                                   uint32_t *n, struct moxie_failure *failure) {
    static const char *const linear[] = {"linear_results", LINEAR, NULL};
    static const char *const sequence[] = {"norm", "rope",   "attention", "route", "embed",  "linear_results",
                                           LINEAR, "linear", "float32",   LINEAR,  "linear", NULL};
    static const char *const none[] = {NULL};
    _Static_assert(sizeof sequence / sizeof *sequence + 2 <= SOURCES_MAX,
                   "a list has more texts than there is room for");
    const char *name[SOURCES_MAX] = {"arith", "weights"};
    *n = 2;
    for (const char *const *part = is_sequence(&p->key) ? sequence : is_linear(&p->key) ? linear : none; *part; part++)
        name[(*n)++] = *part;
    name[(*n)++] = p->key.kernel_file;
    for (uint32_t i = 0; i < *n; i++) {
        source[i] = mx_kernel_source(name[i]);
        if (!source[i])
            return mx_fail(failure, MOXIE_ERROR_COMPILE, MX_NO_OFFSET, "this library has no kernel source %s.cl",
                           name[i]);
    }
    return MOXIE_OK;
}

enum moxie_error mx_program_text(const struct mx_cl *cl, const struct mx_program *p, struct mx_program_text *text,
                                 struct moxie_failure *failure) {
    const struct mx_kernel_source *source[SOURCES_MAX];
    const struct options options = options_of(cl, p);
    enum moxie_error e = sources_of(p, source, &text->sources, failure);
    for (uint32_t i = 0; !e && i < text->sources; i++)
        text->source[i] = source[i]->source;
    memcpy(text->options, options.text, sizeof text->options);
    return e;
}

/* ---- Cache ---- */

enum { HASH_BYTES = 32 }; /* a stored binary stands behind its own hash: there are drivers that die of damaged ones */

/* Fills the key under which the binary is kept: a hash of everything that could change it. */
static bool cache_key(const struct mx_cl *cl, const struct mx_program *p,
                      const struct mx_kernel_source *const source[SOURCES_MAX], uint32_t n, uint8_t key[HASH_BYTES]) {
    struct {
        char platform[256]; /* its version names the compiler */
        struct moxie_device_facts facts;
        struct options options;
        uint8_t source[SOURCES_MAX][HASH_BYTES];
    } id;
    if (!cl->callbacks->sha256)
        return false;
    memset(&id, 0, sizeof id); /* padding is hashed too */
    if (clGetPlatformInfo(cl->platform, CL_PLATFORM_VERSION, sizeof id.platform, id.platform, NULL) != CL_SUCCESS)
        return false;
    memcpy(&id.facts, &cl->facts, sizeof id.facts);
    id.options = options_of(cl, p);
    for (uint32_t i = 0; i < n; i++)
        cl->callbacks->sha256(source[i]->source, source[i]->length, id.source[i]);
    cl->callbacks->sha256(&id, sizeof id, key);
    return true;
}

static void log_replacement(const struct mx_cl *cl, const struct mx_program *p, const char *why, cl_int code) {
    struct moxie_failure line;
    mx_fail_cl(&line, MOXIE_ERROR_COMPILE, code, "program %s: %s (%d)", p->key.kernel_file, why, code);
    mx_cl_log(cl, line.what);
}

static void forget(struct mx_program *p) {
    clReleaseProgram(p->program);
    p->program = NULL;
}

/* Builds from the cache's binary; leaves p->program NULL when there is none that the driver takes. */
static void build_cached(struct mx_cl *cl, struct mx_program *p,
                         const struct mx_kernel_source *const source[SOURCES_MAX], uint32_t sources) {
    uint8_t key[HASH_BYTES], hash[HASH_BYTES];
    if (!cl->callbacks->cache_load || !cache_key(cl, p, source, sources, key))
        return;
    size_t n = cl->callbacks->cache_load(cl->callbacks->user, key, cl->scratch, cl->scratch_bytes);
    if (n <= HASH_BYTES || n > cl->scratch_bytes)
        return;
    n -= HASH_BYTES;
    const unsigned char *binary = cl->scratch + HASH_BYTES;
    cl->callbacks->sha256(binary, n, hash);
    if (memcmp(hash, cl->scratch, HASH_BYTES) != 0) {
        log_replacement(cl, p, "the cached binary is damaged, building from source", 0);
        return;
    }
    struct options options = options_of(cl, p);
    cl_int status = CL_SUCCESS, code;
    p->program = clCreateProgramWithBinary(cl->context, 1, &cl->device, &n, &binary, &status, &code);
    if (code == CL_SUCCESS) {
        code = status == CL_SUCCESS ? clBuildProgram(p->program, 1, &cl->device, options.text, NULL, NULL) : status;
        if (code != CL_SUCCESS)
            forget(p);
    } else {
        p->program = NULL;
    }
    p->from_cache = code == CL_SUCCESS;
    if (code != CL_SUCCESS)
        log_replacement(cl, p, "the cached binary was refused, building from source", code);
}

void mx_programs_store(struct mx_cl *cl) {
    struct moxie_failure failure;
    for (uint32_t i = 0; i < cl->n_programs && cl->callbacks->cache_store; i++) {
        struct mx_program *p = &cl->program[i];
        const struct mx_kernel_source *source[SOURCES_MAX];
        uint32_t sources;
        uint8_t key[HASH_BYTES];
        size_t n = 0;
        unsigned char *binary = cl->scratch + HASH_BYTES;
        if (p->from_cache || sources_of(p, source, &sources, &failure) != MOXIE_OK ||
            !cache_key(cl, p, source, sources, key))
            continue;
        cl_int code = clGetProgramInfo(p->program, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL);
        if (code != CL_SUCCESS || n == 0 || n > cl->scratch_bytes - HASH_BYTES)
            continue;
        code = clGetProgramInfo(p->program, CL_PROGRAM_BINARIES, sizeof(unsigned char *), &binary, NULL);
        if (code != CL_SUCCESS)
            continue;
        cl->callbacks->sha256(binary, n, cl->scratch);
        cl->callbacks->cache_store(cl->callbacks->user, key, cl->scratch, n + HASH_BYTES);
    }
}

/* ---- Building ---- */

/* Gives the compiler's log to the log callback, and its first line to the failure. */
static enum moxie_error report(struct mx_cl *cl, struct mx_program *p, const struct options *options, cl_int built,
                               struct moxie_failure *failure) {
    char *log = (char *)cl->scratch;
    size_t n = 0;
    log[0] = '\0';
    cl_int code = clGetProgramBuildInfo(p->program, cl->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &n);
    if (code == CL_SUCCESS && n < cl->scratch_bytes) {
        code = clGetProgramBuildInfo(p->program, cl->device, CL_PROGRAM_BUILD_LOG, n, log, NULL);
        log[code == CL_SUCCESS ? n : 0] = '\0';
    }
    if (log[0])
        mx_cl_log(cl, log);
    return mx_fail_cl(failure, MOXIE_ERROR_COMPILE, built, "clBuildProgram failed with %d: %s.cl%s: %.*s", built,
                      p->key.kernel_file, options->text + sizeof "-cl-std=CL1.2" - 1, (int)strcspn(log, "\n"), log);
}

static enum moxie_error build_source(struct mx_cl *cl, struct mx_program *p,
                                     const struct mx_kernel_source *const source[SOURCES_MAX], uint32_t sources,
                                     struct moxie_failure *failure) {
    const char *text[SOURCES_MAX];
    size_t length[SOURCES_MAX];
    for (uint32_t i = 0; i < sources; i++) {
        text[i] = source[i]->source;
        length[i] = source[i]->length;
    }
    cl_int code;
    struct options options = options_of(cl, p);
    p->program = clCreateProgramWithSource(cl->context, sources, text, length, &code);
    if (code != CL_SUCCESS) {
        p->program = NULL;
        return mx_cl_failed(code, "clCreateProgramWithSource", p->key.kernel_file, failure);
    }
    code = clBuildProgram(p->program, 1, &cl->device, options.text, NULL, NULL);
    if (code == CL_SUCCESS)
        return MOXIE_OK;
    enum moxie_error e = code == CL_BUILD_PROGRAM_FAILURE || code == CL_INVALID_BUILD_OPTIONS
                             ? report(cl, p, &options, code, failure)
                             : mx_cl_failed(code, "clBuildProgram", p->key.kernel_file, failure);
    forget(p);
    return e;
}

enum moxie_error mx_program_build(struct mx_cl *cl, struct mx_program *p, struct moxie_failure *failure) {
    const struct mx_kernel_source *source[SOURCES_MAX];
    uint32_t sources;
    p->program = NULL;
    p->n_checked = 0;
    p->from_cache = false;
    enum moxie_error e = sources_of(p, source, &sources, failure);
    if (!e)
        build_cached(cl, p, source, sources);
    if (!e && !p->program)
        e = build_source(cl, p, source, sources, failure);
    return e ? e : mx_cl_own(cl, MX_OBJECT_PROGRAM, p->program, failure);
}

bool mx_program_distrust(struct mx_program *p) {
    if (p->dot != MX_DOT_PORTABLE) {
        p->dot = MX_DOT_PORTABLE;
        return true;
    }
    bool more = !p->half_by_integer;
    p->half_by_integer = true;
    return more;
}

const char *mx_form_name(uint32_t dot, bool half_by_integer) {
    return half_by_integer ? "portable, halves by integers" : mx_dot_name(dot);
}

bool mx_same_program(const struct mx_program_key *a, const struct mx_program_key *b) {
    return a->format == b->format && a->group == b->group && a->kv == b->kv &&
           strcmp(a->kernel_file, b->kernel_file) == 0;
}

enum moxie_error mx_program_get(struct mx_cl *cl, const struct mx_program_key *key, struct mx_program **out,
                                struct moxie_failure *failure) {
    for (uint32_t i = 0; i < cl->n_programs; i++)
        if (mx_same_program(&cl->program[i].key, key)) {
            *out = &cl->program[i];
            return MOXIE_OK;
        }
    if (cl->n_programs == MX_MAX_PROGRAMS)
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "more than %u programs", MX_MAX_PROGRAMS);
    struct moxie_failure why;
    struct mx_program *p = &cl->program[cl->n_programs];
    *p = (struct mx_program){.key = *key, .dot = cl->facts.dot, .first_dot = cl->facts.dot};
    enum moxie_error e = mx_program_build(cl, p, &why);
    if (e == MOXIE_ERROR_COMPILE && why.cl != 0 && p->dot != MX_DOT_PORTABLE) {
        mx_cl_log(cl, why.what);
        log_replacement(cl, p, "the variant for this processor does not compile, the portable kernel takes its place",
                        why.cl);
        p->why = MOXIE_ERROR_COMPILE;
        p->dot = MX_DOT_PORTABLE;
        e = mx_program_build(cl, p, &why);
    }
    if (e) {
        if (failure)
            *failure = why;
        return e;
    }
    cl->n_programs++;
    *out = p;
    return MOXIE_OK;
}
