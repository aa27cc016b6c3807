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
//! Mantissas are rounded down, which takes a half from each on average. So that nothing
//! adds up, all of them change their sign at each token: `M` is `n` and `-n` in turn, and
//! `n[j,i] = floor((-2^(14-s) n[j,i] ± ...) / 2^14)`.
//!
//! `K` and `B` are `k` and `b` in the row's units. `s` is the least number of
//! places for which no mantissa leaves its range: that of a row is bounded by
//! `top`, which grows with each step, and is measured every so often.

use super::{opaque, Native, Port};
use crate::number::{
    capped, exp2_fraction, grown, larger, limited, magnitude, mulq, normal, places, positive,
    smaller, zeros, Number, View,
};
use crate::shape::vectors::take;

/// The least logarithm of a scale: an empty row has it.
const LOWEST: i32 = -300 << 22;

/// A number of 16 bits, as wide as the port multiplies.
#[cfg(any(kinglet_armv6m, kinglet_armv7m, kinglet_riscv))]
#[doc(hidden)]
pub type Narrow = i32;
/// A number of 16 bits, as wide as the port multiplies.
#[cfg(not(any(kinglet_armv6m, kinglet_armv7m, kinglet_riscv)))]
#[doc(hidden)]
pub type Narrow = i16;

/// The number of that many bits.
#[inline(always)]
#[allow(clippy::useless_conversion)]
pub(super) fn wide(x: Narrow) -> i32 {
    x.into()
}

/// Where `v` and `sa` are among the values.
const V: usize = 0;
const SA: usize = 1;

/// The least logarithm of a decay: nothing of a row is left.
pub(crate) const LEAST_DECAY: i32 = -30 << 22;

/// A mantissa of the state.
///
/// Kernels trust what it says of itself: only the two types here are one.
#[doc(hidden)]
pub trait Mantissa: bytemuck::Pod + Sealed {
    /// Of how many pairs of rows one is measured at a token, a divisor of 16.
    const MEASURED: usize;
    /// How far a stored value is from the exact one at most, in 16 bits.
    const SLACK: u32;
    /// Its value in 16 bits.
    fn load(self) -> i32;
    /// A mantissa next to `x / 2^14`, a value in 16 bits: rounded down where that is least
    /// work.
    fn store(x: i32) -> Self;
    /// What bounds magnitudes and this one, too.
    fn bound(self, others: u32) -> u32;
    /// The largest magnitude that there may be.
    fn top(bound: u32) -> u32;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for i8 {}
}
use sealed::Sealed;

impl Mantissa for i16 {
    const MEASURED: usize = 16;
    const SLACK: u32 = 1;

    #[inline(always)]
    fn load(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn store(x: i32) -> Self {
        (x >> 14) as i16
    }

    /// Where bits differ from the one before, the least work: a row may be halved one
    /// step early.
    #[inline(always)]
    fn bound(self, others: u32) -> u32 {
        others | u32::from((self ^ self << 1) as u16)
    }

    /// The power of two above all magnitudes.
    #[inline(always)]
    fn top(bound: u32) -> u32 {
        // The lowest bit of an upper half says nothing.
        let bits = [1, 2, 4, 8]
            .iter()
            .fold(bound | 1, |bits, step| bits | bits >> step);
        (bits >> 1) + 1
    }
}

/// The upper byte of a mantissa of 16 bits.
impl Mantissa for i8 {
    const MEASURED: usize = 8;
    const SLACK: u32 = 128;

    #[inline(always)]
    fn load(self) -> i32 {
        i32::from(self) << 8
    }

    #[inline(always)]
    fn store(x: i32) -> Self {
        smaller(x.wrapping_add(1 << 21) >> 22, 127) as i8
    }

    /// The largest: a bit more of precision counts here.
    #[inline(always)]
    fn bound(self, others: u32) -> u32 {
        grown(others, self.load())
    }

    /// The magnitude of -x is x - 1.
    #[inline(always)]
    fn top(bound: u32) -> u32 {
        bound + 1
    }
}

/// A row's part in a write.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[doc(hidden)]
pub struct Write {
    /// `-2^(14-s)`.
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
    /// Of 16 tokens, which this is: some rows are measured at it.
    pub phase: usize,
    pub room: Room<'s>,
}

/// Room for a step of a head.
pub(crate) struct Room<'s> {
    /// `[2, N]` sums of both reads, or `[N, 2]`, or those of one.
    sums: &'s mut [i32],
    /// Their coefficients, in the same way.
    c: &'s mut [Narrow],
    /// `[N]` what goes into a write by value channel: `v`, `sa`.
    values: &'s mut [[Narrow; 2]],
    /// `[N]` and by key channel.
    writes: &'s mut [Write],
}

