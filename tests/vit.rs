//! What a Vision Transformer computes equals what transformers and timm compute, for small random ones of both: logits,
//! and the gradient of every parameter. Stages, rows of activations, adapters, heads, and saved directories, which
//! transformers loads. Needs Python's packages (`make test` puts them into .python).

#[path = "support/networks.rs"]
mod networks;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use networks::{CPU, PLAIN, batch, difference, expected, labels, load, logits, made_by, own, python, tensor};
use rehead::error::Result;
use rehead::model::checkpoint::save_tensors;
use rehead::model::{Classifier, DropoutKeys, Engine, HeadRequest, InputSpec, LoadRequest, Pass, Pooling, WeightDtype};
use rehead::random::from_torch;
use rehead::task::single_label::CrossEntropy;
use rehead::task::{Loss, Targets};
use tch::{Kind, Tensor};

/// Checkpoints with a head.
const CLASSIFIERS: [&str; 23] = [
    "plain",
    "odd",
    "relu",
    "dropping",
    "modern",
    "larger",
    "smaller",
    "timm",
    "timm_odd",
    "timm_larger",
    "timm_deit",
    "dinov2",
    "dinov2_larger",
    "dinov2_swiglu",
    "registers",
    "timm_dinov2",
    "timm_registers",
    "timm_giant",
    "timm_scale",
    "timm_deit3",
    "clip",
    "timm_clip",
    "timm_clip_quick",
];
/// Checkpoints without one.
const BARE: [&str; 4] = ["bare", "bare_dinov2", "bare_clip", "bare_tower"];

/// The checkpoints, made once for all tests of this file.
fn made() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| made_by("make_vit.py", "vit")).as_deref()
}

fn load_as(directory: &Path, head: HeadRequest, weight_dtype: WeightDtype) -> Result<Classifier> {
    let request = LoadRequest { engine: Engine::Packed, device: CPU, weight_dtype, head, stages: None };
    Classifier::load(directory, &request).map(|(classifier, _)| classifier)
}

#[test]
fn logits_equal_transformers_and_timm() {
    let Some(made) = made() else { return };
    for name in CLASSIFIERS {
        let directory = made.join(name);
        let (classifier, expected) = (own(&directory), expected(&directory));
        let batch = batch(&tensor(&expected, "pixels"));
        let reference = tensor(&expected, "logits");
        assert!(reference.std(false).double_value(&[]) > 0.05, "{name}: the reference says something");
        let found = difference(&logits(&classifier, &batch), &reference);
        assert!(found < 1e-4, "{name}: {found}");
        let named = !name.starts_with("timm_");
        assert_eq!(classifier.labels.name(2), if named { "class 2" } else { "LABEL_2" }, "{name}");
    }
}

#[test]
fn features_equal_transformers_and_timm() {
    let Some(made) = made() else { return };
    let labels = labels();
    for name in CLASSIFIERS.into_iter().chain(BARE) {
        let expected = expected(&made.join(name));
        let batch = batch(&tensor(&expected, "pixels"));
        for (pooling, reference) in [(Pooling::Cls, "features"), (Pooling::Mean, "mean")] {
            let head = HeadRequest::New { labels: &labels, pooling: Some(pooling), dropout: None, seed: 1 };
            let classifier = load(&made.join(name), head).expect("loads").0;
            let features = classifier.backbone.features(0, &batch, None, pooling, PLAIN).expect("features");
            let found = difference(&features, &tensor(&expected, reference));
            assert!(found < 1e-4, "{name}, {reference}: {found}");
        }
    }
}

