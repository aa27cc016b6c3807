//! Python's literals of strings and bytes, as `repr` and people write them.

/// Why a text is not a literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    /// It does not begin with a quote, or `b` and a quote.
    #[error("a token stands in quotes, as 'text' or b'bytes'")]
    NoQuote,
    /// The closing quote is missing.
    #[error("the closing quote is missing")]
    Unclosed,
    /// Something follows the closing quote.
    #[error("there is something after the closing quote")]
    Trailing,
    /// An unknown escape.
    #[error("`\\{0}` is not an escape that is known here")]
    Escape(char),
    /// An escape that lacks digits.
    #[error("the escape `\\{0}` needs {1} digits")]
    Digits(char, usize),
    /// A number that is no character, or no byte.
    #[error("{0:#x} is not a {1}")]
    Range(u32, &'static str),
    /// A byte literal with a character beyond ASCII.
    #[error("a literal of bytes cannot hold `{0}`: write it as \\x")]
    NotAscii(char),
}

/// The bytes that a literal stands for: those of a string in UTF-8.
pub fn parse(literal: &str) -> Result<Vec<u8>, LiteralError> {
    let (is_bytes, quoted) = match literal.strip_prefix('b') {
        Some(quoted) => (true, quoted),
        None => (false, literal),
    };
    let mut chars = quoted.chars();
    let quote = chars.next().filter(|c| matches!(c, '\'' | '"'));
    let quote = quote.ok_or(LiteralError::NoQuote)?;
    let mut text = Text {
        is_bytes,
        bytes: Vec::new(),
    };
    loop {
        match chars.next().ok_or(LiteralError::Unclosed)? {
            '\\' => chars = text.escape(chars)?,
            c if c == quote => break,
            c if is_bytes && !c.is_ascii() => return Err(LiteralError::NotAscii(c)),
            c => text.push(c as u32)?,
        }
    }
    if chars.as_str().is_empty() {
        Ok(text.bytes)
    } else {
        Err(LiteralError::Trailing)
    }
}

struct Text {
    is_bytes: bool,
    bytes: Vec<u8>,
}

impl Text {
    /// A byte of a bytes literal, else a character.
    fn push(&mut self, number: u32) -> Result<(), LiteralError> {
        if self.is_bytes {
            let byte = u8::try_from(number).map_err(|_| LiteralError::Range(number, "byte"))?;
            self.bytes.push(byte);
        } else {
            let c = char::from_u32(number).ok_or(LiteralError::Range(number, "character"))?;
            self.bytes
                .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    /// Takes what follows a backslash; returns the rest.
    fn escape<'t>(
        &mut self,
        mut chars: std::str::Chars<'t>,
    ) -> Result<std::str::Chars<'t>, LiteralError> {
        let before = chars.clone();
        let kind = chars.next().ok_or(LiteralError::Unclosed)?;
        let number = match kind {
            '\\' | '\'' | '"' => kind as u32,
            'a' => 0x07,
            'b' => 0x08,
            't' => 0x09,
            'n' => 0x0a,
            'v' => 0x0b,
            'f' => 0x0c,
            'r' => 0x0d,
            'x' => hex(&mut chars, kind, 2)?,
            'u' if !self.is_bytes => hex(&mut chars, kind, 4)?,
            'U' if !self.is_bytes => hex(&mut chars, kind, 8)?,
            '0'..='7' => {
                chars = before;
                octal(&mut chars)
            }
            other => return Err(LiteralError::Escape(other)),
        };
        self.push(number)?;
        Ok(chars)
    }
}

fn hex(chars: &mut std::str::Chars<'_>, kind: char, digits: usize) -> Result<u32, LiteralError> {
    (0..digits).try_fold(0, |number, _| {
        let digit = chars.next().and_then(|c| c.to_digit(16));
        Ok(number << 4 | digit.ok_or(LiteralError::Digits(kind, digits))?)
    })
}

/// One to three digits.
fn octal(chars: &mut std::str::Chars<'_>) -> u32 {
    let mut number = 0;
    for _ in 0..3 {
        match chars.clone().next().and_then(|c| c.to_digit(8)) {
            Some(digit) => number = number << 3 | digit,
            None => break,
        }
        chars.next();
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        let cases: [(&str, &[u8]); 16] = [
            ("'a'", b"a"),
            (r#""it's""#, b"it's"),
            (r"'it\'s'", b"it's"),
            (r#"'\"'"#, b"\""),
            (r"'\t\n\r\\\a\b\f\v'", b"\t\n\r\\\x07\x08\x0c\x0b"),
            (r"'\x00'", b"\0"),
            (r"'\xe9'", "é".as_bytes()),
            (r"b'\xe9'", b"\xe9"),
            (r"'\u20ac'", "€".as_bytes()),
            (r"'\U0001f426'", "🐦".as_bytes()),
            (r"'\101\7\400'", "A\x07\u{100}".as_bytes()),
            (r"b'\1018'", b"A8"),
            (r#"b"it's""#, b"it's"),
            ("'日本'", "日本".as_bytes()),
            ("' '", b" "),
            ("''", b""),
        ];
        for (literal, bytes) in cases {
            assert_eq!(parse(literal).as_deref(), Ok(bytes), "{literal}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let cases = [
            ("", LiteralError::NoQuote),
            ("b", LiteralError::NoQuote),
            ("a", LiteralError::NoQuote),
            ("B'a'", LiteralError::NoQuote),
            ("'a", LiteralError::Unclosed),
            ("'a\\", LiteralError::Unclosed),
            ("'a\\'", LiteralError::Unclosed),
            ("'a' ", LiteralError::Trailing),
            ("'a''b'", LiteralError::Trailing),
            (r"'\q'", LiteralError::Escape('q')),
            (r"'\N{DASH}'", LiteralError::Escape('N')),
            (r"b'\u20ac'", LiteralError::Escape('u')),
            (r"'\x1'", LiteralError::Digits('x', 2)),
            (r"'\u12'", LiteralError::Digits('u', 4)),
            (r"'\ud800'", LiteralError::Range(0xd800, "character")),
            (r"'\Uffffffff'", LiteralError::Range(u32::MAX, "character")),
            (r"b'\400'", LiteralError::Range(0x100, "byte")),
            ("b'é'", LiteralError::NotAscii('é')),
        ];
        for (literal, error) in cases {
            assert_eq!(parse(literal), Err(error), "{literal}");
        }
    }
}
