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
const FUNCTIONS: [(Part, &[&str]); 8] = [
    (
        Part::Products,
        &[
            "matvec",
            "sums",
            "shifted_sums",
            "fine_sums",
            "add_low",
            "scale",
            "scale_rows",
            "scale_blocks",
            "to_logits",
        ],
    ),
    (Part::Quantization, &["prepare", "prepare_fine"]),
    (Part::Norms, &["layer_norm", "group_norm", "norm"]),
    (
        Part::TokenShift,
        &["token_shift", "token_shift_less", "copy"],
    ),
    (
        Part::Recurrence,
        &[
            "weighted_average",
            "average",
            "round_off",
            "plan",
            "coefficients",
            "to_16_bits",
            "top_of",
            "add_values",
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
            "shares",
            "times",
            "unit_length",
        ],
    ),
    (Part::Residual, &["add", "align", "read_row"]),
    (Part::Sampling, &["see", "choose", "replace"]),
];

/// What several kinds of work call for: it counts for who called it.
const CALLED: [&str; 2] = ["dot", "dot_rounds"];

/// Words that what a port defines, and routines in assembly, have in their names or paths.
const ROUTINES: [(Part, &[&str]); 7] = [
    (Part::Quantization, &["prepare"]),
    (Part::Products, &["int4", "int6", "int8", "fine", "scale"]),
    (Part::Norms, &["affine", "less", "squares", "sum"]),
    (Part::TokenShift, &["shift", "copy"]),
    (Part::Functions, &["relu", "positive", "gated", "shares"]),
    (
        Part::Recurrence,
        &[
            "state",
            "rows",
            "read",
            "write",
            "average",
            "round",
            "plan",
            "bits",
            "decay",
            "halves",
            "max",
            "most",
            "coefficients",
            "differences",
            "values",
        ],
    ),
    (Part::Residual, &["add"]),
];

/// Folders and files of the library whose functions all do a kind of work.
const FILES: [(Part, &str); 8] = [
    (Part::Sampling, "text/"),
    // What is called from the steps of a head, or is a routine of it.
    (Part::Recurrence, "arch/state.rs"),
    (Part::Sampling, "random.rs"),
    (Part::Control, "session/"),
    (Part::Control, "layers/"),
    (Part::Control, "image/"),
    (Part::Control, "shape/"),
    // Where the compiler names no line, it names the first file.
    (Part::Control, "lib.rs"),
];

/// The functions that call for the parts of a layer.
const LAYERS: [&str; 7] = [
    "layer", "time_mix", "gated", "plain", "hidden", "value", "low_rank",
];

/// A function that an instruction belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name as in the source, possibly with its path and types.
    pub function: String,
    /// The file that it is in.
    pub file: String,
}

/// Where the library's files are, and where a crate of Rust's own has its files.
const LIBRARY: &str = "/core/src/";
const RUSTS_OWN: &str = "/library/core/src/";

/// The part of an instruction, by its functions, the outermost first. `None` where
/// they are the compiler's, or what several kinds of work call for: it works for who
/// called it.
///
/// # Errors
/// The library's function that belongs to no part, and its file.
pub fn part_of(frames: &[Frame]) -> Result<Option<Part>, String> {
    let own = |frame: &&Frame| frame.in_library("") || frame.is_routine();
    let (named, routine, in_file) = (Frame::named, Frame::routine, Frame::in_file);
    let rules: [fn(&Frame) -> Option<Part>; 3] = [named, routine, in_file];
    for rule in rules {
        if let Some(part) = frames.iter().filter(own).find_map(rule) {
            return Ok(Some(part));
        }
    }
    match frames.iter().find(own) {
        Some(frame) if CALLED.contains(&bare(&frame.function)) => Ok(None),
        Some(frame) => Err(format!("{} ({})", bare(&frame.function), frame.file)),
        // The firmware itself calls the library.
        None => {
            let is_own = |frame: &Frame| frame.file.contains("/firmware/");
            Ok(frames.iter().any(is_own).then_some(Part::Control))
        }
    }
}

impl Frame {
    /// Whether it is in this folder of the library.
    pub fn in_library(&self, folder: &str) -> bool {
        let found = self.file.split_once(LIBRARY);
        found.is_some_and(|(_, file)| file.starts_with(folder)) && !self.file.contains(RUSTS_OWN)
    }

    /// Whether it has no source: a routine of the library in assembly.
    fn is_routine(&self) -> bool {
        let name = &self.function;
        let has_path = name.contains("::");
        let is_named = name.starts_with("kinglet_") && !has_path;
        self.file.is_empty() && (is_named || name.starts_with("kinglet::arch::"))
    }

    /// The part that its name says.
    fn named(&self) -> Option<Part> {
        let name = bare(&self.function);
        let named = FUNCTIONS.iter().find(|(_, names)| names.contains(&name));
        named.map(|(part, _)| *part)
    }

    /// The part that a word of its name says, in `arch`.
    fn routine(&self) -> Option<Part> {
        if !self.is_routine() && !self.in_library("arch/") {
            return None;
        }
        let words = self.function.split(|c: char| !c.is_ascii_alphanumeric());
        let has = |known: &[&str]| words.clone().any(|word| known.contains(&word));
        let found = ROUTINES.iter().find(|(_, known)| has(known));
        found.map(|(part, _)| *part)
    }

    /// The part that its file says; or that it is a layer's own code, of which a line
    /// may be from a function that the compiler does not name.
    fn in_file(&self) -> Option<Part> {
        if LAYERS.contains(&bare(&self.function)) {
            return Some(Part::Control);
        }
        let found = FILES.iter().find(|(_, start)| self.in_library(start));
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
        let routine = |name| part_of(&[frame(name, "")]);
        assert_eq!(routine("kinglet_mve_int8"), Ok(Some(Part::Products)));
        // What scales rows of a state is no product of a layer.
        assert_eq!(routine("kinglet_rows_scaled"), Ok(Some(Part::Recurrence)));
        let called = frame("kinglet::arch::shared::thumb2::dot_rounds", "");
        assert_eq!(part(&[&called]), Ok(None));
        // What does some work of its own and has no part is an error.
        let unknown = "mulq (/k/core/src/number/product.rs)";
        assert_eq!(part(&[&product]), Err(unknown.into()));
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
