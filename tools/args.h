/* SPDX-License-Identifier: Apache-2.0
 *
 * Command lines as tables: one row per option says how it is spelt, what it may be and what --help tells. */
#ifndef TOOL_ARGS_H
#define TOOL_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum arg_kind {
    ARG_END = 0,
    ARG_FLAG,   /* bool *, no value */
    ARG_TEXT,   /* const char ** */
    ARG_U32,    /* uint32_t *, from min to max */
    ARG_U64,    /* uint64_t *, any */
    ARG_REAL,   /* float *, from min to max */
    ARG_CHOICE, /* uint32_t *: index of one of `choices` */
    ARG_PLACE,  /* const char **: a positional argument, called by its name */
    ARG_PLACE_OPTIONAL,
    ARG_PLACES, /* struct arg_places *: any number of them, the last row of places */
};

struct arg_places {
    const char *text[16];
    uint32_t count;
};

struct arg {
    const char *name;  /* "--tokens", or the name of a positional argument */
    const char *alias; /* "-n" or NULL */
    enum arg_kind kind;
    void *out;         /* keeps its value when the option is not given */
    const char *value; /* how --help calls the value */
    const char *help;
    double min, max;
    const char *const *choices; /* ends with NULL */
    bool required;
};

struct args {
    const char *summary;      /* one line */
    const char *details;      /* paragraphs after the options; may be NULL */
    const char *example;      /* command lines, each indented by four spaces */
    const struct arg *table;  /* ends with an ARG_END row, as all tables do */
    const struct arg *shared; /* a second one, listed after the first; may be NULL */
};

/* Reads argv[1…]; argv[0] is the command's name. True: go on. False: *status is the exit status, 0 after --help (which
 * has been printed), else that of a usage error (which has been reported). */
bool args_parse(const struct args *a, int argc, char **argv, int *status);

/* Decimal digits only, in [min, max]. */
bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

#endif
