/* SPDX-License-Identifier: Apache-2.0
 *
 * Written by MX_PRINT_KNOWN_ANSWERS=1 build/tests/test_known_answers from the scalar twins. */
#include "opencl/known_answers_check.h"

/* clang-format off */
const struct mx_known_answer mx_known_answer_table[] = {
    {"mx_linear", 1, 32, 0, 0x18cd51ea2515c817},
    {"mx_linear", 1, 64, 0, 0xfc3783cde355aa74},
    {"mx_linear", 1, 128, 0, 0x5dd8facd81257aa4},
    {"mx_linear", 2, 32, 0, 0xd49ccbe4de948343},
    {"mx_linear", 2, 64, 0, 0x27413c04175ce717},
    {"mx_linear", 2, 128, 0, 0xb566c2bfce67de0c},
    {"mx_linear", 3, 32, 0, 0x913e75fe00aca802},
    {"mx_linear", 3, 64, 0, 0x9cc30e1c1d3e34c8},
    {"mx_linear", 3, 128, 0, 0x5a1807f61d61a375},
    {"mx_linear", 4, 32, 0, 0xf8e9c9b9e40f5ba9},
    {"mx_linear", 4, 64, 0, 0x4f22202a91dbecee},
    {"mx_linear", 4, 128, 0, 0x68c3d5fdeac4c479},
    {"mx_linear", 5, 0, 0, 0xbf80e2991735da48},
    {"mx_linear", 6, 0, 0, 0xf25a8f670c0c5cd0},
    {"mx_linear", 7, 0, 0, 0x56abfde2fc8c974a},
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
