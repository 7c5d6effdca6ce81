/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-tokenisation of DeepSeek LLM: seven steps, each of which cuts all pieces of the one before.
 *
 *   1  [\r\n]                      every match is a piece, and so is what lies between
 *   2  \s?[letters]+               likewise
 *   3  \s?[!-/:-~！-／：-～‘-‟　-。]+  likewise; called marks here, although A-Z and a-z are among them
 *   4  \s+$                        likewise
 *   5  [一-龥ࠀ-一가-퟿]+            likewise
 *   6  \p{N}                       likewise
 *   7  bytes
 *
 * What a step does behind a cut does not depend on what stands before the cut. So the first piece of all steps together
 * ends at the first place where any step cuts, and steps 1, 5 and 6 see that from two neighbours alone. */
#include "runtime/tokenizer_encode.h"
#include "runtime/tokenizer_utf8.h"

struct scan {
    const uint8_t *p;
    size_t n;
    bool touched;              /* the scanner looked at the end of what is there */
    bool in_letters, in_marks; /* the piece is a match of step 2, of step 3 */
};

struct symbol {
    int32_t c; /* code point, -1 at the end */
    size_t at, end;
};

/* The class of step 2: Lu and Ll of an older Unicode. (first, last), ascending */
static const int32_t letters[][2] = {
    {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},
    {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},
    {0x376, 0x377},     {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},
    {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},     {0x48A, 0x52F},
    {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},   {0x1C90, 0x1CBA},
    {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},
    {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},
    {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},
    {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},   {0x1FD6, 0x1FDB},
    {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},   {0x2102, 0x2102},   {0x2107, 0x2107},
    {0x210A, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},
    {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},
    {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2184},   {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},
    {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},   {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},
    {0xA771, 0xA787},   {0xA78B, 0xA78E},   {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},
    {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},   {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB},
    {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
};

static bool is_letter(int32_t c) {
    size_t low = 0, high = sizeof letters / sizeof letters[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        low = letters[middle][1] < c ? middle + 1 : low;
        high = letters[middle][1] < c ? high : middle;
    }
    return low < sizeof letters / sizeof letters[0] && c >= letters[low][0];
}

static bool is_mark(int32_t c) {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x7E) || (c >= 0xFF01 && c <= 0xFF0F) ||
           (c >= 0xFF1A && c <= 0xFF5E) || (c >= 0x2018 && c <= 0x201F) || (c >= 0x3000 && c <= 0x3002);
}

static bool is_east_asian(int32_t c) {
    return (c >= 0x800 && c <= 0x9FA5) || (c >= 0xAC00 && c <= 0xD7FF);
}

static bool is_newline(int32_t c) {
    return c == '\r' || c == '\n';
}

static bool is_number(int32_t c) {
    return mx_class_of(c) == MX_NUMBER;
}

/* \s inside a piece of step 1. */
static bool is_space(int32_t c) {
    return !is_newline(c) && mx_class_of(c) == MX_SPACE;
}

static struct symbol look(struct scan *s, size_t at) {
    struct symbol y = {.c = -1, .at = at, .end = at};
    size_t length;
    if (at >= s->n) {
        s->touched = true;
        return y;
    }
    y.c = mx_utf8_decode(s->p + at, &length);
    y.end = at + length;
    return y;
}

/* Does a match of step 2 begin at y, if none goes on there? */
static bool begins_letters(struct scan *s, struct symbol y) {
    return is_letter(y.c) || (is_space(y.c) && is_letter(look(s, y.end).c));
}

/* The same for step 3. Its optional space and the mark behind it must be in one piece of step 2. */
static bool begins_marks(struct scan *s, struct symbol y) {
    if (is_mark(y.c)) {
        return true;
    }
    struct symbol z = look(s, y.end);
    return is_space(y.c) && is_mark(z.c) && (s->in_letters || !begins_letters(s, z));
}

/* Do steps 1 to 3 cut before y, which is not the first of its piece? */
static bool cuts(struct scan *s, struct symbol y) {
    return y.c < 0 || is_newline(y.c) || (s->in_letters ? !is_letter(y.c) : begins_letters(s, y)) ||
           (s->in_marks ? !is_mark(y.c) : begins_marks(s, y));
}

/* Does step 4 cut before y: only spaces from here to the next cut? */
static bool trails(struct scan *s, struct symbol y) {
    while (is_space(y.c)) {
        y = look(s, y.end);
        if (cuts(s, y)) {
            return true;
        }
    }
    return false;
}

size_t mx_split_deepseek(const uint8_t *p, size_t n, bool final) {
    struct scan s = {.p = p, .n = n};
    struct symbol before = look(&s, 0);
    if (is_newline(before.c) || is_number(before.c)) {
        return before.end;
    }
    s.in_letters = begins_letters(&s, before);
    s.in_marks = begins_marks(&s, before);
    struct symbol y = look(&s, before.end);
    while (!cuts(&s, y) && is_east_asian(before.c) == is_east_asian(y.c) && !is_number(y.c) &&
           !(is_space(y.c) && !is_space(before.c) && trails(&s, y))) {
        before = y;
        y = look(&s, y.end);
    }
    return s.touched && !final ? 0 : y.at;
}
