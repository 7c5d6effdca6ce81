/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // strdup
#include <stdlib.h>
#include <string.h>

#include "pack/source_build.h"
#include "pack/tokenizer_vocab.h"

bool pk_vocab_init(struct pk_vocab *v, const char *path, struct pk_error *e) {
    *v = (struct pk_vocab){.bos = MX_TOK_NONE, .eos = MX_TOK_NONE, .unknown = MX_TOK_NONE};
    v->path = strdup(path);
    if (!v->path) {
        pk_fail_memory(e);
    }
    return v->path != NULL;
}

void pk_vocab_free(struct pk_vocab *v) {
    for (size_t i = 0; i < sizeof(v->json) / sizeof(v->json[0]); i++) {
        json_decref(v->json[i]);
    }
    free(v->scores);
    free(v->owned);
    free(v->tokens);
    free(v->merges);
    free(v->path);
    *v = (struct pk_vocab){0};
}

bool pk_vocab_set(struct pk_vocab *v, int64_t id, const char *text, size_t bytes, uint32_t kind, struct pk_error *e) {
    if (id < 0 || id >= MX_TOK_COUNT_MAX || bytes > 4 * MX_TOK_BYTES_MAX) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: token id %lld (%zu bytes), at most %u ids", v->path,
                       (long long)id, bytes, MX_TOK_COUNT_MAX);
    }
    if (id >= v->n_tokens) {
        /* room for a power of two: it is full when n_tokens is one */
        uint32_t room = 1, had = v->n_tokens ? 1 : 0;
        while (room <= id) {
            room *= 2;
        }
        while (had && had < v->n_tokens) {
            had *= 2;
        }
        struct pk_vocab_token *tokens = room > had ? realloc(v->tokens, room * sizeof(*tokens)) : v->tokens;
        if (!tokens) {
            pk_fail_memory(e);
            return false;
        }
        v->tokens = tokens;
        while (v->n_tokens <= id) {
            v->tokens[v->n_tokens++] = (struct pk_vocab_token){"", 0, MX_TOK_UNUSED};
        }
    }
    struct pk_vocab_token *t = &v->tokens[id];
    if (t->kind != MX_TOK_UNUSED && (t->bytes != bytes || memcmp(t->text, text, bytes) != 0)) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: token %lld is both \"%.*s\" and \"%.*s\"", v->path, (long long)id,
                       (int)(t->bytes < 64 ? t->bytes : 64), t->text, (int)(bytes < 64 ? bytes : 64), text);
    }
    if (t->kind == MX_TOK_NORMAL && kind == MX_TOK_NORMAL) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: token %lld appears twice", v->path, (long long)id);
    }
    *t = (struct pk_vocab_token){text, (uint32_t)bytes, kind};
    return true;
}

bool pk_vocab_reserve_merges(struct pk_vocab *v, uint64_t n, struct pk_error *e) {
    if (n > MX_TOK_COUNT_MAX - v->n_merges) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: %llu merges, at most %u", v->path, (unsigned long long)n,
                       MX_TOK_COUNT_MAX);
    }
    struct pk_vocab_merge *merges = realloc(v->merges, (v->n_merges + (size_t)n + 1) * sizeof(*merges));
    if (!merges) {
        pk_fail_memory(e);
        return false;
    }
    v->merges = merges;
    return true;
}

bool pk_vocab_add_merge(struct pk_vocab *v, const char *text, size_t bytes, struct pk_error *e) {
    const char *space = memchr(text, ' ', bytes);
    size_t left = space ? (size_t)(space - text) : 0, right = space ? bytes - left - 1 : 0;
    if (left == 0 || right == 0 || memchr(space + 1, ' ', right) || bytes > 4 * MX_TOK_BYTES_MAX) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: merge %u, \"%.*s\", is not two words", v->path, v->n_merges,
                       (int)(bytes < 64 ? bytes : 64), text);
    }
    v->merges[v->n_merges++] = (struct pk_vocab_merge){text, space + 1, (uint32_t)left, (uint32_t)right};
    return true;
}

uint32_t pk_vocab_find(const struct pk_vocab *v, const char *text, size_t bytes) {
    uint32_t found = MX_TOK_NONE;
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        const struct pk_vocab_token *t = &v->tokens[id];
        if (t->kind == MX_TOK_UNUSED || t->bytes != bytes || memcmp(t->text, text, bytes) != 0) {
            continue;
        }
        if (t->kind != MX_TOK_NORMAL) {
            return id;
        }
        found = found == MX_TOK_NONE ? id : found;
    }
    return found;
}

bool pk_vocab_add_end(struct pk_vocab *v, uint64_t id, struct pk_error *e) {
    for (uint32_t i = 0; i < v->n_ends; i++) {
        if (v->ends[i] == id) {
            return true;
        }
    }
    if (id >= v->n_tokens || v->n_ends == PK_ENDS_MAX) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: end token %llu: the tokenizer has %u tokens and room for %u end tokens", v->path,
                       (unsigned long long)id, v->n_tokens, PK_ENDS_MAX);
    }
    v->ends[v->n_ends++] = (uint32_t)id;
    return true;
}

/* Chat templates depend on these; some files list them as plain added tokens, which a user could type. */
static void mark_turns(struct pk_vocab *v) {
    static const char *const names[] = {"<|im_start|>",  "<|im_end|>", "<start_of_turn>",
                                        "<end_of_turn>", "[INST]",     "[/INST]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t id = pk_vocab_find(v, names[i], strlen(names[i]));
        if (id != MX_TOK_NONE && v->tokens[id].kind == MX_TOK_USER) {
            v->tokens[id].kind = MX_TOK_CONTROL;
        }
    }
}

static bool compile_source(struct pk_source *s, struct pk_vocab *v, void **blob, size_t *bytes, struct pk_error *e) {
    struct mx_model *m = &s->model;
    if (v->n_tokens == 0) {
        return true;
    }
    if (v->n_tokens > m->vocab) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: %u tokens, the model has logits for %u", v->path, v->n_tokens,
                       m->vocab);
    }
    if (v->bos == MX_TOK_NONE && m->bos < v->n_tokens) { /* else MX_NONE, or a row of logits without a text */
        v->bos = m->bos;
    }
    if (v->eos == MX_TOK_NONE && m->eos_count > 0 && m->eos[0] < v->n_tokens) {
        v->eos = m->eos[0];
    }
    for (uint32_t i = 0; i < v->n_ends; i++) {
        if (!pk_model_add_eos(m, v->ends[i], v->path, "the tokenizer", e)) {
            return false;
        }
    }
    mark_turns(v);
    return pk_tokenizer_compile(v, blob, bytes, e);
}

bool pk_tokenizer_from_source(struct pk_source *s, void **blob, size_t *bytes, struct pk_error *e) {
    struct pk_vocab v = {0};
    *blob = NULL;
    *bytes = 0;
    if (!s->gguf && !s->folder) {
        return true; // made in memory
    }
    bool ok = (s->gguf ? pk_tokenizer_from_gguf(s->gguf, s->path, &v, e)
                       : pk_tokenizer_from_folder(s->folder, s->path, &v, e)) &&
              compile_source(s, &v, blob, bytes, e);
    pk_vocab_free(&v);
    return ok;
}
