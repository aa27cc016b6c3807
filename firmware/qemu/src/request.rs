//! Requests of a program: a frame, a prompt, and lines in answer.

use crate::steps::{Chosen, Failure, Steps};
use core::fmt::Write;
use kinglet::{Answer, Error, Label, Sampler, Sampling, Text, Tokenizer};
use kinglet_app::Model;
use kinglet_machine::{say, stack_bytes};
use kinglet_protocol::{Line, Request, BODY_MAX, VERSION};

/// The largest top-k where the logits are computed in blocks.
const TOP_K: usize = 64;

/// Progress is reported after this many instructions.
const SIGN_OF_LIFE: u64 = 500_000_000;

/// Reads a request after its first byte, carries it out, answers. `next` waits
/// for a byte.
// Not inlined, as others here: what they need of the stack is free again while
// the model works.
#[inline(never)]
pub fn serve(next: &mut dyn FnMut() -> u8, model: &mut Model<'_>, spare: &mut [u8]) {
    let Some(request) = read_request(next) else {
        say!("{}", Line::Error("the request cannot be decoded"));
        return;
    };
    say!("{}", Line::Begin(VERSION));
    match answer(next, model, spare, &request) {
        Ok(()) => conclude(model, &request),
        Err(error) => refuse(&error),
    }
}

#[inline(never)]
fn refuse(error: &Failure) {
    let mut message = heapless::String::<96>::new();
    let _ = write!(message, "{error}");
    say!("{}", Line::Error(&message));
}

#[inline(never)]
fn conclude(model: &Model<'_>, request: &Request) {
    let shape = model.image.shape();
    let scratch_bytes = if request.in_blocks {
        shape.scratch_bytes_in_blocks()
    } else {
        shape.scratch_bytes()
    };
    say!("{}", Line::StateBytes(shape.state_bytes() as u32));
    say!("{}", Line::ScratchBytes(scratch_bytes as u32));
    say!("{}", Line::StackBytes(stack_bytes()));
    say!("{}", Line::End);
}

#[inline(never)]
fn read_request(next: &mut dyn FnMut() -> u8) -> Option<Request> {
    let length = usize::from(next());
    let mut body = heapless::Vec::<u8, BODY_MAX>::new();
    for _ in 0..length {
        // A body that is too long is read to its end before it is refused.
        let _ = body.push(next());
    }
    Request::from_body(&body).filter(|_| body.len() == length)
}

/// Generates past the token that ends a text: what is compared with the
/// workstation is every token.
fn answer(
    next: &mut dyn FnMut() -> u8,
    model: &mut Model<'_>,
    spare: &mut [u8],
    request: &Request,
) -> Result<(), Failure> {
    // After an error the rest of the prompt is still taken, so that what
    // follows is not mistaken.
    let mut prompt = (0..request.prompt_bytes).map(|_| next());
    let result = match request.in_blocks {
        true => generate::<TOP_K>(&mut prompt, model, spare, request),
        false => generate::<0>(&mut prompt, model, spare, request),
    };
    prompt.for_each(drop);
    result
}

/// With room for a top-k of `K` in blocks.
#[inline(never)]
fn generate<const K: usize>(
    prompt: &mut dyn Iterator<Item = u8>,
    model: &mut Model<'_>,
    spare: &mut [u8],
    request: &Request,
) -> Result<(), Failure> {
    // Without a tokenizer the empty prompt can still be read.
    let tokenizer = match model.image.tokenizer() {
        None if request.prompt_bytes == 0 => Tokenizer::bytes(0),
        found => found.ok_or(Error::NoTokenizer)?,
    };
    let mut text = Text::with_tokenizer(tokenizer, request.tokens).ignore_end();
    let mut steps = Steps::new(model, spare, request)?;
    text.start_from(&mut steps.session()?, request.from.as_str())?;
    read(&mut text, prompt, &mut steps, request)?;
    let mut sampler = Sampler::<K>::with_room(sampling(request), request.seed);
    while text.end().is_none() {
        let is_first = text.tokens() == 0;
        let mut class = Answer::new();
        let has_labels = steps.image().shape().n_class > 0;
        let chosen = match has_labels {
            true => steps.choose(text.token(), &mut class)?,
            false => steps.choose(text.token(), &mut sampler)?,
        };
        if is_first && request.every_logits {
            // The logits after the prompt are those of its last position.
            say!("{}", Line::Logits(chosen.hash));
        }
        if has_labels {
            show_label(&chosen, &class.label(steps.image()));
            break;
        }
        text.push(chosen.id, |_| ());
        show(&chosen, &text.decode(chosen.id));
    }
    if request.slice_weights > 0 {
        say!("{}", Line::SliceInstructions(steps.slice_instructions));
    }
    Ok(())
}

#[inline(never)]
fn show_label(chosen: &Chosen, label: &Label<'_>) {
    let mut text = heapless::String::<64>::new();
    // A name that is too long is cut.
    let _ = write!(text, "{label}");
    show(chosen, text.as_bytes());
}

fn show(chosen: &Chosen, text: &[u8]) {
    let &Chosen {
        id,
        hash,
        instructions,
    } = chosen;
    let token = Line::Token {
        id,
        hash,
        instructions,
        text,
    };
    say!("{token}");
}

/// Reads the prompt, and its last token where nothing is to be generated.
fn read(
    text: &mut Text<'_, '_>,
    prompt: &mut dyn Iterator<Item = u8>,
    steps: &mut Steps<'_, '_>,
    request: &Request,
) -> Result<(), Failure> {
    let (mut tokens, mut instructions, mut signs) = (1, 0, 0);
    let mut read = |token| {
        if request.every_logits {
            let chosen = steps.choose(token, &mut Answer::new())?;
            say!("{}", Line::Logits(chosen.hash));
            instructions += chosen.instructions;
        } else {
            instructions += steps.feed(token)?;
        }
        Ok::<_, Failure>(instructions)
    };
    for token in text.prompt(prompt) {
        let instructions = read(token?)?;
        tokens += 1;
        if !request.every_logits && instructions / SIGN_OF_LIFE > signs {
            signs = instructions / SIGN_OF_LIFE;
            say!("{}", Line::Reading(tokens));
        }
    }
    if request.tokens == 0 {
        read(text.token())?;
    }
    let line = Line::Prompt {
        tokens,
        instructions,
    };
    say!("{line}");
    Ok(())
}

fn sampling(request: &Request) -> Sampling {
    Sampling {
        temperature: request.temperature,
        top_k: request.top_k,
        top_p: request.top_p,
        repetition_penalty: request.repetition_penalty,
    }
}
