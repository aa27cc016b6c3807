//! The file of templates; its format is explained at its top.

use super::pattern::{Lists, Pattern};
use anyhow::{bail, ensure, Context, Result};
use std::rc::Rc;

/// Templates of sentences that mean the same.
#[derive(Debug)]
pub struct Intent {
    /// Such as `light-on`.
    pub label: String,
    pub templates: Vec<Template>,
}

/// A line of the file.
#[derive(Debug)]
pub struct Template {
    /// Counted from 1.
    pub line: usize,
    /// Whether its sentences are for the test alone.
    pub held_out: bool,
    pub pattern: Rc<Pattern>,
}

/// Reads the text of a file of templates. An error names the line.
pub fn parse(text: &str) -> Result<Vec<Intent>> {
    let mut file = File::default();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        file.read(line.trim(), line_number)
            .with_context(|| format!("line {line_number}"))?;
    }
    file.end_list()?;
    ensure!(
        !file.intents.is_empty(),
        "there is no intent: begin one with `= label`"
    );
    for intent in &file.intents {
        for held_out in [false, true] {
            ensure!(
                intent.templates.iter().any(|t| t.held_out == held_out),
                "intent {} has no template {}: it needs both, and those for the test begin with `?`",
                intent.label,
                if held_out { "for the test" } else { "for training" }
            );
        }
    }
    Ok(file.intents)
}

#[derive(Default)]
struct File {
    lists: Lists,
    /// The list whose alternatives are being read.
    open: Option<OpenList>,
    intents: Vec<Intent>,
}

struct OpenList {
    name: String,
    line: usize,
    alternatives: String,
}

impl File {
    fn read(&mut self, text: &str, line: usize) -> Result<()> {
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        if let Some(name) = text.strip_prefix('@') {
            self.end_list()?;
            return self.begin_list(name.trim(), line);
        }
        if let Some(label) = text.strip_prefix('=') {
            self.end_list()?;
            return self.begin_intent(label.trim());
        }
        if let Some(open) = &mut self.open {
            // Read at once, so that an error names this very line.
            Pattern::parse(text, &self.lists)?;
            if !open.alternatives.is_empty() {
                open.alternatives.push('|');
            }
            open.alternatives.push_str(text);
            return Ok(());
        }
        self.add_template(text, line)
    }

    fn begin_list(&mut self, name: &str, line: usize) -> Result<()> {
        check_name(name)?;
        ensure!(
            !self.lists.contains_key(name),
            "list {name} is defined a second time: merge the two or rename one"
        );
        self.open = Some(OpenList {
            name: name.to_owned(),
            line,
            alternatives: String::new(),
        });
        Ok(())
    }

    fn end_list(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let pattern = Pattern::parse(&open.alternatives, &self.lists)
            .with_context(|| format!("list {} of line {}", open.name, open.line))?;
        self.lists.insert(open.name, pattern);
        Ok(())
    }

    fn begin_intent(&mut self, label: &str) -> Result<()> {
        check_name(label)?;
        ensure!(
            self.intents.iter().all(|intent| intent.label != label),
            "intent {label} is defined a second time: merge the two or rename one"
        );
        self.intents.push(Intent {
            label: label.to_owned(),
            templates: Vec::new(),
        });
        Ok(())
    }

    fn add_template(&mut self, text: &str, line: usize) -> Result<()> {
        let Some(intent) = self.intents.last_mut() else {
            bail!("a template has no intent: begin one above with `= label`");
        };
        let held_out = text.strip_prefix('?');
        let pattern = Pattern::parse(held_out.unwrap_or(text).trim(), &self.lists)?;
        ensure!(
            pattern.sentences().all(|sentence| !sentence.is_empty()),
            "all of the template is optional: a sentence has at least one word"
        );
        intent.templates.push(Template {
            line,
            held_out: held_out.is_some(),
            pattern,
        });
        Ok(())
    }
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        !name.is_empty() && name.chars().all(allowed),
        "{name:?} is not a name: use a to z, 0 to 9 and hyphens"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_intents_are_read() {
        let text = "# comment\n@ room\nhall | attic\n study\n@ place\nthe {room}\n\n= go\ngo to {place}\n? move to {place} \n";
        let intents = parse(text).unwrap();
        assert_eq!(intents.len(), 1);
        assert_eq!(intents[0].label, "go");
        let [train, test] = &intents[0].templates[..] else {
            panic!("two templates");
        };
        assert_eq!((train.line, train.held_out), (9, false));
        assert_eq!((test.line, test.held_out), (10, true));
        let sentences: Vec<_> = test.pattern.sentences().collect();
        assert_eq!(
            sentences,
            ["move to the hall", "move to the attic", "move to the study"]
        );
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            (
                "= a\nx\n\n? in the {room}",
                "line 4: there is no list {room}",
            ),
            ("= a\nx (y", "line 2: a bracket is not closed"),
            (
                "= a\nx\n?y\n= b\nz\n? v\n= a",
                "line 7: intent a is defined a second time",
            ),
            (
                "@ a\nx\n@ b\ny\n@ a",
                "line 5: list a is defined a second time",
            ),
            ("@ a\nx | | y", "line 2: an alternative is empty"),
            (
                "@ a\n\n@ b",
                "line 3: list a of line 1: an alternative is empty",
            ),
            ("@ a\n{a}", "line 2: there is no list {a}"),
            ("x", "line 1: a template has no intent"),
            ("= A", "line 1: \"A\" is not a name"),
            ("= a\n[x] [y]", "line 2: all of the template is optional"),
            ("= a\nx", "intent a has no template for the test"),
            ("= a\n? x", "intent a has no template for training"),
            ("", "there is no intent"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
