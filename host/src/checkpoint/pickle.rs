//! An interpreter for the pickles that PyTorch writes.
//!
//! It knows the opcodes that a state dict needs and nothing else: it calls no
//! Python, and the few names it knows ([`super::globals`]) only make tensors
//! and dicts. Values live in flat tables and refer to each other by index, so
//! that neither building nor dropping them recurses, and a value that is used
//! twice is not copied.

use super::dtype::Dtype;
use super::error::{excerpt, Problem};
use super::globals::Global;
use super::machine::Machine;

/// The longest pickle that is interpreted, in bytes. Tables of tensors take
/// about a hundred bytes a tensor.
pub(super) const MAX_PICKLE: u64 = 16 * 1024 * 1024;

/// The most bytes of one part of a Python name, and of a storage's key. Many
/// tensors may share one key, so that its length counts for each of them.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// A value on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Something a state dict does not depend on: None, booleans, floats,
    /// bytes, lists.
    Opaque,
    Int(i64),
    Text(&'a str),
    Global(Global),
    /// A range of [`Objects::items`].
    Tuple(usize, usize),
    /// An index into [`Objects::dicts`].
    Dict(usize),
    /// An index into [`Objects::storages`].
    Storage(usize),
    /// An index into [`Objects::tensors`].
    Tensor(usize),
}

/// A reference to a file of values inside the archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'a> {
    pub kind: Dtype,
    /// The last part of the file's name.
    pub key: &'a str,
    /// How many values it has.
    pub count: i64,
}

/// The arguments of `_rebuild_tensor_v2`, not yet checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawTensor<'a> {
    pub storage: Storage<'a>,
    pub offset: i64,
    /// Ranges of [`Objects::items`].
    pub shape: (usize, usize),
    pub strides: (usize, usize),
}

/// What the values of a pickle refer to.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub items: Vec<Value<'a>>,
    pub dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<RawTensor<'a>>,
}

impl<'a> Objects<'a> {
    /// The items of a tuple.
    pub fn tuple(&self, (start, len): (usize, usize)) -> &[Value<'a>] {
        let end = start.saturating_add(len);
        self.items.get(start..end).unwrap_or_default()
    }
}

/// What is wrong with a pickle.
#[derive(Debug)]
pub(super) enum Fault {
    /// It ends inside an opcode.
    Truncated,
    /// It is damaged, or does what no state dict does.
    Invalid(&'static str),
    /// It has an opcode that a state dict does not need.
    Opcode(u8),
    /// It asks for a name that is not allowed.
    Global(String),
}

use Fault::Invalid;

impl Fault {
    /// The opcode at byte `offset` has this fault.
    fn at(self, offset: usize) -> Problem {
        let problem = match self {
            Self::Global(global) => return Problem::Global(offset, excerpt(&global)),
            Self::Truncated => "the pickle ends here; the file is damaged".to_owned(),
            Self::Opcode(opcode) => format!("the opcode {opcode:#04x} is not used by state dicts"),
            Self::Invalid(problem) => problem.to_owned(),
        };
        Problem::Pickle(offset, problem)
    }
}

/// Runs a pickle and returns its value with the objects that it refers to.
pub(super) fn interpret(bytes: &[u8]) -> Result<(Value<'_>, Objects<'_>), Problem> {
    let mut machine = Machine::new(bytes);
    loop {
        let offset = machine.offset();
        match machine.step() {
            Ok(None) => {}
            Ok(Some(value)) => return Ok((value, machine.into_objects())),
            Err(fault) => return Err(fault.at(offset)),
        }
    }
}

/// The bytes of a pickle, read from front to back.
pub(super) struct Input<'a> {
    pub bytes: &'a [u8],
    /// Where the next byte is read.
    pub at: usize,
}

impl<'a> Input<'a> {
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(len).ok_or(Fault::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(Fault::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A length of one, four or eight bytes.
    pub fn length(&mut self, width: usize) -> Result<usize, Fault> {
        let length = match width {
            1 => self.array::<1>().map(|[byte]| u64::from(byte))?,
            4 => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        // A length beyond memory's reach is beyond the pickle's end, too.
        usize::try_from(length).map_err(|_| Fault::Truncated)
    }

    /// The text up to the next line feed.
    pub fn line(&mut self) -> Result<&'a str, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest
            .iter()
            .take(MAX_NAME_BYTES)
            .position(|&byte| byte == b'\n');
        let len = len.ok_or(Invalid("the name of a global has no end"))?;
        let line = std::str::from_utf8(self.take(len)?);
        self.take(1)?;
        line.map_err(|_| Invalid("the name of a global is not UTF-8"))
    }
}
