//! Steps in slices whose logits are shown block by block.

use super::{BeginError, SlicedSession, Stage};
use crate::arch::{Executor, Serial};
use crate::image::Image;
use crate::session::BlockSession;

/// A [`BlockSession`] that takes its steps in slices, as [`SlicedSession`].
#[derive(Debug)]
pub struct SlicedBlocks<'i, 'b, E = Serial> {
    sliced: SlicedSession<'i, 'b, E>,
}

impl<'i, 'b, E: Executor> BlockSession<'i, 'b, E> {
    /// The same session, for steps in slices.
    pub fn sliced(self) -> SlicedBlocks<'i, 'b, E> {
        SlicedBlocks {
            sliced: self.session.sliced(),
        }
    }
}

impl<'i, 'b, E: Executor> SlicedBlocks<'i, 'b, E> {
    /// As [`SlicedSession::begin`].
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin(&mut self, token: u32) -> Result<(), BeginError> {
        self.sliced.begin(token)
    }

    /// As [`SlicedSession::begin_feed`].
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin_feed(&mut self, token: u32) -> Result<(), BeginError> {
        self.sliced.begin_feed(token)
    }

    /// Takes a slice of the step that is under way, and shows logits to `see`
    /// as they come, with the id of the first: pass
    /// [`BlockSampler::see`](crate::BlockSampler::see). Returns whether there
    /// is more to do.
    #[must_use = "a step is at its end when this returns false"]
    pub fn advance(&mut self, max_weights: usize, see: impl FnOnce(u32, &mut [f32])) -> bool {
        if !matches!(self.sliced.step.stage, Stage::Head) {
            return self.sliced.advance(max_weights);
        }
        if let Some((rows, logits)) = self.sliced.head_slice(max_weights, false) {
            see(rows.start as u32, logits);
        }
        if matches!(self.sliced.step.stage, Stage::Logits) {
            // All have been seen, and they are not kept.
            self.sliced.step.stage = Stage::Idle;
        }
        self.sliced.step.is_under_way()
    }

    /// The model.
    pub fn image(&self) -> &Image<'i> {
        self.sliced.image()
    }

    /// As [`SlicedSession::state`].
    pub fn state(&self) -> Option<&[f32]> {
        self.sliced.state()
    }

    /// Forgets everything, and a step that is under way.
    pub fn reset(&mut self) {
        self.sliced.reset();
    }

    /// As [`SlicedSession::start_from`].
    ///
    /// # Errors
    /// [`UnknownState`](crate::UnknownState); nothing is changed then.
    #[cfg(feature = "states")]
    pub fn start_from(&mut self, name: &str) -> Result<u32, crate::UnknownState> {
        self.sliced.start_from(name)
    }

    /// The session that is not in slices, after what is left of the step.
    pub fn into_session(self) -> BlockSession<'i, 'b, E> {
        BlockSession {
            session: self.sliced.into_session(),
        }
    }
}
