/* Checks what kinglet.h says of wrong arguments, slices and named states, with
 * the library on an emulated machine. The image has the state "start" of
 * the text PROMPT. `tests/emulated/tests/qemu/capi.rs` builds and runs it. */
#include "board.h"
#include "kinglet.h"
#include <stdbool.h>

extern const uint8_t image[];
extern const uint8_t image_end[];

#define IMAGE_BYTES ((size_t)(image_end - image))
#define TOO_LONG ((size_t)-1)

/* An image has room here, too. */
static int32_t memory[256 * 1024];
static int32_t first[1024];
static uint32_t tokens[64];
static uint8_t text[KGL_TOKEN_BYTES];

static const uint8_t prompt[] = PROMPT;

static kgl_info info;
static kgl_session session, zeros;
static kgl_sampler sampler, empty;
static uint32_t checks, failures;

static void expect(const char *what, int found, int wanted) {
    checks++;
    if (found != wanted) {
        failures++;
        board_print(what);
        board_print(": ");
        board_print(kgl_error_text(found));
        board_print(", not: ");
        board_print(kgl_error_text(wanted));
        board_print("\n");
    }
}

static void check(const char *what, bool holds) {
    expect(what, holds ? KGL_OK : KGL_ERROR_DAMAGED, KGL_OK);
}

/* The same address and some bytes more. */
static void *shifted(const void *pointer, size_t bytes) { return (void *)((uintptr_t)pointer + bytes); }

static int32_t *scratch(void) { return memory + info.state_bytes / sizeof *memory; }

/* A place inside a session and all that belongs to it. */
#define OBJECTS 4
static void *object(size_t index) {
    const void *const objects[OBJECTS] = { &session, image, memory, scratch() };
    return shifted(objects[index], 16);
}

static int begin_session(void) {
    return kgl_session_init(&session, image, IMAGE_BYTES, memory, info.state_bytes, scratch(), info.scratch_bytes);
}

static void images(void) {
    expect("no image", kgl_image_check(NULL, IMAGE_BYTES, &info), KGL_ERROR_NULL);
    expect("no info", kgl_image_check(image, IMAGE_BYTES, NULL), KGL_ERROR_NULL);
    expect("info aside", kgl_image_check(image, IMAGE_BYTES, shifted(&info, 1)), KGL_ERROR_ALIGNMENT);
    /* A copy of it, next to where it could be. */
    uint8_t *const aside = (uint8_t *)memory + 4;
    check("room", IMAGE_BYTES + 4 <= sizeof memory);
    for (size_t i = 0; i < IMAGE_BYTES; i++) {
        aside[i] = image[i];
    }
    expect("image aside", kgl_image_check(aside, IMAGE_BYTES, &info), KGL_ERROR_ALIGNMENT);
    expect("image inside", kgl_image_check(image + 16, IMAGE_BYTES - 16, &info), KGL_ERROR_NOT_AN_IMAGE);
    expect("image short", kgl_image_check(image, IMAGE_BYTES - 1, &info), KGL_ERROR_TRUNCATED);
    expect("image empty", kgl_image_check(image, 0, &info), KGL_ERROR_NOT_AN_IMAGE);
    expect("image endless", kgl_image_check(image, TOO_LONG, &info), KGL_ERROR_LENGTH);
    expect("info in image", kgl_image_check(image, IMAGE_BYTES, shifted(image, 16)), KGL_ERROR_OVERLAP);
    expect("image", kgl_image_check(image, IMAGE_BYTES, &info), KGL_OK);
    check("sizes", info.image_bytes == IMAGE_BYTES && info.state_bytes > 0 && info.n_vocab <= 1024);
}

#define INIT(session, image, image_bytes, state, state_bytes, scratch, scratch_bytes) \
    kgl_session_init(session, image, image_bytes, state, state_bytes, scratch, scratch_bytes)

