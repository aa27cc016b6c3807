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

    /// A number of at most `bits` bits and a sign: about as often of few bits as
    /// of many, and one in eight is the largest or the smallest.
    pub fn of_bits(&mut self, bits: u32) -> i32 {
        let most = (1 << bits) - 1;
        let places = 31 - bits + (self.next() >> 8) % bits;
        match self.next() >> 20 & 15 {
            0 => most,
            1 => -most,
            _ => (self.next() as i32 >> places).clamp(-most, most),
        }
    }
}
