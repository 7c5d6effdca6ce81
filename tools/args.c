/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    size_t digits = strspn(text, "0123456789");
    if (!digits || text[digits]) {
        return false;
    }
    errno = 0;
    unsigned long long v = strtoull(text, NULL, 10);
    *out = v;
    return errno == 0 && v >= min && v <= max;
}

static bool parse_real(const char *text, double min, double max, float *out) {
    char *end;
    double v = strtod(text, &end);
    *out = (float)v;
    return end != text && !*end && isfinite(v) && v >= min && v <= max;
}

/* Usage errors tell what was expected, and where help is. */
static bool bad_value(const struct arg *arg, const char *text, int *status) {
    switch (arg->kind) {
    case ARG_CHOICE: {
        char list[256] = "";
        for (const char *const *c = arg->choices; *c; c++) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", *c);
        }
        *status = usage_error("%s: '%s' is none of %s", arg->name, text, list);
        break;
    }
    case ARG_U64:
        *status = usage_error("%s: '%s' is not a decimal number below 2^64", arg->name, text);
        break;
    default:
        *status = usage_error("%s: '%s' is not a number from %.10g to %.10g", arg->name, text, arg->min, arg->max);
    }
    return false;
}

static bool set_value(const struct arg *arg, const char *text, int *status) {
    uint64_t v;
    switch (arg->kind) {
    case ARG_FLAG:
        *(bool *)arg->out = true;
        return true;
    case ARG_U32:
        if (!parse_u64(text, (uint64_t)arg->min, (uint64_t)arg->max, &v)) {
            return bad_value(arg, text, status);
        }
        *(uint32_t *)arg->out = (uint32_t)v;
        return true;
    case ARG_U64:
        return parse_u64(text, 0, UINT64_MAX, arg->out) || bad_value(arg, text, status);
    case ARG_REAL:
        return parse_real(text, arg->min, arg->max, arg->out) || bad_value(arg, text, status);
    case ARG_CHOICE:
        for (uint32_t i = 0; arg->choices[i]; i++) {
            if (strcmp(arg->choices[i], text) == 0) {
                *(uint32_t *)arg->out = i;
                return true;
            }
        }
        return bad_value(arg, text, status);
    default:
        *(const char **)arg->out = text;
        return true;
    }
}

/* Row `i`, counted over both tables; NULL: there are no more. */
static const struct arg *row(const struct args *a, size_t i) {
    size_t own = 0;
    while (a->table[own].kind) {
        own++;
    }
    const struct arg *arg = i < own ? &a->table[i] : a->shared ? &a->shared[i - own] : NULL;
    return arg && arg->kind ? arg : NULL;
}

static bool is_place(const struct arg *arg) {
    return arg->kind == ARG_PLACE || arg->kind == ARG_PLACE_OPTIONAL || arg->kind == ARG_PLACES;
}

/* The option that `text` ("--name", "--name=value", "-n") names; NULL: none. */
static const struct arg *find_option(const struct args *a, const char *text, const char **value, size_t *index) {
    size_t n = strcspn(text, "=");
    *value = text[n] ? text + n + 1 : NULL;
    const struct arg *arg;
    for (size_t i = 0; (arg = row(a, i)); i++) {
        bool named = strlen(arg->name) == n && strncmp(arg->name, text, n) == 0;
        bool alias = arg->alias && strcmp(arg->alias, text) == 0;
        if (!is_place(arg) && (named || alias)) {
            *index = i;
            return arg;
        }
    }
    return NULL;
}

static void print_option(const struct arg *arg) {
    char left[64];
    snprintf(left, sizeof(left), "%s%s%s%s%s", arg->alias ? arg->alias : "", arg->alias ? ", " : "", arg->name,
             arg->value ? " " : "", arg->value ? arg->value : "");
    printf("  %-26s %s%s\n", left, strlen(left) > 26 ? "\n                             " : "", arg->help);
}

static void print_help(const struct args *a, const char *command) {
    const struct arg *arg;
    printf("usage: moxie %s", command);
    for (size_t i = 0; (arg = row(a, i)); i++) {
        if (is_place(arg)) {
            printf(arg->kind == ARG_PLACE ? " %s" : arg->kind == ARG_PLACES ? " [%s]..." : " [%s]", arg->name);
        } else if (arg->required) {
            printf(" %s %s", arg->alias ? arg->alias : arg->name, arg->value);
        }
    }
    printf(" [OPTION]...\n%s\n\n", a->summary);
    for (size_t i = 0; (arg = row(a, i)); i++) {
        print_option(arg);
    }
    print_option(&(struct arg){.name = "--help", .alias = "-h", .help = "this text"});
    if (a->details) {
        printf("\n%s\n", a->details);
    }
    printf("\nExample:\n%s\n", a->example);
}

/* Finds what is missing once everything is read. */
static bool complete(const struct args *a, const bool *seen, int *status) {
    const struct arg *arg;
    for (size_t i = 0; (arg = row(a, i)); i++) {
        if ((arg->required || arg->kind == ARG_PLACE) && !seen[i]) {
            *status = is_place(arg) ? usage_error("%s is missing", arg->name)
                                    : usage_error("%s %s is missing", arg->alias ? arg->alias : arg->name, arg->value);
            return false;
        }
    }
    return true;
}

static bool take_place(const struct args *a, bool *seen, const char *text, int *status) {
    const struct arg *arg;
    for (size_t i = 0; (arg = row(a, i)); i++) {
        if (arg->kind == ARG_PLACES) {
            struct arg_places *places = arg->out;
            if (places->count < sizeof(places->text) / sizeof(places->text[0])) {
                places->text[places->count++] = text;
                return true;
            }
        } else if (is_place(arg) && !seen[i]) {
            seen[i] = true;
            return set_value(arg, text, status);
        }
    }
    *status = usage_error("one argument too many: '%s'", text);
    return false;
}

/* The option at argv[*i], with its value there or in the next place. */
static bool take_option(const struct args *a, bool *seen, int argc, char **argv, int *i, int *status) {
    const char *value;
    size_t index;
    const struct arg *arg = find_option(a, argv[*i], &value, &index);
    if (!arg) {
        *status = usage_error("there is no option '%s'", argv[*i]);
        return false;
    }
    if (arg->kind == ARG_FLAG && value) {
        *status = usage_error("%s takes no value", arg->name);
        return false;
    }
    if (arg->kind != ARG_FLAG && !value) {
        if (++*i == argc) {
            *status = usage_error("%s needs a value", arg->name);
            return false;
        }
        value = argv[*i];
    }
    seen[index] = true;
    return set_value(arg, value, status);
}

bool args_parse(const struct args *a, int argc, char **argv, int *status) {
    bool seen[48] = {false}; // more rows than any command has
    bool options = true;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        if (options && strcmp(text, "--") == 0) {
            options = false;
        } else if (options && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)) {
            print_help(a, argv[0]);
            *status = finish_output(STATUS_OK);
            return false;
        } else if (options && text[0] == '-' && text[1]) {
            if (!take_option(a, seen, argc, argv, &i, status)) {
                return false;
            }
        } else if (!take_place(a, seen, text, status)) {
            return false;
        }
    }
    return complete(a, seen, status);
}
