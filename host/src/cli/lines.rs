//! The lines of a conversation: edited at a terminal, or as they come from a pipe.

use super::mention;
use crate::monitor::{Event, EventSender};
use anyhow::{Context, Result};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use std::io::{self, BufRead};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;

/// A source of lines; they become events.
pub struct Lines {
    /// None where nobody waits for a prompt.
    ask: Option<Sender<()>>,
    _terminal: Terminal,
}

impl Lines {
    /// Those of a person, who edits them and finds the ones before by the arrow keys.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub fn edited(events: EventSender) -> Result<Self> {
        let terminal = Terminal::now();
        // A pasted text is a line for each of its lines.
        let config = Config::builder()
            .auto_add_history(true)
            .bracketed_paste(false)
            .build();
        let editor = DefaultEditor::with_config(config);
        let editor = editor.context("cannot use the terminal")?;
        let (ask, asked) = channel();
        thread::spawn(move || edit(editor, &asked, &events));
        Ok(Self {
            ask: Some(ask),
            _terminal: terminal,
        })
    }

    /// Those of standard input.
    pub fn read(events: EventSender) -> Self {
        thread::spawn(move || {
            for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                let line = String::from_utf8_lossy(line).into_owned();
                if events.send(Event::Typed(line)).is_err() {
                    return;
                }
            }
            // The receiver is gone: the program is ending.
            let _ = events.send(Event::TypedEnd);
        });
        Self {
            ask: None,
            _terminal: Terminal::none(),
        }
    }

    /// Asks for the next line.
    pub fn ask(&self) {
        if let Some(ask) = &self.ask {
            // The reader has told that the input is at its end.
            let _ = ask.send(());
        }
    }
}

/// A line for each time that one is asked for, until the input ends.
fn edit(mut editor: DefaultEditor, asked: &Receiver<()>, events: &EventSender) {
    for () in asked {
        let event = next(&mut editor);
        let is_last = matches!(event, Event::TypedEnd);
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}

/// The next line, but for those that are no text.
fn next(editor: &mut DefaultEditor) -> Event {
    loop {
        match editor.readline("> ") {
            Ok(line) => return Event::Typed(line),
            Err(ReadlineError::Interrupted) => return Event::Interrupt,
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                mention(format_args!("note: the line is not UTF-8, and is left out"));
            }
            // A terminal that is gone is an end, too.
            Err(_) => return Event::TypedEnd,
        }
    }
}

/// The settings of the terminal, put back at the end: an error may end the program
/// while a line is edited.
#[cfg(unix)]
struct Terminal(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Terminal {
    fn now() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    fn none() -> Self {
        Self(None)
    }
}

#[cfg(unix)]
impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let when = rustix::termios::OptionalActions::Drain;
            // A terminal that is gone needs none.
            let _ = rustix::termios::tcsetattr(io::stdin(), when, settings);
        }
    }
}

/// Elsewhere a shell sets what it needs.
#[cfg(not(unix))]
struct Terminal;

#[cfg(not(unix))]
impl Terminal {
    fn now() -> Self {
        Self
    }

    fn none() -> Self {
        Self
    }
}
