/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/assistant/text.h"

#include <string.h>

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Bytes of the UTF-8 character at `s`, 0 if there is none. */
static size_t utf8_bytes(const unsigned char *s, size_t left) {
    static const unsigned least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : (s[0] & 0xf8) == 0xf0       ? 4
                                             : 0;
    if (n < 2 || n > left)
        return n == 1 ? 1 : 0;
    unsigned code = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

/* What becomes of one character: itself, lower case, or a space. Curly apostrophes are what keyboards of phones make.
 */
static char plain(const char *line, size_t i, size_t n, size_t bytes) {
    char c = line[i];
    if (n == 3 && memcmp(line + i, "\xe2\x80\x99", 3) == 0)
        return '\'';
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    int inside = i > 0 && i + 1 < bytes && is_digit(line[i - 1]) && is_digit(line[i + 1]);
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '\'' || c == ':' || c == '%' || (c == '.' && inside) ? c : ' ';
}

struct text_problem text_prepare(const char *line, size_t bytes, char *out, size_t *count) {
    static const char quotes[][4] = {"\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9c",
                                     "\xe2\x80\x9d", "\xe2\x80\xa6", "\xe2\x80\x93"};
    size_t n = 0, foreign = 0, length;
    *count = 0;
    for (size_t i = 0; i < bytes; i += length) {
        length = utf8_bytes((const unsigned char *)line + i, bytes - i);
        if (!length)
            return (struct text_problem){"not UTF-8", "the line is not UTF-8 text"};
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return (struct text_problem){"control characters", "the line holds control characters"};
        int known = length == 1;
        for (size_t q = 0; q < sizeof quotes / sizeof quotes[0]; q++)
            known |= length == 3 && memcmp(line + i, quotes[q], 3) == 0;
        foreign += !known;
        char c = plain(line, i, length, bytes);
        if (c != ' ' || (n && out[n - 1] != ' '))
            out[n++] = c;
    }
    if (foreign)
        return (struct text_problem){"not English", "the line holds letters or signs that are not English"};
    while (n && out[n - 1] == ' ')
        n--;
    if (!n)
        return (struct text_problem){"empty", "the line holds no command"};
    out[n++] = '\n';
    *count = n;
    return (struct text_problem){NULL, NULL};
}

/* ---- JSON (RFC 8259) ---- */

struct json {
    const char *at, *end;
};

static int json_value(struct json *j, int depth);

static int json_take(struct json *j, char c) {
    return j->at < j->end && *j->at == c ? (j->at++, 1) : 0;
}

static void json_space(struct json *j) {
    while (j->at < j->end && strchr(" \t\r\n", *j->at) && *j->at)
        j->at++;
}

static int json_word(struct json *j, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        return 0;
    j->at += n;
    return 1;
}

static int json_string(struct json *j) {
    if (!json_take(j, '"'))
        return 0;
    while (j->at < j->end && *j->at != '"') {
        size_t n = utf8_bytes((const unsigned char *)j->at, (size_t)(j->end - j->at));
        if (!n || (unsigned char)*j->at < 0x20)
            return 0;
        if (*j->at == '\\') {
            if (++j->at == j->end || !*j->at || !strchr("\"\\/bfnrtu", *j->at))
                return 0;
            for (int i = 0, hex = *j->at == 'u' ? 4 : 0; i < hex; i++)
                if (++j->at == j->end || !*j->at || !strchr("0123456789abcdefABCDEF", *j->at))
                    return 0;
        }
        j->at += n;
    }
    return json_take(j, '"');
}

static size_t json_digits(struct json *j) {
    const char *from = j->at;
    while (j->at < j->end && is_digit(*j->at))
        j->at++;
    return (size_t)(j->at - from);
}

static int json_number(struct json *j) {
    json_take(j, '-');
    const char *first = j->at;
    size_t whole = json_digits(j);
    if (!whole || (whole > 1 && *first == '0') || (json_take(j, '.') && !json_digits(j)))
        return 0;
    if (!json_take(j, 'e') && !json_take(j, 'E'))
        return 1;
    if (!json_take(j, '+'))
        json_take(j, '-');
    return json_digits(j) > 0;
}

/* An object's or an array's members, behind its opening bracket. */
static int json_members(struct json *j, char close, int depth) {
    json_space(j);
    if (json_take(j, close))
        return 1;
    do {
        json_space(j);
        if (close == '}') {
            if (!json_string(j))
                return 0;
            json_space(j);
            if (!json_take(j, ':'))
                return 0;
        }
        if (!json_value(j, depth))
            return 0;
    } while (json_take(j, ','));
    return json_take(j, close);
}

static int json_value(struct json *j, int depth) {
    json_space(j);
    int good = j->at < j->end && depth < 8;
    if (good && json_take(j, '{'))
        good = json_members(j, '}', depth + 1);
    else if (good && json_take(j, '['))
        good = json_members(j, ']', depth + 1);
    else if (good)
        good = *j->at == '"' ? json_string(j)
                             : json_word(j, "true") || json_word(j, "false") || json_word(j, "null") || json_number(j);
    json_space(j);
    return good;
}

int text_is_json_object(const char *text, size_t bytes) {
    struct json j = {text, text + bytes};
    return bytes && text[0] == '{' && json_value(&j, 0) && j.at == j.end;
}

void text_quote(const char *what, char *out, size_t max) {
    size_t n = 0;
    out[n++] = '"';
    for (; *what && n + 3 < max; what++) {
        unsigned char c = (unsigned char)*what;
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        out[n++] = c < 0x20 || c > 0x7e ? '?' : *what;
    }
    out[n++] = '"';
    out[n] = '\0';
}
