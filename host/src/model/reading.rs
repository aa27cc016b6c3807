//! What a user says about a checkpoint that its file does not.

/// How to read a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Patterns of the names of tensors to leave out: `*` is any text.
    pub ignore: Vec<String>,
    /// Whose files it is like, where the file can be read in two ways.
    pub convention: Option<Convention>,
    /// The embedding is the head too.
    pub tied_head: bool,
}

/// Whose files a file is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Convention {
    /// Those of the training programs: low-rank matrices are [inputs, outputs], `time_first` of RWKV-5 is a logarithm
    Original,
    /// Those of converters for web-rwkv and Ai00: low-rank matrices are transposed, `time_first` is the bonus itself
    Converted,
}

impl Reading {
    /// Whether a tensor of this name is to be left out.
    pub fn ignores(&self, name: &str) -> bool {
        self.ignore.iter().any(|pattern| matches(pattern, name))
    }
}

/// Whether a name is of a pattern, in which `*` is any text.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut middle: Vec<&str> = rest.split('*').collect();
    let last = middle.pop().unwrap_or_default();
    // The first place of each is the best: it leaves the most for the others.
    for part in middle {
        match name.split_once(part) {
            Some((_, rest)) => name = rest,
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("*", "", true),
            ("a*", "ab", true),
            ("a*a", "a", false),
            ("*.s_emb.*", "blocks.0.ffn.s_emb.weight", true),
            ("blocks.*.s*x", "blocks.0.ffn.s_emb_x", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("*ab", "abb", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
