//! The instructions of a token, one by one: a trace of the firmware in QEMU, and
//! the functions of the source that each instruction belongs to.

use super::parts::{part_of, Frame, Part, Parts};
use addr2line::gimli::{EndianSlice, LittleEndian, SectionId};
use anyhow::{bail, ensure, Context, Result};
use kinglet_targets::{Core, Machine};
use kinglet_workshop::elf::{self, Symbol};
use kinglet_workshop::emulator::Emulator;
use kinglet_workshop::prompt::Sampling;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

/// Tokens that are generated; the last counts.
const TOKENS: u32 = 2;

/// Reads the timer: counting begins and ends there.
const READS_TIMER: &str = "kinglet_machine::timer::ticks";

/// Of a token: its beginning and end, and in between those of the hash of its logits,
/// which is not counted.
const READS_PER_TOKEN: usize = 4;

/// What takes long and is no part of a token: it is not traced.
const NOT_TRACED: [&str; 4] = [
    "kinglet_app::model",
    "kinglet_machine::memory",
    "kinglet_machine::start",
    "Reset",
];

/// The parts of a token of a model, the likeliest one chosen.
pub fn token(machine: &'static Machine, image: &Path) -> Result<Parts> {
    let emulator = Emulator::prepare(machine, image, true)?;
    let bytes = std::fs::read(&emulator.elf)?;
    let symbols = elf::symbols(&emulator.elf)?;
    let mut trace = Trace::new(machine.core, &bytes, &symbols)?;
    let request = Sampling::greedy(TOKENS).request(b"", false)?;
    let mut wrong = None;
    let answer = emulator.trace(&traced(&symbols), &request, &mut |line| {
        if let (None, Err(error)) = (&wrong, trace.see(line)) {
            wrong = Some(error);
        }
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    if let Some(function) = trace.work.unknown {
        bail!("{function} is in no part of a token: put it into one in tools/bench/src/parts.rs");
    }
    let parts = trace.work.tokens.pop().context("no token was traced")?;
    let counted = answer.tokens.last().context("no token was generated")?;
    let (traced, counted) = (parts.sum(), counted.instructions);
    // A tick of the timer is more than an instruction.
    ensure!(
        traced.abs_diff(counted) <= 8,
        "a token takes {counted} instructions, of which {traced} were traced"
    );
    Ok(parts)
}

/// The ranges of addresses that are traced, as QEMU's `-dfilter` takes them.
fn traced(symbols: &[Symbol]) -> String {
    let mut ranges = Vec::new();
    let mut start = 0;
    for symbol in symbols {
        if NOT_TRACED.iter().any(|name| symbol.name.contains(name)) {
            if symbol.address > start {
                ranges.push(format!("{start:#x}+{:#x}", symbol.address - start));
            }
            start = symbol.address + symbol.bytes;
        }
    }
    ranges.push(format!("{start:#x}+{:#x}", u64::from(u32::MAX) - start));
    ranges.join(",")
}

type Slice<'e> = EndianSlice<'e, LittleEndian>;

/// Where the source of an address is.
struct Source<'e> {
    lines: addr2line::Context<Slice<'e>>,
    symbols: &'e [Symbol],
}

impl<'e> Source<'e> {
    fn new(elf: &'e [u8], symbols: &'e [Symbol]) -> Result<Self> {
        let section = |id: SectionId| -> Result<Slice<'e>> {
            let bytes = elf::section(elf, id.name())?;
            Ok(EndianSlice::new(bytes, LittleEndian))
        };
        let dwarf = addr2line::gimli::Dwarf::load(section)?;
        let lines = addr2line::Context::from_dwarf(dwarf)?;
        Ok(Self { lines, symbols })
    }

    /// The functions of an instruction, the outermost first.
    fn frames(&self, address: u64) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        let mut found = self.lines.find_frames(address).skip_all_loads()?;
        while let Some(frame) = found.next()? {
            let name = frame.function.map(|name| name.demangle().map(String::from));
            let file = frame.location.and_then(|location| location.file);
            frames.push(Frame {
                function: name.transpose()?.unwrap_or_default(),
                file: file.unwrap_or_default().to_owned(),
            });
        }
        frames.reverse();
        if frames.iter().all(|frame| frame.function.is_empty()) {
            let after = self
                .symbols
                .partition_point(|symbol| symbol.address <= address);
            let symbol = self.symbols[..after].last();
            frames = symbol
                .map(|symbol| Frame {
                    function: symbol.name.clone(),
                    file: String::new(),
                })
                .into_iter()
                .collect();
        }
        Ok(frames)
    }
}