#[test]
fn gradients_of_every_parameter_equal_transformers_and_timm() {
    let Some(made) = made() else { return };
    for name in CLASSIFIERS.into_iter().filter(|name| *name != "dropping") {
        let directory = made.join(name);
        let (classifier, expected) = (own(&directory), expected(&directory));
        let batch = batch(&tensor(&expected, "pixels"));
        let labels: Vec<u32> = Vec::<f64>::try_from(tensor(&expected, "labels"))
            .expect("labels")
            .iter()
            .map(|&label| label as u32)
            .collect();
        for parameter in classifier.parameters() {
            let _ = parameter.tensor.set_requires_grad(true);
        }
        let keys = DropoutKeys::new(1, 1, 0);
        let training = Pass { compute: Kind::Float, dropout: Some(&keys) };
        let logits = classifier.logits(&batch, training).expect("logits");
        let plain = Loss::new(CrossEntropy::new(0.0, None, CPU).expect("a loss"));
        plain
            .of(&logits, &batch, &Targets::Classes(labels.clone()), labels.len() as f64, 1.0)
            .expect("a loss")
            .backward();
        let mut compared = 0;
        for parameter in classifier.parameters() {
            if !parameter.tensor.grad().defined() {
                // The mean over the patches is what CLIP's last norm has not seen.
                assert!(name == "clip" && parameter.name().contains("post_layernorm"), "{name}: {}", parameter.name());
                continue;
            }
            for (stored, found) in parameter.stored_from(&parameter.tensor.grad()).expect("parts") {
                let reference = format!("gradient.{stored}");
                if !expected.has(&reference) {
                    assert!(stored.ends_with("position_embeddings"), "{name}: {stored}");
                    continue;
                }
                let reference = tensor(&expected, &reference);
                // Keys have a gradient of rounding errors alone where all queries see them alike.
                let largest = reference.abs().max().double_value(&[]);
                let found = difference(&found, &reference) * largest / largest.max(1e-3);
                assert!(found < 1e-4, "{name}: {stored}: {found}");
                compared += 1;
            }
        }
        let wanted = expected.names().filter(|name| name.starts_with("gradient.")).count();
        assert!(wanted > 40 && compared == wanted, "{name}: {compared} of {wanted}");
    }
}

#[test]
fn stage_by_stage_equals_the_whole_and_rows_give_the_activations_again() -> Result<()> {
    let Some(made) = made() else { return Ok(()) };
    for name in ["plain", "relu", "timm_larger", "registers"] {
        let classifier = own(&made.join(name));
        let batch = batch(&tensor(&expected(&made.join(name)), "pixels"));
        let backbone = &classifier.backbone;
        let stages = backbone.stages().len();
        assert_eq!(backbone.stages(), ["embeddings", "layer.0", "layer.1", "layer.2"]);
        for compute in [Kind::Float, Kind::BFloat16] {
            let pass = Pass::evaluation(compute);
            // Rows after the last image are padding, whose values do not matter.
            let used = |activations: &Tensor| {
                activations.narrow(0, 0, 5 * backbone.layout(0).row_width() / backbone.feature_width())
            };
            let whole = backbone.run(0..stages, &batch, None, pass)?;
            let poolings = [Pooling::Cls, Pooling::Mean, Pooling::ClsAndMean];
            let direct =
                poolings.map(|pooling| (pooling, backbone.features(0, &batch, None, pooling, pass).expect("features")));
            for cut in 1..=stages {
                let prefix = backbone.run(0..cut, &batch, None, pass)?;
                let rows = backbone.layout(cut).to_rows(prefix.shallow_clone())?;
                assert!(rows.size()[0] >= 5 && rows.size()[1] == backbone.layout(cut).row_width());
                // As a cache does: the rows of some examples, in another order.
                let order = Tensor::from_slice(&[3i64, 0, 4, 2, 1]);
                let other = backbone.layout(cut).from_rows(rows.index_select(0, &order))?;
                let again = backbone
                    .layout(cut)
                    .from_rows(backbone.layout(cut).to_rows(other)?.index_select(0, &order.argsort(0, false)))?;
                assert_eq!(used(&again), used(&prefix), "{name}: {cut} stages");
                let rest = backbone.run(cut..stages, &batch, Some(again.shallow_clone()), pass)?;
                assert_eq!(used(&rest), used(&whole), "{name}: {cut} stages");
                for (pooling, direct) in &direct {
                    let features = backbone.features(cut, &batch, Some(again.shallow_clone()), *pooling, pass)?;
                    if cut < stages || *pooling != Pooling::Cls {
                        assert_eq!(&features, direct, "{name}: {cut} stages, {pooling:?}");
                    } else {
                        assert!(difference(&features, &direct.to_kind(Kind::Float)) < 0.05);
                    }
                }
            }
            let pooled = backbone.pool(&whole, &batch, Pooling::Cls)?;
            let limit = if compute == Kind::Float { 1e-5 } else { 0.05 };
            assert!(difference(&pooled, &direct[0].1.to_kind(Kind::Float)) < limit, "{name}");
        }
    }
    Ok(())
}

