//! The outcome as JUnit's XML, which CI services show: one test case.

use crate::report::Escaped;
use anyhow::Result;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Writes the outcome; a failure is a difference, or that nothing answered.
pub fn write(
    mut out: impl Write,
    image: &Path,
    outcome: &Result<()>,
    took: Duration,
) -> Result<()> {
    let name = image.display().to_string();
    let (name, seconds) = (Escaped(&name), took.as_secs_f64());
    let failures = u8::from(outcome.is_err());
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    let counts = format!(r#"tests="1" failures="{failures}" errors="0" time="{seconds:.3}""#);
    writeln!(out, r#"<testsuite name="kinglet verify" {counts}>"#)?;
    let case = format!(r#"classname="kinglet verify" name="{name}" time="{seconds:.3}""#);
    match outcome {
        Ok(()) => writeln!(out, "  <testcase {case}/>")?,
        Err(error) => {
            let sentence = format!("{error:#}");
            let message = Escaped(&sentence);
            writeln!(out, "  <testcase {case}>")?;
            writeln!(out, r#"    <failure message="{message}"/>"#)?;
            writeln!(out, "  </testcase>")?;
        }
    }
    writeln!(out, "</testsuite>")?;
    Ok(())
}
