//! Lines of text, tab and label.

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelled<'t> {
    /// Counted from 1.
    pub number: usize,
    /// What stands before the last tab.
    pub text: &'t [u8],
    /// What stands behind it.
    pub label: &'t str,
}

/// The lines of `text` that are not empty.
///
/// # Errors
/// The number of a line without text, tab or label, and what is wrong.
pub fn labelled_lines(text: &[u8]) -> Result<Vec<Labelled<'_>>, (usize, String)> {
    let lines = text.split(|&byte| byte == b'\n').zip(1..);
    let full = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    full.map(|(line, number)| labelled(line, number)).collect()
}

fn labelled(line: &[u8], number: usize) -> Result<Labelled<'_>, (usize, String)> {
    let fail = |problem: &str| (number, problem.to_owned());
    let tab = line.iter().rposition(|&byte| byte == b'\t');
    let (text, label) = line.split_at(tab.ok_or_else(|| fail("has no tab"))?);
    let label = std::str::from_utf8(label)
        .map_err(|_| fail("has a label that is not UTF-8"))?
        .trim();
    match (text, label) {
        ([], _) => Err(fail("has no text")),
        (_, "") => Err(fail("has no label")),
        _ => Ok(Labelled {
            number,
            text,
            label,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_the_last_tab() {
        let lines = labelled_lines(b"a\tb\tc\r\n\n x \ty").unwrap();
        assert_eq!((lines[0].text, lines[0].label), (&b"a\tb"[..], "c"));
        assert_eq!((lines[1].number, lines[1].text), (3, &b" x "[..]));
        assert_eq!(labelled_lines(b"a\tb\nc").unwrap_err().0, 2);
        assert!(labelled_lines(b"\tb").unwrap_err().1.contains("no text"));
        assert!(labelled_lines(b"a\t ").unwrap_err().1.contains("no label"));
        assert!(labelled_lines(b"a\t\xff").unwrap_err().1.contains("UTF-8"));
    }
}
