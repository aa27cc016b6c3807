//! Which format each matrix gets: that of the least divergence within a number of bytes
//! and of instructions.
//!
//! The divergence of a model is taken for the sum of its matrices', each from a probe:
//! that of weights falls to a 4.2th with each bit. So the best formats are found
//! matrix by matrix for a price of bytes and one of instructions, and the prices by
//! bisection.

use super::sensitivity::Sensitivity;
use crate::pack::{Format, StoredPart};
use crate::plan::CoreCosts;
use kinglet::shape::{Bits, Shape};

/// The divergence of a bit less, measured on models of RWKV-4 to 7.
const PER_BIT: f64 = 4.2;

/// What compensation leaves of the divergence by weights, at 4 bits of the models of
/// RWKV-5, where it leaves the most.
const COMPENSATED: f64 = 0.4;

/// The share of the divergence that a share of the instructions must save, at least.
const PAYS: f64 = 0.5;

/// Halvings of the range that a price is in.
const HALVINGS: usize = 40;

/// What formats may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the header and all parts.
    pub bytes: u64,
    /// Instructions of a token more than with the formats that the choice begins with.
    pub more_instructions: f64,
}

/// What a choice comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Bytes of the matrices.
    pub bytes: u64,
    /// Instructions of their products.
    pub instructions: f64,
    /// The predicted divergence, in nats for each token.
    pub divergence: f64,
}

/// A format of a matrix, and what it takes.
#[derive(Clone, Copy, Debug)]
struct Choice {
    format: Format,
    totals: Totals,
}

/// The divergence that a matrix of this sensitivity costs in a format, in nats for each
/// token.
pub fn predicted(cost: &Sensitivity, format: Format, is_compensated: bool) -> f64 {
    let left = if is_compensated { COMPENSATED } else { 1.0 };
    let bits = i32::from(Bits::Int4.count()) - i32::from(format.bits.count());
    let vectors = if format.fine { 0.0 } else { cost.vectors };
    left * cost.weights * PER_BIT.powi(bits) + vectors
}

/// Gives the parts that have a choice the best of the formats that `allowed` says; the
/// others keep theirs. `sensitivities` are those of the parts with a choice, in order.
/// Nothing where no choice is within the limits, or the core was not measured.
pub fn choose(
    shape: &Shape,
    parts: &[StoredPart],
    sensitivities: &[Sensitivity],
    costs: &CoreCosts,
    limits: Limits,
    is_compensated: bool,
    allowed: impl Fn(&StoredPart) -> Vec<Format>,
) -> Option<(Vec<StoredPart>, Totals)> {
    let choices = |part: &StoredPart, cost: &Sensitivity| -> Option<Vec<Choice>> {
        let choice = |format: Format| {
            let part = part.with(format);
            Some(Choice {
                format,
                totals: Totals {
                    bytes: part.part.kind.bytes(shape, format.bits),
                    instructions: costs.of_products(shape, &[part])?,
                    divergence: predicted(cost, format, is_compensated),
                },
            })
        };
        allowed(part).into_iter().map(choice).collect()
    };
    let chosen = parts.iter().filter(|part| part.has_choice());
    let matrices: Option<Vec<_>> = chosen
        .zip(sensitivities)
        .map(|(p, s)| choices(p, s))
        .collect();
    let matrices = matrices?;
    let fixed: u64 = crate::pack::parts_bytes(shape, parts)
        - parts
            .iter()
            .filter(|part| part.has_choice())
            .map(|part| part.part.kind.bytes(shape, part.bits))
            .sum::<u64>();
    let before: f64 = costs.of_products(shape, parts)?;
    let others: Vec<StoredPart> = parts
        .iter()
        .filter(|part| !part.has_choice())
        .copied()
        .collect();
    let others = costs.of_products(shape, &others)?;
    let search = Search {
        matrices,
        bytes: limits.bytes.checked_sub(fixed)?,
        instructions: before + limits.more_instructions - others,
    };
    let formats = search.best()?;
    let totals = search.totals(&formats);
    let mut formats = formats
        .into_iter()
        .zip(&search.matrices)
        .map(|(i, of)| of[i].format);
    let parts = parts.iter().map(|part| match part.has_choice() {
        true => part.with(formats.next().expect("one for each")),
        false => *part,
    });
    Some((parts.collect(), totals))
}

