//! `kinglet monitor` and boards in QEMU: over the pipes of a program, a serial
//! port and TCP.

use kinglet_tests::{
    arg, demo_checkpoint, fails, folder, json, kinglet, quantize, run, says, stdout, xtask, Args,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The demo model for the board.
fn image(folder: &Path) -> PathBuf {
    let image = folder.join("board.kgl");
    let options = "--weights int4 --board stm32f405";
    quantize(&demo_checkpoint(), &image, options);
    image
}

/// What follows `kinglet monitor` for the board in QEMU: `--` and a program.
fn board(image: &Path) -> Vec<String> {
    let program = xtask().get_program().to_owned();
    ("--", Path::new(&program), "board stm32f405 --image", image).list()
}

/// What the workstation generates.
fn expected(image: &Path, prompt: &str, tokens: usize, options: &str) -> String {
    let prompt = ["--prompt", prompt, "-n", &tokens.to_string()];
    let report = json(("run", image, prompt, "--json", options));
    report["text"].as_str().expect("text").to_owned()
}

#[test]
fn a_board_says_what_the_workstation_says() {
    let folder = folder();
    let image = image(folder.path());
    let board = board(&image);
    let prompt = "Once upon a time";
    let asked = ("monitor", ["--prompt", prompt]);
    let whole = expected(&image, prompt, 40, "");
    let said = stdout((asked, "-n 40", &board));
    assert_eq!(said, format!("{whole}\n"));
    let options = "--temperature 0.8 --top-k 20 --top-p 0.9 --seed 7 --repetition-penalty 1.2";
    let report = json((asked, "-n 30 --json", options, &board));
    assert_eq!(report["text"], expected(&image, prompt, 30, options));
    assert_eq!(report["tokens"], 30);
    assert_eq!(report["reason"], "length");
    let read = json(("run", &image, ["--prompt", prompt], "-n 1 --json"));
    assert_eq!(report["prompt_tokens"], read["prompt_tokens"]);
    assert!(report["stack_bytes"].as_u64() > Some(1000), "{report}");
    assert!(report["tokens_per_second"].as_f64() > Some(0.0), "{report}");
    // A stop text of more than one token, and settings of an earlier prompt.
    let (before, _) = whole.split_once("girl named").expect("the demo's story");
    let stop = ["--stop", "girl named"];
    let report = json((asked, "-n 40 --json", stop, &board));
    assert_eq!(report["text"], before);
    assert_eq!(report["reason"], "stop");
}

#[test]
fn a_board_is_verified_and_one_with_another_image_is_told() {
    let folder = folder();
    let image = image(folder.path());
    let board = board(&image);
    let asked = ["--prompt", "Once upon a time", "--prompt", ""];
    let report = json(("verify", &image, asked, "-n 12 --json", &board));
    assert_eq!(report["agrees"], true);
    assert_eq!(report["tokens"], 24);
    let other = folder.path().join("other.kgl");
    let options = "--weights int4 --head int4 --board stm32f405";
    quantize(&demo_checkpoint(), &other, options);
    fails(("verify", &other, asked, &board), 1, "another image");
}

/// Ctrl-C as the terminal sends it.
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let kill = Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.expect("kill starts").success());
}

#[test]
fn an_interrupt_ends_the_answer_and_the_next_prompt_is_answered() {
    let folder = folder();
    let image = image(folder.path());
    let mut child = kinglet()
        .args(["monitor", "-n", "1000000"])
        .args(["--temperature", "1", "--seed", "3"])
        .args(board(&image))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kinglet starts");
    let mut input = child.stdin.take().expect("piped");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    // Texts end: there is one that is long enough to be interrupted.
    let mut is_aborted = false;
    for _ in 0..20 {
        input.write_all(b"Once upon a time\n").expect("it reads");
        let mut some = [0; 20];
        said.read_exact(&mut some).expect("text");
        interrupt(&child);
        let mut line = String::new();
        while !line.starts_with('[') {
            line.clear();
            assert!(said.read_line(&mut line).expect("UTF-8") > 0);
        }
        is_aborted |= line.trim_end().ends_with(", abort]");
        if is_aborted {
            break;
        }
    }
    assert!(is_aborted);
    input
        .write_all(b"/temperature 0 /n 12\nOnce upon a time\n/info\n/quit\n")
        .expect("it reads");
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("UTF-8");
    let expected = expected(&image, "Once upon a time", 12, "");
    says(&rest, &format!("\n{expected}\n[12 tokens, "));
    says(&rest, "\nmodel: stories\n");
    assert!(child.wait().expect("it ends").success());
}

/// QEMU with the board, its serial port wherever `serial` says.
fn qemu(image: &Path, serial: &str) -> Child {
    let report = kinglet_emulated::json("board stm32f405 --json");
    let loader = format!("loader,file={},addr=0x8020000,force-raw=on", arg(image));
    Command::new("qemu-system-arm")
        .args([
            "-machine",
            "netduinoplus2",
            "-display",
            "none",
            "-monitor",
            "none",
        ])
        .args(["-kernel", report["elf"].as_str().expect("a path")])
        .args(["-device", &loader, "-serial", serial])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("QEMU starts")
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_serial_port_carries_a_conversation_after_another() {
    if !cfg!(unix) {
        return;
    }
    let folder = folder();
    let image = image(folder.path());
    let mut board = Running(qemu(&image, "pty"));
    let out = board.0.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).expect("UTF-8");
    let port = line
        .split_whitespace()
        .find(|word| word.starts_with("/dev/"));
    let port = port.expect("QEMU says which port").to_owned();
    let prompt = "Once upon a time";
    for tokens in [10, 20] {
        let count = tokens.to_string();
        let said = stdout(("monitor", [&port, "--prompt", prompt, "-n", &count]));
        assert_eq!(said, format!("{}\n", expected(&image, prompt, tokens, "")));
    }
    // A client that left in the middle of an answer leaves the board at work.
    let mut child = kinglet()
        .args(["monitor", &port, "--prompt", prompt, "-n", "1000000"])
        .args(["--temperature", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("kinglet starts");
    let mut some = [0; 8];
    child
        .stdout
        .take()
        .expect("piped")
        .read_exact(&mut some)
        .expect("text");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let said = stdout(("monitor", [&port, "--prompt", prompt], "-n 15"));
    assert_eq!(said, format!("{}\n", expected(&image, prompt, 15, "")));
    // The end of the emulator is the cable pulled.
    drop(board);
    let gone = run(("monitor", [&port], "--prompt x --timeout 2"));
    assert_eq!(gone.status.code(), Some(1));
}
