//! Running a model without a buffer for all logits.

use super::{head, BufferError, Head, Session, UnknownToken};
use crate::arch::{Executor, Serial};
use crate::image::{Image, BLOCK_ROWS};
use crate::BlockSampler;
#[cfg(doc)]
use crate::Header;

/// A [`Session`] whose scratch has no room for all logits: they are computed
/// in blocks of rows and seen once. Its RAM does not grow with the vocabulary.
///
/// Logits and tokens are those of the ordinary session, to the bit, and so is
/// the work. A block is as long as the layers' working vectors, which are
/// free by then: many rows, and no RAM of its own.
#[derive(Debug)]
pub struct BlockSession<'i, 'b, E = Serial> {
    /// Its scratch is shorter than `step` needs.
    pub(super) session: Session<'i, 'b, E>,
}

impl<'i, 'b> Session<'i, 'b> {
    /// Takes the buffers and starts with an empty text, as [`Session::new`].
    /// `scratch` needs [`Header::scratch_len_in_blocks`] floats only.
    ///
    /// # Errors
    /// [`BufferError`] names the buffer that is too short.
    pub fn in_blocks(
        image: &Image<'i>,
        state: &'b mut [f32],
        scratch: &'b mut [f32],
    ) -> Result<BlockSession<'i, 'b>, BufferError> {
        let mut session = BlockSession::resume(image, state, scratch)?;
        session.reset();
        Ok(session)
    }
}

impl<'i, 'b> BlockSession<'i, 'b> {
    /// Takes the buffers and goes on from what `state` holds, as
    /// [`Session::resume`]; an ordinary session may have left it there.
    ///
    /// # Errors
    /// [`BufferError`] names the buffer that is too short.
    pub fn resume(
        image: &Image<'i>,
        state: &'b mut [f32],
        scratch: &'b mut [f32],
    ) -> Result<Self, BufferError> {
        let scratch_len = image.header().scratch_len_in_blocks();
        let session = Session::with_scratch(image, state, scratch, scratch_len)?;
        Ok(Self { session })
    }

    /// The same session, its products computed by `executor`.
    pub fn with_executor<E: Executor>(self, executor: E) -> BlockSession<'i, 'b, E> {
        BlockSession {
            session: self.session.with_executor(executor),
        }
    }
}

impl<'i, E: Executor> BlockSession<'i, '_, E> {
    /// The model.
    pub fn image(&self) -> &Image<'i> {
        self.session.image()
    }

    /// What the model remembers, as [`Session::state`].
    pub fn state(&self) -> &[f32] {
        self.session.state()
    }

    /// Forgets everything: the state becomes that of an empty text.
    pub fn reset(&mut self) {
        self.session.reset();
    }

    /// Starts from a named state of the image, as [`Session::start_from`].
    ///
    /// # Errors
    /// [`UnknownState`](crate::UnknownState); the state is then unchanged.
    #[cfg(feature = "states")]
    pub fn start_from(&mut self, name: &str) -> Result<u32, crate::UnknownState> {
        self.session.start_from(name)
    }

    /// Reads tokens without asking for what comes next, as [`Session::feed`].
    ///
    /// # Errors
    /// [`UnknownToken`]; the tokens before it have been read.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<(), UnknownToken> {
        self.session.feed(tokens)
    }

    /// Reads one token and chooses the next.
    ///
    /// # Errors
    /// [`UnknownToken`]; state and sampler are then unchanged.
    pub fn choose<const K: usize>(
        &mut self,
        token: u32,
        sampler: &mut BlockSampler<K>,
    ) -> Result<u32, UnknownToken> {
        self.step_in_blocks(token, |first, logits| sampler.see(first, logits))?;
        Ok(sampler.choose())
    }

    /// Reads one token and shows the logits of the next to `see`, block by
    /// block, each with the id of its first token: for what
    /// [`BlockSession::choose`] does not do, such as a hash of them.
    ///
    /// # Errors
    /// [`UnknownToken`]; the state is then unchanged and nothing shown.
    pub fn step_in_blocks(
        &mut self,
        token: u32,
        mut see: impl FnMut(u32, &mut [f32]),
    ) -> Result<(), UnknownToken> {
        self.session.advance(token)?;
        let Session {
            image,
            scratch,
            executor,
            ..
        } = &mut self.session;
        let Some(Head {
            matrix,
            prepared,
            out,
        }) = head(image, scratch)
        else {
            return Ok(());
        };
        let blocks = out.len() / BLOCK_ROWS;
        let (mut first, mut rest) = (0, matrix);
        while rest.rows > 0 {
            // The rest has fewer blocks at last: it is the block then.
            let (block, behind) = rest.split_at_block(blocks).unzip();
            let block = block.unwrap_or(rest);
            executor.matvec(&block, &prepared, out);
            see(first, out.get_mut(..block.rows).unwrap_or_default());
            first += block.rows as u32;
            match behind {
                Some(behind) => rest = behind,
                None => break,
            }
        }
        Ok(())
    }
}
