//! Convolutional backbones. Beside torchvision, timm and transformers, with random weights made by those packages:
//! logits, and of a training pass logits, the gradient of every parameter and every running statistic; and what is
//! saved loads in timm and transformers. These need Python's packages (`make test` puts them into .python)
//! (tests/support/python.rs). By themselves: stages one by one, rows of activations, single images, new heads, files
//! that are wrong.

#[path = "support/python.rs"]
mod support;

use std::path::{Path, PathBuf};

use rehead::batch::{Batch, Inputs};
use rehead::data::Labels;
use rehead::error::Result;
use rehead::model::checkpoint::{LoadReport, Weights, save_tensors};
use rehead::model::parameter::ParameterLocation;
use rehead::model::{
    Classifier, DropoutKeys, HeadRequest, InputSpec, LoadRequest, Pass, Pooling, check_trained, pretrained_id,
};
use rehead::random::from_torch;
use serde_json::{Value, json};
use support::python;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;
/// Of large gradients the references keep every n-th number, so that about as many are left.
const KEPT: usize = 50_000;

fn request(head: HeadRequest) -> LoadRequest {
    LoadRequest::plain(head)
}

fn load(path: &Path, head: HeadRequest) -> Result<(Classifier, LoadReport)> {
    Classifier::load(path, &request(head))
}

fn labels() -> Labels {
    Labels::from_names(["a", "b", "c"]).expect("labels")
}

fn new_head(labels: &Labels) -> HeadRequest<'_> {
    HeadRequest::New { labels, pooling: None, dropout: Some(0.0), seed: 3 }
}

/// A network with random weights and, so that norms do something, random statistics.
fn fresh(name: &str, model_args: Value) -> Classifier {
    let labels = labels();
    let directory = tempfile::tempdir().expect("a directory");
    let config = json!({ "architecture": name, "model_args": model_args });
    std::fs::write(directory.path().join("config.json"), config.to_string()).expect("written");
    let directory = directory.path().to_str().expect("a name");
    let made = Classifier::fresh(directory, 1, &request(new_head(&labels))).expect(name);
    from_torch(9, || {
        for statistic in made.backbone.statistics() {
            let mut tensor = statistic.tensor.shallow_clone();
            match statistic.name().rsplit('.').next() {
                Some("running_mean") => drop(tensor.normal_(0.0, 0.2)),
                Some("running_var") => drop(tensor.uniform_(0.5, 1.5)),
                _ => {}
            }
        }
    });
    made
}

fn batch(pixels: &Tensor) -> Batch {
    let last = pixels.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
    Batch { examples: (0..pixels.size()[0] as usize).collect(), inputs: Inputs::Pixels(last) }
}

fn images(count: i64, height: i64, width: i64) -> Tensor {
    from_torch(4, || Tensor::randn([count, 3, height, width], (Kind::Float, CPU)))
}

fn evaluated(classifier: &Classifier, batch: &Batch) -> Tensor {
    tch::no_grad(|| classifier.logits(batch, Pass::evaluation(Kind::Float))).expect("logits")
}

fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    a.equal(b)
}

/// The largest difference, as a share of `scale`.
fn difference(a: &Tensor, b: &Tensor, scale: f64) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[]) / scale.max(f64::MIN_POSITIVE)
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

fn sampled(tensor: &Tensor) -> Tensor {
    let flat = tensor.detach().contiguous().view([-1]);
    let step = flat.numel() / KEPT + 1;
    flat.slice(0, None, None, step as i64).to_kind(Kind::Float)
}

fn tensor(weights: &Weights, name: &str) -> Tensor {
    let shape = weights.shape(name).unwrap_or_else(|| panic!("no {name}"));
    weights.take(name, &shape.iter().map(|&size| size as i64).collect::<Vec<_>>()).expect(name)
}

/// A pass forward in training mode; the logits.
fn forward(classifier: &Classifier, batch: &Batch, compute: Kind) -> Tensor {
    let keys = DropoutKeys::new(1, 1, 0);
    classifier.logits(batch, Pass { compute, dropout: Some(&keys) }).expect("logits")
}

