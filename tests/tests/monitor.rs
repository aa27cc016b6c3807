//! `kinglet monitor` and boards that misbehave in every way that a cable and
//! its other end can. With boards in QEMU: `tests/emulated/tests/boards/monitor.rs`.

use kinglet_tests::{fails, failure, kinglet, run, says, stdout, typed};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

const READY: &[u8] = b"\x05";
const STATISTICS: &[u8] = b"\r\n[3 tokens, 12.50 tokens/s, stack 3860 bytes, length]\r\n";

/// A board that answers commands and leaves prompts to `reply`, at an address
/// that `kinglet monitor` takes. It serves one connection.
fn board(reply: impl Fn(&str, &mut TcpStream) + Send + 'static) -> String {
    peer(move |mut stream| {
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
        loop {
            let mut line = Vec::new();
            match lines.read_until(b'\r', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8(line).expect("UTF-8");
            let line = line.trim_end_matches('\r');
            // An abort before the line.
            let line = line.trim_start_matches('\u{3}');
            if line.starts_with('/') && !line.starts_with("//") {
                let said = match line {
                    "/from lost" => "/from lost: no such command".to_owned(),
                    settings => format!("/n 100 {settings}"),
                };
                // The monitor may have left already.
                let _ = stream.write_all(&[said.as_bytes(), b"\r\n", READY].concat());
            } else {
                reply(line, &mut stream);
            }
        }
    })
}

fn peer(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            serve(stream);
        }
    });
    format!("tcp:127.0.0.1:{port}")
}

/// A board's answer that is the prompt.
fn echo(line: &str, stream: &mut TcpStream) {
    let answer = [b"\x02", line.as_bytes(), b"\x03", STATISTICS, READY].concat();
    send(stream, &[&answer]);
}

