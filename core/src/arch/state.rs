//! Matrix states: a step of the recurrence of a head, RWKV-5 to 7.
//!
//! The state of a head is `S[j,i] = M[j,i] 2^lam[j]`, by key channel `j` and value
//! channel `i`: mantissas of 16 or 8 bits, and the logarithm of a scale for each
//! key channel, a row. **The decay never touches a mantissa**: it moves the
//! scale, so that none is too slow to be followed, and a row is rounded once per
//! token.
//!
//! ```text
//! sa[i]   = sum_j read[j] S[j,i]                         RWKV-7
//! y[i]    = sum_j r[j] S[j,i] ...                        the layers add the rest
//! lam     = lam + log2 w
//! M[j,i]  = (M[j,i] 2^(14-s) + K[j] v[i] + B[j] sa[i]) / 2^14
//! lam     = lam + s
//! ```
//!
//! `K` and `B` are `k` and `b` in the row's units. `s` is the least number of
//! places for which no mantissa leaves its range: that of a row is bounded by
//! `top`, which grows with each step, and is measured every eighth.

use super::{Native, Port};
use crate::number::{exp2, magnitude, mulq, Number, Shift, View};

/// The least logarithm of a scale: an empty row has it.
const LOWEST: i32 = -300 << 22;

/// The least logarithm of a decay: nothing of a row is left.
pub(crate) const LEAST_DECAY: i32 = -30 << 22;

/// Of how many rows one is measured at a token.
const MEASURED: usize = 8;

/// A mantissa of the state.
///
/// Kernels trust what it says of itself: only the two types here are one.
#[doc(hidden)]
pub trait Mantissa: bytemuck::Pod + Sealed {
    /// How far a stored value is from the exact one at most, in 16 bits.
    const SLACK: u32;
    /// Its value in 16 bits.
    fn load(self) -> i32;
    /// The nearest mantissa to `x / 2^14`, a value in 16 bits.
    fn store(x: i32) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for i8 {}
}
use sealed::Sealed;

impl Mantissa for i16 {
    const SLACK: u32 = 1;

    #[inline(always)]
    fn load(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn store(x: i32) -> Self {
        (x.wrapping_add(1 << 13) >> 14) as i16
    }
}

/// The upper byte of a mantissa of 16 bits.
impl Mantissa for i8 {
    const SLACK: u32 = 128;

    #[inline(always)]
    fn load(self) -> i32 {
        i32::from(self) << 8
    }

    #[inline(always)]
    fn store(x: i32) -> Self {
        (x.wrapping_add(1 << 21) >> 22).min(127) as i8
    }
}

/// A row's part in a write.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[doc(hidden)]
pub struct Write {
    /// `2^(14-s)`.
    pub w: i16,
    /// `K`.
    pub k: i16,
    /// `B`.
    pub b: i16,
}

// SAFETY: three numbers of 16 bits, without padding.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Write {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Write {}

/// The state of a head, and room for a step of it.
pub(crate) struct Head<'s, M> {
    /// `[N, N]` mantissas.
    pub mantissas: &'s mut [M],
    /// `[N]` logarithms of the rows' scales, Q22.
    pub lam: &'s mut [i32],
    /// `[N]` the scale's fraction in Q15, from 1 to 2, in the upper half; the bound of
    /// the mantissas in the lower.
    pub bounds: &'s mut [i32],
    /// Which rows are measured at this token.
    pub phase: usize,
    pub room: Room<'s>,
}

/// Room for a step of a head.
pub(crate) struct Room<'s> {
    /// `[N]` sums of a read.
    sums: &'s mut [i32],
    /// `[N]` coefficients of reads.
    read: &'s mut [i16],
    r: &'s mut [i16],
    /// `[N]` what goes into a write by value channel.
    v: &'s mut [i16],
    sa: &'s mut [i16],
    /// `[N]` and by key channel.
    writes: &'s mut [Write],
}

impl<'s> Room<'s> {
    /// Words for a head of `size` channels.
    pub(crate) const fn words(size: usize) -> usize {
        // Sums, four vectors and writes of three.
        size + (7 * size).div_ceil(2)
    }

    /// Divides a buffer of that length.
    pub(crate) fn split(size: usize, buffer: &'s mut [i32]) -> Self {
        let (sums, halves) = buffer.split_at_mut_checked(size).unwrap_or_default();
        let halves: &mut [i16] = bytemuck::cast_slice_mut(halves);
        let mut rest = halves;
        let mut next = |len: usize| {
            let (taken, after) = core::mem::take(&mut rest)
                .split_at_mut_checked(len)
                .unwrap_or_default();
            rest = after;
            taken
        };
        Self {
            sums,
            read: next(size),
            r: next(size),
            v: next(size),
            sa: next(size),
            writes: bytemuck::try_cast_slice_mut(next(3 * size)).unwrap_or_default(),
        }
    }
}

