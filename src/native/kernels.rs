//! Which sets of instructions the CPU's kernels (`kernels.cpp`) are compiled for, and which of them computes here.

use std::ffi::{CStr, c_char, c_int};

unsafe extern "C" {
    fn rehead_kernels(index: c_int) -> *const c_char;
    fn rehead_chosen_kernels() -> *const c_char;
}

/// Names the best set that may be chosen, for tests of those that this CPU would not take by itself.
pub const CHOICE: &str = "REHEAD_KERNELS";

/// The sets that this CPU can run, the fastest first; `generic` is always the last.
pub fn available() -> Vec<&'static str> {
    // SAFETY: a NUL-terminated string that lives as long as the program, or null after the last.
    let name = |index| unsafe {
        let name = rehead_kernels(index);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_str().unwrap_or_default())
    };
    (0..).map_while(name).collect()
}

/// The set that computes in this process.
pub fn chosen() -> &'static str {
    // SAFETY: a NUL-terminated string that lives as long as the program.
    unsafe { CStr::from_ptr(rehead_chosen_kernels()) }.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::io::Write;
    use std::process::Command;

    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::error::Result;
    use crate::native::attention::attention;
    use crate::native::dropout::DropoutSpec;
    use crate::native::gelu::gelu;
    use crate::native::norm::add_norm;
    use crate::native::testing::{assert_near, random};

    #[test]
    fn the_set_that_was_asked_for_computes() {
        let asked = env::var(CHOICE).unwrap_or_else(|_| available()[0].to_owned());
        assert_eq!(chosen(), asked);
    }

    /// The kernels for CPUs with fewer instructions than this one give the same: all tests of kernels, once for each
    /// set that this CPU can run. What was tested is written past the capture of tests' output, so that a log of CI has
    /// it.
    #[test]
    fn every_set_of_kernels_is_right() {
        if env::var_os(CHOICE).is_some() {
            return; // one of the calls below
        }
        let sets = available();
        assert_eq!(sets.last(), Some(&"generic"), "{sets:?}");
        for set in &sets {
            let outcome = Command::new(env::current_exe().expect("these tests"))
                .args(["native::", "--skip", "native::gpu", "--skip", "native::profiler"])
                .env(CHOICE, set)
                .output()
                .expect("the tests run");
            let printed = String::from_utf8_lossy(&outcome.stdout);
            let this_one = "test native::kernels::tests::the_set_that_was_asked_for_computes ... ok";
            assert!(outcome.status.success() && printed.contains(this_one), "{set}:\n{printed}");
        }
        let _ = writeln!(std::io::stderr(), "kernels tested on this CPU: {}", sets.join(", "));
    }

    #[test]
    fn bf16_kernels_agree_with_fp32_ones() -> Result<()> {
        let x = random(&[64, 96], 1);
        let half = x.to_kind(Kind::BFloat16);
        let (one, zero) =
            (Tensor::ones([96], (Kind::Float, Device::Cpu)), Tensor::zeros([96], (Kind::Float, Device::Cpu)));
        let norm = |x: &Tensor| add_norm(x, Some(x), &one, &zero, 1e-12, DropoutSpec::default());
        assert_near(&norm(&half)?, &norm(&half.to_kind(Kind::Float))?, 2e-2, "norm");
        assert_near(&gelu(&half, false)?, &gelu(&half.to_kind(Kind::Float), false)?, 2e-2, "gelu");
        let offsets = Tensor::from_slice(&[0i64, 10, 64]);
        let context = |x: &Tensor| attention(None, x, &offsets, 54, 2, DropoutSpec::default());
        assert_near(&context(&half)?, &context(&half.to_kind(Kind::Float))?, 2e-2, "attention");
        Ok(())
    }
}
