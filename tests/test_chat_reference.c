/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat templates against apply_chat_template of transformers (tests/data/chat/rendered.json, made by
 * tests/reference/make_chat.py, which says where we differ on purpose): every published template is known, every
 * conversation has the same ids or is refused, also when the answers in it were written by the model. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/chat.h"
#include "tests/check.h"
#include "tests/tokenizer_files.h"

#define FOLDER "tests/data/chat/"
#define MAX_IDS 1024
#define MAX_MESSAGES 8

static json_t *root;
static uint64_t scratch[8192];

struct message {
    const char *role, *content;
};

struct conversation {
    const char *name;
    struct message messages[MAX_MESSAGES];
    size_t n;
    bool prompt; /* an answer is asked for at the end */
};

struct ids {
    int32_t id[MAX_IDS];
    size_t n;
};

struct rendering {
    struct conversation c;
    const char *refused, *text; /* the reference's; one of them is NULL */
    struct ids reference, ours; /* its ids; what we are to make of it */
    const json_t *because;      /* they differ; NULL: they do not */
};

struct reference {
    const char *name;
    uint32_t number;
    struct test_blob blob;
    struct rendering r;
};

static int setup(void **state) {
    (void)state;
    root = json_load_file(FOLDER "rendered.json", 0, NULL);
    return root ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    json_decref(root);
    return 0;
}

