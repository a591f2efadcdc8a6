//! Which device, precision and threads a run uses, with the reason for every automatic choice.
//!
//! libtorch's CUDA half is loaded only when a GPU is wanted and its driver is there: it takes a third of a second, and
//! one binary serves machines with and without it.

pub mod allocator;
pub mod memory;

use std::ffi::CStr;
use std::path::Path;

use tch::{Cuda, Device, Kind};

use crate::config::{self, Choices, Precision};
use crate::error::{Error, Result};
use crate::native::gpu::{self, BackendChoice};

/// What a run computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// The CPU, or one GPU; a run never uses several.
    pub device: Device,
    /// The kind that activations and matrix products are computed in.
    pub compute: Kind,
    /// Whether the backbone's linear layers compute in 8 bits (with activations in bf16).
    pub int8: bool,
    /// Threads of libtorch and of rayon alike, at most one per core.
    pub threads: usize,
}

impl Hardware {
    /// Chooses what the settings left open, with a reason for each choice, and checks what they ask for. The numbers of
    /// threads are set for the whole process.
    ///
    /// # Errors
    /// The device is not there or does not compute, or has no instructions for the precision.
    pub fn choose(
        device: config::Device,
        precision: Precision,
        threads: Option<usize>,
        choices: &mut Choices,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = choose_threads(threads, cores, choices);
        tch::set_num_threads(threads.min(i32::MAX as usize) as i32);
        // The pool may have been started by the tokenizer already; then it keeps its size.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();

        let device = choose_device(device, choices)?;
        let cpu = CpuAbilities { bf16: cpu_is_fast_at_bf16(), int8: crate::native::has_int8() };
        let compute = choose_compute(precision, device, cpu, choices)?;
        if let Device::Cuda(index) = device {
            for BackendChoice { part, backend, reason } in gpu::prepare(index, compute)? {
                choices.record(part, backend, reason);
            }
        }
        Ok(Self { device, compute, int8: precision == Precision::Int8, threads })
    }

    /// Peak memory of the process: resident on the CPU, allocated on the accelerator.
    pub fn peak_memory_bytes(&self) -> u64 {
        match self.device {
            Device::Cuda(index) => crate::native::accelerator_peak_bytes(index).unwrap_or(0),
            _ => memory::peak_resident_bytes(),
        }
    }
}

/// As many threads as asked for, at most one per core.
fn choose_threads(asked: Option<usize>, cores: usize, choices: &mut Choices) -> usize {
    match asked {
        Some(threads) if threads <= cores => threads,
        // More threads than cores would only wait for each other.
        Some(threads) => {
            choices.record("threads", cores, format!("instead of {threads}: there are no more cores"));
            cores
        }
        None => {
            choices.record("threads", cores, "one per core");
            cores
        }
    }
}

/// What this CPU computes fast.
#[derive(Debug, Clone, Copy)]
struct CpuAbilities {
    bf16: bool,
    int8: bool,
}

/// The kind that activations and matrix products are computed in.
fn choose_compute(precision: Precision, device: Device, cpu: CpuAbilities, choices: &mut Choices) -> Result<Kind> {
    Ok(match (precision, device) {
        (Precision::Fp32, _) => Kind::Float,
        (Precision::Bf16, _) => Kind::BFloat16,
        (Precision::Int8, Device::Cpu) if cpu.int8 => Kind::BFloat16,
        (Precision::Int8, _) => {
            return Err(Error::request("int8 needs a CPU with AVX-512 VNNI and bf16 instructions")
                .key("precision")
                .hint("--precision auto uses the fastest that this device has"));
        }
        (Precision::Auto, Device::Cpu) if cpu.bf16 => {
            choices.record("precision", "bf16", "this CPU multiplies bf16 matrices fast; weights are kept in fp32");
            Kind::BFloat16
        }
        (Precision::Auto, Device::Cpu) => {
            choices.record("precision", "fp32", "this CPU has no fast bf16");
            Kind::Float
        }
        (Precision::Auto, _) => {
            choices.record("precision", "bf16", "GPUs multiply bf16 matrices fast; weights are kept in fp32");
            Kind::BFloat16
        }
    })
}

fn choose_device(device: config::Device, choices: &mut Choices) -> Result<Device> {
    match device {
        config::Device::Cpu => Ok(Device::Cpu),
        config::Device::Cuda(index) => {
            load_cuda().map_err(|reason| {
                Error::request(format!("cuda:{index} is not available: {reason}"))
                    .key("device")
                    .hint("--device cpu runs on the processor, --device auto uses a GPU when there is one")
            })?;
            let count = Cuda::device_count().max(0) as usize;
            if index >= count {
                let gpus = if count == 1 { "GPU" } else { "GPUs" };
                return Err(Error::request(format!(
                    "cuda:{index} is not available: this machine has {count} {gpus}, numbered from 0"
                ))
                .key("device"));
            }
            Ok(Device::Cuda(index))
        }
        config::Device::Auto => match load_cuda() {
            Ok(()) => {
                choices.record("device", "cuda:0", "an NVIDIA GPU is there");
                Ok(Device::Cuda(0))
            }
            Err(reason) => {
                choices.record("device", "cpu", reason);
                Ok(Device::Cpu)
            }
        },
    }
}