/// The same, and back.
fn train(classifier: &Classifier, batch: &Batch, targets: &Tensor, compute: Kind) -> Tensor {
    for parameter in classifier.parameters() {
        let _ = parameter.tensor.set_requires_grad(true);
    }
    let logits = forward(classifier, batch, compute);
    logits.cross_entropy_for_logits(targets).backward();
    logits.detach()
}

/// timm knows the repositories that bare names stand for.
#[test]
fn bare_names_stand_for_trained_networks_of_timm() {
    let resnets = ["18", "34", "50", "101", "152"].map(|depth| format!("resnet{depth}"));
    let vggs = ["11", "13", "16", "19"].into_iter().flat_map(|depth| [format!("vgg{depth}"), format!("vgg{depth}_bn")]);
    let vits = ["tiny_patch16", "small_patch16", "small_patch32", "base_patch16", "base_patch32"];
    let vits = vits.map(|sizes| format!("vit_{sizes}_224"));
    let scaled = ["vit_small_patch14_dinov2", "vit_large_patch14_reg4_dinov2", "deit3_base_patch16_224"];
    let vits = vits.into_iter().chain(scaled.map(str::to_owned)).chain(["vit_base_patch32_clip_224".to_owned()]);
    let efficient = (0..6).map(|number| format!("efficientnet_b{number}"));
    let efficient = efficient.chain((0..9).map(|number| format!("tf_efficientnet_b{number}")));
    let versions = ["s", "m", "l", "b0", "b1", "b2", "b3"].map(|size| format!("tf_efficientnetv2_{size}"));
    let mobile = ["large_100", "small_050", "small_075", "small_100"].map(|size| format!("mobilenetv3_{size}"));
    let sizes = ["large_075", "large_100", "large_minimal_100", "small_075", "small_100", "small_minimal_100"];
    let others = ["inception_v3", "efficientnetv2_rw_t", "efficientnetv2_rw_s"].map(str::to_owned);
    let names = resnets.into_iter().chain(vggs).chain(vits).chain(others).chain(efficient).chain(versions);
    let names = names.chain(mobile).chain(sizes.map(|size| format!("tf_mobilenetv3_{size}")));
    let sizes = ["atto", "femto", "pico", "nano", "tiny", "base", "large"];
    let convnexts = sizes.iter().flat_map(|size| [format!("convnext_{size}"), format!("convnextv2_{size}")]);
    let others = ["convnext_small", "convnext_xlarge", "convnextv2_huge"].map(str::to_owned);
    let swins = ["tiny", "small", "base", "large"].map(|size| format!("swin_{size}_patch4_window7_224"));
    let swins = swins.into_iter().chain(["base", "large"].map(|size| format!("swin_{size}_patch4_window12_384")));
    let names = names.chain(convnexts).chain(others).chain(swins);
    let ids: Vec<PathBuf> = names.map(|name| pretrained_id(&name).expect(&name).into()).collect();
    python("timm", "timm_ids.py", &ids);
    for none in ["resnet51", "efficientnet_b7", "tf_resnet50"] {
        assert_eq!(pretrained_id(none), None);
    }
    let error = check_trained("efficientnet_b7").expect_err("timm has none");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("`tf_efficientnet_b7`")), "{error}");
    for name in ["resnet18", "tf_efficientnet_b7", "bert-base-uncased", "runs/x"] {
        check_trained(name).expect(name);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one network after another, each with its own expectations")]
fn networks_equal_torchvisions_timms_and_transformers_and_load_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("cases");
    let Some(_) = python("timm", "make_backbones.py", [&root]) else { return };
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(&root).expect("cases").map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    assert_eq!(cases.len(), 16);
    let mut runs = Vec::new();
    let began = std::time::Instant::now();
    for case in &cases {
        let name = case.file_name().and_then(|name| name.to_str()).expect("a name");
        let reference = Weights::open_file(&case.join("expected.safetensors"), CPU).expect(name);
        let batch = batch(&tensor(&reference, "pixels"));
        let (classifier, report) = load(case, HeadRequest::FromCheckpoint).expect(name);
        let unused = report.unused.iter().filter(|tensor| !tensor.starts_with("AuxLogits.")).count();
        assert_eq!((unused, report.missing.len()), (0, 0), "{name}: {report:?}");
        assert_eq!(report.unused.is_empty(), name != "torchvision-inception_v3", "{name}: {report:?}");

        let expected = tensor(&reference, "logits");
        let logits = evaluated(&classifier, &batch);
        let off = difference(&logits, &expected, largest(&expected));
        println!("{name}: logits in evaluation {off:.1e}");
        assert!(off < 1e-4, "{name}: logits in evaluation: {off}");
        assert!(expected.std(false).double_value(&[]) > 1e-3 * largest(&expected), "the reference says something");

        if name.starts_with("torchvision-") {
            // The file alone says which network it is.
            let (bare, _) = load(&case.join("model.safetensors"), HeadRequest::FromCheckpoint).expect(name);
            assert_eq!(bare.config["architecture"], classifier.config["architecture"]);
            assert!(same_bits(&evaluated(&bare, &batch), &logits), "{name}");
        }
        if !name.contains("vgg16") {
            // A folder as timm wants it holds one safetensors file: what is compared lies beside it.
            let run = directory.path().join("runs").join(name);
            std::fs::create_dir_all(&run).expect("a folder");
            classifier.save(&run).expect("saved");
            let check =
                [("pixels".to_owned(), tensor(&reference, "pixels")), ("logits".to_owned(), logits.shallow_clone())];
            save_tensors(&run.with_extension("check"), check).expect("saved");
            let (again, _) = load(&run, HeadRequest::FromCheckpoint).expect(name);
            assert!(same_bits(&evaluated(&again, &batch), &logits), "{name}: saved and loaded");
            assert_eq!((&again.labels, &again.input), (&classifier.labels, &classifier.input));
            runs.push(run);
        }
        if reference.has("large.pixels") {
            let large = self::batch(&tensor(&reference, "large.pixels"));
            let expected = tensor(&reference, "large.logits");
            let off = difference(&evaluated(&classifier, &large), &expected, largest(&expected));
            assert!(off < 1e-4, "{name}: logits of a large image: {off}");
        }

        let targets = tensor(&reference, "targets").to_kind(Kind::Int64);
        let expected = tensor(&reference, "training.logits");
        let after = |classifier: &Classifier| {
            for statistic in classifier.backbone.statistics() {
                let after = tensor(&reference, &format!("after.{}", statistic.name()));
                let off = difference(&statistic.tensor.view([-1]).to_kind(Kind::Float), &after, largest(&after));
                assert!(off < 1e-4, "{name}: {}: {off}", statistic.name());
            }
        };
        let check = |logits: &Tensor, most: f64| {
            let off = difference(logits, &expected, largest(&expected));
            println!("{name}: logits in training {off:.1e}");
            assert!(off < most, "{name}: logits in training: {off}");
            after(&classifier);
        };
        // Through norms gradients in fp64, like the reference: where a ReLU's or a pool's choice hangs on rounding,
        // fp32 ones differ by percents.
        if !classifier.backbone.has_statistics() {
            check(&train(&classifier, &batch, &targets, Kind::Float), 1e-4);
        } else {
            let before: Vec<Tensor> = classifier.backbone.statistics().map(|part| part.tensor.copy()).collect();
            check(&tch::no_grad(|| forward(&classifier, &batch, Kind::Float)), 1e-4);
            for (part, before) in classifier.backbone.statistics().zip(before) {
                part.tensor.shallow_clone().copy_(&before);
            }
            for parameter in classifier.parameters().chain(classifier.backbone.statistics()) {
                let mut tensor = parameter.tensor.shallow_clone();
                if tensor.kind() == Kind::Float {
                    tensor.set_data(&tensor.to_kind(Kind::Double));
                }
            }
            check(&train(&classifier, &batch, &targets, Kind::Double), 1e-5);
        }
        let mut worst = (0.0, String::new());
        for parameter in classifier.parameters() {
            let expected = tensor(&reference, &format!("gradient.{}", parameter.name()));
            // A bias before a norm has no gradient but for rounding: its weight's tells what is much.
            let weight = parameter.name().replace(".bias", ".weight");
            let scale = largest(&expected).max(largest(&tensor(&reference, &format!("gradient.{weight}"))));
            let off = difference(&sampled(&parameter.tensor.grad()), &expected, scale);
            if off > worst.0 {
                worst = (off, parameter.name().to_owned());
            }
        }
        println!("{name}: gradients {worst:?} {:?}", began.elapsed());
        assert!(worst.0 < 1e-4, "{name}: gradients: {worst:?}");
        let gradients = reference.names().filter(|tensor| tensor.starts_with("gradient.")).count();
        let statistics = reference.names().filter(|tensor| tensor.starts_with("after.")).count();
        assert_eq!(
            (classifier.parameters().count(), classifier.backbone.statistics().count()),
            (gradients, statistics)
        );
    }
    println!("{}", python("timm", "check_backbones.py", &runs).expect("timm is there"));
}

