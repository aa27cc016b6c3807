//! A file of another program, seen as BlinkDL's: names, and which way low-rank
//! matrices and tuned states lie. No value changes, but for those of [`gguf`].

use super::gguf;
use super::reading::{Convention, Reading};
use crate::checkpoint::{excerpt, Checkpoint, Format, SeenAs, TensorInfo};
use crate::input;
use crate::misuse::BadUse;
use crate::tensors::dialects::{original, FLA_MIXES, FLA_ORDER, FUSED_MIXES};
use crate::tensors::names::{att, ffn, EMB, HEAD, LN1};
use crate::tensors::{full_name, split_name, table, Dimensions, Size, Tensor, Version};
use anyhow::{bail, Result};
use std::path::Path;

/// The key of a note that says that low-rank matrices lie as in BlinkDL's files,
/// where shapes do not tell: any note of Kinglet's says so.
pub const LOW_RANK_KEY: &str = "kinglet.low_rank";
const KINGLET: &str = "kinglet.";

/// Gives tensors the names of BlinkDL's files, whatever program wrote theirs.
///
/// # Errors
/// Two tensors then have one name; a head that is tied and there; keys of fla's
/// RWKV-6 have fewer channels than the model; as [`gguf::names`].
pub fn names(checkpoint: &mut Checkpoint, reading: &Reading) -> Result<()> {
    if checkpoint.is(Format::Gguf) {
        gguf::names(checkpoint)?;
    }
    check_fla_six(checkpoint)?;
    let tied = is_tied(checkpoint, reading)?;
    checkpoint.view(|info| {
        let original = original(&info.name);
        let (layer, in_layer) = split_name(&original.name);
        if layer.is_some() && in_layer == FUSED_MIXES && info.shape.first() == Some(&att::X.len()) {
            let mixes = att::X.iter().enumerate();
            return mixes
                .map(|(row, mix)| SeenAs::named(full_name(layer, mix)).row(row))
                .collect();
        }
        if let Some(views) = of_fla_six(info, &original.name) {
            return views;
        }
        let head = (tied && original.name == EMB).then(|| SeenAs::named(HEAD));
        let mut views = vec![SeenAs::named(original.name)];
        views[0].turned = original.turned;
        views.extend(head);
        views
    })?;
    if checkpoint
        .info(&full_name(Some(0), CONVERTED_SHIFT))
        .is_some()
    {
        checkpoint.view(|info| match six(&info.name) {
            Some(name) => vec![SeenAs::named(name)],
            None => Vec::new(),
        })?;
    }
    Ok(())
}

/// Refuses models of fla's RWKV-6 that are another network.
fn check_fla_six(checkpoint: &Checkpoint) -> Result<()> {
    let keys = |info: &&TensorInfo| info.name.ends_with(".attn.k_proj.linear.weight");
    for info in checkpoint.tensors().filter(keys) {
        if let [keys, embd] = info.shape[..] {
            if keys != embd {
                let (path, name) = (checkpoint.path().display(), excerpt(&info.name));
                bail!(
                    "{path}: `{name}` has keys of {keys} channels in a model of {embd} (`expand_k` of fla), which is another network \
                     than RWKV-6: take a model that was trained with `expand_k` 1"
                );
            }
        }
    }
    Ok(())
}

/// The views of a tensor of fla's RWKV-6 in which the five mixes come in another
/// order; `name` is BlinkDL's.
fn of_fla_six(info: &TensorInfo, name: &str) -> Option<Vec<SeenAs>> {
    let (layer, in_layer) = split_name(name);
    layer?;
    let mixes = att::TIME_MAA.iter().zip(FLA_ORDER);
    if in_layer == FLA_MIXES && info.shape.first() == Some(&FLA_ORDER.len()) {
        let views = mixes.map(|(mix, row)| SeenAs::named(full_name(layer, mix)).row(row));
        return Some(views.collect());
    }
    if info.name == name {
        return None;
    }
    let view = |joined| SeenAs {
        blocks: Some((&FLA_ORDER, joined)),
        turned: true,
        ..SeenAs::named(name)
    };
    match in_layer {
        att::TIME_MAA_W1 if info.name.ends_with(".x_proj.0.linear.weight") => {
            Some(vec![view(true)])
        }
        att::TIME_MAA_W2 if info.name.ends_with(".x_proj.2.weight") => Some(vec![view(false)]),
        _ => None,
    }
}

