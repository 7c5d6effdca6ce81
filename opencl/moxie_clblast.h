/* SPDX-License-Identifier: Apache-2.0
 *
 * CLBlast for an engine:
 *
 *     struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
 *     callbacks.blas = &moxie_clblast;
 *
 * It lives in an archive of its own, so that nothing else needs CLBlast: link with
 * -lmoxie_clblast -lmoxie -lclblast -lOpenCL -lm. CLBlast's cache of programs is one for the whole process: closing an
 * engine empties it, which costs other engines a moment. */
#ifndef MOXIE_CLBLAST_H
#define MOXIE_CLBLAST_H

#include "opencl/moxie_blas.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct moxie_blas moxie_clblast;

#ifdef __cplusplus
}
#endif
#endif
