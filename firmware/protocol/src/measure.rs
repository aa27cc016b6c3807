//! The lines of the bench firmware: one definition for writing
//! ([`core::fmt::Display`]) and for reading ([`Measure::parse`]).

use core::fmt;

/// Rows and columns of the matrices that kernels are compared by.
pub const SHAPES: [(u32, u32); 6] = [
    (64, 64),
    (128, 128),
    (256, 256),
    (512, 128),
    (128, 512),
    (1024, 256),
];

/// Rows and columns of the further matrices in the models whose tokens are
/// counted: they tell what of a token is matrix products.
pub const MODEL_SHAPES: [(u32, u32); 5] =
    [(256, 128), (192, 192), (768, 192), (192, 768), (512, 192)];

/// Vocabularies of these models: the lengths of their logits.
pub const MODEL_VOCABS: [u32; 2] = [256, 512];

/// Defines [`Measure`]: after the first word of each line, its fields follow in
/// the order that they have here.
macro_rules! measures {
    ($($(#[$about:meta])* $word:literal $kind:ident {
        $($(#[$meaning:meta])* $field:ident: $type:ty,)*
    })*) => {
        /// A line of the bench firmware.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Measure<'a> {
            $($(#[$about])* $kind { $($(#[$meaning])* $field: $type,)* },)*
            /// Nothing more follows.
            Done,
        }

        impl fmt::Display for Measure<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$kind { $($field),* } => {
                        f.write_str($word)?;
                        $(write!(f, " {}", $field)?;)*
                        Ok(())
                    })*
                    Self::Done => f.write_str("done"),
                }
            }
        }

        impl<'a> Measure<'a> {
            /// Reads a line, given without its line feed.
            pub fn parse(line: &'a str) -> Option<Self> {
                let mut words = line.split(' ');
                let measure = match words.next()? {
                    $($word => Self::$kind { $($field: Field::read(words.next()?)?,)* },)*
                    "done" => Self::Done,
                    _ => return None,
                };
                words.next().is_none().then_some(measure)
            }
        }
    };
}

measures! {
    /// A check of the kernels has ended.
    "check" Check {
        /// What was checked; one word.
        name: &'a str,
        /// How many products were compared.
        cases: u32,
        /// How many were wrong.
        wrong: u32,
    }
    /// Instructions of a matrix x vector product.
    "kernel" Kernel {
        /// Bits of a weight.
        bits: u32,
        /// Bits of the vector: 8 or 16.
        vectors: u32,
        /// Outputs.
        rows: u32,
        /// Inputs.
        cols: u32,
        /// Instructions of the integer sums.
        sums: u64,
        /// Instructions of the whole product, with the scales of the rows.
        scaled: u64,
        /// Instructions of preparing the vector.
        prepare: u64,
    }
    /// Instructions of choosing a token.
    "sample" Sample {
        /// How many logits there are.
        vocab: u32,
        /// Instructions of taking the likeliest.
        greedy: u64,
        /// Instructions of drawing one, with temperature and top-p.
        drawn: u64,
    }
    /// Instructions of a matrix state, one head.
    "state" State {
        /// Bits of an element: 16 or 8.
        bits: u32,
        /// Elements of the state.
        elements: u32,
        /// Instructions of a read: RWKV-5 and 6 read once, RWKV-7 twice.
        read: u64,
        /// Instructions of a write.
        write: u64,
    }
}

/// What a word of a line stands for.
trait Field<'a>: Sized {
    fn read(word: &'a str) -> Option<Self>;
}

impl<'a> Field<'a> for &'a str {
    fn read(word: &'a str) -> Option<Self> {
        Some(word)
    }
}

impl Field<'_> for u32 {
    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Field<'_> for u64 {
    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::string::ToString;

    #[test]
    fn every_line_comes_back() {
        let kernel = Measure::Kernel {
            bits: 4,
            vectors: 8,
            rows: 1024,
            cols: 256,
            sums: u64::MAX,
            scaled: 2,
            prepare: 3,
        };
        let check = Measure::Check {
            name: "int8-tails",
            cases: 630,
            wrong: 0,
        };
        let sample = Measure::Sample {
            vocab: 256,
            greedy: 1,
            drawn: 2,
        };
        let state = Measure::State {
            bits: 16,
            elements: 4096,
            read: 1,
            write: u64::MAX,
        };
        for line in [check, kernel, sample, state, Measure::Done] {
            assert_eq!(Measure::parse(&line.to_string()), Some(line));
        }
    }

    #[test]
    fn other_text_is_no_line() {
        for text in [
            "",
            "panicked",
            "check a 1",
            "kernel 8 16 1 2 3 4 5 6",
            "sample 256 1 2 3",
            "state 16 4096 1",
            "done 1",
        ] {
            assert_eq!(Measure::parse(text), None, "{text}");
        }
    }
}