/// What converters call the first matrix of RWKV-6's token shift: no version has
/// a tensor of the name.
const CONVERTED_SHIFT: &str = "att.time_mix_w1";

/// The name of a tensor of RWKV-6 that converters have renamed.
fn six(name: &str) -> Option<String> {
    let (layer, in_layer) = split_name(name);
    layer?;
    let renamed = match in_layer {
        att::TIME_FIRST => att::TIME_FAAAA.to_owned(),
        ffn::TIME_MIX_K => ffn::TIME_MAA_K.to_owned(),
        ffn::TIME_MIX_R => ffn::TIME_MAA_R.to_owned(),
        _ => format!("att.time_maa_{}", in_layer.strip_prefix("att.time_mix_")?),
    };
    Some(full_name(layer, &renamed))
}

/// Whether the embedding is the head too: the user says so, or a note of the
/// library that left the head out, or the model's `config.json`.
fn is_tied(checkpoint: &Checkpoint, reading: &Reading) -> Result<bool> {
    let has_head = checkpoint
        .tensors()
        .any(|info| original(&info.name).name == HEAD);
    if has_head && reading.tied_head {
        let path = checkpoint.path().display();
        bail!(BadUse(format!(
            "{path}: has a head of its own: leave out --tied-head"
        )));
    }
    let mut notes = checkpoint.metadata().iter();
    let noted = notes.any(|(name, kept)| original(name).name == HEAD && original(kept).name == EMB);
    Ok(!has_head && (reading.tied_head || noted || config_ties(checkpoint.path())))
}

/// Whether a `config.json` beside the file, or in the folder, ties the head.
fn config_ties(path: &Path) -> bool {
    let folder = match path.is_dir() {
        true => Some(path),
        false => path.parent(),
    };
    let config = folder
        .and_then(|folder| input::read(&folder.join("config.json"), input::MOST_SMALL_BYTES).ok());
    let config = config.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    config.is_some_and(|config| config["tie_word_embeddings"] == true)
}

/// Makes bonuses of RWKV-5 what their names say, and turns low-rank matrices and
/// tuned states that lie the other way.
///
/// # Errors
/// The file can be read in two ways, and the user does not say which.
pub fn values(checkpoint: &mut Checkpoint, version: Version, reading: &Reading) -> Result<()> {
    let bonus = converted_bonus(checkpoint, version, reading)?;
    let (turned, low_rank) = turned(checkpoint, version, reading)?;
    let states = bonus || low_rank;
    checkpoint.view(|info| {
        let (layer, in_layer) = split_name(&info.name);
        let renamed = bonus && layer.is_some() && in_layer == att::TIME_FIRST;
        let name = match renamed {
            true => full_name(layer, att::TIME_FAAAA),
            false => info.name.clone(),
        };
        let turn = turned.contains(&info.name) || states && in_layer == att::TIME_STATE;
        match renamed || turn {
            true => vec![SeenAs {
                turned: turn,
                ..SeenAs::named(name)
            }],
            false => Vec::new(),
        }
    })?;
    Ok(())
}

