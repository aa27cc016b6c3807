//! The parts of a token: which function does which kind of work.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Products of the layers' matrices with vectors, scales included.
    Products,
    /// Quantizing and arranging the vectors of the layers' products.
    Quantization,
    /// Layer norms and group norms.
    Norms,
    /// Mixing a vector with that of the token before, and keeping it.
    TokenShift,
    /// RWKV-4's weighted average; the matrix states of RWKV-5 to 7, with all that
    /// their steps need.
    Recurrence,
    /// Gates, and the functions of hidden vectors.
    Functions,
    /// The row of the embedding, and the sums of the residual stream.
    Residual,
    /// The product that gives the logits, with the quantization of its vector.
    Head,
    /// Choosing the token.
    Sampling,
    /// The code between these: buffers are divided, parts of the image found.
    Control,
}

impl Part {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 10] = [
        Self::Products,
        Self::Quantization,
        Self::Norms,
        Self::TokenShift,
        Self::Recurrence,
        Self::Functions,
        Self::Residual,
        Self::Head,
        Self::Sampling,
        Self::Control,
    ];

    /// As `--json` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Quantization => "quantization",
            Self::Norms => "norms",
            Self::TokenShift => "token_shift",
            Self::Recurrence => "recurrence",
            Self::Functions => "functions",
            Self::Residual => "residual",
            Self::Head => "head",
            Self::Sampling => "sampling",
            Self::Control => "control",
        }
    }
}

/// The functions of the library that do a kind of work, with all that is inlined in
/// them, and all that they are inlined in.
const FUNCTIONS: [(Part, &[&str]); 7] = [
    (
        Part::Products,
        &["matvec", "sums", "scale_rows", "to_logits"],
    ),
    (Part::Quantization, &["prepare"]),
    (Part::Norms, &["layer_norm", "group_norm", "norm"]),
    (
        Part::TokenShift,
        &["token_shift", "token_shift_less", "copy"],
    ),
    (
        Part::Recurrence,
        &[
            "weighted_average",
            "make_room",
            "heads",
            "heads_of",
            "advance",
            "of_head",
            "bonus",
        ],
    ),
    (
        Part::Functions,
        &[
            "add_gated",
            "multiply_silu",
            "multiply",
            "apply",
            "relu_squared",
            "lean",
            "decay",
            "direction",
            "learn",
            "add_bonus",
            "max_of",
        ],
    ),
    (Part::Residual, &["add", "read_row"]),
];

/// Words that routines in assembly have in their names.
const ROUTINES: [(Part, &str); 6] = [
    (Part::Quantization, "prepare"),
    (Part::Products, "int4"),
    (Part::Products, "int8"),
    (Part::Products, "scale"),
    (Part::Norms, "affine"),
    (Part::TokenShift, "shift"),
];

/// Folders and files of the library whose functions all do a kind of work.
const FILES: [(Part, &str); 6] = [
    (Part::Sampling, "text/"),
    (Part::Sampling, "random.rs"),
    (Part::Control, "session/"),
    (Part::Control, "layers/"),
    (Part::Control, "image/"),
    (Part::Control, "shape/"),
];

/// A function that an instruction belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name as in the source, possibly with its path and types.
    pub function: String,
    /// The file that it is in.
    pub file: String,
}

/// Where the library's files are.
const LIBRARY: &str = "/core/src/";

/// The part of an instruction, by its functions, the outermost first. `None` where
/// they are the compiler's: it works for who called it.
///
/// # Errors
/// The name of the library's function that belongs to no part.
pub fn part_of(frames: &[Frame]) -> Result<Option<Part>, String> {
    let own = |frame: &&Frame| frame.file.contains(LIBRARY) || frame.is_routine();
    let (named, routine, in_file) = (Frame::named, Frame::routine, Frame::in_file);
    let rules: [fn(&Frame) -> Option<Part>; 3] = [named, routine, in_file];
    for rule in rules {
        if let Some(part) = frames.iter().filter(own).find_map(rule) {
            return Ok(Some(part));
        }
    }
    match frames.iter().find(own) {
        Some(frame) => Err(frame.function.clone()),
        // The firmware itself calls the library.
        None => {
            let is_firmware = frames.iter().any(|frame| frame.file.contains("/firmware/"));
            Ok(is_firmware.then_some(Part::Control))
        }
    }
}

impl Frame {
    /// Whether it has no source: a routine of the library in assembly.
    fn is_routine(&self) -> bool {
        self.file.is_empty() && self.function.contains("kinglet_")
    }

    /// The part that its name says.
    fn named(&self) -> Option<Part> {
        let name = bare(&self.function);
        let named = FUNCTIONS.iter().find(|(_, names)| names.contains(&name));
        named.map(|(part, _)| *part)
    }

