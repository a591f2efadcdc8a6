//! The strategies between `frozen` and `full`, and the options that go with them, as their users meet them: which
//! tensors each changes, that caching the lower layers changes nothing but the time, that an interruption changes
//! nothing at all, and that each option does what it says.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use rehead::batch::ExampleSet;
use rehead::data::{Input, Labels};
use rehead::model::parameter::{Parameter, Role};
use rehead::model::{Classifier, HeadRequest, InputSpec, LoadRequest, Pass, Pooling};
use rehead::random::from_torch;
use rehead::task::single_label::CrossEntropy;
use rehead::task::{Loss, Targets};
use rehead::transform::text::TextTokenizer;
use support::{
    BASIC, LONG, Lottery, Scene, assert_as_uninterrupted, csv, fields, history, interrupted, sentiment, tensors,
    training_scene, weights,
};
use tch::{Device, Kind, Tensor};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A checkpoint's tensors under the names that a classifier's file gives them.
fn before(scene: &Scene) -> Tensors {
    tensors(&scene.bytes("bare/model.safetensors"))
        .into_iter()
        .map(|(name, tensor)| (format!("bert.{name}"), tensor))
        .collect()
}

fn after(scene: &Scene, run: &str) -> Tensors {
    tensors(&weights(scene, run))
}

fn train(scene: &Scene, how: &str, out: &str) {
    scene.rehead(&format!("{BASIC} {how} --out {out}")).ok();
}

/// The tensors of a run that are not the checkpoint's: another value, or not there at all.
fn changed(scene: &Scene, run: &str) -> BTreeSet<String> {
    let before = before(scene);
    let differs = |(name, tensor): &(String, _)| before.get(name) != Some(tensor);
    after(scene, run).into_iter().filter(differs).map(|(name, _)| name).collect()
}

/// The greatest change of a number in the tensors whose names hold `part`.
fn moved(scene: &Scene, run: &str, part: &str) -> f32 {
    let before = before(scene);
    let farthest = |(name, (_, numbers)): (&String, &(Vec<usize>, Vec<f32>))| {
        numbers.iter().zip(&before[name].1).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max)
    };
    let after = after(scene, run);
    let found: Vec<f32> = after.iter().filter(|(name, _)| name.contains(part)).map(farthest).collect();
    assert!(!found.is_empty(), "no tensor {part}");
    found.into_iter().fold(0f32, f32::max)
}

fn metric(scene: &Scene, run: &str, key: &str) -> f64 {
    scene.json(&format!("{run}/metrics.json"))["valid"][key].as_f64().unwrap()
}

/// Enough to move whatever is trained.
const SOME: &str = "--epochs 2 --batch-size 16 --lr 1e-2";

/// The six weights of a layer that adapters are added to.
const PROJECTIONS: [&str; 6] = [
    "attention.self.query.weight",
    "attention.self.key.weight",
    "attention.self.value.weight",
    "attention.output.dense.weight",
    "intermediate.dense.weight",
    "output.dense.weight",
];

fn is_head(name: &str) -> bool {
    name.starts_with("classifier.") || name.starts_with("bert.pooler.")
}

fn is_projection(name: &str) -> bool {
    (0..3).any(|layer| PROJECTIONS.iter().any(|end| name == format!("bert.encoder.layer.{layer}.{end}")))
}