#[test]
fn an_image_scores_the_same_alone_and_in_a_batch() {
    let Some(made) = made() else { return };
    for name in ["plain", "relu", "timm", "registers", "dinov2_swiglu", "clip"] {
        let classifier = own(&made.join(name));
        let pixels = tensor(&expected(&made.join(name)), "pixels");
        let together = logits(&classifier, &batch(&pixels));
        for index in 0..pixels.size()[0] {
            let alone = logits(&classifier, &batch(&pixels.narrow(0, index, 1)));
            assert!(difference(&alone.get(0), &together.get(index)) < 1e-6, "{name}: image {index}");
        }
    }
}

#[test]
fn adapters_change_nothing_at_first_and_merge_to_the_same() -> Result<()> {
    let Some(made) = made() else { return Ok(()) };
    for name in ["plain", "odd", "timm", "registers", "clip"] {
        let mut classifier = own(&made.join(name));
        let batch = batch(&tensor(&expected(&made.join(name)), "pixels"));
        let before = logits(&classifier, &batch);
        classifier.adapt(4, 7)?;
        assert_eq!(classifier.adapters.len(), 3 * 6 * 2, "{name}");
        assert_eq!(logits(&classifier, &batch), before, "{name}");
        from_torch(1, || {
            for parameter in &classifier.adapters {
                let _ = tch::no_grad(|| parameter.tensor.shallow_clone().normal_(0.0, 0.1));
            }
        });
        let adapted = logits(&classifier, &batch);
        assert!(difference(&adapted, &before) > 1e-2, "{name}: the adapters do something");
        classifier.merge_adapters()?;
        assert!(classifier.adapters.is_empty());
        assert!(difference(&logits(&classifier, &batch), &adapted) < 1e-5, "{name}");
    }
    Ok(())
}

/// Whatever it came from: transformers loads it and computes the same, and so does rehead again, bit by bit.
#[test]
fn a_saved_directory_loads_in_transformers() {
    let Some(made) = made() else { return };
    let labels = labels();
    let cases = [
        ("plain", None),
        ("odd", Some(Pooling::Cls)),
        ("modern", None),
        ("larger", Some(Pooling::Mean)),
        ("timm", None),
        ("timm_odd", Some(Pooling::Mean)),
        ("timm_larger", Some(Pooling::Cls)),
        ("bare", Some(Pooling::Cls)),
        ("dinov2_larger", None),
        ("dinov2_swiglu", Some(Pooling::Cls)),
        ("registers", None),
        ("registers", Some(Pooling::Mean)),
        ("timm_registers", Some(Pooling::ClsAndMean)),
        ("timm_registers", None),
        ("timm_deit3", None),
        ("timm_giant", Some(Pooling::ClsAndMean)),
        ("clip", None),
        ("bare_clip", Some(Pooling::Cls)),
        ("timm_clip", None),
        ("bare_tower", Some(Pooling::Mean)),
    ];
    let directory = tempfile::tempdir().expect("a directory");
    let mut number = 0;
    let runs = cases.map(|(name, new_head)| {
        number += 1;
        let run = directory.path().join(format!("run_{number}_{name}"));
        let head = match new_head {
            Some(pooling) => HeadRequest::New { labels: &labels, pooling: Some(pooling), dropout: Some(0.1), seed: 5 },
            None => HeadRequest::FromCheckpoint,
        };
        let classifier = load(&made.join(name), head).expect("loads").0;
        let pixels = tensor(&expected(&made.join(name)), "pixels");
        let logits_of = |classifier: &Classifier| logits(classifier, &batch(&pixels));
        let found = logits_of(&classifier);
        std::fs::create_dir(&run).expect("created");
        classifier.save(&run).expect("saved");
        let again = own(&run);
        assert_eq!(logits_of(&again), found, "{name}");
        assert_eq!((again.input, again.pooling), (classifier.input, classifier.pooling), "{name}");
        let results = [("pixels".to_owned(), pixels), ("logits".to_owned(), found)];
        save_tensors(&run.join("results.safetensors"), results).expect("saved");
        run
    });
    println!("{}", python("timm", "check_vit.py", &runs).expect("Python is there"));
}

