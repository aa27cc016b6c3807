//! The tokens chosen before, and the repetition penalty.
//!
//! The window has 64 tokens, a ring without a heap. A token that occurs in it
//! several times is penalized once.

use heapless::Deque;

/// Tokens that the repetition penalty looks back at.
const HISTORY: usize = 64;

/// The tokens chosen last.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    tokens: Deque<u32, HISTORY>,
}

impl History {
    /// The oldest token is forgotten where there is no room.
    pub(super) fn remember(&mut self, token: u32) {
        if self.tokens.is_full() {
            self.tokens.pop_front();
        }
        // There is room now.
        let _ = self.tokens.push_back(token);
    }

    /// Makes tokens that were chosen before less likely, each once. `logits`
    /// are those from token `first` on.
    /// A `penalty` of 1, of 0 or less, or NaN changes nothing.
    pub(super) fn penalize(&self, penalty: f32, first: u32, logits: &mut [f32]) {
        // Written so that a NaN switches the penalty off.
        let active = penalty > 0.0 && penalty != 1.0;
        if !active {
            return;
        }
        let tokens = || self.tokens.iter();
        for (i, &token) in tokens().enumerate() {
            let Some(logit) = token
                .checked_sub(first)
                .and_then(|at| logits.get_mut(at as usize))
            else {
                continue;
            };
            if !tokens().take(i).any(|&earlier| earlier == token) {
                *logit = if *logit > 0.0 {
                    *logit / penalty
                } else {
                    *logit * penalty
                };
            }
        }
    }
}
