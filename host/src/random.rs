//! Random numbers: the same on every machine for the same seed.

use kinglet::Pcg32;

/// A stream of random numbers.
#[derive(Debug)]
pub struct Random {
    rng: Pcg32,
    spare: Option<f32>,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Pcg32::new(seed),
            spare: None,
        }
    }

    /// A standard normal number, by the polar method of Marsaglia.
    pub fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (self.symmetric(), self.symmetric());
            let s = a * a + b * b;
            if s > 0.0 && s < 1.0 {
                // Logarithms differ between systems, in the last bit of f64.
                let ln = f64::from(s).ln() as f32;
                let factor = (-2.0 * ln / s).sqrt();
                self.spare = Some(b * factor);
                return a * factor;
            }
        }
    }

    /// A number between -1 and 1.
    pub fn symmetric(&mut self) -> f32 {
        2.0 * self.rng.next_f32() - 1.0
    }

    /// A whole number below `end`, which must not be zero.
    pub fn below(&mut self, end: usize) -> usize {
        let wide = u64::from(self.rng.next_u32()) << 32 | u64::from(self.rng.next_u32());
        ((u128::from(wide) * end as u128) >> 64) as usize
    }
}
