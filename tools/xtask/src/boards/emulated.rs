//! Boards in QEMU: those that it has, and for the others a machine with the same
//! core that stands in.

use super::dialogue::Dialogue;
use super::{build, Answer};
use anyhow::{bail, Context, Result};
use kinglet_protocol::console::{Speed, Statistics};
use kinglet_targets::{Board, ICOUNT_SHIFT, NANOS_PER_INSTRUCTION};
use kinglet_workshop::emulator::{loader, qemu};
use kinglet_workshop::firmware::build_stand_in;
use kinglet_workshop::setup::ensure_qemu;
use std::path::{Path, PathBuf};

/// What runs in QEMU.
pub struct Emulated<'b> {
    /// The board, real or stood in for.
    board: &'b Board,
    /// The firmware.
    pub elf: PathBuf,
    /// QEMU's name of the machine.
    machine: &'b str,
    /// The first address of the model's flash.
    model_origin: u32,
    /// Whether virtual time is a count of instructions, and the clock right.
    counts: bool,
}

impl<'b> Emulated<'b> {
    /// Builds what runs in QEMU.
    pub fn build(board: &'b Board) -> Result<Self> {
        if let Some(machine) = &board.qemu {
            return Ok(Self {
                board,
                elf: build(board)?,
                machine,
                model_origin: board.model().origin,
                // Its clocks are not QEMU's.
                counts: false,
            });
        }
        let machine = board
            .stand_in()
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
        let answer = self.start(image)?.greeted()?.ask(prompt, tokens);
        let (text, statistics) = answer.with_context(|| self.board.name.clone())?;
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
        ensure_qemu(self.board.core)?;
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
        let mut qemu = qemu(self.board.core, self.machine, &self.elf);
        qemu.args(["-device", &loader(&image, self.model_origin)]);
        if self.counts {
            qemu.args(["-icount", &format!("shift={ICOUNT_SHIFT}")]);
        }
        Dialogue::start(&mut qemu).with_context(|| self.board.name.clone())
    }
}

/// Instructions of a token, by a clock that counts instructions.
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

    #[test]
    fn a_rate_of_the_clock_is_a_count_of_instructions() {
        let line = "[3 tokens, 1.50 tokens/s, stack 4076 bytes, end]";
        let statistics = Statistics::parse(line).expect("statistics");
        // 15,625,000 instructions a second.
        assert_eq!(instructions_per_token(&statistics), Some(10_416_666));
    }
}
