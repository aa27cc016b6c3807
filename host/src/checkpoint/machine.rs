//! The stack machine that runs a pickle.

use super::globals::{lookup, Global};
use super::pickle::Fault::{self, Invalid};
use super::pickle::{Input, Objects, RawTensor, Storage, Value, MAX_NAME_BYTES};
use std::collections::HashMap;

/// The most entries of the stack, the memo, and each table of objects.
const MAX_ENTRIES: usize = 1 << 20;

/// The state of a pickle that is being run.
pub(super) struct Machine<'a> {
    input: Input<'a>,
    stack: Vec<Value<'a>>,
    /// Heights of the stack where marks lie.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    objects: Objects<'a>,
}

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input { bytes, at: 0 },
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Objects::default(),
        }
    }

    /// The byte that is read next.
    pub fn offset(&self) -> usize {
        self.input.at
    }

    /// What the values refer to.
    pub fn into_objects(self) -> Objects<'a> {
        self.objects
    }

    /// Executes one opcode; returns the pickle's value when it was the last.
    pub fn step(&mut self) -> Result<Option<Value<'a>>, Fault> {
        let [opcode] = self.input.array()?;
        match opcode {
            b'.' => return self.stop().map(Some),
            0x80 => self.protocol()?,
            // FRAME: a hint for buffering.
            0x95 => drop(self.input.array::<8>()?),
            b'(' => self.mark()?,
            b'K' | b'M' | b'J' | 0x8a => self.integer(opcode)?,
            b'X' | 0x8c | 0x8d | b'U' | b'T' => self.text(opcode)?,
            b'N' | 0x88 | 0x89 | b']' | b'G' | b'B' | b'C' | 0x8e => self.opaque(opcode)?,
            b')' | 0x85 | 0x86 | 0x87 | b't' => self.tuple(opcode)?,
            b'}' => self.dict()?,
            b's' | b'u' | b'a' | b'e' => self.fill(opcode)?,
            b'q' | b'r' | 0x94 => self.put(opcode)?,
            b'h' | b'j' => self.get(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            b'Q' => self.persistent_id()?,
            _ => return Err(Fault::Opcode(opcode)),
        }
        Ok(None)
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Fault> {
        if self.stack.len() >= MAX_ENTRIES {
            return Err(Invalid("the stack is too deep for a state dict"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// The lowest entry of the stack that may be popped: those below a mark
    /// belong to an outer object.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value<'a>, Fault> {
        let is_own = self.stack.len() > self.floor();
        let value = is_own.then(|| self.stack.pop()).flatten();
        value.ok_or(Invalid("takes a value from an empty stack"))
    }

    fn top(&self) -> Result<Value<'a>, Fault> {
        match self.stack.last() {
            Some(&value) if self.stack.len() > self.floor() => Ok(value),
            _ => Err(Invalid("looks at an empty stack")),
        }
    }

    fn mark(&mut self) -> Result<(), Fault> {
        if self.marks.len() >= MAX_ENTRIES {
            return Err(Invalid("the marks are nested too deeply for a state dict"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Removes the last mark; returns where the values above it start.
    fn pop_mark(&mut self) -> Result<usize, Fault> {
        let mark = self.marks.pop().ok_or(Invalid("there is no mark"))?;
        Ok(mark.min(self.stack.len()))
    }

    fn protocol(&mut self) -> Result<(), Fault> {
        match self.input.array()? {
            [0..=5] => Ok(()),
            _ => Err(Invalid("the pickle protocol is newer than 5")),
        }
    }

    fn stop(&mut self) -> Result<Value<'a>, Fault> {
        let value = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() {
            return Err(Invalid("values are left over at the end"));
        }
        Ok(value)
    }

    fn integer(&mut self, opcode: u8) -> Result<(), Fault> {
        let value = match opcode {
            b'K' => self.input.array::<1>().map(|[byte]| i64::from(byte))?,
            b'M' => i64::from(u16::from_le_bytes(self.input.array()?)),
            b'J' => i64::from(i32::from_le_bytes(self.input.array()?)),
            _ => self.long()?,
        };
        self.push(Value::Int(value))
    }

    /// LONG1: two's complement, little-endian, of 0 to 255 bytes.
    fn long(&mut self) -> Result<i64, Fault> {
        let len = self.input.length(1)?;
        let bytes = self.input.take(len)?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        match word.get_mut(..len) {
            Some(low) => low.copy_from_slice(bytes),
            None => return Err(Invalid("an integer has more than 64 bits")),
        }
        Ok(i64::from_le_bytes(word))
    }

    fn text(&mut self, opcode: u8) -> Result<(), Fault> {
        let len = match opcode {
            0x8c | b'U' => self.input.length(1)?,
            b'X' | b'T' => self.input.length(4)?,
            _ => self.input.length(8)?,
        };
        let text = std::str::from_utf8(self.input.take(len)?);
        self.push(Value::Text(
            text.map_err(|_| Invalid("a string is not UTF-8"))?,
        ))
    }

    fn opaque(&mut self, opcode: u8) -> Result<(), Fault> {
        let len = match opcode {
            b'G' => 8,
            b'C' => self.input.length(1)?,
            b'B' => self.input.length(4)?,
            0x8e => self.input.length(8)?,
            _ => 0,
        };
        self.input.take(len)?;
        self.push(Value::Opaque)
    }

    fn tuple(&mut self, opcode: u8) -> Result<(), Fault> {
        let start = match opcode {
            b')' => self.stack.len(),
            b't' => self.pop_mark()?,
            _ => {
                let len = usize::from(opcode.saturating_sub(0x84));
                let start = self
                    .stack
                    .len()
                    .checked_sub(len)
                    .filter(|&at| at >= self.floor());
                start.ok_or(Invalid("a tuple lacks items"))?
            }
        };
        let items = self.objects.items.len();
        self.objects.items.extend(self.stack.drain(start..));
        self.push(Value::Tuple(items, self.objects.items.len() - items))
    }

    fn dict(&mut self) -> Result<(), Fault> {
        let index = add(&mut self.objects.dicts, Vec::new())?;
        self.push(Value::Dict(index))
    }

    /// SETITEM, SETITEMS, APPEND and APPENDS.
    fn fill(&mut self, opcode: u8) -> Result<(), Fault> {
        let start = match opcode {
            b'u' | b'e' => Some(self.pop_mark()?),
            b's' => self.stack.len().checked_sub(2),
            _ => self.stack.len().checked_sub(1),
        };
        let target = start
            .and_then(|start| start.checked_sub(1))
            .filter(|&at| at >= self.floor());
        let target = target.ok_or(Invalid("adds items to nothing"))?;
        let mut items = self.stack.drain(target..);
        let target = items.next();
        match (opcode, target) {
            // What a list or an object holds is of no interest.
            (b'a' | b'e' | b's' | b'u', Some(Value::Opaque)) => drop(items),
            (b's' | b'u', Some(Value::Dict(index))) => {
                let dict = self.objects.dicts.get_mut(index);
                insert(dict.ok_or(Invalid("there is no such dict"))?, items)?;
            }
            _ => return Err(Invalid("adds items to something that takes none")),
        }
        self.stack.extend(target);
        Ok(())
    }

    fn put(&mut self, opcode: u8) -> Result<(), Fault> {
        let index = match opcode {
            b'q' => self.input.length(1)? as u64,
            b'r' => self.input.length(4)? as u64,
            _ => self.memo.len() as u64,
        };
        // Picklers count up from zero or one, and a put takes a byte at least.
        if index > self.input.bytes.len() as u64 || self.memo.len() >= MAX_ENTRIES {
            return Err(Invalid("the memo is larger than the pickle can fill"));
        }
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> Result<(), Fault> {
        let width = if opcode == b'h' { 1 } else { 4 };
        let index = self.input.length(width)? as u64;
        let value = self
            .memo
            .get(&index)
            .ok_or(Invalid("the memo has no such entry"))?;
        self.push(*value)
    }

    fn global(&mut self, opcode: u8) -> Result<(), Fault> {
        let (module, name) = if opcode == b'c' {
            (self.input.line()?, self.input.line()?)
        } else {
            match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => (module, name),
                _ => return Err(Invalid("the name of a global is not text")),
            }
        };
        match lookup(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(Fault::Global(format!("{module}.{name}"))),
        }
    }

    /// Calls one of the allowed functions.
    fn reduce(&mut self) -> Result<(), Fault> {
        let Value::Tuple(start, len) = self.pop()? else {
            return Err(Invalid("the arguments of a call are not a tuple"));
        };
        let function = self.pop()?;
        self.call(function, (start, len))
    }

    /// NEWOBJ: an object of a class that no tensor depends on.
    fn new_object(&mut self) -> Result<(), Fault> {
        match (self.pop()?, self.pop()?) {
            (Value::Tuple(..), Value::Global(Global::Opaque)) => self.push(Value::Opaque),
            (Value::Tuple(..), Value::Global(Global::OrderedDict)) => self.dict(),
            _ => Err(Invalid("makes an object that no state dict has")),
        }
    }

    fn call(&mut self, function: Value<'a>, arguments: (usize, usize)) -> Result<(), Fault> {
        let Value::Global(function) = function else {
            return Err(Invalid("calls something in a way that no state dict does"));
        };
        match (function, self.objects.tuple(arguments)) {
            // A defaultdict is given what makes its values.
            (Global::OrderedDict, [] | [Value::Global(_)]) => self.dict(),
            (Global::Opaque, _) => self.push(Value::Opaque),
            (Global::Size, &[size @ Value::Tuple(..)]) => self.push(size),
            (Global::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => self.push(tensor),
            (
                Global::RebuildFromType,
                &[rebuild @ Value::Global(Global::RebuildTensor), _, Value::Tuple(start, len), _],
            ) => self.call(rebuild, (start, len)),
            (Global::RebuildTensor, arguments) => {
                let tensor = self.raw_tensor(arguments)?;
                let index = add(&mut self.objects.tensors, tensor)?;
                self.push(Value::Tensor(index))
            }
            _ => Err(Invalid("calls something in a way that no state dict does")),
        }
    }

    fn raw_tensor(&self, arguments: &[Value<'a>]) -> Result<RawTensor<'a>, Fault> {
        match *arguments {
            [Value::Storage(storage), Value::Int(offset), Value::Tuple(a, dims), Value::Tuple(b, steps), ..] =>
            {
                let storage = self.objects.storages.get(storage);
                let storage = *storage.ok_or(Invalid("there is no such storage"))?;
                Ok(RawTensor {
                    storage,
                    offset,
                    shape: (a, dims),
                    strides: (b, steps),
                })
            }
            _ => Err(Invalid("a tensor is made of something else than a storage")),
        }
    }

    /// BUILD: attributes, such as the versions of a state dict's modules. They
    /// do not change a tensor's values.
    fn build(&mut self) -> Result<(), Fault> {
        self.pop()?;
        match self.top()? {
            Value::Dict(_) | Value::Tensor(_) | Value::Opaque => Ok(()),
            _ => Err(Invalid("sets attributes of something that has none")),
        }
    }

    /// BINPERSID: PyTorch refers to a storage by the tuple `("storage", type,
    /// key, device, number of values)`.
    fn persistent_id(&mut self) -> Result<(), Fault> {
        let Value::Tuple(start, len) = self.pop()? else {
            return Err(Invalid("a persistent id is not a tuple"));
        };
        let storage = match *self.objects.tuple((start, len)) {
            [Value::Text("storage"), Value::Global(Global::Storage(kind)), Value::Text(key), _, Value::Int(count)]
                if key.len() <= MAX_NAME_BYTES =>
            {
                Storage { kind, key, count }
            }
            _ => return Err(Invalid("a persistent id is not that of a storage")),
        };
        let index = add(&mut self.objects.storages, storage)?;
        self.push(Value::Storage(index))
    }
}

/// Adds keys and values, which take turns.
fn insert<'a>(
    dict: &mut Vec<(Value<'a>, Value<'a>)>,
    mut items: impl Iterator<Item = Value<'a>>,
) -> Result<(), Fault> {
    while let Some(key) = items.next() {
        let value = items
            .next()
            .ok_or(Invalid("a dict's last key has no value"))?;
        dict.push((key, value));
    }
    Ok(())
}

/// Appends to a table and returns the index.
fn add<T>(table: &mut Vec<T>, value: T) -> Result<usize, Fault> {
    if table.len() >= MAX_ENTRIES {
        return Err(Invalid("there are more objects than a state dict has"));
    }
    table.push(value);
    Ok(table.len() - 1)
}