impl<'s> Room<'s> {
    /// Words for a head of `size` channels.
    pub(crate) const fn words(size: usize) -> usize {
        // Sums, coefficients and values, two of each, as wide as any port has them, and
        // writes of three halves.
        6 * size + (3 * size).div_ceil(2)
    }

    /// Divides a buffer of that length.
    pub(crate) fn split(size: usize, buffer: &'s mut [i32]) -> Self {
        let mut rest = buffer;
        let sums = take(&mut rest, 2 * size);
        let c: &mut [Narrow] = bytemuck::cast_slice_mut(take(&mut rest, 2 * size));
        let values: &mut [Narrow] = bytemuck::cast_slice_mut(take(&mut rest, 2 * size));
        let writes: &mut [i16] = bytemuck::cast_slice_mut(rest);
        Self {
            sums,
            c: c.get_mut(..2 * size).unwrap_or_default(),
            values: values.as_chunks_mut().0.get_mut(..size).unwrap_or_default(),
            writes: writes
                .get_mut(..3 * size)
                .and_then(|writes| bytemuck::try_cast_slice_mut(writes).ok())
                .unwrap_or_default(),
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
    let Head {
        mantissas,
        lam,
        bounds,
        phase,
        room,
    } = head;
    let Room {
        sums,
        c,
        values,
        writes,
    } = room;
    let size = values.len();
    // The power of two of the largest scale.
    let most = Native::most(lam, LOWEST) >> 22;
    // The state is stored with this sign, and written with the other.
    let sign = 1 - 2 * (*phase as i32 & 1);
    // How far apart coefficients, and sums, of one read are, and where those of the
    // second are.
    let (step, second) = match (inputs.delta, Native::BOTH) {
        (Some(_), true) => (2, 1),
        (Some(_), false) => (1, size),
        (None, _) => (1, 0),
    };
    // What is added for `sa`: its power of two and its weight in `y`.
    let mut of_sa = None;
    if let Some((direction, _, weight)) = inputs.delta {
        let exp = Native::coefficients(direction.m, [lam, bounds], [most, -1], y, (c, step));
        of_sa = Some((direction.exp + exp, weight));
    }
    let (r, of_r) = (inputs.r.m, c.get_mut(second..).unwrap_or_default());
    let (rows, by, of_r) = ([&mut **lam, bounds], [most, sign], (of_r, step));
    // RWKV-7 reads the decayed state, the others the one before.
    let exp = match inputs.delta {
        Some(_) => Native::decayed_coefficients(r, inputs.w, rows, by, y, of_r),
        None => Native::coefficients(r, rows.map(|row| &*row), by, y, of_r),
    };
    let r_exp = inputs.r.exp + exp;
    match of_sa.as_mut() {
        None => {
            Native::decay(lam, bounds, inputs.w);
            Native::read(mantissas, after(c, 0, size), sums);
        }
        Some((exp, _)) => {
            if Native::BOTH {
                Native::read_both(mantissas, c.as_chunks().0, sums.as_chunks_mut().0);
            } else {
                let (of_sa, of_y) = sums.split_at_mut_checked(size).unwrap_or_default();
                Native::read(mantissas, after(c, 0, size), of_sa);
                Native::read(mantissas, after(c, size, size), of_y);
            }
            *exp += Native::to_16_bits((sums, step), 1, values, SA);
        }
    }
    let v_exp = inputs.v.exp + Native::to_16_bits((inputs.v.m, 1), -sign, values, V);
    // At each token at least one pair, so that all cost the same.
    let mut every = M::MEASURED;
    while 2 * every > size.max(2) {
        every /= 2;
    }
    let mut row = 2 * (*phase & (every - 1));
    // Not a range with steps: that divides.
    while row < size {
        let rows = mantissas.get(row * size..size * size).unwrap_or_default();
        let [first, second] = tops(rows.get(..2 * size).unwrap_or(rows));
        let bounds = bounds.get_mut(row..).unwrap_or_default();
        let set = |bound: &mut i32, top: u32| {
            // A plan adds it.
            *bound = *bound & !0xffff | positive(top as i32 - M::SLACK as i32);
        };
        match bounds {
            [one, other, ..] => {
                set(one, first);
                set(other, second);
            }
            [one] => set(one, first.max(second)),
            [] => {}
        }
        row += 2 * every;
    }
    let k_exp = inputs.k.exp + v_exp;
    let (b, b_exp) = match (inputs.delta, of_sa) {
        (Some((_, b, _)), Some((exp, _))) => (b.m, b.exp + exp),
        _ => (&[][..], 0),
    };
    Native::plan(
        [lam, bounds],
        [inputs.k.m, b],
        [k_exp, b_exp],
        M::SLACK,
        writes,
    );
    Native::write(mantissas, writes, values);
    let of_v = (inputs.of_v.m, inputs.of_v.exp + v_exp);
    let of_sa = of_sa.map_or((0, i32::MIN / 2), |(exp, weight)| {
        (weight.m, weight.exp + exp)
    });
    // Each has 31 bits.
    let exp = larger(larger(r_exp, of_v.1), of_sa.1) + 4;
    let right = [r_exp, of_v.1, of_sa.1].map(|own| places(exp - own));
    let sums = sums.get(second..).unwrap_or_default();
    let weights = [of_v.0, of_sa.0].map(|weight| -sign * larger(weight, -32_767));
    Native::add_values((sums, step), values, weights, right, y);
    exp
}

/// `len` elements after the first ones.
fn after<T>(x: &[T], first: usize, len: usize) -> &[T] {
    x.get(first..first + len).unwrap_or_default()
}

/// Moves the scales of the rows by their decays.
#[cfg_attr(kinglet_fast, inline(never))]
pub(super) fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
    for ((lam, bound), &w) in lam.iter_mut().zip(bounds).zip(w) {
        decayed(lam, bound, w);
    }
}

/// Moves the scale of a row by its decay.
#[inline(always)]
pub(super) fn decayed(lam: &mut i32, bound: &mut i32, w: i32) {
    *lam = larger(lam.wrapping_add(w), LOWEST);
    // 2^x = 2 2^-(1 - x).
    *bound = (exp2_fraction(!*lam) >> 15 << 16) as i32 | *bound & 0xffff;
}

/// Coefficients of a read, of 16 bits under one power of two, times a sign; no scale is
/// larger than `2^most`, rounded up. Rows have an element, `lam` and a bound.
///
/// The sum of their magnitudes is at most 65,532: a sum of products with
/// mantissas fits in 32 bits, in any order, and what rounds it off, too.
#[cfg_attr(kinglet_fast, inline(never))]
pub(super) fn coefficients(
    rows: impl Iterator<Item = (i32, i32, i32)>,
    [most, sign]: [i32; 2],
    scaled: &mut [i32],
    (out, step): (&mut [Narrow], usize),
) -> i32 {
    let (mut sum, mut bits) = (0u32, 0);
    for (scaled, (x, lam, bound)) in scaled.iter_mut().zip(rows) {
        // A fraction from 1 to 2 is a factor of 17 bits: half of it.
        let fraction = (bound as u32 >> 17) as i32;
        *scaled = mulq(x, fraction).wrapping_shr(capped(most - (lam >> 22)));
        let magnitude = magnitude(*scaled);
        sum = sum.wrapping_add(magnitude >> 8);
        bits |= magnitude;
    }
    let places = coefficient_places(sum, bits, scaled.len());
    let half = (1 << places) >> 1;
    let rounded = scaled
        .iter()
        .map(|&c| ((c.wrapping_mul(sign) + half) >> places) as Narrow);
    match step {
        1 => out.iter_mut().zip(rounded).for_each(|(out, c)| *out = c),
        _ => {
            let out = out.iter_mut().step_by(2);
            out.zip(rounded).for_each(|(out, c)| *out = c);
        }
    }
    // mulq by half a fraction of 15 places leaves out two.
    most + places as i32 + 2
}

/// By how many places coefficients are rounded off: the sum of their magnitudes, each in
/// units of 256, and a number with the bits of all.
pub(super) fn coefficient_places(sum: u32, bits: u32, rows: usize) -> u32 {
    let (top, exp) = normal((u64::from(sum) + rows as u64) << 8);
    // The sum in 16 bits.
    let places = limited(exp + 16, 31);
    let sum = (top.wrapping_shr((places - exp) as u32) as i32).wrapping_add(rows as i32);
    let most = (bits >> places) as i32;
    // Negative where that is too much.
    let is_over = (65_532 - sum) | (32_766 - most);
    places as u32 + (opaque(is_over >> 31) as u32 & 1)
}

/// A vector in 16 bits, rounded, up to 2^14 in magnitude, times a sign, into one of two
/// places of each of `out`; the power of two by which it became smaller.
#[cfg_attr(kinglet_fast, inline(never))]
pub(super) fn to_16_bits<'x, I: Iterator<Item = &'x i32>>(
    x: impl Fn() -> I,
    sign: i32,
    out: &mut [[Narrow; 2]],
    place: usize,
) -> i32 {
    let bits = out
        .iter()
        .zip(x())
        .fold(0, |bits, (_, &x)| bits | magnitude(x));
    let right = positive(18 - zeros(bits));
    let half = (1 << right) >> 1;
    for (out, &x) in out.iter_mut().zip(x()) {
        out[place & 1] = (x.wrapping_mul(sign).wrapping_add(half) >> right) as Narrow;
    }
    right
}

/// `y = (sum >> by_sum) + (v of_v >> by_v) + (sa of_sa >> by_sa)`.
#[cfg_attr(kinglet_fast, inline(never))]
pub(super) fn add_values<'s>(
    sums: impl Iterator<Item = &'s i32>,
    values: &[[Narrow; 2]],
    [of_v, of_sa]: [i32; 2],
    [by_sum, by_v, by_sa]: [u32; 3],
    y: &mut [i32],
) {
    for ((y, &[v, sa]), &sum) in y.iter_mut().zip(values).zip(sums) {
        let (v, sa) = (wide(v) * of_v, wide(sa) * of_sa);
        *y = (sum >> by_sum) + (v >> by_v) + (sa >> by_sa);
    }
}

