//! Fingerprints of logits, for comparing runs on different machines.
//!
//! Two runs agree to the bit if their hashes do, up to the collisions of a 64-bit
//! hash. The hash is FNV-1a (Fowler, Noll, Vo) with 64 bits, which needs no
//! table. It detects accidents, not deliberate changes.
//!
//! ```
//! use kinglet::hash::{logits_hash, LogitsHash};
//!
//! let logits = [32_768, -65_536, 131_072, 16_384];
//! let mut hash = LogitsHash::default();
//! hash.update(&logits[..3]);
//! hash.update(&logits[3..]);
//! assert_eq!(hash.finish(), logits_hash(&logits));
//! ```

/// The hash of no bytes, as published.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
/// The factor of FNV with 64 bits, as published.
const PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, 64 bits.
/// For each byte: exclusive-or into the hash, then a product with the prime
/// modulo 2^64.
pub fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    take_in(OFFSET, bytes)
}

fn take_in(hash: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

/// FNV-1a over the logits' little-endian bytes: equal for equal
/// bits, on every core.
pub fn logits_hash(logits: &[i32]) -> u64 {
    let mut hash = LogitsHash::default();
    hash.update(logits);
    hash.finish()
}

/// [`logits_hash`] of logits that come block by block.
/// Where a block ends does not change the hash.
#[derive(Clone, Debug)]
pub struct LogitsHash(u64);

impl Default for LogitsHash {
    fn default() -> Self {
        Self(OFFSET)
    }
}

impl LogitsHash {
    /// Takes in the next logits.
    pub fn update(&mut self, logits: &[i32]) {
        let bytes = logits.iter().flat_map(|logit| logit.to_le_bytes());
        self.0 = take_in(self.0, bytes);
    }

    /// The hash of all logits so far.
    pub fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_vectors() {
        assert_eq!(logits_hash(&[]), 0xcbf2_9ce4_8422_2325);
        // FNV-1a-64 of the four bytes "chon" and of four zero bytes.
        let zero = (0..4).fold(OFFSET, |hash, _| hash.wrapping_mul(PRIME));
        assert_eq!(logits_hash(&[0]), zero);
    }
}
