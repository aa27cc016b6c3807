//! Talking to the console of a board: what `kinglet monitor` does.
//!
//! [`Link`] carries bytes, over a serial port, TCP or the pipes of a program;
//! [`Console`] speaks the framing of `docs/console.md`.

mod console;
mod link;

pub use console::{Answer, Console};
pub use link::{ports, Event, EventSender, Link};

use std::io;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be opened.
    #[error("cannot open {name}: {error}; {}", ports_there_are())]
    Open {
        /// Of the port, as given.
        name: String,
        /// The system's error.
        error: io::Error,
    },
    /// There is nothing at the other end of a network connection.
    #[error("cannot connect to {name}: {error}; is the emulator or the bridge running?")]
    Connect {
        /// Host and port.
        name: String,
        /// The system's error.
        error: io::Error,
    },
    /// The program does not start.
    #[error("cannot start {name}: {error}")]
    Start {
        /// The program.
        name: String,
        /// The system's error.
        error: io::Error,
    },
    /// The board was silent for too long.
    #[error(
        "{name} says nothing for {} s; check the board's power, that this is its port, the rate (--baud), and that no other \
         program has the port open",
        .silence.as_secs_f32()
    )]
    Silent {
        /// Of the link.
        name: String,
        /// For how long.
        silence: Duration,
    },
    /// Something came that is not the console's.
    #[error(
        "{name} speaks, but not as Kinglet's console does; check the rate (--baud) and what was flashed. It says: {said}"
    )]
    Foreign {
        /// Of the link.
        name: String,
        /// The end of what came, printable.
        said: String,
    },
    /// The cable was pulled, the peer hung up, the program ended.
    #[error("{name} is gone{}", .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Closed {
        /// Of the link.
        name: String,
        /// The system's error, if there is one.
        reason: Option<io::Error>,
    },
    /// The board greeted again.
    #[error("the board was reset: it has forgotten text and settings")]
    Reset,
    /// The board says what is wrong.
    #[error("the board says: {0}")]
    Refused(String),
    /// The person leaves.
    #[error("interrupted")]
    Left,
    /// Our own output.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// A sentence about the serial ports of this machine.
fn ports_there_are() -> String {
    match ports().as_slice() {
        [] => "there is no serial port: is the board plugged in?".to_owned(),
        ports => format!("the serial ports are {}", ports.join(", ")),
    }
}
