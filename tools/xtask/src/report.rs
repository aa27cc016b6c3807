//! What a run took, for people and for programs.

use anyhow::{Context, Result};
use kinglet_targets::Machine;
use kinglet_workshop::elf::Sections;
use kinglet_workshop::emulator::{Answer, Emulator};
use kinglet_workshop::table::{thousands, Table};
use serde::Serialize;
use std::path::Path;

/// A run and its costs.
pub struct Report {
    machine: &'static Machine,
    answer: Answer,
    image_bytes: u64,
    flash_bytes: u64,
    ram_bytes: u64,
}

/// The report for programs.
#[derive(Serialize)]
struct Json<'a> {
    machine: &'a str,
    tokens: Vec<u32>,
    logits_hashes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_logits_hashes: Option<Vec<String>>,
    text: String,
    instructions_per_token: Option<u64>,
    instructions: Vec<u64>,
    prompt_tokens: u32,
    prompt_instructions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slice_instructions: Option<u64>,
    state_bytes: u32,
    scratch_bytes: u32,
    stack_bytes: u32,
    flash_bytes: u64,
    ram_bytes: u64,
    image_bytes: u64,
}

impl Report {
    /// Adds the sizes that the files tell to what the firmware answered.
    pub fn new(emulator: &Emulator, image: &Path, answer: Answer) -> Result<Self> {
        let failed = || format!("cannot read {}", image.display());
        let image_bytes = std::fs::metadata(image).with_context(failed)?.len();
        let elf = Sections::read(&emulator.elf)?;
        let (mut flash_bytes, mut ram_bytes) = (elf.flash_bytes(), elf.ram_bytes());
        if !emulator.images.is_empty() {
            flash_bytes += image_bytes;
            ram_bytes += u64::from(answer.state_bytes) + u64::from(answer.scratch_bytes);
        }
        ram_bytes += u64::from(answer.stack_bytes);
        Ok(Self {
            machine: emulator.machine,
            answer,
            image_bytes,
            flash_bytes,
            ram_bytes,
        })
    }

    /// The median over all generated tokens, if there are any.
    pub fn instructions_per_token(&self) -> Option<u64> {
        let mut counts: Vec<u64> = self.answer.tokens.iter().map(|t| t.instructions).collect();
        counts.sort_unstable();
        let middle = counts.len() / 2;
        match counts.len() {
            0 => None,
            n if n % 2 == 1 => Some(counts[middle]),
            _ => Some(counts[middle - 1].midpoint(counts[middle])),
        }
    }

    /// One JSON object.
    pub fn json(&self, every_logits: bool) -> Result<String> {
        let hex = |hash: u64| format!("{hash:016x}");
        let tokens = &self.answer.tokens;
        let text: Vec<u8> = tokens.iter().flat_map(|t| t.text.iter().copied()).collect();
        let json = Json {
            machine: self.machine.name,
            tokens: tokens.iter().map(|t| t.id).collect(),
            logits_hashes: tokens.iter().map(|t| hex(t.hash)).collect(),
            prompt_logits_hashes: every_logits
                .then(|| self.answer.prompt_hashes.iter().copied().map(hex).collect()),
            text: String::from_utf8_lossy(&text).into_owned(),
            instructions_per_token: self.instructions_per_token(),
            instructions: tokens.iter().map(|t| t.instructions).collect(),
            prompt_tokens: self.answer.prompt_tokens,
            prompt_instructions: self.answer.prompt_instructions,
            slice_instructions: self.answer.slice_instructions,
            state_bytes: self.answer.state_bytes,
            scratch_bytes: self.answer.scratch_bytes,
            stack_bytes: self.answer.stack_bytes,
            flash_bytes: self.flash_bytes,
            ram_bytes: self.ram_bytes,
            image_bytes: self.image_bytes,
        };
        Ok(serde_json::to_string(&json)?)
    }

    /// Rows for people.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        let bytes = |n: u64| format!("{} bytes", thousands(n));
        let answer = &self.answer;
        let [state, scratch, stack] =
            [answer.state_bytes, answer.scratch_bytes, answer.stack_bytes].map(u64::from);
        let rest = self.ram_bytes.saturating_sub(state + scratch + stack);
        let code = self.flash_bytes.saturating_sub(self.image_bytes);
        table.row(
            "machine",
            self.machine.core.title,
            format!("{} in QEMU", self.machine.name),
        );
        table.row("flash", bytes(self.flash_bytes), "");
        table.row(
            "  image",
            bytes(self.image_bytes),
            "weights, tokenizer, metadata",
        );
        table.row("  code", bytes(code), "library, console, test mode");
        table.row("RAM", bytes(self.ram_bytes), "");
        table.row("  state", bytes(state), "all that the model remembers");
        table.row("  scratch", bytes(scratch), "working memory of a step");
        table.row("  stack", bytes(stack), "the most in use");
        table.row("  rest", bytes(rest), "the program's other variables");
        self.instruction_rows(&mut table);
        table
    }

    fn instruction_rows(&self, table: &mut Table) {
        let prompt_tokens = self.answer.prompt_tokens;
        // The last token of the prompt is counted with the first one generated.
        let last = u32::from(!self.answer.tokens.is_empty());
        let counted = u64::from(prompt_tokens.saturating_sub(last));
        if let Some(per_token) = self.answer.prompt_instructions.checked_div(counted) {
            let remark = format!("per token of the prompt ({prompt_tokens} tokens)");
            table.row("instructions", thousands(per_token), remark);
        }
        if let Some(median) = self.instructions_per_token() {
            let remark = format!("per generated token ({}, median)", self.answer.tokens.len());
            table.row("instructions", thousands(median), remark);
        }
        if let Some(most) = self.answer.slice_instructions {
            table.row("instructions", thousands(most), "of a slice at most");
        }
    }
}
