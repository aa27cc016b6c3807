//! How large state and scratch are, and how scratch is divided.
//!
//! Both buffers are slices of `f32` that the caller owns; their lengths are
//! `const` functions of the header, the same on every core.

use crate::arch::{prepare, prepared_words, Executor, Prepared};
use crate::image::{round_up, Bits, Dim, Header, Matrix, Version, BLOCK_ROWS};
use crate::number::AbsMax;

const fn max(a: usize, b: usize) -> usize {
    if a > b {
        a
    } else {
        b
    }
}

/// Declares the vectors that a buffer is divided into, by name and length in
/// floats, one after the other: the length of the buffer and the split follow
/// from this one list.
macro_rules! vectors {
    (
        $(#[$about:meta])*
        $name:ident of $header:ident {
            $($(#[$meaning:meta])* $vector:ident: $len:expr,)*
        }
    ) => {
        $(#[$about])*
        #[allow(dead_code)]
        pub(crate) struct $name<'b> {
            $($(#[$meaning])* pub $vector: &'b mut [f32],)*
        }

        #[allow(dead_code)]
        impl<'b> $name<'b> {
            /// Floats of all vectors.
            pub(crate) const fn len($header: &Header) -> usize {
                0 $(+ $len)*
            }

            /// Divides a buffer of as many floats. One that is shorter gives
            /// the last vectors what it has.
            pub(crate) fn split($header: &Header, buffer: &'b mut [f32]) -> Self {
                let mut rest = buffer;
                $(let $vector = $crate::scratch::take(&mut rest, $len);)*
                let _ = rest;
                Self { $($vector,)* }
            }
        }
    };
}
/// The next `len` floats of a buffer, or those that it has.
#[inline(always)]
pub(crate) fn take<'b>(rest: &mut &'b mut [f32], len: usize) -> &'b mut [f32] {
    let buffer = core::mem::take(rest);
    let len = len.min(buffer.len());
    let (taken, after) = buffer.split_at_mut(len);
    *rest = after;
    taken
}

impl Header {
    /// Floats of state per layer.
    pub(crate) const fn layer_state_len(&self) -> usize {
        if self.version.has_heads() {
            return HeadState::len(self);
        }
        V4State::len(self)
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

    /// Floats that the scratch takes where the logits are computed in blocks:
    /// the least that [`crate::Session::new`] takes.
    pub const fn scratch_len_in_blocks(&self) -> usize {
        self.prepared_len() + self.work_len()
    }

    /// Bytes of state.
    pub const fn state_bytes(&self) -> usize {
        4 * self.state_len()
    }

    /// Bytes of scratch, logits included.
    pub const fn scratch_bytes(&self) -> usize {
        4 * self.scratch_len()
    }

    /// Bytes of scratch without room for all logits.
    pub const fn scratch_bytes_in_blocks(&self) -> usize {
        4 * self.scratch_len_in_blocks()
    }

    /// Words of the quantized vector: that of the longest input.
    const fn prepared_len(&self) -> usize {
        let (embd, ffn) = (self.n_embd as usize, self.n_ffn as usize);
        let len = max(
            prepared_words(self.layout, self.weight_bits, max(embd, ffn)),
            prepared_words(self.layout, self.head_bits, embd),
        );
        if !self.version.has_heads() {
            return len;
        }
        let len = max(len, prepared_words(self.layout, self.entry_bits, embd));
        match self.longest_rank() {
            0 => len,
            rank => max(
                len,
                prepared_words(self.layout, Bits::Int8, max(embd, rank)),
            ),
        }
    }

    /// The longest input of a low-rank matrix; 0 where there are none.
    const fn longest_rank(&self) -> usize {
        let [a, b, c, d] = self.ranks;
        max(max(a as usize, b as usize), max(c as usize, d as usize))
    }

    /// `[C]`, padded to whole blocks of rows.
    const fn padded_embd(&self) -> usize {
        round_up(self.n_embd as usize, BLOCK_ROWS)
    }

    /// Floats of the working vectors.
    pub(crate) const fn work_len(&self) -> usize {
        Vectors::len(self)
    }

    /// What the time mix or the channel mix takes besides, whichever is more.
    const fn wide_len(&self) -> usize {
        let hidden = round_up(self.n_ffn as usize, BLOCK_ROWS);
        if !self.version.has_heads() {
            return max(KeyValue::len(self), hidden);
        }
        let time_mix = match self.version {
            Version::V4 | Version::V5 | Version::V52 => KeyValue::len(self),
            Version::V6 => V6Mix::len(self),
            Version::V7 => V7Mix::len(self),
        };
        max(time_mix, hidden)
    }

    /// What a token's layers hand on: the values of RWKV-7's first layer.
    const fn kept_len(&self) -> usize {
        match self.version {
            Version::V7 if self.version.has_heads() => self.n_embd as usize,
            _ => 0,
        }
    }

    /// The longest input of a low-rank matrix, in whole blocks of rows.
    const fn padded_rank(&self) -> usize {
        round_up(self.longest_rank(), BLOCK_ROWS)
    }

    /// Floats of all logits.
    pub(crate) const fn logits_len(&self) -> usize {
        round_up(self.outputs() as usize, BLOCK_ROWS)
    }
}

vectors! {
    /// The state of a layer of RWKV-4.
    V4State of header {
        /// `[C]` the last input of the time mix.
        att_x: header.n_embd as usize,
        /// `[C]` numerators of the weighted average.
        aa: header.n_embd as usize,
        /// `[C]` its denominators.
        bb: header.n_embd as usize,
        /// `[C]` the largest exponent so far.
        pp: header.n_embd as usize,
        /// `[C]` the last input of the channel mix.
        ffn_x: header.n_embd as usize,
    }
}

vectors! {
    /// The state of a layer of RWKV-5 to 7.
    HeadState of header {
        /// `[C]` the last input of the time mix.
        att_x: header.n_embd as usize,
        /// `[C]` the last input of the channel mix.
        ffn_x: header.n_embd as usize,
        /// `[H, N, N]` in the image's state format: a matrix for each head.
        matrices: (header.n_embd as usize * header.head_size() * header.state.bytes()).div_ceil(4),
    }
}

vectors! {
    /// The working vectors of a step. Matrices write whole blocks of rows, so
    /// those that receive a product are padded to a multiple of four.
    Vectors of header {
        x: header.padded_embd(),
        xx: header.padded_embd(),
        tmp: header.padded_embd(),
        r: header.padded_embd(),
        wide: header.wide_len(),
        kept: header.kept_len(),
    }
}

vectors! {
    /// What the time mix of RWKV-4 and 5 takes besides: key and value.
    KeyValue of header {
        k: header.padded_embd(),
        v: header.padded_embd(),
    }
}

vectors! {
    /// What the time mix of RWKV-6 takes besides.
    V6Mix of header {
        w: header.padded_embd(),
        k: header.padded_embd(),
        v: header.padded_embd(),
        /// What moves the shift.
        z: round_up(header.dim(Dim::ShiftRanks), BLOCK_ROWS),
        /// A shift, or the hidden vector of the decay.
        m: max(header.padded_embd(), header.padded_rank()),
    }
}

vectors! {
    /// What the time mix of RWKV-7 takes besides.
    V7Mix of header {
        w: header.padded_embd(),
        k: header.padded_embd(),
        v: header.padded_embd(),
        /// Learning rate.
        a: header.padded_embd(),
        /// Direction.
        kk: header.padded_embd(),
        /// A hidden vector, or two vectors of a head.
        hidden: max(header.padded_rank(), 2 * header.head_size()),
    }
}

/// Divides the scratch into the quantized vector and the rest, which is
/// [`Work`] while the layers run and the logits after.
pub(crate) fn split<'s>(header: &Header, scratch: &'s mut [f32]) -> (&'s mut [u32], &'s mut [f32]) {
    let mut rest = scratch;
    let q = take(&mut rest, header.prepared_len());
    (bytemuck::cast_slice_mut(q), rest)
}

/// The quantized vector, and products with it.
pub(crate) struct Product<'q> {
    q: &'q mut [u32],
}

impl<'q> Product<'q> {
    pub(crate) fn new(q: &'q mut [u32]) -> Self {
        Self { q }
    }

    /// The quantized vector by itself.
    pub(crate) fn prepared(self, x: &[f32], max: AbsMax, matrix: &Matrix<'_>) -> Prepared<'q> {
        prepare(x, max, matrix, self.q)
    }

    /// The quantized vector that was prepared last, for the same matrix.
    pub(crate) fn prepared_before(&self, scale: f32, matrix: &Matrix<'_>) -> Prepared<'_> {
        Prepared::left_in(self.q, scale, matrix)
    }

    /// `out = matrix x vector`. `x` may be longer than the matrix has columns;
    /// `max` is the largest absolute value in these, and `out` holds whole
    /// blocks of four rows.
    pub(crate) fn of(
        &mut self,
        matrix: &Matrix<'_>,
        x: &[f32],
        max: AbsMax,
        executor: &dyn Executor,
        out: &mut [f32],
    ) {
        executor.matvec(matrix, &self.prepare(matrix, x, max), out);
    }

    /// The quantized vector of a product, as [`Product::of`].
    #[inline(always)]
    pub(crate) fn prepare(&mut self, matrix: &Matrix<'_>, x: &[f32], max: AbsMax) -> Prepared<'_> {
        let x = x.get(..matrix.cols).unwrap_or(x);
        prepare(x, max, matrix, self.q)
    }
}

/// The buffers of a step.
pub(crate) struct Work<'q, 's> {
    /// `[C]` residual stream.
    pub x: &'s mut [f32],
    /// `[C]`, padded: layer norm, later the output of a block.
    pub xx: &'s mut [f32],
    /// `[C]` the vector about to be quantized.
    pub tmp: &'s mut [f32],
    /// `[C]`, padded: receptance.
    pub r: &'s mut [f32],
    /// Whatever else the version's time mix needs, or `[F]` hidden channels;
    /// padded.
    pub wide: &'s mut [f32],
    /// What the layers of a token hand on.
    #[cfg_attr(not(feature = "v7"), allow(dead_code))]
    pub kept: &'s mut [f32],
    /// Products, and the quantized vector.
    pub product: Product<'q>,
}

impl<'q, 's> Work<'q, 's> {
    pub(crate) fn split(header: &Header, q: &'q mut [u32], rest: &'s mut [f32]) -> Self {
        let Vectors {
            mut x,
            xx,
            mut tmp,
            r,
            wide,
            kept,
        } = Vectors::split(header, rest);
        let channels = header.n_embd as usize;
        Self {
            x: take(&mut x, channels),
            xx,
            tmp: take(&mut tmp, channels),
            r,
            wide,
            kept,
            product: Product { q },
        }
    }
}