static void sessions(void) {
    const size_t s = info.state_bytes, w = info.scratch_bytes;
    expect("no session", INIT(NULL, image, IMAGE_BYTES, memory, s, scratch(), w), KGL_ERROR_NULL);
    expect("no image", INIT(&session, NULL, IMAGE_BYTES, memory, s, scratch(), w), KGL_ERROR_NULL);
    expect("no state", INIT(&session, image, IMAGE_BYTES, NULL, s, scratch(), w), KGL_ERROR_NULL);
    expect("no scratch", INIT(&session, image, IMAGE_BYTES, memory, s, NULL, w), KGL_ERROR_NULL);
    expect("session aside", INIT(shifted(&session, 4), image, IMAGE_BYTES, memory, s, scratch(), w),
           KGL_ERROR_ALIGNMENT);
    expect("state aside", INIT(&session, image, IMAGE_BYTES, shifted(memory, 2), s, scratch(), w),
           KGL_ERROR_ALIGNMENT);
    expect("state short", INIT(&session, image, IMAGE_BYTES, memory, s - 4, scratch(), w), KGL_ERROR_STATE);
    expect("scratch short", INIT(&session, image, IMAGE_BYTES, memory, s, scratch(), w - 4), KGL_ERROR_SCRATCH);
    expect("state endless", INIT(&session, image, IMAGE_BYTES, memory, TOO_LONG, scratch(), w), KGL_ERROR_LENGTH);
    expect("one buffer", INIT(&session, image, IMAGE_BYTES, memory, s, memory, w), KGL_ERROR_OVERLAP);
    expect("touching", INIT(&session, image, IMAGE_BYTES, memory, s + 4, scratch(), w), KGL_ERROR_OVERLAP);
    expect("session in state", INIT((kgl_session *)memory, image, IMAGE_BYTES, memory, s, scratch(), w),
           KGL_ERROR_OVERLAP);
    expect("session", begin_session(), KGL_OK);
}

static void steps(void) {
    int32_t *logits;
    size_t count;
    const uint32_t unknown[2] = { 0, info.n_vocab };
    expect("step without session", kgl_step(NULL, 0, &logits, &count), KGL_ERROR_NULL);
    expect("step of zeros", kgl_step(&zeros, 0, &logits, &count), KGL_ERROR_NOT_READY);
    expect("step to nowhere", kgl_step(&session, 0, NULL, &count), KGL_ERROR_NULL);
    expect("step without count", kgl_step(&session, 0, &logits, NULL), KGL_ERROR_NULL);
    expect("step of no token", kgl_step(&session, info.n_vocab, &logits, &count), KGL_ERROR_TOKEN);
    expect("feed of no token", kgl_feed(&session, unknown, 2), KGL_ERROR_TOKEN);
    expect("feed from nowhere", kgl_feed(&session, NULL, 1), KGL_ERROR_NULL);
    expect("feed of the state", kgl_feed(&session, (uint32_t *)memory, 1), KGL_ERROR_OVERLAP);
    expect("feed endless", kgl_feed(&session, unknown, TOO_LONG / 4), KGL_ERROR_LENGTH);
    expect("feed of nothing", kgl_feed(&session, unknown, 0), KGL_OK);
    expect("reset of zeros", kgl_reset(&zeros), KGL_ERROR_NOT_READY);
    for (size_t i = 0; i < OBJECTS; i++) {
        int32_t **const inside = object(i);
        expect("logits inside", kgl_step(&session, 0, inside, &count), KGL_ERROR_OVERLAP);
        expect("count inside", kgl_step(&session, 0, &logits, (size_t *)inside), KGL_ERROR_OVERLAP);
        expect("tokens inside", kgl_feed(&session, (uint32_t *)inside, 1), KGL_ERROR_OVERLAP);
        expect("more inside", kgl_advance(&session, 0, (int *)inside), KGL_ERROR_OVERLAP);
        expect("sliced logits inside", kgl_logits(&session, inside, &count), KGL_ERROR_OVERLAP);
        expect("class inside", kgl_answer(&session, first, 3, (kgl_class *)inside), KGL_ERROR_OVERLAP);
    }
    expect("results in one place", kgl_step(&session, 0, &logits, (size_t *)&logits), KGL_ERROR_OVERLAP);
    expect("reset", kgl_reset(&session), KGL_OK);
}

