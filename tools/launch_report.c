/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/launch_report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/paths.h"
#include "tools/report.h"

int launch_report_step(struct launch_report *r, size_t launches_max) {
    if (launches_max > r->room) {
        struct moxie_launch *more = realloc(r->last, launches_max * sizeof(*more));
        if (!more) {
            return 0;
        }
        r->last = more;
        r->room = launches_max;
    }
    r->launches = 0;
    return 1;
}

void launch_report_add(struct launch_report *r, const struct moxie_launch *launch) {
    size_t i = 0;
    while (i < r->kinds && (r->kind[i].what != launch->what || r->kind[i].kernel != launch->kernel)) {
        i++;
    }
    if (i == r->kinds && i + 1 < sizeof(r->kind) / sizeof(r->kind[0])) {
        r->kind[r->kinds++] = (struct launch_kind){.kernel = launch->kernel, .what = launch->what};
    }
    struct launch_kind *k = &r->kind[i];
    double seconds = (double)(launch->end_ns - launch->start_ns) * 1e-9;
    k->launches++;
    k->bytes += launch->bytes;
    k->operations += launch->operations;
    k->seconds += seconds;
    r->inside += seconds;
    if (r->launches < r->room) {
        r->last[r->launches++] = *launch;
    }
}

void launch_report_end(struct launch_report *r) {
    r->steps++;
    for (size_t i = 1; i < r->launches; i++) {
        double gap = ((double)r->last[i].start_ns - (double)r->last[i - 1].end_ns) * 1e-9;
        r->between += gap > 0 ? gap : 0;
    }
}

static double rate(uint64_t n, double seconds) {
    return seconds > 0 ? (double)n / seconds : 0;
}

/* "12 %", or "-" where there is nothing to compare with. */
static const char *share(char text[16], double value, double peak) {
    if (value > 0 && peak > 0) {
        snprintf(text, 16, "%.0f %%", 100 * value / peak);
    } else {
        memcpy(text, "-", 2);
    }
    return text;
}

void launch_report_print(const struct launch_report *r, const char *title, double bytes_peak, double operations_peak) {
    double steps = r->steps ? (double)r->steps : 1, all = r->inside + r->between;
    char a[16], b[16];
    printf("\n%-36s %5s %10s %9s %6s %8s %6s %9s %6s\n", title, "n", "us", "MB", "of all", "GB/s", "of raw", "GOP/s",
           "of int8");
    for (size_t i = 0; i < r->kinds; i++) {
        const struct launch_kind *k = &r->kind[i];
        double bytes = rate(k->bytes, k->seconds), operations = rate(k->operations, k->seconds);
        printf("  %-13s %-20s %5.0f %10.1f %9.3f %5.1f%% %8.2f %6s %9.1f %6s\n", k->kernel, k->what,
               (double)k->launches / steps, k->seconds * 1e6 / steps, (double)k->bytes * 1e-6 / steps,
               all > 0 ? 100 * k->seconds / all : 0, bytes * 1e-9, share(a, bytes, bytes_peak), operations * 1e-9,
               share(b, operations, operations_peak));
    }
    printf("  between launches %36.1f %16.1f%%\n", r->between * 1e6 / steps, all > 0 ? 100 * r->between / all : 0);
    printf("  a step %46.1f\n", all * 1e6 / steps);
}

json_t *launch_report_json(const struct launch_report *r, double bytes_peak, double operations_peak) {
    json_t *kinds = json_array();
    for (size_t i = 0; i < r->kinds; i++) {
        const struct launch_kind *k = &r->kind[i];
        double bytes = rate(k->bytes, k->seconds), operations = rate(k->operations, k->seconds);
        json_array_append_new(
            kinds, json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "kernel", k->kernel, "what", k->what,
                             "launches", (json_int_t)k->launches, "bytes", (json_int_t)k->bytes, "operations",
                             (json_int_t)k->operations, "seconds", k->seconds, "bytes_per_s", bytes, "operations_per_s",
                             operations, "share_of_raw_read", bytes_peak > 0 ? bytes / bytes_peak : 0,
                             "share_of_int8_peak", operations_peak > 0 ? operations / operations_peak : 0));
    }
    return json_pack("{s:I, s:f, s:f, s:o}", "steps", (json_int_t)r->steps, "seconds_in_launches", r->inside,
                     "seconds_between_launches", r->between, "kinds", kinds);
}

int launch_report_trace(const struct launch_report *r, const char *path) {
    struct out_file out;
    if (!out_file_open(&out, path)) {
        return report_tool("%s: cannot be created: %s", path, strerror(errno));
    }
    FILE *f = out.file;
    fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n", f);
    for (size_t i = 0; i < r->launches; i++) {
        const struct moxie_launch *l = &r->last[i];
        fprintf(
            f,
            "{\"name\": \"%s\", \"cat\": \"%s\", \"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": %.3f, \"dur\": %.3f, ",
            l->what, l->kernel, (double)(l->start_ns - r->last[0].start_ns) * 1e-3,
            (double)(l->end_ns - l->start_ns) * 1e-3);
        fprintf(f, "\"args\": {\"layer\": %lld, \"bytes\": %llu, \"operations\": %llu}}%s\n",
                l->layer == UINT32_MAX ? -1 : (long long)l->layer, (unsigned long long)l->bytes,
                (unsigned long long)l->operations, i + 1 < r->launches ? "," : "");
    }
    fputs("]}\n", f);
    return out_file_commit(&out) ? STATUS_OK : report_tool("%s: cannot be written: %s", path, strerror(errno));
}

void launch_report_free(struct launch_report *r) {
    free(r->last);
    r->last = NULL;
    r->room = 0;
}