static const char *string(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static struct ids read_ids(const json_t *list) {
    struct ids ids = {.n = json_array_size(list)};
    assert_in_range(ids.n, 1, MAX_IDS);
    for (size_t i = 0; i < ids.n; i++) {
        ids.id[i] = (int32_t)json_integer_value(json_array_get(list, i));
    }
    return ids;
}

static struct rendering read_rendering(const json_t *conversation, const json_t *rendering) {
    const json_t *messages = json_object_get(conversation, "messages"), *ours = json_object_get(rendering, "ours");
    struct rendering r = {
        .c = {.name = string(conversation, "name"),
              .n = json_array_size(messages),
              .prompt = json_is_true(json_object_get(conversation, "prompt"))},
        .refused = string(rendering, "refused"),
        .text = string(rendering, "text"),
        .because = json_object_get(rendering, "because"),
    };
    assert_in_range(r.c.n, 1, MAX_MESSAGES);
    for (size_t i = 0; i < r.c.n; i++) {
        const json_t *m = json_array_get(messages, i);
        r.c.messages[i] = (struct message){string(m, "role"), string(m, "content")};
        assert_non_null(r.c.messages[i].role);
        assert_non_null(r.c.messages[i].content);
    }
    assert_true(!r.refused == (r.text != NULL));
    if (r.text) {
        r.reference = read_ids(json_object_get(rendering, "ids"));
        r.ours = ours ? read_ids(ours) : r.reference;
    }
    return r;
}

static void open_vocabulary(struct test_blob *b, const char *name) {
    if (strcmp(name, "qwen") == 0) {
        test_blob_qwen(b);
        return;
    }
    char path[64];
    struct pk_error e = {0};
    struct pk_vocab v;
    snprintf(path, sizeof(path), FOLDER "%s", name);
    if (!pk_tokenizer_from_hf(path, &v, &e)) {
        fail_msg("%s", e.text);
    }
    test_blob_from_vocab(b, &v);
    pk_vocab_free(&v);
}

/* Runs `check` for every conversation in every template; it counts what it looked at. */
static size_t for_all(size_t (*check)(const struct reference *)) {
    const json_t *conversations = json_object_get(root, "conversations"),
                 *templates = json_object_get(root, "templates");
    size_t looked = 0;
    char open[32] = "";
    static struct reference ref;
    for (size_t i = 0; i < json_array_size(templates); i++) {
        const json_t *t = json_array_get(templates, i), *renderings = json_object_get(t, "renderings");
        const char *vocabulary = string(t, "vocabulary");
        ref.name = string(t, "name");
        ref.number = (uint32_t)json_integer_value(json_object_get(t, "number"));
        if (strcmp(open, vocabulary) != 0) {
            test_blob_free(&ref.blob);
            open_vocabulary(&ref.blob, vocabulary);
            snprintf(open, sizeof(open), "%s", vocabulary);
        }
        assert_int_equal(json_array_size(renderings), json_array_size(conversations));
        for (size_t k = 0; k < json_array_size(renderings); k++) {
            ref.r = read_rendering(json_array_get(conversations, k), json_array_get(renderings, k));
            looked += check(&ref);
        }
    }
    test_blob_free(&ref.blob);
    return looked;
}

static void expect_ids(const struct reference *ref, const char *what, const struct ids *got, const struct ids *ids) {
    for (size_t i = 0; i < got->n && i < ids->n; i++) {
        if (got->id[i] != ids->id[i]) {
            fail_msg("%s, %s, %s: id %zu is %d, expected %d", ref->name, ref->r.c.name, what, i, got->id[i],
                     ids->id[i]);
        }
    }
    if (got->n != ids->n) {
        fail_msg("%s, %s, %s: %zu ids, expected %zu", ref->name, ref->r.c.name, what, got->n, ids->n);
    }
}

static bool is(const struct message *m, const char *role) {
    return m->role && strcmp(m->role, role) == 0;
}

static enum mx_chat_at behind(const struct message *m) {
    return is(m, "system") ? MX_CHAT_AT_SYSTEM : is(m, "user") ? MX_CHAT_AT_QUESTION : MX_CHAT_AT_TURN;
}

static enum moxie_error add(const struct reference *ref, struct ids *ids, enum mx_chat_at at, const struct message *m,
                            bool answer, struct moxie_failure *f) {
    size_t n;
    enum moxie_error error = mx_chat_turn(&ref->blob.t, ref->number, at, m->role, m->content, strlen(m->content),
                                          answer, scratch, sizeof(scratch), ids->id + ids->n, MAX_IDS - ids->n, &n, f);
    ids->n += n;
    return error;
}

/* Turn by turn, as given. */
static enum moxie_error render(const struct reference *ref, struct ids *ids, struct moxie_failure *f) {
    const struct conversation *c = &ref->r.c;
    enum moxie_error error = MOXIE_OK;
    ids->n = 0;
    for (size_t i = 0; i < c->n && !error; i++) {
        error = add(ref, ids, i ? behind(&c->messages[i - 1]) : MX_CHAT_AT_START, &c->messages[i],
                    c->prompt && i + 1 == c->n, f);
    }
    return error;
}

/* What we refuse and the reference does not: a system message where Gemma's text looks only for an answer, and one
 * alone, which Mistral's text drops. */
static bool is_stricter(const struct reference *ref) {
    const struct conversation *c = &ref->r.c;
    bool system = false;
    for (size_t i = 0; i < c->n; i++) {
        system = system || is(&c->messages[i], "system");
    }
    return system && (ref->number == MX_CHAT_GEMMA || (ref->number == MX_CHAT_MISTRAL_SYSTEM && c->n == 1));
}

static size_t check_given(const struct reference *ref) {
    struct ids ids;
    struct moxie_failure f = {0};
    enum moxie_error error = render(ref, &ids, &f);
    if (ref->r.refused || is_stricter(ref)) {
        if (error != MOXIE_ERROR_TEXT || !strstr(f.what, "no place for")) {
            fail_msg("%s, %s: not refused as by the reference (%s): %s", ref->name, ref->r.c.name,
                     ref->r.refused ? ref->r.refused : "it renders it", error ? f.what : "rendered");
        }
        return 1;
    }
    if (error) {
        fail_msg("%s, %s: %s", ref->name, ref->r.c.name, f.what);
    }
    expect_ids(ref, "turn by turn", &ids, &ref->r.ours);
    return 1;
}

/* The reference's text, encoded as a whole with its control tokens recognised. */
static size_t check_whole(const struct reference *ref) {
    struct ids ids;
    struct moxie_failure f;
    if (!ref->r.text) {
        return 0;
    }
    check_ok(mx_encode(&ref->blob.t, ref->r.text, strlen(ref->r.text), MX_ENCODE_SPECIALS, scratch, sizeof(scratch),
                       ids.id, MAX_IDS, &ids.n, &f),
             f);
    expect_ids(ref, "as a whole", &ids, &ref->r.reference);
    return 1;
}

/* The end token of answers. */
static int32_t end_token(const struct reference *ref) {
    static const char gemma[] = "<end_of_turn>";
    return ref->number == MX_CHAT_GEMMA
               ? mx_special_match(&ref->blob.t, (const uint8_t *)gemma, sizeof(gemma) - 1, MX_KIND_CONTROL)
               : (int32_t)ref->blob.t.header->eos;
}

/* White space at the beginning of a given answer shares a pre-token with the opening; a model writes it behind that. */
static bool begins_blank(const char *content) {
    return content[0] && strchr(" \t\r\n\xE2", content[0]);
}

/* Answers are taken as the model would have written them, with their end token (`end` is END) or cut short (ANSWER):
 * the ids between an answer's opening and its end in what is expected. Nothing before them may have to change. */
static size_t check_written(const struct reference *ref, enum mx_chat_at end) {
    const struct conversation *c = &ref->r.c;
    const struct ids *all = &ref->r.ours;
    struct ids ids = {.n = 0};
    struct moxie_failure f;
    enum mx_chat_at at = MX_CHAT_AT_START;
    size_t answers = 0;
    if (ref->r.refused || is_stricter(ref) || is(&c->messages[c->n - 1], "assistant")) {
        return 0; /* or nobody goes on */
    }
    for (size_t i = 0; i < c->n; i++) {
        bool last = i + 1 == c->n, asked = !last && is(&c->messages[i + 1], "assistant");
        if (asked && begins_blank(c->messages[i + 1].content)) {
            return 0;
        }
        check_ok(add(ref, &ids, at, &c->messages[i], last ? c->prompt : asked, &f), f);
        at = behind(&c->messages[i]);
        while (asked && ids.n < all->n && all->id[ids.n] != end_token(ref)) {
            ids.id[ids.n] = all->id[ids.n];
            ids.n++;
        }
        if (asked) {
            ids.id[ids.n] = end_token(ref);
            ids.n += end == MX_CHAT_AT_END;
            at = end;
            answers++;
            i++;
        }
    }
    expect_ids(ref, end == MX_CHAT_AT_END ? "written answers" : "answers cut short", &ids, all);
    return answers;
}

static size_t check_ended(const struct reference *ref) {
    return check_written(ref, MX_CHAT_AT_END);
}

static size_t check_cut_short(const struct reference *ref) {
    return check_written(ref, MX_CHAT_AT_ANSWER);
}

static size_t count_control(const struct reference *ref, const struct ids *ids) {
    size_t n = 0;
    for (size_t i = 0; i < ids->n; i++) {
        n += ref->blob.t.kinds[ids->id[i]] == MX_TOK_CONTROL;
    }
    return n;
}

static bool names_control_token(const struct reference *ref, const char *content) {
    size_t n = strlen(content);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        any = any || mx_special_match(&ref->blob.t, (const uint8_t *)content + i, n - i, MX_KIND_CONTROL) >= 0;
    }
    return any;
}

