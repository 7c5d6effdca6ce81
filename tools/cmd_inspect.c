/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie inspect: what a bundle holds. */
#define _POSIX_C_SOURCE 200809L // fileno, strnlen
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/args.h"
#include "tools/commands.h"
#include "tools/json_out.h"
#include "tools/report.h"
#include "tools/tables.h"
#include "tools/trust.h"

struct inspection {
    struct moxie_bundle bundle;
    struct moxie_model model;
    struct tables tables;
};

static void print_config(const struct inspection *s) {
    const struct mx_manifest *m = s->tables.manifest;
    const struct mx_model *c = &m->model;
    printf("model        %s (%s)\n", s->model.id, s->model.architecture);
    printf("hidden       %u, %u layers, %u heads, %u KV heads of %u\n", c->hidden, c->layers, c->heads, c->kv_heads,
           c->head_dim);
    if (s->model.routed_experts) {
        printf("experts      %u, of which a token takes %u\n", s->model.routed_experts, s->model.experts_per_token);
    }
    printf("vocabulary   %u, positions %u, KV %s, %s\n", c->vocab, c->max_positions, kv_name(c->kv_type),
           c->tied ? "head tied to the embedding" : "head of its own");
    printf("chat         %s\n", c->chat_template ? chat_template_name(c->chat_template)
                                                 : "no template: moxie run continues texts, moxie chat does not work");
    printf("rms_eps      %g, rope_theta %g\n", (double)c->rms_eps, (double)c->rope_theta);
    printf("parameters   %llu in %u segments, %.1f MB\n", (unsigned long long)s->model.parameters, m->segments,
           (double)s->model.weight_bytes / 1e6);
    printf("bundle       format %u.%u, arithmetic %u, %llu bytes, security counter %llu\n", m->major, m->minor,
           m->arithmetic, (unsigned long long)m->bundle_bytes, (unsigned long long)m->security_counter);
}

/* Bytes of each format over all tensors. */
struct totals {
    uint64_t tensors[MX_FORMAT_VECTOR + 1], bytes[MX_FORMAT_VECTOR + 1];
};

static struct totals count_totals(const struct tables *t) {
    struct totals totals = {{0}, {0}};
    for (uint32_t i = 0; i < t->manifest->tensors; i++) {
        const struct mx_tensor *tensor = &t->tensors[i];
        totals.tensors[tensor->format] += tensor->segments;
        totals.bytes[tensor->format] += tensor->segments * tensor_bytes(tensor);
    }
    return totals;
}

static void print_tensors(const struct tables *t) {
    printf("\n%-30s %-7s %5s %-5s %16s %8s %12s %12s\n", "tensor", "type", "group", "scale", "shape", "copies",
           "offset", "bytes each");
    for (uint32_t i = 0; i < t->manifest->tensors; i++) {
        const struct mx_tensor *tensor = &t->tensors[i];
        char name[96], shape[32];
        tensor_name(t, tensor, name, sizeof(name));
        snprintf(shape, sizeof(shape), tensor->format == MX_FORMAT_VECTOR ? "%u" : "%u x %u", tensor->rows,
                 tensor->cols);
        printf("%-30s %-7s %5u %-5s %16s %8u %12llu %12llu\n", name, format_name(tensor->format), tensor->group,
               scale_name(tensor->scale_type), shape, tensor->segments, (unsigned long long)tensor_offset(t, tensor),
               (unsigned long long)tensor_bytes(tensor));
    }
    struct totals totals = count_totals(t);
    printf("\n");
    for (uint32_t f = 1; f <= MX_FORMAT_VECTOR; f++) {
        if (totals.tensors[f]) {
            printf("%-7s %8llu tensors %14llu bytes\n", format_name(f), (unsigned long long)totals.tensors[f],
                   (unsigned long long)totals.bytes[f]);
        }
    }
}

static json_t *config_json(const struct inspection *s) {
    const struct mx_manifest *m = s->tables.manifest;
    const struct mx_model *c = &m->model;
    json_t *eos = json_array();
    for (uint32_t i = 0; i < c->eos_count; i++) {
        json_array_append_new(eos, json_integer(c->eos[i]));
    }
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:s, s:f, s:f, s:I, s:I, s:o, "
        "s:{s:I, s:I, s:I, s:I, s:I}}",
        "model", s->model.id, "architecture", s->model.architecture, "hidden", (json_int_t)c->hidden, "layers",
        (json_int_t)c->layers, "heads", (json_int_t)c->heads, "kv_heads", (json_int_t)c->kv_heads, "head_dim",
        (json_int_t)c->head_dim, "vocab", (json_int_t)c->vocab, "max_positions", (json_int_t)c->max_positions,
        "routed_experts", (json_int_t)s->model.routed_experts, "experts_per_token",
        (json_int_t)s->model.experts_per_token, "kv_type", kv_name(c->kv_type), "tied", (int)c->tied, "chat_template",
        chat_template_name(c->chat_template), "rms_eps", (double)c->rms_eps, "rope_theta", (double)c->rope_theta,
        "parameters", (json_int_t)s->model.parameters, "weight_bytes", (json_int_t)s->model.weight_bytes, "eos", eos,
        "bundle", "major", (json_int_t)m->major, "minor", (json_int_t)m->minor, "arithmetic", (json_int_t)m->arithmetic,
        "bytes", (json_int_t)m->bundle_bytes, "security_counter", (json_int_t)m->security_counter);
}

