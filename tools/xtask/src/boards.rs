//! The firmware of real boards: building it, and running it in QEMU on the
//! boards that QEMU has.

use crate::emulator::forward;
use crate::firmware;
use crate::setup::{ensure_qemu, ensure_target, QEMU};
use crate::workspace::{cargo, root};
use anyhow::{anyhow, bail, Context, Result};
use kinglet_plan::{Board, Boards, Core};
use kinglet_protocol::console::{Statistics, GREETING};
use kinglet_protocol::END_OF_INPUT;
use serde::Serialize;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::Duration;

/// Boards that QEMU has, and its names for them.
const EMULATED: [(&str, &str); 2] = [("microbit-v1", "microbit"), ("stm32f405", "netduinoplus2")];

/// Firmware that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// The last words of firmware that has no model to speak with.
const NO_MODEL: &[u8] = b"then type anything.";

/// What the console prints when it is ready for a line.
const READY: &str = "> ";

/// Build the firmware of a board and print where it is; with an image, run both in QEMU
///
/// The firmware of firmware/boards/NAME, as it is flashed to the board. QEMU
/// has two of them: microbit-v1 and stm32f405. With an image and no prompt
/// you are at the board's console.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask board pico\n  \
    cargo xtask board stm32f405 --image model.kgl\n  \
    cargo xtask board stm32f405 --image model.kgl --prompt \"Once upon a time\" -n 100")]
pub struct Args {
    /// The board, see `kinglet plan`
    name: String,
    /// The image to flash beside the firmware
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The prompt, one line
    #[arg(long, value_name = "TEXT", requires = "image")]
    prompt: Option<String>,
    /// Tokens to generate
    #[arg(short = 'n', long, default_value_t = 100, requires = "prompt")]
    tokens: u32,
    /// Print one JSON object: elf, and with an image text and stack_bytes
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    elf: PathBuf,
    #[serde(flatten)]
    answer: Option<Answer>,
}

/// What the firmware said.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The text behind the prompt.
    pub text: String,
    /// The most bytes of stack in use.
    pub stack_bytes: u32,
}

/// The command `board`.
pub fn run(args: &Args) -> Result<()> {
    let boards = Boards::load(None)?;
    let board = boards.named(&args.name)?;
    let elf = build(board)?;
    let answer = match (&args.image, &args.prompt) {
        (Some(image), Some(prompt)) => Some(emulate(board, &elf, image, prompt, args.tokens)?),
        (Some(_), None) if args.json => bail!("--json with an image needs a prompt"),
        (Some(image), None) => return converse(board, &elf, image),
        _ => None,
    };
    let mut out = io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&Report { elf, answer })?)?;
        return Ok(());
    }
    match answer {
        Some(Answer { text, stack_bytes }) => writeln!(out, "{text}\n\nstack {stack_bytes} bytes")?,
        None => writeln!(out, "{}", elf.display())?,
    }
    Ok(())
}

/// The Rust target of a core.
pub fn target(core: Core) -> &'static str {
    match core {
        Core::M0 => "thumbv6m-none-eabi",
        Core::M3 => "thumbv7m-none-eabi",
        Core::M4 | Core::M7 => "thumbv7em-none-eabihf",
        Core::M33 | Core::M55 => "thumbv8m.main-none-eabihf",
    }
}

/// Cargo in the folder of a board.
pub fn build_command(board: &Board) -> Command {
    let mut build = cargo();
    build
        .current_dir(root().join("firmware/boards").join(&board.name))
        .args(["build", "--release", "--quiet", "--target-dir"])
        .arg(firmware::target());
    build
}

/// Builds the firmware of a board; returns the path of the ELF file.
pub fn build(board: &Board) -> Result<PathBuf> {
    let target = target(board.core);
    ensure_target(target)?;
    let output = build_command(board)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("the firmware of {} does not build:\n{errors}", board.name);
    }
    let folder = firmware::target().join(target).join("release");
    Ok(folder.join(format!("kinglet-{}", board.name)))
}

/// Whether QEMU has the board.
pub fn is_emulated(board: &Board) -> bool {
    EMULATED.iter().any(|&(name, _)| name == board.name)
}

/// Runs the firmware with an image in the model's flash, and asks it once.
pub fn emulate(
    board: &Board,
    elf: &Path,
    image: &Path,
    prompt: &str,
    tokens: u32,
) -> Result<Answer> {
    let mut dialogue = start(board, elf, image)?;
    dialogue.hear(READY)?;
    dialogue.say(&format!("/n {tokens}\r"))?;
    dialogue.hear(READY)?;
    dialogue.say(&format!("{prompt}\r"))?;
    let answer = dialogue.hear(&format!("\n{READY}"))?;
    parse(&answer).ok_or_else(|| anyhow!("the firmware of {} says: {answer}", board.name))
}

