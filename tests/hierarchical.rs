//! What hierarchical networks (ConvNeXt, Swin) compute equals what transformers and timm compute, for small random ones
//! of both: logits, features, and the gradient of every parameter. Stages, adapters, precisions, files that are refused,
//! and saved directories, which transformers loads. Needs Python's packages (`make test` puts them into .python).

#[path = "support/networks.rs"]
mod networks;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use networks::{CPU, PLAIN, batch, difference, expected, labels, largest, load, logits, made_by, own, python, tensor};
use rehead::data::Labels;
use rehead::error::Result;
use rehead::model::checkpoint::save_tensors;
use rehead::model::{Classifier, DropoutKeys, HeadRequest, InputSpec, LoadRequest, Pass, Pooling, WeightDtype};
use rehead::random::from_torch;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

/// Checkpoints with a head.
const CLASSIFIERS: [&str; 9] = [
    "convnext",
    "convnext_odd",
    "convnextv2",
    "timm_convnext",
    "timm_convnext_conv",
    "timm_convnextv2",
    "swin",
    "swin_odd",
    "timm_swin",
];

/// The checkpoints, made once for all tests of this file.
fn made() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| made_by("make_hierarchical.py", "hierarchical")).as_deref()
}

fn new_head(labels: &Labels) -> HeadRequest<'_> {
    HeadRequest::New { labels, pooling: Some(Pooling::Cls), dropout: Some(0.0), seed: 1 }
}

#[test]
fn logits_features_and_gradients_equal_transformers_and_timm() {
    let Some(made) = made() else { return };
    for name in CLASSIFIERS {
        let (classifier, report) = load(&made.join(name), HeadRequest::FromCheckpoint).expect(name);
        assert!(report.missing.is_empty() && report.unused.is_empty(), "{name}: {report:?}");
        assert_eq!(classifier.labels.name(2), "class 2", "{name}");
        let expected = expected(&made.join(name));
        let batch = batch(&tensor(&expected, "pixels"));
        let reference = tensor(&expected, "logits");
        assert!(reference.std(false).double_value(&[]) > 0.05 * largest(&reference), "{name} says something");
        let logits_off = difference(&logits(&classifier, &batch), &reference);
        let features = classifier.backbone.features(0, &batch, None, Pooling::Mean, PLAIN).expect(name);
        let features_off = difference(&features, &tensor(&expected, "features"));

        for parameter in classifier.parameters() {
            let _ = parameter.tensor.set_requires_grad(true);
        }
        let keys = DropoutKeys::new(1, 1, 0);
        let training = Pass { compute: Kind::Float, dropout: Some(&keys) };
        let targets = tensor(&expected, "labels").to_kind(Kind::Int64);
        let scores = classifier.logits(&batch, training).expect(name);
        scores.cross_entropy_for_logits(&targets).backward();
        let (mut compared, mut worst) = (0, (0.0, String::new()));
        for parameter in classifier.parameters() {
            for (stored, found) in parameter.stored_from(&parameter.tensor.grad()).expect("parts") {
                let reference = tensor(&expected, &format!("gradient.{stored}"));
                // Where rounding alone is left of a gradient, it is not compared to itself.
                let off = difference(&found, &reference) * largest(&reference) / largest(&reference).max(1e-3);
                if off > worst.0 {
                    worst = (off, stored);
                }
                compared += 1;
            }
        }
        println!("{name}: logits {logits_off:.1e}, features {features_off:.1e}, gradients {worst:?}");
        assert!(logits_off < 1e-4 && features_off < 1e-4 && worst.0 < 1e-4, "{name}");
        assert_eq!(compared, expected.names().filter(|name| name.starts_with("gradient.")).count(), "{name}");
    }
}