/// Bounds of the magnitudes of two rows that lie element by element; of a row alone the
/// larger is one.
#[cfg_attr(kinglet_fast, inline(never))]
fn tops<M: Mantissa>(rows: &[M]) -> [u32; 2] {
    let words: Result<&[u32], _> = bytemuck::try_cast_slice(rows);
    if let (2, Ok(words)) = (size_of::<M>(), words) {
        let bits = Native::differences(words);
        return [bits & 0xffff, bits >> 16].map(M::top);
    }
    let (pairs, rest) = rows.as_chunks::<2>();
    let bounds = pairs.iter().fold([0; 2], |[first, second], &[m, n]| {
        [m.bound(first), n.bound(second)]
    });
    let [first, second] = bounds;
    [rest.iter().fold(first, |bound, m| m.bound(bound)), second].map(M::top)
}

/// The parts of all rows in the write, and their new scales and bounds: [`Port::plan`].
#[cfg_attr(kinglet_fast, inline(never))]
pub(super) fn plan(
    [lam, bounds]: [&mut [i32]; 2],
    [k, b]: [&[i32]; 2],
    [k_exp, b_exp]: [i32; 2],
    slack: u32,
    writes: &mut [Write],
) {
    // Of products, mulq by 15 places leaves out one, and a row has 14 more.
    let [k_exp, b_exp] = [k_exp, b_exp].map(|exp| exp.wrapping_add(15));
    let rows = lam.iter_mut().zip(bounds).zip(writes).zip(k);
    if b.is_empty() {
        for (((lam, bound), write), &k) in rows {
            *write = plan_row(lam, bound, k_exp, slack, [(k, 0)]);
        }
        return;
    }
    // Units of the larger, whichever of them a row has: it has none that are smaller.
    let exp = larger(k_exp, b_exp);
    let [of_k, of_b] = [k_exp, b_exp].map(|own| places(exp - own));
    for ((((lam, bound), write), &k), &b) in rows.zip(b) {
        *write = plan_row(lam, bound, exp, slack, [(k, of_k), (b, of_b)]);
    }
}

