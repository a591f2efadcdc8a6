//! `rehead fetch`: the promises about models from the hub, kept by the real binary against a hub on this machine.

#[path = "support/ci.rs"]
mod ci;
#[path = "support/hub_server.rs"]
mod hub_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hub_server::{Access, Hub, Request, TOKEN, What, etag};
use tempfile::TempDir;

const ID: &str = "org/tiny-model";
const CONFIG: &[u8] = br#"{"model_type": "bert", "hidden_size": 8}"#;

/// A file of safetensors with one tensor, of bytes without a pattern.
fn weights(length: usize, seed: u32) -> Vec<u8> {
    let header = |bytes: usize| format!(r#"{{"w":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    let begin = format!("{:<96}", header(length - 104));
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let values = (104..length).map(|_| next());
    96u64.to_le_bytes().into_iter().chain(begin.into_bytes()).chain(values).collect()
}

/// A hub with one model and an empty cache.
struct Scene {
    hub: Hub,
    home: TempDir,
    commit: String,
    weights: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let (hub, weights) = (Hub::start(), weights(700_000, 1));
        let commit = hub.commit(
            ID,
            &[
                ("config.json", CONFIG),
                ("model.safetensors", &weights),
                ("pytorch_model.bin", b"pickle"),
                ("model.fp16.safetensors", b"other weights"),
                ("onnx/model.onnx", b"other weights"),
                ("tokenizer.json", b"{}"),
                ("vocab.txt", b"[PAD]\n"),
                ("1_Pooling/config.json", b"{\"word_embedding_dimension\": 8}"),
                ("README.md", b"# Tiny"),
            ],
        );
        Self { hub, home: tempfile::tempdir().unwrap(), commit, weights }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rehead"));
        command.arg("fetch").args(arguments).current_dir(self.home.path());
        self.set_environment(&mut command);
        command
    }

    /// Nothing of the machine's own settings reaches the child.
    fn set_environment(&self, command: &mut Command) {
        for name in [
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HUGGING_FACE_HUB_TOKEN",
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
            "HTTP_PROXY",
            "http_proxy",
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        ] {
            command.env_remove(name);
        }
        command.env("HF_ENDPOINT", self.hub.endpoint()).env("HF_HOME", self.home.path());
    }

    fn fetch(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join("hub/models--org--tiny-model")
    }

    fn snapshot(&self) -> PathBuf {
        self.cache().join("snapshots").join(&self.commit)
    }

    fn blob(&self) -> PathBuf {
        self.cache().join("blobs").join(etag("model.safetensors", &self.weights))
    }
}

/// Standard output without its last line end, after a success.
#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().strip_suffix('\n').unwrap().to_owned()
}

/// Standard error after a failure with this status, in which nothing reached standard output.
#[track_caller]
fn complaint(output: &Output, status: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{errors}");
    assert!(output.stdout.is_empty());
    errors
}

#[track_caller]
fn assert_mentions(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
}

fn content_requests(requests: &[Request], file: &str) -> usize {
    requests.iter().filter(|request| request.storage && request.method == "GET" && request.file == file).count()
}

#[test]
fn a_model_is_fetched_once_into_the_standard_layout() {
    let scene = Scene::new();
    assert_eq!(printed(&scene.fetch(&[ID])), scene.snapshot().to_str().unwrap());

    let read = |file: &str| fs::read(scene.snapshot().join(file)).unwrap();
    assert_eq!(read("config.json"), CONFIG);
    assert_eq!(read("model.safetensors"), scene.weights);
    assert_eq!(read("1_Pooling/config.json"), b"{\"word_embedding_dimension\": 8}");
    for unwanted in ["pytorch_model.bin", "model.fp16.safetensors", "onnx"] {
        assert!(!scene.snapshot().join(unwanted).exists(), "{unwanted}");
    }
    assert_eq!(fs::read_to_string(scene.cache().join("refs/main")).unwrap(), scene.commit);
    assert_eq!(fs::read(scene.blob()).unwrap(), scene.weights);
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(scene.snapshot().join("model.safetensors")).unwrap(),
        Path::new("../../blobs").join(etag("model.safetensors", &scene.weights))
    );

    scene.hub.take_requests();
    printed(&scene.fetch(&[ID]));
    let again = scene.hub.take_requests();
    assert_eq!(again.len(), 1, "one question, no download: {again:?}");
}

