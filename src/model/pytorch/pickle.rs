//! An interpreter of the few pickle opcodes that describe tensors. It executes nothing: a name that a pickle asks for
//! is one of [`Global`], whose meaning is written here, or the file is refused.
//!
//! The opcodes are those of Python's `pickletools`, protocols 0 to 4 as `torch.save` uses them. Which values are the
//! weights is decided in `contents.rs`.

use std::collections::HashMap;

use super::global::Global;
use super::hints::{DAMAGED, WEIGHTS_ALONE};
use super::value::{Id, Storage, Tensor, Value};
use crate::error::{Error, Result};

/// More values than any description of weights needs; each takes tens of bytes of memory.
const MOST_VALUES: usize = 4_000_000;
/// More dimensions than a tensor of a network has.
const MOST_DIMENSIONS: usize = 16;
const LONGEST_KEY: usize = 200;

/// One pickle, read.
pub struct Pickle {
    pub values: Vec<Value>,
    pub root: Id,
    /// How many bytes it takes.
    pub length: usize,
}

impl Pickle {
    /// Reads the pickle that `bytes` begins with.
    ///
    /// # Errors
    /// It is damaged, or it asks for something that is no part of a description of tensors.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut machine = Machine {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
        };
        loop {
            let opcode = machine.byte()?;
            if opcode == b'.' {
                let root = machine.pop()?;
                return Ok(Self { values: machine.values, root, length: machine.at });
            }
            let known = machine.number(opcode)?
                || machine.text(opcode)?
                || machine.container(opcode)?
                || machine.memory(opcode)?
                || machine.object(opcode)?;
            if !known {
                return Err(damaged(format!(
                    "byte {} of the pickle is {opcode:#04x}, no opcode of a checkpoint",
                    machine.at - 1
                )));
            }
        }
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        match self.values.get(id) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