/* There are as many control tokens whatever the contents say, and no other differences from the reference than these.
 */
static size_t check_differences(const struct reference *ref) {
    const struct conversation *c = &ref->r.c;
    struct reference harmless = *ref;
    struct ids ids, same;
    struct moxie_failure f;
    bool named = false, answers = false;
    if (ref->r.refused || is_stricter(ref)) {
        return 0;
    }
    for (size_t i = 0; i < c->n; i++) {
        named = named || names_control_token(ref, c->messages[i].content);
        answers = answers || is(&c->messages[i], "assistant");
        harmless.r.c.messages[i].content = "x";
    }
    check_ok(render(ref, &ids, &f), f);
    check_ok(render(&harmless, &same, &f), f);
    assert_int_equal(count_control(ref, &ids), count_control(ref, &same));
    if (named && count_control(ref, &ref->r.reference) == count_control(ref, &ids)) {
        fail_msg("%s, %s: the reference would make no control token of a content", ref->name, c->name);
    }
    for (size_t i = 0; i < json_array_size(ref->r.because); i++) {
        const char *why = json_string_value(json_array_get(ref->r.because, i));
        bool last = is(&c->messages[c->n - 1], "assistant");
        bool apart = ref->number == MX_CHAT_MISTRAL || ref->number == MX_CHAT_MISTRAL_SPACE;
        if (!(strcmp(why, "contents") == 0 && named) && !(strcmp(why, "answers") == 0 && apart && answers) &&
            !(strcmp(why, "open") == 0 && (last || !c->prompt)) &&
            !(strcmp(why, "space") == 0 && last && ref->number == MX_CHAT_MISTRAL_SPACE)) {
            fail_msg("%s, %s: differs because of %s", ref->name, c->name, why);
        }
    }
    return ref->r.because ? 1 : 0;
}

/* The texts that transformers rendered are those that the packer knows. */
static void templates_are_known(void **state) {
    (void)state;
    const json_t *templates = json_object_get(root, "templates");
    uint32_t seen = 0;
    for (size_t i = 0; i < json_array_size(templates); i++) {
        const json_t *t = json_array_get(templates, i);
        uint32_t number = (uint32_t)json_integer_value(json_object_get(t, "number"));
        if (pk_chat_template(string(t, "jinja")) != number) {
            fail_msg("%s: the packer takes it for number %u, not %u", string(t, "name"),
                     pk_chat_template(string(t, "jinja")), number);
        }
        seen |= 1u << number;
    }
    assert_int_equal(seen, (2u << MX_CHAT_LAST) - 2); /* all of them */
}

static void conversations_as_given(void **state) {
    (void)state;
    assert_true(for_all(check_given) >= 300);
}

static void renderings_as_a_whole(void **state) {
    (void)state;
    assert_true(for_all(check_whole) >= 250);
}

static void answers_that_the_model_wrote(void **state) {
    (void)state;
    assert_true(for_all(check_ended) >= 100);
    assert_true(for_all(check_cut_short) >= 100);
}

static void differences_are_the_documented_ones(void **state) {
    (void)state;
    assert_in_range(for_all(check_differences), 20, 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_known),
        cmocka_unit_test(conversations_as_given),
        cmocka_unit_test(renderings_as_a_whole),
        cmocka_unit_test(answers_that_the_model_wrote),
        cmocka_unit_test(differences_are_the_documented_ones),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, setup, teardown);
}
