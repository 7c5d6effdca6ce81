/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // mkdtemp, strdup
#include "tests/importer_files.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check.h"

void put(struct bytes *b, const void *data, size_t n) {
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n);
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (n) {
        memcpy(b->data + b->n, data, n);
    }
    b->n += n;
}

void put_zeros(struct bytes *b, size_t n) {
    for (; n; n--) {
        put(b, "", 1);
    }
}

void put_integer(struct bytes *b, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
        put(b, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
    }
}

void put_string(struct bytes *b, const char *text) {
    put_integer(b, strlen(text), 8);
    put(b, text, strlen(text));
}

void align_to(struct bytes *b, size_t alignment) {
    put_zeros(b, (alignment - b->n % alignment) % alignment);
}

void free_bytes(struct bytes *b) {
    free(b->data);
    *b = (struct bytes){0};
}

char *make_folder(void) {
    const char *base = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof(path), "%s/moxie-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return strdup(path);
}

void remove_folder(char *folder) {
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] != '.') {
            assert_int_equal(unlink(in_folder(folder, entry->d_name)), 0);
        }
    }
    closedir(d);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

char *test_folder;

int begin_in_folder(void **state) {
    (void)state;
    test_folder = make_folder();
    return 0;
}

int end_in_folder(void **state) {
    (void)state;
    remove_folder(test_folder);
    return 0;
}

const char *in_folder(const char *folder, const char *name) {
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    int n = snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    assert_true(n > 0 && (size_t)n < sizeof(paths[0]));
    return path;
}

void write_file(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

struct bytes read_whole(const char *path) {
    struct bytes b = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("cannot open %s", path);
    }
    uint8_t chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
        put(&b, chunk, n);
    }
    fclose(f);
    return b;
}

struct bytes safetensors(const char *header, size_t data) {
    struct bytes b = {0};
    put_string(&b, header);
    put_zeros(&b, data);
    return b;
}

void check_pk_error(const struct pk_error *e, int code, const char *part) {
    if (e->code != code || !strstr(e->text, part)) {
        fail_msg("expected '%s' with \"%s\", got '%s': %s", moxie_error_name((enum moxie_error)code), part,
                 moxie_error_name((enum moxie_error)e->code), e->text);
    }
}

void copy_reference(const char *folder, const char *reference, const char *name) {
    char path[256];
    snprintf(path, sizeof(path), REFERENCE "%s/%s", reference, name);
    struct bytes b = read_whole(path);
    write_file(in_folder(folder, name), b.data, b.n);
    free_bytes(&b);
}

void write_changed(const char *folder, const char *reference, const char *name, const char *key, const char *value) {
    char path[256];
    if (reference) {
        snprintf(path, sizeof(path), REFERENCE "%s/%s", reference, name);
    } else {
        snprintf(path, sizeof(path), "%s", in_folder(folder, name));
    }
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    if (value) {
        json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(v);
        json_object_set_new(root, key, v);
    } else {
        json_object_del(root, key);
    }
    assert_int_equal(json_dump_file(root, in_folder(folder, name), 0), 0);
    json_decref(root);
}

struct pk_source *open_source(const char *path) {
    struct pk_error e = {0};
    struct pk_source *s = pk_source_open(path, &e);
    if (!s || !pk_source_check(s, &e)) {
        fail_msg("%s: %s", path, e.text);
    }
    return s;
}

void refuse_source(const char *path, int code, const char *part) {
    struct pk_error e = {0};
    struct pk_source *s = pk_source_open(path, &e);
    if (s && pk_source_check(s, &e)) {
        fail_msg("accepted where \"%s\" was expected", part);
    }
    check_pk_error(&e, code, part);
    pk_source_close(s);
}
