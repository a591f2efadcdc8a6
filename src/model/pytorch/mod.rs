//! PyTorch's own files (`pytorch_model.bin`, `.pt`, `.pth`), turned into safetensors without executing anything.
//!
//! [`pickle`] reads the description of the tensors and refuses by name what else a pickle can do ([`global`]);
//! [`archive`] and [`legacy`] find the bytes in the two containers that `torch.save` has had. [`contents`] decides
//! which tensors are the weights, [`read()`] finds their values, [`sources()`] the files of a model, and [`write()`]
//! writes them. Nothing is allocated by what a file claims, only by what it holds.

mod archive;
mod contents;
mod global;
mod hints;
mod legacy;
mod pickle;
mod read;
mod sources;
mod value;
mod write;

pub use self::read::{PyTorchWeights, StoredTensor, read};
pub use self::sources::{SAFETENSORS, Weights, sources};
pub use self::write::write;