#[test]
fn each_strategy_changes_exactly_what_it_trains() {
    let scene = training_scene();
    let in_layers = |name: &str, layers: &[usize]| {
        layers.iter().any(|layer| name.starts_with(&format!("bert.encoder.layer.{layer}.")))
    };
    type Trained<'a> = &'a dyn Fn(&str) -> bool;
    let strategies: [(&str, Trained); 9] = [
        ("frozen --pooling cls", &|name| name.starts_with("classifier.")),
        ("last:1", &|name| is_head(name) || in_layers(name, &[2])),
        ("last:2", &|name| is_head(name) || in_layers(name, &[1, 2])),
        ("last:3", &|name| is_head(name) || name.starts_with("bert.encoder.")),
        ("last:4", &|_| true),
        ("full", &|_| true),
        ("gradual", &|_| true),
        ("bitfit", &|name| is_head(name) || name.ends_with(".bias")),
        ("lora:3", &|name| is_head(name) || is_projection(name)),
    ];
    for (strategy, trained) in strategies {
        let run = strategy.split([' ', ':']).collect::<Vec<_>>().join("-");
        // One epoch, which is then the best one.
        train(&scene, &format!("--strategy {strategy} --epochs 1 --batch-size 8 --lr 1e-2"), &run);
        let after = after(&scene, &run);
        // The same tensors as after any run: nothing of an adapter is left.
        let mut names: BTreeSet<String> = before(&scene).into_keys().collect();
        names.extend(["classifier.weight", "classifier.bias"].map(str::to_owned));
        assert_eq!(after.keys().cloned().collect::<BTreeSet<_>>(), names, "{strategy}");

        let expected: BTreeSet<String> = names.into_iter().filter(|name| trained(name)).collect();
        assert_eq!(changed(&scene, &run), expected, "{strategy}");
        let numbers = |name: &String| match (strategy, after[name].0.as_slice()) {
            // A rank of three beside each weight, instead of it.
            ("lora:3", [outputs, inputs]) if is_projection(name) => 3 * (outputs + inputs),
            (_, shape) => shape.iter().product(),
        };
        let metrics = scene.json(&format!("{run}/metrics.json"));
        assert_eq!(metrics["trainable_parameters"], expected.iter().map(numbers).sum::<usize>(), "{strategy}");
        let stored: usize = after.values().map(|(_, numbers)| numbers.len()).sum();
        assert_eq!(metrics["total_parameters"], stored, "{strategy}");
    }
    assert!(weights(&scene, "last-4") == weights(&scene, "full"), "last:4 is not what full is");
}

#[test]
fn a_frozen_backbone_is_saved_as_it_was() {
    let scene = training_scene();
    train(&scene, "--strategy frozen", "run");
    let classifier = ["classifier.bias", "classifier.weight"].map(str::to_owned);
    assert_eq!(changed(&scene, "run"), BTreeSet::from(classifier));
}

#[test]
fn every_run_is_measured_again_as_it_was() {
    let scene = training_scene();
    // A rate at which the answers are neither all right nor all wrong.
    for strategy in ["last:2", "gradual", "lora", "bitfit"] {
        let run = strategy.replace(':', "-");
        train(&scene, &format!("--strategy {strategy} --epochs 3 --batch-size 16 --lr 3e-3"), &run);
        let words = format!("evaluate --model {run} --data valid.csv --precision fp32 --threads 1 --json");
        let found = scene.rehead(&words).ok().json()["test"].clone();
        let reported = scene.json(&format!("{run}/metrics.json"))["valid"].clone();
        for key in ["rows", "accuracy", "macro_f1", "confusion", "per_class"] {
            assert_eq!(found[key], reported[key], "{strategy}: {key}");
        }
        let apart = (found["loss"].as_f64().unwrap() - reported["loss"].as_f64().unwrap()).abs();
        assert!(apart <= 1e-6, "{strategy}: the loss is {apart} apart");
    }
}

#[test]
fn the_rank_is_what_was_asked_for() {
    let scene = training_scene();
    let trained = |how: &str, out: &str| {
        train(&scene, &format!("--strategy {how} --epochs 1"), out);
        scene.json(&format!("{out}/metrics.json"))["trainable_parameters"].as_u64().unwrap()
    };
    let (one, two, eight) = (trained("lora:1", "one"), trained("lora:2", "two"), trained("lora", "eight"));
    assert_eq!(eight - one, 7 * (two - one));
    assert_eq!(scene.json("eight/metrics.json")["strategy"], "lora:8");
}