/// The choices of each matrix, and what all may take.
struct Search {
    matrices: Vec<Vec<Choice>>,
    bytes: u64,
    instructions: f64,
}

impl Search {
    /// The chosen formats, an index for each matrix.
    fn best(&self) -> Option<Vec<usize>> {
        let cheapest = self.within_bytes(0.0)?;
        let totals = self.totals(&cheapest);
        let least = PAYS * totals.divergence / totals.instructions;
        let fits = |totals: Totals| totals.instructions <= self.instructions;
        let found = self.cheapest(least, |price| self.within_bytes(price), fits);
        found.map(|formats| self.filled(formats, least))
    }

    /// The best formats at a price of instructions that are within the bytes.
    fn within_bytes(&self, instruction: f64) -> Option<Vec<usize>> {
        let fits = |totals: Totals| totals.bytes <= self.bytes;
        self.cheapest(0.0, |price| Some(self.at(price, instruction)), fits)
    }

    /// The formats at the lowest price, from `least` on, at which they fit.
    fn cheapest(
        &self,
        least: f64,
        at: impl Fn(f64) -> Option<Vec<usize>>,
        fits: impl Fn(Totals) -> bool,
    ) -> Option<Vec<usize>> {
        let mut found = None;
        let mut price = Price::from(least);
        for _ in 0..HALVINGS {
            let formats = at(price.now())?;
            let fits = fits(self.totals(&formats));
            if fits {
                found = Some(formats);
            }
            if fits && price.is_first {
                break;
            }
            price.halve(fits);
        }
        found
    }

    /// The best formats at prices in nats.
    fn at(&self, byte: f64, instruction: f64) -> Vec<usize> {
        let cost = |choice: &Choice| {
            let Totals {
                bytes,
                instructions,
                divergence,
            } = choice.totals;
            divergence + byte * bytes as f64 + instruction * instructions
        };
        let best = |choices: &Vec<Choice>| {
            let costs = choices.iter().map(cost).enumerate();
            let least = costs.min_by(|(_, a), (_, b)| a.total_cmp(b));
            least.map_or(0, |(index, _)| index)
        };
        self.matrices.iter().map(best).collect()
    }

    fn totals(&self, formats: &[usize]) -> Totals {
        let chosen = self
            .matrices
            .iter()
            .zip(formats)
            .map(|(of, &i)| of[i].totals);
        chosen.fold(Totals::default(), |sum, one| Totals {
            bytes: sum.bytes + one.bytes,
            instructions: sum.instructions + one.instructions,
            divergence: sum.divergence + one.divergence,
        })
    }

    /// With single changes that what is left has room for, the best first.
    fn filled(&self, mut formats: Vec<usize>, instruction: f64) -> Vec<usize> {
        loop {
            let now = self.totals(&formats);
            let change = |matrix: usize, to: usize| {
                let (from, to_totals) = (
                    self.matrices[matrix][formats[matrix]].totals,
                    self.matrices[matrix][to].totals,
                );
                let bytes = now.bytes - from.bytes + to_totals.bytes;
                let more = to_totals.instructions - from.instructions;
                let fits = bytes <= self.bytes && now.instructions + more <= self.instructions;
                let saved = from.divergence - to_totals.divergence - instruction * more;
                (fits && saved > 0.0).then_some((saved, matrix, to))
            };
            let all = self.matrices.iter().enumerate();
            let all = all.flat_map(|(matrix, of)| (0..of.len()).map(move |to| (matrix, to)));
            let best = all
                .filter_map(|(matrix, to)| change(matrix, to))
                .max_by(|(a, ..), (b, ..)| a.total_cmp(b));
            let Some((_, matrix, to)) = best else {
                return formats;
            };
            formats[matrix] = to;
        }
    }
}

