//! Steps in slices, for programs that cannot wait for a whole token.

use crate::kgl_status::{self, *};
use crate::memory::{Out, Span};
use crate::session::{kgl_session, Held};
use core::ffi::c_int;
use kinglet::{Session, Step};

/// Lets `work` use the session in slices, and notes how far the step is then.
/// The places of its results are apart from the session.
///
/// # Safety
/// The session is initialized, or zeros, and its buffers are still there.
unsafe fn with<T>(
    session: *mut kgl_session,
    results: &[Span],
    work: impl FnOnce(&mut Session<'static, '_>, &mut Step) -> Result<T, kgl_status>,
) -> Result<T, kgl_status> {
    // SAFETY: the caller promises memory of a session.
    let mut held = unsafe { Held::of(session) }?;
    held.apart(session, results)?;
    // SAFETY: the caller promises the buffers.
    let result = work(&mut unsafe { held.session() }?, &mut held.step)?;
    // SAFETY: it has just been read.
    unsafe { Held::note(session, held.step) };
    Ok(result)
}

/// Begins to read a token in slices; call `kgl_advance` until it is done.
///
/// `with_logits`: 0 for the tokens of a prompt but its last one; else the
/// logits of the next token are computed too. Until the end `kgl_feed` and
/// `kgl_step` refuse, and the state means nothing; `kgl_reset` forgets the
/// step.
///
/// # Safety
/// `session` is initialized, or zeros.
#[no_mangle]
pub unsafe extern "C" fn kgl_begin(
    session: *mut kgl_session,
    token: u32,
    with_logits: c_int,
) -> c_int {
    let begin = |session: &mut Session<'_, '_>, step: &mut Step| {
        if step.is_under_way() {
            return Err(KGL_ERROR_UNFINISHED);
        }
        *step = match with_logits {
            0 => session.begin_feed(token),
            _ => session.begin(token),
        }?;
        Ok(())
    };
    // SAFETY: C promises memory of a session, and its buffers.
    kgl_status::of(unsafe { with(session, &[], begin) })
}

/// Takes a slice of the step that is under way: rows of one matrix with
/// `max_weights` weights together, four rows at least, or another small part.
/// Slices of any size give the bits of a whole step.
///
/// `more` becomes 0 at the end of the step, else 1.
///
/// # Safety
/// `session` is initialized, or zeros; `more` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_advance(
    session: *mut kgl_session,
    max_weights: usize,
    more: *mut c_int,
) -> c_int {
    let advance = || {
        // SAFETY: C promises memory for the result, which nobody else uses.
        let place = unsafe { Out::new(more) }?;
        // SAFETY: C promises memory of a session, and its buffers.
        let more = unsafe {
            with(session, &[place.span()?], |session, step| {
                Ok(session.advance(step, max_weights))
            })
        }?;
        place.put(c_int::from(more));
        Ok(())
    };
    kgl_status::of(advance())
}

/// The logits that a step in slices has computed, as from `kgl_step`.
///
/// # Safety
/// `session` is initialized, or zeros; `logits` and `n_logits` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_logits(
    session: *mut kgl_session,
    logits: *mut *mut i32,
    n_logits: *mut usize,
) -> c_int {
    let find = || {
        // SAFETY: C promises memory for both results, which nobody else uses.
        let (logits, n_logits) = unsafe { (Out::new(logits)?, Out::new(n_logits)?) };
        let find = |session: &mut Session<'_, '_>, step: &mut Step| {
            let (_, found) = session.logits(step).ok_or(KGL_ERROR_NO_LOGITS)?;
            Ok((found.as_mut_ptr(), found.len()))
        };
        // SAFETY: C promises memory of a session, and its buffers.
        let (data, len) = unsafe { with(session, &[logits.span()?, n_logits.span()?], find) }?;
        n_logits.put(len);
        logits.put(data);
        Ok(())
    };
    kgl_status::of(find())
}
