/* SPDX-License-Identifier: Apache-2.0
 *
 * A driver that miscompiles, for LD_PRELOAD in front of a real one: PLANT_FROM, wherever it stands in the text of a
 * program, becomes PLANT_TO, and every program is built with PLANT_OPTIONS too. PLANT_MARK names a file that is made
 * when a text was changed, so that a test sees that there was something to find. */
#define _GNU_SOURCE /* RTLD_NEXT */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

cl_program clCreateProgramWithSource(cl_context context, cl_uint n, const char **text, const size_t *length,
                                     cl_int *code) {
    __typeof__(&clCreateProgramWithSource) next =
        (__typeof__(&clCreateProgramWithSource))dlsym(RTLD_NEXT, "clCreateProgramWithSource");
    const char *from = getenv("PLANT_FROM"), *to = getenv("PLANT_TO"), *mark = getenv("PLANT_MARK");
    char *all = calloc(1, TEXT_MAX), *changed = calloc(1, TEXT_MAX);
    size_t used = 0;
    for (cl_uint i = 0; i < n; i++) {
        const size_t bytes = length && length[i] ? length[i] : strlen(text[i]);
        if (used + bytes < TEXT_MAX)
            memcpy(all + used, text[i], bytes);
        used += bytes;
    }
    size_t written = 0;
    const char *rest = all;
    for (const char *at; from && *from && to && written < TEXT_MAX && (at = strstr(rest, from));
         rest = at + strlen(from))
        written += (size_t)snprintf(changed + written, TEXT_MAX - written, "%.*s%s", (int)(at - rest), rest, to);
    if (rest != all) {
        FILE *f = mark ? fopen(mark, "w") : NULL;
        if (f)
            fclose(f);
    }
    if (written < TEXT_MAX)
        snprintf(changed + written, TEXT_MAX - written, "%s", rest);
    const char *source = changed;
    cl_program program = next(context, 1, &source, NULL, code);
    free(all);
    free(changed);
    return program;
}

cl_int clBuildProgram(cl_program program, cl_uint n, const cl_device_id *devices, const char *options,
                      void(CL_CALLBACK *notify)(cl_program, void *), void *user) {
    __typeof__(&clBuildProgram) next = (__typeof__(&clBuildProgram))dlsym(RTLD_NEXT, "clBuildProgram");
    const char *more = getenv("PLANT_OPTIONS");
    char all[1024];
    snprintf(all, sizeof all, "%s %s", options ? options : "", more ? more : "");
    return next(program, n, devices, all, notify, user);
}