/// Gives the console to the person at the keyboard, until the input ends.
fn converse(board: &Board, elf: &Path, image: &Path) -> Result<()> {
    let mut dialogue = start(board, elf, image)?;
    let mut input = dialogue.qemu.stdin.take().context("QEMU has no input")?;
    thread::spawn(move || {
        // Errors mean that the other side has left: nothing to do.
        let _ = forward(&mut io::stdin().lock(), &mut input);
        // The first ends an unfinished line, the second the conversation.
        let _ = input.write_all(&[END_OF_INPUT; 2]);
        let _ = input.flush();
    });
    let mut out = io::stdout();
    for byte in &dialogue.heard {
        // The board has no more to say to this person, and greets the next.
        if byte == GREETING {
            break;
        }
        out.write_all(&[byte])?;
        out.flush()?;
    }
    Ok(())
}

/// Starts the firmware with an image in the model's flash, and hears its
/// greeting's first byte.
fn start(board: &Board, elf: &Path, image: &Path) -> Result<Dialogue> {
    ensure_qemu()?;
    let machine = EMULATED.iter().find(|&&(name, _)| name == board.name);
    let (_, machine) = machine.with_context(|| format!("QEMU has no {}", board.name))?;
    let image = std::fs::canonicalize(image)
        .with_context(|| format!("cannot read the image {}", image.display()))?;
    let (bytes, room) = (std::fs::metadata(&image)?.len(), board.model().bytes);
    if bytes > u64::from(room) {
        bail!(
            "{} has {bytes} bytes, the model's flash of {} {room}",
            image.display(),
            board.name
        );
    }
    // In an option a comma is written twice.
    let file = image.to_string_lossy().replace(',', ",,");
    let address = board.model().origin;
    let mut qemu = Command::new(QEMU);
    qemu.args(["-machine", machine, "-display", "none", "-monitor", "none"])
        .args(["-serial", "stdio", "-kernel"])
        .arg(elf)
        .args([
            "-device",
            &format!("loader,file={file},addr={address:#x},force-raw=on"),
        ]);
    let dialogue = Dialogue::start(&mut qemu)?;
    let mut said = Vec::new();
    while said.last() != Some(&GREETING) {
        said.push(dialogue.byte()?);
        if said.ends_with(NO_MODEL) {
            let said = String::from_utf8_lossy(&said);
            bail!("the firmware of {} says: {said}", board.name);
        }
    }
    Ok(dialogue)
}

/// The text, and the stack from the line behind it.
fn parse(answer: &str) -> Option<Answer> {
    let (text, statistics) = answer.trim_end().rsplit_once("\r\n")?;
    Some(Answer {
        text: text.replace("\r\n", "\n"),
        stack_bytes: Statistics::parse(statistics)?.stack_bytes,
    })
}

/// A QEMU that ends with its owner, and what its firmware says.
struct Dialogue {
    qemu: Child,
    heard: Receiver<u8>,
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to stop.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Dialogue {
    fn start(command: &mut Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut qemu = piped
            .spawn()
            .with_context(|| format!("cannot start {QEMU}"))?;
        let stdout = qemu.stdout.take().context("QEMU has no output")?;
        let (sender, heard) = channel();
        thread::spawn(move || {
            for byte in BufReader::new(stdout).bytes().map_while(Result::ok) {
                if sender.send(byte).is_err() {
                    return;
                }
            }
        });
        Ok(Self { qemu, heard })
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let input = self.qemu.stdin.as_mut().context("QEMU has no input")?;
        input.write_all(line.as_bytes())?;
        Ok(input.flush()?)
    }

    fn byte(&self) -> Result<u8> {
        let byte = self.heard.recv_timeout(SILENCE);
        byte.map_err(|_| anyhow!("the firmware says no more"))
    }

    /// What the firmware says up to `end`, without it.
    fn hear(&mut self, end: &str) -> Result<String> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            bytes.push(self.byte().with_context(|| {
                let said = String::from_utf8_lossy(&bytes);
                format!("its last words: {said}")
            })?);
        }
        bytes.truncate(bytes.len() - end.len());
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_text_and_stack() {
        let answer = parse("a [b]\r\nc\r\n[3 tokens, 1.50 tokens/s, stack 4076 bytes, end]\r")
            .expect("statistics");
        assert_eq!(answer.text, "a [b]\nc");
        assert_eq!(answer.stack_bytes, 4076);
        assert!(parse("the image has no tokenizer\r").is_none());
    }
}
