//! What models write after the beginnings of a text, greedily.

use crate::engine::Engine;
use crate::eval::{argmax, read, Segments};
use anyhow::Result;
use kinglet::START_TOKEN;
use rayon::prelude::*;

/// Texts that are continued, tokens of each that are read, and that are written at most.
const TEXTS: usize = 3;
const READ: usize = 48;
const WRITES: usize = 96;

/// The beginning of a text, and how models continue it.
#[derive(Clone, Debug)]
pub struct Written {
    /// The beginning.
    pub beginning: String,
    /// What the exact model writes.
    pub exact: String,
    /// What the others write, in their order.
    pub others: Vec<String>,
}

/// What the exact model and others write, whose tokens are those of the first: after the
/// first tokens of some segments of a text.
///
/// # Errors
/// As [`Engine::encode`].
pub fn written(
    exact: &Engine,
    others: &[&Engine],
    text: &[u8],
    segments: Segments,
) -> Result<Vec<Written>> {
    let Some(first) = others.first() else {
        return Ok(Vec::new());
    };
    let after = segments.after_each_byte.map(u32::from);
    let step = 1 + usize::from(after.is_some());
    let all = segments.tokens(first, text)?;
    let decode = |tokens: &mut dyn Iterator<Item = u32>| {
        let tokenizer = first.tokenizer();
        let bytes = tokens.flat_map(|token| tokenizer.map_or(Vec::new(), |t| t.decode(token)));
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    };
    let count = all.len().min(TEXTS);
    let beginnings = (0..count).map(|index| &all[index * all.len() / count].0);
    let beginnings = beginnings.map(|tokens| &tokens[..tokens.len().min(READ * step)]);
    let written = beginnings
        .filter(|tokens| !tokens.is_empty())
        .map(|tokens| {
            let write = |engine: &Engine| decode(&mut continued(engine, tokens, after).into_iter());
            Written {
                beginning: decode(&mut tokens.iter().copied().step_by(step)),
                exact: write(exact),
                others: others.par_iter().map(|engine| write(engine)).collect(),
            }
        });
    Ok(written.collect())
}

/// The tokens that are the likeliest, one after the other, until the text ends. `after` is
/// read after each.
fn continued(engine: &Engine, tokens: &[u32], after: Option<u32>) -> Vec<u32> {
    let mut runner = engine.runner();
    let mut written = Vec::new();
    let mut next = argmax(read(&mut runner, tokens)) as u32;
    while next != START_TOKEN && written.len() < WRITES {
        written.push(next);
        let fed: Vec<u32> = [next].into_iter().chain(after).collect();
        next = argmax(read(&mut runner, &fed)) as u32;
    }
    written
}