    /// The part that a word of its name says, in `arch`.
    fn routine(&self) -> Option<Part> {
        if !self.is_routine() && !self.file.contains("/core/src/arch/") {
            return None;
        }
        let words: Vec<_> = bare(&self.function).split('_').collect();
        let found = ROUTINES.iter().find(|(_, word)| words.contains(word));
        found.map(|(part, _)| *part)
    }

    /// The part that its file says.
    fn in_file(&self) -> Option<Part> {
        let (_, file) = self.file.split_once(LIBRARY)?;
        let found = FILES.iter().find(|(_, start)| file.starts_with(start));
        found.map(|(part, _)| *part)
    }
}

/// A function's name without path and types.
fn bare(function: &str) -> &str {
    let mut depth = 0;
    let mut end = function.len();
    let mut start = 0;
    for (at, c) in function.char_indices().rev() {
        match c {
            '>' => depth += 1,
            '<' => {
                depth -= 1;
                // Types at the end are no part of the name.
                if depth == 0 && function[at..end].ends_with('>') && at > 0 {
                    end = at;
                }
            }
            ':' if depth == 0 => {
                if at + 1 < end {
                    start = at + 1;
                    break;
                }
                end = at;
            }
            _ => {}
        }
    }
    &function[start..end]
}

/// The instructions of a token by the kind of work; their sum is the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, u64>", into = "BTreeMap<String, u64>")]
pub struct Parts([u64; Part::ALL.len()]);

impl Parts {
    /// Adds instructions to a part.
    pub fn add(&mut self, part: Part, instructions: u64) {
        self.0[part as usize] += instructions;
    }

    /// All of them, in the order of tables.
    pub fn named(&self) -> impl Iterator<Item = (Part, u64)> {
        Part::ALL.into_iter().zip(self.0)
    }

    /// The instructions of a part.
    pub fn of(&self, part: Part) -> u64 {
        self.0[part as usize]
    }

    /// The instructions of all.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl From<BTreeMap<String, u64>> for Parts {
    fn from(named: BTreeMap<String, u64>) -> Self {
        Self(Part::ALL.map(|part| named.get(part.name()).copied().unwrap_or(0)))
    }
}

impl From<Parts> for BTreeMap<String, u64> {
    fn from(parts: Parts) -> Self {
        let named = parts.named();
        named
            .map(|(part, count)| (part.name().into(), count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str) -> Frame {
        Frame {
            function: function.into(),
            file: file.into(),
        }
    }

    #[test]
    fn names_are_bare() {
        for (function, name) in [
            ("token_shift<kinglet::arch::dsp::Dsp>", "token_shift"),
            ("kinglet::layers::v4::layer", "layer"),
            (
                "<kinglet::arch::Serial as kinglet::arch::Executor>::matvec",
                "matvec",
            ),
            ("<a::B<c::D> as e::F>::g<h::I<j>>", "g"),
            ("{closure#1}<kinglet::layers::pace::Whole>", "{closure#1}"),
            ("kinglet_mve_int8", "kinglet_mve_int8"),
            ("a::b::<c::D>::e", "e"),
        ] {
            assert_eq!(bare(function), name, "{function}");
        }
    }

    #[test]
    fn the_outermost_function_that_is_known_counts() {
        let layer = frame("kinglet::layers::v4::layer", "/k/core/src/layers/v4.rs");
        let shift = frame("token_shift", "/k/core/src/arch/steps.rs");
        let product = frame("mulq", "/k/core/src/number/product.rs");
        let library = frame("next<i32>", "/rustc/1/library/core/src/slice/iter.rs");
        let part = |frames: &[&Frame]| {
            let frames: Vec<_> = frames.iter().map(|&frame| frame.clone()).collect();
            part_of(&frames)
        };
        let found = part(&[&layer, &shift, &product, &library]);
        assert_eq!(found, Ok(Some(Part::TokenShift)));
        assert_eq!(part(&[&layer, &library]), Ok(Some(Part::Control)));
        assert_eq!(part(&[&library]), Ok(None));
        let routine = frame("kinglet_mve_int8", "");
        assert_eq!(part(&[&routine]), Ok(Some(Part::Products)));
        // What does some work of its own and has no part is an error.
        assert_eq!(part(&[&product]), Err("mulq".into()));
    }

    #[test]
    fn parts_add_up() {
        let mut parts = Parts::default();
        parts.add(Part::Norms, 3);
        parts.add(Part::Norms, 4);
        parts.add(Part::Head, 1);
        assert_eq!((parts.of(Part::Norms), parts.of(Part::Products)), (7, 0));
        assert_eq!(parts.sum(), 8);
    }
}
