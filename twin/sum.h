/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TWIN_SUM_H
#define TWIN_SUM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* lanesum of runtime/ARITHMETIC.md, section 2: of v (n), or of its squares. */
static inline float twin_lanesum(const float *v, uint32_t n, bool squares) {
    float total = 0;
    for (uint32_t s = 0; s < n; s += 256) {
        float lane[16] = {0};
        for (uint32_t i = s; i < n && i < s + 256; i++)
            lane[i % 16] = squares ? fmaf(v[i], v[i], lane[i % 16]) : lane[i % 16] + v[i];
        for (uint32_t half = 8; half > 0; half /= 2)
            for (uint32_t j = 0; j < half; j++)
                lane[j] = lane[j] + lane[j + half];
        total = s ? total + lane[0] : lane[0];
    }
    return total;
}

#endif