/// What training with adapters computes is what a network with the weights `W + 2·BA` computes, whatever the matrices
/// hold, and the gradients are those that follow from the gradient of that weight: `2·G·Aᵀ` of B, `2·Bᵀ·G` of A. (That
/// the latter is right, tests/parity.rs shows.)
#[test]
fn adapters_compute_what_the_merged_weights_do() {
    for pooling in [Pooling::Cls, Pooling::Mean] {
        let scene = Scene::with_models(&["bare"]);
        let labels = Labels::from_names(["bad", "good"]).unwrap();
        let head = HeadRequest::New { labels: &labels, pooling: Some(pooling), dropout: None, seed: 3 };
        let request = LoadRequest::plain(head);
        let (mut classifier, _) = Classifier::load(&scene.path("bare"), &request).unwrap();
        let InputSpec::Text { vocabulary, positions, segments } = classifier.input else { panic!("reads text") };
        let tokenizer = TextTokenizer::load(&scene.path("bare"), vocabulary, positions, segments, None).unwrap();
        let inputs = sentiment(9, 4).into_iter().map(|(text, _)| Input::Text(text)).collect::<Vec<_>>();
        let set = tokenizer.tokenize(&inputs).unwrap().set;
        let batch = set.batch(&(0..9).collect::<Vec<_>>(), Device::Cpu).unwrap();
        let given = Targets::Classes(vec![0, 1, 0, 1, 0, 1, 0, 1, 0]);
        let learn = |classifier: &Classifier| {
            let logits = classifier.logits(&batch, Pass::evaluation(Kind::Float)).unwrap();
            let loss = Loss::new(CrossEntropy::new(0.0, None, Device::Cpu).unwrap());
            loss.of(&logits, &batch, &given, 9.0, 1.0).unwrap().backward();
            logits.detach()
        };

        let plain = tch::no_grad(|| classifier.logits(&batch, Pass::evaluation(Kind::Float))).unwrap();
        classifier.adapt(3, 5).unwrap();
        let fresh = tch::no_grad(|| classifier.logits(&batch, Pass::evaluation(Kind::Float))).unwrap();
        assert_eq!(plain, fresh, "a fresh adapter changes something");

        // By projection: A and B. B is nothing yet.
        let mut adapters: BTreeMap<String, [Tensor; 2]> = BTreeMap::new();
        for (index, pair) in classifier.adapters.chunks(2).enumerate() {
            let [down, up] = pair else { panic!("adapters come in pairs") };
            let name = down.name().strip_suffix(".lora_A.weight").expect("A first");
            assert_eq!(up.name().strip_suffix(".lora_B.weight"), Some(name));
            for parameter in [down, up] {
                let _ = parameter.tensor.shallow_clone().set_requires_grad(true);
            }
            let _ = from_torch(index as u64, || tch::no_grad(|| up.tensor.shallow_clone().normal_(0.0, 0.3)));
            adapters.insert(name.to_owned(), [&down.tensor, &up.tensor].map(Tensor::shallow_clone));
        }
        assert_eq!(adapters.len(), 18);
        let apart = learn(&classifier);
        assert!(largest(&(&apart - &plain)) > 0.01, "the adapters add nothing");

        classifier.merge_adapters().unwrap();
        assert!(classifier.adapters.is_empty());
        for parameter in classifier.parameters() {
            let _ = parameter.tensor.set_requires_grad(true);
        }
        let merged = learn(&classifier);
        assert!(largest(&(&merged - &apart)) < 1e-5, "{pooling:?}: other logits once merged");
        let gradients: BTreeMap<String, Tensor> = classifier
            .parameters()
            .filter(|parameter| parameter.role != Role::Table)
            .flat_map(|parameter: &Parameter| parameter.stored_from(&parameter.tensor.grad()).unwrap())
            .collect();
        for (name, [down, up]) in &adapters {
            let gradient = &gradients[&format!("{name}.weight")];
            let expected = [up.transpose(0, 1).matmul(gradient), gradient.matmul(&down.transpose(0, 1))];
            for (found, expected) in [down.grad(), up.grad()].iter().zip(expected) {
                let expected: Tensor = expected * 2.0;
                let scale = largest(&expected).max(1e-3);
                assert!(largest(&(found - &expected)) < 1e-4 * scale, "{pooling:?}: the gradient of {name}'s adapter");
            }
        }
    }
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.detach().abs().max().double_value(&[])
}

