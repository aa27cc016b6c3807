//! Talking to the console of a board: what `kinglet monitor` does.
//!
//! [`Link`] carries bytes, over a serial port, TCP or the pipes of a program;
//! [`Console`] speaks the framing of `docs/console.md`, [`Printed`] reads what a
//! firmware without a console prints. [`workstation`] needs no board.

mod console;
mod link;
mod printed;
mod workstation;

use anyhow::anyhow;
pub use console::{Answer, Console, Limits};
pub use link::{only_board, ports, Event, EventSender, Link};
pub use printed::{Line, Printed};
pub use workstation::workstation;

/// The person leaves.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Left;

/// The board has forgotten text and settings.
fn reset() -> anyhow::Error {
    anyhow!("the board was reset: it has forgotten text and settings")
}

/// A line is not answered, and the next one may be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The board says what is wrong with a line.
pub fn refused(said: &str) -> anyhow::Error {
    Refused(format!("the board says: {said}")).into()
}

/// A sentence about the serial ports of this machine.
fn ports_there_are() -> String {
    match ports().as_slice() {
        [] => "there is no serial port: is the board plugged in?".to_owned(),
        ports => format!("the serial ports are {}", ports.join(", ")),
    }
}