#[test]
fn every_network_runs_in_stages_rows_and_alone_and_learns_everywhere() {
    let small = json!({ "layers": [2, 1, 1, 2], "channels": [16, 32, 64, 128] });
    let networks = [
        ("resnet18", json!({}), 40),
        ("resnet18", small, 64),
        ("resnet34", json!({}), 33),
        ("resnet50", json!({}), 40),
        ("resnet101", json!({}), 33),
        ("resnet152", json!({}), 33),
        ("inception_v3", json!({}), 80),
        ("vgg11", json!({}), 40),
        ("tf_efficientnet_b0", json!({}), 41),
        ("mobilenetv3_small_050", json!({}), 40),
    ];
    for (name, model_args, side) in networks {
        let mut classifier = fresh(name, model_args);
        let (height, width) = (side, side + 5);
        classifier.backbone.set_image_size(height, width).expect("large enough");
        let backbone = &classifier.backbone;
        let batch = batch(&images(3, height, width));
        let pass = Pass::evaluation(Kind::Float);
        let no_grad = tch::no_grad_guard();
        let logits = classifier.logits(&batch, pass).expect(name);
        assert_eq!(logits.size(), [3, 3], "{name}");

        let mut x = None;
        for stage in 0..backbone.stages().len() {
            let after = backbone.run(stage..stage + 1, &batch, x.take(), pass).expect(name);
            let pooled = backbone.pool(&after, &batch, Pooling::Mean).expect(name);
            assert_eq!(pooled.size(), [3, backbone.stage_width(stage)], "{name}");
            let rows = backbone.layout(stage + 1).to_rows(after.shallow_clone()).expect(name);
            assert_eq!(rows.size(), [3, backbone.layout(stage + 1).row_width()], "{name} {stage}");
            let again = backbone.layout(stage + 1).from_rows(rows.contiguous()).expect(name);
            assert!(same_bits(&again, &after), "{name} {stage}");
            assert!(backbone.layout(stage + 1).from_rows(rows.narrow(1, 1, rows.size()[1] - 1)).is_err());
            // From every second stage on the rest is run from rows, as a cache gives them.
            x = Some(if stage % 2 == 0 { again } else { after });
        }
        let features = backbone.pool(&x.expect("stages"), &batch, Pooling::Cls).expect(name);
        let by_stages = classifier.head.forward(&features, pass).expect(name);
        assert!(same_bits(&by_stages, &logits), "{name}: stage by stage");

        let Inputs::Pixels(pixels) = &batch.inputs else { panic!("pixels") };
        for index in 0..3 {
            let alone = Batch { examples: vec![0], inputs: Inputs::Pixels(pixels.narrow(0, index, 1)) };
            let alone = classifier.logits(&alone, pass).expect(name);
            let off = difference(&alone, &logits.narrow(0, index, 1), largest(&logits));
            assert!(off < 1e-5, "{name}: image {index} alone: {off}");
        }
        drop(no_grad);

        let _ = train(&classifier, &batch, &Tensor::from_slice(&[0i64, 1, 2]), Kind::Float);
        for parameter in classifier.parameters() {
            let gradient = parameter.tensor.grad();
            assert!(gradient.defined() && gradient.size() == parameter.tensor.size(), "{name}: {}", parameter.name());
            assert!(gradient.isfinite().all().int64_value(&[]) == 1, "{name}: {}", parameter.name());
            assert!(largest(&gradient) > 0.0, "{name}: {}", parameter.name());
        }
    }
}

