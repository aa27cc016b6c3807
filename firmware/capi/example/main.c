/* A model that is linked into a program in C: it reads a prompt and
 * continues it, or prints its class. No heap, no C library.
 *
 * `cargo xtask capi` builds and runs it; what it asks is set by macros. */
#include "board.h"
#include "kinglet.h"
#include <stdbool.h>

#ifndef PROMPT
#define PROMPT "Once upon a time"
#endif
#ifndef TOKENS
#define TOKENS 32
#endif
#ifndef SAMPLING
#define SAMPLING { .temperature = 0.0f, .top_k = 0, .top_p = 1.0f, .repetition_penalty = 1.0f, .seed = 0 }
#endif
/* Print the numbers of the tokens in place of their text. */
#ifndef NUMBERS
#define NUMBERS 0
#endif

/* The image, see image.S. */
extern const uint8_t image[];
extern const uint8_t image_end[];

/* Memory for state and scratch, the most that a model may need. */
static int32_t memory[64 * 1024];

static const uint8_t prompt[] = PROMPT;
/* A text has no more tokens than bytes. */
static uint32_t tokens[sizeof prompt];

static kgl_session session;
static kgl_sampler sampler;

/* Prints what a status means; true where it is an error. */
static bool failed(int status) {
    if (status != KGL_OK) {
        board_print(kgl_error_text(status));
        board_print("\n");
    }
    return status != KGL_OK;
}

/* Reads the prompt but for its last token, which is where generating begins.
 * An empty one leaves that as it is. */
static int read_prompt(uint32_t *last) {
    size_t count;
    int status = kgl_encode(&session, prompt, sizeof prompt - 1, tokens, sizeof tokens / sizeof *tokens, &count);
    if (status != KGL_OK || count == 0) {
        return status;
    }
    *last = tokens[count - 1];
    return kgl_feed(&session, tokens, count - 1);
}

static int print_token(uint32_t token) {
    uint8_t text[KGL_TOKEN_BYTES];
    size_t text_bytes;
    if (NUMBERS) {
        board_print_number(token);
        board_print("\n");
        return KGL_OK;
    }
    int status = kgl_decode(&session, token, text, sizeof text, &text_bytes);
    if (status == KGL_OK) {
        board_write(text, text_bytes);
    }
    return status;
}

static int generate(uint32_t token) {
    for (int i = 0; i < TOKENS; i++) {
        int32_t *logits;
        size_t n_logits;
        int status = kgl_step(&session, token, &logits, &n_logits);
        if (status == KGL_OK) {
            status = kgl_choose(&sampler, logits, n_logits, &token);
        }
        if (status == KGL_OK) {
            status = print_token(token);
        }
        if (status != KGL_OK) {
            return status;
        }
    }
    return KGL_OK;
}

static int classify(uint32_t token) {
    int32_t *logits;
    size_t n_logits;
    kgl_class answer;
    int status = kgl_step(&session, token, &logits, &n_logits);
    if (status == KGL_OK) {
        status = kgl_answer(&session, logits, n_logits, &answer);
    }
    if (status == KGL_OK) {
        board_print(NUMBERS ? "" : "\n");
        board_print(answer.is_unknown ? "unknown (" : "");
        board_print_number(answer.percent);
        board_print(" %: ");
        board_write(answer.label, answer.label_bytes);
        board_print(answer.is_unknown ? ")" : "");
        board_print(NUMBERS ? "\n" : "");
    }
    return status;
}

int main(void) {
    const kgl_sampling sampling = SAMPLING;
    const size_t image_bytes = (size_t)(image_end - image);
    kgl_info info;
    uint32_t last = KGL_START_TOKEN;

    board_start();
    if (failed(kgl_image_check(image, image_bytes, &info))) {
        return 1;
    }
    if (info.state_bytes + info.scratch_bytes > sizeof memory) {
        board_print("the model needs more memory than main.c gives it\n");
        return 1;
    }
    int32_t *scratch = memory + info.state_bytes / sizeof *memory;
    if (failed(kgl_session_init(&session, image, image_bytes, memory, info.state_bytes, scratch,
                                info.scratch_bytes)) ||
        failed(kgl_sampler_init(&sampler, &sampling)) || failed(read_prompt(&last))) {
        return 1;
    }
    if (failed(info.n_class > 0 ? classify(last) : generate(last))) {
        return 1;
    }
    board_print(NUMBERS ? "" : "\n");
    return 0;
}
