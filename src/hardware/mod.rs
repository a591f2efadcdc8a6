//! Which device, precision and threads a run uses, with the reason for every automatic choice.
//!
//! libtorch's CUDA half is loaded only when a GPU is wanted and its driver is there: it takes a third of a second, and one
//! binary serves machines with and without it.

pub mod allocator;
pub mod memory;

use std::ffi::CStr;
use std::path::Path;

use tch::{Cuda, Device, Kind};

use crate::config::{self, Choices, Precision};
use crate::error::{Error, Result};
use crate::image::Preprocessing;
use crate::model::InputSpec;
use crate::native::gpu::{self, Reliance};

/// What a run computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    pub device: Device,
    /// The kind that activations and matrix products are computed in.
    pub compute: Kind,
    /// Whether the backbone's linear layers compute in 8 bits (with activations in bf16).
    pub int8: bool,
    pub threads: usize,
}

impl Hardware {
    /// Settles what was left open and checks what was asked for.
    ///
    /// # Errors
    /// A device that is not there, or does not compute.
    pub fn choose(
        device: config::Device,
        precision: Precision,
        threads: Option<usize>,
        choices: &mut Choices,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match threads {
            Some(threads) if threads <= cores => threads,
            // More would wait for each other in turns, and many would do nothing else.
            Some(threads) => {
                choices.record("threads", cores, format!("instead of {threads}: there are no more cores"));
                cores
            }
            None => {
                choices.record("threads", cores, "one a core");
                cores
            }
        };
        tch::set_num_threads(threads.min(i32::MAX as usize) as i32);
        // The pool may have been started by the tokenizer already; then it keeps its size.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();

        let device = choose_device(device, choices)?;
        let compute = match (precision, device) {
            (Precision::Fp32, _) => Kind::Float,
            (Precision::Bf16, _) => Kind::BFloat16,
            (Precision::Int8, Device::Cpu) if crate::native::has_int8() => Kind::BFloat16,
            (Precision::Int8, _) => {
                return Err(Error::request("int8 needs a CPU with AVX-512 VNNI and bf16 instructions")
                    .key("precision")
                    .hint("--precision auto takes the fastest that this device has"));
            }
            (Precision::Auto, Device::Cpu) if cpu_is_fast_at_bf16() => {
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
        };
        if let Device::Cuda(index) = device {
            for Reliance { part, on, reason } in gpu::prepare(index, compute)? {
                choices.record(part, on, reason);
            }
        }
        Ok(Self { device, compute, int8: precision == Precision::Int8, threads })
    }

    /// Tokens or images of an inference batch: enough to keep the cores busy, few enough to stay near the caches.
    pub fn inference_budget(&self, input: &InputSpec) -> usize {
        let on_cpu = self.device == Device::Cpu;
        match input {
            InputSpec::Text { .. } if on_cpu => 2048,
            InputSpec::Text { .. } => 65_536,
            InputSpec::Image(how) => images_of(how, if on_cpu { 16 } else { 256 }),
        }
    }

    /// Tokens or images of one forward and backward pass in training.
    pub fn training_budget(&self, input: &InputSpec) -> usize {
        let on_cpu = self.device == Device::Cpu;
        match input {
            InputSpec::Text { .. } if on_cpu => 8_192,
            InputSpec::Text { .. } => 65_536,
            InputSpec::Image(how) => images_of(how, if on_cpu { 32 } else { 128 }),
        }
    }

    /// Peak memory of the process: resident on the CPU, allocated on the accelerator.
    pub fn peak_memory_bytes(&self) -> u64 {
        match self.device {
            Device::Cuda(index) => crate::native::accelerator_peak_bytes(index).unwrap_or(0),
            _ => crate::hardware::memory::peak_resident_bytes(),
        }
    }
}

/// As many images as have the pixels of `images` of 224 by 224.
fn images_of(how: &Preprocessing, images: usize) -> usize {
    let (height, width) = how.output();
    let pixels = (height as usize * width as usize).max(1);
    (images * 224 * 224 / pixels).clamp(1, 1024)
}

fn choose_device(device: config::Device, choices: &mut Choices) -> Result<Device> {
    match device {
        config::Device::Cpu => Ok(Device::Cpu),
        config::Device::Cuda(index) => {
            load_cuda().map_err(|reason| {
                Error::request(format!("cuda:{index} is not there: {reason}"))
                    .key("device")
                    .hint("--device cpu runs on the processor, --device auto takes a GPU when there is one")
            })?;
            let count = Cuda::device_count().max(0) as usize;
            if index >= count {
                return Err(Error::request(format!(
                    "cuda:{index} is not there: this machine has {count} GPUs, numbered from 0"
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
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "avx512_bf16" || flag == "amx_bf16")
}
