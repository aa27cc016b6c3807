//! Requests of a program: a frame, a prompt, and lines in answer.

use crate::generate::{Report, Text, TextError};
use crate::model::Model;
use crate::work::{Step, Way, Work};
use core::fmt::Write;
use kinglet::{BlockSampler, Sample, Sampler, Sampling};
use kinglet_board::{read_byte, say, stack_bytes};
use kinglet_protocol::{Line, Request, BODY_MAX, VERSION};

/// Reads a request behind its first byte, carries it out, answers.
pub fn serve(model: &mut Model) {
    let Some(request) = read_request() else {
        say!("{}", Line::Error("the request cannot be decoded"));
        return;
    };
    say!("{}", Line::Begin(VERSION));
    if let Err(error) = answer(model, &request) {
        let mut message = heapless::String::<96>::new();
        let _ = write!(message, "{error}");
        say!("{}", Line::Error(&message));
        return;
    }
    let header = model.image.header();
    let scratch_bytes = if request.in_blocks {
        header.scratch_bytes_in_blocks()
    } else {
        header.scratch_bytes()
    };
    say!("{}", Line::StateBytes(header.state_bytes() as u32));
    say!("{}", Line::ScratchBytes(scratch_bytes as u32));
    say!("{}", Line::StackBytes(stack_bytes()));
    say!("{}", Line::End);
}

fn read_request() -> Option<Request> {
    let length = usize::from(read_byte());
    let mut body = heapless::Vec::<u8, BODY_MAX>::new();
    for _ in 0..length {
        // A body that is too long is read to its end before it is refused.
        let _ = body.push(read_byte());
    }
    Request::from_body(&body).filter(|_| body.len() == length)
}

fn answer(model: &mut Model, request: &Request) -> Result<(), TextError> {
    let way = Way {
        in_blocks: request.in_blocks,
        slice_weights: request.slice_weights,
        resumed: request.resumed,
    };
    let mut work = Work::new(model, way)?;
    match work.has_room() {
        true => answer_whole(&mut work, request),
        false => answer_in_blocks(&mut work, request),
    }?;
    if request.slice_weights > 0 {
        say!("{}", Line::SliceInstructions(work.most));
    }
    Ok(())
}

// Not inlined: the stack of one is not that of the other.
#[inline(never)]
fn answer_whole(work: &mut Work<'_>, request: &Request) -> Result<(), TextError> {
    let mut sampler = Sampler::new(sampling(request), request.seed);
    generate(work, &mut sampler, request)
}

#[inline(never)]
fn answer_in_blocks(work: &mut Work<'_>, request: &Request) -> Result<(), TextError> {
    let mut sampler: BlockSampler = BlockSampler::new(sampling(request), request.seed)?;
    generate(work, &mut sampler, request)
}

fn generate(
    work: &mut Work<'_>,
    sampler: &mut dyn Sample,
    request: &Request,
) -> Result<(), TextError> {
    let report = if request.every_logits {
        Report::Logits
    } else {
        Report::Life
    };
    let mut text = Text::new(work, sampler, report, request.from.as_str())?;
    read_prompt(&mut text, request.prompt_bytes)?;
    if request.tokens == 0 {
        text.finish()?;
    }
    say!(
        "{}",
        Line::Prompt {
            tokens: text.tokens,
            instructions: text.instructions
        }
    );
    if text.has_labels() {
        return answer_label(&mut text, request);
    }
    for position in 0..request.tokens {
        let (id, Step { hash, instructions }) = text.choose()?;
        if position == 0 && request.every_logits {
            // The logits behind the prompt are those of its last position.
            say!("{}", Line::Logits(hash));
        }
        say!(
            "{}",
            Line::Token {
                id,
                hash,
                instructions,
                text: &text.decode(id)
            }
        );
    }
    Ok(())
}

/// The label of the prompt, in place of tokens.
fn answer_label(text: &mut Text<'_, '_>, request: &Request) -> Result<(), TextError> {
    if request.tokens == 0 {
        return Ok(());
    }
    let (answer, Step { hash, instructions }) = text.answer()?;
    if request.every_logits {
        say!("{}", Line::Logits(hash));
    }
    let label = text.label(&answer);
    say!(
        "{}",
        Line::Token {
            id: answer.class,
            hash,
            instructions,
            text: label.as_bytes()
        }
    );
    Ok(())
}

/// Gives the prompt to the model as it arrives. After an error the rest of it
/// is still taken from the UART, so that what follows is not mistaken.
fn read_prompt(text: &mut Text<'_, '_>, bytes: u32) -> Result<(), TextError> {
    let mut result = Ok(());
    for _ in 0..bytes {
        let byte = read_byte();
        if result.is_ok() {
            result = text.push(byte);
        }
    }
    result?;
    text.end_prompt()
}

fn sampling(request: &Request) -> Sampling {
    Sampling {
        temperature: request.temperature,
        top_k: request.top_k,
        top_p: request.top_p,
        repetition_penalty: request.repetition_penalty,
    }
}
