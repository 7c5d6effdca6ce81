/* SPDX-License-Identifier: Apache-2.0
 *
 * Written by MX_PRINT_KNOWN_ANSWERS=1 build/tests/test_known_answers from the scalar twins. */
#include "opencl/known_answers_check.h"

/* clang-format off */
const struct mx_known_answer mx_known_answer_table[] = {
    {"mx_linear", 1, 32, 0, 0x63cfd143f3cacd1f},
    {"mx_linear", 1, 64, 0, 0xd0245e74f419da70},
    {"mx_linear", 1, 128, 0, 0x6ac944c49bab7a03},
    {"mx_linear", 2, 32, 0, 0xcfb12d8cd2b7845d},
    {"mx_linear", 2, 64, 0, 0x36f7a8089924b44c},
    {"mx_linear", 2, 128, 0, 0x8e46e48ccd98f887},
    {"mx_linear", 3, 32, 0, 0xffc58e309bec69dc},
    {"mx_linear", 3, 64, 0, 0xa408402d218d2cb8},
    {"mx_linear", 3, 128, 0, 0xecd6aa62e24646b7},
    {"mx_linear", 4, 32, 0, 0xc2b3f8c94f075b2e},
    {"mx_linear", 4, 64, 0, 0x1daf6d6fb692645b},
    {"mx_linear", 4, 128, 0, 0x5e79d3f3220d034c},
    {"mx_linear", 5, 0, 0, 0x6b758a3fa9856ef2},
    {"mx_linear", 6, 0, 0, 0x20980d9467fbfb1a},
    {"mx_linear", 7, 0, 0, 0xda3254f8dc06ef92},
    {"mx_embed", 0, 0, 0, 0x4dadaf01dc36d5ea},
    {"mx_norm", 0, 0, 0, 0x11b4a6290ff9fa06},
    {"mx_qk_norm", 0, 0, 0, 0xe1c01cbee7ce5a74},
    {"mx_quantise", 0, 0, 0, 0x7579fcc6b18a5d14},
    {"mx_rope_table", 0, 0, 0, 0x1dc837f858b0658e},
    {"mx_route", 0, 0, 0, 0x8a85a79d5858c5be},
    {"mx_sort", 0, 0, 0, 0x511038b26a4f83d4},
    {"mx_keep", 0, 0, 0, 0x7604c4ca16577e1a},
    {"mx_combine", 0, 0, 0, 0xbc08736951039515},
    {"mx_hash_leaves", 0, 0, 0, 0x9eaa60ffe67b5a09},
    {"mx_rope_kv", 0, 0, 1, 0x717ab0fc6003ca75},
    {"mx_kv_copy", 0, 0, 1, 0xfbad8b29944f9d4c},
    {"mx_attention", 0, 0, 1, 0x6d43cb4f9169ef95},
    {"mx_rope_kv", 0, 0, 2, 0xaa7692310867b312},
    {"mx_kv_copy", 0, 0, 2, 0xfc1f9cb4470e5a7b},
    {"mx_attention", 0, 0, 2, 0x534d59303c9f230f},
    {"mx_rope_kv", 0, 0, 3, 0x6608064986a5787b},
    {"mx_kv_copy", 0, 0, 3, 0x590dfb8f0694e349},
    {"mx_attention", 0, 0, 3, 0xfedc9cbeeb9f624b},
    {NULL, 0, 0, 0, 0},
};
/* clang-format on */