static void samplers(void) {
    const kgl_sampling greedy = { .top_p = 1.0f, .repetition_penalty = 1.0f };
    int32_t logits[3] = { 1, 3, 2 };
    uint32_t token = 9;
    expect("no settings", kgl_sampler_init(&sampler, NULL), KGL_ERROR_NULL);
    expect("no sampler", kgl_sampler_init(NULL, &greedy), KGL_ERROR_NULL);
    expect("sampler", kgl_sampler_init(&sampler, &greedy), KGL_OK);
    expect("choice of zeros", kgl_choose(&empty, logits, 3, &token), KGL_ERROR_NOT_READY);
    expect("choice of nothing", kgl_choose(&sampler, NULL, 3, &token), KGL_ERROR_NULL);
    expect("choice to nowhere", kgl_choose(&sampler, logits, 3, NULL), KGL_ERROR_NULL);
    expect("choice into itself", kgl_choose(&sampler, logits, 3, (uint32_t *)shifted(&sampler, 8)), KGL_ERROR_OVERLAP);
    expect("choice into logits", kgl_choose(&sampler, logits, 3, (uint32_t *)&logits[2]), KGL_ERROR_OVERLAP);
    expect("choice from itself", kgl_choose(&sampler, (int32_t *)&sampler, 3, &token), KGL_ERROR_OVERLAP);
    check("untouched", token == 9);
    expect("choice", kgl_choose(&sampler, logits, 3, &token), KGL_OK);
    check("the largest", token == 1);
    kgl_class class;
    expect("class in logits", kgl_answer(&session, first, 64, (kgl_class *)&first[16]), KGL_ERROR_OVERLAP);
    expect("classes", kgl_answer(&session, logits, 3, &class), KGL_ERROR_NO_CLASSES);
}

static void hashes(void) {
    /* The bytes "chongo was here!", whose FNV-1a of 64 bits is known. */
    int32_t logits[4] = { 0x6e6f6863, 0x77206f67, 0x68207361, 0x21657265 };
    char digits[KGL_HASH_BYTES] = "";
    expect("no logits", kgl_hash(NULL, 4, digits), KGL_ERROR_NULL);
    expect("no digits", kgl_hash(logits, 4, NULL), KGL_ERROR_NULL);
    expect("many", kgl_hash(logits, TOO_LONG, digits), KGL_ERROR_LENGTH);
    expect("digits inside", kgl_hash(logits, 4, (char *)&logits[3]), KGL_ERROR_OVERLAP);
    check("untouched", digits[0] == 0);
    expect("hash", kgl_hash(logits, 4, digits), KGL_OK);
    const char *expected = "858e2fa32a55e61d";
    for (size_t i = 0; i < sizeof digits; i++) {
        check("digits", digits[i] == expected[i]);
    }
}

static void texts(void) {
    size_t count = 99;
    expect("no text", kgl_encode(&session, NULL, 1, tokens, 64, &count), KGL_ERROR_NULL);
    expect("no tokens", kgl_encode(&session, prompt, 1, NULL, 64, &count), KGL_ERROR_NULL);
    expect("no count", kgl_encode(&session, prompt, 1, tokens, 64, NULL), KGL_ERROR_NULL);
    expect("text in tokens", kgl_encode(&session, (uint8_t *)tokens, 1, tokens, 64, &count), KGL_ERROR_OVERLAP);
    expect("text of zeros", kgl_encode(&zeros, prompt, 1, tokens, 64, &count), KGL_ERROR_NOT_READY);
    for (size_t i = 0; i < OBJECTS; i++) {
        void *const inside = object(i);
        expect("tokens inside", kgl_encode(&session, prompt, 1, inside, 2, &count), KGL_ERROR_OVERLAP);
        expect("count inside", kgl_encode(&session, prompt, 1, tokens, 64, inside), KGL_ERROR_OVERLAP);
        expect("text inside", kgl_decode(&session, 1, inside, 8, &count), KGL_ERROR_OVERLAP);
        expect("length inside", kgl_decode(&session, 1, text, sizeof text, inside), KGL_ERROR_OVERLAP);
    }
    expect("count in tokens", kgl_encode(&session, prompt, 1, tokens, 64, (size_t *)tokens), KGL_ERROR_OVERLAP);
    check("untouched", count == 99);
    expect("no room", kgl_encode(&session, prompt, sizeof prompt - 1, tokens, 1, &count), KGL_ERROR_ROOM);
    check("the first", count == 1);
    expect("byte", kgl_encode(&session, (const uint8_t *)"a\xff", 2, tokens, 64, &count), KGL_ERROR_BYTE);
    check("those before", count == 1);
    expect("no place", kgl_decode(&session, 1, NULL, sizeof text, &count), KGL_ERROR_NULL);
    expect("no such token", kgl_decode(&session, info.n_vocab, text, sizeof text, &count), KGL_ERROR_TOKEN);
    expect("no room", kgl_decode(&session, tokens[0], text, 0, &count), KGL_ERROR_ROOM);
    expect("a token", kgl_decode(&session, tokens[0], text, sizeof text, &count), KGL_OK);
    check("its byte", count == 1 && text[0] == 'a');
}

/* Whether two arrays have the same logits. */
static bool same(const int32_t *one, const int32_t *other, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (one[i] != other[i]) {
            return false;
        }
    }
    return true;
}