/// A run of instructions without a branch.
#[derive(Clone, Debug, Default)]
struct Block {
    /// Of each part how many; `None` works for what was before.
    counts: Vec<(Option<Part>, u64)>,
    /// Whether it reads the timer.
    reads_timer: bool,
    /// Whether it belongs to a layer.
    of_layer: bool,
    /// A function of the library that is in no part.
    unknown: Option<String>,
}

/// QEMU's log, line by line: blocks as they are translated, then as they run.
struct Trace<'e> {
    core: &'static Core,
    source: Source<'e>,
    timer: u64,
    /// The lines of the block that is being translated.
    code: Option<Vec<String>>,
    /// Blocks by the place that QEMU gives them.
    blocks: HashMap<String, Rc<Block>>,
    /// The block that the log named last: it runs unless the next line says that
    /// it was stopped.
    next: Option<Rc<Block>>,
    work: Work,
}

impl<'e> Trace<'e> {
    fn new(core: &'static Core, elf: &'e [u8], symbols: &'e [Symbol]) -> Result<Self> {
        let timer = symbols.iter().find(|symbol| symbol.name == READS_TIMER);
        Ok(Self {
            core,
            source: Source::new(elf, symbols)?,
            timer: timer.context("the firmware reads no timer")?.address,
            code: None,
            blocks: HashMap::new(),
            next: None,
            work: Work::default(),
        })
    }

    fn see(&mut self, line: &str) -> Result<()> {
        if let Some(rest) = line.strip_prefix("Trace ") {
            let place = rest.split(' ').nth(1).context("a trace without a place")?;
            if let Some(code) = self.code.take() {
                let block = self.translated(&code)?;
                self.blocks.insert(place.to_owned(), Rc::new(block));
            }
            let block = self.blocks.get(place);
            let block = block.context("a block has run that was not translated")?;
            if let Some(before) = self.next.replace(block.clone()) {
                self.work.run(&before);
            }
        } else if line.starts_with("Stopped ") {
            self.next = None;
        } else if line.starts_with("IN:") {
            self.code = Some(Vec::new());
        } else if let (Some(code), true) = (&mut self.code, line.starts_with("0x")) {
            code.push(line.to_owned());
        }
        Ok(())
    }

    fn translated(&self, code: &[String]) -> Result<Block> {
        let mut block = Block::default();
        for address in instructions(self.core, code)? {
            let frames = self.source.frames(address)?;
            let part = part_of(&frames).unwrap_or_else(|function| {
                block.unknown = Some(function);
                None
            });
            block.reads_timer |= address == self.timer;
            block.of_layer |= frames.iter().any(|frame| frame.in_library("layers/"));
            match block.counts.last_mut() {
                Some((last, count)) if *last == part => *count += 1,
                _ => block.counts.push((part, 1)),
            }
        }
        Ok(block)
    }
}

/// The addresses of a block's instructions, from the lines of its disassembly:
/// an address and the bytes in words. The disassembler may not know an instruction
/// and cut it in two.
fn instructions(core: &Core, lines: &[String]) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut half = false;
    for line in lines {
        let (address, rest) = line.split_once(':').context("code without an address")?;
        let mut address = u64::from_str_radix(address.trim_start_matches("0x"), 16)?;
        if core.is_riscv() {
            found.push(address);
            continue;
        }
        // Words of 16 bits, in columns.
        let words = rest.get(..12).unwrap_or(rest).split_whitespace();
        for word in words {
            let word = u16::from_str_radix(word, 16)?;
            if half {
                half = false;
            } else {
                found.push(address);
                half = word >> 11 >= 0b11101;
            }
            address += 2;
        }
    }
    Ok(found)
}

