//! What a pickle of tensors is made of, as far as it matters here.

use safetensors::tensor::Dtype;

use super::global::Global;

/// A value by its number: what contains another holds its number, so that no file can nest them too deeply to be freed.
pub type Id = usize;

/// What a pickle is made of, as far as it matters here.
#[derive(Debug)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits, little-endian.
    Long(Vec<u8>),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
    /// A number with decimals, bytes, a set, a device.
    Other,
}

/// The bytes behind one or several tensors.
#[derive(Debug)]
pub struct Storage {
    /// By which the archive finds them.
    pub key: String,
    /// `None` where only the tensors know what the bytes mean.
    pub dtype: Option<Dtype>,
    /// In elements; in bytes where the type is not known.
    pub elements: u64,
    /// At which element of the stored ones it begins (legacy files alone have views of storages).
    pub first: u64,
}

/// A view of a storage. Everything is in elements.
#[derive(Debug)]
pub struct Tensor {
    /// A [`Value::Storage`].
    pub storage: Id,
    pub dtype: Dtype,
    pub first: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
}