/// Whether the bonuses of an RWKV-5 file are called `time_first`, but are no
/// logarithms. BlinkDL's files have logarithms by head; converters rename
/// `time_faaaa`, which has values by channel, and write safetensors files only.
fn converted_bonus(checkpoint: &Checkpoint, version: Version, reading: &Reading) -> Result<bool> {
    let info = |name: &str| checkpoint.info(&full_name(Some(0), name));
    let elements = |info: &TensorInfo| info.shape.iter().product::<usize>();
    let Some(first) = info(att::TIME_FIRST) else {
        return Ok(false);
    };
    if !matches!(version, Version::V5 | Version::V51 | Version::V52) {
        return Ok(false);
    }
    // With both, one of them is unknown.
    if info(att::TIME_FAAAA).is_some() {
        return Ok(false);
    }
    let by_channel = info(LN1[0]).is_some_and(|norm| elements(norm) == elements(first));
    match (reading.convention, by_channel, checkpoint.is(Format::PyTorch)) {
        (Some(convention), ..) => Ok(convention == Convention::Converted),
        (None, false, _) => Ok(false),
        (None, true, false) => Ok(true),
        (None, true, true) => bail!(
            "{}: the tensor `{}` has values by channel: by its name they are logarithms of bonuses, but converters give \
             this name to the bonuses themselves; say which with --read-as original or --read-as converted",
            checkpoint.path().display(),
            first.file_name()
        ),
    }
}

/// Which way a low-rank matrix lies, by its shape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// As in BlinkDL's files.
    Original,
    Turned,
    /// It is square.
    Either,
}

/// The low-rank matrices that lie the other way than in BlinkDL's files, and
/// whether most do. A square one lies as most of the file.
fn turned(
    checkpoint: &Checkpoint,
    version: Version,
    reading: &Reading,
) -> Result<(Vec<String>, bool)> {
    let norm = checkpoint.info(&full_name(Some(0), LN1[0]));
    let embd = norm.map_or(0, |norm| norm.shape.iter().product());
    let matrices: Vec<(&TensorInfo, Lies)> = checkpoint
        .tensors()
        .filter_map(|info| Some((info, lies(info, low_rank(version, &info.name)?, embd)?)))
        .collect();
    let count = |which: Lies| matrices.iter().filter(|(_, lies)| *lies == which).count();
    let square = matrices.iter().find(|(_, lies)| *lies == Lies::Either);
    let all = match (count(Lies::Original), count(Lies::Turned), square) {
        _ if reading.convention.is_none() && is_unconverted(checkpoint) => false,
        (0, 0, Some((info, _))) => said(checkpoint, info, reading)?,
        (original, turned, _) => turned > original,
    };
    let turned = matrices.iter().filter(|(_, lies)| match lies {
        Lies::Original => false,
        Lies::Turned => true,
        Lies::Either => all,
    });
    Ok((turned.map(|(info, _)| info.name.clone()).collect(), all))
}

/// The row of a low-rank matrix.
fn low_rank(version: Version, name: &str) -> Option<&'static Tensor> {
    let (layer, in_layer) = split_name(name);
    let row = table(version).find(layer.is_some(), in_layer)?;
    row.is_turned().then_some(row)
}

/// `None` where neither dimension is the width: its shape is then refused.
fn lies(info: &TensorInfo, row: &Tensor, embd: usize) -> Option<Lies> {
    let [.., rows, cols] = *info.shape else {
        return None;
    };
    let [.., first, _] = *row.sizes else {
        return None;
    };
    let (own, other) = match first {
        Size::Embd => (rows, cols),
        _ => (cols, rows),
    };
    match (own == embd, other == embd) {
        (true, true) => Some(Lies::Either),
        (true, false) => Some(Lies::Original),
        (false, true) => Some(Lies::Turned),
        (false, false) => None,
    }
}

/// Whether no converter for web-rwkv wrote the file: they write safetensors files
/// without notes of Kinglet's.
fn is_unconverted(checkpoint: &Checkpoint) -> bool {
    checkpoint.is(Format::PyTorch) || says_itself(checkpoint)
}

/// Whether a file that is seen as BlinkDL's is known to have matrices and heads as
/// these.
fn says_itself(checkpoint: &Checkpoint) -> bool {
    let mut notes = checkpoint.metadata().keys();
    checkpoint.is(Format::Gguf) || notes.any(|key| key.starts_with(KINGLET))
}

