/* SPDX-License-Identifier: Apache-2.0
 *
 * The text on both sides of the model: what a person typed, and the JSON that the model wrote. */
#ifndef ASSISTANT_TEXT_H
#define ASSISTANT_TEXT_H

#include <stddef.h>

/* Why a line is no command. */
struct text_problem {
    const char *code, *what; /* code NULL: it is one */
};

/* Brings a line into the form of the training commands (clean() in train/generate.py): lower case, no punctuation but
 * ' : % and a point between digits, single spaces, a newline at the end. `out` has room for bytes + 2; *count gets its
 * length. */
struct text_problem text_prepare(const char *line, size_t bytes, char *out, size_t *count);

/* 1 if `text` is one JSON object and nothing else. Nesting up to 8. */
int text_is_json_object(const char *text, size_t bytes);

/* `what` as a JSON string with its quotes into out[max], cut where it does not fit. max at least 8. */
void text_quote(const char *what, char *out, size_t max);

#endif