#[test]
fn a_new_head_is_drawn_as_transformers_does() -> Result<()> {
    let Some(made) = made() else { return Ok(()) };
    let labels = labels();
    let head = || HeadRequest::New { labels: &labels, pooling: None, dropout: None, seed: 5 };
    let request = LoadRequest::plain(head());
    let (classifier, report) = Classifier::load(&made.join("plain"), &request)?;
    assert_eq!((classifier.pooling, classifier.head.classes()), (Pooling::Cls, 3));
    assert_eq!(report.missing, ["classifier.weight", "classifier.bias"]);
    assert_eq!(report.unused, ["classifier.bias", "classifier.weight"]);
    let state = classifier.state()?;
    let of = |name: &str| &state.iter().find(|(stored, _)| stored == name).expect("there").1;
    let std = of("classifier.weight").std(true).double_value(&[]);
    assert!((0.015..0.025).contains(&std), "{std}");
    assert_eq!(of("classifier.bias").abs().max().double_value(&[]), 0.0);
    let (_, report) = Classifier::load(&made.join("timm"), &request)?;
    assert_eq!(report.unused, ["head.bias", "head.weight"]);
    let (_, report) = Classifier::load(&made.join("bare"), &request)?;
    assert_eq!(report.unused, ["pooler.dense.bias", "pooler.dense.weight"]);
    let Err(error) = load(&made.join("bare"), HeadRequest::FromCheckpoint) else { panic!("has no head") };
    assert!(error.to_string().contains("no classification head"), "{error}");
    Ok(())
}

/// A checkpoint's own head, and the one that a network without a classifier gets.
#[test]
fn heads_pool_as_their_libraries_do() {
    let Some(made) = made() else { return };
    for (name, pooling, unused) in [
        ("dinov2", Pooling::ClsAndMean, 2),
        ("bare_dinov2", Pooling::ClsAndMean, 0),
        ("timm_dinov2", Pooling::Cls, 2),
        ("timm_headless", Pooling::ClsAndMean, 0),
        ("clip", Pooling::Mean, 2),
        ("timm_clip", Pooling::Cls, 2),
        ("timm_projection", Pooling::Cls, 2),
        ("bare_tower", Pooling::Cls, 0),
    ] {
        let labels = labels();
        let head = HeadRequest::New { labels: &labels, pooling: None, dropout: None, seed: 1 };
        let (classifier, report) = load(&made.join(name), head).expect(name);
        assert_eq!((classifier.pooling, report.unused.len()), (pooling, unused), "{name}: {report:?}");
        assert_eq!(report.missing, ["classifier.weight", "classifier.bias"], "{name}");
    }
    let Err(error) = load(&made.join("timm_projection"), HeadRequest::FromCheckpoint) else { panic!("has no head") };
    assert!(error.to_string().contains("no classification head"), "{error}");
    let labels = labels();
    let head = HeadRequest::New { labels: &labels, pooling: Some(Pooling::ClsAndMean), dropout: None, seed: 1 };
    let Err(error) = load(&made.join("plain"), head) else { panic!("a ViT has no such head") };
    assert!(error.to_string().contains("not both") && error.exit_status() == 2, "{error}");
}

