//! The arrangements of weights.
//!
//! `docs/format.md`, chapter "Matrix", defines them byte by byte; the modules
//! of `arch` say why they suit their instructions. `kinglet quantize --target`
//! chooses one.

/// How the weights are arranged: an arrangement for the instruction set of each
/// family of cores. The values are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// Cortex-M4, M7, M33: what `SMLAD` consumes; also the workstation's.
    Rows4,
    /// Cortex-M0, M0+, M3, RISC-V: two rows share a 32-bit multiplication.
    Pairs,
    /// Cortex-M55: vectors of 16 bytes.
    Lanes16,
}

impl Layout {
    /// All arrangements.
    pub const ALL: [Self; 3] = [Layout::Rows4, Layout::Pairs, Layout::Lanes16];

    /// Its name in `docs/format.md`.
    pub const fn name(self) -> &'static str {
        match self {
            Layout::Rows4 => "rows4",
            Layout::Pairs => "pairs",
            Layout::Lanes16 => "lanes16",
        }
    }

    /// The layout with this name.
    pub const fn named(name: &str) -> Option<Self> {
        match name.as_bytes() {
            b"rows4" => Some(Layout::Rows4),
            b"pairs" => Some(Layout::Pairs),
            b"lanes16" => Some(Layout::Lanes16),
            _ => None,
        }
    }

    /// From the number that the image stores.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Layout::Rows4),
            1 => Some(Layout::Pairs),
            2 => Some(Layout::Lanes16),
            _ => None,
        }
    }

    /// Whether this build can run it: a firmware has the code for its own
    /// family, or for all with the feature `all-layouts`.
    pub const fn is_supported(self) -> bool {
        match self {
            Layout::Rows4 => cfg!(kinglet_rows4),
            Layout::Pairs => cfg!(kinglet_pairs),
            Layout::Lanes16 => cfg!(kinglet_lanes16),
        }
    }

    /// The only one that the build has: code for others, and the choice, is left out.
    const ONLY: Option<Self> = match (
        Layout::Rows4.is_supported(),
        Layout::Pairs.is_supported(),
        Layout::Lanes16.is_supported(),
    ) {
        (true, false, false) => Some(Layout::Rows4),
        (false, true, false) => Some(Layout::Pairs),
        (false, false, true) => Some(Layout::Lanes16),
        _ => None,
    };

    /// The same where the build has several, else its only one: an image of another one
    /// is refused.
    #[inline(always)]
    pub(crate) const fn or_only(self) -> Self {
        match Self::ONLY {
            Some(only) => only,
            None => self,
        }
    }

    /// Columns of int8 weights that lie together; rows are padded to them.
    pub const fn step_cols(self) -> usize {
        match self {
            Layout::Rows4 | Layout::Pairs => 4,
            Layout::Lanes16 => 16,
        }
    }
}
