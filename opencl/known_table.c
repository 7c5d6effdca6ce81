/* SPDX-License-Identifier: Apache-2.0
 *
 * Written by `MX_PRINT_KNOWN_ANSWERS=1 build/tests/test_known_answers` from the scalar twins. */
#include "opencl/known_answers_check.h"

const struct mx_known_answer mx_known_answer_table[] = {
    {NULL, 0, 0, 0, 0, 0},
};
