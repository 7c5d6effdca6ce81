/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/moxie_error.h"

const char *moxie_error_name(enum moxie_error code) {
    /* no default: the compiler then warns about a code without a name */
    switch (code) {
    case MOXIE_OK:
        return "ok";
    case MOXIE_ERROR_ARGUMENT:
        return "bad argument";
    case MOXIE_ERROR_VERSION:
        return "interface version mismatch";
    case MOXIE_ERROR_STATE:
        return "call not allowed now";
    case MOXIE_ERROR_TOKEN:
        return "token outside the vocabulary";
    case MOXIE_ERROR_CONTEXT_FULL:
        return "context full";
    case MOXIE_ERROR_SEQUENCE:
        return "bad sequence or position";
    case MOXIE_ERROR_BUFFER_SMALL:
        return "buffer too small";
    case MOXIE_ERROR_TEXT:
        return "text not representable";
    case MOXIE_ERROR_FILE:
        return "file not accessible";
    case MOXIE_ERROR_TRUNCATED:
        return "file truncated";
    case MOXIE_ERROR_FORMAT:
        return "wrong format";
    case MOXIE_ERROR_FORMAT_VERSION:
        return "bundle version not supported";
    case MOXIE_ERROR_BOUNDS:
        return "out of bounds";
    case MOXIE_ERROR_MODEL:
        return "model not runnable";
    case MOXIE_ERROR_TOKENIZER:
        return "tokenizer inconsistent";
    case MOXIE_ERROR_KEY_UNKNOWN:
        return "unknown key";
    case MOXIE_ERROR_KEY_REVOKED:
        return "revoked key";
    case MOXIE_ERROR_SIGNATURE:
        return "wrong signature";
    case MOXIE_ERROR_HASH:
        return "hash mismatch";
    case MOXIE_ERROR_ROLLBACK:
        return "rollback refused";
    case MOXIE_ERROR_KEY_INVALID:
        return "invalid key";
    case MOXIE_ERROR_MEMORY:
        return "memory region too small or misaligned";
    case MOXIE_ERROR_DEVICE_MEMORY:
        return "not enough device memory";
    case MOXIE_ERROR_MAP:
        return "memory mapping failed";
    case MOXIE_ERROR_NO_DEVICE:
        return "no OpenCL device";
    case MOXIE_ERROR_DEVICE_UNFIT:
        return "device unfit";
    case MOXIE_ERROR_COMPILE:
        return "kernel compilation failed";
    case MOXIE_ERROR_KNOWN_ANSWER:
        return "known answer differs";
    case MOXIE_ERROR_OPENCL:
        return "OpenCL call failed";
    case MOXIE_ERROR_DEVICE_LOST:
        return "device lost";
    case MOXIE_ERROR_NOT_FINITE:
        return "a number is not finite";
    case MOXIE_ERROR_CANCELLED:
        return "cancelled";
    }
    return "unknown error code";
}
