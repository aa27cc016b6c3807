//! A step in slices, for programs that cannot wait for a whole token.
//!
//! A layer is a fixed sequence of parts, and a slice does the next one of them:
//! see `layers::pace`. [`Step`] holds where the step stands; the session's buffers
//! hold all intermediate vectors.

use super::{Session, StepError};
use crate::arch::layer_norm;
use crate::layers::pace::{Position, Slice};
use crate::layers::work::Work;
use crate::layers::{layer, read_row};
use crate::number::Peak;
use crate::pieces::pieces_mut;
use crate::shape::Dim::{Embd, Output, Vocab};

/// The progress of a step in slices: between two slices an interrupt handler
/// returns, or a task yields.
///
/// All other data between slices is in the session's buffers, so a step can be
/// kept in a `static`, across an `await` or in a program in C. Slices of any size
/// give the logits of [`Session::step`], to the bit. Until its end the step owns
/// state and scratch: other steps in between make its numbers meaningless.
///
/// A slice is rows of one product, of `max_weights` weights at most but four rows
/// at least; or the quantization of one vector, the step of the matrix state of
/// one head, or another element-wise part, of the costliest ones
/// `max_weights / 256` channels, four at least. `docs/performance.md` has their
/// instructions.
///
/// ```
#[doc = concat!("# let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
/// # async fn yield_now() {}
/// use kinglet::{Image, Sample, Sampler, Sampling, Session};
///
/// async fn talk(mut session: Session<'_, '_>, mut token: u32) {
///     let mut sampler = Sampler::new(Sampling::greedy(), 0);
///     for _ in 0..20 {
///         let mut step = session.begin(token).expect("a token of the model");
///         while step.is_under_way() {
///             session.advance(&mut step, 4096);
///             // Once, where the scratch has room for all; else now and then.
///             if let Some((first, logits)) = session.logits(&step) {
///                 sampler.see(first, logits);
///             }
///             yield_now().await; // such as embassy_futures::yield_now
///         }
///         token = sampler.choose();
///     }
/// }
/// # let image = Image::new(bytes).unwrap();
/// # let mut state = vec![0; image.shape().state_len()];
/// # let mut scratch = vec![0; image.shape().scratch_len()];
/// # let session = Session::new(&image, &mut state, &mut scratch).unwrap();
/// # let mut task = std::pin::pin!(talk(session, 0));
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(task.as_mut().poll(&mut context).is_ready());
/// # use std::future::Future;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Step {
    stage: Stage,
    /// The bytes of the parts before those of the layer, or of the head.
    at: usize,
    /// Which part of it is next.
    position: Position,
    /// Whether the logits are asked for.
    with_logits: bool,
    /// The logits that lie in the scratch: the id of the first, and how many.
    first: u32,
    rows: u32,
}

/// Where a step stands: layers 0 to L - 1, then the head if logits are asked for.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// No step is under way.
    Idle,
    /// In the layer of this index.
    Layer(u32),
    /// In the head.
    Head,
}

impl Step {
    /// No step is under way, and there are no logits.
    pub const IDLE: Self = Self {
        stage: Stage::Idle,
        at: 0,
        position: Position::START,
        with_logits: false,
        first: 0,
        rows: 0,
    };

    /// Whether the step has begun and is not at its end.
    pub fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }
}

impl Session<'_, '_> {
    /// Begins to read a token and to compute the logits of the next, in
    /// slices: call [`Session::advance`] until it returns false.
    ///
    /// A step that is dropped before its end leaves the state of no text:
    /// [`Session::reset`] makes it usable again.
    ///
    /// # Errors
    /// [`StepError::UnknownToken`].
    pub fn begin(&mut self, token: u32) -> Result<Step, StepError> {
        self.begin_step(token, true)
    }

    /// Begins to read a token without computing logits, as [`Session::feed`].
    ///
    /// # Errors
    /// [`StepError::UnknownToken`].
    pub fn begin_feed(&mut self, token: u32) -> Result<Step, StepError> {
        self.begin_step(token, false)
    }

