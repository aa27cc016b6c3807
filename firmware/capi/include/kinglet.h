// Kinglet runs RWKV language models on microcontrollers.
//
// Made by `cargo xtask capi --header` from firmware/capi/src: change that.
//
// All memory is the caller's, nothing is allocated. Functions return 0, or a
// negative number of `kgl_status`. Every pointer is checked for NULL and
// alignment; that so many bytes lie behind it only the caller can know.
// Functions may be called from several threads, but for one session or
// sampler not at the same time.

#ifndef KINGLET_H
#define KINGLET_H

#include <stddef.h>
#include <stdint.h>

// The length of a session.
#define KGL_SESSION_WORDS 32

// The length of a sampler.
#define KGL_SAMPLER_WORDS 44

// The token that a text begins with where the prompt is empty; in published
// vocabularies it also ends a text.
#define KGL_START_TOKEN 0

// The most bytes that a token stands for.
#define KGL_TOKEN_BYTES 128

// What a function returns: 0, or a negative number. Where it is not 0, nothing
// has been written through the caller's pointers unless a function says so.
typedef enum kgl_status {
    // It is done.
    KGL_OK = 0,
    // A pointer is NULL.
    KGL_ERROR_NULL = -1,
    // A pointer is not aligned as its type wants it, an image not to 16 bytes.
    KGL_ERROR_ALIGNMENT = -2,
    // A length is longer than memory behind the pointer can be.
    KGL_ERROR_LENGTH = -3,
    // Two buffers share memory that must not.
    KGL_ERROR_OVERLAP = -4,
    // The session or the sampler has not been initialized.
    KGL_ERROR_NOT_READY = -5,
    // The bytes do not begin as an image does.
    KGL_ERROR_NOT_AN_IMAGE = -6,
    // The image has fewer bytes than its header says.
    KGL_ERROR_TRUNCATED = -7,
    // The image is for another core, or for another build of the library.
    KGL_ERROR_UNSUPPORTED = -8,
    // A field, a value or the vocabulary of the image is out of range.
    KGL_ERROR_DAMAGED = -9,
    // The checksum of the image does not match.
    KGL_ERROR_CHECKSUM = -10,
    // The state is shorter than `state_bytes` of the image.
    KGL_ERROR_STATE = -11,
    // The scratch is shorter than `scratch_bytes` of the image.
    KGL_ERROR_SCRATCH = -12,
    // The vocabulary does not have the token.
    KGL_ERROR_TOKEN = -13,
    // No token stands for a byte of the text.
    KGL_ERROR_BYTE = -14,
    // The image has no tokenizer.
    KGL_ERROR_NO_TOKENIZER = -15,
    // There is no room for all tokens or bytes.
    KGL_ERROR_ROOM = -16,
    // The model answers with text, not with a class.
    KGL_ERROR_NO_CLASSES = -17,
    // A step in slices is under way: call `kgl_advance` until it is at its end.
    KGL_ERROR_UNFINISHED = -18,
    // There are no logits: no step in slices that computes them is at its end.
    KGL_ERROR_NO_LOGITS = -19,
    // The image has no state of this name.
    KGL_ERROR_NO_STATE = -20,
} kgl_status;

// What an image says about itself.
typedef struct kgl_info {
    // The name of the model in UTF-8, in the image, without a zero byte at
    // its end; NULL where it has none.
    const uint8_t *name;
    // Bytes of the name.
    size_t name_bytes;
    // Bytes of the image.
    size_t image_bytes;
    // Bytes of the state that a session needs.
    size_t state_bytes;
    // Bytes of the scratch that a session needs.
    size_t scratch_bytes;
    // Layers.
    uint32_t n_layer;
    // Channels.
    uint32_t n_embd;
    // Hidden channels of the channel mix.
    uint32_t n_ffn;
    // Entries of the vocabulary.
    uint32_t n_vocab;
    // Classes of a model that answers with one; 0 for a model of text.
    uint32_t n_class;
    // 1 where the image has a tokenizer, otherwise 0.
    uint32_t has_tokenizer;
} kgl_info;

// A model at work. The caller gives it memory and leaves its words alone; a
// copy of them is the same session.
typedef struct kgl_session {
    // Private.
    uint64_t words[KGL_SESSION_WORDS];
} kgl_session;

// Settings, random numbers, and the tokens chosen last. The caller gives it
// memory and leaves its words alone.
typedef struct kgl_sampler {
    // Private.
    uint64_t words[KGL_SAMPLER_WORDS];
} kgl_sampler;

// How to choose a token. The settings apply in this order: repetition
// penalty, temperature, top-k, top-p, draw.
typedef struct kgl_sampling {
    // Logits are divided by this; 0 always takes the likeliest token.
    float temperature;
    // Only so many of the likeliest tokens; 0 is no limit.
    uint32_t top_k;
    // Only the likeliest tokens that together have this probability; 1 is no limit.
    float top_p;
    // Makes the last 64 tokens less likely; 1 is off.
    float repetition_penalty;
    // What all draws follow from.
    uint64_t seed;
} kgl_sampling;

// The likeliest class.
typedef struct kgl_class {
    // Its number.
    uint32_t id;
    // How likely it is, in whole percent.
    uint32_t percent;
    // Its name in UTF-8, in the image, without a zero byte at its end; NULL
    // where the image has no names.
    const uint8_t *label;
    // Bytes of the name.
    size_t label_bytes;
} kgl_class;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What a status means: a text that ends with a zero byte and lives for ever.
const char *kgl_error_text(int status);