fn damaged(message: impl Into<String>) -> Error {
    Error::request(message).fallback_hint(DAMAGED)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Lengths of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// Entries of dicts that were copied from lists.
    copied: usize,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let taken = taken.ok_or_else(|| damaged("the pickle ends in the middle of a value"))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// A little-endian number of `width` bytes, at most 8.
    fn unsigned(&mut self, width: u64) -> Result<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).ok_or_else(|| damaged("the pickle ends in the middle of a line"))?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| damaged("a name in the pickle is not UTF-8"))
    }

    fn add(&mut self, value: Value) -> Result<Id> {
        if self.values.len() >= MOST_VALUES {
            let message = format!("the pickle describes more than {MOST_VALUES} values, which no weights need");
            return Err(Error::request(message).hint(WEIGHTS_ALONE));
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    fn push(&mut self, value: Value) -> Result<bool> {
        let id = self.add(value)?;
        self.push_id(id)
    }

    /// True, as the opcode is known.
    fn push_id(&mut self, id: Id) -> Result<bool> {
        if self.stack.len() >= MOST_VALUES {
            return Err(damaged("the pickle fills the stack without end"));
        }
        self.stack.push(id);
        Ok(true)
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => self.stack.pop().ok_or_else(|| damaged("the pickle takes from an empty stack")),
            false => Err(damaged("the pickle takes from an empty stack")),
        }
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| damaged("the pickle takes from an empty stack"))
    }

    /// What stands above the last mark, which goes.
    fn above_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or_else(|| damaged("the pickle closes what it never opened"))?))
    }

    fn number(&mut self, opcode: u8) -> Result<bool> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i64::from(self.unsigned(4)? as u32 as i32)),
            b'K' => Value::Int(self.unsigned(1)? as i64),
            b'M' => Value::Int(self.unsigned(2)? as i64),
            b'I' | b'L' => match self.line()?.trim_end_matches('L') {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => digits.parse().map_or(Value::Other, Value::Int),
            },
            0x8a | 0x8b => {
                let width = self.unsigned(if opcode == 0x8a { 1 } else { 4 })?;
                let bytes = self.take(width)?;
                let fill = if bytes.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
                let mut wide = [fill; 8];
                match wide.get_mut(..bytes.len()) {
                    Some(part) => {
                        part.copy_from_slice(bytes);
                        Value::Int(i64::from_le_bytes(wide))
                    }
                    None => Value::Long(bytes.to_vec()),
                }
            }
            b'G' => {
                self.take(8)?;
                Value::Other
            }
            b'F' => {
                self.line()?;
                Value::Other
            }
            _ => return Ok(false),
        };
        self.push(value)
    }

    fn text(&mut self, opcode: u8) -> Result<bool> {
        let (width, is_text) = match opcode {
            // Python 2 wrote names as its byte strings.
            b'X' | b'T' => (4, true),
            0x8c | b'U' => (1, true),
            0x8d => (8, true),
            b'B' => (4, false),
            b'C' => (1, false),
            0x8e | 0x96 => (8, false),
            b'V' | b'S' => {
                let line = self.line()?.trim_matches(['\'', '"']).to_owned();
                return self.push(Value::Text(line));
            }
            _ => return Ok(false),
        };
        let length = self.unsigned(width)?;
        let bytes = self.take(length)?;
        match is_text {
            true => self.push(Value::Text(String::from_utf8_lossy(bytes).into_owned())),
            false => self.push(Value::Other),
        }
    }

    fn container(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(true)
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            0x8f => self.push(Value::Other),
            b't' | b'l' | b'd' | 0x91 => {
                let items = self.above_mark()?;
                self.push(match opcode {
                    b't' => Value::Tuple(items),
                    b'l' => Value::List(items),
                    b'd' => Value::Dict(pairs(&items)?),
                    _ => Value::Other,
                })
            }
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0..=opcode - 0x85 {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Value::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])
            }
            b'e' | 0x90 => {
                let items = self.above_mark()?;
                self.extend(items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[key, value])
            }
            b'u' => {
                let items = self.above_mark()?;
                self.insert(&items)
            }
            _ => Ok(false),
        }
    }

    /// Adds to the list at the top of the stack.
    fn extend(&mut self, items: Vec<Id>) -> Result<bool> {
        let list = self.top()?;
        match self.values.get_mut(list) {
            Some(Value::List(list)) => list.extend(items),
            Some(Value::Other) => {}
            _ => return Err(damaged("the pickle appends to what is not a list")),
        }
        Ok(true)
    }

    /// Adds keys and values in turn to the dict at the top of the stack.
    fn insert(&mut self, items: &[Id]) -> Result<bool> {
        let dict = self.top()?;
        match self.values.get_mut(dict) {
            Some(Value::Dict(entries)) => entries.extend(pairs(items)?),
            _ => return Err(damaged("the pickle sets items of what is not a dict")),
        }
        Ok(true)
    }

    fn memory(&mut self, opcode: u8) -> Result<bool> {
        let index = match opcode {
            0x80 => return self.unsigned(1).map(|_| true),
            0x95 => return self.unsigned(8).map(|_| true),
            b'0' => return self.pop().map(|_| true),
            b'1' => return self.above_mark().map(|_| true),
            b'2' => {
                let top = self.top()?;
                return self.push_id(top);
            }
            b'g' | b'p' => {
                self.line()?.parse().map_err(|_| damaged("the pickle remembers a value under what is not a number"))?
            }
            b'h' | b'q' => self.unsigned(1)?,
            b'j' | b'r' => self.unsigned(4)?,
            0x94 => self.memo.len() as u64,
            _ => return Ok(false),
        };
        match opcode {
            b'g' | b'h' | b'j' => {
                let id = self.memo.get(&index).copied();
                self.push_id(id.ok_or_else(|| damaged("the pickle recalls a value that it never had"))?)
            }
            _ => {
                let top = self.top()?;
                self.memo.insert(index, top);
                Ok(true)
            }
        }
    }

    fn object(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(Global::named(module, name)?))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.values.get(module), self.values.get(name)) {
                    (Some(Value::Text(module)), Some(Value::Text(name))) => {
                        let global = Global::named(module, name)?;
                        self.push(Value::Global(global))
                    }
                    _ => Err(damaged("the pickle asks for something without a name")),
                }
            }
            b'i' => {
                // It would call what it names.
                let (module, name) = (self.line()?, self.line()?);
                Err(Global::refused(module, name))
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let made = self.call(function, arguments)?;
                self.push(made)
            }
            // The state of an object: of a state dict its `_metadata`, which transformers does not use.
            b'b' => self.pop().map(|_| true),
            b'Q' => {
                let description = self.pop()?;
                let storage = self.storage(description)?;
                self.push(Value::Storage(storage))
            }
            _ => Ok(false),
        }
    }

    fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.values.get(id)? {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    fn natural(&self, id: Id) -> Option<u64> {
        match self.values.get(id)? {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    fn naturals(&self, id: Id) -> Option<Vec<u64>> {
        let numbers = match self.values.get(id)? {
            Value::Tuple(items) | Value::List(items) if items.len() <= MOST_DIMENSIONS => items,
            _ => return None,
        };
        numbers.iter().map(|&number| self.natural(number)).collect()
    }

    /// `('storage', type, key, location, elements)`, in legacy files with `None` or `(key, first, elements)` of a view.
    fn storage(&self, description: Id) -> Result<Storage> {
        let read = || {
            let parts = self.tuple(description)?;
            let text = |index: usize| match self.values.get(*parts.get(index)?)? {
                Value::Text(text) => Some(text),
                _ => None,
            };
            let dtype = match self.values.get(*parts.get(1)?)? {
                Value::Global(Global::Storage(dtype)) => *dtype,
                _ => return None,
            };
            let view = match parts.get(5).map(|&view| self.values.get(view)) {
                None | Some(Some(Value::None)) => None,
                Some(Some(Value::Tuple(view))) => Some((self.natural(*view.get(1)?)?, self.natural(*view.get(2)?)?)),
                _ => return None,
            };
            let all = self.natural(*parts.get(4)?)?;
            let (first, elements) = view.unwrap_or((0, all));
            let key = text(2).filter(|key| key.len() <= LONGEST_KEY)?.clone();
            let is_inside = first.checked_add(elements)? <= all;
            (text(0)? == "storage" && is_inside).then_some(Storage { key, dtype, elements, first })
        };
        read().ok_or_else(|| damaged("the pickle describes a storage in an unknown way"))
    }

    fn call(&mut self, function: Id, arguments: Id) -> Result<Value> {
        let Some(&Value::Global(global)) = self.values.get(function) else {
            return Err(damaged("the pickle calls what is not a function"));
        };
        let arguments =
            self.tuple(arguments).ok_or_else(|| damaged("the pickle calls a function without arguments"))?;
        let wrong = || damaged(format!("the pickle calls `{}` with wrong arguments", global.name()));
        match global {
            Global::Dict => {
                let entries = self.dict_of(arguments).ok_or_else(wrong)?;
                self.copied += entries.len();
                if self.copied > MOST_VALUES { Err(wrong()) } else { Ok(Value::Dict(entries)) }
            }
            Global::Size => {
                let numbers = arguments.first().and_then(|&numbers| match self.values.get(numbers)? {
                    Value::Tuple(items) if items.len() <= MOST_DIMENSIONS => Some(items.clone()),
                    _ => None,
                });
                numbers.map(Value::Tuple).ok_or_else(wrong)
            }
            Global::Device => Ok(Value::Other),
            Global::Set => Ok(Value::Other),
            // The parameter is its tensor, which stands here again.
            Global::Parameter => match arguments.first().and_then(|&tensor| self.values.get(tensor)) {
                Some(Value::Tensor(Tensor { storage, dtype, first, shape, strides })) => Ok(Value::Tensor(Tensor {
                    storage: *storage,
                    dtype: *dtype,
                    first: *first,
                    shape: shape.clone(),
                    strides: strides.clone(),
                })),
                _ => Err(wrong()),
            },
            Global::Tensor | Global::TypedTensor => {
                self.tensor(arguments, matches!(global, Global::TypedTensor)).map(Value::Tensor).ok_or_else(wrong)
            }
            Global::Storage(_) | Global::Kind(_) => Err(wrong()),
        }
    }

    /// `OrderedDict()`, or of Python 2 with a list of pairs.
    fn dict_of(&self, arguments: &[Id]) -> Option<Vec<(Id, Id)>> {
        let Some(&entries) = arguments.first() else { return Some(Vec::new()) };
        let Value::List(entries) = self.values.get(entries)? else { return None };
        let pair = |&entry: &Id| match self.values.get(entry)? {
            Value::Tuple(pair) | Value::List(pair) => Some((*pair.first()?, *pair.get(1)?)),
            _ => None,
        };
        entries.iter().map(pair).collect()
    }

    /// `(storage, first, shape, strides, …)`; with a type of its own, that is the seventh.
    fn tensor(&self, arguments: &[Id], is_typed: bool) -> Option<Tensor> {
        let storage = *arguments.first()?;
        let Value::Storage(Storage { dtype, .. }) = self.values.get(storage)? else { return None };
        let dtype = match (dtype, is_typed) {
            (_, true) => match self.values.get(*arguments.get(6)?)? {
                Value::Global(Global::Kind(dtype)) => *dtype,
                _ => return None,
            },
            (dtype, false) => (*dtype)?,
        };
        let (shape, strides) = (self.naturals(*arguments.get(2)?)?, self.naturals(*arguments.get(3)?)?);
        let first = self.natural(*arguments.get(1)?)?;
        (shape.len() == strides.len()).then_some(Tensor { storage, dtype, first, shape, strides })
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    let pairs = items.chunks(2).map(|pair| match pair {
        [key, value] => Ok((*key, *value)),
        _ => Err(damaged("the pickle has a key without a value")),
    });
    pairs.collect()
}