#[test]
fn stages_rows_frozen_parts_and_single_images_give_the_same() -> Result<()> {
    let Some(made) = made() else { return Ok(()) };
    for name in CLASSIFIERS {
        let mut classifier = own(&made.join(name));
        let pixels = tensor(&expected(&made.join(name)), "pixels");
        let (images, _, height, width) = pixels.size4()?;
        let batch = batch(&pixels);
        classifier.backbone.set_image_size(height, width)?;
        let (whole, backbone) = (logits(&classifier, &batch), &classifier.backbone);
        let stages = backbone.stages().len();
        let mut x = None;
        for stage in 0..stages {
            let after = tch::no_grad(|| backbone.run(stage..stage + 1, &batch, x.take(), PLAIN))?;
            let layout = backbone.layout(stage + 1);
            let rows = layout.to_rows(after.shallow_clone())?;
            assert_eq!(rows.size(), [images, layout.row_width()], "{name}: {stage}");
            assert_eq!(layout.from_rows(rows.contiguous())?, after, "{name}: {stage}");
            assert_eq!(layout.pool(&after, &batch, Pooling::Mean)?.size(), [images, backbone.stage_width(stage)]);
            let frozen = backbone.run_frozen(stage + 1, &batch, Kind::Float)?;
            assert!(difference(&frozen, &after) < 1e-5, "{name}: {stage}");
            x = Some(after);
        }
        let features = backbone.features(stages, &batch, x, Pooling::Mean, PLAIN)?;
        assert_eq!(classifier.head.forward(&features, PLAIN)?, whole, "{name}: stage by stage");
        for index in 0..images {
            let alone = logits(&classifier, &self::batch(&pixels.narrow(0, index, 1)));
            assert!(difference(&alone, &whole.narrow(0, index, 1)) < 1e-5, "{name}: image {index}");
        }
    }
    Ok(())
}

#[test]
fn adapters_change_nothing_at_first_and_merge_to_the_same() -> Result<()> {
    let Some(made) = made() else { return Ok(()) };
    for (name, linears) in [("convnext", 10), ("timm_convnextv2", 10), ("swin", 5 * 6 + 1)] {
        let mut classifier = own(&made.join(name));
        let batch = batch(&tensor(&expected(&made.join(name)), "pixels"));
        let before = logits(&classifier, &batch);
        classifier.adapt(4, 7)?;
        assert_eq!(classifier.adapters.len(), 2 * linears, "{name}");
        assert_eq!(logits(&classifier, &batch), before, "{name}");
        from_torch(1, || {
            for parameter in &classifier.adapters {
                let _ = tch::no_grad(|| parameter.tensor.shallow_clone().normal_(0.0, 0.1));
            }
        });
        let adapted = logits(&classifier, &batch);
        assert!(difference(&adapted, &before) > 1e-2, "{name}: the adapters do something");
        classifier.merge_adapters()?;
        assert!(difference(&logits(&classifier, &batch), &adapted) < 1e-5, "{name}");
    }
    Ok(())
}

/// Whatever it came from: transformers loads it and computes the same, and so does rehead again, bit by bit.
#[test]
fn a_saved_directory_loads_in_transformers() {
    let Some(made) = made() else { return };
    let labels = labels();
    let directory = tempfile::tempdir().expect("a directory");
    let cases = CLASSIFIERS.iter().enumerate().map(|(index, name)| (*name, index % 2 == 0));
    let runs = cases.chain([("convnext_bare", true), ("swin_bare", true)]).map(|(name, is_new)| {
        let run = directory.path().join(name);
        let head = if is_new { new_head(&labels) } else { HeadRequest::FromCheckpoint };
        let (mut classifier, report) = load(&made.join(name), head).expect(name);
        assert_eq!(report.missing.is_empty(), !is_new, "{name}: {report:?}");
        assert_eq!(report.unused.is_empty(), !is_new || name.ends_with("_bare"), "{name}: {report:?}");
        let InputSpec::Image(mut preprocessing) = classifier.input else { panic!("reads images") };
        preprocessing.crop = (64, 64);
        classifier.set_preprocessing(preprocessing).expect(name);
        let pixels = from_torch(3, || Tensor::randn([2, 3, 64, 64], (Kind::Float, CPU)));
        let found = logits(&classifier, &batch(&pixels));
        std::fs::create_dir(&run).expect("created");
        classifier.save(&run).expect("saved");
        let again = own(&run);
        assert_eq!(logits(&again, &batch(&pixels)), found, "{name}");
        assert_eq!((again.input, again.labels), (classifier.input, classifier.labels), "{name}");
        let results = [("pixels".to_owned(), pixels), ("logits".to_owned(), found)];
        save_tensors(&run.join("results.safetensors"), results).expect("saved");
        run
    });
    println!("{}", python("timm", "check_vit.py", runs.collect::<Vec<_>>()).expect("Python is there"));
}

