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

use crate::Sample;

/// The hash of no bytes, as published.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
/// The factor of FNV with 64 bits, as published.
const PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, 64 bits.
/// For each byte: exclusive-or into the hash, then a product with the prime
/// modulo 2^64.
// For fingerprints of files in tests and of what a training reads, not for users.
#[doc(hidden)]
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

/// A sampler for one choice, with a hash of the logits that it sees.
///
/// `kinglet verify --lines` reads the line that is printed here, and compares it
/// with what the workstation computes:
///
/// ```
#[doc = concat!("# let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
/// # use kinglet::{Image, Sampler, Sampling, Session, Text};
/// use kinglet::hash::Hashed;
///
/// # let image = Image::new(bytes)?;
/// # let mut state = vec![0; image.shape().state_len()];
/// # let mut scratch = vec![0; image.shape().scratch_len()];
/// # let mut session = Session::new(&image, &mut state, &mut scratch)?;
/// # let mut sampler = Sampler::new(Sampling::greedy(), 0);
/// # let mut text = Text::new(&image, 3)?;
/// while text.end().is_none() {
///     let mut hashed = Hashed::new(&mut sampler);
///     let token = session.choose(text.token(), &mut hashed)?;
///     println!("token {token} {:016x}", hashed.finish());
///     text.push(token, |_| ());
/// }
/// # Ok::<(), kinglet::Error>(())
/// ```
#[allow(missing_debug_implementations)] // Samplers need not have one.
pub struct Hashed<'s> {
    sampler: &'s mut dyn Sample,
    hash: LogitsHash,
}

impl<'s> Hashed<'s> {
    /// Nothing has been seen.
    pub fn new(sampler: &'s mut dyn Sample) -> Self {
        Self {
            sampler,
            hash: LogitsHash::default(),
        }
    }

    /// The hash of all logits that were seen.
    pub fn finish(&self) -> u64 {
        self.hash.finish()
    }
}

impl Sample for Hashed<'_> {
    fn wants_all(&self) -> bool {
        self.sampler.wants_all()
    }

    // Before the sampler, which may change them.
    fn see(&mut self, first: u32, logits: &mut [i32]) {
        self.hash.update(logits);
        self.sampler.see(first, logits);
    }

    fn choose(&mut self) -> u32 {
        self.sampler.choose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sampler, Sampling};

    #[test]
    fn agrees_with_published_vectors() {
        assert_eq!(logits_hash(&[]), 0xcbf2_9ce4_8422_2325);
        // FNV-1a-64 of the four bytes "chon" and of four zero bytes.
        let zero = (0..4).fold(OFFSET, |hash, _| hash.wrapping_mul(PRIME));
        assert_eq!(logits_hash(&[0]), zero);
    }

    #[test]
    fn a_hashed_sampler_chooses_as_before() {
        let logits = [3 << 16, -1 << 16, 5 << 16, 5 << 16];
        let warm = Sampling {
            temperature: 0.9,
            ..Sampling::greedy()
        };
        let mut alone = Sampler::<0>::new(warm, 7);
        alone.see(0, &mut logits.clone());
        let mut sampler = Sampler::<0>::new(warm, 7);
        let mut hashed = Hashed::new(&mut sampler);
        assert_eq!(hashed.wants_all(), alone.wants_all());
        hashed.see(0, &mut logits.clone());
        assert_eq!(hashed.choose(), alone.choose());
        assert_eq!(hashed.finish(), logits_hash(&logits));
    }
}