#[test]
fn frozen_stages_keep_their_statistics() {
    let classifier = fresh("resnet18", json!({ "layers": [1, 1], "channels": [8, 16] }));
    let before: Vec<Tensor> = classifier.backbone.statistics().map(|part| part.tensor.copy()).collect();
    let batch = batch(&images(2, 32, 32));
    let prefix =
        tch::no_grad(|| classifier.backbone.run(0..2, &batch, None, Pass::evaluation(Kind::Float))).expect("prefix");
    let keys = DropoutKeys::new(1, 1, 0);
    let pass = Pass { compute: Kind::Float, dropout: Some(&keys) };
    let _ = classifier.logits_from(2, &batch, Some(prefix), pass).expect("logits");
    for (part, before) in classifier.backbone.statistics().zip(before) {
        let ParameterLocation::Stage(stage) = part.location else { panic!("in a stage") };
        assert_eq!(same_bits(&part.tensor, &before), stage < 2, "{}", part.name());
    }
}

/// One value a channel has no spread: the running statistics stand in, and stay numbers.
#[test]
fn a_single_small_image_can_be_trained_on() {
    let classifier = fresh("resnet18", json!({ "channels": [8, 8, 8, 8] }));
    let logits = train(&classifier, &batch(&images(1, 16, 16)), &Tensor::from_slice(&[1i64]), Kind::Float);
    let state = classifier.state().expect("state");
    for (name, tensor) in state.iter().map(|(name, tensor)| (name.as_str(), tensor)).chain([("logits", &logits)]) {
        assert_eq!(tensor.isfinite().all().int64_value(&[]), 1, "{name}");
    }
}

