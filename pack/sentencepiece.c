/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/sentencepiece.h"

#include <stdlib.h>
#include <string.h>

/* A message, or what is left of it. */
struct message {
    const uint8_t *p, *end, *file;
    const char *path;
    struct pk_error *e;
};

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct field {
    uint64_t number;
    enum wire wire;
    uint64_t value;     /* of VARINT and FIXED32 */
    struct message sub; /* of BYTES */
};

static bool bad(const struct message *m, const char *what) {
    return pk_fail(m->e, MOXIE_ERROR_TOKENIZER, "%s: byte %zu: %s", m->path, (size_t)(m->p - m->file), what);
}

/* Little-endian groups of 7 bits, at most 64 bits in all. */
static bool read_varint(struct message *m, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (m->p == m->end) {
            return bad(m, "a number is cut");
        }
        uint8_t byte = *m->p++;
        if (shift == 63 && byte > 1) {
            break;
        }
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return bad(m, "a number of more than 64 bits");
}

static bool read_field(struct message *m, struct field *f) {
    uint64_t tag, bytes;
    *f = (struct field){0};
    if (!read_varint(m, &tag)) {
        return false;
    }
    f->number = tag >> 3;
    f->wire = (enum wire)(tag & 7);
    switch (f->wire) {
    case VARINT:
        return read_varint(m, &f->value);
    case BYTES:
        if (!read_varint(m, &bytes)) {
            return false;
        }
        break;
    case FIXED64:
        bytes = 8;
        break;
    case FIXED32:
        bytes = 4;
        break;
    default:
        return bad(m, "not a field of a SentencePiece model");
    }
    if (bytes > (uint64_t)(m->end - m->p)) {
        return bad(m, "a field is longer than what it lies in");
    }
    f->sub = (struct message){m->p, m->p + bytes, m->file, m->path, m->e};
    for (uint64_t i = 0; f->wire == FIXED32 && i < 4; i++) {
        f->value |= (uint64_t)m->p[i] << 8 * i;
    }
    m->p += bytes;
    return true;
}

static bool read_piece(struct message *m, struct pk_piece *piece) {
    struct field f;
    *piece = (struct pk_piece){.text = (const char *)m->p, .type = PK_PIECE_NORMAL};
    while (m->p < m->end) {
        if (!read_field(m, &f)) {
            return false;
        }
        if (f.number == 1 && f.wire == BYTES) {
            piece->text = (const char *)f.sub.p;
            piece->bytes = (size_t)(f.sub.end - f.sub.p);
        } else if (f.number == 2 && f.wire == FIXED32) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&piece->score, &bits, sizeof(bits));
        } else if (f.number == 3 && f.wire == VARINT) {
            piece->type = f.value;
        }
    }
    return true;
}

static bool read_trainer(struct message *m, struct pk_sentencepiece *model) {
    struct field f;
    while (m->p < m->end) {
        if (!read_field(m, &f)) {
            return false;
        }
        if (f.wire != VARINT) {
            continue;
        }
        switch (f.number) {
        case 3:
            model->model_type = f.value;
            break;
        case 24:
            model->suffix_spaces = f.value != 0;
            break;
        case 40:
            model->unknown = (int64_t)f.value;
            break;
        case 41:
            model->bos = (int64_t)f.value;
            break;
        case 42:
            model->eos = (int64_t)f.value;
            break;
        default:
            break;
        }
    }
    return true;
}

/* NormalizerSpec, for texts and (`decoding`) for what is decoded. */
static bool read_normalizer(struct message *m, struct pk_sentencepiece *model, bool decoding) {
    struct field f;
    while (m->p < m->end) {
        if (!read_field(m, &f)) {
            return false;
        }
        if (f.number == 1 && f.wire == BYTES) {
            model->normalizer = (const char *)f.sub.p;
            model->normalizer_bytes = (size_t)(f.sub.end - f.sub.p);
        } else if (f.number == 2 && f.wire == BYTES) {
            model->has_character_map |= f.sub.end > f.sub.p;
        }
        if (decoding || f.wire != VARINT) {
            continue;
        }
        if (f.number == 3) {
            model->dummy_prefix = f.value != 0;
        } else if (f.number == 4) {
            model->remove_extra_spaces = f.value != 0;
        } else if (f.number == 5) {
            model->escape_spaces = f.value != 0;
        }
    }
    return true;
}

static bool add_piece(struct message *m, struct pk_sentencepiece *model) {
    if ((model->n & (model->n - 1)) == 0) { /* full: it has room for a power of two, or none */
        size_t room = model->n ? 2 * model->n : 1;
        struct pk_piece *pieces =
            room <= SIZE_MAX / sizeof(*pieces) ? realloc(model->pieces, room * sizeof(*pieces)) : NULL;
        if (!pieces) {
            return pk_fail_memory(m->e) != NULL;
        }
        model->pieces = pieces;
    }
    return read_piece(m, &model->pieces[model->n++]);
}

bool pk_sentencepiece_read(struct pk_sentencepiece *m, const void *bytes, size_t n, const char *path,
                           struct pk_error *e) {
    struct message file = {bytes, (const uint8_t *)bytes + n, bytes, path, e};
    *m = (struct pk_sentencepiece){.model_type = 1,
                                   .unknown = 0,
                                   .bos = 1,
                                   .eos = 2,
                                   .dummy_prefix = true,
                                   .remove_extra_spaces = true,
                                   .escape_spaces = true};
    struct field f;
    bool ok = true;
    while (ok && file.p < file.end) {
        ok = read_field(&file, &f);
        if (!ok || f.wire != BYTES) {
            continue;
        }
        switch (f.number) {
        case 1:
            ok = add_piece(&f.sub, m);
            break;
        case 2:
            ok = read_trainer(&f.sub, m);
            break;
        case 3:
            ok = read_normalizer(&f.sub, m, false);
            break;
        case 5:
            ok = read_normalizer(&f.sub, m, true);
            break;
        default:
            break;
        }
    }
    return ok;
}

void pk_sentencepiece_free(struct pk_sentencepiece *m) {
    free(m->pieces);
    *m = (struct pk_sentencepiece){0};
}
