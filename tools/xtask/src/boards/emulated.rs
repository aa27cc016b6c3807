//! Boards in QEMU: those that it has, and for the others a machine with the same
//! core that stands in.

use super::dialogue::{Dialogue, READY};
use super::{build, Answer};
use anyhow::{bail, Context, Result};
use kinglet_plan::Board;
use kinglet_protocol::console::{Speed, Statistics};
use kinglet_protocol::{Machine, ICOUNT_SHIFT, NANOS_PER_INSTRUCTION};
use kinglet_workshop::emulator::loader;
use kinglet_workshop::firmware::build_stand_in;
use kinglet_workshop::setup::{ensure_qemu, QEMU};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Boards that QEMU has, and its names for them.
const EMULATED: [(&str, &str); 2] = [("microbit-v1", "microbit"), ("stm32f405", "netduinoplus2")];

/// For the others, a machine that has the core: one for each core.
const STAND_INS: [(&str, &str); 6] = [
    ("nrf52840-dk", "mps2-an386"),
    ("stm32f103rg", "mps2-an385"),
    ("pico", "mps2-an385-m0"),
    ("nucleo-h743zi", "mps2-an500"),
    ("pico2", "mps2-an505"),
    ("ensemble-e8", "mps3-an547"),
];

/// What runs in QEMU.
pub struct Emulated<'b> {
    /// As the board is called that is, or is stood for.
    board: &'b Board,
    /// The firmware.
    pub elf: PathBuf,
    /// QEMU's name of the machine.
    machine: &'static str,
    /// The first address of the model's flash.
    model_origin: u32,
    /// Whether virtual time is a count of instructions, and the clock right.
    counts: bool,
}

/// Whether QEMU has the board.
pub fn is_emulated(board: &Board) -> bool {
    machine_of(board, &EMULATED).is_some()
}

/// The machine that stands in for a board that QEMU does not have.
pub fn stand_in(board: &Board) -> Option<&'static Machine> {
    Machine::named(machine_of(board, &STAND_INS)?)
}

fn machine_of(board: &Board, table: &[(&str, &'static str)]) -> Option<&'static str> {
    let entry = table.iter().find(|&&(name, _)| name == board.name);
    entry.map(|&(_, machine)| machine)
}

impl<'b> Emulated<'b> {
    /// Builds what runs in QEMU.
    pub fn build(board: &'b Board) -> Result<Self> {
        if let Some(machine) = machine_of(board, &EMULATED) {
            return Ok(Self {
                board,
                elf: build(board)?,
                machine,
                model_origin: board.model().origin,
                // Its clocks are not QEMU's.
                counts: false,
            });
        }
        let machine = stand_in(board)
            .with_context(|| format!("QEMU has no {}, and nothing stands in for it", board.name))?;
        Ok(Self {
            board,
            elf: build_stand_in(machine, &board.name)?,
            machine: machine.qemu,
            model_origin: machine.spare.origin,
            counts: true,
        })
    }

    /// Asks the firmware once, with an image in the model's flash.
    pub fn ask(&self, image: &Path, prompt: &str, tokens: u32) -> Result<Answer> {
        let mut dialogue = self.start(image)?;
        dialogue.hear(READY)?;
        dialogue.say(&format!("/n {tokens}\r"))?;
        dialogue.hear(READY)?;
        dialogue.say(&format!("{prompt}\r"))?;
        let answer = dialogue.hear(&format!("\n{READY}"))?;
        let (text, statistics) = parse(&answer)
            .with_context(|| format!("{}: the firmware says: {answer}", self.board.name))?;
        let instructions = instructions_per_token(&statistics);
        Ok(Answer {
            text,
            tokens: statistics.tokens,
            stack_bytes: statistics.stack_bytes,
            instructions_per_token: instructions.filter(|_| self.counts),
        })
    }

    /// Starts the firmware with an image in the model's flash.
    pub fn start(&self, image: &Path) -> Result<Dialogue> {
        ensure_qemu()?;
        let image = std::fs::canonicalize(image)
            .with_context(|| format!("cannot read the image {}", image.display()))?;
        let (bytes, room) = (std::fs::metadata(&image)?.len(), self.board.model().bytes);
        if bytes > u64::from(room) {
            bail!(
                "{} has {bytes} bytes, the model's flash of {} {room}",
                image.display(),
                self.board.name
            );
        }
        let mut qemu = Command::new(QEMU);
        qemu.args(["-machine", self.machine, "-display", "none"])
            .args(["-monitor", "none", "-serial", "stdio", "-kernel"])
            .arg(&self.elf)
            .args(["-device", &loader(&image, self.model_origin)]);
        if self.counts {
            qemu.args(["-icount", &format!("shift={ICOUNT_SHIFT}")]);
        }
        Dialogue::start(&mut qemu).with_context(|| self.board.name.clone())
    }
}

/// The text, and the line behind it.
fn parse(answer: &str) -> Option<(String, Statistics)> {
    let (text, statistics) = answer.trim_end().rsplit_once("\r\n")?;
    Some((text.replace("\r\n", "\n"), Statistics::parse(statistics)?))
}

/// What a clock that counts instructions says of a token.
fn instructions_per_token(statistics: &Statistics) -> Option<u64> {
    match statistics.speed {
        Speed::InstructionsPerToken(count) => Some(count),
        Speed::CentitokensPerSecond(rate) => {
            (100 * 1_000_000_000 / NANOS_PER_INSTRUCTION).checked_div(rate)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards::known;
    use kinglet_protocol::MACHINES;

    #[test]
    fn an_answer_is_text_and_stack() {
        let line = "[3 tokens, 1.50 tokens/s, stack 4076 bytes, end]";
        let (text, statistics) = parse(&format!("a [b]\r\nc\r\n{line}\r")).expect("statistics");
        assert_eq!(text, "a [b]\nc");
        assert_eq!(statistics.stack_bytes, 4076);
        // 15,625,000 instructions a second.
        assert_eq!(instructions_per_token(&statistics), Some(10_416_666));
        assert!(parse("the image has no tokenizer\r").is_none());
    }

    #[test]
    fn every_board_runs_somewhere_and_every_core_has_one() {
        let boards = known().expect("the repository's boards");
        let mut stand_ins = Vec::new();
        for board in boards.iter() {
            let machine = stand_in(board);
            assert_ne!(is_emulated(board), machine.is_some(), "{}", board.name);
            if let Some(machine) = machine {
                assert_eq!(super::super::target(board.core), machine.target);
                let core = machine.core.trim_start_matches("Cortex-M");
                let core = format!("m{}", core.trim_end_matches('F'));
                assert_eq!(board.core.name(), core, "{}", board.name);
                stand_ins.push(machine.name);
            }
        }
        let machines = MACHINES.iter().filter(|machine| machine.spare.bytes > 0);
        stand_ins.sort_unstable();
        let mut names: Vec<_> = machines.map(|machine| machine.name).collect();
        names.sort_unstable();
        assert_eq!(stand_ins, names);
    }
}
