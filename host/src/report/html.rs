//! Text of others in HTML or XML, and numbers for people.

use crate::text::shown;
use std::fmt::{self, Display, Formatter, Write};

/// A text that may be anything: no control characters, nothing that is markup.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'t>(pub &'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in shown(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;"),
                '<' => f.write_str("&lt;"),
                '>' => f.write_str("&gt;"),
                '"' => f.write_str("&quot;"),
                '\'' => f.write_str("&#39;"),
                c => f.write_char(c),
            }?;
        }
        Ok(())
    }
}

/// A small number with three digits, without a power of ten where it is short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nats(pub f64);

impl Display for Nats {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            x if x == 0.0 || x.is_nan() => write!(f, "{x}"),
            x if x.abs() < 1e-6 => write!(f, "{x:.1e}"),
            x => {
                let decimals = (2.0 - x.abs().log10().floor()).clamp(0.0, 9.0);
                write!(f, "{x:.0$}", decimals as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        let text = Escaped("<script>a & \"b\" 'c'</script>\u{1b}[1m").to_string();
        let expected = "&lt;script&gt;a &amp; &quot;b&quot; &#39;c&#39;&lt;/script&gt;?[1m";
        assert_eq!(text, expected);
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [12.345, 0.0145123, 0.00036, 2.04e-7, 0.0].map(|x| Nats(x).to_string());
        assert_eq!(shown, ["12.3", "0.0145", "0.000360", "2.0e-7", "0"]);
    }
}
