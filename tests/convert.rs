//! `rehead convert`: PyTorch's files become the safetensors that Python would write, and nothing in them is executed.
//!
//! The files in `tests/fixtures/pytorch` are what `torch.save` wrote (`make_pytorch.py`).

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use rehead::model::pytorch;
use support::Scene;
use support::python::python;

/// The system's allocator, which notes the largest piece that the thread has asked for.
struct Noting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch").join(name)).unwrap()
}

fn scene(files: &[&str]) -> Scene {
    let scene = Scene::new();
    for file in files {
        scene.write(file, fixture(file));
    }
    scene
}

#[test]
fn what_torch_saves_becomes_what_safetensors_saves() {
    let files = ["zip.bin", "legacy.bin", "protocol4.pt", "legacy4.pt", "training.pth", "extra.pt"];
    let scene = scene(&files);
    for file in files {
        let said = scene.rehead(&format!("convert {file} --out {file}.safetensors")).ok();
        assert_eq!(said.stdout_text().trim(), format!("{file}.safetensors"));
        assert!(scene.bytes(&format!("{file}.safetensors")) == fixture("expected.safetensors"), "{file}");
        let said = said.says(&["17 tensors", "355 B", "share their values", "`base`, `tied` and `transposed`"]);
        match file {
            "training.pth" => {
                said.says(&["in `model_state_dict`; left out: `epoch` and `optimizer`", "`module.`, which is removed"])
            }
            "extra.pt" => said.says(&["2 entries are not tensors and left out: `epoch` and `note`"]),
            _ => said,
        };
    }
}

#[test]
fn types_that_storages_do_not_know_are_read() {
    let scene = scene(&["typed.pt"]);
    scene.rehead("convert typed.pt --out new").ok().says(&["2 tensors (F8_E4M3, U16)", "config.json"]);
    let bytes = scene.bytes("new/model.safetensors");
    let header = String::from_utf8_lossy(&bytes).into_owned();
    assert!(header.contains(r#""u":{"dtype":"U16","shape":[2],"data_offsets":[0,4]}"#), "{header}");
    assert!(bytes.ends_with(&[1, 0, 2, 0, 0x38, 0x38, 0x38]));
}

#[test]
fn nothing_is_executed_and_what_is_no_tensor_is_refused_by_name() {
    let refusals: [(&str, &[&str]); 9] = [
        ("malicious.bin", &["`posix.system`", "nothing was executed", "model.state_dict()"]),
        ("malicious_legacy.bin", &["`posix.system`"]),
        ("module.pt", &["`torch.nn.modules.linear.Linear`", "state_dict"]),
        ("complex.pt", &["`torch.ComplexFloatStorage`", "complex numbers"]),
        ("expanded.pt", &["`wide`", "[1000, 1000]", "more values than its storage has"]),
        ("tensor.pt", &["a single tensor"]),
        ("list.pt", &["not a file that torch.save wrote"]),
        ("tf_model.h5", &["TensorFlow", "pytorch_model.bin"]),
        ("flax_model.msgpack", &["Flax", "save_pretrained"]),
    ];
    let scene = scene(&refusals.map(|(file, _)| file)[..7]);
    scene.write("tf_model.h5", "\u{89}HDF");
    scene.write("flax_model.msgpack", "x");
    let before = scene.everything();
    for (file, parts) in refusals {
        scene.rehead(&format!("convert {file}")).refused().says(&[file]).says(parts);
    }
    assert_eq!(scene.everything(), before);
    scene.rehead("convert .").refused().says(&["several files may be the weights", "`complex.pt`", "name one"]);
    scene.rehead("convert nowhere").refused().says(&["nowhere", "no such file"]);
}

#[test]
fn a_file_that_is_there_is_replaced_only_on_request() {
    let scene = scene(&["zip.bin"]);
    scene.write("model.safetensors", "mine");
    scene.rehead("convert zip.bin").refused().says(&["model.safetensors", "there already", "--overwrite"]);
    assert_eq!(scene.text("model.safetensors"), "mine");
    scene.rehead("convert . --overwrite --quiet").ok();
    assert!(scene.bytes("model.safetensors") == fixture("expected.safetensors"));
}

#[test]
fn damage_is_told() {
    let scene = Scene::new();
    let whole = fixture("zip.bin");
    scene.write("cut.bin", &whole[..whole.len() / 2]);
    scene.rehead("convert cut.bin").refused().says(&["cut short", "download it again"]);
    let legacy = fixture("legacy.bin");
    scene.write("cut.bin", &legacy[..legacy.len() - 3]);
    scene.rehead("convert cut.bin").refused().says(&["cut short"]);
    // One value of a tensor: only the checksum tells.
    let mut changed = whole.clone();
    let values = &fixture("expected.safetensors");
    let place = values.len() - 150;
    let at = changed.windows(8).position(|bytes| values[..place].windows(8).next_back() == Some(bytes));
    changed[at.expect("its values stand in the file")] ^= 1;
    scene.write("changed.bin", &changed);
    scene.rehead("convert changed.bin").ok().says(&["checksum", "`data/"]);
    let big: Vec<u8> = whole.clone();
    let order = big.windows(6).position(|bytes| bytes == b"little").unwrap();
    let mut big = big;
    big[order..order + 6].copy_from_slice(b"big   ");
    scene.write("big.bin", big);
    scene.rehead("convert big.bin").refused().says(&["big-endian"]);
}

/// No file makes it panic, and none makes it ask for much more memory than the file has bytes.
#[test]
fn mutated_files_are_refused_or_read() {
    let (mut refused, mut read) = (0, 0);
    let mut state = 7u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for file in ["zip.bin", "legacy.bin", "protocol4.pt", "training.pth", "typed.pt"] {
        let whole = fixture(file);
        for _ in 0..1500 {
            let mut bytes = whole.clone();
            for _ in 0..=below(4) {
                let at = below(bytes.len());
                match below(5) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes[at] = [0, 0xff, b'.', b'(', 0x7f][below(5)],
                    2 => bytes[at] ^= 1 << below(8),
                    3 => bytes.insert(at, below(256) as u8),
                    _ => {
                        let from = below(bytes.len());
                        let piece = bytes[from..(from + 8).min(bytes.len())].to_vec();
                        let end = (at + piece.len()).min(bytes.len());
                        bytes.splice(at..end, piece);
                    }
                }
            }
            LARGEST.set(0);
            match pytorch::read(&bytes) {
                Ok(weights) => {
                    read += 1;
                    for tensor in weights.tensors.values() {
                        assert!(tensor.bytes.end <= bytes.len(), "{file}");
                        assert!(tensor.elements() * tensor.width() <= bytes.len(), "{file}");
                    }
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.exit_status(), 2, "{error}");
                    assert!(error.hint_text().is_some(), "{error}");
                }
            }
            assert!(LARGEST.get() < 1 << 18, "{file}: {} bytes at once", LARGEST.get());
        }
    }
    assert!(refused > 1000 && read > 100, "{refused} refused, {read} read");
}