/// Texts that are repeated, cut short, and of one character, so that the kept activations must find each example's own.
fn varied_scene() -> Scene {
    let scene = training_scene();
    let mut rows = sentiment(60, 7);
    rows[20].0 = rows[4].0.clone();
    rows[31].0 = rows[5].0.clone();
    rows[40].0 = Lottery(3).words(60, 60);
    rows[41].0 = ".".to_owned();
    scene.write("train.csv", csv(&rows));
    scene
}

#[test]
fn cached_lower_layers_change_no_bit() {
    let scene = varied_scene();
    let (pooled, split) = ("last:2 --pooling mean", "last:1 --micro-batch-tokens 20");
    for (strategy, threads) in [("last:1", 1), ("last:1", 2), ("last:3", 1), (pooled, 1), (split, 1)] {
        let ways = [
            "--cache off",
            "--cache on",
            "--cache-memory 0",
            "--cache-dir kept",
            "--cache-dir kept",
            "--cache-dir kept --cache-memory 0",
        ];
        for (number, way) in ways.into_iter().enumerate() {
            let words =
                format!("--strategy {strategy} {SOME} --log-every 1 --threads {threads} {way} --out run-{number}");
            let outcome = scene.rehead(&format!("{}{words}", BASIC.replace("--threads 1", ""))).ok();
            let context = format!("{strategy}, {threads} threads, {way}");
            outcome.check(outcome.stderr.contains("lower layers") == (number > 0), &context);
            let counts = (outcome.stderr.matches("found in ").count(), outcome.stderr.matches("computed once").count());
            assert_eq!(counts, [(0, 0), (0, 2), (0, 2), (0, 2), (2, 0), (2, 0)][number], "{context}\n{outcome}");
            assert_eq!(outcome.stderr.matches("in memory").count(), if number == 1 { 2 } else { 0 }, "{context}");

            let run = format!("run-{number}");
            assert!(weights(&scene, &run) == weights(&scene, "run-0"), "{context}: other weights");
            assert_eq!(history(&scene, &run), history(&scene, "run-0"), "{context}");
            assert!(!scene.everything_in(&run).keys().any(|name| name.contains("activations")), "{context}");
        }
        let kept = scene.everything_in("kept");
        assert_eq!(kept.len(), 4, "a file and its account for each split: {:?}", kept.keys());
        for run in 0..ways.len() {
            scene.remove(&format!("run-{run}"));
        }
        scene.remove("kept");
    }
}

#[test]
fn what_is_kept_is_found_by_what_it_holds() {
    let scene = varied_scene();
    scene.add_model("classifier");
    let found = |how: &str| {
        let out = format!("run-{}", Lottery(how.len() as u64).below(1 << 30));
        let words = "train --train train.csv --valid valid.csv --model bare --device cpu --threads 1 --cache-dir kept";
        let said = scene.rehead(&format!("{words} {how} --out {out}")).ok().stderr;
        scene.remove(&out);
        said.matches("found in ").count()
    };
    const FIRST: &str = "--strategy last:1 --precision fp32 --epochs 1";
    assert_eq!(found(FIRST), 0);
    // What is trained after it does not matter,
    assert_eq!(found("--strategy last:1 --precision fp32 --epochs 2 --seed 7 --head-init probe"), 2);
    // but what is read, how much of it is run, and in which kind, does.
    assert_eq!(found("--strategy last:2 --precision fp32 --epochs 1"), 0);
    assert_eq!(found("--strategy last:1 --precision bf16 --epochs 1"), 0);
    assert_eq!(found(&format!("{FIRST} --max-length 6")), 0);
    assert_eq!(found(&format!("{FIRST} --reinit-layers 1")), 2);
    assert_eq!(found(&format!("{FIRST} --reinit-layers 2")), 0);
    scene.write("valid.csv", csv(&sentiment(20, 9)));
    assert_eq!(found(FIRST), 1);
    scene.copy("classifier", "bare");
    assert_eq!(found(FIRST), 0);
}

