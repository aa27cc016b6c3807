//! Vectors: mantissas under one power of two, and the steps that several RWKV
//! versions share. All slices of a step have one length; otherwise the shortest
//! decides.

use super::functions::{sigmoid, PLACES};
use super::product::{magnitude, mulq, Shift};

/// Mantissas of a vector are below 2^29 in magnitude, so that a sum or a
/// difference of two fits everywhere.
pub(crate) const BITS: i32 = 29;

/// A number's bits.
#[inline(always)]
fn bits_of(x: u32) -> i32 {
    32 - x.leading_zeros() as i32
}

/// Factors of a vector's elements, `m[i] 2^exp`, as an image stores them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Factors<'i> {
    /// Mantissas.
    pub m: &'i [i16],
    /// The power of two.
    pub exp: i32,
}

/// The largest magnitude of a vector, and its power of two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peak {
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
            max: self.max.max(other.max),
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
        self.0.first().copied().unwrap_or(0)
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
            exp: self.0.first().copied().unwrap_or(0),
        }
    }

    /// Sets the power of two, and a number with the bits of all magnitudes.
    pub(crate) fn set(&mut self, exp: i32, bits: u32) {
        for (word, value) in self.0.iter_mut().zip([exp, bits as i32]) {
            *word = value;
        }
    }

    /// The power of two of the sum with a vector of the power `exp`, and the
    /// shifts that bring both to it.
    fn align(&self, exp: i32) -> (i32, [Shift; 2]) {
        let own = self.0.first().copied().unwrap_or(0);
        let bits = bits_of(self.0.get(1).copied().unwrap_or(0) as u32);
        // An empty vector has no part in it.
        let top = if bits == 0 { exp } else { own + bits - BITS };
        let sum = top.max(exp) + 1;
        (sum, [own - sum, exp - sum].map(Shift::by))
    }
}

/// `x += y`.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn add(x: &mut Residual<'_>, y: View<'_>) {
    let (exp, [of_x, of_y]) = x.align(y.exp);
    let mut bits = 0;
    for (x, &y) in x.m().iter_mut().zip(y.m) {
        *x = of_x.of(*x).wrapping_add(of_y.of(y));
        bits |= magnitude(*x);
    }
    x.set(exp, bits);
}

/// `x += sigmoid(gate) y`, with `gate` in Q22, to base 2.
// As a separate function it keeps its constants in registers.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn add_gated(x: &mut Residual<'_>, gate: View<'_>, y: View<'_>) {
    let (exp, [of_x, of_y]) = x.align(y.exp);
    let to_fixed = ToFixed::from(gate.exp);
    let mut bits = 0;
    for (x, (&gate, &y)) in x.m().iter_mut().zip(gate.m.iter().zip(y.m)) {
        let share = (sigmoid(to_fixed.of(gate)) >> 16) as i32;
        *x = of_x.of(*x).wrapping_add(of_y.of(mulq(y << 1, share)));
        bits |= magnitude(*x);
    }
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
    #[inline(always)]
    pub(crate) fn from(exp: i32) -> Self {
        Self::to(PLACES, exp)
    }

    /// From the power of two `exp` to this number of binary places.
    #[inline(always)]
    pub(crate) fn to(places: u32, exp: i32) -> Self {
        let places = exp + places as i32;
        Self {
            shift: Shift::by(places),
            limit: ((1 << BITS) - 1) >> places.clamp(0, BITS),
        }
    }

    /// The number.
    #[inline(always)]
    pub(crate) fn of(self, x: i32) -> i32 {
        self.shift.of(x.clamp(-self.limit, self.limit))
    }
}

/// `to = from`.
pub(crate) fn copy(from: &[i32], to: &mut [i32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// The largest magnitude.
pub(crate) fn max_of(x: &[i32]) -> u32 {
    x.iter().fold(0, |max, &x| max.max(magnitude(x)))
}
