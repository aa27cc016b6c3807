//! Vectors: mantissas under one power of two, and the steps that several RWKV
//! versions share. All slices of a step have one length; otherwise the shortest
//! decides.

use super::choice::{larger, limited, normal, opaque, places, smaller, zeros};
use super::functions::{sigmoid, sigmoid_q15, tanh, PLACES};
use super::product::{grown, mulh, mulq, Shift};
use crate::arch::{Native, Port};

/// Mantissas of a vector are below 2^29 in magnitude, so that a sum or a
/// difference of two fits everywhere.
pub(crate) const BITS: i32 = 29;

/// A number's bits.
#[cfg_attr(kinglet_fast, inline(always))]
fn bits_of(x: u32) -> i32 {
    32 - zeros(x)
}

/// Factors of a vector's elements, `m[i] 2^exp`, as an image stores them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Factors<'i> {
    /// Mantissas.
    pub m: &'i [i16],
    /// The power of two.
    pub exp: i32,
}

/// The power of two in front of a buffer, of 16 bits. In a state that is not the
/// model's it is any number, and between two slices of a step, too; sums of these
/// fit.
pub(crate) fn exp_in(buffer: &[i32]) -> i32 {
    buffer.first().map_or(0, |&word| word as i16 as i32)
}

/// The largest magnitude of a vector, and its power of two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    /// The largest `|m|`.
    pub max: u32,
    /// The power of two.
    pub exp: i32,
}

impl Peak {
    /// Of no element.
    pub(crate) const NONE: Self = Self { max: 0, exp: 0 };

    /// That of a vector.
    pub(crate) fn of(x: View<'_>) -> Self {
        Self {
            max: max_of(x.m),
            exp: x.exp,
        }
    }

    /// That of two parts of a vector.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            max: larger(self.max as i32, other.max as i32) as u32,
            exp: other.exp,
        }
    }
}

/// A vector that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'b> {
    /// Mantissas.
    pub m: &'b [i32],
    /// The power of two.
    pub exp: i32,
}

impl<'b> View<'b> {
    /// The same, of a part of the elements.
    pub(crate) fn part(self, range: core::ops::Range<usize>) -> Self {
        let m = self.m.get(range).unwrap_or_default();
        Self { m, ..self }
    }
}

/// A vector in a buffer: its power of two lies in front of its mantissas.
#[derive(Debug)]
pub(crate) struct Vector<'b>(pub &'b mut [i32]);

impl Vector<'_> {
    /// The power of two.
    pub(crate) fn exp(&self) -> i32 {
        exp_in(self.0)
    }

    /// Sets the power of two.
    pub(crate) fn set_exp(&mut self, exp: i32) {
        if let Some(word) = self.0.first_mut() {
            *word = exp;
        }
    }

    /// The mantissas, to be written.
    pub(crate) fn m(&mut self) -> &mut [i32] {
        self.0.get_mut(1..).unwrap_or_default()
    }

    /// All elements.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            m: self.0.get(1..).unwrap_or_default(),
            exp: self.exp(),
        }
    }

    /// The first `len` elements.
    pub(crate) fn first(&self, len: usize) -> View<'_> {
        self.view().part(0..len)
    }
}

/// The residual stream `[C]`: a vector that knows the bits of its mantissas.
#[derive(Debug)]
pub(crate) struct Residual<'b>(pub &'b mut [i32]);

impl Residual<'_> {
    /// Words in front of the mantissas.
    pub(crate) const WORDS: usize = 2;

    /// The mantissas.
    pub(crate) fn m(&mut self) -> &mut [i32] {
        self.0.get_mut(Self::WORDS..).unwrap_or_default()
    }

    /// What is to be read.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            m: self.0.get(Self::WORDS..).unwrap_or_default(),
            exp: exp_in(self.0),
        }
    }

    /// Sets the power of two, and a number with the bits of all magnitudes.
    pub(crate) fn set(&mut self, exp: i32, bits: u32) {
        for (word, value) in self.0.iter_mut().zip([exp, bits as i32]) {
            *word = value;
        }
    }

    /// The power of two of the sum with a vector of the power `exp`, the places to the
    /// left that bring the stream to it, and the places by which the vector goes to
    /// the right.
    fn align(&self, exp: i32) -> (i32, i32, u32) {
        let own = exp_in(self.0);
        let bits = bits_of(self.0.get(1).copied().unwrap_or(0) as u32);
        // An empty vector has no part in it.
        let none = opaque((bits - 1) >> 31);
        let top = (own + bits - BITS) & !none | exp & none;
        let sum = larger(top, exp) + 1;
        (sum, own - sum, places(sum - exp))
    }
}

/// `x += y`.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn add(x: &mut Residual<'_>, y: View<'_>) {
    let (exp, of_x, right) = x.align(y.exp);
    let bits = Native::add(x.m(), y.m, of_x, right);
    x.set(exp, bits);
}

/// `x += sigmoid(gate) y`, with `gate` in Q22, to base 2.
// As a separate function it keeps its constants in registers.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn add_gated(x: &mut Residual<'_>, gate: View<'_>, y: View<'_>) {
    let (exp, of_x, right) = x.align(y.exp);
    let places = [gate.exp + PLACES as i32, of_x];
    let bits = Native::add_gated(x.m(), [gate.m, y.m], places, right);
    x.set(exp, bits);
}

/// Brings mantissas to fixed-point numbers, limited to 2^29 - 1 in magnitude.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToFixed {
    shift: Shift,
    limit: i32,
}

impl ToFixed {
    /// From this power of two to Q22.
    pub(crate) fn from(exp: i32) -> Self {
        Self::to(PLACES, exp)
    }

