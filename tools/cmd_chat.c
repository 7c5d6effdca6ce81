/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie chat: a conversation in the terminal. */
#define _POSIX_C_SOURCE 200809L // getline, isatty
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/conversation.h"
#include "tools/interrupt.h"
#include "tools/report.h"

#define DEFAULT_TOKENS 1024 /* of one answer */

struct chat {
    struct engine engine;
    struct conversation conversation;
    struct sampling_options sampling;
    const char *question; /* -p; NULL: read them from standard input */
    bool stats, prompt;   /* prompt: somebody sits at a terminal */
};

static int ask(struct chat *c, const char *question) {
    int status = conversation_ask(&c->conversation, question, c->sampling.limit);
    if (c->stats && c->conversation.writer.written) {
        writer_print_speed(&c->conversation.writer);
    }
    return status;
}

/* The next line without its end, NULL at the end of the input or when it cannot be read. Ctrl-C clears the line at a
 * terminal, elsewhere it ends the input. */
static char *next_line(const struct chat *c, char **line, size_t *room, int *status) {
    for (;;) {
        if (c->prompt) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        if (!c->prompt || interrupt_wait_input(STDIN_FILENO)) { // a terminal gives whole lines
            ssize_t n = getline(line, room, stdin);
            if (n < 0) {
                *status =
                    feof(stdin) || interrupt_pending() ? *status : report_tool("standard input: %s", strerror(errno));
                return NULL;
            }
            n -= n > 0 && (*line)[n - 1] == '\n';
            n -= n > 0 && (*line)[n - 1] == '\r';
            (*line)[n] = '\0';
            if (strlen(*line) != (size_t)n) {
                *status = report_tool("standard input: a question with a NUL byte");
                return NULL;
            }
            return *line;
        }
        interrupt_take();
        fputs("\n(Ctrl-D or /quit ends the chat)\n", stdout);
    }
}

/* Only a question that cannot be asked, or Ctrl-C during an answer, leaves the chat going. */
static bool goes_on(const struct chat *c, int status) {
    return status == STATUS_OK ||
           (c->prompt && (status == STATUS_INTERRUPTED || status == status_of(MOXIE_ERROR_TEXT) ||
                          status == status_of(MOXIE_ERROR_CONTEXT_FULL)));
}

static int converse(struct chat *c) {
    char *line = NULL;
    size_t room = 0;
    int status = STATUS_OK;
    if (c->prompt) {
        printf("%s. Ctrl-C stops an answer, /reset starts anew, /quit ends.\n", c->engine.model.id);
    }
    while (goes_on(c, status) && next_line(c, &line, &room, &status)) {
        status = STATUS_OK;
        if (strcmp(line, "/quit") == 0) {
            break;
        }
        if (strcmp(line, "/reset") == 0) {
            conversation_reset(&c->conversation);
        } else if (line[0]) {
            status = ask(c, line);
            interrupt_take();
        }
    }
    free(line);
    if (interrupt_pending()) {
        return STATUS_INTERRUPTED;
    }
    return goes_on(c, status) ? finish_output(STATUS_OK) : status;
}

static int chat(struct chat *c, const char *system) {
    if (!c->engine.model.has_chat) {
        return report_error(
            MOXIE_ERROR_TEXT,
            "%s has no chat template: it is a base model, or moxie pack did not know its template (it says "
            "so); moxie run continues texts",
            c->engine.model.id);
    }
    c->prompt = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    int status = conversation_open(&c->conversation, &c->engine, &c->sampling, system);
    if (status == STATUS_OK) {
        status = c->question ? ask(c, c->question) : converse(c);
    }
    conversation_close(&c->conversation);
    return status;
}

int cmd_chat(int argc, char **argv) {
    struct chat c = {.sampling = SAMPLING_UNSET};
    struct engine_options options = {0};
    c.sampling.limit = DEFAULT_TOKENS;
    const char *system = NULL;
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE, .out = &options.bundle, .help = "a file made by moxie pack"},
        {"--prompt", .alias = "-p", .kind = ARG_TEXT, .out = &c.question, .value = "QUESTION",
         .help = "answer this one question and end"},
        {"--system", .kind = ARG_TEXT, .out = &system, .value = "TEXT",
         .help = "system message (default: that of the model's template)"},
        {"--stats", .kind = ARG_FLAG, .out = &c.stats, .help = "tell tokens per second after each answer"},
        {.kind = ARG_END},
    };
    struct sampling_args shared = sampling_args(&c.sampling, &options);
    const struct args args = {
        .summary = "Talks with a model. Without a terminal each line of standard input is a question.",
        .details = "An answer has at most 1024 tokens unless -n says otherwise.\n"
                   "Ctrl-C stops an answer and the chat goes on; Ctrl-D or /quit ends it; /reset forgets everything.\n"
                   "The conversation stays in memory: a turn reads its own tokens only. When the context is too full\n"
                   "for the next question and an answer, everything is forgotten but the last question and answer\n"
                   "(these too if they take more than half of it), and the chat says so.",
        .example = "    moxie chat smollm2.moxie -p \"What is the capital of France?\"",
        .table = table,
        .shared = shared.row,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    status = sampling_check(&c.sampling);
    if (status != STATUS_OK) {
        return status;
    }
    interrupt_install();
    struct moxie_config config = MOXIE_CONFIG;
    status = engine_open(&c.engine, &options, &config);
    if (status == STATUS_OK) {
        status = chat(&c, system);
    }
    engine_close(&c.engine);
    return status;
}