#[test]
fn dropout_is_drawn_by_key_in_training_alone() {
    let labels = labels();
    let head = HeadRequest::New { labels: &labels, pooling: None, dropout: Some(0.5), seed: 3 };
    let classifier = Classifier::fresh("resnet18", 1, &request(head)).expect("a network");
    let batch = batch(&images(2, 32, 32));
    let logits = |seed: u64| {
        let keys = DropoutKeys::new(seed, 1, 0);
        classifier.logits(&batch, Pass { compute: Kind::Float, dropout: Some(&keys) }).expect("logits")
    };
    assert!(same_bits(&logits(1), &logits(1)));
    assert!(!same_bits(&logits(1), &logits(2)));
    assert!(same_bits(&evaluated(&classifier, &batch), &evaluated(&classifier, &batch)));
}

/// Norms within the convolutions, ReLUs and sums in the same pass: the same numbers, whole and stage by stage, and
/// nobody's activations are overwritten. Trained again, the network computes with its own numbers.
#[test]
fn what_is_not_trained_computes_the_same_folded() {
    let small = json!({ "layers": [2, 3, 1, 1], "channels": [16, 32, 64, 64] });
    for (name, model_args, side) in [
        ("resnet18", small.clone(), 64),
        ("resnet50", small, 64),
        ("vgg11", json!({}), 40),
        ("vgg11_bn", json!({}), 40),
        ("inception_v3", json!({}), 80),
        ("tf_efficientnetv2_b0", json!({}), 41),
        ("tf_mobilenetv3_small_075", json!({}), 41),
    ] {
        let mut classifier = fresh(name, model_args);
        let batch = batch(&images(4, side, side + 3));
        let exact = evaluated(&classifier, &batch);
        let stages = classifier.backbone.stages().len();
        for (kind, near) in [(Kind::Float, 1e-4), (Kind::BFloat16, 0.06)] {
            classifier.backbone.freeze(stages).expect("frozen");
            let pass = Pass::evaluation(kind);
            let _guard = tch::no_grad_guard();
            let logits = classifier.logits(&batch, pass).expect(name);
            assert_eq!(logits.kind(), Kind::Float);
            let off = difference(&logits, &exact, largest(&exact));
            assert!(off < near, "{name} {kind:?}: {off}");
            let mut x = None;
            for stage in 0..stages {
                let before = x.as_ref().map(Tensor::copy);
                let given = x.as_ref().map(Tensor::shallow_clone);
                let after = classifier.backbone.run(stage..stage + 1, &batch, given, pass).expect(name);
                if let (Some(before), Some(x)) = (before, &x) {
                    assert!(same_bits(&before, x), "{name}: stage {stage} has overwritten what it was given");
                }
                x = Some(after);
            }
            let features = classifier.backbone.pool(&x.expect("stages"), &batch, Pooling::Mean).expect(name);
            let by_stages = classifier.head.forward(&features, pass).expect(name);
            assert!(same_bits(&by_stages, &logits), "{name}: stage by stage");
        }
        classifier.backbone.freeze(0).expect("frozen");
        assert!(same_bits(&evaluated(&classifier, &batch), &exact), "{name}");
    }
}

