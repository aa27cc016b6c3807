//! What functions return.

use core::ffi::{c_char, c_int, CStr};
use kinglet::{BufferError, ImageError, StepError, UnknownByte, UnknownState};

/// What a function returns: 0, or a negative number. Where it is not 0, nothing
/// has been written through the caller's pointers unless a function says so.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum kgl_status {
    /// It is done.
    KGL_OK = 0,
    /// A pointer is NULL.
    KGL_ERROR_NULL = -1,
    /// A pointer is not aligned as its type wants it, an image not to 16 bytes.
    KGL_ERROR_ALIGNMENT = -2,
    /// A length is longer than the memory at the pointer can be.
    KGL_ERROR_LENGTH = -3,
    /// Two buffers share memory that must not, or a result would be written into
    /// the library's own.
    KGL_ERROR_OVERLAP = -4,
    /// The session or the sampler has not been initialized.
    KGL_ERROR_NOT_READY = -5,
    /// The bytes do not begin as an image does.
    KGL_ERROR_NOT_AN_IMAGE = -6,
    /// The image has fewer bytes than its header says.
    KGL_ERROR_TRUNCATED = -7,
    /// The image is for another core, or for another build of the library.
    KGL_ERROR_UNSUPPORTED = -8,
    /// A field, a value or the vocabulary of the image is out of range.
    KGL_ERROR_DAMAGED = -9,
    /// The checksum of the image does not match.
    KGL_ERROR_CHECKSUM = -10,
    /// The state is shorter than `state_bytes` of the image.
    KGL_ERROR_STATE = -11,
    /// The scratch is shorter than `scratch_bytes` of the image.
    KGL_ERROR_SCRATCH = -12,
    /// The vocabulary does not have the token.
    KGL_ERROR_TOKEN = -13,
    /// No token stands for a byte of the text.
    KGL_ERROR_BYTE = -14,
    /// The image has no tokenizer.
    KGL_ERROR_NO_TOKENIZER = -15,
    /// There is no room for all tokens or bytes.
    KGL_ERROR_ROOM = -16,
    /// The model answers with text, not with a class.
    KGL_ERROR_NO_CLASSES = -17,
    /// A step in slices is under way: call `kgl_advance` until it is at its end.
    KGL_ERROR_UNFINISHED = -18,
    /// There are no logits: no step in slices that computes them is at its end.
    KGL_ERROR_NO_LOGITS = -19,
    /// The image has no state of this name.
    KGL_ERROR_NO_STATE = -20,
}

use kgl_status::*;

impl kgl_status {
    /// As C sees it.
    pub(crate) fn of(result: Result<(), Self>) -> c_int {
        result.err().unwrap_or(KGL_OK) as c_int
    }
}

impl From<ImageError> for kgl_status {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::NotAnImage => KGL_ERROR_NOT_AN_IMAGE,
            ImageError::Truncated { .. } => KGL_ERROR_TRUNCATED,
            ImageError::Misaligned => KGL_ERROR_ALIGNMENT,
            ImageError::Checksum => KGL_ERROR_CHECKSUM,
            ImageError::FormatVersion(_)
            | ImageError::RwkvVersion(_)
            | ImageError::Layout(_)
            | ImageError::TokenizerKind(_) => KGL_ERROR_UNSUPPORTED,
            _ => KGL_ERROR_DAMAGED,
        }
    }
}

impl From<BufferError> for kgl_status {
    fn from(error: BufferError) -> Self {
        match error {
            BufferError::State(_) => KGL_ERROR_STATE,
            _ => KGL_ERROR_SCRATCH,
        }
    }
}

impl From<StepError> for kgl_status {
    fn from(error: StepError) -> Self {
        match error {
            StepError::UnknownToken(_) => KGL_ERROR_TOKEN,
            _ => KGL_ERROR_SCRATCH,
        }
    }
}

impl From<UnknownState> for kgl_status {
    fn from(_: UnknownState) -> Self {
        KGL_ERROR_NO_STATE
    }
}

impl From<UnknownByte> for kgl_status {
    fn from(_: UnknownByte) -> Self {
        KGL_ERROR_BYTE
    }
}

/// Every status and what it means.
const TEXTS: [(kgl_status, &CStr); 21] = [
    (KGL_OK, c"done"),
    (KGL_ERROR_NULL, c"a pointer is NULL"),
    (KGL_ERROR_ALIGNMENT, c"a pointer is not aligned"),
    (KGL_ERROR_LENGTH, c"a length is too long"),
    (KGL_ERROR_OVERLAP, c"two buffers share memory"),
    (
        KGL_ERROR_NOT_READY,
        c"session or sampler is not initialized",
    ),
    (KGL_ERROR_NOT_AN_IMAGE, c"not a Kinglet image"),
    (KGL_ERROR_TRUNCATED, c"the image is truncated"),
    (
        KGL_ERROR_UNSUPPORTED,
        c"the image is for another core or build: see kinglet quantize --target",
    ),
    (KGL_ERROR_DAMAGED, c"the image is damaged"),
    (
        KGL_ERROR_CHECKSUM,
        c"the checksum does not match: the image was changed",
    ),
    (KGL_ERROR_STATE, c"the state buffer is too short"),
    (KGL_ERROR_SCRATCH, c"the scratch buffer is too short"),
    (KGL_ERROR_TOKEN, c"the token is not in the vocabulary"),
    (KGL_ERROR_BYTE, c"no token stands for a byte of the text"),
    (KGL_ERROR_NO_TOKENIZER, c"the image has no tokenizer"),
    (KGL_ERROR_ROOM, c"there is no room for all tokens or bytes"),
    (KGL_ERROR_NO_CLASSES, c"the model has no classes"),
    (KGL_ERROR_UNFINISHED, c"a step in slices is under way"),
    (
        KGL_ERROR_NO_LOGITS,
        c"no step in slices has computed logits",
    ),
    (KGL_ERROR_NO_STATE, c"the image has no state of this name"),
];

/// What a status means: a text that ends with a zero byte and lives for ever.
#[no_mangle]
pub extern "C" fn kgl_error_text(status: c_int) -> *const c_char {
    let known = TEXTS.iter().find(|(code, _)| *code as c_int == status);
    known.map_or(c"unknown status", |&(_, text)| text).as_ptr()
}