static json_t *tensor_json(const struct tables *t, const struct mx_tensor *tensor) {
    char name[96];
    tensor_name(t, tensor, name, sizeof(name));
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:s, s:[I, I], s:I, s:I, s:I, s:I}", "name", name, "type", format_name(tensor->format),
        "group", (json_int_t)tensor->group, "scale", scale_name(tensor->scale_type), "shape", (json_int_t)tensor->rows,
        (json_int_t)tensor->cols, "segment", (json_int_t)tensor->segment, "copies", (json_int_t)tensor->segments,
        "offset", (json_int_t)tensor_offset(t, tensor), "bytes", (json_int_t)tensor_bytes(tensor));
    return object;
}

static int print_json(const struct inspection *s) {
    const struct tables *t = &s->tables;
    json_t *object = config_json(s), *tensors = json_array(), *totals = json_object();
    for (uint32_t i = 0; i < t->manifest->tensors; i++) {
        json_array_append_new(tensors, tensor_json(t, &t->tensors[i]));
    }
    struct totals sums = count_totals(t);
    for (uint32_t f = 1; f <= MX_FORMAT_VECTOR; f++) {
        if (sums.tensors[f]) {
            json_object_set_new(totals, format_name(f), json_integer((json_int_t)sums.bytes[f]));
        }
    }
    json_object_set_new(object, "tensors", tensors);
    json_object_set_new(object, "bytes_by_type", totals);
    return json_print(object);
}

/* The library checks the mapped bytes first; what is printed are those very bytes. */
static int inspect(const char *path, const void *bytes, size_t size, const char *pub, bool json, bool license) {
    struct inspection s;
    struct trust trust;
    struct moxie_failure failure = {0};
    int status = trust_open(&trust, pub);
    if (status == STATUS_OK && moxie_bundle_open_memory(&s.bundle, bytes, size, &trust.library, &failure) != MOXIE_OK) {
        status = report_failure_in(path, &failure);
    }
    trust_close(&trust);
    if (status != STATUS_OK) {
        return status;
    }
    moxie_bundle_model(&s.bundle, &s.model);
    s.tables = tables_of(bytes);
    if (license) {
        print_foreign((const char *)s.model.license, s.model.license_bytes, isatty(STDOUT_FILENO));
        status = finish_output(STATUS_OK);
    } else if (json) {
        status = print_json(&s);
    } else {
        print_config(&s);
        print_tensors(&s.tables);
        status = finish_output(STATUS_OK);
    }
    moxie_bundle_close(&s.bundle);
    return status;
}

int cmd_inspect(int argc, char **argv) {
    const char *path = NULL, *pub = NULL;
    bool json = false, license = false;
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE, .out = &path, .help = "a file made by moxie pack"},
        {"--pub", .kind = ARG_TEXT, .out = &pub, .value = "FILE", .help = "trust only this public key, not the store"},
        {"--license", .kind = ARG_FLAG, .out = &license, .help = "print the model's licence text instead"},
        {"--json", .kind = ARG_FLAG, .out = &json, .help = "print a JSON object"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Shows configuration, tensors (shape, type, offset, size) and totals of a bundle.",
        .details =
            "The signature is checked first, the weights are not read. Experts of a layer are one line: \"copies\"\n"
            "is how many segments in a row hold the tensor, \"offset\" is where the first one does.",
        .example = "    moxie inspect smollm2.moxie --json | python3 -m json.tool",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    if (json && license) {
        return usage_error("--license prints a text, --json an object: one of the two");
    }
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe is not waited for
    if (fd < 0 || fstat(fd, &st) != 0) {
        status = report_error(MOXIE_ERROR_FILE, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return report_error(MOXIE_ERROR_FILE, "%s: not a file", path);
    }
    size_t size = st.st_size > 0 ? (size_t)st.st_size : 0;
    void *bytes = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (!size || bytes == MAP_FAILED) {
        return size ? report_error(MOXIE_ERROR_MAP, "%s: %s", path, strerror(errno))
                    : report_error(MOXIE_ERROR_TRUNCATED, "%s: the file is empty", path);
    }
    status = inspect(path, bytes, size, pub, json, license);
    munmap(bytes, size);
    return status;
}