#[test]
fn a_damaged_file_of_activations_is_computed_again() {
    let scene = varied_scene();
    let words = format!("{BASIC} --strategy last:1 {SOME} --cache-dir kept");
    scene.rehead(&format!("{words} --out whole")).ok();
    let whole = scene.everything_in("kept");
    let large = |name: &&String| name.ends_with(".bin");
    let file = whole.keys().filter(large).max_by_key(|name| whole[*name].as_ref().unwrap().len()).unwrap().clone();
    let account = file.replace(".bin", ".json");
    let content = |name: &str| whole[name].clone().unwrap();
    let with = |name: &str, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = content(name);
        edit(&mut bytes);
        (name.to_owned(), bytes)
    };
    let middle = content(&file).len() / 2;
    let damages = [
        with(&file, &|bytes| bytes[middle] ^= 1),
        with(&file, &|bytes| bytes.truncate(middle)),
        with(&file, &|bytes| bytes.clear()),
        with(&file, &|bytes| bytes.push(0)),
        with(&account, &|bytes| bytes.truncate(20)),
        with(&account, &|bytes| *bytes = b"{}".to_vec()),
        with(&account, &|bytes| *bytes = String::from_utf8_lossy(bytes).replace("Float", "Half").into_bytes()),
    ];
    let again = |context: &str| {
        let outcome = scene.rehead(&format!("{words} --out run")).ok();
        let said = (outcome.stderr.matches("found in ").count(), outcome.stderr.matches("computed once").count());
        assert_eq!(said, (1, 1), "{context}\n{outcome}");
        assert!(weights(&scene, "run") == weights(&scene, "whole"), "{context}: other weights");
        // It is whole now, but for the time in the account.
        assert!(scene.bytes(&format!("kept/{file}")) == content(&file), "{context}: the file is still damaged");
        scene.remove("run");
    };
    for (number, (name, damaged)) in damages.into_iter().enumerate() {
        scene.write(&format!("kept/{name}"), damaged);
        again(&format!("damage {number} of {name}"));
    }
    for name in [&file, &account] {
        scene.remove(&format!("kept/{name}"));
        again(&format!("without {name}"));
    }
}

#[test]
fn an_interrupted_run_goes_on_as_if_it_had_not_been_whatever_is_trained() {
    // How, and after which steps of 192. Gradual: a stage joins at 20, 39, 58 and 77.
    let ways: [(&str, &[usize]); 6] = [
        ("--strategy last:1", &[20]),
        ("--strategy last:2 --cache-memory 0", &[1]),
        ("--strategy gradual", &[10, 45, 90]),
        ("--strategy lora", &[40]),
        ("--strategy bitfit", &[40]),
        ("--layer-decay 0.8 --head-init probe", &[5]),
    ];
    for (how, moments) in ways {
        let scene = training_scene();
        let words = format!("{BASIC} {LONG} {how}");
        scene.rehead(&format!("{words} --out whole")).ok();
        for &steps in moments {
            let context = format!("{how}, after step {steps}");
            let outcome = interrupted(&scene, &format!("{words} --out run"), libc::SIGINT, steps);
            outcome.check(outcome.status.code() == Some(130), "exit status 130");
            assert!(!scene.exists("run/metrics.json"), "{context}: a half run has metrics");
            let outcome = scene.rehead("train --resume --out run").ok();
            outcome.check(!outcome.stderr.contains("features: "), "the probe not to be fitted again");
            assert_as_uninterrupted(&scene, &context);
            scene.remove("run");
        }
    }
}

