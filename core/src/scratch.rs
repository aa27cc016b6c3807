//! How large state and scratch are, and how scratch is divided.
//!
//! Both buffers are slices of `f32` that the caller owns; their lengths are
//! `const` functions of the header, the same on every core.

use crate::image::{round_up, Header, BLOCK_ROWS};
use crate::kernels::prepared_words;
use crate::v4;

const fn max(a: usize, b: usize) -> usize {
    if a > b {
        a
    } else {
        b
    }
}

impl Header {
    /// Floats of state per layer.
    pub(crate) const fn layer_state_len(&self) -> usize {
        v4::state_len(self)
    }

    /// Floats that the state takes: pass a buffer of this length to
    /// [`crate::Session::new`].
    pub const fn state_len(&self) -> usize {
        self.n_layer as usize * self.layer_state_len()
    }

    /// Floats that the scratch takes: pass a buffer of this length to
    /// [`crate::Session::new`].
    pub const fn scratch_len(&self) -> usize {
        self.prepared_len() + max(self.work_len(), self.logits_len())
    }

    /// Bytes of state.
    pub const fn state_bytes(&self) -> usize {
        4 * self.state_len()
    }

    /// Bytes of scratch, logits included.
    pub const fn scratch_bytes(&self) -> usize {
        4 * self.scratch_len()
    }

    /// Words of the quantized vector: that of the longest input.
    const fn prepared_len(&self) -> usize {
        let (embd, ffn) = (self.n_embd as usize, self.n_ffn as usize);
        max(
            prepared_words(self.layout, self.weight_bits, max(embd, ffn)),
            prepared_words(self.layout, self.head_bits, embd),
        )
    }

    const fn padded(&self, len: u32) -> usize {
        round_up(len as usize, BLOCK_ROWS)
    }

    const fn work_len(&self) -> usize {
        4 * self.padded(self.n_embd) + self.wide_len()
    }

    const fn wide_len(&self) -> usize {
        max(2 * self.padded(self.n_embd), self.padded(self.n_ffn))
    }

    const fn logits_len(&self) -> usize {
        self.padded(self.n_vocab)
    }
}

/// Divides the scratch into the quantized vector and the rest, which is
/// [`Work`] while the layers run and the logits after.
pub(crate) fn split<'s>(
    header: &Header,
    scratch: &'s mut [f32],
) -> Option<(&'s mut [u32], &'s mut [f32])> {
    let (q, rest) = scratch.split_at_mut_checked(header.prepared_len())?;
    Some((bytemuck::cast_slice_mut(q), rest))
}

/// The buffers of a step. Matrices write whole blocks of rows, so the
/// vectors that receive a product are padded to a multiple of four.
pub(crate) struct Work<'q, 's> {
    /// `[C]` residual stream.
    pub x: &'s mut [f32],
    /// `[C]`, padded: layer norm, later the output of a block.
    pub xx: &'s mut [f32],
    /// `[C]` the vector about to be quantized.
    pub tmp: &'s mut [f32],
    /// `[C]`, padded: receptance.
    pub r: &'s mut [f32],
    /// `[2 C]` key and value, or `[F]` hidden channels; padded.
    pub wide: &'s mut [f32],
    /// The quantized vector.
    pub q: &'q mut [u32],
}

impl<'q, 's> Work<'q, 's> {
    pub(crate) fn split(header: &Header, q: &'q mut [u32], rest: &'s mut [f32]) -> Option<Self> {
        let (len, padded) = (header.n_embd as usize, header.padded(header.n_embd));
        let (x, rest) = rest.split_at_mut_checked(padded)?;
        let (xx, rest) = rest.split_at_mut_checked(padded)?;
        let (tmp, rest) = rest.split_at_mut_checked(padded)?;
        let (r, rest) = rest.split_at_mut_checked(padded)?;
        let wide = rest.get_mut(..header.wide_len())?;
        Some(Self {
            x: x.get_mut(..len)?,
            xx,
            tmp: tmp.get_mut(..len)?,
            r,
            wide,
            q,
        })
    }
}
