//! Python's literals of strings and bytes, as `repr` and people write them.

use anyhow::{bail, ensure, Context, Result};

const UNCLOSED: &str = "the closing quote is missing";

/// The bytes that a literal stands for: those of a string in UTF-8.
pub fn parse(literal: &str) -> Result<Vec<u8>> {
    let (is_bytes, quoted) = match literal.strip_prefix('b') {
        Some(quoted) => (true, quoted),
        None => (false, literal),
    };
    let mut chars = quoted.chars();
    let quote = chars.next().filter(|c| matches!(c, '\'' | '"'));
    let quote = quote.context("a token stands in quotes, as 'text' or b'bytes'")?;
    let mut text = Text {
        is_bytes,
        bytes: Vec::new(),
    };
    loop {
        match chars.next().context(UNCLOSED)? {
            '\\' => chars = text.escape(chars)?,
            c if c == quote => break,
            c if is_bytes && !c.is_ascii() => {
                bail!("a literal of bytes cannot hold `{c}`: write it as \\x")
            }
            c => text.push(c as u32)?,
        }
    }
    ensure!(
        chars.as_str().is_empty(),
        "there is something after the closing quote"
    );
    Ok(text.bytes)
}

struct Text {
    is_bytes: bool,
    bytes: Vec<u8>,
}

impl Text {
    /// A byte of a bytes literal, else a character.
    fn push(&mut self, number: u32) -> Result<()> {
        if self.is_bytes {
            let byte = u8::try_from(number);
            let byte = byte.with_context(|| format!("{number:#x} is not a byte"))?;
            self.bytes.push(byte);
        } else {
            let c = char::from_u32(number);
            let c = c.with_context(|| format!("{number:#x} is not a character"))?;
            self.bytes
                .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    /// Takes what follows a backslash; returns the rest.
    fn escape<'t>(&mut self, mut chars: std::str::Chars<'t>) -> Result<std::str::Chars<'t>> {
        let before = chars.clone();
        let kind = chars.next().context(UNCLOSED)?;
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
            other => bail!("`\\{other}` is not an escape that is known here"),
        };
        self.push(number)?;
        Ok(chars)
    }
}

fn hex(chars: &mut std::str::Chars<'_>, kind: char, digits: usize) -> Result<u32> {
    (0..digits).try_fold(0, |number, _| {
        let digit = chars.next().and_then(|c| c.to_digit(16));
        let needed = || format!("the escape `\\{kind}` needs {digits} digits");
        Ok(number << 4 | digit.with_context(needed)?)
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
            assert_eq!(parse(literal).unwrap(), bytes, "{literal}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let cases = [
            ("", "a token stands in quotes"),
            ("b", "a token stands in quotes"),
            ("a", "a token stands in quotes"),
            ("B'a'", "a token stands in quotes"),
            ("'a", "the closing quote is missing"),
            ("'a\\", "the closing quote is missing"),
            ("'a\\'", "the closing quote is missing"),
            ("'a' ", "after the closing quote"),
            ("'a''b'", "after the closing quote"),
            (r"'\q'", r"`\q` is not an escape"),
            (r"'\N{DASH}'", r"`\N` is not an escape"),
            (r"b'\u20ac'", r"`\u` is not an escape"),
            (r"'\x1'", r"`\x` needs 2 digits"),
            (r"'\u12'", r"`\u` needs 4 digits"),
            (r"'\ud800'", "0xd800 is not a character"),
            (r"'\Uffffffff'", "0xffffffff is not a character"),
            (r"b'\400'", "0x100 is not a byte"),
            ("b'é'", "cannot hold `é`"),
        ];
        for (literal, error) in cases {
            let message = parse(literal).unwrap_err().to_string();
            assert!(message.contains(error), "{literal}: {message}");
        }
    }
}
