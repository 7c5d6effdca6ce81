/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // readlink, scandir
#include "tools/board.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/args.h"
#include "tools/input.h"
#include "tools/paths.h"
#include "tools/report.h"
#include "twin/environment.h"

enum fact_kind { FACT_U32, FACT_U64, FACT_TEXT };

#define FACT(field, kind)                                                                                              \
    { #field, kind, offsetof(struct moxie_device_facts, field), sizeof((struct moxie_device_facts){0}.field) }
static const struct fact {
    const char *key;
    enum fact_kind kind;
    size_t offset, bytes;
} facts_table[] = {
    FACT(platform, FACT_TEXT),
    FACT(name, FACT_TEXT),
    FACT(driver, FACT_TEXT),
    FACT(version, FACT_TEXT),
    FACT(type, FACT_U32),
    FACT(global_bytes, FACT_U64),
    FACT(max_alloc_bytes, FACT_U64),
    FACT(local_bytes, FACT_U64),
    FACT(compute_units, FACT_U32),
    FACT(max_work_group, FACT_U32),
    FACT(base_align_bytes, FACT_U32),
    FACT(host_unified, FACT_U32),
    FACT(fp_config, FACT_U32),
    FACT(little_endian, FACT_U32),
    FACT(compute_capability, FACT_U32),
};
#define FACTS (sizeof(facts_table) / sizeof(facts_table[0]))

void board_visit(const struct moxie_device_facts *facts,
                 void (*visit)(void *user, const char *key, const char *text, bool is_number), void *user) {
    for (size_t i = 0; i < FACTS; i++) {
        const struct fact *f = &facts_table[i];
        const char *at = (const char *)facts + f->offset;
        char text[128];
        if (f->kind == FACT_TEXT) {
            snprintf(text, sizeof(text), "%.*s", (int)f->bytes, at);
        } else if (f->kind == FACT_U64) {
            snprintf(text, sizeof(text), "%llu", (unsigned long long)*(const uint64_t *)at);
        } else {
            snprintf(text, sizeof(text), "%u", *(const uint32_t *)at);
        }
        visit(user, f->key, text, f->kind != FACT_TEXT);
    }
}

#define EXTENSIONS "extensions" /* in a facts file for people who write kernels; the library does not ask for any */

static void print_extensions(void *user, const char *key, const char *text, bool is_number) {
    (void)user;
    if (!is_number && strcmp(key, "CL_DEVICE_EXTENSIONS") == 0) {
        printf("%s = %s\n", EXTENSIONS, text);
    }
}

static void print_fact(void *user, const char *key, const char *text, bool is_number) {
    (void)user;
    (void)is_number;
    printf("%s = %s\n", key, text);
}

void board_print(uint32_t device, const struct moxie_device_facts *facts) {
    printf("# Facts of a device for moxie plan --board, as moxie devices --board printed them\n");
    board_visit(facts, print_fact, NULL);
    twin_environment(device, print_extensions, NULL, NULL);
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The folder of all boards: of the working directory, of the repository that the tool was built in, or installed. */
static bool find_folder(char path[PATH_BYTES]) {
    char tool[PATH_BYTES / 2];
    struct stat st;
    if (stat("boards", &st) == 0 && S_ISDIR(st.st_mode)) {
        return snprintf(path, PATH_BYTES, "boards") < PATH_BYTES;
    }
    ssize_t n = readlink("/proc/self/exe", tool, sizeof(tool) - 1);
    if (n <= 0) {
        return false;
    }
    tool[n] = '\0';
    *strrchr(tool, '/') = '\0';
    if (snprintf(path, PATH_BYTES, "%s/../boards", tool) < PATH_BYTES && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return true;
    }
    return snprintf(path, PATH_BYTES, "%s/../share/moxie/boards", tool) < PATH_BYTES;
}

/* Finds the facts file that `board` means. */
static bool find(const char *board, char path[PATH_BYTES]) {
    char folder[PATH_BYTES], whole[PATH_BYTES];
    if (is_file(board)) {
        return snprintf(path, PATH_BYTES, "%s", board) < PATH_BYTES;
    }
    if (path_join(path, board, "facts") && is_file(path)) {
        return true;
    }
    return !strchr(board, '/') && find_folder(folder) && path_join(whole, folder, board) &&
           path_join(path, whole, "facts") && is_file(path);
}

/* "facts" or "facts-…", and nothing that an editor left beside them. */
static int is_facts(const struct dirent *entry) {
    const char *rest = entry->d_name + 5;
    return strncmp(entry->d_name, "facts", 5) == 0 && (!*rest || (*rest == '-' && !strpbrk(rest, "~.#")));
}

static int is_name(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* The facts files of one folder. */
static int each_facts(const char *folder, int (*visit)(void *user, const char *path), void *user) {
    char path[PATH_BYTES];
    struct dirent **files;
    int status = STATUS_OK;
    const int n = scandir(folder, &files, is_facts, alphasort);
    for (int i = 0; i < n; i++) {
        if (status == STATUS_OK && path_join(path, folder, files[i]->d_name)) {
            status = visit(user, path);
        }
        free(files[i]);
    }
    if (n >= 0) {
        free(files);
    }
    return status;
}

int board_each(int (*visit)(void *user, const char *path), void *user) {
    char folder[PATH_BYTES] = "boards", path[PATH_BYTES];
    struct dirent **boards;
    int status = STATUS_OK;
    const int n = find_folder(folder) ? scandir(folder, &boards, is_name, alphasort) : -1;
    if (n < 0) {
        return report_error(MOXIE_ERROR_FILE,
                            "%s: there is no such folder, in the working directory or beside the tool", folder);
    }
    for (int i = 0; i < n; i++) {
        if (status == STATUS_OK && path_join(path, folder, boards[i]->d_name)) {
            status = each_facts(path, visit, user);
        }
        free(boards[i]);
    }
    free(boards);
    return status;
}

static char *trim(char *text) {
    text += strspn(text, " \t");
    size_t n = strlen(text);
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t' || text[n - 1] == '\r')) {
        text[--n] = '\0';
    }
    return text;
}

static bool is_utf8(const char *text) {
    json_t *string = json_string(text); // NULL when it is not
    json_decref(string);
    return string != NULL;
}

static bool set_fact(const struct fact *f, struct moxie_device_facts *facts, const char *text) {
    char *at = (char *)facts + f->offset;
    uint64_t v;
    if (f->kind == FACT_TEXT) {
        return snprintf(at, f->bytes, "%s", text) < (int)f->bytes;
    }
    if (!parse_u64(text, 0, f->kind == FACT_U32 ? UINT32_MAX : UINT64_MAX, &v)) {
        return false;
    }
    if (f->kind == FACT_U64) {
        memcpy(at, &v, sizeof(v));
    } else {
        uint32_t small = (uint32_t)v;
        memcpy(at, &small, sizeof(small));
    }
    return true;
}

/* One line: blank, a comment, or a fact, which is marked as seen. */
static int read_line(const char *path, int number, char *line, struct moxie_device_facts *facts, bool seen[FACTS]) {
    line = trim(line);
    if (!*line || *line == '#') {
        return STATUS_OK;
    }
    if (!is_utf8(line)) {
        return report_error(MOXIE_ERROR_ARGUMENT, "%s:%d: this line is not UTF-8", path, number);
    }
    char *value = strchr(line, '=');
    if (!value) {
        return report_error(MOXIE_ERROR_ARGUMENT, "%s:%d: expected \"key = value\"", path, number);
    }
    *value++ = '\0';
    const char *key = trim(line);
    if (strcmp(key, EXTENSIONS) == 0) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < FACTS; i++) {
        if (strcmp(facts_table[i].key, key) != 0) {
            continue;
        }
        if (seen[i]) {
            return report_error(MOXIE_ERROR_ARGUMENT, "%s:%d: %s is there twice", path, number, key);
        }
        seen[i] = true;
        if (!set_fact(&facts_table[i], facts, trim(value))) {
            return report_error(MOXIE_ERROR_ARGUMENT, "%s:%d: %s: '%s' is too long, or not a decimal number in range",
                                path, number, key, trim(value));
        }
        return STATUS_OK;
    }
    return report_error(MOXIE_ERROR_ARGUMENT, "%s:%d: there is no fact called '%s'", path, number, key);
}

static int parse(const char *path, char *text, struct moxie_device_facts *facts) {
    bool seen[FACTS] = {false};
    int number = 1;
    for (char *line = text; line; number++) {
        char *next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        int status = read_line(path, number, line, facts, seen);
        if (status) {
            return status;
        }
        line = next;
    }
    for (size_t i = 0; i < FACTS; i++) {
        if (!seen[i]) {
            return report_error(MOXIE_ERROR_ARGUMENT, "%s: %s is missing", path, facts_table[i].key);
        }
    }
    return STATUS_OK;
}

int board_read(const char *board, struct moxie_device_facts *facts) {
    char path[PATH_BYTES];
    if (!find(board, path)) {
        return report_error(MOXIE_ERROR_FILE,
                            "there is no board '%s': neither a facts file, nor a folder with one, nor "
                            "a name in boards/",
                            board);
    }
    size_t bytes;
    int status;
    char *text = input_read(path, &bytes, &status);
    if (!text) {
        return status;
    }
    *facts = (struct moxie_device_facts)MOXIE_DEVICE_FACTS;
    status = parse(path, text, facts);
    free(text);
    return status;
}