#[test]
fn bf16_and_8_bits_stay_near_fp32() {
    let Some(made) = made() else { return };
    for name in CLASSIFIERS {
        let batch = batch(&tensor(&expected(&made.join(name)), "pixels"));
        let full = logits(&own(&made.join(name)), &batch);
        let mut ways = vec![WeightDtype::Float(Kind::Float), WeightDtype::Float(Kind::BFloat16)];
        if rehead::native::has_int8() {
            ways.push(WeightDtype::Int8);
        }
        for weight_dtype in ways {
            let request = LoadRequest { weight_dtype, ..LoadRequest::plain(HeadRequest::FromCheckpoint) };
            let (classifier, _) = Classifier::load(&made.join(name), &request).expect(name);
            let pass = Pass::evaluation(Kind::BFloat16);
            let half = tch::no_grad(|| classifier.logits(&batch, pass)).expect("logits");
            assert_eq!(half.kind(), Kind::Float);
            let found = difference(&half, &full);
            assert!(found < 0.05, "{name}, {weight_dtype:?}: {found}");
        }
    }
}

/// Names of timm make networks with as many parameters as timm's have with three classes.
#[test]
fn random_networks_are_drawn_by_their_seed() -> Result<()> {
    let labels = labels();
    let fresh = |name: &str, seed: u64| Classifier::fresh(name, seed, &LoadRequest::plain(new_head(&labels)));
    for (name, parameters) in [("convnext_atto", 3_375_483), ("convnextv2_atto", 3_388_363)] {
        let one = fresh(name, 3)?;
        assert_eq!(one.total_parameters(), parameters, "{name}");
        let batch = batch(&from_torch(2, || Tensor::randn([2, 3, 64, 64], (Kind::Float, CPU))));
        let scores = logits(&one, &batch);
        assert_eq!(scores, logits(&fresh(name, 3)?, &batch), "{name}");
        assert_ne!(scores, logits(&fresh(name, 4)?, &batch), "{name}");
    }
    let swin = Classifier::fresh("swin_tiny_patch4_window7_224", 3, &LoadRequest::plain(new_head(&labels)))?;
    assert_eq!(swin.total_parameters(), 27_521_661);
    Ok(())
}

#[test]
fn dropout_is_drawn_in_training_alone() -> Result<()> {
    let Some(made) = made() else { return Ok(()) };
    let labels = labels();
    let batch = batch(&from_torch(2, || Tensor::randn([2, 3, 48, 48], (Kind::Float, CPU))));
    for (dropout, draws) in [(None, true), (Some(0.0), false)] {
        let head = HeadRequest::New { labels: &labels, pooling: None, dropout, seed: 1 };
        let classifier = load(&made.join("swin_bare"), head)?.0;
        let draw = |step: u64| {
            let keys = DropoutKeys::new(7, step, 0);
            classifier.logits(&batch, Pass { compute: Kind::Float, dropout: Some(&keys) })
        };
        let first = draw(0)?;
        assert_eq!(first, draw(0)?);
        assert_eq!(difference(&first, &draw(1)?) > 1e-3, draws, "{dropout:?}");
        assert_eq!(difference(&first, &logits(&classifier, &batch)) > 1e-3, draws, "{dropout:?}");
    }
    Ok(())
}