/// What has run of a token.
#[derive(Debug, Default)]
struct Work {
    /// The part that the last instruction belongs to.
    part: Option<Part>,
    /// How often the timer was read.
    reads: usize,
    /// The token at work up to the last block of a layer, and what follows.
    layers: Parts,
    after: Parts,
    /// Whole tokens.
    tokens: Vec<Parts>,
    /// A function of a token that is in no part.
    unknown: Option<String>,
}

impl Work {
    fn run(&mut self, block: &Block) {
        self.reads += usize::from(block.reads_timer);
        if block.reads_timer && self.reads.is_multiple_of(READS_PER_TOKEN) {
            self.end_token();
        }
        let is_counted = !self.reads.is_multiple_of(2);
        if is_counted && block.of_layer {
            let after = std::mem::take(&mut self.after);
            after
                .named()
                .for_each(|(part, count)| self.layers.add(part, count));
        }
        if let (true, Some(function)) = (is_counted, &block.unknown) {
            self.unknown = Some(function.clone());
        }
        for &(part, count) in &block.counts {
            self.part = part.or(self.part);
            if let (true, Some(part)) = (is_counted, self.part) {
                let of_layer = block.of_layer;
                let place = if of_layer {
                    &mut self.layers
                } else {
                    &mut self.after
                };
                place.add(part, count);
            }
        }
    }

    /// The products after the layers are the head's.
    fn end_token(&mut self) {
        let mut parts = std::mem::take(&mut self.layers);
        for (part, count) in std::mem::take(&mut self.after).named() {
            let is_head = matches!(part, Part::Products | Part::Quantization);
            parts.add(if is_head { Part::Head } else { part }, count);
        }
        self.tokens.push(parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet_targets::CORES;

    fn addresses(core: &str, lines: &[&str]) -> Vec<u64> {
        let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
        instructions(Core::named(core).unwrap_or(&CORES[0]), &lines).unwrap()
    }

    #[test]
    fn instructions_are_found_however_they_are_shown() {
        let lines = [
            "0x00000970:  ecb0 3f10  ldc      p15, c3, [r0], #0x40",
            "0x00000974:  eef0       .byte    0xf0, 0xee",
            "0x00000976:  4f22       ldr      r7, [pc, #0x88]",
            "0x00000978:  e001       b        #0x870",
        ];
        assert_eq!(addresses("m55", &lines), [0x970, 0x974, 0x978]);
        let lines = [
            "0x00001000:  00000297          auipc                   t0,0",
            "0x00001004:  4505              li                      a0,1",
        ];
        assert_eq!(addresses("rv32", &lines), [0x1000, 0x1004]);
    }

    #[test]
    fn what_follows_the_layers_is_the_head() {
        let block = |part, of_layer| Block {
            counts: vec![(part, 3)],
            of_layer,
            ..Block::default()
        };
        let timer = Block {
            counts: vec![(Some(Part::Control), 1)],
            reads_timer: true,
            ..Block::default()
        };
        let mut work = Work::default();
        work.run(&timer);
        work.run(&block(Some(Part::Products), true));
        work.run(&block(None, false));
        work.run(&block(Some(Part::Products), false));
        work.run(&timer);
        // The hash of the logits.
        work.run(&block(Some(Part::Norms), false));
        work.run(&timer);
        work.run(&block(Some(Part::Sampling), false));
        work.run(&timer);
        let parts = work.tokens[0];
        // The third block is not the layers' own: nothing says that it is.
        let found = [Part::Products, Part::Head, Part::Sampling].map(|part| parts.of(part));
        assert_eq!(found, [3, 6, 3]);
        assert_eq!((parts.of(Part::Norms), parts.of(Part::Control)), (0, 2));
    }
}
