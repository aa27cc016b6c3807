//! `cargo xtask qemu`: a model on an emulated machine.

use crate::report::Report;
use anyhow::{bail, Result};
use kinglet::Utf8Stream;
use kinglet_protocol::Request;
use kinglet_targets::{Machine, DEFAULT_MACHINE};
use kinglet_workshop::emulator::{Answer, Emulator, Token};
use kinglet_workshop::prompt::{machine_parser, Origin, Prompt, Sampling};
use std::io::{self, Write};
use std::path::PathBuf;

/// Run a model on an emulated machine, with the firmware that real boards run
///
/// With a prompt: prints the text while it is generated, then what it took.
/// without one: the machine's console, where you type prompts and commands.
///
/// flash_bytes is what the ELF file loads: vector table, code, constants,
/// initial values, and the image (with --load: plus the image file).
/// ram_bytes is all variables, which include the model's state and scratch
/// (with --load: plus the two), and the most stack in use. An instruction
/// count covers a whole step of the model and the choice of the token, not
/// the hash and not the UART; the prompt's covers all its tokens but the
/// last, whose step belongs to the first generated token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask qemu --image model.kgl --prompt \"Once upon a time\" -n 200\n  \
    cargo xtask qemu --image model.kgl\n  \
    cargo xtask qemu --machine mps2-an386 --image model.kgl --prompt-file story.txt -n 64 --json\n  \
    cargo xtask qemu --image large.kgl --load --prompt Once --temperature 0.8 --seed 7")]
pub struct Args {
    /// The machine
    #[arg(long, default_value = DEFAULT_MACHINE.name, value_parser = machine_parser())]
    machine: &'static Machine,
    /// The image, as `kinglet quantize` packs it
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    #[command(flatten)]
    prompt: Prompt,
    #[command(flatten)]
    origin: Origin,
    #[command(flatten)]
    sampling: Sampling,
    /// Let QEMU load the image into the machine's spare RAM instead of linking it into the firmware
    #[arg(long)]
    load: bool,
    /// Print one JSON object; without a prompt it starts from token 0
    ///
    /// Keys: machine, tokens, logits_hashes, text, instructions_per_token
    /// (the median), instructions (of each token), prompt_tokens,
    /// prompt_instructions, slice_instructions (with --slices), state_bytes,
    /// scratch_bytes, stack_bytes, flash_bytes, ram_bytes, image_bytes.
    #[arg(long)]
    json: bool,
    /// With --json: also compute and hash the logits at every token of the prompt
    #[arg(long, requires = "json")]
    every_logits: bool,
    /// Compute the logits in blocks, with no buffer for all of them: less scratch, the same tokens
    ///
    /// Not for the console. Where the logits take more than one block, top-k can be 64
    /// at most, and top-p needs a top-k beside it. Where the image is linked in, the variables stay as
    /// they are; scratch_bytes is what is used of them.
    #[arg(long)]
    in_blocks: bool,
    /// Take every step in slices of at most N weights of a product, between which a program could do other work
    ///
    /// Not for the console. The same tokens; the report has
    /// slice_instructions, the most that a slice took.
    #[arg(long, value_name = "N", conflicts_with = "in_blocks", value_parser = clap::value_parser!(u32).range(1..))]
    slices: Option<u32>,
    /// After every token save the state to flash, clear it, and restore it from the snapshot
    ///
    /// Not for the console. The same tokens; the flash is simulated in the
    /// machine's spare RAM.
    #[arg(long, conflicts_with_all = ["in_blocks", "slices"])]
    snapshots: bool,
}

/// The command `qemu`.
pub fn run(args: &Args) -> Result<()> {
    let prompt = args.prompt.bytes()?;
    let emulator = Emulator::prepare(args.machine, &args.image, args.load)?;
    let prompt = match prompt {
        Some(prompt) => prompt,
        None if args.json => Vec::new(),
        None if args.in_blocks => bail!("--in-blocks needs a prompt or --json"),
        None if args.snapshots => bail!("--snapshots needs a prompt or --json"),
        None if args.slices.is_some() => bail!("--slices needs a prompt or --json"),
        None => return emulator.converse(args.origin.command() + &args.sampling.commands()),
    };
    let request = Request {
        in_blocks: args.in_blocks,
        from: args.origin.name(),
        slice_weights: args.slices.unwrap_or(0),
        resumed: args.snapshots,
        ..args.sampling.request(&prompt, args.every_logits)?
    };
    let mut out = io::stdout();
    if args.json {
        let answer = emulator.ask(&request, prompt, &mut |_| Ok(()))?;
        let report = Report::new(&emulator, &args.image, answer)?;
        writeln!(out, "{}", report.json(args.every_logits)?)?;
    } else {
        let answer = stream(&emulator, &request, prompt)?;
        let report = Report::new(&emulator, &args.image, answer)?;
        write!(out, "\n{}", report.table())?;
    }
    Ok(())
}

/// Prints the text as it is generated.
pub fn stream(emulator: &Emulator, request: &Request, prompt: Vec<u8>) -> Result<Answer> {
    let mut out = io::stdout();
    let mut text = Utf8Stream::new();
    let answer = emulator.ask(request, prompt, &mut |token: &Token| {
        for &byte in &token.text {
            write!(out, "{}", text.push(byte))?;
        }
        Ok(out.flush()?)
    })?;
    writeln!(out, "{}", text.finish())?;
    Ok(answer)
}
