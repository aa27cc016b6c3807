//! The random numbers of the sampler: the same for a seed on every core and in
//! every release, because golden files record what follows from them.

/// PCG-XSH-RR 64/32 (M. O'Neill, "PCG: A Family of Simple Fast
/// Space-Efficient Statistically Good Algorithms", 2014).
///
/// The state is 64 bits of a linear congruential generator; an output is 32 of
/// them, shifted, folded and rotated by its top five bits. The period is 2^64.
/// Not for secrets.
#[derive(Clone, Debug)]
pub struct Pcg32 {
    state: u64,
}

/// The multiplier of PCG's 64-bit generator, as published.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
/// The stream; any odd number.
const INCREMENT: u64 = (54 << 1) | 1;

impl Pcg32 {
    /// A generator that starts from `seed`.
    /// Every seed is as good as any other, 0 included.
    pub fn new(seed: u64) -> Self {
        let mut rng = Self { state: 0 };
        rng.advance();
        rng.state = rng.state.wrapping_add(seed);
        rng.advance();
        rng
    }

    fn advance(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.advance();
        let xorshifted = (((old >> 18) ^ old) >> 27) as u32;
        xorshifted.rotate_right((old >> 59) as u32)
    }

    /// A number in [0, 1), with 24 random bits.
    /// It is one of the 2^24 multiples of 2^-24, each as likely as the others.
    // Inlined: the library itself has no floating point.
    #[inline]
    pub fn next_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_reference_implementation() {
        // Seed 42 and stream 54: the demo of the author's C library.
        let mut rng = Pcg32::new(42);
        let expected = [
            0xa15c_02b7u32,
            0x7b47_f409,
            0xba1d_3330,
            0x83d2_f293,
            0xbfa4_784b,
        ];
        for value in expected {
            assert_eq!(rng.next_u32(), value);
        }
    }

    #[test]
    fn floats_lie_in_the_unit_interval() {
        let mut rng = Pcg32::new(7);
        let mean = (0..10_000).map(|_| rng.next_f32()).sum::<f32>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean));
    }
}