/// A frozen network folds its batch norms. Whatever changes a tensor afterwards, and whoever forgets to say so, it
/// computes with the values that there are.
#[test]
fn folded_norms_are_never_stale() {
    let small = json!({ "layers": [1, 1], "channels": [8, 16] });
    let mut classifier = fresh("resnet18", small.clone());
    let batch = batch(&images(4, 32, 32));
    classifier.freeze().expect("frozen");
    let mut before = evaluated(&classifier, &batch);
    let state: Vec<(String, Tensor)> = classifier.state().expect("state");
    let tensor = |name: &str| state.iter().find(|(stored, _)| stored == name).expect(name).1.shallow_clone();
    for name in ["conv1.weight", "bn1.weight", "bn1.bias", "layer2.0.bn1.running_mean", "layer2.0.bn1.running_var"] {
        let _ = tch::no_grad(|| tensor(name).f_add_scalar_(0.25)).expect(name);
        let after = evaluated(&classifier, &batch);
        assert!(difference(&after, &before, largest(&before)) > 1e-4, "{name}: the change is not seen");
        // As a network that folds for the first time with these values.
        classifier.backbone.freeze(0).expect("frozen");
        classifier.freeze().expect("frozen");
        assert!(same_bits(&evaluated(&classifier, &batch), &after), "{name}: not as if folded again");
        before = after;
    }

    // A training pass changes the running statistics, in a way that leaves no trace in the tensors.
    let keys = DropoutKeys::new(1, 1, 0);
    let trained = Pass { compute: Kind::Float, dropout: Some(&keys) };
    let _ = tch::no_grad(|| classifier.logits(&batch, trained)).expect("trains");
    let after = evaluated(&classifier, &batch);
    assert!(difference(&after, &before, largest(&before)) > 1e-4, "a training pass is not seen");

    // While somebody trains a weight, nothing folded is used.
    classifier.backbone.freeze(0).expect("frozen");
    let exact = evaluated(&classifier, &batch);
    classifier.freeze().expect("frozen");
    let _ = tensor("conv1.weight").set_requires_grad(true);
    let logits = classifier.logits(&batch, Pass::evaluation(Kind::Float)).expect("logits");
    assert!(difference(&logits.detach(), &exact, largest(&exact)) < 1e-4);
    logits.sum(Kind::Float).backward();
    assert!(tensor("conv1.weight").grad().defined(), "a gradient reaches a weight that wants one");
}

#[test]
fn training_in_bf16_is_finite() {
    let resnet = fresh("resnet50", json!({ "layers": [1, 1, 1, 1], "channels": [16, 32, 64, 64] }));
    let batch = batch(&images(4, 64, 64));
    for classifier in [resnet, fresh("mobilenetv3_small_050", json!({}))] {
        let logits = train(&classifier, &batch, &Tensor::from_slice(&[0i64, 1, 2, 0]), Kind::BFloat16);
        assert!(largest(&logits).is_finite());
    }
}