/// Runs `kinglet monitor` for the prompt `x`, expects a failure that says this,
/// and returns what was printed before.
fn gives_up(board: &str, options: &str, said: &str) -> String {
    let output = run(("monitor", [board], "--prompt x", options));
    assert_eq!(output.status.code(), Some(1));
    says(&String::from_utf8_lossy(&output.stderr), said);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Sends pieces one by one.
fn send(stream: &mut TcpStream, pieces: &[&[u8]]) {
    stream.set_nodelay(true).expect("a socket");
    for piece in pieces {
        // The monitor may have left already.
        let _ = stream.write_all(piece);
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn characters_that_come_in_pieces_are_whole() {
    let answer = |_: &str, stream: &mut TcpStream| {
        let text: [&[u8]; 7] = [
            b"\x02\x06\x06caf",
            b"\xc3",
            b"\xa9 \xf0\x9f",
            b"\x90\xa6\r",
            b"\nok",
            b"\x03",
            STATISTICS,
        ];
        send(stream, &text);
        send(stream, &[READY]);
    };
    let said = stdout(("monitor", [&board(answer)], "--prompt hello"));
    assert_eq!(said, "café 🐦\nok\n");
    let said = stdout(("monitor", [&board(answer)], "--prompt hello --json"));
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(report["text"], "café 🐦\nok");
    assert_eq!(report["prompt"], "hello");
    assert_eq!(report["prompt_tokens"], 3);
    assert_eq!(report["tokens"], 3);
    assert_eq!(report["tokens_per_second"], 12.5);
    assert_eq!(report["stack_bytes"], 3860);
    assert_eq!(report["reason"], "length");
}

#[test]
fn bytes_damaged_on_the_wire_are_shown_as_such() {
    let answer = |_: &str, stream: &mut TcpStream| {
        send(stream, &[b"\x02a\xffb\xe2\x82\x03", STATISTICS, READY]);
    };
    let said = stdout(("monitor", [&board(answer)], "--prompt x"));
    assert_eq!(said, "a\u{fffd}b\u{fffd}\n");
}

#[test]
fn several_prompts_are_asked_in_order_and_a_slash_is_doubled() {
    let args = ["--prompt", "one", "--prompt", "/two", "--prompt", ""];
    let said = stdout(("monitor", [&board(echo)], &args));
    assert_eq!(said, "one\n//two\n\n");
}

#[test]
fn who_says_nothing_is_not_waited_for_for_ever() {
    let start = Instant::now();
    let silent = peer(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let error = failure(("monitor", [&silent], "--timeout 1 --prompt x"), 1);
    says(&error, "says nothing for 1 s");
    says(&error, "--baud");
    assert!(start.elapsed() < Duration::from_secs(30));
    let stalls = board(|_, stream| send(stream, &[b"\x02so far"]));
    let printed = gives_up(&stalls, "--timeout 1", "says nothing for 1 s");
    assert_eq!(printed, "so far\n");
}

#[test]
fn tokens_that_are_read_are_not_silence() {
    let slow = board(|_, stream| {
        send(stream, &[b"\x02"]);
        for _ in 0..4 {
            thread::sleep(Duration::from_millis(500));
            send(stream, &[b"\x06"]);
        }
        send(stream, &[b"done\x03", STATISTICS, READY]);
    });
    let args = ("monitor", [&slow], "--timeout 1 --prompt x");
    assert_eq!(stdout(args), "done\n");
}

#[test]
fn a_stranger_is_quoted() {
    let shell = peer(|mut stream| {
        let mut typed = [0; 64];
        while let Ok(1..) = stream.read(&mut typed) {
            send(&mut stream, &[b"login: \xff\xfe\x1b[0m\r\n"]);
        }
    });
    let error = failure(("monitor", [&shell], "--timeout 1 --prompt x"), 1);
    says(&error, "not as Kinglet's console does");
    says(&error, "login:");
    assert!(!error.contains('\x1b'), "{error:?}");
    let babbles = peer(|mut stream| while stream.write_all(&[0x55; 999]).is_ok() {});
    let error = failure(("monitor", [&babbles], "--timeout 1 --prompt x"), 1);
    says(&error, "UUU");
    assert!(error.len() < 999, "{error}");
}

/// A board that sends this again and again, after `first`.
fn endless(first: &'static [u8], again: &'static [u8]) -> String {
    board(move |_, stream| {
        send(stream, &[first]);
        while stream.write_all(&again.repeat(9999)).is_ok() {}
    })
}

#[test]
fn a_board_that_never_stops_is_left() {
    for (first, again) in [
        (&b"\x02"[..], &b"a"[..]),
        (b"\x02", b"\x06"),
        (b"", b"a"),
        (b"\x02a\x03", b"[1 tokens]\n"),
    ] {
        let printed = gives_up(&endless(first, again), "-n 3", "does not stop");
        assert!(printed.len() < 5000, "{}", printed.len());
    }
    let slow = board(|_, stream| {
        send(stream, &[b"\x02"]);
        while stream.write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let start = Instant::now();
    gives_up(&slow, "--limit 1", "has not come to an end after 1 s");
    assert!(start.elapsed() < Duration::from_secs(9));
}

/// One Ctrl-C suffices, though the board goes on.
#[cfg(unix)]
#[test]
fn a_board_that_never_stops_is_interrupted_once() {
    let board = endless(b"\x02begun", b"\x7f");
    let mut command = kinglet();
    command.args(["monitor", &board, "--prompt", "x", "-n", "4000000000"]);
    let mut monitor = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut out = monitor.stdout.take().expect("a pipe");
    out.read_exact(&mut [0; 5]).expect("the answer");
    let reader = thread::spawn(move || io::copy(&mut out, &mut io::sink()));
    let start = Instant::now();
    let id = monitor.id().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(kill.expect("kill").success());
    let status = monitor.wait().expect("it ends");
    assert_eq!(status.code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(20));
    reader.join().expect("the reader").expect("a pipe");
}

#[test]
fn a_board_does_not_speak_to_the_terminal() {
    let answer = board(|_, stream| {
        let text = b"\x02\x1b[2J\xc2\x9bm\x07\x03\r\nnote \x1b]0;x\x07";
        send(stream, &[text, STATISTICS, READY]);
    });
    let output = run(("monitor", [&answer], "--prompt x"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "?[2J?m?\n");
    says(&String::from_utf8_lossy(&output.stderr), "note ?]0;x?\n");
    let refuses = board(|_, stream| send(stream, &[b"\x1b[2J no", READY]));
    gives_up(&refuses, "", "the board says: [2J no\n");
}

#[test]
fn a_board_that_goes_away_or_is_reset_is_an_error() {
    let pulled = board(|_, stream| {
        send(stream, &[b"\x02half a"]);
        // Its other handle reads: both have to go.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    assert_eq!(gives_up(&pulled, "", "is gone"), "half a\n");
    let reset = board(|_, stream| {
        send(stream, &[b"\x02half a", b"\x0fKinglet on a board\r\n> "]);
    });
    gives_up(&reset, "", "the board was reset");
}

#[test]
fn what_the_board_complains_of_is_said() {
    let no_byte = board(|_, stream| {
        let complaint = b"\x02\x03the vocabulary has no byte 0xc3\r\n";
        send(stream, &[complaint, READY]);
    });
    gives_up(&no_byte, "--prompt é", "no byte 0xc3");
    let refuses = board(|_, _| panic!("there is no prompt"));
    let said = "the board says: /from lost: no such command";
    fails(("monitor", [&refuses], "--prompt x --from lost"), 1, said);
}

/// A board of ASCII letters is asked again without what it cannot read.
#[test]
fn what_the_board_cannot_read_is_skipped_or_replaced() {
    let ask = |policy: &str| {
        let board = board(|line, stream| {
            let unknown = line.bytes().find(|byte| !byte.is_ascii() || *byte == b'?');
            match unknown {
                None => echo(line, stream),
                Some(byte) => {
                    let said = format!("no token stands for the byte 0x{byte:02x}\r\n");
                    send(stream, &[said.as_bytes(), READY]);
                }
            }
        });
        let prompt = ["--prompt", "it\u{2019}s caf\u{e9}?", "--unknown", policy];
        run(("monitor", &*board, prompt))
    };
    for (policy, text) in [("skip", "its caf\n"), ("replace", "it's caf\n")] {
        let output = ask(policy);
        assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{output:?}");
    }
    let refused = ask("refuse");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    says(&said, "no token stands for the byte 0xe2");
}

#[test]
fn lines_of_a_pipe_are_prompts_and_commands() {
    let long = "a".repeat(300);
    let lines = format!("one\n/n 5\n//two\n/frames off\n{long}\nthree\n/quit\nfour\n");
    let output = typed(kinglet().args(["monitor", &board(echo)]), &lines);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let statistics = "[3 tokens, 12.50 tokens/s, stack 3860 bytes, length]\n";
    let expected = format!("one\n{statistics}/n 100 /n 5\n//two\n{statistics}three\n{statistics}");
    assert_eq!(said, expected);
    let errors = String::from_utf8_lossy(&output.stderr);
    says(&errors, "needs the frames");
    says(&errors, "300 bytes");
    // The rest was asked, but a program learns that not all was.
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let output = typed(
        kinglet().args(["monitor", &board(echo)]),
        b"one\na\xff\ntwo\n",
    );
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(said, format!("one\n{statistics}two\n{statistics}"));
    says(&String::from_utf8_lossy(&output.stderr), "takes UTF-8");
    assert_eq!(output.status.code(), Some(1));
    let output = typed(kinglet().args(["monitor", &board(echo)]), "one\n");
    assert!(output.status.success());
}

#[test]
fn bad_use_is_said_before_anything_is_opened() {
    let long = "a".repeat(257);
    let two = ["--prompt", "two\nlines"];
    fails(("monitor x", two), 2, "control characters");
    fails(("monitor x --prompt", [&long]), 2, "257 bytes");
    let error = failure("monitor /dev/no-such-port --prompt x", 1);
    says(&error, "cannot open /dev/no-such-port");
    says(&error, "serial port");
    let said = "cannot connect to 127.0.0.1:1";
    fails("monitor tcp:127.0.0.1:1 --prompt x", 1, said);
    fails("monitor tcp:localhost --prompt x", 2, "write tcp:HOST:PORT");
    let said = "cannot start /no/such/program";
    fails("monitor --prompt x -- /no/such/program", 1, said);
}