#[test]
fn an_interruption_while_lower_layers_are_computed_leaves_no_half_of_them() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(20_000, 1)));
    let words = format!("{BASIC} --strategy last:1 --epochs 1 --cache-dir");
    scene.rehead(&format!("{words} elsewhere --out whole")).ok();
    let mut running = scene.rehead(&format!("{words} kept --out run")).start();
    running.wait_until(|running| running.stderr().contains("computed once"));
    running.signal(libc::SIGINT);
    let outcome = running.wait();
    outcome.check(outcome.status.code() == Some(130), "exit status 130");
    outcome.says(&["rehead train --resume --out run"]);
    let half = scene.everything_in("kept").into_keys().filter(|name| !name.starts_with("activations-")).count();
    assert_eq!(half, 0, "{}", scene.listing());
    scene.rehead("train --resume --out run").ok();
    assert!(weights(&scene, "run") == weights(&scene, "whole"));
    let names = |folder: &str| scene.everything_in(folder).into_keys().collect::<Vec<_>>();
    assert_eq!(names("kept"), names("elsewhere"));
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let scene = Scene::with_models(&["bare", "classifier"]);
    scene.write("train.csv", csv(&sentiment(64, 1)));
    for (how, told) in [
        ("--model bare --strategy last:99", ["the network has 4 stages", "last:4"]),
        ("--model bare --strategy last:5", ["the network has 4 stages", "last:4"]),
        ("--model bare --reinit-layers 99", ["the network has 3", "reinit_layers"]),
        ("--model bare --reinit-layers 4", ["the network has 3", "reinit_layers"]),
        ("--model classifier --strategy lora --engine rust-bert", ["rust-bert", "lora"]),
    ] {
        let outcome = scene.rehead(&format!("train --train train.csv --threads 1 {how} --out run")).refused();
        outcome.says(&told).says(&["hint: "]);
        assert!(!scene.exists("run"), "{how}: the refusal left files");
    }
    for (how, told) in [
        ("--strategy last:0", "write `frozen`"),
        ("--strategy last", "such as `last:2`"),
        ("--strategy lora:0", "the rank"),
        ("--strategy bitfit:2", "write `bitfit`"),
        ("--layer-decay 0", "--layer-decay"),
        ("--label-smoothing 1", "--label-smoothing"),
        ("--cache maybe", "--cache"),
    ] {
        scene.rehead(&format!("train --train train.csv --model bare {how} --out run")).refused().says(&[told]);
    }
}

#[test]
fn layers_learn_the_more_slowly_the_lower_they_are() {
    let scene = training_scene();
    let how = "--epochs 2 --batch-size 16 --lr 1e-2 --weight-decay 0";
    for (out, decay) in [("plain", ""), ("even", "--layer-decay 1.0"), ("steep", "--layer-decay 0.001")] {
        train(&scene, &format!("{how} {decay}"), out);
    }
    assert!(weights(&scene, "even") == weights(&scene, "plain"), "--layer-decay 1.0 is not the default");

    // Eight steps of at most the rate, which is a thousandth for each layer further down.
    let bounds =
        [("encoder.layer.2", 1e-5), ("encoder.layer.1", 1e-8), ("encoder.layer.0", 1e-11), ("embeddings", 1e-14)];
    for (part, rate) in bounds {
        // Numbers near 1 are stored to within 1e-7.
        assert!(moved(&scene, "steep", part) <= 8.0 * rate + 2e-7, "{part}: {}", moved(&scene, "steep", part));
        assert!(moved(&scene, "plain", part) > 1e-3, "{part}");
    }
    assert!(moved(&scene, "steep", "encoder.layer.2") > 1e-6);
    assert!(moved(&scene, "steep", "pooler") > 1e-3, "the pooler has the whole rate");
}

#[test]
fn the_head_has_a_rate_of_its_own() {
    let scene = training_scene();
    train(&scene, "--epochs 1 --lr 1e-12 --head-lr 1e-2", "run");
    train(&scene, "--epochs 1 --lr 1e-12", "still");
    let classifier = |run: &str| after(&scene, run)["classifier.weight"].1.clone();
    assert!(moved(&scene, "run", "encoder") < 1e-6);
    assert!(classifier("run").iter().zip(classifier("still")).any(|(a, b)| (a - b).abs() > 1e-3));
}