/// A price, as high as is needed: from the least on by bisection of its exponent.
struct Price {
    least: f64,
    /// Powers of two that it is between.
    range: [f64; 2],
    is_first: bool,
}

impl Price {
    fn from(least: f64) -> Self {
        Self {
            least,
            range: [-120.0, 40.0],
            is_first: true,
        }
    }

    /// The least at first.
    fn now(&self) -> f64 {
        match self.is_first {
            true => self.least,
            false => self.least + libm::exp2((self.range[0] + self.range[1]) / 2.0),
        }
    }

    /// A lower one where this is high enough.
    fn halve(&mut self, is_enough: bool) {
        if !self.is_first {
            self.range[usize::from(is_enough)] = (self.range[0] + self.range[1]) / 2.0;
        }
        self.is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix() -> impl Strategy<Value = Vec<Choice>> {
        let choice =
            (1u64..40, 1u32..40, 0.0..1.0f64).prop_map(|(bytes, instructions, divergence)| {
                let totals = Totals {
                    bytes,
                    instructions: instructions.into(),
                    divergence,
                };
                let format = Bits::Int8.into();
                Choice { format, totals }
            });
        proptest::collection::vec(choice, 1..4)
    }

    /// All ways to choose, an index for each matrix.
    fn all(matrices: &[Vec<Choice>]) -> Vec<Vec<usize>> {
        matrices.iter().fold(vec![vec![]], |ways, of| {
            let more = |way: Vec<usize>| (0..of.len()).map(move |i| [&way[..], &[i]].concat());
            ways.into_iter().flat_map(more).collect()
        })
    }

    proptest! {
        /// Where any choice is within the bytes, one is found; its divergence and what
        /// its instructions are worth are near to the least there is.
        #[test]
        fn the_choice_is_within_the_limits_and_near_the_best(
            matrices in proptest::collection::vec(matrix(), 1..6), bytes in 1u64..200
        ) {
            let search = Search { matrices, bytes, instructions: f64::INFINITY };
            let fits = |way: &Vec<usize>| search.totals(way).bytes <= bytes;
            let ways: Vec<_> = all(&search.matrices).into_iter().filter(fits).collect();
            let found = search.best();
            prop_assert_eq!(found.is_some(), !ways.is_empty());
            let Some(found) = found else { return Ok(()) };
            prop_assert!(fits(&found));
            let cheapest = search.within_bytes(0.0).unwrap();
            let totals = search.totals(&cheapest);
            let price = PAYS * totals.divergence / totals.instructions;
            let cost = |way: &Vec<usize>| {
                let totals = search.totals(way);
                totals.divergence + price * totals.instructions
            };
            let least = ways.iter().map(cost).fold(f64::INFINITY, f64::min);
            // What single matrices keep from being spent to the last byte.
            let most = search.matrices.iter().flatten().map(|c| c.totals.divergence);
            let most = most.fold(0.0, f64::max) + 40.0 * price;
            prop_assert!(cost(&found) <= least + most, "{} {least}", cost(&found));
        }
    }

    /// Instructions bound the choice, too.
    #[test]
    fn a_choice_of_too_many_instructions_is_left() {
        let choice = |bytes, instructions, divergence| Choice {
            format: Bits::Int8.into(),
            totals: Totals {
                bytes,
                instructions,
                divergence,
            },
        };
        let matrix = vec![
            choice(1, 10.0, 4.0),
            choice(2, 20.0, 1.0),
            choice(3, 40.0, 0.1),
        ];
        let search = |instructions| Search {
            matrices: vec![matrix.clone(), matrix.clone()],
            bytes: 100,
            instructions,
        };
        assert_eq!(search(1000.0).best(), Some(vec![2, 2]));
        assert_eq!(search(40.0).best(), Some(vec![1, 1]));
        assert_eq!(search(60.0).best().map(|way| way.iter().sum()), Some(3));
        assert_eq!(search(19.0).best(), None);
    }
}
