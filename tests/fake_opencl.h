/* SPDX-License-Identifier: Apache-2.0
 *
 * A fake OpenCL: every call of the library goes through it to the real loader, is counted, and can be made to fail. It
 * is linked into every C test; without fake_fail it only counts. Releases are counted but never fail and have no
 * number. tests/test_opencl_calls.sh checks that no call of the library goes past it. */
#ifndef TESTS_FAKE_OPENCL_H
#define TESTS_FAKE_OPENCL_H

#include <CL/cl.h>

struct fake_opencl {
    long calls;         /* since fake_reset, releases not counted */
    long creates;       /* objects created: clCreate…, events handed out, retains */
    long releases;      /* objects given back */
    long enqueues;      /* kernels, reads, writes, fills */
    int inside;         /* not 0 while a call is in the driver */
    const char *failed; /* name of the call that was made to fail first, NULL if none was */
    cl_int code;        /* what it answered */
};
extern struct fake_opencl fake;

/* Everything to zero, nothing fails. */
void fake_reset(void);

/* Call number n (1 = the next one) will fail with `code`, 0 = a code that this call can really answer. With `stay`, all
 * after it fail too: a device that is gone. n = 0: nothing fails. */
void fake_fail(long n, cl_int code, int stay);

/* Every call of the function `name` fails with `code`; NULL ends that. */
void fake_fail_name(const char *name, cl_int code);

/* clGetDeviceInfo answers `value` for `property`, a number: a device that is not here. At most 4 until fake_reset. */
void fake_device_info(cl_device_info property, cl_ulong value);

/* Objects that are alive: 0 when everything created since fake_reset was released. */
static inline long fake_live(void) {
    return fake.creates - fake.releases;
}

/* cmocka's set-up and tear-down: a fresh fake, and nothing alive at the end. */
int fake_begin(void **state);
int fake_end(void **state);

#endif
