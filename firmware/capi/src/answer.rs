//! The answer of a model of classes.

use crate::kgl_status::{self, *};
use crate::memory::{disjoint, slice, Out, Span};
use crate::session::{kgl_session, Held};
use core::ffi::c_int;
use kinglet::Answer;

/// The likeliest class.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kgl_class {
    /// Its number.
    pub id: u32,
    /// How likely it is, in whole percent.
    pub percent: u32,
    /// 1 where that is too little for the image: the text has none of its
    /// classes. Else 0.
    pub is_unknown: u32,
    /// Its name in UTF-8, in the image, without a zero byte at its end; NULL
    /// where the image has no names.
    pub label: *const u8,
    /// Bytes of the name.
    pub label_bytes: usize,
}

/// The likeliest class, from the logits that `kgl_step` computed for the last
/// token of a text.
///
/// # Safety
/// `session` is initialized, or zeros; `logits` has `n_logits` values; `answer`
/// may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_answer(
    session: *const kgl_session,
    logits: *const i32,
    n_logits: usize,
    answer: *mut kgl_class,
) -> c_int {
    let classify = || {
        // SAFETY: C promises memory for the result, which nobody else uses.
        let place = unsafe { Out::new(answer) }?;
        // SAFETY: C promises memory of a session.
        let held = unsafe { Held::of(session) }?;
        held.apart(session, &[place.span()?])?;
        disjoint(&[place.span()?, Span::of(logits, n_logits)?])?;
        let image = held.image;
        if image.shape().n_class == 0 {
            return Err(KGL_ERROR_NO_CLASSES);
        }
        // SAFETY: C promises `n_logits` values, which nobody changes during the call.
        let answer = Answer::of(unsafe { slice(logits, n_logits) }?);
        let metadata = image.metadata();
        let label = metadata.and_then(|metadata| metadata.label(answer.class));
        place.put(kgl_class {
            id: answer.class,
            percent: answer.percent(),
            is_unknown: answer.is_unknown(image.header().unknown_below).into(),
            label: label.map_or(core::ptr::null(), str::as_ptr),
            label_bytes: label.map_or(0, str::len),
        });
        Ok(())
    };
    kgl_status::of(classify())
}
