//! Running firmware in QEMU and talking to it over its UART.

use crate::firmware;
use crate::setup::{self, ensure_qemu};
use crate::workspace::name;
use anyhow::{anyhow, bail, Context, Result};
use kinglet_protocol::{Line, Request, BODY_MAX, END_OF_INPUT, VERSION};
use kinglet_targets::{Core, Machine, ICOUNT_SHIFT};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Firmware that is silent for this long hangs. Its work may take any time: it
/// reports progress every few seconds.
const SILENCE: Duration = Duration::from_secs(120);

/// Parts of the spare RAM, of the same size, for an image each. A single image
/// may be longer than its part.
pub const SLOTS: u32 = 2;

/// A machine with its firmware.
#[derive(Debug)]
pub struct Emulator {
    /// The board.
    pub machine: &'static Machine,
    /// The firmware.
    pub elf: PathBuf,
    /// Images that QEMU loads into the spare RAM, [`SLOTS`] at most; none
    /// where one is linked in.
    pub images: Vec<PathBuf>,
}

/// A generated token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// The hash of the logits that it was chosen from.
    pub hash: u64,
    /// Instructions of the whole step.
    pub instructions: u64,
    /// What it stands for.
    pub text: Vec<u8>,
}

/// All that the firmware answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Hashes of the logits at every position of the prompt, if asked for.
    pub prompt_hashes: Vec<u64>,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Instructions for all of them but the last.
    pub prompt_instructions: u64,
    /// The generated tokens.
    pub tokens: Vec<Token>,
    /// The most instructions of a slice, where steps are in slices.
    pub slice_instructions: Option<u64>,
    /// Bytes of the state.
    pub state_bytes: u32,
    /// Bytes of the scratch.
    pub scratch_bytes: u32,
    /// The most bytes of stack in use.
    pub stack_bytes: u32,
}

/// The device of QEMU's that puts a file into memory before the start.
pub fn loader(file: &Path, address: u32) -> String {
    // In an option a comma is written twice.
    let file = file.to_string_lossy().replace(',', ",,");
    format!("loader,file={file},addr={address:#x},force-raw=on")
}

/// The emulator of a machine of QEMU's that has this core, with firmware, and its
/// UART on standard input and output.
pub fn qemu(core: &Core, machine: &str, elf: &Path) -> Command {
    let mut command = Command::new(setup::qemu(core));
    command
        .args(["-machine", machine, "-display", "none"])
        .args(["-monitor", "none", "-serial", "stdio", "-kernel"])
        .arg(elf);
    if core.is_riscv() {
        // Nothing runs before the firmware.
        command.args(["-bios", "none"]);
    }
    command
}

impl Emulator {
    /// A machine with the console's firmware and an image, ready to run: linked
    /// in, or with `load` put into the spare RAM by QEMU.
    pub fn prepare(machine: &'static Machine, image: &Path, load: bool) -> Result<Self> {
        ensure_qemu(machine.core)?;
        if !load {
            return Ok(Self {
                machine,
                elf: firmware::build(machine, Some(image))?,
                images: Vec::new(),
            });
        }
        let failed = || format!("cannot read the image {}", image.display());
        let bytes = std::fs::metadata(image).with_context(failed)?.len();
        if machine.spare.bytes == 0 {
            bail!("{} has no spare RAM: --load is not for it", machine.name);
        }
        if bytes > u64::from(machine.spare.bytes) {
            bail!(
                "{} has {bytes} bytes, but the spare RAM of {} has {}",
                image.display(),
                machine.name,
                machine.spare.bytes
            );
        }
        let image = std::fs::canonicalize(image).with_context(failed)?;
        Ok(Self {
            machine,
            elf: firmware::build(machine, None)?,
            images: vec![image],
        })
    }

    fn command(&self) -> Command {
        let mut command = qemu(self.machine.core, self.machine.qemu, &self.elf);
        command
            .args(["-icount", &format!("shift={ICOUNT_SHIFT}")])
            .args(["-semihosting-config", "enable=on,target=native"]);
        let slot_bytes = self.machine.spare.bytes / SLOTS;
        let slots = (self.machine.spare.origin..).step_by(slot_bytes.max(1) as usize);
        for (image, address) in self.images.iter().zip(slots) {
            command.args(["-device", &loader(image, address)]);
        }
        command
    }

