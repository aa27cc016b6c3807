//! The tokens chosen before, and the repetition penalty.
//!
//! The window has 64 tokens, a ring without a heap. A token that occurs in it
//! several times is penalized once.

use crate::number::divide;

/// Tokens that the repetition penalty looks back at.
const HISTORY: usize = 64;

/// The tokens chosen last.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Their complements; 0, which no token has, where none was chosen yet.
    tokens: [u32; HISTORY],
    /// The place of the next token, the oldest one's.
    next: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            tokens: [0; HISTORY],
            next: 0,
        }
    }
}

impl History {
    /// The oldest token is forgotten.
    pub(super) fn remember(&mut self, token: u32) {
        if let Some(oldest) = self.tokens.get_mut(self.next) {
            *oldest = !token;
        }
        self.next = (self.next + 1) % HISTORY;
    }

    /// Makes tokens that were chosen before less likely, each once. `logits`
    /// are those from token `first` on.
    pub(super) fn penalize(&self, penalty: Penalty, first: u32, logits: &mut [i32]) {
        if penalty.is_off() {
            return;
        }
        let tokens = || self.tokens.iter().map(|&kept| !kept);
        for (i, token) in tokens().enumerate() {
            let Some(logit) = token
                .checked_sub(first)
                .and_then(|at| logits.get_mut(at as usize))
            else {
                continue;
            };
            if !tokens().take(i).any(|earlier| earlier == token) {
                *logit = penalty.of(*logit);
            }
        }
    }
}

/// The repetition penalty, in units of 2^-16.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty {
    times: u32,
    by: u32,
}

impl Penalty {
    /// A `penalty` of 1, of 0 or less, or NaN changes nothing.
    // Inlined, so that no register of a floating-point unit passes it on.
    #[inline(always)]
    pub(super) fn new(penalty: f32) -> Self {
        match q16(penalty.to_bits()) {
            0 => Self {
                times: 1 << 16,
                by: 1 << 16,
            },
            times => Self {
                times,
                by: divide(u32::MAX, times, 32),
            },
        }
    }

    fn is_off(self) -> bool {
        self.times == 1 << 16
    }

    fn of(self, logit: i32) -> i32 {
        let factor = if logit > 0 { self.by } else { self.times };
        let product = (i64::from(logit) * i64::from(factor)) >> 16;
        product.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }
}

/// A float of these bits in units of 2^-16, by integers: rounded down; 0 where it
/// is not positive, and less than 2^31.
pub(super) fn q16(bits: u32) -> u32 {
    let (exponent, mantissa) = (bits >> 23, 1 << 23 | bits & 0x7f_ffff);
    match exponent {
        // NaN, and negative numbers.
        0xff if bits & 0x7f_ffff != 0 => 0,
        0x100.. => 0,
        // 2^15 and more.
        142.. => (1 << 31) - 1,
        134.. => mantissa << (exponent - 134),
        _ => mantissa.wrapping_shr((134 - exponent).min(31)),
    }
}