/// The inputs of a head, `[N]` each, and what `y` has beside the read.
pub(crate) struct Inputs<'a> {
    pub r: View<'a>,
    pub k: View<'a>,
    pub v: View<'a>,
    /// Logarithms of the decays, Q22, 0 to [`LEAST_DECAY`].
    pub w: &'a [i32],
    /// The weight of `v` in `y`.
    pub of_v: Number,
    /// RWKV-7: what is read to be removed, what that is multiplied by, and the
    /// weight of `sa` in `y`.
    pub delta: Option<(View<'a>, View<'a>, Number)>,
}

/// The empty state.
pub(crate) fn reset(lam: &mut [i32], bounds: &mut [i32]) {
    lam.fill(LOWEST);
    bounds.fill(1 << 31);
}

/// Advances the state of a head and reads it into `y` `[N]`; returns the power
/// of two of `y`, whose mantissas have 29 bits.
///
/// RWKV-5 and 6 read the old state; so does RWKV-7, whose `y` is that of the new
/// one: its decay is in the coefficients, and what is written is added.
pub(crate) fn advance<M: Mantissa>(
    head: &mut Head<'_, M>,
    inputs: &Inputs<'_>,
    y: &mut [i32],
) -> i32 {
    let Room {
        sums,
        read,
        r,
        v,
        sa,
        writes,
    } = &mut head.room;
    let before = |(&lam, &bound): (&i32, &i32)| (lam >> 22, (bound as u32 >> 16) as i32);
    let old = head.lam.iter().zip(head.bounds.iter()).map(before);
    let mut sa_exp = 0;
    if let Some((direction, ..)) = inputs.delta {
        let exp = coefficients(direction, old.clone(), read);
        Native::read(head.mantissas, read, sums);
        sa_exp = to_16_bits(View { m: sums, exp }, sa);
    }
    // RWKV-7 reads the decayed state.
    let mut r_exp = 0;
    if inputs.delta.is_none() {
        r_exp = coefficients(inputs.r, old, r);
    }
    for ((lam, bound), &w) in head
        .lam
        .iter_mut()
        .zip(head.bounds.iter_mut())
        .zip(inputs.w)
    {
        *lam = lam.wrapping_add(w).max(LOWEST);
        let fraction = 2 * exp2(((1 << 22) - (*lam & FRACTION)) as u32).q15();
        *bound = (fraction.min(0xffff) << 16) as i32 | *bound & 0xffff;
    }
    if inputs.delta.is_some() {
        let new = head.lam.iter().zip(head.bounds.iter()).map(before);
        r_exp = coefficients(inputs.r, new, r);
    }
    Native::read(head.mantissas, r, y);
    let v_exp = to_16_bits(inputs.v, v);
    for j in (head.phase..head.bounds.len()).step_by(MEASURED) {
        let top = top_of(head.mantissas, v.len(), j);
        if let Some(bound) = head.bounds.get_mut(j) {
            *bound = *bound & !0xffff | top as i32;
        }
    }
    let rows = head.lam.iter_mut().zip(head.bounds.iter_mut());
    let keys = inputs.k.m.iter().zip(writes.iter_mut());
    let b = inputs.delta.map(|(_, b, _)| b);
    for (j, ((lam, bound), (&k, write))) in rows.zip(keys).enumerate() {
        let of_b = b.map_or((0, 0), |b| {
            (b.m.get(j).copied().unwrap_or(0), b.exp + sa_exp)
        });
        *write = plan::<M>(lam, bound, [(k, inputs.k.exp + v_exp), of_b]);
    }
    Native::write(head.mantissas, writes, v, sa);
    let of_sa = inputs.delta.map_or(Number::default(), |(.., of_sa)| of_sa);
    let exps = [
        r_exp,
        inputs.of_v.exp + v_exp,
        if inputs.delta.is_some() {
            of_sa.exp + sa_exp
        } else {
            i32::MIN / 2
        },
    ];
    // Each has 31 bits.
    let exp = exps[0].max(exps[1]).max(exps[2]) + 4;
    let [of_y, by_v, by_sa] = exps.map(|own| Shift::by(own - exp));
    for ((y, &v), &sa) in y.iter_mut().zip(v.iter()).zip(sa.iter()) {
        let v = by_v.of(i32::from(v) * inputs.of_v.m);
        let sa = match inputs.delta {
            Some(_) => by_sa.of(i32::from(sa) * of_sa.m),
            None => 0,
        };
        *y = of_y.of(*y) + v + sa;
    }
    exp
}

