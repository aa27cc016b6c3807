//! A step in slices, for programs that must not be away for a whole token.

mod blocks;

pub use blocks::SlicedBlocks;

use super::{Session, UnknownToken};
use crate::arch::{layer_norm, Executor, Serial};
use crate::embedding::read_row;
use crate::image::Dim::{Embd, Output, Vocab};
use crate::image::Image;
use crate::number::abs_max;
use crate::pace::{Position, Slice};
use crate::scratch::{split, Product, Work};
use crate::versions::layer;
#[cfg(doc)]
use crate::Header;
use core::ops::Range;

/// Why a step cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BeginError {
    /// The model does not have this token. The state is unchanged.
    Token(UnknownToken),
    /// The step before is not at its end: call `advance` until it is.
    Unfinished,
}

impl core::fmt::Display for BeginError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Unfinished => f.write_str("the step before is not at its end"),
        }
    }
}

impl core::error::Error for BeginError {}

/// A [`Session`] that takes its steps in slices: between two of them an
/// interrupt handler returns, or a task lets others run.
///
/// What lies between slices is in the session's buffers and in a few words of
/// this struct, so it can be kept in a `static` or across an `await`. Logits
/// are those of [`Session::step`], to the bit, whatever the slices.
///
/// A slice is rows of one product: as many as have `max_weights` weights
/// together, and four at least. Or it is the quantization of one vector, the
/// step of the matrix state of one head, or another element-wise part; of the
/// dearest ones, so many channels as `max_weights / 256`, four at least.
/// `docs/performance.md` says what slices take.
///
/// ```
#[doc = concat!("# let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
/// # async fn yield_now() {}
/// use kinglet::{Image, Sample, Sampler, Sampling, Session, SlicedSession};
///
/// async fn talk(mut session: SlicedSession<'_, '_>, mut token: u32) {
///     let mut sampler = Sampler::new(Sampling::greedy(), 0);
///     for _ in 0..20 {
///         session.begin(token).expect("a token of the model, and no step under way");
///         while session.advance(4096) {
///             yield_now().await; // such as embassy_futures::yield_now
///         }
///         let logits = session.logits().expect("the step is at its end");
///         token = sampler.sample(logits);
///     }
/// }
/// # let image = Image::new(bytes).unwrap();
/// # let mut state = vec![0.0; image.header().state_len()];
/// # let mut scratch = vec![0.0; image.header().scratch_len()];
/// # let session = Session::new(&image, &mut state, &mut scratch).unwrap();
/// # let mut task = std::pin::pin!(talk(session.sliced(), 0));
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(task.as_mut().poll(&mut context).is_ready());
/// # use std::future::Future;
/// ```
#[derive(Debug)]
pub struct SlicedSession<'i, 'b, E = Serial> {
    session: Session<'i, 'b, E>,
    step: Step,
}

/// How far the step of a [`SlicedSession`] is, without its buffers: for
/// programs that cannot hold references between slices, such as those in C.
#[derive(Clone, Copy, Debug)]
pub struct Paused(Step);

impl Paused {
    /// No step is under way.
    pub const IDLE: Self = Self(Step::IDLE);

    /// Whether a step has begun and is not at its end.
    pub fn is_under_way(&self) -> bool {
        self.0.is_under_way()
    }
}

/// How far a step is.
#[derive(Clone, Copy, Debug)]
struct Step {
    stage: Stage,
    /// Where the parts of the layer, or of the head, begin: bytes.
    at: usize,
    /// Which part of it is next.
    position: Position,
    /// Whether the logits are asked for.
    with_logits: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// No step is under way, and there are no logits.
    Idle,
    /// In the layer of this index.
    Layer(u32),
    /// In the head.
    Head,
    /// The logits are there.
    Logits,
}

impl Step {
    const IDLE: Self = Self {
        stage: Stage::Idle,
        at: 0,
        position: Position::START,
        with_logits: false,
    };

    fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Layer(_) | Stage::Head)
    }
}

impl<'i, 'b, E: Executor> Session<'i, 'b, E> {
    /// The same session, for steps in slices.
    pub fn sliced(self) -> SlicedSession<'i, 'b, E> {
        SlicedSession {
            session: self,
            step: Step::IDLE,
        }
    }

    /// The session that [`SlicedSession::pause`] left there. Image, state and
    /// scratch have to be what they were then, or logits and state become
    /// numbers without a meaning.
    pub fn sliced_at(self, paused: Paused) -> SlicedSession<'i, 'b, E> {
        SlicedSession {
            session: self,
            step: paused.0,
        }
    }
}

impl<'i, 'b, E: Executor> SlicedSession<'i, 'b, E> {
    /// Begins to read a token and to compute the logits of the next.
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin(&mut self, token: u32) -> Result<(), BeginError> {
        self.begin_step(token, true)
    }

    /// Begins to read a token without asking for what comes next, as
    /// [`Session::feed`].
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin_feed(&mut self, token: u32) -> Result<(), BeginError> {
        self.begin_step(token, false)
    }

    /// Takes a slice of the step that is under way. Returns whether there is
    /// more to do.
    #[must_use = "a step is at its end when this returns false"]
    pub fn advance(&mut self, max_weights: usize) -> bool {
        if matches!(self.step.stage, Stage::Head) {
            self.head_slice(max_weights, true);
        } else {
            self.layer_slice(max_weights);
        }
        self.step.is_under_way()
    }