/// What is not computed is refused by the name of its setting.
#[test]
fn what_is_not_supported_is_named() {
    let Some(made) = made() else { return };
    let labels = labels();
    let cases = [
        ("timm_convnext", json!({ "kernel_sizes": 5 }), "model_args.kernel_sizes"),
        ("timm_convnext", json!({ "head_norm_first": true }), "model_args.head_norm_first"),
        ("timm_convnext", json!({ "head_hidden_size": 8 }), "model_args.head_hidden_size"),
        ("timm_convnext", json!({ "use_grn": true }), "model_args.use_grn"),
        ("timm_convnext", json!({ "norm_eps": 1e-5 }), "model_args.norm_eps"),
        ("timm_convnext", json!({ "stem_type": "overlap" }), "model_args.stem_type"),
        ("timm_convnext", json!({ "dims": [1, 0] }), "model_args.dims"),
        ("timm_convnextv2", json!({ "ls_init_value": 1.0 }), "model_args.ls_init_value"),
        ("convnext", json!({ "hidden_act": "mish" }), "hidden_act"),
        ("convnext", json!({ "num_channels": 1 }), "num_channels"),
        ("convnext", json!({ "patch_size": [4, 2] }), "patch_size"),
        ("convnext", json!({ "num_stages": 2 }), "num_stages"),
        ("convnext", json!({ "depths": [1, 0, 1] }), "depths"),
        ("timm_swin", json!({ "img_size": 72 }), "model_args.img_size"),
        ("timm_swin", json!({ "window_size": 7 }), "model_args.img_size"),
        ("timm_swin", json!({ "always_partition": true }), "model_args.always_partition"),
        ("timm_swin", json!({ "head_dim": 4 }), "model_args.head_dim"),
        ("timm_swin", json!({ "proj_drop_rate": 0.1 }), "model_args.proj_drop_rate"),
        ("swin", json!({ "use_absolute_embeddings": true }), "use_absolute_embeddings"),
        ("swin", json!({ "num_heads": [3, 4] }), "num_heads"),
        ("swin", json!({ "window_size": 0 }), "window_size"),
        ("swin", json!({ "attention_probs_dropout_prob": 1.0 }), "attention_probs_dropout_prob"),
    ];
    for (name, settings, key) in cases {
        let scene = tempfile::tempdir().expect("a directory");
        let read = std::fs::read(made.join(name).join("config.json")).expect("a configuration");
        let mut config: Value = serde_json::from_slice(&read).expect("JSON");
        let edited = if name.starts_with("timm") { &mut config["model_args"] } else { &mut config };
        let Value::Object(settings) = settings else { panic!("settings") };
        edited.as_object_mut().expect("an object").extend(settings);
        std::fs::write(scene.path().join("config.json"), config.to_string()).expect("written");
        std::fs::copy(made.join(name).join("model.safetensors"), scene.path().join("model.safetensors"))
            .expect("copied");
        let Err(error) = load(scene.path(), new_head(&labels)) else { panic!("{name} with {key} is loaded") };
        assert!(error.to_string().contains(&format!("`{key}`")), "{name}: {error}");
        assert!(error.hint_text().is_some() && error.exit_status() == 2, "{name}: {error}");
    }
    for name in
        ["convnext_tiny_hnf", "convnext_large_mlp", "convnextv2_giant", "swin_s3_tiny_224", "swinv2_tiny_window8_256"]
    {
        let Err(error) = Classifier::fresh(name, 1, &LoadRequest::plain(new_head(&labels))) else { panic!("{name}") };
        assert!(error.to_string().contains("this network is not supported"), "{name}: {error}");
    }
    let error = own(&made.join("timm_convnext")).backbone.set_image_size(31, 64).expect_err("too small");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("32×32")), "{error}");
    // The last map must hold a window.
    let error = own(&made.join("swin")).backbone.set_image_size(48, 12).expect_err("too small");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("13×13")), "{error}");
}
