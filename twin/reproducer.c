/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L /* fsync, fileno */
#include "twin/reproducer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/fail.h"

extern const char twin_reproduce_text[]; /* twin/reproduce/reproduce.c, embedded by the build */

/* Files of one folder, under other names until all are whole; after the first failure nothing is written any more. */
static const char *const names[] = {"kernel.cl", "before.bin", "expected.bin", "reproduce.c", "case.h", "README.md"};

struct files {
    const char *folder;
    FILE *f;
    enum moxie_error error;
    struct moxie_failure *failure;
    char path[4096];
};

static void set_path(char path[4096], const struct files *w, const char *name, const char *ending) {
    snprintf(path, 4096, "%s/%s%s", w->folder, name, ending);
}

static void fail(struct files *w) {
    w->error = mx_fail(w->failure, MOXIE_ERROR_FILE, MX_NO_OFFSET, "%s: %s", w->path, strerror(errno));
}

static bool begin(struct files *w, const char *name) {
    if (w->error)
        return false;
    set_path(w->path, w, name, ".new");
    w->f = fopen(w->path, "wb");
    if (!w->f)
        fail(w);
    return w->f != NULL;
}

static void end(struct files *w) {
    bool ok = fflush(w->f) == 0 && !ferror(w->f) && fsync(fileno(w->f)) == 0;
    ok = fclose(w->f) == 0 && ok;
    if (!ok)
        fail(w);
}

static void write_bytes(struct files *w, const char *name, const void *bytes, size_t n) {
    if (begin(w, name)) {
        fwrite(bytes, 1, n, w->f);
        end(w);
    }
}

/* What the kernel is called with, for reproduce.c. */
static void write_case(struct files *w, const struct twin_verdict *v, uint32_t device) {
    const struct twin_case_failure *d = v->difference;
    struct twin_parameter parameter[MX_MAX_ARGS];
    memset(parameter, 0, sizeof parameter);
    twin_parameters(&v->of, parameter);
    if (!begin(w, "case.h"))
        return;
    fprintf(w->f, "#define DEVICE %u\n#define KERNEL \"%s\"\n#define OPTIONS \"%s\"\n", device, d->entry,
            v->text->options);
    fprintf(w->f, "#define BEFORE_BYTES %zu\n#define EXPECTED_BYTES %zu\n#define DIMS %u\n", d->image_bytes,
            d->c->image_bytes, d->dims);
    fprintf(w->f, "#define GLOBAL {%zu, %zu, %zu}\n", d->global[0], d->global[1], d->global[2]);
    fprintf(w->f, "#define LOCAL {%zu, %zu, %zu}\n", d->local[0], d->local[1], d->local[2]);
    fprintf(w->f, "/* memory?, offset and bytes of the part; or the number's bits */\n"
                  "static const struct argument arguments[] = {\n");
    for (uint32_t i = 0; i < d->n_set; i++) {
        const struct mx_case_arg *a = &d->set[i];
        uint32_t bits = a->u;
        if (a->kind == MX_ARG_F32)
            memcpy(&bits, &a->f, sizeof bits);
        if (a->kind == MX_ARG_MEM)
            fprintf(w->f, "    {1, %u, %u, 0},\n", a->offset, a->bytes);
        else
            fprintf(w->f, "    {0, 0, 0, 0x%xu},\n", bits);
    }
    fprintf(w->f,
            "};\n/* what %s works on: name, offset, bytes, bytes of an element */\n"
            "static const struct part parts[] = {\n",
            v->of.kernel);
    for (uint32_t i = 0; i < d->c->n_args; i++) {
        const struct mx_case_arg *a = &d->c->arg[i];
        if (a->kind == MX_ARG_MEM)
            fprintf(w->f, "    {\"%s\", %u, %u, %u},\n", parameter[i].name, a->offset, a->bytes,
                    twin_element_bytes(&v->of, &parameter[i]));
    }
    fprintf(w->f, "};\n");
    end(w);
}

static void write_readme(struct files *w, const struct twin_verdict *v, const struct moxie_device_facts *facts) {
    if (!begin(w, "README.md"))
        return;
    fprintf(
        w->f,
        "# %s gives wrong results on %s\n\n"
        "| | |\n|---|---|\n| platform | %s |\n| device | %s |\n| driver | %s |\n| OpenCL | %s |\n| options | `%s` |\n\n"
        "%s\n\n"
        "    cc reproduce.c -lOpenCL -o reproduce && ./reproduce\n\n"
        "says WRONG where the results are not those in `expected.bin`, which plain C computed, and OK where they are.\n"
        "The kernel uses float addition, subtraction, multiplication, `fma`, comparisons, `rint`, conversions and\n"
        "integer operations only, no option that lets a compiler change a value, and no order of operations is left\n"
        "open: with round to nearest there is one right result (subnormals never occur).\n",
        v->of.kernel, facts->name, facts->platform, facts->name, facts->driver, facts->version, v->text->options,
        v->failure->what);
    end(w);
}

static void put_in_place(struct files *w) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char from[4096];
        set_path(from, w, names[i], ".new");
        set_path(w->path, w, names[i], "");
        if (!w->error && rename(from, w->path) != 0)
            fail(w);
        if (w->error)
            remove(from);
    }
}

enum moxie_error twin_reproduce(const char *folder, const struct twin_verdict *v, uint32_t device,
                                const struct moxie_device_facts *facts, struct moxie_failure *failure) {
    struct files w = {.folder = folder, .error = MOXIE_OK, .failure = failure};
    const struct twin_case_failure *d = v->difference;
    if (begin(&w, "kernel.cl")) {
        for (uint32_t i = 0; i < v->text->sources; i++)
            fputs(v->text->source[i], w.f);
        end(&w);
    }
    write_bytes(&w, "before.bin", d->before, d->image_bytes);
    write_bytes(&w, "expected.bin", d->wanted, d->c->image_bytes);
    write_bytes(&w, "reproduce.c", twin_reproduce_text, strlen(twin_reproduce_text));
    write_case(&w, v, device);
    write_readme(&w, v, facts);
    put_in_place(&w);
    return w.error;
}
