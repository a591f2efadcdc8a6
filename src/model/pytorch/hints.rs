//! Sentences that several files of this folder say.

/// Of a file that is not whole.
pub const DAMAGED: &str = "the file is damaged or incomplete: download it again";
/// Of a file that holds more than weights, or something else.
pub const WEIGHTS_ALONE: &str =
    "in Python, if you trust the file, save the weights alone: torch.save(model.state_dict(), …)";
/// Of values whose bytes stand the other way round.
pub const BIG_ENDIAN: &str = "the file was written on a big-endian machine, which is not supported";
