//! Bytes to and from a board, and the person's input, as one sequence of
//! events.

use super::{ports_there_are, Limits};
use crate::misuse::BadUse;
use anyhow::{anyhow, bail, Context, Result};
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Timeout of a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Time for a program to leave after its input has ended.
const FAREWELL: Duration = Duration::from_secs(2);

/// Events in the queue; a sender waits while it is full.
const EVENTS: usize = 64;

/// An event of the conversation.
#[derive(Debug)]
pub enum Event {
    /// Bytes of the board.
    Bytes(Vec<u8>),
    /// The end of its output.
    Closed(Option<io::Error>),
    /// The person has typed a line.
    Typed(String),
    /// The end of the input.
    TypedEnd,
    /// Ctrl-C.
    Interrupt,
}

/// Reports the person's input.
pub type EventSender = SyncSender<Event>;

/// Where bytes to the board go.
trait Output: Write + Send + Debug {}
impl<W: Write + Send + Debug> Output for W {}

/// A connection.
#[derive(Debug)]
pub struct Link {
    name: String,
    events: Receiver<Event>,
    sender: EventSender,
    /// None when it is being dropped.
    out: Option<Box<dyn Output>>,
    program: Option<Child>,
}

/// The serial ports of this machine; none if they cannot be told.
pub fn ports() -> Vec<String> {
    let ports = serial2::SerialPort::available_ports().unwrap_or_default();
    let mut ports: Vec<_> = ports
        .iter()
        .map(|port| port.display().to_string())
        .collect();
    ports.sort();
    ports
}

/// The port of the board, where exactly one of these is on USB.
pub fn only_board(ports: &[String]) -> Option<&str> {
    // Linux, macOS (where each port has a second name), Windows.
    let starts = ["/dev/ttyACM", "/dev/ttyUSB", "/dev/cu.usb", "COM"];
    let is_usb = |port: &&String| starts.iter().any(|start| port.starts_with(start));
    let mut boards = ports.iter().filter(is_usb);
    boards
        .next()
        .filter(|_| boards.next().is_none())
        .map(String::as_str)
}