/// The bits of a fraction in Q22.
const FRACTION: i32 = (1 << 22) - 1;

/// Coefficients of a read, of 16 bits under one power of two.
///
/// The sum of their magnitudes is at most 65,535: a sum of products with
/// mantissas fits in 32 bits, in any order.
fn coefficients(
    x: View<'_>,
    scales: impl Iterator<Item = (i32, i32)> + Clone,
    out: &mut [i16],
) -> i32 {
    // In units of the largest scale.
    let most = scales.clone().map(|(places, _)| places).max().unwrap_or(0);
    let scaled = || {
        let scales = scales.clone();
        x.m.iter().zip(scales).map(move |(&x, (places, fraction))| {
            // A fraction from 1 to 2 is a factor of 17 bits: half of it.
            mulq(x, fraction >> 1) >> (most - places).min(31)
        })
    };
    let (sum, max) = scaled().fold((0u64, 0), |(sum, max), c| {
        let c = magnitude(c);
        (sum + u64::from(c), c.max(max))
    });
    let rows = out.len() as u64;
    let places = (64 - sum.leading_zeros()).saturating_sub(16);
    let is_over = (sum >> places) + rows > 65_535 || (max >> places) + 1 > 32_767;
    let places = places + u32::from(is_over);
    let half = (1 << places) >> 1;
    for (out, c) in out.iter_mut().zip(scaled()) {
        *out = ((c + half) >> places) as i16;
    }
    // mulq by half a fraction of 15 places leaves out two.
    x.exp + most + places as i32 + 2
}

/// A vector in 16 bits, rounded; its power of two.
fn to_16_bits(x: View<'_>, out: &mut [i16]) -> i32 {
    let max = x.m.iter().fold(0, |max, &x| magnitude(x).max(max));
    let places = 17 - max.leading_zeros() as i32;
    let (half, shift) = ((1 << places.max(0)) >> 1, Shift::by(-places));
    for (out, &x) in out.iter_mut().zip(x.m) {
        *out = shift.of(x.wrapping_add(half)).min(32_767) as i16;
    }
    x.exp + places
}

/// The largest magnitude of a row, and a little more.
fn top_of<M: Mantissa>(mantissas: &[M], size: usize, row: usize) -> u32 {
    let bits = row_of(mantissas, size, row).fold(0, |bits, m| magnitude(m.load()) | bits);
    // A number with the bits of all is a bound. The magnitude of -x is x - 1.
    (bits + 1).min(32_767)
}

/// The mantissas of a row: rows lie in pairs, element by element.
fn row_of<M: Mantissa>(mantissas: &[M], size: usize, row: usize) -> impl Iterator<Item = M> + '_ {
    let (first, step) = match row | 1 < size {
        true => ((row & !1) * size + (row & 1), 2),
        false => (row * size, 1),
    };
    let elements = mantissas.get(first..).unwrap_or_default();
    elements.iter().copied().step_by(step).take(size)
}

/// A row's part in the write, and its new scale and bound. Two products with vectors
/// of 16 bits are added: a coefficient and its power of two, beside that of the
/// vector.
fn plan<M: Mantissa>(lam: &mut i32, bound: &mut i32, products: [(i32, i32); 2]) -> Write {
    let inverse = exp2((*lam & FRACTION) as u32).q15() as i32;
    let places = *lam >> 22;
    // In the row's units, times 2^14; mulq by 15 places leaves out one.
    let terms = products.map(|(m, exp)| {
        let m = mulq(m, inverse);
        // Of 28 bits, so that the power of two says how large it is; nothing is small.
        let left = magnitude(m).leading_zeros().saturating_sub(4);
        let none = if m == 0 { 1 << 20 } else { 0 };
        (m << (left & 31), exp - places + 15 - left as i32 - none)
    });
    let [(_, k), (_, b)] = terms;
    let raised = k.max(b).max(0);
    let [k, b] = terms.map(|(m, exp)| m >> (raised - exp).min(31));
    let top = (*bound as u32 & 0xffff) >> raised.min(31);
    let sum = top + M::SLACK + 2 * (magnitude(k) + magnitude(b)) + 6;
    let more = (32 - sum.leading_zeros()).saturating_sub(15);
    let half = (1 << more) >> 1;
    let s = raised + more as i32;
    *lam += s << 22;
    let top = ((sum >> more) + M::SLACK).min(32_767);
    *bound = *bound & !0xffff | top as i32;
    Write {
        w: (1 << 14 >> s.min(15)) as i16,
        k: ((k + half) >> more) as i16,
        b: ((b + half) >> more) as i16,
    }
}