    /// Does a slice of a step of this session. Returns whether there is more
    /// to do.
    ///
    /// `max_weights` bounds the multiplications of a slice; it may differ from
    /// slice to slice. A step at its end, and [`Step::IDLE`], do nothing.
    pub fn advance(&mut self, step: &mut Step, max_weights: usize) -> bool {
        step.rows = 0;
        match step.stage {
            Stage::Idle => {}
            Stage::Layer(index) => self.layer_slice(step, index, max_weights),
            Stage::Head => self.head_slice(step, max_weights),
        }
        step.is_under_way()
    }

    /// The logits in the scratch from a step of [`Session::begin`], and the id
    /// of the first. They may be changed in place.
    ///
    /// Where the scratch has room for all `[V]`, they are there at the end of
    /// the step; otherwise each slice has those that it computed.
    ///
    /// `None` before the head has computed any, after a step of
    /// [`Session::begin_feed`], and for [`Step::IDLE`].
    pub fn logits(&mut self, step: &Step) -> Option<(u32, &mut [i32])> {
        let logits = self.work.get_mut(..step.rows as usize)?;
        (step.rows > 0).then_some((step.first, logits))
    }

    fn begin_step(&mut self, token: u32, with_logits: bool) -> Result<Step, StepError> {
        self.check(token)?;
        let shape = self.image.shape();
        let mut parts = self.image.parts();
        let table = parts.table(Vocab, Embd);
        let mut work = Work::split(shape, self.product.again(), self.work);
        read_row(&table, token as usize, &mut work.x);
        Ok(Step {
            stage: Stage::Layer(0),
            at: self.image.bytes_before(&parts),
            with_logits,
            ..Step::IDLE
        })
    }

    /// The next part of a layer; then the next layer, or the head.
    fn layer_slice(&mut self, step: &mut Step, index: u32, max_weights: usize) {
        let shape = self.image.shape();
        let mut states = pieces_mut(self.state, shape.layer_state_len());
        let Some(state) = states.nth(index as usize) else {
            // It is a step of another model.
            *step = Step::IDLE;
            return;
        };
        let mut work = Work::split(shape, self.product.again(), self.work);
        let mut parts = self.image.parts_after(step.at);
        let mut slice = Slice::new(&mut step.position, max_weights);
        if layer(shape, index, &mut parts, state, &mut work, &mut slice).is_err() {
            return;
        }
        step.at = self.image.bytes_before(&parts);
        step.position = Position::START;
        step.stage = match (index + 1 < shape.n_layer, step.with_logits) {
            (true, _) => Stage::Layer(index + 1),
            (false, true) => Stage::Head,
            (false, false) => Stage::Idle,
        };
    }

    /// The next rows of the head, after its vector. Where there is room each logit
    /// has its place; else the rows are at the front.
    fn head_slice(&mut self, step: &mut Step, max_weights: usize) {
        let has_room = self.has_room_for_logits();
        let mut parts = self.image.parts_after(step.at);
        let affine = [parts.factors(Embd), parts.factors(Embd)];
        let matrix = parts.matrix(Output, Embd);
        let position = &mut step.position;
        if position.is_start() {
            let Work {
                x,
                mut xx,
                mut product,
                ..
            } = Work::split(self.image.shape(), self.product.again(), self.work);
            layer_norm(x.view(), affine, &mut xx);
            let peak = Peak::of(xx.first(matrix.cols));
            position.prepare(&mut product, &matrix, xx.m(), peak);
            return;
        }
        let place = if has_room { position.rows_done() } else { 0 };
        let out = self.work.get_mut(place..).unwrap_or_default();
        let exp = position.product_exp(&matrix);
        let (rows, more) = position.rows(&self.product, &matrix, max_weights, out);
        super::to_logits(out.get_mut(..rows.len()).unwrap_or_default(), exp);
        if !more {
            step.stage = Stage::Idle;
        }
        if !has_room {
            (step.first, step.rows) = (rows.start as u32, rows.len() as u32);
        } else if !more {
            (step.first, step.rows) = (0, matrix.rows as u32);
        }
    }
}
