//! Names of packages.

use super::{LOCK, OWN_LOCK};

/// Words that cargo and Rust keep for themselves.
const TAKEN: &str = " abstract alloc as async await become box break build const continue core crate deps do \
    dyn else enum examples extern false final fn for gen if impl in incremental let loop macro match mod move mut \
    override priv proc-macro proc_macro pub ref return self static std struct super test trait true try \
    type typeof unsafe unsized use virtual where while yield ";

/// The longest name.
const MOST_BYTES: usize = 64;

/// Why a package with the firmware of a board cannot have this name, if it cannot.
pub fn name_fault(name: &str) -> Option<&'static str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match () {
        () if !name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Some("must begin with a letter from a to z")
        }
        () if !name.chars().all(is_of_name) => {
            Some("must have letters from a to z, digits, `-` and `_` alone")
        }
        () if name.len() > MOST_BYTES => Some("must have 64 characters at most"),
        () if TAKEN.contains(&format!(" {} ", name.to_lowercase())) => {
            Some("is a word that Rust keeps for itself")
        }
        () if [LOCK, OWN_LOCK.1]
            .iter()
            .any(|lock| lock.contains(&format!("\nname = \"{name}\"\n"))) =>
        {
            Some("is the name of a package that the firmware of a board is made of")
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_takes() {
        for name in ["a", "my-bird", "Wren_2"] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "", "1bird", "-x", "my bird", "fön", "a.b", "a\u{1b}", "fn", "test", "crc", "esp-hal",
            "kinglet", &long,
        ] {
            assert!(name_fault(name).is_some(), "{name}");
        }
    }
}
