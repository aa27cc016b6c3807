//! A fingerprint of logits.

use crate::kgl_status;
use crate::memory::{disjoint, slice, OutArray, Span};
use core::ffi::{c_char, c_int};
use kinglet::hash::logits_hash;

/// Bytes of a hash as text.
pub const KGL_HASH_BYTES: usize = 17;

/// The hash of logits as text: 16 hexadecimal digits and a zero byte.
///
/// Call it before `kgl_choose`, which uses the logits up. A program that prints
/// a line `token ID HASH` for every token is compared with the workstation by
/// `kinglet verify --lines`.
///
/// # Safety
/// `logits` has `n_logits` values; `digits` has room for `KGL_HASH_BYTES` bytes.
#[no_mangle]
pub unsafe extern "C" fn kgl_hash(
    logits: *const i32,
    n_logits: usize,
    digits: *mut c_char,
) -> c_int {
    let hash = || {
        // SAFETY: C promises memory for the digits, which nobody else uses.
        let mut digits = unsafe { OutArray::new(digits.cast::<u8>(), KGL_HASH_BYTES) }?;
        disjoint(&[Span::of(logits, n_logits)?, digits.span()?])?;
        // SAFETY: C promises `n_logits` values, which nobody changes during the call.
        let hash = logits_hash(unsafe { slice(logits, n_logits) }?);
        for place in (0..16).rev() {
            let digit = (hash >> (4 * place)) as u8 & 0xf;
            let first = if digit < 10 { b'0' } else { b'a' - 10 };
            digits.push(first + digit)?;
        }
        digits.push(0)
    };
    kgl_status::of(hash())
}