#[test]
fn quiet_says_nothing_but_the_path() {
    let scene = Scene::new();
    let output = scene.fetch(&[ID, "--quiet"]);
    printed(&output);
    assert!(output.stderr.is_empty());
    let loud = Scene::new();
    let lines = String::from_utf8(loud.fetch(&[ID]).stderr).unwrap();
    assert_eq!(lines.lines().count(), 6, "one line per file:\n{lines}");
    assert_mentions(&lines, &["model.safetensors: 683.6 KiB in", "/s)"]);
}

#[test]
fn the_cache_suffices_without_a_network() {
    let mut scene = Scene::new();
    printed(&scene.fetch(&[ID]));
    scene.hub.take_requests();

    let offline = scene.command(&[ID]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_eq!(printed(&offline), scene.snapshot().to_str().unwrap());
    assert!(scene.hub.take_requests().is_empty(), "offline means that no connection is opened");

    let away = scene.command(&[ID]).env("HF_ENDPOINT", "http://127.0.0.1:9").output().unwrap();
    assert_eq!(printed(&away), scene.snapshot().to_str().unwrap());
    assert_mentions(&String::from_utf8_lossy(&away.stderr), &["in the cache", "cannot be reached"]);

    scene.hub.misbehave("/api/models/", 9, What::Status(503));
    printed(&scene.fetch(&[ID]));

    // A copy of the cache elsewhere serves as well.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(scene.home.path().join("hub"), elsewhere.path().join("hub")).unwrap();
    scene.home = elsewhere;
    let moved = scene.command(&[ID]).env("HF_HUB_OFFLINE", "yes").output().unwrap();
    assert_eq!(fs::read(Path::new(&printed(&moved)).join("model.safetensors")).unwrap(), scene.weights);
}

#[test]
fn what_is_not_in_the_cache_cannot_be_had_without_a_network() {
    let scene = Scene::new();
    let offline = scene.command(&[ID]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_mentions(&complaint(&offline, 2), &[ID, "not in the model cache", "HF_HUB_OFFLINE", "rehead fetch"]);
    assert!(scene.hub.take_requests().is_empty());

    let refused = scene.command(&[ID]).env("HF_ENDPOINT", "http://127.0.0.1:9").output().unwrap();
    assert_mentions(&complaint(&refused, 1), &["connection refused", "looked up on the hub", "model directory"]);
    let unknown = scene.command(&[ID]).env("HF_ENDPOINT", "http://no-such-host.invalid").output().unwrap();
    assert_mentions(&complaint(&unknown, 1), &["no-such-host.invalid", "cannot be reached", "model directory"]);

    // In part there: the message says what lacks.
    printed(&scene.fetch(&[ID]));
    fs::remove_file(scene.blob()).unwrap();
    let partial = scene.command(&[ID]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_mentions(&complaint(&partial, 2), &["without its model.safetensors"]);
    assert_eq!(fs::read(Path::new(&printed(&scene.fetch(&[ID]))).join("model.safetensors")).unwrap(), scene.weights);
}

#[test]
fn the_reasons_why_a_model_is_not_to_be_had_are_told_apart() {
    let scene = Scene::new();
    let with_token = |token: &str| scene.command(&[ID]).env("HF_TOKEN", token).output().unwrap();

    let missing = complaint(&scene.fetch(&["org/no-such-model"]), 2);
    assert_mentions(&missing, &["no model `org/no-such-model`", "no directory", "spelling", "HF_TOKEN"]);
    let revision = complaint(&scene.fetch(&["org/tiny-model@v9"]), 2);
    assert_mentions(&revision, &["no revision `v9`"]);
    assert_mentions(&complaint(&with_token("hf_expired"), 2), &["refuses the access token in HF_TOKEN"]);

    scene.hub.restrict(ID, Access::Gated);
    let gated = complaint(&scene.fetch(&[ID]), 2);
    assert_mentions(&gated, &["gated", "accept", &format!("{}/{ID}", scene.hub.endpoint()), "HF_TOKEN"]);
    scene.hub.restrict(ID, Access::Private);
    assert_mentions(&complaint(&scene.fetch(&[ID]), 2), &["no model `org/tiny-model`", "private", "HF_TOKEN"]);

    // With the token it is to be had, and the storage never sees the token.
    scene.hub.take_requests();
    printed(&with_token(TOKEN));
    let requests = scene.hub.take_requests();
    assert!(requests.iter().filter(|request| !request.storage).all(|request| request.authorization.is_some()));
    assert_eq!(content_requests(&requests, "model.safetensors"), 1);
    assert!(requests.iter().filter(|request| request.storage).all(|request| request.authorization.is_none()));
}

#[test]
fn a_proxy_is_passed_by_where_no_proxy_says_so() {
    let scene = Scene::new();
    let fetch = |no_proxy: &str| {
        let mut command = scene.command(&[ID]);
        // Nobody answers there.
        command.env("ALL_PROXY", "http://127.0.0.1:9").env("NO_PROXY", no_proxy);
        command.output().unwrap()
    };
    complaint(&fetch("elsewhere.example"), 1);
    // The hub without it, the storage that it sends to with it.
    let halfway = complaint(&fetch("127.0.0.1"), 1);
    assert_mentions(&halfway, &["config.json", "cannot be reached"]);
    printed(&fetch("elsewhere.example, 127.0.0.1, localhost"));
}

#[test]
fn a_login_counts_as_a_token() {
    let scene = Scene::new();
    scene.hub.restrict(ID, Access::Private);
    fs::write(scene.home.path().join("token"), format!("{TOKEN}\n")).unwrap();
    printed(&scene.fetch(&[ID]));
}

#[test]
fn pickles_are_refused_with_the_command_that_converts_them() {
    let scene = Scene::new();
    scene.hub.commit("org/old", &[("config.json", CONFIG), ("pytorch_model.bin", b"pickle"), ("vocab.txt", b"[PAD]")]);
    let refusal = complaint(&scene.fetch(&["org/old"]), 2);
    assert_mentions(
        &refusal,
        &["pytorch_model.bin", "run code", "rehead convert \"$(rehead fetch org/old --pytorch)\""],
    );
    let requests = scene.hub.take_requests();
    let fetched = |file: &str| content_requests(&requests, file);
    assert_eq!((fetched("pytorch_model.bin"), fetched("vocab.txt")), (0, 0), "its config.json alone is fetched");
}

/// Whole or in parts; what is converted in the cache is then the model.
#[test]
fn pickles_are_fetched_on_demand_and_converted_in_the_cache() {
    let scene = Scene::new();
    let pickle = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch/zip.bin")).unwrap();
    let index = br#"{"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}"#;
    let config = ("config.json", CONFIG);
    scene.hub.commit("org/old", &[config, ("pytorch_model.bin", &pickle), ("tf_model.h5", b"x"), ("vocab.txt", b"a")]);
    scene.hub.commit(
        "org/parts",
        &[
            config,
            ("pytorch_model.bin.index.json", index),
            ("pytorch_model-1.bin", b"1"),
            ("pytorch_model-2.bin", b"2"),
        ],
    );
    let output = scene.fetch(&["org/old", "--pytorch"]);
    let directory = PathBuf::from(printed(&output).trim());
    assert_mentions(&String::from_utf8_lossy(&output.stderr), &["`rehead convert ", "makes safetensors of them"]);
    assert_eq!(fs::read(directory.join("pytorch_model.bin")).unwrap(), pickle);
    assert!(directory.join("vocab.txt").exists() && !directory.join("tf_model.h5").exists());
    let parts = PathBuf::from(printed(&scene.fetch(&["org/parts", "--pytorch"])).trim());
    assert_eq!(fs::read(parts.join("pytorch_model-2.bin")).unwrap(), b"2");

    let converted = Command::new(env!("CARGO_BIN_EXE_rehead")).arg("convert").arg(&directory).output().unwrap();
    assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    assert_eq!(printed(&scene.fetch(&["org/old"])).trim(), directory.display().to_string());
    // Where there are safetensors, the option changes nothing.
    let usual = scene.fetch(&[ID, "--pytorch"]);
    let usual = PathBuf::from(printed(&usual).trim());
    assert!(usual.join("model.safetensors").exists() && !usual.join("pytorch_model.bin").exists());
}

/// The hub's bot converts on request; what it has made is as good as what the authors publish. Of anyone else, or of
/// another commit, it is not.
#[test]
fn the_hubs_own_conversion_serves_where_there_are_only_pickles() {
    let scene = Scene::new();
    const TITLE: &str = "Adding `safetensors` variant of this model";
    let old: [(&str, &[u8]); 2] = [("config.json", CONFIG), ("pytorch_model.bin", b"pickle")];
    let converted: [(&str, &[u8]); 3] = [old[0], old[1], ("model.safetensors", &scene.weights)];
    scene.hub.commit("org/old", &old);
    scene.hub.open_pull_request("org/old", 1, "somebody", TITLE, &converted);
    complaint(&scene.fetch(&["org/old"]), 2);

    let commit = scene.hub.open_pull_request("org/old", 2, "SFconvertbot", TITLE, &converted);
    let output = scene.fetch(&["org/old"]);
    assert!(printed(&output).ends_with(&commit));
    assert_mentions(&String::from_utf8_lossy(&output.stderr), &["only PyTorch files", "refs/pr/2"]);
    let folder = scene.home.path().join("hub/models--org--old");
    assert_eq!(fs::read_to_string(folder.join("refs/refs/pr/2")).unwrap(), commit);

    // Found again: without the network, with it at no cost, and under its own name.
    let offline = |id: &str| printed(&scene.command(&[id]).env("HF_HUB_OFFLINE", "1").output().unwrap());
    assert!(offline("org/old").ends_with(&commit));
    assert!(offline("org/old@refs/pr/2").ends_with(&commit));
    scene.hub.take_requests();
    printed(&scene.fetch(&["org/old"]));
    assert_eq!(scene.hub.take_requests().len(), 1);

    // The authors have changed their model since: what was converted is another.
    scene.hub.commit("org/old", &[("config.json", CONFIG), ("pytorch_model.bin", b"better pickle")]);
    assert_mentions(&complaint(&scene.fetch(&["org/old"]), 2), &["pytorch_model.bin"]);
}

#[test]
fn a_disk_without_room_is_told_before_the_download() {
    let scene = Scene::new();
    scene.hub.claim("model.safetensors", 1 << 60);
    let said = complaint(&scene.fetch(&[ID]), 1);
    assert_mentions(&said, &["needs 1.0 EiB", "free", "HF_HOME"]);
    assert_eq!(content_requests(&scene.hub.take_requests(), "model.safetensors"), 0);
}

#[test]
fn a_busy_hub_is_asked_again() {
    let scene = Scene::new();
    scene.hub.misbehave("/api/models/", 1, What::Status(429));
    printed(&scene.fetch(&[ID]));
}

/// Of small files the hub states git's hash.
#[test]
fn small_files_are_verified_too() {
    let scene = Scene::new();
    scene.hub.misbehave("tokenizer.json", 1, What::Corrupt);
    printed(&scene.fetch(&[ID]));
    assert_eq!(fs::read(scene.snapshot().join("tokenizer.json")).unwrap(), b"{}");
}

#[test]
fn a_family_that_is_not_there_is_told_before_anything_else_is_fetched() {
    let scene = Scene::new();
    let config = br#"{"model_type": "t5"}"#;
    scene.hub.commit("org/other", &[("config.json", config), ("model.safetensors", b"w"), ("vocab.txt", b"[PAD]\n")]);
    let said = complaint(&scene.fetch(&["org/other"]), 2);
    assert_mentions(&said, &["config.json", "`t5`", "supported for texts: `bert`", "for images: `vit`"]);
    let requests = scene.hub.take_requests();
    assert_eq!(content_requests(&requests, "model.safetensors") + content_requests(&requests, "vocab.txt"), 0);
    // A family that is not there comes before what its weights are.
    scene.hub.commit("org/pickled", &[("config.json", config), ("pytorch_model.bin", b"pickle")]);
    assert_mentions(&complaint(&scene.fetch(&["org/pickled"]), 2), &["`t5`"]);
}

#[test]
fn a_download_that_breaks_off_is_continued() {
    let scene = Scene::new();
    scene.hub.misbehave("model.safetensors", 2, What::Cut(300_000));
    printed(&scene.fetch(&[ID]));
    assert_eq!(fs::read(scene.blob()).unwrap(), scene.weights);
    let requests = scene.hub.take_requests();
    let ranges: Vec<_> = requests.iter().filter(|r| r.storage && r.method == "GET").map(|r| r.range.clone()).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-".to_owned()), Some("bytes=600000-".to_owned())]);
}

#[test]
fn what_is_given_up_never_looks_complete_and_is_continued_the_next_time() {
    let scene = Scene::new();
    scene.hub.misbehave("model.safetensors", 1, What::Cut(500_000));
    scene.hub.misbehave("model.safetensors", 99, What::Cut(0));
    let error = complaint(&scene.fetch(&[ID]), 1);
    assert_mentions(&error, &["broke off after 500000 of 700000 bytes"]);
    assert!(!scene.blob().exists());
    assert!(!scene.snapshot().join("model.safetensors").exists());
    assert!(!scene.cache().join("refs/main").exists());

    scene.hub.behave();
    scene.hub.take_requests();
    printed(&scene.fetch(&[ID]));
    assert_eq!(fs::read(scene.blob()).unwrap(), scene.weights);
    let requests = scene.hub.take_requests();
    assert!(requests.iter().any(|request| request.range.as_deref() == Some("bytes=500000-")), "{requests:?}");
}

#[test]
fn a_server_that_knows_no_ranges_gets_its_way() {
    let scene = Scene::new();
    scene.hub.misbehave("model.safetensors", 1, What::Cut(300_000));
    scene.hub.misbehave("model.safetensors", 1, What::IgnoreRange);
    printed(&scene.fetch(&[ID]));
    assert_eq!(fs::read(scene.blob()).unwrap(), scene.weights);
}

#[test]
fn wrong_content_is_noticed_and_fetched_again() {
    let scene = Scene::new();
    scene.hub.misbehave("model.safetensors", 1, What::Corrupt);
    printed(&scene.fetch(&[ID]));
    assert_eq!(fs::read(scene.blob()).unwrap(), scene.weights);

    let hopeless = Scene::new();
    hopeless.hub.misbehave("model.safetensors", 99, What::Corrupt);
    assert_mentions(&complaint(&hopeless.fetch(&[ID]), 1), &["checksum of `model.safetensors`"]);
    assert!(!hopeless.blob().exists());
}

#[test]
fn a_connection_that_stands_still_is_given_up_and_continued() {
    let scene = Scene::new();
    scene.hub.misbehave("model.safetensors", 1, What::Stall(300_000));
    let output = scene.command(&[ID]).env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output().unwrap();
    printed(&output);
    assert_eq!(fs::read(scene.blob()).unwrap(), scene.weights);
}

#[test]
fn trouble_at_the_hub_is_waited_out_for_a_while() {
    let scene = Scene::new();
    scene.hub.misbehave("/api/models/", 1, What::Status(503));
    scene.hub.misbehave("/resolve/", 1, What::Status(500));
    printed(&scene.fetch(&[ID]));

    scene.hub.misbehave("/api/models/", 99, What::Status(503));
    let error = complaint(&scene.fetch(&["org/tiny-model@other"]), 1);
    assert_mentions(&error, &["has a problem (503)", "later"]);
}

#[test]
fn several_at_once_download_it_once() {
    let scene = Scene::new();
    // Long enough that all of them want it at the same time.
    scene.hub.misbehave("model.safetensors", 1, What::Stall(100_000));
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = scene.command(&[ID, "--quiet"]);
            command.env("HF_HUB_DOWNLOAD_TIMEOUT", "2").stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        assert_eq!(printed(&child.wait_with_output().unwrap()), scene.snapshot().to_str().unwrap());
    }
    assert_eq!(fs::read(scene.blob()).unwrap(), scene.weights);
    let requests = scene.hub.take_requests();
    assert_eq!(content_requests(&requests, "model.safetensors"), 2, "one that stalls, one that continues it");
    let left: Vec<_> = fs::read_dir(scene.cache().join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().is_none()), "{left:?}");
}

#[test]
fn a_checkpoint_in_parts_comes_with_all_of_them() {
    let scene = Scene::new();
    let (first, second) = (weights(5_000, 2), weights(6_000, 3));
    let index = br#"{"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let files: [(&str, &[u8]); 4] = [
        ("config.json", CONFIG),
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", &first),
        ("model-2.safetensors", &second),
    ];
    scene.hub.commit("large", &files);
    let snapshot = PathBuf::from(printed(&scene.fetch(&["large"])));
    assert_eq!(fs::read(snapshot.join("model-2.safetensors")).unwrap(), second);

    let outside = br#"{"weight_map": {"a": "../../../escape.safetensors"}}"#;
    scene.hub.commit("bad", &[("config.json", CONFIG), ("model.safetensors.index.json", outside)]);
    assert_mentions(&complaint(&scene.fetch(&["bad"]), 2), &["escape.safetensors"]);
}

