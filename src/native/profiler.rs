//! A safe face on `profiler.cpp`: the time that each operation takes itself. What the names mean is the caller's
//! affair.

use std::ffi::{CStr, c_char, c_void};

unsafe extern "C" {
    fn rehead_profiler_run();
    fn rehead_profiler_pause();
    fn rehead_profiler_take(take: extern "C" fn(*mut c_void, *const c_char, f64, u64), to: *mut c_void);
}

/// An operation of libtorch, or of `native.cpp`, over all its calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// As libtorch names it: `aten::mm`.
    pub name: String,
    /// Without the operations that it called, in seconds.
    pub seconds: f64,
    /// How many times it ran, on all threads together.
    pub calls: u64,
}

/// Times operations from now on, on all threads. On an accelerator every operation is waited for, which slows it down.
pub fn run() {
    // SAFETY: takes nothing.
    unsafe { rehead_profiler_run() }
}

/// Ends it, until [`run`] is called again.
pub fn pause() {
    // SAFETY: takes nothing.
    unsafe { rehead_profiler_pause() }
}

/// What was timed since the last call.
pub fn take() -> Vec<Operation> {
    extern "C" fn push(to: *mut c_void, name: *const c_char, seconds: f64, calls: u64) {
        // SAFETY: `to` is the vector below, and `name` a NUL-terminated string; both outlive the call.
        let (operations, name) = unsafe { (&mut *to.cast::<Vec<Operation>>(), CStr::from_ptr(name)) };
        operations.push(Operation { name: name.to_string_lossy().into_owned(), seconds, calls });
    }
    let mut operations: Vec<Operation> = Vec::new();
    // SAFETY: `push` gets the vector back as what it is, and nobody keeps it.
    unsafe { rehead_profiler_take(push, (&raw mut operations).cast()) };
    operations
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn operations_are_timed_while_it_runs() {
        let x = Tensor::ones([300, 300], (Kind::Float, Device::Cpu));
        run();
        let _ = x.matmul(&x);
        pause();
        let _ = x.matmul(&x);
        let operations = take();
        let product = operations.iter().find(|operation| operation.name == "aten::mm").unwrap();
        // Other tests run beside this one and may multiply too.
        assert!(product.calls >= 1 && product.seconds > 0.0, "{operations:?}");
        assert!(!take().iter().any(|operation| operation.name == "aten::mm"));
    }
}