    /// Gives the console to the person at the keyboard, after `commands`.
    pub fn converse(&self, commands: String) -> Result<()> {
        let mut running = Running::start(self.command().stdin(Stdio::piped()))?;
        if let Some(mut input) = running.0.stdin.take() {
            thread::spawn(move || {
                // Errors mean that the other side has left: nothing to do.
                let _ = input.write_all(commands.as_bytes());
                let _ = forward(&mut io::stdin().lock(), &mut input);
                // The first ends an unfinished line, the second the program.
                let _ = input.write_all(&[END_OF_INPUT; 2]);
            });
        }
        let status = running.0.wait().context("cannot wait for QEMU")?;
        if !status.success() {
            bail!("the firmware gave up ({status}); its last words are above");
        }
        Ok(())
    }

    /// Runs firmware that takes no input and returns the lines that it prints,
    /// and whether it left with exit code 0.
    pub fn listen(&self) -> Result<(Vec<String>, bool)> {
        let mut running = Running::start(piped(&mut self.command()).stdin(Stdio::null()))?;
        let mut lines = Vec::new();
        let heard = running.hear(|line| {
            lines.push(line);
            Ok(())
        })?;
        let (status, complaints) = heard.with_context(silent)?;
        if !complaints.is_empty() {
            bail!("QEMU gave up ({status}): {complaints}");
        }
        Ok((lines, status.success()))
    }

    /// Sends a request and collects the answer; `watch` sees each token as
    /// soon as it is there.
    pub fn ask(
        &self,
        request: &Request,
        prompt: Vec<u8>,
        watch: &mut dyn FnMut(&Token) -> Result<()>,
    ) -> Result<Answer> {
        let answers = self.ask_in_turn(&[(*request, prompt)], watch)?;
        answers.into_iter().next().context("there is no answer")
    }

    /// As [`Emulator::ask`] without a prompt; `see` gets each line of QEMU's log of the
    /// code that it translates and runs in these ranges of addresses.
    pub fn trace(
        &self,
        ranges: &str,
        request: &Request,
        see: &mut dyn FnMut(&str),
    ) -> Result<Answer> {
        let mut command = self.command();
        command.args(["-d", "in_asm,exec,nochain", "-dfilter", ranges]);
        let mut running = Running::start(piped(&mut command).stdin(Stdio::piped()))?;
        running.send(&[(*request, Vec::new())])?;
        let log = running.0.stderr.take().context("QEMU has no log")?;
        let mut dialogue = Dialogue::default();
        let heard = thread::scope(|scope| {
            let hear = || running.hear(|line| dialogue.hear(&line, &mut |_| Ok(())));
            let hearing = scope.spawn(hear);
            let lines = BufReader::new(log).lines();
            lines.map_while(Result::ok).for_each(|line| see(&line));
            hearing.join()
        });
        let heard = heard.map_err(|_| anyhow!("the reader of the UART gave up"))??;
        let (status, complaints) = heard.with_context(silent)?;
        let answers = dialogue.end(1, status, &complaints)?;
        answers.into_iter().next().context("there is no answer")
    }

    /// Sends requests with their prompts, all to one start of the firmware;
    /// returns an answer to each.
    pub fn ask_in_turn(
        &self,
        requests: &[(Request, Vec<u8>)],
        watch: &mut dyn FnMut(&Token) -> Result<()>,
    ) -> Result<Vec<Answer>> {
        let mut running = Running::start(piped(&mut self.command()).stdin(Stdio::piped()))?;
        running.send(requests)?;
        let mut dialogue = Dialogue::default();
        let heard = running.hear(|line| dialogue.hear(&line, watch))?;
        let last_words = || format!("{}; last words: {}", silent(), dialogue.last_words());
        let (status, complaints) = heard.with_context(last_words)?;
        dialogue.end(requests.len(), status, &complaints)
    }
}

