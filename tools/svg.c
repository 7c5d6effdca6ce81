/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/svg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/paths.h"
#include "tools/report.h"

/* Colours that stand out from white and from black alike; text takes that of its surroundings. */
static const char style[] = "text{font:12px system-ui,sans-serif;fill:#333}.h{font-weight:600}.c{fill:#d9480f}"
                            ".g{fill:none;stroke:#888;stroke-opacity:.4;stroke-width:.5}"
                            ".p0{fill:#1c7ed6}.p1{fill:#f08c00}.p2{fill:#37b24d}.p3{fill:#ae3ec9}"
                            "@media(prefers-color-scheme:dark){text{fill:#ddd}}";

/* Names of models are the only text that is not ours. */
static void print_text(FILE *f, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        default:
            fputc((unsigned char)*text < 0x20 ? '?' : *text, f);
        }
    }
}

int svg_open(struct out_file *f, const char *path) {
    return out_file_open(f, path) ? STATUS_OK : report_tool("%s: %s", path, strerror(errno));
}

static void begin(struct out_file *f, uint32_t width, uint32_t height, const char *title) {
    fprintf(f->file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" height=\"%u\">\n"
            "<style>%s</style>\n<text class=\"h\" x=\"8\" y=\"18\">",
            width, height, width, height, style);
    print_text(f->file, title);
    fputs("</text>\n", f->file);
}

static int end(struct out_file *f) {
    fputs("</svg>\n", f->file);
    return out_file_commit(f) ? STATUS_OK : report_tool("%s: %s", f->path, strerror(errno));
}

int svg_bar(const char *path, const char *title, const struct svg_part *part, uint32_t parts) {
    const uint32_t WIDTH = 640, SIDE = 8, BAR = WIDTH - 2 * SIDE, TOP = 30, HEIGHT = 28, LINE = 20;
    struct out_file f;
    uint64_t all = 0, before = 0;
    for (uint32_t i = 0; i < parts; i++) {
        all += part[i].bytes;
    }
    if (svg_open(&f, path) != STATUS_OK) {
        return STATUS_FAILED;
    }
    begin(&f, WIDTH, TOP + HEIGHT + parts * LINE + 12, title);
    for (uint32_t i = 0; i < parts; i++) {
        const uint32_t y = TOP + HEIGHT + 18 + i * LINE;
        const double from = BAR * (double)before / (double)all, width = BAR * (double)part[i].bytes / (double)all;
        fprintf(f.file, "<rect class=\"p%u\" x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%u\"/>\n", i % 4, SIDE + from,
                TOP, width > 1 ? width : 1, HEIGHT);
        fprintf(f.file, "<rect class=\"p%u\" x=\"%u\" y=\"%u\" width=\"10\" height=\"10\"/>", i % 4, SIDE, y - 9);
        fprintf(f.file,
                "<text x=\"%u\" y=\"%u\">%s</text><text x=\"250\" y=\"%u\" text-anchor=\"end\">%llu bytes</text>",
                SIDE + 18, y, part[i].name, y, (unsigned long long)part[i].bytes);
        fprintf(f.file, "<text x=\"266\" y=\"%u\">%s</text>\n", y, part[i].what);
        before += part[i].bytes;
    }
    return end(&f);
}

/* Boxes from none to the largest share, with their numbers as multiples of an even one. */
static void legend(FILE *f, double most, uint32_t y) {
    for (int i = 0; i <= 4; i++) {
        const int x = 64 + i * 76;
        fprintf(f,
                "<rect class=\"c\" x=\"%d\" y=\"%u\" width=\"14\" height=\"12\" fill-opacity=\"%.2f\"/>"
                "<rect class=\"g\" x=\"%d\" y=\"%u\" width=\"14\" height=\"12\"/><text x=\"%d\" y=\"%u\">%.2f</text>\n",
                x, y, i / 4.0, x, y, x + 20, y + 11, most * i / 4);
    }
    fprintf(f, "<text x=\"%d\" y=\"%u\">of an even share</text>\n", 64 + 5 * 76, y + 11);
}

int svg_heat(struct out_file *f, const char *title, const char *row, const char *col, const uint64_t *count,
             uint32_t rows, uint32_t cols) {
    const uint32_t LEFT = 64, TOP = 52, CELL_MIN = 480, RIGHT = 580;
    const uint32_t w = cols * 12 > CELL_MIN ? 12 : CELL_MIN / cols, h = rows > 16 ? 14 : 22;
    double most = 0;
    for (uint32_t r = 0; r < rows; r++) {
        uint64_t sum = 0;
        for (uint32_t c = 0; c < cols; c++) {
            sum += count[(size_t)r * cols + c];
        }
        for (uint32_t c = 0; c < cols && sum; c++) {
            const double share = (double)count[(size_t)r * cols + c] * cols / (double)sum;
            most = share > most ? share : most;
        }
    }
    const uint32_t width = LEFT + cols * w + 16;
    begin(f, width > RIGHT ? width : RIGHT, TOP + rows * h + 36, title);
    for (uint32_t c = 0; c < cols; c += w < 20 ? 4 : 1) {
        fprintf(f->file, "<text x=\"%u\" y=\"%u\" text-anchor=\"middle\">%u</text>\n", LEFT + c * w + w / 2, TOP - 6,
                c);
    }
    for (uint32_t r = 0; r < rows; r++) {
        uint64_t sum = 0;
        for (uint32_t c = 0; c < cols; c++) {
            sum += count[(size_t)r * cols + c];
        }
        fprintf(f->file, "<text x=\"%u\" y=\"%u\" text-anchor=\"end\">%s %u</text>\n", LEFT - 8,
                TOP + r * h + h / 2 + 4, row, r);
        for (uint32_t c = 0; c < cols && sum; c++) {
            const double share = (double)count[(size_t)r * cols + c] / (double)sum;
            const uint32_t x = LEFT + c * w, y = TOP + r * h;
            fprintf(f->file,
                    "<rect class=\"c\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill-opacity=\"%.3f\"/>"
                    "<rect class=\"g\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" pointer-events=\"all\">"
                    "<title>%s %u, %s %u: %.2f %%</title></rect>\n",
                    x, y, w, h, share * cols / most, x, y, w, h, row, r, col, c, 100 * share);
        }
    }
    legend(f->file, most, TOP + rows * h + 12);
    return end(f);
}