/// The mean of the greatest probability of each text.
fn confidence(scene: &Scene, run: &str) -> f64 {
    let words = format!("label --model {run} --input test.csv --probabilities --precision fp32 --threads 1");
    scene.rehead(&format!("{words} --output {run}.csv")).ok();
    let output = scene.text(&format!("{run}.csv"));
    let rows = &fields(&output)[1..];
    let greatest = |row: &Vec<&str>| row.iter().rev().take(2).map(|p| p.parse::<f64>().unwrap()).fold(0.0, f64::max);
    rows.iter().map(greatest).sum::<f64>() / rows.len() as f64
}

#[test]
fn smoothed_labels_make_it_less_sure() {
    for strategy in ["full --epochs 10 --batch-size 8 --lr 5e-3", "frozen"] {
        let scene = training_scene();
        train(&scene, &format!("--strategy {strategy}"), "plain");
        train(&scene, &format!("--strategy {strategy} --label-smoothing 0"), "none");
        train(&scene, &format!("--strategy {strategy} --label-smoothing 0.2"), "smoothed");
        assert!(weights(&scene, "none") == weights(&scene, "plain"), "{strategy}");
        let (plain, smoothed) = (confidence(&scene, "plain"), confidence(&scene, "smoothed"));
        assert!(smoothed < plain - 0.005, "{strategy}: {smoothed} against {plain}");
    }
}

/// One text in twelve is positive, and the words say it less often than not.
fn rare(rows: usize, seed: u64) -> String {
    let mut lottery = Lottery(seed);
    let row = |row: usize| {
        let positive = row.is_multiple_of(12);
        let told = lottery.below(4) > 0;
        let word = if positive == told { "good" } else { "bad" };
        (format!("{} {word}", lottery.words(1, 3)), if positive { "positive" } else { "negative" })
    };
    csv(&(0..rows).map(row).collect::<Vec<_>>())
}

#[test]
fn balanced_weights_find_more_of_the_rare_class() {
    for strategy in ["full --epochs 6 --batch-size 16 --lr 5e-3", "frozen"] {
        let scene = training_scene();
        scene.write("train.csv", rare(360, 1));
        scene.write("valid.csv", rare(240, 2));
        for (out, how) in [("plain", ""), ("none", "--class-weights none"), ("balanced", "--class-weights balanced")] {
            train(&scene, &format!("--strategy {strategy} {how}"), out);
        }
        assert!(weights(&scene, "none") == weights(&scene, "plain"), "{strategy}");
        let recall = |run: &str| {
            let metrics = scene.json(&format!("{run}/metrics.json"));
            metrics["valid"]["per_class"]["positive"]["recall"].as_f64().unwrap()
        };
        let (plain, balanced) = (recall("plain"), recall("balanced"));
        assert!(balanced > plain + 0.2, "{strategy}: {balanced} against {plain}");
    }
}

#[test]
fn a_probe_begins_where_frozen_training_ends() {
    let scene = training_scene();
    train(&scene, "--strategy frozen --pooling cls", "frozen");
    // Steps too small to change anything.
    for strategy in ["full", "last:1", "lora", "bitfit", "gradual"] {
        let run = format!("probe-{}", strategy.replace(':', "-"));
        train(&scene, &format!("--strategy {strategy} --head-init probe --epochs 1 --lr 1e-12"), &run);
        let (frozen, probe) = (metric(&scene, "frozen", "loss"), metric(&scene, &run, "loss"));
        assert!((frozen - probe).abs() < 1e-5, "{strategy}: {probe}, frozen {frozen}");
    }
    train(&scene, "--head-init random --epochs 1 --lr 1e-12", "random");
    train(&scene, "--epochs 1 --lr 1e-12", "neither");
    assert!((metric(&scene, "random", "loss") - metric(&scene, "frozen", "loss")).abs() > 0.01);
    assert!(weights(&scene, "random") == weights(&scene, "neither"), "random is not the default");
}

