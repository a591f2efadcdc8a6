//! The names that the pickle of a checkpoint may ask for, and no others.

use safetensors::tensor::Dtype;

use super::hints::WEIGHTS_ALONE;
use crate::error::{Error, Result};

/// Something that a pickle names, by what it means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    Dict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: the storage knows the type.
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`: the tensor has its own type.
    TypedTensor,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// `torch.FloatStorage` and its like; without a type, `UntypedStorage`.
    Storage(Option<Dtype>),
    /// `torch.float32` and its like.
    Kind(Dtype),
    /// `torch.Size`.
    Size,
    /// `torch.device`.
    Device,
    /// `set` and `frozenset`.
    Set,
}

/// The types by the names of torch and of their storages; some have none.
const TYPES: [(&str, &str, Dtype); 14] = [
    ("float32", "FloatStorage", Dtype::F32),
    ("float64", "DoubleStorage", Dtype::F64),
    ("float16", "HalfStorage", Dtype::F16),
    ("bfloat16", "BFloat16Storage", Dtype::BF16),
    ("int64", "LongStorage", Dtype::I64),
    ("int32", "IntStorage", Dtype::I32),
    ("int16", "ShortStorage", Dtype::I16),
    ("int8", "CharStorage", Dtype::I8),
    ("uint8", "ByteStorage", Dtype::U8),
    ("bool", "BoolStorage", Dtype::BOOL),
    ("uint16", "", Dtype::U16),
    ("uint32", "", Dtype::U32),
    ("uint64", "", Dtype::U64),
    ("float8_e4m3fn", "", Dtype::F8_E4M3),
];

impl Global {
    /// What `module.name` means.
    ///
    /// # Errors
    /// It is no part of a description of tensors.
    pub fn named(module: &str, name: &str) -> Result<Self> {
        let found = match (module, name) {
            ("collections", "OrderedDict") => Some(Self::Dict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::Tensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::TypedTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::Parameter),
            ("torch.storage" | "torch", "UntypedStorage") => Some(Self::Storage(None)),
            ("torch", "Size") => Some(Self::Size),
            ("torch", "device") => Some(Self::Device),
            ("builtins" | "__builtin__", "set" | "frozenset") => Some(Self::Set),
            ("torch", _) if !name.is_empty() => TYPES.iter().find_map(|&(kind, storage, dtype)| {
                if name == storage {
                    Some(Self::Storage(Some(dtype)))
                } else {
                    (name == kind).then_some(Self::Kind(dtype))
                }
            }),
            _ => None,
        };
        found.ok_or_else(|| Self::refused(module, name))
    }

    /// The error of a name that is not allowed.
    pub fn refused(module: &str, name: &str) -> Error {
        let name: String = format!("{module}.{name}").chars().filter(|char| !char.is_control()).take(100).collect();
        let quantised = name.contains("_rebuild_qtensor") || name.contains("QInt") || name.contains("QUInt");
        let complex = name.contains("Complex") || name.contains("complex");
        let why = match (quantised, complex) {
            (true, _) => "a quantised tensor, which cannot be fine-tuned",
            (_, true) => "complex numbers, which safetensors does not have",
            _ => "which is no part of a description of weights; nothing was executed",
        };
        Error::request(format!("the pickle asks for `{name}`, {why}")).hint(WEIGHTS_ALONE)
    }

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dict => "OrderedDict",
            Self::Tensor => "_rebuild_tensor_v2",
            Self::TypedTensor => "_rebuild_tensor_v3",
            Self::Parameter => "_rebuild_parameter",
            Self::Storage(_) => "a storage type",
            Self::Kind(_) => "a tensor type",
            Self::Size => "torch.Size",
            Self::Device => "torch.device",
            Self::Set => "set",
        }
    }
}
