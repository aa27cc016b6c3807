//! RWKV versions, as far as the recurrence is concerned.

/// An RWKV version: the recurrence of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// RWKV-4 "Dove": a weighted average per channel.
    V4,
    /// RWKV-5.0 "Eagle" without gate: a matrix state per head.
    V5,
    /// RWKV-5.1 and 5.2: the same with a gate. 5.1's one decay per head is
    /// stored as one per channel.
    V52,
    /// RWKV-6 "Finch": token shift and decay depend on the data.
    V6,
    /// RWKV-7 "Goose": the state learns by the delta rule.
    V7,
}

impl Version {
    /// From the major and minor number that the image stores.
    pub const fn from_numbers(major: u8, minor: u8) -> Option<Self> {
        match (major, minor) {
            (4, 0) => Some(Version::V4),
            (5, 0) => Some(Version::V5),
            (5, 2) => Some(Version::V52),
            (6, 0) => Some(Version::V6),
            (7, 0) => Some(Version::V7),
            _ => None,
        }
    }

    /// The major and minor number that the image stores.
    pub const fn numbers(self) -> (u8, u8) {
        match self {
            Version::V4 => (4, 0),
            Version::V5 => (5, 0),
            Version::V52 => (5, 2),
            Version::V6 => (6, 0),
            Version::V7 => (7, 0),
        }
    }

    /// Whether this build runs it: each version is a feature of the crate.
    pub const fn is_supported(self) -> bool {
        match self {
            Version::V4 => cfg!(feature = "v4"),
            Version::V5 | Version::V52 => cfg!(feature = "v5"),
            Version::V6 => cfg!(feature = "v6"),
            Version::V7 => cfg!(feature = "v7"),
        }
    }

    /// Whether the state is a matrix per head. A build for RWKV-4 alone refuses
    /// all others, and has no code for them.
    pub const fn has_heads(self) -> bool {
        cfg!(any(feature = "v5", feature = "v6", feature = "v7")) && !matches!(self, Version::V4)
    }
}

impl core::fmt::Display for Version {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.numbers() {
            (5, minor) => write!(f, "RWKV-5.{minor}"),
            (major, _) => write!(f, "RWKV-{major}"),
        }
    }
}
