/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie keygen: makes a signing key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack/keys.h"
#include "tools/args.h"
#include "tools/commands.h"
#include "tools/paths.h"
#include "tools/report.h"

static int print_key(const struct pk_key *key, const char *private_path, const char *public_path) {
    char id[PK_KEY_ID_TEXT];
    pk_key_id_text(key->xy, id);
    printf("private key  %s\npublic key   %s\nkey id       %s\n", private_path, public_path, id);
    return finish_output(STATUS_OK);
}

static int generate_in_store(struct pk_key *key, const char *name) {
    struct pk_error e = {0};
    char private_path[PATH_BYTES], public_path[PATH_BYTES];
    char *folder = pk_keys_folder(&e);
    if (!folder || !pk_keys_create(name, key, &e)) {
        free(folder);
        return report_error(e.code, "%s", e.text);
    }
    snprintf(private_path, sizeof(private_path), "%s/%s.key.pem", folder, name);
    snprintf(public_path, sizeof(public_path), "%s/%s.pub.pem", folder, name);
    free(folder);
    return print_key(key, private_path, public_path);
}

/* PATH.key.pem and PATH.pub.pem, both or none. */
static int generate_at(struct pk_key *key, const char *path) {
    struct pk_error e = {0};
    char private_path[PATH_BYTES], public_path[PATH_BYTES];
    int n = snprintf(private_path, sizeof(private_path), "%s.key.pem", path);
    snprintf(public_path, sizeof(public_path), "%s.pub.pem", path);
    if (n < 0 || n >= PATH_BYTES) {
        return usage_error("-o: the path is too long");
    }
    if (!pk_key_generate(key, &e) || !pk_key_write_private(key, private_path, &e)) {
        return report_error(e.code, "%s", e.text);
    }
    if (!pk_key_write_public(key->xy, public_path, &e)) {
        unlink(private_path);
        return report_error(e.code, "%s", e.text);
    }
    return print_key(key, private_path, public_path);
}

/* The bytes X, Y as C has them between braces, of the key in file `pub` or, when that is NULL, of the store's `name`.
 */
static int print_as_c(const char *name, const char *pub) {
    struct pk_error e = {0};
    char path[PATH_BYTES];
    uint8_t xy[64];
    char *folder = pub ? NULL : pk_keys_folder(&e);
    if (folder) {
        snprintf(path, sizeof(path), "%s/%s.pub.pem", folder, name);
    }
    bool ok = (pub || folder) && pk_key_read_public(xy, pub ? pub : path, &e);
    free(folder);
    if (!ok) {
        return report_error(e.code, "%s", e.text);
    }
    for (size_t i = 0; i < sizeof(xy); i++) {
        printf("0x%02x,%c", xy[i], i % 16 == 15 ? '\n' : ' ');
    }
    return finish_output(STATUS_OK);
}

int cmd_keygen(int argc, char **argv) {
    const char *name = NULL, *out = NULL, *pub = NULL;
    bool as_c = false;
    const struct arg table[] = {
        {"--name", .kind = ARG_TEXT, .out = &name, .value = "NAME",
         .help = "of the key in the store (default: default)"},
        {"--out", .alias = "-o", .kind = ARG_TEXT, .out = &out, .value = "PATH",
         .help = "write PATH.key.pem and PATH.pub.pem, not into the store"},
        {"--as-c", .kind = ARG_FLAG, .out = &as_c,
         .help = "make no key, print the store's public one as C bytes to be pinned in a program"},
        {"--pub", .kind = ARG_TEXT, .out = &pub, .value = "FILE", .help = "with --as-c: that of this file"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Makes an ECDSA P-256 key: NAME.key.pem to sign bundles with, NAME.pub.pem to trust them by.",
        .details =
            "The store is ${XDG_CONFIG_HOME:-~/.config}/moxie/keys. Every public key in it is trusted on this\n"
            "machine; to trust somebody else's bundles, put their .pub.pem file there. An existing key is never\n"
            "overwritten.",
        .example = "    moxie keygen",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    if (pub && !as_c) {
        return usage_error("--pub goes with --as-c");
    }
    if (out && (as_c || name)) {
        return usage_error(as_c ? "--as-c prints, without -o" : "--name is for the store, without -o");
    }
    if (out && (!*out || out[strlen(out) - 1] == '/')) {
        return usage_error("-o '%s': the keys need a name", out);
    }
    name = name ? name : PK_KEY_DEFAULT;
    struct pk_key key = {{0}, {0}};
    status = as_c ? print_as_c(name, pub) : out ? generate_at(&key, out) : generate_in_store(&key, name);
    pk_key_wipe(&key);
    return status;
}