/* Reads a token in slices; the number of slices, 0 where something fails. */
static uint32_t read_sliced(uint32_t token, int with_logits, size_t max_weights) {
    uint32_t slices = 0;
    int more = kgl_begin(&session, token, with_logits) == KGL_OK;
    while (more) {
        slices++;
        if (kgl_advance(&session, max_weights, &more) != KGL_OK) {
            return 0;
        }
    }
    return slices;
}

static void slices(void) {
    int32_t *logits = NULL;
    size_t count = 0, n_tokens = 0;
    int more = 9;
    expect("encode", kgl_encode(&session, prompt, sizeof prompt - 1, tokens, 64, &n_tokens), KGL_OK);
    const uint32_t last = tokens[n_tokens - 1];
    expect("reset", kgl_reset(&session), KGL_OK);
    expect("feed", kgl_feed(&session, tokens, n_tokens - 1), KGL_OK);
    expect("step", kgl_step(&session, last, &logits, &count), KGL_OK);
    for (size_t i = 0; i < count; i++) {
        first[i] = logits[i];
    }
    const size_t sizes[3] = { 0, 4096, TOO_LONG };
    uint32_t before = TOO_LONG;
    for (size_t size = 0; size < 3; size++) {
        expect("reset", kgl_reset(&session), KGL_OK);
        for (size_t i = 0; i + 1 < n_tokens; i++) {
            check("a fed token", read_sliced(tokens[i], 0, sizes[size]) > 0);
        }
        expect("nothing asked for", kgl_logits(&session, &logits, &count), KGL_ERROR_NO_LOGITS);
        const uint32_t slices = read_sliced(last, 1, sizes[size]);
        check("fewer slices", 0 < slices && slices < before);
        before = slices;
        expect("logits", kgl_logits(&session, &logits, &count), KGL_OK);
        check("the same bits", count == info.n_vocab && same(logits, first, count));
    }
    expect("begin", kgl_begin(&session, 0, 1), KGL_OK);
    expect("begin twice", kgl_begin(&session, 0, 1), KGL_ERROR_UNFINISHED);
    expect("feed between", kgl_feed(&session, tokens, 1), KGL_ERROR_UNFINISHED);
    expect("step between", kgl_step(&session, 0, &logits, &count), KGL_ERROR_UNFINISHED);
    expect("logits between", kgl_logits(&session, &logits, &count), KGL_ERROR_NO_LOGITS);
    expect("more to nowhere", kgl_advance(&session, 0, NULL), KGL_ERROR_NULL);
    expect("slices of zeros", kgl_advance(&zeros, 0, &more), KGL_ERROR_NOT_READY);
    check("untouched", more == 9);
    expect("reset", kgl_reset(&session), KGL_OK);
    expect("no token", kgl_begin(&session, info.n_vocab, 1), KGL_ERROR_TOKEN);
    expect("nothing to do", kgl_advance(&session, 0, &more), KGL_OK);
    check("the end", more == 0);
}

static void states(void) {
    const uint8_t *start = (const uint8_t *)"start";
    int32_t *logits;
    size_t count;
    uint32_t token = 9999;
    expect("no name", kgl_start_from(&session, NULL, 5, &token), KGL_ERROR_NULL);
    expect("no token", kgl_start_from(&session, start, 5, NULL), KGL_ERROR_NULL);
    expect("another name", kgl_start_from(&session, start, 4, &token), KGL_ERROR_NO_STATE);
    expect("no text", kgl_start_from(&session, (const uint8_t *)"\xff", 1, &token), KGL_ERROR_NO_STATE);
    for (size_t i = 0; i < OBJECTS; i++) {
        expect("token inside", kgl_start_from(&session, start, 5, object(i)), KGL_ERROR_OVERLAP);
        expect("name inside", kgl_start_from(&session, object(i), 5, &token), KGL_ERROR_OVERLAP);
    }
    check("untouched", token == 9999);
    expect("begin", kgl_begin(&session, 0, 1), KGL_OK);
    expect("start", kgl_start_from(&session, start, 5, &token), KGL_OK);
    expect("step", kgl_step(&session, token, &logits, &count), KGL_OK);
    check("the same bits", same(logits, first, count));
}

int main(void) {
    board_start();
    images();
    sessions();
    steps();
    samplers();
    hashes();
    texts();
    slices();
    states();
    board_print("checks ");
    board_print_number(checks);
    board_print("\nfailures ");
    board_print_number(failures);
    board_print("\n");
    return failures != 0;
}