// Checks an image with its checksum, and says what it needs.
//
// `image`: the first byte of it, aligned to 16 bytes. `image_bytes`: bytes
// that may be read there; there may be more than the image has.
//
// The caller promises:
// So many bytes lie there; `info` may be written.
int kgl_image_check(const uint8_t *image, size_t image_bytes, struct kgl_info *info);

// Begins an empty text. Checks the image but for its checksum: see
// `kgl_image_check`.
//
// `image`, `state` and `scratch` stay with the caller and must live as long
// as the session is used; the image must not change, and scratch belongs to
// the library. The state is all that the model remembers: between calls it
// may be saved and put back. What the buffers hold before does not matter;
// they may be longer than `kgl_info` says.
//
// The caller promises:
// So many bytes lie behind each pointer.
int kgl_session_init(struct kgl_session *session,
                     const uint8_t *image,
                     size_t image_bytes,
                     float *state,
                     size_t state_bytes,
                     float *scratch,
                     size_t scratch_bytes);

// Forgets everything, and a step that is under way: the text is empty again.
//
// The caller promises:
// `session` is initialized, or zeros.
int kgl_reset(struct kgl_session *session);

// Starts from a state that `kinglet prime` put into the image, and forgets
// what was, and a step that is under way.
//
// `name`: so many bytes in UTF-8, such as "start", 5. `token` becomes the
// last token of the text behind the state, which is to be read next: the one
// where generating begins, or the first to be fed of a longer prompt.
//
// The caller promises:
// `session` is initialized, or zeros; so many bytes lie behind `name`;
// `token` may be written.
int kgl_start_from(struct kgl_session *session, const uint8_t *name, size_t name_bytes, uint32_t *token);

// Reads tokens without asking for what comes next: a prompt, all but its last
// token. Those before an unknown one have been read.
//
// The caller promises:
// `session` is initialized, or zeros; `tokens` are so many.
int kgl_feed(struct kgl_session *session, const uint32_t *tokens, size_t n_tokens);

// Reads one token and computes the logits of the next one, or of the classes.
//
// `logits` becomes a pointer to them and `n_logits` their number. They lie in
// the scratch: they may be changed, and are gone with the next call.
//
// The caller promises:
// `session` is initialized, or zeros; `logits` and `n_logits` may be written.
int kgl_step(struct kgl_session *session, uint32_t token, float **logits, size_t *n_logits);

// Begins to read a token in slices; call `kgl_advance` until it is done.
//
// `with_logits`: 0 for the tokens of a prompt but its last one; else the
// logits of the next token are computed, too. Until the end `kgl_feed` and
// `kgl_step` refuse, and the state means nothing; `kgl_reset` forgets the
// step.
//
// The caller promises:
// `session` is initialized, or zeros.
int kgl_begin(struct kgl_session *session, uint32_t token, int with_logits);

// Takes a slice of the step that is under way: rows of one matrix with
// `max_weights` weights together, four rows at least, or another small part.
// The bits are those of a whole step, whatever the slices.
//
// `more` becomes 0 at the end of the step, else 1.
//
// The caller promises:
// `session` is initialized, or zeros; `more` may be written.
int kgl_advance(struct kgl_session *session, size_t max_weights, int *more);

// The logits that a step in slices has computed, as from `kgl_step`.
//
// The caller promises:
// `session` is initialized, or zeros; `logits` and `n_logits` may be written.
int kgl_logits(struct kgl_session *session, float **logits, size_t *n_logits);

// Makes a sampler ready; also begins anew with its seed.
//
// The caller promises:
// `sampler` may be written and `settings` read.
int kgl_sampler_init(struct kgl_sampler *sampler, const struct kgl_sampling *settings);

// Chooses a token from logits and remembers it. The logits are used up. Of
// equal ones the lowest id wins.
//
// The caller promises:
// `sampler` is initialized, or zeros; `logits` are so many; `token` may be written.
int kgl_choose(struct kgl_sampler *sampler, float *logits, size_t n_logits, uint32_t *token);

// Cuts a text into tokens. A text has no more tokens than bytes.
//
// `capacity`: tokens that fit into `tokens`. `n_tokens` becomes the number of
// those written; after `KGL_ERROR_ROOM` and `KGL_ERROR_BYTE` too, which leave
// the tokens before that point.
//
// The caller promises:
// `session` is initialized, or zeros; so many bytes and tokens lie behind the
// pointers, which do not overlap; `n_tokens` may be written.
int kgl_encode(const struct kgl_session *session,
               const uint8_t *text,
               size_t text_bytes,
               uint32_t *tokens,
               size_t capacity,
               size_t *n_tokens);

// The bytes that a token stands for; none for one without text. They may be a
// part of a character.
//
// `capacity`: bytes that fit into `text`; `KGL_TOKEN_BYTES` are always
// enough. `text_bytes` becomes the number of those written.
//
// The caller promises:
// `session` is initialized, or zeros; so many bytes lie behind `text`;
// `text_bytes` may be written.
int kgl_decode(const struct kgl_session *session,
               uint32_t token,
               uint8_t *text,
               size_t capacity,
               size_t *text_bytes);

// The likeliest class, from the logits that `kgl_step` computed for the last
// token of a text.
//
// The caller promises:
// `session` is initialized, or zeros; `logits` are so many; `answer` may be
// written.
int kgl_answer(const struct kgl_session *session,
               const float *logits,
               size_t n_logits,
               struct kgl_class *answer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KINGLET_H */
