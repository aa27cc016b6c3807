//! The state dict inside a pickle: which of its values are tensors.

use super::dtype::Dtype;
use super::error::{excerpt, Problem};
use super::pickle::{Objects, RawTensor, Value};

/// The most dimensions of a tensor; weights have four at most.
const MAX_DIMENSIONS: usize = 8;

/// A tensor of a state dict.
pub(super) struct StateTensor<'a> {
    pub name: &'a str,
    pub dtype: Dtype,
    /// The last part of the name of the storage's file.
    pub key: &'a str,
    /// How many values the storage has.
    pub storage_count: u64,
    /// The first value that belongs to the tensor.
    pub offset: u64,
    pub shape: Vec<usize>,
    /// As many as `shape` has dimensions.
    pub strides: Vec<usize>,
}

/// The pickle holds no state dict.
fn none(problem: &str) -> Problem {
    Problem::Archive(format!("holds no state dict: {problem}"))
}

/// The tensors of the dict `top`, and of the one dict in it that has tensors.
pub(super) fn tensors<'a>(
    top: Value<'a>,
    objects: &Objects<'a>,
) -> Result<Vec<StateTensor<'a>>, Problem> {
    let mut out = Vec::new();
    for &(key, value) in state_dict(top, objects)?.into_iter().flatten() {
        match (key, value) {
            (Value::Text(name), Value::Tensor(index)) => {
                let raw = objects.tensors.get(index).copied();
                let tensor = raw.and_then(|raw| tensor(name, raw, objects));
                let problem = "has an impossible offset, shape or stride";
                out.push(tensor.ok_or_else(|| Problem::tensor(name, problem))?);
            }
            (_, Value::Tensor(_)) => return Err(none("a tensor's name is not text")),
            (Value::Text("_strategy"), _) => {
                return Err(Problem::Archive(
                    "is of a file that ChatRWKV converted for one strategy: take the checkpoint that it was converted from"
                        .to_owned(),
                ))
            }
            // Counters, versions and settings.
            _ => {}
        }
    }
    Ok(out)
}

type Dict<'a> = [(Value<'a>, Value<'a>)];

/// The dicts whose values are the tensors: the top one, and one in it.
fn state_dict<'o, 'a>(
    top: Value<'a>,
    objects: &'o Objects<'a>,
) -> Result<[&'o Dict<'a>; 2], Problem> {
    let has_tensors = |dict: &Vec<_>| {
        dict.iter()
            .any(|(_, value)| matches!(value, Value::Tensor(_)))
    };
    // One pass, since many keys may lead to the same large dict.
    let has_tensors: Vec<bool> = objects.dicts.iter().map(has_tensors).collect();
    let Value::Dict(top) = top else {
        return Err(none("the pickle is not that of a dict"));
    };
    let dict = |index: usize| {
        objects
            .dicts
            .get(index)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let nested = |&(key, value): &(Value<'a>, Value<'a>)| match value {
        Value::Dict(index) if index != top && has_tensors.get(index) == Some(&true) => {
            Some((key, index))
        }
        _ => None,
    };
    let mut nested = dict(top).iter().filter_map(nested);
    match (nested.next(), nested.next()) {
        (None, _) if has_tensors.get(top) != Some(&true) => Err(none("the dict holds no tensors")),
        (None, _) => Ok([dict(top), &[]]),
        (Some((_, index)), None) => Ok([dict(top), dict(index)]),
        (Some((a, _)), Some((b, _))) => Err(Problem::Archive(format!(
            "holds several state dicts (`{}`, `{}`): save only one of them",
            key_text(a),
            key_text(b)
        ))),
    }
}

fn key_text(key: Value<'_>) -> String {
    match key {
        Value::Text(text) => excerpt(text),
        _ => String::from("?"),
    }
}

/// A tensor with its numbers checked for sign and size.
fn tensor<'a>(name: &'a str, raw: RawTensor<'a>, objects: &Objects<'a>) -> Option<StateTensor<'a>> {
    let shape = sizes(objects.tuple(raw.shape))?;
    let strides = sizes(objects.tuple(raw.strides))?;
    if shape.len() != strides.len() {
        return None;
    }
    Some(StateTensor {
        name,
        dtype: raw.storage.kind,
        key: raw.storage.key,
        storage_count: u64::try_from(raw.storage.count).ok()?,
        offset: u64::try_from(raw.offset).ok()?,
        shape,
        strides,
    })
}

/// Whole numbers that are not negative. Their count is bounded, for many
/// tensors may share one long tuple.
fn sizes(items: &[Value<'_>]) -> Option<Vec<usize>> {
    if items.len() > MAX_DIMENSIONS {
        return None;
    }
    let size = |item: &Value<'_>| match *item {
        Value::Int(size) => usize::try_from(size).ok(),
        _ => None,
    };
    items.iter().map(size).collect()
}