/// `drop_path_rate` leaves out the later blocks of some images in training, by key, and nothing in evaluation.
#[test]
fn stochastic_depth_is_drawn_by_key_in_training_alone() {
    let [plain, deep] = [0.0, 0.9].map(|rate| fresh("mobilenetv3_small_050", json!({ "drop_path_rate": rate })));
    let batch = batch(&images(8, 32, 32));
    assert!(same_bits(&evaluated(&plain, &batch), &evaluated(&deep, &batch)));
    let logits = |classifier: &Classifier, seed: u64| {
        let keys = DropoutKeys::new(seed, 1, 0);
        classifier.logits(&batch, Pass { compute: Kind::Float, dropout: Some(&keys) }).expect("logits")
    };
    assert!(same_bits(&logits(&plain, 1), &logits(&plain, 2)));
    assert!(same_bits(&logits(&deep, 1), &logits(&deep, 1)));
    assert!(!same_bits(&logits(&deep, 1), &logits(&deep, 2)));

    // A block that keeps its shape: an image's activations are x, or x and the body's part over the share that stays.
    let stage = 10;
    let run = |classifier: &Classifier, pass| {
        tch::no_grad(|| {
            classifier.backbone.run(stage..stage + 1, &batch, Some(images(8, 2, 2).repeat([1, 16, 1, 1])), pass)
        })
        .expect("a stage")
    };
    let keys = DropoutKeys::new(3, 1, 0);
    let pass = Pass { compute: Kind::Float, dropout: Some(&keys) };
    let x = images(8, 2, 2).repeat([1, 16, 1, 1]);
    let (with, without) = (run(&deep, pass) - &x, run(&plain, pass) - &x);
    let (mut kept, mut left) = (0, 0);
    for image in 0..8 {
        let (with, without) = (with.get(image), without.get(image));
        if largest(&with) == 0.0 {
            left += 1;
        } else {
            let share = 1.0 - 0.9 * f64::from(stage as i32 - 1) / 12.0;
            assert!(difference(&(with * share), &without, largest(&without)) < 1e-4);
            kept += 1;
        }
    }
    assert!(kept > 0 && left > 0, "{kept} {left}");
}

#[test]
fn a_new_head_leaves_the_backbone_as_it_is_and_a_saved_one_keeps_its_words() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = fresh("resnet18", json!({ "layers": [1, 1], "channels": [8, 16] }));
    source.save(directory.path()).expect("saved");
    let others = Labels::from_names(["horse", "deer", "dog", "cat"]).expect("labels");
    let (classifier, report) = load(directory.path(), new_head(&others)).expect("loaded");
    assert_eq!(
        (report.missing, report.unused),
        (vec!["fc.weight".to_owned(), "fc.bias".to_owned()], vec!["fc.bias".to_owned(), "fc.weight".to_owned()])
    );
    assert_eq!((classifier.head.classes(), &classifier.labels), (4, &others));
    let state = |classifier: &Classifier| classifier.state().expect("state");
    for ((name, ours), (_, theirs)) in state(&classifier).into_iter().zip(state(&source)) {
        assert!(name.starts_with("fc.") || same_bits(&ours, &theirs), "{name}");
    }
    let again = directory.path().join("again");
    std::fs::create_dir(&again).expect("a folder");
    classifier.save(&again).expect("saved");
    let (reloaded, _) = load(&again, HeadRequest::FromCheckpoint).expect("loaded");
    assert_eq!(reloaded.labels.names(), classifier.labels.names());
    let batch = batch(&images(2, 32, 32));
    assert!(same_bits(&evaluated(&reloaded, &batch), &evaluated(&classifier, &batch)));
}

