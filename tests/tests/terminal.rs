//! `kinglet run` and `kinglet monitor` as a person at a terminal meets them.
#![cfg(unix)]

use kinglet_tests::{demo_image, folder, kinglet, stdout, Args};
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rustix::termios::tcgetattr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Child;
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take for what it shows next.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program at a terminal, and the person in front of it.
struct Person {
    keys: File,
    /// The program's end, open so that its settings can be read.
    terminal: File,
    shown: Receiver<Vec<u8>>,
    /// Not yet expected.
    text: String,
    program: Child,
}

impl Person {
    fn starts(args: impl Args) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keys).and_then(|()| unlockpt(&keys)).expect("ours");
        let name = ptsname(&keys, Vec::new()).expect("its name");
        let name = name.into_string().expect("UTF-8");
        let terminal = File::options().read(true).write(true).open(name);
        let terminal = terminal.expect("a terminal");
        let end = || terminal.try_clone().expect("a second handle");
        let program = kinglet()
            .args(args.list())
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("kinglet starts");
        let keys = File::from(keys);
        let mut screen = keys.try_clone().expect("a second handle");
        let (sender, shown) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keys,
            terminal,
            shown,
            text: String::new(),
            program,
        }
    }

    /// Waits for this on the screen; what was shown up to its end is gone.
    fn sees(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.text.find(text) {
                self.text.drain(..at + text.len());
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.text += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("no {text:?} in: {:?}", self.text),
            }
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Waits for the end of the program; its exit code.
    fn leaves(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.program.try_wait().expect("a program") {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it goes on: {:?}", self.text);
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It has ended, but for a test that fails.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn an_image_without_a_prompt_is_a_conversation_with_lines_to_edit() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let answer = stdout(("run", &image, ["--prompt", "Once upon a time"], "-n 8"));
    let other = stdout(("run", &image, ["--prompt", "The cat"], "-n 5"));
    let shown = |text: &str| text.replace('\n', "\r\n");
    let mut person = Person::starts(("run", &image, "-n 8"));
    person.sees("Ctrl-D leaves.");
    person.sees("> ");
    // A wrong letter, and the key that takes it back.
    person.types("Once upon a timf\u{7f}e\r");
    person.sees(&shown(&answer));
    person.sees("[8 tokens, ");
    person.sees(" tokens/s, length]");
    person.sees("> ");
    // Settings are kept from line to line.
    person.types("/n 5\r");
    person.sees("/n 5 /temperature 0.000");
    person.sees("> ");
    person.types("The cat\r");
    person.sees(&shown(&other));
    person.sees("[5 tokens, ");
    person.sees("> ");
    // The arrow key finds the lines before.
    person.types("\u{1b}[A\r");
    person.sees(&shown(&other));
    person.sees("> ");
    person.types("\u{3}");
    person.sees("Ctrl-C again, or Ctrl-D, leaves.");
    person.sees("> ");
    person.types("\u{4}");
    assert_eq!(person.leaves(), Some(0));
}

#[test]
fn what_a_conversation_cannot_have_is_said_at_once() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    for (options, said) in [
        ("--stop a --stop b", "a conversation has one --stop"),
        ("--from nowhere", "there is no state `nowhere`"),
    ] {
        let mut person = Person::starts(("run", &image, options));
        person.sees(said);
        assert_eq!(person.leaves(), Some(2), "{options}");
    }
}

/// A program that ends while a line is edited leaves the terminal as it was.
#[test]
fn a_board_that_goes_away_leaves_the_terminal_usable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (unplug, is_unplugged) = channel::<()>();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let lines = BufReader::new(stream.try_clone().expect("a second handle"));
        thread::spawn(move || {
            for line in lines.split(b'\r').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).replace('\u{3}', "");
                let said = format!("/n 100 {line}\r\n\u{5}");
                stream.write_all(said.as_bytes()).expect("it listens");
                if line == "/info" {
                    let _ = is_unplugged.recv();
                    return;
                }
            }
        });
    });
    let mut person = Person::starts(("monitor", [&format!("tcp:127.0.0.1:{port}")]));
    let before = format!("{:?}", tcgetattr(&person.terminal).expect("settings"));
    person.sees("> ");
    person.types("a line that is not sen");
    person.sees("sen");
    let edited = format!("{:?}", tcgetattr(&person.terminal).expect("settings"));
    assert_ne!(before, edited, "the line is not edited here");
    unplug.send(()).expect("a board");
    person.sees("is gone");
    assert_eq!(person.leaves(), Some(1));
    let after = format!("{:?}", tcgetattr(&person.terminal).expect("settings"));
    assert_eq!(before, after);
}
