//! Boards, as `boards.toml` and the files of users describe them.

use crate::{Core, Machine, Region, CORES};
use serde::de::{Deserialize, Deserializer, Error};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The boards that have firmware.
const KNOWN: &str = include_str!("../boards.toml");

/// Chips without firmware.
const CHIPS: &str = include_str!("../chips.toml");

/// No file of boards is longer, so that a wrong file is not read for minutes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Characters of a message about a file.
const MAX_MESSAGE: usize = 200;

/// Why boards cannot be read or found.
#[derive(Debug, thiserror::Error)]
pub enum BoardsError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file is no list of boards.
    #[error("{path}: {reason}; see `boards.toml` in the repository for the form")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, in one line.
        reason: String,
    },
    /// No board has this name.
    #[error("no board is called {name}; known are {known}; where there is an option --boards, its file adds others")]
    Unknown {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
}

/// A board, and how its memory is divided.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// One word.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The chip on it.
    pub chip: String,
    /// Its core.
    #[serde(deserialize_with = "core")]
    pub core: &'static Core,
    /// Flash for firmware and model.
    pub flash: Region,
    /// RAM for variables, model and stack.
    pub ram: Region,
    /// Flash kept for the firmware, at its beginning.
    pub application_bytes: u32,
    /// RAM of the firmware's own variables.
    pub variables_bytes: u32,
    /// RAM kept for the stack.
    pub stack_bytes: u32,
    /// Clock of the core.
    pub clock_hz: u64,
    /// Whether the model is part of the firmware.
    #[serde(default)]
    pub is_linked: bool,
    /// The Rust target, where it is not the core's.
    pub target: Option<String>,
    /// The chip's number in UF2 files, where its boot loader takes them.
    pub uf2_family: Option<u32>,
    /// QEMU's name for the board, where QEMU has it.
    pub qemu: Option<String>,
    /// An assumption: nothing here counts cycles.
    pub cycles_per_instruction: f64,
    /// What the assumption leaves out.
    pub assumption: String,
}

/// A core of the table, by its name.
fn core<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Core, D::Error> {
    let name = String::deserialize(deserializer)?;
    Core::named(&name).ok_or_else(|| {
        let known: Vec<_> = CORES.iter().map(|core| core.name).collect();
        D::Error::custom(format!(
            "no core is called {name}; known are {}",
            known.join(", ")
        ))
    })
}

impl Board {
    /// The machine that stands in for the board where QEMU does not have it: one
    /// with its core.
    pub fn stand_in(&self) -> Option<&'static Machine> {
        Machine::of(self.core).filter(|_| self.qemu.is_none())
    }

    /// The Rust target.
    pub fn triple(&self) -> &str {
        self.target.as_deref().unwrap_or(self.core.triple)
    }

    /// Where the model lies: all flash after the firmware. Where it is part of that,
    /// the bytes alone mean something.
    pub fn model(&self) -> Region {
        Region {
            origin: self.flash.origin + self.application_bytes,
            bytes: self.flash.bytes - self.application_bytes,
        }
    }

    /// RAM for a model's state and scratch.
    pub fn arena_bytes(&self) -> u32 {
        self.ram.bytes - self.variables_bytes - self.stack_bytes
    }

    /// What is wrong with the figures, if anything is.
    fn fault(&self) -> Option<&'static str> {
        let in_memory = |region: Region| region.end() <= 1 << 32;
        let ram_used = u64::from(self.variables_bytes) + u64::from(self.stack_bytes);
        let speed = self.cycles_per_instruction;
        match () {
            () if self.name.is_empty() || self.name.contains(char::is_whitespace) => {
                Some("a name must be one word")
            }
            () if [&self.name, &self.title, &self.chip, &self.assumption]
                .iter()
                .any(|text| text.contains(char::is_control)) =>
            {
                Some("name, title, chip and assumption must not have control characters")
            }
            () if !in_memory(self.flash) || !in_memory(self.ram) => {
                Some("flash and ram must end below 2^32")
            }
            () if self.application_bytes >= self.flash.bytes => {
                Some("application_bytes must leave flash for a model")
            }
            () if ram_used >= u64::from(self.ram.bytes) => {
                Some("variables_bytes and stack_bytes must leave ram for a model")
            }
            () if !self.model().origin.is_multiple_of(256) => {
                Some("the model must begin at a multiple of 256: flash is written in pages")
            }
            () if self.clock_hz == 0 => Some("clock_hz must not be 0"),
            () if !(speed.is_finite() && speed > 0.0) => {
                Some("cycles_per_instruction must be more than 0")
            }
            () => None,
        }
    }
}

/// A list of boards.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boards {
    #[serde(default)]
    board: Vec<Board>,
}

impl Boards {
    /// The boards that have firmware, and those in `file`.
    ///
    /// # Errors
    /// The file cannot be read or is no list of boards.
    pub fn load(file: Option<&Path>) -> Result<Self, BoardsError> {
        let mut boards = Self::default();
        boards.add(Path::new("boards.toml"), KNOWN)?;
        if let Some(path) = file {
            let text = read(path).map_err(|error| BoardsError::Io {
                path: path.to_path_buf(),
                error,
            })?;
            boards.add(path, &text)?;
        }
        Ok(boards)
    }

