//! A model at work.

use crate::kgl_status::{self, *};
use crate::memory::{disjoint, slice, slice_mut, Out, Span};
use core::ffi::c_int;
use kinglet::{Image, Session};

/// The length of a session.
pub const KGL_SESSION_WORDS: usize = 32;

/// A model at work. The caller gives it memory and leaves its words alone; a
/// copy of them is the same session.
#[repr(C)]
#[derive(Debug)]
pub struct kgl_session {
    /// Private.
    pub words: [u64; KGL_SESSION_WORDS],
}

/// What tells a session from other memory.
const MARK: u32 = 0x4b67_6c53;

/// What the words hold.
#[repr(C)]
pub(crate) struct Held {
    mark: u32,
    /// Its bytes live as long as the session, which C promises.
    pub(crate) image: Image<'static>,
    state: *mut f32,
    state_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
}

const _: () = assert!(size_of::<Held>() <= size_of::<kgl_session>());
const _: () = assert!(align_of::<Held>() <= align_of::<kgl_session>());

impl Held {
    /// What a session holds, copied.
    ///
    /// # Safety
    /// Memory of a session lies there, all of it initialized.
    pub(crate) unsafe fn of(session: *const kgl_session) -> Result<Self, kgl_status> {
        Span::of(session, 1)?;
        // SAFETY: the mark is the first word of the memory that the caller
        // promises, and any bits are a number.
        if unsafe { session.cast::<u32>().read() } != MARK {
            return Err(KGL_ERROR_NOT_READY);
        }
        // SAFETY: only `kgl_session_init` writes the mark, with the rest of it.
        Ok(unsafe { session.cast::<Self>().read() })
    }

    /// The engine, as long as a call.
    ///
    /// # Safety
    /// State and scratch are still there and nobody else uses them.
    unsafe fn session<'b>(&self) -> Result<Session<'static, 'b>, kgl_status> {
        // SAFETY: C promised so many bytes to `kgl_session_init`, which checked
        // that the two do not overlap.
        let (state, scratch) = unsafe {
            (
                slice_mut(self.state, self.state_len)?,
                slice_mut(self.scratch, self.scratch_len)?,
            )
        };
        Ok(Session::resume(&self.image, state, scratch)?)
    }
}

/// Begins an empty text. Checks the image but for its checksum: see
/// `kgl_image_check`.
///
/// `image`, `state` and `scratch` stay with the caller and must live as long
/// as the session is used; the image must not change, and scratch belongs to
/// the library. The state is all that the model remembers: between calls it
/// may be saved and put back. What the buffers hold before does not matter;
/// they may be longer than `kgl_info` says.
///
/// # Safety
/// So many bytes lie behind each pointer.
#[no_mangle]
pub unsafe extern "C" fn kgl_session_init(
    session: *mut kgl_session,
    image: *const u8,
    image_bytes: usize,
    state: *mut f32,
    state_bytes: usize,
    scratch: *mut f32,
    scratch_bytes: usize,
) -> c_int {
    let (state_len, scratch_len) = (state_bytes / 4, scratch_bytes / 4);
    let init = || {
        disjoint(&[
            Span::of(session, 1)?,
            Span::of(image, image_bytes)?,
            Span::of(state, state_len)?,
            Span::of(scratch, scratch_len)?,
        ])?;
        // SAFETY: C promises so many bytes, which nobody changes while the
        // session is used.
        let image = Image::new(unsafe { slice(image, image_bytes) }?)?;
        let held = Held {
            mark: MARK,
            image,
            state,
            state_len,
            scratch,
            scratch_len,
        };
        // SAFETY: C promises both buffers, which do not overlap.
        unsafe { held.session() }?.reset();
        // SAFETY: C promises memory for a session, which is not shorter and
        // not less aligned than what it holds.
        unsafe { Out::new(session.cast()) }?.put(held);
        Ok(())
    };
    kgl_status::of(init())
}

/// Forgets everything: the text is empty again.
///
/// # Safety
/// `session` is initialized, or zeros.
#[no_mangle]
pub unsafe extern "C" fn kgl_reset(session: *mut kgl_session) -> c_int {
    let reset = || {
        // SAFETY: C promises memory of a session, and its buffers.
        let mut session = unsafe { Held::of(session)?.session() }?;
        session.reset();
        Ok(())
    };
    kgl_status::of(reset())
}

/// Reads tokens without asking for what comes next: a prompt, all but its last
/// token. Those before an unknown one have been read.
///
/// # Safety
/// `session` is initialized, or zeros; `tokens` are so many.
#[no_mangle]
pub unsafe extern "C" fn kgl_feed(
    session: *mut kgl_session,
    tokens: *const u32,
    n_tokens: usize,
) -> c_int {
    let feed = || {
        // SAFETY: C promises memory of a session.
        let held = unsafe { Held::of(session) }?;
        disjoint(&[
            Span::of(tokens, n_tokens)?,
            Span::of(held.state, held.state_len)?,
            Span::of(held.scratch, held.scratch_len)?,
        ])?;
        // SAFETY: C promises so many tokens; they do not lie in the buffers.
        let tokens = unsafe { slice(tokens, n_tokens) }?;
        // SAFETY: C promises the buffers.
        Ok(unsafe { held.session() }?.feed(tokens)?)
    };
    kgl_status::of(feed())
}

/// Reads one token and computes the logits of the next one, or of the classes.
///
/// `logits` becomes a pointer to them and `n_logits` their number. They lie in
/// the scratch: they may be changed, and are gone with the next call.
///
/// # Safety
/// `session` is initialized, or zeros; `logits` and `n_logits` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_step(
    session: *mut kgl_session,
    token: u32,
    logits: *mut *mut f32,
    n_logits: *mut usize,
) -> c_int {
    let step = || {
        // SAFETY: C promises memory for both results, which nobody else uses.
        let (logits, n_logits) = unsafe { (Out::new(logits)?, Out::new(n_logits)?) };
        // SAFETY: C promises memory of a session, and its buffers.
        let mut session = unsafe { Held::of(session)?.session() }?;
        let found = session.step(token)?;
        n_logits.put(found.len());
        logits.put(found.as_mut_ptr());
        Ok(())
    };
    kgl_status::of(step())
}