#[test]
fn a_converted_directory_trains_as_the_original() {
    let scene = Scene::with_models(&["bare"]);
    let folders = [scene.path("bare"), scene.path("")];
    if python("torch", "make_pytorch_models.py", folders).is_none() {
        return;
    }
    scene.write("train.csv", support::csv(&support::sentiment(24, 1)));
    let train = "--train train.csv --epochs 1 --threads 1 --seed 1 --quiet";
    scene.rehead("train --model zip --train train.csv --out run").refused().says(&["rehead convert zip"]);
    let original = support::tensors(&scene.bytes("bare/model.safetensors"));
    for kind in ["zip", "legacy", "sharded"] {
        scene.rehead(&format!("convert {kind} --quiet")).ok();
        assert!(support::tensors(&scene.bytes(&format!("{kind}/model.safetensors"))) == original, "{kind}");
    }
    for model in ["bare", "sharded"] {
        scene.rehead(&format!("train --model {model} --out run-{model} {train}")).ok();
    }
    assert!(scene.bytes("run-bare/model.safetensors") == scene.bytes("run-sharded/model.safetensors"));

    scene.remove("sharded/model.safetensors");
    scene.remove("sharded/pytorch_model-00002-of-00002.bin");
    scene.rehead("convert sharded").refused().says(&["pytorch_model-00002-of-00002.bin"]);
    scene.copy("sharded/pytorch_model-00001-of-00002.bin", "sharded/pytorch_model-00002-of-00002.bin");
    scene.rehead("convert sharded").refused().says(&["there twice"]);
    scene.edit_json("sharded/pytorch_model.bin.index.json", |index| index["weight_map"]["a"] = "../x.bin".into());
    scene.rehead("convert sharded").refused().says(&["`a`", "../x.bin", "beside it"]);
}
