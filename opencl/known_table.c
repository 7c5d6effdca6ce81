/* SPDX-License-Identifier: Apache-2.0
 *
 * Written by MX_PRINT_KNOWN_ANSWERS=1 build/tests/test_known_answers from the scalar twins. */
#include "opencl/known_answers_check.h"

/* clang-format off */
const struct mx_known_answer mx_known_answer_table[] = {
    {"mx_linear", 1, 32, 0, 0x556f267202a3c988},
    {"mx_linear", 1, 64, 0, 0x5c478716482f20bb},
    {"mx_linear", 1, 128, 0, 0xcd46a10e5abfe4ef},
    {"mx_linear", 2, 32, 0, 0x57c012c10d11ca88},
    {"mx_linear", 2, 64, 0, 0x854ae25fd3d53c71},
    {"mx_linear", 2, 128, 0, 0xa6bccacd072b8107},
    {"mx_linear", 3, 32, 0, 0x0763c6ed4bcce44b},
    {"mx_linear", 3, 64, 0, 0xc841ab0da72e4459},
    {"mx_linear", 3, 128, 0, 0x155992cd390884a1},
    {"mx_linear", 4, 32, 0, 0x6a746bf2115036af},
    {"mx_linear", 4, 64, 0, 0x976aa5059e5553c0},
    {"mx_linear", 4, 128, 0, 0x98cb43fdbeeac61f},
    {"mx_linear", 5, 0, 0, 0x2224671f7ba1a21b},
    {"mx_linear", 6, 0, 0, 0x37d47175f5b7d1b4},
    {"mx_linear", 7, 0, 0, 0xa13323715632b1aa},
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