/// A row's part in the write, and its new scale and bound. One or two products with
/// vectors of 16 bits are added: coefficients, places by which they go to the right, and
/// the power of two of all, beside that of the vector.
#[inline(always)]
fn plan_row<const N: usize>(
    lam: &mut i32,
    bound: &mut i32,
    exp: i32,
    slack: u32,
    products: [(i32, u32); N],
) -> Write {
    let inverse = (exp2_fraction(*lam) >> 16) as i32;
    // The row's units beside those of the products: it is raised to these.
    let less = (*lam >> 22).wrapping_sub(exp);
    let right = positive(less);
    let raised = right.wrapping_sub(less);
    let right = capped(right);
    let terms = products.map(|(m, places)| (mulq(m, inverse) >> places).wrapping_shr(right));
    let magnitudes = terms
        .iter()
        .fold(0u32, |sum, &m| sum.wrapping_add(magnitude(m)));
    let top = (*bound as u32 & 0xffff).wrapping_shr(capped(raised));
    let sum = magnitudes.wrapping_add(top + 2 * slack + 6);
    // The places by which it has more than 15.
    let more = 32 - zeros(sum >> 15);
    let half = (1 << more) >> 1;
    let s = raised.wrapping_add(more);
    *lam = lam.wrapping_add(s << 22);
    *bound = *bound & !0xffff | (sum >> more) as i32;
    let mut rounded = terms.iter().map(|&m| (m.wrapping_add(half) >> more) as i16);
    Write {
        w: (-1i32 << 14).wrapping_shr(capped(s)) as i16,
        k: rounded.next().unwrap_or(0),
        b: rounded.next().unwrap_or(0),
    }
}