#[test]
fn a_network_for_images_is_fetched_and_used_by_its_name() {
    let scene = Scene::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/models/small-resnet");
    let [config, network] = ["config.json", "model.safetensors"].map(|name| fs::read(folder.join(name)).unwrap());
    scene.hub.commit("timm/small-resnet", &[("config.json", &config), ("model.safetensors", &network)]);
    let images = scene.home.path().join("images");
    fs::create_dir(&images).unwrap();
    image::RgbImage::from_fn(32, 32, |x, y| image::Rgb([x as u8, y as u8, 90])).save(images.join("one.png")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehead"));
    command.args(["label", "--model", "timm/small-resnet", "--output", "-", "--quiet", "--input"]).arg(&images);
    scene.set_environment(&mut command);
    let labelled = printed(&command.output().unwrap());
    let (header, row) = labelled.split_once('\n').unwrap();
    assert_eq!(header, "file,predicted_label,confidence");
    let label = row.split(',').nth(1).unwrap();
    assert!(["airplane", "automobile", "bird", "frog", "ship", "truck"].contains(&label), "{row}");
}

#[test]
fn an_architectures_name_means_its_trained_network() {
    let scene = Scene::new();
    let id = "timm/resnet50.tv_in1k";
    scene.hub.commit(id, &[("config.json", CONFIG), ("model.safetensors", &scene.weights)]);
    let output = scene.fetch(&["resnet50"]);
    assert!(printed(&output).contains("models--timm--resnet50.tv_in1k"));
    assert_mentions(&String::from_utf8_lossy(&output.stderr), &["`resnet50` is timm/resnet50.tv_in1k"]);
    assert_mentions(&complaint(&scene.fetch(&["vgg16_bn"]), 2), &["timm/vgg16_bn.tv_in1k"]);
    fs::create_dir(scene.home.path().join("resnet50")).unwrap();
    assert_eq!(printed(&scene.fetch(&["resnet50"])), "resnet50");
}

#[test]
fn a_newer_version_costs_only_what_has_changed() {
    let mut scene = Scene::new();
    printed(&scene.fetch(&[ID]));
    let first = scene.snapshot();
    let newer =
        scene.hub.commit(ID, &[("config.json", b"{\"model_type\": \"bert\"}"), ("model.safetensors", &scene.weights)]);
    scene.hub.branch(ID, "v1", &scene.commit);

    // A version that cannot be fetched whole leaves the earlier one in use.
    scene.hub.misbehave("config.json", 99, What::Cut(0));
    let output = scene.fetch(&[ID]);
    assert_eq!(printed(&output), first.to_str().unwrap());
    assert_mentions(&String::from_utf8_lossy(&output.stderr), &["using the copy", "broke off"]);

    scene.hub.behave();
    scene.hub.take_requests();
    scene.commit = newer;
    assert_eq!(printed(&scene.fetch(&[ID])), scene.snapshot().to_str().unwrap());
    assert_eq!(content_requests(&scene.hub.take_requests(), "model.safetensors"), 0);
    assert_eq!(printed(&scene.fetch(&["org/tiny-model@v1"])), first.to_str().unwrap());
    assert_eq!(printed(&scene.fetch(&[ID, "--revision", "v1"])), first.to_str().unwrap());
}

#[test]
fn a_directory_is_itself_and_a_path_is_never_asked_of_the_hub() {
    let scene = Scene::new();
    fs::create_dir_all(scene.home.path().join("org/my-model")).unwrap();
    assert_eq!(printed(&scene.fetch(&["org/my-model"])), "org/my-model");
    assert_mentions(&complaint(&scene.fetch(&["./org/my-modle"]), 2), &["no such directory", "my-model"]);
    assert_mentions(&complaint(&scene.fetch(&["a model"]), 2), &["neither a directory nor a model id"]);
    assert!(scene.hub.take_requests().is_empty());
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let scene = Scene::new();
    fs::write(scene.home.path().join("hub"), "a file, where the cache should be").unwrap();
    assert_mentions(&complaint(&scene.fetch(&[ID]), 2), &["cannot be written", "HF_HOME"]);
}

#[test]
fn what_is_no_hub_is_recognised() {
    let scene = Scene::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>");
        }
    });
    let output = scene.command(&[ID]).env("HF_ENDPOINT", format!("http://{address}")).output().unwrap();
    assert_mentions(&complaint(&output, 1), &["does not answer as a model hub", "HF_ENDPOINT"]);
}