#[test]
fn preprocessing_comes_from_the_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    fresh("inception_v3", json!({})).save(directory.path()).expect("saved");
    let prepared = |edit: &dyn Fn(&mut Value)| {
        let file = directory.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("JSON");
        edit(&mut config);
        std::fs::write(&file, config.to_string()).expect("written");
        let (classifier, _) = load(directory.path(), HeadRequest::FromCheckpoint).expect("loaded");
        let InputSpec::Image(preprocessing) = classifier.input else { panic!("images") };
        preprocessing
    };
    let own = prepared(&|_| ());
    assert_eq!((own.crop, own.mean, own.std), ((299, 299), [0.5; 3], [0.5; 3]));
    let stated = prepared(&|config| {
        config["pretrained_cfg"]["mean"] = json!([0.485, 0.456, 0.406]);
        config["pretrained_cfg"]["std"] = json!([0.229, 0.224, 0.225]);
        config["pretrained_cfg"]["input_size"] = json!([3, 128, 160]);
    });
    assert_eq!((stated.crop, stated.mean), ((128, 160), [0.485, 0.456, 0.406]));
    // torchvision's network then changes what is normalised so into -1 to 1, which is one normalisation.
    let transformed = prepared(&|config| config["transform_input"] = json!(true));
    assert_eq!((transformed.mean, transformed.std), ([0.5; 3], [0.5; 3]));
}

#[test]
fn what_is_wrong_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let folder = directory.path();
    let classifier = fresh("resnet18", json!({ "layers": [1, 1], "channels": [8, 16] }));
    classifier.save(folder).expect("saved");
    let write = |config: Value| std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    let args = json!({ "layers": [1, 1], "channels": [8, 16] });
    for (config, part) in [
        (json!({ "architecture": "resnet18d" }), "`resnet18d`: this network is not supported"),
        (json!({ "architecture": "resnet18", "model_args": 3 }), "must be an object"),
        (json!({ "architecture": "resnet18", "model_args": { "layers": "x" } }), "list of 1 to 4"),
        (json!({ "architecture": "resnet18" }), "config.json asks for [64, 64, 3, 3]"),
        (
            json!({ "architecture": "resnet18", "model_args": { "layers": [1], "channels": [8] } }),
            "config.json asks for [3, 8]",
        ),
        (json!({ "architecture": "vgg11" }), "lacks this tensor"),
        (json!({ "model_type": "resnet", "embedding_size": 32 }), "embedding_size"),
        (json!({ "model_type": "resnet", "hidden_sizes": [10] }), "cannot be divided by 4"),
        (json!({ "architecture": "resnet18", "model_args": args, "label_names": ["a"] }), "1 names; the head has 3"),
        (json!({ "architecture": "resnet18", "model_args": args, "label_names": { "a": 1 } }), "a list of words"),
    ] {
        write(config.clone());
        let error = load(folder, HeadRequest::FromCheckpoint).err().unwrap_or_else(|| panic!("{config} is refused"));
        assert_eq!(error.exit_status(), 2, "{config}: {error}");
        assert!(error.to_string().contains(part), "{config}: {error}");
        assert!(error.hint_text().is_some(), "{config}: {error}");
    }

    // Without a configuration the tensors tell the sizes.
    std::fs::remove_file(folder.join("config.json")).expect("removed");
    let (bare, _) = load(folder, HeadRequest::FromCheckpoint).expect("loaded");
    assert_eq!(bare.config["model_args"], args);
    assert_eq!(bare.labels.names(), ["LABEL_0", "LABEL_1", "LABEL_2"]);

    let mut inception = fresh("inception_v3", json!({}));
    let small = batch(&images(1, 74, 200));
    let error = inception.logits(&small, Pass::evaluation(Kind::Float)).expect_err("too small");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("75×75")), "{error}");
    assert!(inception.backbone.set_image_size(74, 75).is_err());
    assert_eq!(error.exit_status(), 2);

    let other = folder.join("other.safetensors");
    save_tensors(&other, [("x.weight".to_owned(), images(1, 2, 2))]).expect("saved");
    let error = load(&other, HeadRequest::FromCheckpoint).err().expect("refused");
    assert!(error.to_string().contains("not those of a supported network"), "{error}");
}