#[test]
fn other_members_of_the_family_are_refused_by_name() {
    let Some(made) = made() else { return };
    let labels = labels();
    for (name, word) in [
        ("registers", "register tokens"),
        ("gap", "a norm after the pooling"),
        ("depth", "stochastic depth"),
        ("normalised", "norms of queries and keys"),
        ("mean", "a norm after the pooling"),
        ("classless", "no class token"),
        ("distilled", "a distillation token"),
        ("activation", "leaky_relu"),
    ] {
        let head = HeadRequest::New { labels: &labels, pooling: None, dropout: None, seed: 1 };
        let Err(error) = load(&made.join(format!("refused_{name}")), head) else { panic!("{name} is loaded") };
        assert!(error.to_string().contains(word), "{name}: {error}");
        assert!(error.hint_text().is_some() && error.exit_status() == 2, "{name}");
    }
}

#[test]
fn bf16_and_8_bits_stay_near_fp32() {
    let Some(made) = made() else { return };
    for name in ["plain", "odd", "timm", "registers", "clip"] {
        let batch = batch(&tensor(&expected(&made.join(name)), "pixels"));
        let full = logits(&own(&made.join(name)), &batch);
        let mut ways = vec![WeightDtype::Float(Kind::Float), WeightDtype::Float(Kind::BFloat16)];
        if rehead::native::has_int8() {
            ways.push(WeightDtype::Int8);
        }
        for weight_dtype in ways {
            let classifier = load_as(&made.join(name), HeadRequest::FromCheckpoint, weight_dtype).expect("loads");
            let pass = Pass::evaluation(Kind::BFloat16);
            let half = tch::no_grad(|| classifier.logits(&batch, pass)).expect("logits");
            assert_eq!(half.kind(), Kind::Float);
            let found = difference(&half, &full);
            assert!(found < 0.05, "{name}, {weight_dtype:?}: {found}");
        }
    }
}

#[test]
fn dropout_is_drawn_in_training_alone() -> Result<()> {
    let Some(made) = made() else { return Ok(()) };
    let classifier = own(&made.join("dropping"));
    let batch = batch(&tensor(&expected(&made.join("dropping")), "pixels"));
    let draw = |step: u64| {
        let keys = DropoutKeys::new(7, step, 0);
        classifier.logits(&batch, Pass { compute: Kind::Float, dropout: Some(&keys) })
    };
    let first = draw(0)?;
    assert_eq!(first, draw(0)?);
    assert_ne!(first, draw(1)?);
    assert_ne!(first, logits(&classifier, &batch));
    Ok(())
}

#[test]
fn one_that_starts_from_chance_is_drawn_by_its_seed() -> Result<()> {
    let labels = labels();
    let make = |name: &str, seed: u64| {
        let head = HeadRequest::New { labels: &labels, pooling: None, dropout: None, seed: 1 };
        let weight_dtype = WeightDtype::Float(Kind::Float);
        Classifier::fresh(
            name,
            seed,
            &LoadRequest { engine: Engine::Packed, device: CPU, weight_dtype, head, stages: None },
        )
    };
    let (one, same, other) =
        (make("vit_tiny_patch16_224", 3)?, make("vit_tiny_patch16_224", 3)?, make("vit_tiny_patch16_224", 4)?);
    // timm's vit_tiny_patch16_224 with three classes.
    assert_eq!(one.total_parameters(), 5_524_416 + 3 * 193);
    let InputSpec::Image(preprocessing) = &one.input else { panic!("reads images") };
    assert_eq!(preprocessing.crop, (224, 224));
    let batch = batch(&from_torch(2, || Tensor::randn([2, 3, 224, 224], (Kind::Float, CPU))));
    let scores = logits(&one, &batch);
    assert_eq!(scores.size(), [2, 3]);
    assert_eq!(scores, logits(&same, &batch));
    assert_ne!(scores, logits(&other, &batch));
    for refused in ["vit_huge_patch14_224", "vit_tiny_patch16_8"] {
        assert!(make(refused, 1).is_err(), "{refused}");
    }

    let run = tempfile::tempdir().expect("a directory");
    one.save(run.path())?;
    assert_eq!(logits(&own(run.path()), &batch), scores);
    let request = |head| LoadRequest::plain(head);
    assert!(Classifier::fresh("vit_tiny_patch16_224", 1, &request(HeadRequest::FromCheckpoint)).is_err());
    Ok(())
}