/// What is there and which of it works, without a connection.
#[test]
fn the_models_in_the_cache_are_listed() {
    let scene = Scene::new();
    let models = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rehead"));
        command.arg("models").args(arguments);
        scene.set_environment(&mut command);
        command.output().unwrap()
    };
    let empty = models(&[]);
    assert!(empty.status.success() && empty.stdout.is_empty());
    assert_mentions(&String::from_utf8_lossy(&empty.stderr), &["no model is there yet", "rehead fetch ID"]);
    assert_eq!(printed(&models(&["--json"])).trim(), "[]");

    printed(&scene.fetch(&[ID]));
    scene.hub.branch(ID, "refs/pr/1", &scene.commit);
    printed(&scene.fetch(&["org/tiny-model@refs/pr/1"]));
    let tokenizer = ("tokenizer.json", &b"{}"[..]);
    scene.hub.commit("org/cut", &[("config.json", CONFIG), tokenizer, ("model.safetensors", &weights(9_000, 7))]);
    scene.hub.commit("org/old", &[("config.json", CONFIG), ("pytorch_model.bin", b"pickle")]);
    scene.hub.commit("a/generator", &[("config.json", br#"{"model_type": "gpt2"}"#)]);
    scene.hub.commit("org/spoilt", &[("config.json", CONFIG), tokenizer, ("model.safetensors", b"<html>")]);
    printed(&scene.fetch(&["org/spoilt"]));
    for id in ["org/old", "a/generator"] {
        assert!(!scene.fetch(&[id]).status.success(), "{id}");
    }
    // As a download leaves it that was interrupted.
    printed(&scene.fetch(&["org/cut"]));
    let blobs = scene.home.path().join("hub/models--org--cut/blobs");
    let name = etag("model.safetensors", &weights(9_000, 7));
    fs::rename(blobs.join(&name), blobs.join(format!("{name}.incomplete"))).unwrap();
    // What Python leaves: the weights in its own format.
    let old = scene.home.path().join("hub/models--org--old/snapshots");
    let old = fs::read_dir(old).unwrap().next().unwrap().unwrap().path();
    fs::write(old.join("pytorch_model.bin"), "pickle").unwrap();

    scene.hub.take_requests();
    let table = printed(&models(&[]));
    assert!(scene.hub.take_requests().is_empty(), "nothing is asked of the hub");
    assert!(table.split("\n\n").next().unwrap().lines().all(|line| line.chars().count() <= 80), "{table}");
    let found: serde_json::Value = serde_json::from_str(&printed(&models(&["--json"]))).unwrap();
    let told: Vec<_> = found.as_array().unwrap().iter().map(|model| (model["id"].as_str(), &model["usable"])).collect();
    let [no, yes] = [false, true].map(serde_json::Value::from);
    let expected = [
        (Some("a/generator"), &no),
        (Some("org/cut"), &no),
        (Some("org/old"), &no),
        (Some("org/spoilt"), &no),
        (Some(ID), &yes),
    ];
    assert_eq!(told, expected);
    assert_mentions(&table, &["no: family gpt2", "no: incomplete", "no: PyTorch files only", "yes: bert", "1 of 5"]);
    assert_mentions(&table, &["rehead convert ", "no: damaged weights", "not a valid safetensors file"]);
    let tiny = &found[4];
    assert_eq!(tiny["revisions"], serde_json::json!(["main", "refs/pr/1"]));
    assert!(tiny["bytes"].as_u64() > Some(700_000) && tiny["last_used"].as_str().unwrap().len() == 10, "{tiny}");
}

/// A Python that has `huggingface_hub`: `REHEAD_PYTHON`, or the one on the path.
fn python_with_hub() -> Option<PathBuf> {
    let named = std::env::var_os("REHEAD_PYTHON").map(PathBuf::from);
    let candidates = named.into_iter().chain(["python3", "python"].map(PathBuf::from));
    candidates.into_iter().find(|python| {
        let import = Command::new(python).args(["-c", "import huggingface_hub"]).output();
        import.is_ok_and(|output| output.status.success())
    })
}

#[test]
fn python_finds_what_was_fetched_and_the_other_way_round() {
    let Some(python) = python_with_hub() else {
        ci::skip("no Python with huggingface_hub (REHEAD_PYTHON names one)");
        return;
    };
    let scene = Scene::new();
    let run = |program: &str, offline: bool| -> String {
        let mut command = Command::new(&python);
        command.args(["-c", program]);
        scene.set_environment(&mut command);
        command.env("HF_HUB_OFFLINE", if offline { "1" } else { "0" }).env("HF_HUB_DISABLE_XET", "1");
        printed(&command.output().unwrap())
    };

    printed(&scene.fetch(&[ID]));
    let found = run(
        "from huggingface_hub import hf_hub_download as f, try_to_load_from_cache as t\n\
         i = 'org/tiny-model'\n\
         print(f(i, 'model.safetensors', local_files_only=True))\n\
         print(f(i, '1_Pooling/config.json', local_files_only=True))\n\
         print(t(i, 'tokenizer.json'))\n\
         from huggingface_hub import _CACHED_NO_EXIST\n\
         assert t(i, 'merges.txt') is _CACHED_NO_EXIST\n\
         from huggingface_hub import snapshot_download, scan_cache_dir\n\
         print(snapshot_download(i, local_files_only=True))\n\
         print(len(scan_cache_dir().warnings))",
        true,
    );
    let expected: Vec<_> = ["model.safetensors", "1_Pooling/config.json", "tokenizer.json"]
        .iter()
        .map(|file| scene.snapshot().join(file).to_str().unwrap().to_owned())
        .chain([scene.snapshot().to_str().unwrap().to_owned(), "0".to_owned()])
        .collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);

    // A revision with slashes is a path below `refs` for both.
    scene.hub.branch(ID, "refs/pr/1", &scene.commit);
    printed(&scene.fetch(&["org/tiny-model@refs/pr/1"]));
    let found = run(
        "from huggingface_hub import snapshot_download as s, scan_cache_dir\n\
         print(s('org/tiny-model', revision='refs/pr/1', local_files_only=True))\n\
         print(len(scan_cache_dir().warnings))",
        true,
    );
    assert_eq!(found, format!("{}\n0", scene.snapshot().display()));

    fs::remove_dir_all(scene.home.path().join("hub")).unwrap();
    run(
        "from huggingface_hub import hf_hub_download as f\n\
         [f('org/tiny-model', n) for n in ('config.json', 'model.safetensors', 'tokenizer.json')]\nprint()",
        false,
    );
    let offline = scene.command(&[ID]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_eq!(printed(&offline), scene.snapshot().to_str().unwrap());
    scene.hub.take_requests();
    printed(&scene.fetch(&[ID]));
    let rest = scene.hub.take_requests();
    assert_eq!(content_requests(&rest, "model.safetensors"), 0, "Python's copy serves: {rest:?}");
}
