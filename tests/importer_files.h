/* SPDX-License-Identifier: Apache-2.0
 *
 * What the importers' tests share: bytes put together by hand, and a temporary folder to put them in. */
#ifndef TESTS_IMPORTER_FILES_H
#define TESTS_IMPORTER_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "pack/source.h"

/* A growing array of bytes. Zero is empty. */
struct bytes {
    uint8_t *data;
    size_t n, capacity;
};

void put(struct bytes *b, const void *data, size_t n);
void put_zeros(struct bytes *b, size_t n);
void put_integer(struct bytes *b, uint64_t value, unsigned bytes); /* little-endian */
void put_string(struct bytes *b, const char *text);                /* GGUF: u64 length and bytes */
void align_to(struct bytes *b, size_t alignment);                  /* with zeros */
void free_bytes(struct bytes *b);

/* A new empty folder under $TMPDIR; remove_folder deletes it with its files. To be freed by remove_folder. */
char *make_folder(void);
void remove_folder(char *folder);

/* cmocka's set-up and tear-down of a test, or a group of tests, with such a folder. */
extern char *test_folder;
int begin_in_folder(void **state);
int end_in_folder(void **state);

/* folder/name; static memory, overwritten by the fourth call after. */
const char *in_folder(const char *folder, const char *name);

void write_file(const char *path, const void *data, size_t n);
struct bytes read_whole(const char *path);

/* A safetensors file: header length, header, `data` zeros. */
struct bytes safetensors(const char *header, size_t data);

/* Fails the test unless `e` has `code` and its text contains `part`. */
void check_pk_error(const struct pk_error *e, int code, const char *part);

#define REFERENCE "tests/data/reference/"

/* Copies file `name` of checkpoint REFERENCE/<reference> into `folder`. */
void copy_reference(const char *folder, const char *reference, const char *name);

/* Writes that JSON file to `folder` with `key` set to the JSON text `value`; NULL removes the key. reference NULL:
 * changes the one that is there. */
void write_changed(const char *folder, const char *reference, const char *name, const char *key, const char *value);

/* An opened source that passed pk_source_check; fails the test otherwise. */
struct pk_source *open_source(const char *path);

/* Fails the test unless opening or checking `path` gives this error. */
void refuse_source(const char *path, int code, const char *part);

#endif
