/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a SentencePiece BPE with byte fallback: tokenizer.model, and what GGUF files keep of one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pack/sentencepiece.h"
#include "pack/tokenizer_vocab.h"

#define FILE_MAX_BYTES (256u << 20)

bool pk_vocab_add_piece(struct pk_vocab *v, const char *text, size_t bytes, int64_t type, double score,
                        struct pk_error *e) {
    static const uint32_t kinds[] = {
        [PK_PIECE_NORMAL] = MX_TOK_NORMAL, [PK_PIECE_UNKNOWN] = MX_TOK_CONTROL, [PK_PIECE_CONTROL] = MX_TOK_CONTROL,
        [PK_PIECE_USER] = MX_TOK_USER,     [PK_PIECE_UNUSED] = MX_TOK_UNUSED,   [PK_PIECE_BYTE] = MX_TOK_BYTE};
    uint32_t id = v->n_tokens;
    if (type < PK_PIECE_NORMAL || type > PK_PIECE_BYTE || !isfinite(score) || !isfinite((float)score) ||
        (type == PK_PIECE_BYTE && pk_vocab_byte_name(text, bytes) < 0)) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: piece %u, \"%.*s\": type %lld and score %g are not possible",
                       v->path, id, (int)(bytes < 64 ? bytes : 64), text, (long long)type, score);
    }
    /* Normalised texts have no space but U+2581, so that nothing merges to a piece that has one. */
    bool unreachable = type == PK_PIECE_NORMAL && memchr(text, ' ', bytes);
    if (!pk_vocab_set(v, id, text, bytes, unreachable ? MX_TOK_BYTE : kinds[type], e)) {
        return false;
    }
    if ((id & (id - 1)) == 0) { /* full: there is room for a power of two, or none */
        float *scores = realloc(v->scores, (id ? 2 * (size_t)id : 1) * sizeof(*scores));
        if (!scores) {
            return pk_fail_memory(e) != NULL;
        }
        v->scores = scores;
    }
    v->scores[id] = (float)score;
    return true;
}

bool pk_vocab_finish_pieces(struct pk_vocab *v, bool prefix, struct pk_error *e) {
    bool there[256] = {false};
    unsigned found = 0;
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        const struct pk_vocab_token *t = &v->tokens[id];
        int byte = t->kind == MX_TOK_BYTE ? pk_vocab_byte_name(t->text, t->bytes) : -1;
        if (byte >= 0) {
            found += !there[byte];
            there[byte] = true;
        }
    }
    if (found != 256) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: %u of the 256 byte pieces <0x00> to <0xFF>: only vocabularies with byte fallback are "
                       "supported",
                       v->path, found);
    }
    v->alphabet = PK_ALPHABET_SPACES;
    v->pretokenizer = MX_TOK_PRE_SEAMS;
    v->normalizer = MX_TOK_NORMAL_SPACES;
    v->flags |= MX_TOK_CHARACTERS | MX_TOK_RANKS | (prefix ? MX_TOK_PREFIX | MX_TOK_STRIP : 0);
    return true;
}

/* Rules that the runtime does not have. */
static bool check_rules(const struct pk_sentencepiece *m, const char *path, struct pk_error *e) {
    static const char *const types[] = {"?", "unigram", "BPE", "word", "character"};
    if (m->model_type != PK_SENTENCEPIECE_BPE) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: model_type %llu (%s) is not supported, only BPE is", path,
                       (unsigned long long)m->model_type,
                       types[m->model_type < sizeof(types) / sizeof(types[0]) ? m->model_type : 0]);
    }
    if (m->has_character_map) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: normaliser \"%.*s\" is not supported, only one without a precompiled_charsmap is", path,
                       (int)(m->normalizer_bytes < 64 ? m->normalizer_bytes : 64), m->normalizer ? m->normalizer : "");
    }
    const char *what = m->remove_extra_spaces ? "remove_extra_whitespaces"
                       : m->suffix_spaces     ? "treat_whitespace_as_suffix"
                       : !m->escape_spaces    ? "spaces that are not escaped"
                                              : NULL;
    return !what || pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: %s is not supported", path, what);
}

static uint32_t id_of(const struct pk_vocab *v, int64_t id) {
    return id >= 0 && id < v->n_tokens ? (uint32_t)id : MX_TOK_NONE;
}

bool pk_vocab_read_sentencepiece(const struct pk_folder *folder, const char *name, struct pk_vocab *v,
                                 struct pk_error *e) {
    struct pk_sentencepiece m = {0};
    uint64_t bytes = 0;
    char *path = pk_folder_path(folder, name, e);
    v->owned = path ? pk_folder_load(folder, name, FILE_MAX_BYTES, &bytes, e) : NULL;
    bool ok = v->owned && pk_sentencepiece_read(&m, v->owned, bytes, path, e) && check_rules(&m, path, e);
    for (size_t i = 0; ok && i < m.n; i++) {
        const struct pk_piece *p = &m.pieces[i];
        ok = pk_vocab_add_piece(v, p->text, p->bytes, p->type > PK_PIECE_BYTE ? 0 : (int64_t)p->type, p->score, e);
    }
    ok = ok && pk_vocab_finish_pieces(v, m.dummy_prefix, e);
    if (ok) {
        v->bos = id_of(v, m.bos);
        v->eos = id_of(v, m.eos);
        v->unknown = id_of(v, m.unknown);
    }
    pk_sentencepiece_free(&m);
    free(path);
    return ok;
}