#[test]
fn the_head_may_sit_on_an_earlier_stage() {
    let scene = training_scene();
    for strategy in ["frozen", "full"] {
        train(&scene, &format!("--strategy {strategy} --stages 2 --epochs 1"), strategy);
        assert_eq!(scene.json(&format!("{strategy}/config.json"))["num_hidden_layers"], 1);
        let names: Vec<String> = after(&scene, strategy).into_keys().collect();
        assert!(names.iter().any(|name| name.contains("encoder.layer.0.")), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("encoder.layer.1.")), "{names:?}");
        let words = format!("evaluate --model {strategy} --data valid.csv --precision fp32 --threads 1 --json");
        let again = scene.rehead(&words).ok().json();
        assert_eq!(again["test"]["accuracy"], scene.json(&format!("{strategy}/metrics.json"))["valid"]["accuracy"]);
    }
    // The embeddings alone are a network too, and can be read again.
    train(&scene, "--strategy frozen --stages 1", "one");
    scene.rehead("label --model one --input valid.csv --output one.csv --threads 1").ok();
    for stages in ["0", "5"] {
        scene.rehead(&format!("{BASIC} --out none --stages {stages}")).refused().says(&["stages"]);
    }
}

#[test]
fn reinitialised_layers_are_the_last_ones() {
    let scene = training_scene();
    for layers in 0..=3 {
        let run = format!("run-{layers}");
        train(&scene, &format!("--epochs 1 --lr 1e-60 --reinit-layers {layers}"), &run);
        let mut expected: BTreeSet<String> = ["classifier.bias", "classifier.weight"].map(str::to_owned).into();
        let is_new = |name: &&String| (3 - layers..3).any(|layer| name.contains(&format!("encoder.layer.{layer}.")));
        expected.extend(before(&scene).keys().filter(is_new).cloned());
        assert_eq!(changed(&scene, &run), expected, "{layers} layers");
    }
    // As a new network is: matrices around nothing, no biases, norms that scale by one; by the seed alone.
    for (name, (shape, numbers)) in after(&scene, "run-1").iter().filter(|(name, _)| name.contains("layer.2.")) {
        if shape.len() > 1 {
            let squares: f32 = numbers.iter().map(|x| x * x).sum();
            let std = (squares / numbers.len() as f32).sqrt();
            assert!((0.015..0.025).contains(&std), "{name}: {std}");
        } else {
            let value = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
            assert!(numbers.iter().all(|&x| x == value), "{name}");
        }
    }
    train(&scene, "--epochs 1 --lr 1e-60 --reinit-layers 1", "again");
    train(&scene, "--epochs 1 --lr 1e-60 --reinit-layers 1 --seed 43", "other");
    assert!(weights(&scene, "again") == weights(&scene, "run-1"));
    let drawn = |run: &str| after(&scene, run)["bert.encoder.layer.2.output.dense.weight"].1.clone();
    assert!(drawn("other") != drawn("run-1"), "the seed changes nothing");
}

#[test]
fn the_rows_held_out_are_chosen_by_a_seed_of_their_own() {
    let scene = training_scene();
    let support = |seeds: &str, out: &str| {
        let words = "train --train train.csv --valid-fraction 0.3 --model bare --precision fp32 --threads 1";
        scene.rehead(&format!("{words} --strategy last:1 --epochs 1 --cache-dir kept {seeds} --out {out}")).ok().stderr
    };
    // The cached lower layers are found again exactly when the same rows are held out.
    support("--seed 1 --split-seed 5", "first");
    assert_eq!(support("--seed 2 --split-seed 5", "second").matches("found in ").count(), 2);
    assert!(weights(&scene, "first") != weights(&scene, "second"));
    assert_eq!(support("--seed 1 --split-seed 6", "third").matches("found in ").count(), 0);
    support("--seed 5", "fourth");
    assert_eq!(support("--seed 6 --split-seed 5", "fifth").matches("found in ").count(), 2);
}

#[test]
fn a_profile_says_where_the_time_goes_and_changes_nothing() {
    let scene = training_scene();
    train(&scene, SOME, "plain");
    let outcome = scene.rehead(&format!("{BASIC} {SOME} --profile --out profiled")).ok();
    outcome.says(&["where the time goes", "matrix products"]);
    assert!(weights(&scene, "profiled") == weights(&scene, "plain"));
}