/// Makes CUDA available in libtorch, or says why it cannot be.
fn load_cuda() -> std::result::Result<(), String> {
    if !Path::new("/proc/driver/nvidia/version").exists() && !Path::new("/dev/nvidiactl").exists() {
        return Err("there is no NVIDIA driver on this machine".to_owned());
    }
    // SAFETY: libtorch's own library, looked up beside the ones that are loaded already; its constructors only register
    // operators.
    let handle = unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        // SAFETY: dlerror returns a string or null.
        let reason = unsafe {
            let text = libc::dlerror();
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        };
        return Err(format!("libtorch was installed without its CUDA half ({reason})"));
    }
    if Cuda::is_available() { Ok(()) } else { Err("the NVIDIA driver reports no usable GPU".to_owned()) }
}

/// Whether the CPU has instructions for bf16 matrix products.
fn cpu_is_fast_at_bf16() -> bool {
    has_bf16_products(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

/// The same, from the text of `/proc/cpuinfo`.
fn has_bf16_products(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "avx512_bf16" || flag == "amx_bf16")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The choices that were recorded, as the console shows them.
    fn recorded(choose: impl FnOnce(&mut Choices)) -> String {
        let mut choices = Choices::default();
        choose(&mut choices);
        serde_json::to_string(&choices).expect("choices are JSON")
    }

    #[test]
    fn threads_are_at_most_one_per_core_and_a_change_has_its_reason() {
        for (asked, expected, reason) in [
            (Some(3), 3, ""),
            (Some(4), 4, ""),
            (Some(64), 4, "instead of 64: there are no more cores"),
            (None, 4, "one per core"),
        ] {
            let mut threads = 0;
            let choices = recorded(|choices| threads = choose_threads(asked, 4, choices));
            assert_eq!(threads, expected, "{asked:?}");
            assert!(choices.contains(reason) && choices.contains("threads") != reason.is_empty(), "{choices}");
        }
    }

    #[test]
    fn the_precision_follows_the_device_unless_it_was_asked_for() {
        let (slow, fast) = (CpuAbilities { bf16: false, int8: false }, CpuAbilities { bf16: true, int8: true });
        let gpu = Device::Cuda(0);
        for (precision, device, cpu, expected, reason) in [
            (Precision::Fp32, Device::Cpu, fast, Kind::Float, ""),
            (Precision::Bf16, Device::Cpu, slow, Kind::BFloat16, ""),
            (Precision::Int8, Device::Cpu, fast, Kind::BFloat16, ""),
            (Precision::Auto, Device::Cpu, fast, Kind::BFloat16, "this CPU multiplies bf16 matrices fast"),
            (Precision::Auto, Device::Cpu, slow, Kind::Float, "this CPU has no fast bf16"),
            (Precision::Auto, gpu, slow, Kind::BFloat16, "GPUs multiply bf16 matrices fast"),
        ] {
            let mut compute = None;
            let choices = recorded(|choices| compute = choose_compute(precision, device, cpu, choices).ok());
            assert_eq!(compute, Some(expected), "{precision:?} on {device:?}");
            assert!(choices.contains(reason) && choices.contains("precision") != reason.is_empty(), "{choices}");
        }
    }

    #[test]
    fn int8_is_refused_where_it_cannot_be_computed() {
        let cpu = CpuAbilities { bf16: true, int8: false };
        let without = choose_compute(Precision::Int8, Device::Cpu, cpu, &mut Choices::default());
        let cpu = CpuAbilities { bf16: true, int8: true };
        let on_gpu = choose_compute(Precision::Int8, Device::Cuda(0), cpu, &mut Choices::default());
        for error in [without, on_gpu].map(Result::unwrap_err) {
            assert!(error.to_string().contains("int8 needs a CPU"), "{error}");
            assert!(error.hint_text().is_some_and(|hint| hint.contains("--precision auto")));
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_is_refused_with_the_reason() {
        let gpus = if load_cuda().is_ok() { Cuda::device_count().max(0) as usize } else { 0 };
        let error = choose_device(config::Device::Cuda(gpus + 7), &mut Choices::default()).unwrap_err();
        assert!(error.to_string().contains(&format!("cuda:{} is not available: ", gpus + 7)), "{error}");
        let choices = recorded(|choices| {
            let device = choose_device(config::Device::Auto, choices).expect("there is always a device");
            assert_eq!(device == Device::Cpu, gpus == 0);
        });
        assert!(choices.contains("device"), "{choices}");
    }

    #[test]
    fn bf16_products_are_found_among_the_flags() {
        assert!(has_bf16_products("processor : 0\nflags\t: fpu sse avx512_bf16 vnni\n"));
        assert!(has_bf16_products("flags : amx_bf16\n"));
        assert!(!has_bf16_products("model name : avx512_bf16\nflags : fpu avx512_bf16x\n"));
        assert!(!has_bf16_products(""));
    }
}