/// Copies what is typed, a line at a time.
pub fn forward(from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<()> {
    loop {
        let typed = from.fill_buf()?;
        if typed.is_empty() {
            return Ok(());
        }
        to.write_all(typed)?;
        let length = typed.len();
        from.consume(length);
        to.flush()?;
    }
}

/// A command whose output and errors this program reads.
fn piped(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// What is wrong with firmware that hangs.
fn silent() -> String {
    let seconds = SILENCE.as_secs();
    format!("the firmware has said nothing for {seconds} s and was stopped")
}

/// A QEMU that ends with its owner.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already: then there is nothing to stop.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts QEMU.
    pub fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(command.spawn().with_context(|| {
            format!("cannot start {}", name(command))
        })?))
    }

    /// Sends requests, prompts and the end from a thread of its own: the pipe
    /// is shorter than a prompt may be.
    fn send(&mut self, requests: &[(Request, Vec<u8>)]) -> Result<()> {
        let mut bytes = Vec::new();
        for (request, prompt) in requests {
            let mut buffer = [0; BODY_MAX + 2];
            let frame = request.frame(&mut buffer);
            bytes.extend_from_slice(frame.context("the request does not fit a frame")?);
            bytes.extend_from_slice(prompt);
        }
        bytes.push(END_OF_INPUT);
        let mut input: ChildStdin = self.0.stdin.take().context("QEMU has no input")?;
        // If this fails QEMU has ended, and its reader tells why.
        thread::spawn(move || input.write_all(&bytes));
        Ok(())
    }

    /// Gives each line that the firmware prints to `take`, until it ends; then
    /// its exit status and QEMU's own output. None if it hangs.
    fn hear(
        &mut self,
        mut take: impl FnMut(String) -> Result<()>,
    ) -> Result<Option<(ExitStatus, String)>> {
        let complaints = self.complaints();
        let lines = self.lines();
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(line) => take(line)?,
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.0.wait().context("cannot wait for QEMU")?;
        Ok(Some((status, complaints.join().unwrap_or_default())))
    }

    /// QEMU's own output.
    fn complaints(&mut self) -> thread::JoinHandle<String> {
        let stderr = self.0.stderr.take();
        thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = stderr.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    }

    /// The lines that the firmware prints, until it ends.
    fn lines(&mut self) -> Receiver<String> {
        let (sender, receiver) = channel();
        let stdout = self.0.stdout.take();
        thread::spawn(move || {
            let lines = stdout.map(|stdout| BufReader::new(stdout).split(b'\n'));
            for line in lines.into_iter().flatten().map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

/// The firmware's side of requests, line by line.
#[derive(Default)]
struct Dialogue {
    /// What has been answered to the request at hand.
    answer: Answer,
    /// Whole answers to those before.
    answers: Vec<Answer>,
    /// Lines that belong to no answer: a panic, say.
    words: Vec<String>,
}

impl Dialogue {
    fn hear(&mut self, line: &str, watch: &mut dyn FnMut(&Token) -> Result<()>) -> Result<()> {
        // The console's prompt precedes the first line of an answer.
        let line = line.strip_prefix("> ").unwrap_or(line);
        let mut buffer = vec![0; line.len() / 2];
        match Line::parse(line, &mut buffer) {
            Some(Line::Begin(VERSION)) => self.words.clear(),
            Some(Line::Begin(other)) => {
                bail!("the firmware speaks version {other} of the protocol, not {VERSION}")
            }
            Some(Line::Token {
                id,
                hash,
                instructions,
                text,
            }) => {
                let token = Token {
                    id,
                    hash,
                    instructions,
                    text: text.to_vec(),
                };
                watch(&token)?;
                self.answer.tokens.push(token);
            }
            Some(Line::Error(message)) => bail!("{message}"),
            Some(Line::End) => self.answers.push(std::mem::take(&mut self.answer)),
            Some(line) => self.note(line),
            None => self.words.push(line.to_owned()),
        }
        Ok(())
    }

    fn note(&mut self, line: Line<'_>) {
        let answer = &mut self.answer;
        match line {
            Line::Logits(hash) => answer.prompt_hashes.push(hash),
            Line::Prompt {
                tokens,
                instructions,
            } => {
                answer.prompt_tokens = tokens;
                answer.prompt_instructions = instructions;
            }
            Line::SliceInstructions(most) => answer.slice_instructions = Some(most),
            Line::StateBytes(bytes) => answer.state_bytes = bytes,
            Line::ScratchBytes(bytes) => answer.scratch_bytes = bytes,
            Line::StackBytes(bytes) => answer.stack_bytes = bytes,
            // Progress resets the timeout by arriving.
            _ => {}
        }
    }

    fn last_words(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|line| line.trim()).collect();
        let words = words.join(" ");
        if words.is_empty() {
            "none".to_owned()
        } else {
            words
        }
    }

    fn end(self, requests: usize, status: ExitStatus, complaints: &str) -> Result<Vec<Answer>> {
        if self.answers.len() == requests && status.success() {
            return Ok(self.answers);
        }
        if !complaints.is_empty() {
            return Err(anyhow!("QEMU gave up ({status}): {complaints}"));
        }
        Err(anyhow!(
            "the firmware gave up ({status}): {}",
            self.last_words()
        ))
    }
}