    /// From the power of two `exp` to this number of binary places.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn to(places: u32, exp: i32) -> Self {
        Self::by(exp + places as i32)
    }

    /// By this number of places to the left.
    #[inline(always)]
    pub(crate) fn by(places: i32) -> Self {
        Self {
            shift: Shift::by(places),
            limit: Self::limit_of(places),
        }
    }

    /// The largest magnitude that `places` to the left keep within the limit.
    #[inline(always)]
    pub(crate) fn limit_of(places: i32) -> i32 {
        ((1 << BITS) - 1) >> limited(places, BITS)
    }

    /// The logistic function of the number, in Q15: a factor of 16 bits.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn sigmoid(self, x: i32) -> i32 {
        let size = smaller(x.wrapping_abs(), self.limit);
        sigmoid_q15(self.shift.of(size) as u32, x)
    }

    /// The number.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn of(self, x: i32) -> i32 {
        self.shift.of(larger(smaller(x, self.limit), -self.limit))
    }
}

/// `to = from`.
pub(crate) fn copy(from: &[i32], to: &mut [i32]) {
    Native::copy(from, to);
}

/// The largest magnitude.
pub(crate) fn max_of(x: &[i32]) -> u32 {
    x.iter().fold(0, |max, &x| grown(max, x))
}

/// `sum_i a[i] b[i]`, of 16 bits; each product in units of 2^16.
// Inlined, it counts for what it is a part of.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn dot(a: View<'_>, b: View<'_>) -> Number {
    Number::of(Native::dot(a.m, b.m), a.exp + b.exp + 16)
}

/// A number of 16 bits and its power of two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Number {
    pub m: i32,
    pub exp: i32,
}

impl Number {
    /// From more bits.
    fn of(m: i64, exp: i32) -> Self {
        let sign = opaque((m >> 63) as i32);
        let size = (m ^ i64::from(sign)).wrapping_sub(sign.into());
        let (top, places) = normal(size as u64);
        Self {
            m: ((top >> 17) as i32 ^ sign) - sign,
            exp: exp + places + 17,
        }
    }
}

/// `out = x m`, element by element, with factors; returns the power of two.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn times(x: View<'_>, factors: Factors<'_>, out: &mut [i32]) -> i32 {
    for (out, (&x, &m)) in out.iter_mut().zip(x.m.iter().zip(factors.m)) {
        *out = mulq(x, m.into());
    }
    x.exp + factors.exp + 16
}

/// `out = x y`, and its largest magnitude.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn multiply(x: View<'_>, y: View<'_>, out: &mut [i32]) -> Peak {
    let mut max = 0;
    for (out, (&x, &y)) in out.iter_mut().zip(x.m.iter().zip(y.m)) {
        *out = mulh(x << 2, y);
        max = grown(max, *out);
    }
    Peak {
        max,
        exp: x.exp + y.exp + 30,
    }
}

/// `out = x silu(gate)` times `log2(e)`, with `silu(g) = g sigmoid(g)` (Elfwing et
/// al., arXiv 1702.03118), and its largest magnitude; the gate is to base 2.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn multiply_silu(x: View<'_>, gate: View<'_>, out: &mut [i32]) -> Peak {
    let to_fixed = ToFixed::from(gate.exp);
    let mut max = 0;
    for (out, (&x, &gate)) in out.iter_mut().zip(x.m.iter().zip(gate.m)) {
        let share = to_fixed.sigmoid(gate);
        *out = mulh(x << 2, mulq(gate << 1, share));
        max = grown(max, *out);
    }
    Peak {
        max,
        exp: x.exp + gate.exp + 30,
    }
}

/// `out = sigmoid(gate)` as factors in Q15; the gate is to base 2.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn shares(gate: View<'_>, out: &mut [i32]) {
    Native::shares(gate.m, gate.exp + PLACES as i32, out);
}

/// The functions of a hidden vector.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    /// None.
    Identity,
    /// The logistic function, to base 2.
    Sigmoid,
    /// The hyperbolic tangent, of twice the argument, to base 2.
    Tanh,
}

/// Applies a function to a vector of the power of two `exp`, and finds the largest
/// magnitude.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn apply(x: &mut [i32], exp: i32, function: Function) -> Peak {
    let to_fixed = ToFixed::from(exp);
    match function {
        Function::Identity => return Peak::of(View { m: x, exp }),
        Function::Sigmoid => x
            .iter_mut()
            .for_each(|x| *x = (sigmoid(to_fixed.of(*x)) >> 2) as i32),
        Function::Tanh => x.iter_mut().for_each(|x| *x = tanh(to_fixed.of(*x))),
    }
    Peak::of(View { m: x, exp: -29 })
}

/// Token shift with a mix that depends on the data: `out = previous + (x -
/// previous) (mix - less)`, and its largest magnitude. A mix is less than 4.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn token_shift_less(
    x: View<'_>,
    previous: &[i32],
    mix: Factors<'_>,
    less: View<'_>,
    out: &mut [i32],
) -> Peak {
    // Q27.
    let to_fixed = ToFixed::to(27, less.exp);
    let of_mix = Shift::by(mix.exp + 27);
    let mut max = 0;
    let inputs = x.m.iter().zip(previous).zip(mix.m.iter().zip(less.m));
    for (out, ((&x, &previous), (&mix, &less))) in out.iter_mut().zip(inputs) {
        let mix = of_mix.of(mix.into()).wrapping_sub(to_fixed.of(less));
        let part = mulh(x.wrapping_sub(previous) << 1, mix);
        *out = (previous >> 4).wrapping_add(part);
        max = grown(max, *out);
    }
    Peak {
        max,
        exp: x.exp + 4,
    }
}