/// Whether square matrices are turned, where no shape tells.
fn said(checkpoint: &Checkpoint, info: &TensorInfo, reading: &Reading) -> Result<bool> {
    if let Some(convention) = reading.convention {
        return Ok(convention == Convention::Converted);
    }
    // fla's matrices were turned by their names.
    if info
        .alias
        .as_ref()
        .is_some_and(|name| original(name).turned)
    {
        return Ok(false);
    }
    let (path, name) = (checkpoint.path().display(), excerpt(info.file_name()));
    bail!(
        "{path}: the low-rank matrix `{name}` {:?} is square, so that its shape does not tell whether it lies as in BlinkDL's \
         files or transposed, as converters for web-rwkv write it: say which with --read-as original or --read-as converted",
        info.shape
    )
}

/// Whether the state in a file without a model lies as converters write it.
///
/// # Errors
/// The file has the suffix of converters' files, which also name others.
pub fn state_is_turned(checkpoint: &Checkpoint, convention: Option<Convention>) -> Result<bool> {
    let path = checkpoint.path();
    let of_converters = path.extension().is_some_and(|suffix| suffix == "st");
    match convention {
        Some(convention) => Ok(convention == Convention::Converted),
        None if of_converters && !checkpoint.is(Format::PyTorch) => bail!(
            "{}: converters for web-rwkv transpose a tuned state, and the file does not tell whether one wrote it: say which \
             with --read-as original or --read-as converted",
            path.display()
        ),
        None => Ok(false),
    }
}

/// Turns tuned states that converters wrote.
pub fn turn_states(checkpoint: &mut Checkpoint) -> Result<()> {
    checkpoint.view(|info| match split_name(&info.name) {
        (Some(_), att::TIME_STATE) => vec![SeenAs {
            turned: true,
            ..SeenAs::named(info.name.clone())
        }],
        _ => Vec::new(),
    })?;
    Ok(())
}

/// Whether the heads of a model are what its one tensor of values by head and
/// channel seems to say. Transposed, it looks like many small heads.
fn has_likely_heads(heads: usize, head_size: usize) -> bool {
    // Published heads have 64 channels, all others known a power of two.
    let odd = heads.is_power_of_two() && !head_size.is_power_of_two();
    heads <= head_size || head_size >= 8 && heads != 64 && !odd
}

/// Whether shapes alone tell which way the tensors of a model lie.
pub fn has_clear_shapes(version: Version, dimensions: &Dimensions) -> bool {
    let square = |row: &Tensor| {
        let shape = row.shape(dimensions);
        shape == [dimensions.embd; 2] || shape.contains(&0)
    };
    let rows = table(version).layer_tensors();
    let mut low_rank = rows.filter(|row| row.is_turned()).peekable();
    let all_square = low_rank.peek().is_some() && low_rank.all(square);
    let likely = has_likely_heads(dimensions.heads, dimensions.head_size());
    !all_square && (likely || !tells_heads_once(version))
}

/// Whether one tensor only of a layer has values by head and channel.
fn tells_heads_once(version: Version) -> bool {
    let rows = table(version).layer_tensors();
    rows.filter(|row| row.sizes.first() == Some(&Size::Heads))
        .count()
        == 1
}

/// Refuses a tensor by head and channel that is transposed, as far as can be told.
///
/// # Errors
/// It is likelier than that the model has such heads.
pub fn check_heads(
    checkpoint: &Checkpoint,
    version: Version,
    dimensions: &Dimensions,
    reading: &Reading,
) -> Result<()> {
    let (heads, head_size) = (dimensions.heads, dimensions.head_size());
    let said = reading.convention.is_some() || says_itself(checkpoint);
    if said || has_likely_heads(heads, head_size) || !tells_heads_once(version) {
        return Ok(());
    }
    let mut rows = table(version).layer_tensors();
    let row = rows.find(|row| row.sizes.first() == Some(&Size::Heads));
    let name = full_name(Some(0), row.map_or("", |row| row.name));
    bail!(
        "{}: the tensor `{name}` has {heads} heads of {head_size} channels, which no known model has: it is transposed; \
         if the model has such heads, say --read-as original",
        checkpoint.path().display()
    )
}
