//! Random numbers: xorshift, short and good enough for weights.

/// A generator; the same seed gives the same numbers.
pub struct Random(u32);

impl Random {
    /// A generator; any seed but 0.
    pub fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// The next 32 bits.
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// A number between `-limit` and `limit`.
pub fn between(limit: f32, random: &mut Random) -> f32 {
    random.next() as i32 as f32 * (limit / (1u32 << 31) as f32)
}
