//! RWKV versions.

use kinglet::shape;
use std::fmt;

/// An RWKV version, as checkpoints have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Version {
    /// RWKV-4 "Dove"
    V4,
    /// RWKV-5.0: a matrix state, one decay per head, no gate
    #[value(name = "v5.0")]
    V5,
    /// RWKV-5.1: the same with a gate
    #[value(name = "v5.1")]
    V51,
    /// RWKV-5.2 "Eagle": a decay per channel
    #[value(name = "v5")]
    V52,
    /// RWKV-6 "Finch"
    V6,
    /// RWKV-7 "Goose"
    V7,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 6] = [Self::V4, Self::V5, Self::V51, Self::V52, Self::V6, Self::V7];

    /// The recurrence that an image of it needs: that of 5.2 serves 5.1.
    pub fn recurrence(self) -> shape::Version {
        match self {
            Self::V4 => shape::Version::V4,
            Self::V5 => shape::Version::V5,
            Self::V51 | Self::V52 => shape::Version::V52,
            Self::V6 => shape::Version::V6,
            Self::V7 => shape::Version::V7,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "RWKV-4",
            Self::V5 => "RWKV-5.0",
            Self::V51 => "RWKV-5.1",
            Self::V52 => "RWKV-5.2",
            Self::V6 => "RWKV-6",
            Self::V7 => "RWKV-7",
        })
    }
}
