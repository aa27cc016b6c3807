//! Natural order: numbers inside names compare as numbers.

use std::cmp::Ordering;

/// Compares two names so that `blocks.2` comes before `blocks.10`. Names that
/// differ in leading zeros only compare as plain text, so that the order is
/// total and equal means identical.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let ordering = match (split(&mut left), split(&mut right)) {
            (Some(a), Some(b)) => compare(a, b),
            (None, None) => return a.cmp(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// A piece of a name.
enum Piece<'a> {
    /// A run of digits, without its leading zeros.
    Number(&'a [u8]),
    /// One byte of anything else.
    Byte(u8),
}

fn compare(a: Piece<'_>, b: Piece<'_>) -> Ordering {
    match (a, b) {
        // Without leading zeros, the longer number is the larger one.
        (Piece::Number(a), Piece::Number(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (Piece::Byte(a), Piece::Byte(b)) => a.cmp(&b),
        (Piece::Number(_), Piece::Byte(b)) => b'0'.cmp(&b),
        (Piece::Byte(a), Piece::Number(_)) => a.cmp(&b'0'),
    }
}

/// Takes the next piece off the front of `text`.
fn split<'a>(text: &mut &'a [u8]) -> Option<Piece<'a>> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        let (&byte, rest) = text.split_first()?;
        *text = rest;
        return Some(Piece::Byte(byte));
    }
    let (number, rest) = text.split_at_checked(digits)?;
    *text = rest;
    let zeros = number.iter().take_while(|&&byte| byte == b'0').count();
    number.get(zeros..).map(Piece::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let sorted = [
            "", "2", "10", "a", "a.2", "a.2.b", "a.10", "a10", "b", "b0", "b00", "bb",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(natural(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn numbers_of_any_length_compare() {
        let (a, b) = ("9".repeat(40), format!("1{}", "0".repeat(40)));
        assert_eq!(natural(&a, &b), Ordering::Less);
    }

    proptest! {
        #[test]
        fn the_order_is_total(mut names in prop::collection::vec("[a.019/:]{0,6}", 3)) {
            names.sort_by(|a, b| natural(a, b));
            for (i, a) in names.iter().enumerate() {
                prop_assert_eq!(natural(a, a), Ordering::Equal);
                for b in &names[i + 1..] {
                    prop_assert_ne!(natural(a, b), Ordering::Greater);
                    prop_assert_eq!(natural(a, b), natural(b, a).reverse());
                    prop_assert_eq!(natural(a, b) == Ordering::Equal, a == b);
                }
            }
        }
    }
}