impl Link {
    /// Opens `tcp:HOST:PORT`, or else a serial port with that many bits a
    /// second.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(name: &str, baud: u32) -> Result<Self> {
        match name.strip_prefix("tcp:") {
            Some(address) => Self::tcp(name, address),
            None => Self::serial(name, baud),
        }
    }

    fn serial(name: &str, baud: u32) -> Result<Self> {
        let port = serial2::SerialPort::open(PathBuf::from(name), baud)
            .map_err(|error| anyhow!("cannot open {name}: {error}; {}", ports_there_are()))?;
        // A board with USB of its own sends nothing to a port that does not say that it is
        // open. Not every port has the line.
        let _ = port.set_dtr(true);
        let port = Arc::new(port);
        let input = port.clone();
        Ok(Self::over(name.to_owned(), Shared(input), Shared(port)))
    }

    fn tcp(name: &str, address: &str) -> Result<Self> {
        let port = address.rsplit_once(':').map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) {
            bail!(BadUse(format!("{name}: no port: write tcp:HOST:PORT")));
        }
        let connect = || {
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in address.to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, CONNECT) {
                    Ok(stream) => return Ok((stream.try_clone()?, stream)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let (input, out) = connect().map_err(|error: io::Error| {
            anyhow!("cannot connect to {address}: {error}; is the emulator or the bridge running?")
        })?;
        Ok(Self::over(name.to_owned(), input, out))
    }

    /// Starts a program whose standard input and output are the console; its
    /// standard error is ours.
    ///
    /// # Errors
    /// It does not start.
    pub fn program(program: &str, arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        leave_interrupts_to_us(&mut command);
        let child = command.spawn();
        let mut child = child.with_context(|| format!("cannot start {program}"))?;
        let (Some(out), Some(input)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped")
        };
        let mut link = Self::over(format!("the program {program}"), input, out);
        link.program = Some(child);
        Ok(link)
    }

    /// Over any pair of streams.
    pub fn over(
        name: String,
        input: impl Read + Send + 'static,
        out: impl Write + Send + Debug + 'static,
    ) -> Self {
        let (sender, events) = sync_channel(EVENTS);
        let bytes = sender.clone();
        thread::spawn(move || listen(input, &bytes));
        Self {
            name,
            events,
            sender,
            out: Some(Box::new(out)),
            program: None,
        }
    }

    /// As it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For events that are not the board's.
    pub fn sender(&self) -> EventSender {
        self.sender.clone()
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The link is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(out) = &mut self.out else {
            return Err(self.closed(None));
        };
        let sent = out.write_all(bytes).and_then(|()| out.flush());
        sent.map_err(|error| self.closed(Some(error)))
    }

    /// The next event, if one comes in time.
    pub fn event(&self, timeout: Duration) -> Option<Event> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            // Not while there is `self.sender`.
            Err(RecvTimeoutError::Disconnected) => Some(Event::Closed(None)),
        }
    }

    /// The next event; none where `deadline` comes first.
    ///
    /// # Errors
    /// There is none for too long.
    pub fn wait(&self, limits: &Limits, deadline: Instant) -> Result<Option<Event>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        match self.event(limits.silence.min(left)) {
            None if left >= limits.silence => Err(self.silent(limits.silence)),
            event => Ok(event),
        }
    }

    /// The error of silence for this long.
    pub fn silent(&self, time: Duration) -> anyhow::Error {
        let (name, seconds) = (&self.name, time.as_secs_f32());
        let check = match self.program {
            Some(_) => {
                "does it start, and is the board's serial port its standard output? (--timeout)"
            }
            None => {
                "check the board's power, that this is its port, the rate (--baud), and that no other program \
                 has the port open"
            }
        };
        anyhow!("{name} says nothing for {seconds} s; {check}")
    }

    /// The error of what takes longer than this.
    pub fn overdue(&self, time: Duration) -> anyhow::Error {
        let (name, seconds) = (&self.name, time.as_secs_f32());
        anyhow!("{name} has not come to an end after {seconds} s (--limit)")
    }

    /// The error of a link that is gone.
    pub fn closed(&self, reason: Option<io::Error>) -> anyhow::Error {
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        anyhow!("{} is gone{reason}", self.name)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The end of its input is how a program learns that it is to leave.
        self.out = None;
        let Some(program) = &mut self.program else {
            return;
        };
        let start = Instant::now();
        while start.elapsed() < FAREWELL {
            if !matches!(program.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // It may have left just now: then there is nothing to stop.
        kill_group(program);
        let _ = program.kill();
        let _ = program.wait();
    }
}

/// Ctrl-C at the terminal ends an answer, and not the program that gives it.
fn leave_interrupts_to_us(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
    }
    #[cfg(not(any(unix, windows)))]
    let _ = command;
}

/// Ends what the program has started, too: an emulator under a script would go on.
fn kill_group(program: &Child) {
    #[cfg(unix)]
    {
        use rustix::process::{kill_process_group, Pid, Signal};
        if let Some(group) = Pid::from_raw(program.id() as i32) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    #[cfg(not(unix))]
    let _ = program;
}

fn listen(mut input: impl Read, events: &EventSender) {
    let mut buffer = [0; 4096];
    loop {
        let event = match input.read(&mut buffer) {
            Ok(0) => Event::Closed(None),
            Ok(length) => Event::Bytes(buffer[..length].to_vec()),
            // A serial port's timeout: no byte has come for a while.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Event::Closed(Some(error)),
        };
        let is_last = matches!(event, Event::Closed(_));
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}

/// A serial port that one thread reads and another writes.
#[derive(Debug)]
struct Shared(Arc<serial2::SerialPort>);

impl Read for Shared {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_port_on_usb_is_the_boards() {
        let only = |ports: &[&str]| {
            let ports: Vec<_> = ports.iter().map(|&port| port.to_owned()).collect();
            only_board(&ports).map(str::to_owned)
        };
        assert_eq!(
            only(&["/dev/ttyACM0", "/dev/ttyS0"]).as_deref(),
            Some("/dev/ttyACM0")
        );
        let mac = [
            "/dev/cu.Bluetooth",
            "/dev/cu.usbmodem1",
            "/dev/tty.usbmodem1",
        ];
        assert_eq!(only(&mac).as_deref(), Some("/dev/cu.usbmodem1"));
        assert_eq!(only(&["COM7"]).as_deref(), Some("COM7"));
        assert_eq!(only(&["/dev/ttyACM0", "/dev/ttyUSB0"]), None);
        assert_eq!(only(&["/dev/ttyS0"]), None);
    }
}