    /// The logits `[V]`, where a step that was begun with
    /// [`SlicedSession::begin`] is at its end. They may be changed in place.
    pub fn logits(&mut self) -> Option<&mut [f32]> {
        let header = self.session.image.header();
        let (_, logits) = split(header, self.session.scratch)?;
        let logits = logits.get_mut(..header.outputs() as usize)?;
        matches!(self.step.stage, Stage::Logits).then_some(logits)
    }

    /// The model.
    pub fn image(&self) -> &Image<'i> {
        self.session.image()
    }

    /// What the model remembers, as [`Session::state`]; `None` while a step is
    /// under way.
    pub fn state(&self) -> Option<&[f32]> {
        (!self.step.is_under_way()).then_some(self.session.state())
    }

    /// Forgets everything, and a step that is under way.
    pub fn reset(&mut self) {
        self.session.reset();
        self.step = Step::IDLE;
    }

    /// Starts from a named state of the image, as [`Session::start_from`], and
    /// forgets a step that is under way.
    ///
    /// # Errors
    /// [`UnknownState`](crate::UnknownState); nothing is changed then.
    #[cfg(feature = "states")]
    pub fn start_from(&mut self, name: &str) -> Result<u32, crate::UnknownState> {
        let token = self.session.start_from(name)?;
        self.step = Step::IDLE;
        Ok(token)
    }

    /// Lets go of the buffers between two slices; see [`Session::sliced_at`].
    pub fn pause(self) -> Paused {
        Paused(self.step)
    }

    /// The ordinary session, after what is left of the step.
    pub fn into_session(mut self) -> Session<'i, 'b, E> {
        self.step.with_logits = false;
        while matches!(self.step.stage, Stage::Layer(_)) {
            self.layer_slice(usize::MAX);
        }
        self.session
    }

    fn begin_step(&mut self, token: u32, with_logits: bool) -> Result<(), BeginError> {
        if self.step.is_under_way() {
            return Err(BeginError::Unfinished);
        }
        self.session.check(token).map_err(BeginError::Token)?;
        let Session { image, scratch, .. } = &mut self.session;
        let mut parts = image.before_layers();
        let table = parts.table(Vocab, Embd);
        let buffers = split(image.header(), scratch);
        if let Some(work) = buffers.and_then(|(q, rest)| Work::split(image.header(), q, rest)) {
            read_row(&table, token as usize, work.x);
        }
        self.step = Step {
            stage: Stage::Layer(0),
            at: image.bytes().len().saturating_sub(parts.bytes_left()),
            position: Position::START,
            with_logits,
        };
        Ok(())
    }

    /// The next part of a layer; goes on to the next layer or to the head.
    fn layer_slice(&mut self, max_weights: usize) -> Option<()> {
        let (step, session) = (&mut self.step, &mut self.session);
        let Stage::Layer(index) = step.stage else {
            return None;
        };
        let header = session.image.header();
        let mut states = session
            .state
            .chunks_exact_mut(header.layer_state_len().max(1));
        let state = states.nth(index as usize)?;
        let (q, rest) = split(header, session.scratch)?;
        let mut work = Work::split(header, q, rest)?;
        let mut parts = session.image.parts_from(step.at);
        let mut slice = Slice::new(&mut step.position, &mut session.executor, max_weights);
        layer(header, index, &mut parts, state, &mut work, &mut slice).ok()?;
        step.at = session
            .image
            .bytes()
            .len()
            .saturating_sub(parts.bytes_left());
        step.position = Position::START;
        step.stage = match (index + 1 < header.n_layer, step.with_logits) {
            (true, _) => Stage::Layer(index + 1),
            (false, true) => Stage::Head,
            (false, false) => Stage::Idle,
        };
        Some(())
    }

    /// The next rows of the head, after its vector. All logits have a place of
    /// their own if `keep`; else the rows are at the front of the scratch.
    fn head_slice(&mut self, max_weights: usize, keep: bool) -> Option<(Range<usize>, &mut [f32])> {
        let Session {
            image,
            scratch,
            executor,
            ..
        } = &mut self.session;
        let Step {
            stage,
            at,
            position,
            ..
        } = &mut self.step;
        let mut parts = image.parts_from(*at);
        let affine = [parts.half(Embd), parts.half(Embd)];
        let matrix = parts.head(Output, Embd);
        let (q, out) = split(image.header(), scratch)?;
        if position.is_start() {
            let work = Work::split(image.header(), q, out)?;
            let Work {
                x,
                tmp,
                mut product,
                ..
            } = work;
            layer_norm(x, affine[0], affine[1], tmp);
            position.prepare(&mut product, &matrix, tmp, abs_max(tmp));
            return None;
        }
        let product = Product::new(q);
        let place = if keep { position.rows_done() } else { 0 };
        let out = out.get_mut(place..)?;
        let (rows, more) = position.rows(&product, &matrix, max_weights, executor, out);
        if !more {
            *stage = Stage::Logits;
        }
        let logits = out.get_mut(..rows.len())?;
        Some((rows, logits))
    }
}
