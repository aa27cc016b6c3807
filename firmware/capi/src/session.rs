//! A model at work.

use crate::kgl_status::{self, *};
use crate::memory::{disjoint, slice, slice_mut, Out, Span};
use core::ffi::c_int;
use kinglet::{Image, Session, Step};

/// Binary places of a logit: a logit is an integer in units of 2^-16.
pub const KGL_LOGIT_BITS: u32 = 16;

const _: () = assert!(KGL_LOGIT_BITS == kinglet::LOGIT_BITS);

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
    state: *mut i32,
    state_len: usize,
    scratch: *mut i32,
    scratch_len: usize,
    /// How far a step in slices is.
    pub(crate) step: Step,
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

    /// Notes how far a step in slices is.
    ///
    /// # Safety
    /// The session is one that `Held::of` has read.
    pub(crate) unsafe fn note(session: *mut kgl_session, step: Step) {
        // SAFETY: memory of a session lies there, which is not shorter and not
        // less aligned than what it holds; a place is computed, not a reference.
        unsafe { (&raw mut (*session.cast::<Self>()).step).write(step) }
    }

    /// Refuses what shares memory with the session, its image or its buffers, or
    /// with each other.
    pub(crate) fn apart(
        &self,
        session: *const kgl_session,
        spans: &[Span],
    ) -> Result<(), kgl_status> {
        let image = self.image.bytes();
        let own = [
            Span::of(session, 1)?,
            Span::of(image.as_ptr(), image.len())?,
            Span::of(self.state, self.state_len)?,
            Span::of(self.scratch, self.scratch_len)?,
        ];
        let is_own = |span: &Span| own.iter().any(|own| own.overlaps(*span));
        if spans.iter().any(is_own) {
            return Err(KGL_ERROR_OVERLAP);
        }
        disjoint(spans)
    }

    /// Refuses where a step in slices is under way.
    fn whole(self) -> Result<Self, kgl_status> {
        if self.step.is_under_way() {
            return Err(KGL_ERROR_UNFINISHED);
        }
        Ok(self)
    }

    /// The engine, as long as a call.
    ///
    /// # Safety
    /// State and scratch are still there and nobody else uses them.
    pub(crate) unsafe fn session<'b>(&self) -> Result<Session<'static, 'b>, kgl_status> {
        // SAFETY: C promised the bytes to `kgl_session_init`, which checked
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
/// Each pointer has the bytes that its length says.
#[no_mangle]
pub unsafe extern "C" fn kgl_session_init(
    session: *mut kgl_session,
    image: *const u8,
    image_bytes: usize,
    state: *mut i32,
    state_bytes: usize,
    scratch: *mut i32,
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
        // SAFETY: C promises `image_bytes` bytes, which nobody changes while the
        // session is used.
        let image = Image::new(unsafe { slice(image, image_bytes) }?)?;
        if scratch_len < image.shape().scratch_len() {
            return Err(KGL_ERROR_SCRATCH);
        }
        let held = Held {
            mark: MARK,
            image,
            state,
            state_len,
            scratch,
            scratch_len,
            step: Step::IDLE,
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

/// Forgets everything, and a step that is under way: the text is empty again.
///
/// # Safety
/// `session` is initialized, or zeros.
#[no_mangle]
pub unsafe extern "C" fn kgl_reset(session: *mut kgl_session) -> c_int {
    let reset = || {
        // SAFETY: C promises memory of a session, and its buffers.
        unsafe { Held::of(session)?.session() }?.reset();
        // SAFETY: it has just been read.
        unsafe { Held::note(session, Step::IDLE) };
        Ok(())
    };
    kgl_status::of(reset())
}

/// Starts from a state that `kinglet prime` put into the image, and forgets
/// what was, and a step that is under way.
///
/// `name`: `name_bytes` bytes of UTF-8, such as "start", 5. `token` becomes the
/// last token of the state's text, which is to be read next: generating begins
/// with it, or it is fed first, before a longer prompt. A tuned state has no
/// text: `token` becomes 0, with which generating begins, and a prompt is fed
/// without it.
///
/// # Safety
/// `session` is initialized, or zeros; `name` has `name_bytes` bytes;
/// `token` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_start_from(
    session: *mut kgl_session,
    name: *const u8,
    name_bytes: usize,
    token: *mut u32,
) -> c_int {
    let start = || {
        // SAFETY: C promises memory for the result, which nobody else uses.
        let place = unsafe { Out::new(token) }?;
        // SAFETY: C promises memory of a session.
        let held = unsafe { Held::of(session) }?;
        held.apart(session, &[place.span()?, Span::of(name, name_bytes)?])?;
        // SAFETY: C promises `name_bytes` bytes; they do not lie in the buffers.
        let name = unsafe { slice(name, name_bytes) }?;
        let name = core::str::from_utf8(name).map_err(|_| KGL_ERROR_NO_STATE)?;
        // SAFETY: C promises the buffers.
        let next = unsafe { held.session() }?.start_from(name)?;
        // SAFETY: it has just been read.
        unsafe { Held::note(session, Step::IDLE) };
        place.put(next);
        Ok(())
    };
    kgl_status::of(start())
}

/// Reads tokens without asking for what comes next: a prompt, all but its last
/// token. Those before an unknown one have been read.
///
/// # Safety
/// `session` is initialized, or zeros; `tokens` has `n_tokens` values.
#[no_mangle]
pub unsafe extern "C" fn kgl_feed(
    session: *mut kgl_session,
    tokens: *const u32,
    n_tokens: usize,
) -> c_int {
    let feed = || {
        // SAFETY: C promises memory of a session.
        let held = unsafe { Held::of(session) }?.whole()?;
        held.apart(session, &[Span::of(tokens, n_tokens)?])?;
        // SAFETY: C promises `n_tokens` tokens; they do not lie in the buffers.
        let tokens = unsafe { slice(tokens, n_tokens) }?;
        // SAFETY: C promises the buffers.
        Ok(unsafe { held.session() }?.feed(tokens)?)
    };
    kgl_status::of(feed())
}

/// Reads one token and computes the logits of the next one, or of the classes.
///
/// `logits` becomes a pointer to them and `n_logits` their number. They are
/// integers of `KGL_LOGIT_BITS` binary places, and lie in the scratch: they may
/// be changed, and are gone with the next call.
///
/// # Safety
/// `session` is initialized, or zeros; `logits` and `n_logits` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_step(
    session: *mut kgl_session,
    token: u32,
    logits: *mut *mut i32,
    n_logits: *mut usize,
) -> c_int {
    let step = || {
        // SAFETY: C promises memory for both results, which nobody else uses.
        let (logits, n_logits) = unsafe { (Out::new(logits)?, Out::new(n_logits)?) };
        // SAFETY: C promises memory of a session.
        let held = unsafe { Held::of(session) }?.whole()?;
        held.apart(session, &[logits.span()?, n_logits.span()?])?;
        // SAFETY: C promises the buffers.
        let mut session = unsafe { held.session() }?;
        let found = session.step(token)?;
        n_logits.put(found.len());
        logits.put(found.as_mut_ptr());
        Ok(())
    };
    kgl_status::of(step())
}