    /// The boards that have firmware, and the chips that have none.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn with_chips() -> Result<Self, BoardsError> {
        let mut boards = Self::load(None)?;
        boards.add(Path::new("chips.toml"), CHIPS)?;
        Ok(boards)
    }

    fn add(&mut self, path: &Path, text: &str) -> Result<(), BoardsError> {
        let added = parse(text).map_err(|reason| BoardsError::File {
            path: path.to_path_buf(),
            reason,
        })?;
        added.board.into_iter().for_each(|board| self.put(board));
        Ok(())
    }

    /// Adds a board; replaces one of the same name.
    fn put(&mut self, board: Board) {
        match self.board.iter_mut().find(|known| known.name == board.name) {
            Some(known) => *known = board,
            None => self.board.push(board),
        }
    }

    /// The board with this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(&self, name: &str) -> Result<&Board, BoardsError> {
        let mut boards = self.board.iter();
        boards
            .find(|board| board.name == name)
            .ok_or_else(|| BoardsError::Unknown {
                name: name.to_owned(),
                known: self.names().join(", "),
            })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Board> {
        self.board.iter()
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|board| board.name.as_str()).collect()
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(
            "the file is too long for a list of boards",
        ));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Boards, String> {
    let boards: Boards = toml::from_str(text).map_err(|error| located(text, &error))?;
    for (index, board) in boards.board.iter().enumerate() {
        if let Some(fault) = board.fault() {
            let name = board.name.escape_debug().take(MAX_MESSAGE);
            return Err(format!("board {}: {fault}", name.collect::<String>()));
        }
        if boards.board[..index]
            .iter()
            .any(|other| other.name == board.name)
        {
            return Err(format!("two boards are called {}", board.name));
        }
    }
    Ok(boards)
}

/// What is wrong with `text`, and in which line: one line of bounded length,
/// whatever the text is.
pub fn located(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text
        .bytes()
        .take(start)
        .filter(|&byte| byte == b'\n')
        .count()
        + 1;
    let message = error.message().chars().take(MAX_MESSAGE);
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    format!("line {line}: {}", message.map(shown).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(from: &str, to: &str) -> String {
        assert!(KNOWN.contains(from), "{from}");
        parse(&KNOWN.replacen(from, to, 1)).unwrap_err()
    }

    #[test]
    fn known_boards_are_right() {
        let boards = Boards::load(None).unwrap();
        let pico = boards.named("pico").unwrap();
        assert_eq!(pico.model().origin, 0x1002_0000);
        assert_eq!(pico.model().end(), pico.flash.end());
        assert_eq!(pico.core.name, "m0");
        let error = boards.named("pico3").unwrap_err().to_string();
        assert!(
            error.contains("pico3") && error.contains("stm32f405"),
            "{error}"
        );
    }

    #[test]
    fn bad_figures_are_refused() {
        let bytes = "application_bytes = 0x1_8000";
        let speed = "cycles_per_instruction = 1.0";
        for (from, to, expected) in [
            (
                bytes,
                "application_bytes = 0x40000",
                "microbit-v1: application_bytes",
            ),
            (bytes, "application_bytes = 0x1_0001", "multiple of 256"),
            (
                "stack_bytes = 5120",
                "stack_bytes = 4_294_967_295",
                "stack_bytes",
            ),
            ("origin = 0x0800_0000", "origin = 0xfff8_0000", "2^32"),
            ("clock_hz = 16_000_000", "clock_hz = 0", "clock_hz"),
            (
                speed,
                "cycles_per_instruction = nan",
                "cycles_per_instruction",
            ),
            ("\"pico2\"", "\"pico\"", "two boards"),
            ("name = \"pico\"", "name = \"\"", "one word"),
            (
                "title = \"Raspberry Pi Pico\"",
                "title = \"\\u001b[2J\"",
                "board pico: name, title, chip",
            ),
            (
                "name = \"pico\"",
                "name = \"a\\u001b\"",
                "board a\\u{1b}: name, title",
            ),
            (
                "core = \"m0\"",
                "core = \"\\u001b[2J\"",
                "no core is called  [2J;",
            ),
        ] {
            let error = changed(from, to);
            assert!(error.contains(expected), "{error}");
        }
        let error = changed("core = \"m0\"", "core = \"m1\"");
        let core = "line 20: no core is called m1; known are m0, ";
        assert!(error.starts_with(core), "{error}");
        let error = changed("title", "titel");
        assert!(!error.contains('\n') && error.contains("titel"), "{error}");
    }

    #[test]
    fn every_board_runs_somewhere_and_every_core_has_a_stand_in() {
        let boards = Boards::with_chips().unwrap();
        let stand_ins: Vec<_> = boards.iter().filter_map(Board::stand_in).collect();
        for board in boards.iter() {
            assert_ne!(board.qemu.is_some(), board.stand_in().is_some());
        }
        for core in CORES {
            assert!(stand_ins.contains(&Machine::of(core).unwrap()));
        }
    }

    #[test]
    fn a_board_of_a_known_name_takes_its_place() {
        let mut boards = Boards::load(None).unwrap();
        let mut board = boards.named("pico").unwrap().clone();
        let count = boards.iter().count();
        board.clock_hz = 1;
        boards.put(board.clone());
        assert_eq!(boards.named("pico").unwrap().clock_hz, 1);
        board.name = "other".into();
        boards.put(board);
        assert_eq!(boards.iter().count(), count + 1);
    }
}
