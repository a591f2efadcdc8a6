//! What rehead computes equals what Python's transformers computes: token ids, logits and the gradient of every
//! parameter, for random BERT checkpoints that cover the options of its configuration (tests/fixtures), for both
//! engines, and for the other families of text encoders. And an example's result does not depend on what shares its
//! batch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rehead::batch::{ExampleSet, TokenizedSet};
use rehead::data::Input;
use rehead::error::Result;
use rehead::model::checkpoint::Weights;
use rehead::model::{Classifier, DropoutKeys, Engine, HeadRequest, InputSpec, LoadRequest, Pass, Pooling, WeightDtype};
use rehead::task::single_label::CrossEntropy;
use rehead::task::{Loss, Targets};
use rehead::transform::text::TextTokenizer;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

/// A fixture by its folder; those of BERT by their names alone. `TEST_FIXTURES` names another place for all.
fn fixture(name: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = std::env::var_os("TEST_FIXTURES").map_or(ours, PathBuf::from);
    if name.contains('/') { folder.join(name) } else { folder.join("bert").join(name) }
}

fn expected(name: &str) -> Value {
    let file = fixture(name).join("expected.json");
    serde_json::from_slice(&std::fs::read(file).expect("fixture")).expect("fixture")
}

fn tensors(name: &str) -> Weights {
    Weights::open_file(&fixture(name).join("expected.safetensors"), CPU).expect("fixture")
}

fn tensor(weights: &Weights, name: &str) -> Tensor {
    let shape: Vec<i64> =
        weights.shape(name).unwrap_or_else(|| panic!("no {name}")).iter().map(|&n| n as i64).collect();
    weights.take(name, &shape).expect("fixture")
}

fn inputs(expected: &Value) -> Vec<Input> {
    let of = |example: &Value| match &example["text"] {
        Value::Array(pair) => {
            let text = |index: usize| pair[index].as_str().expect("text").to_owned();
            Input::Pair(text(0), text(1))
        }
        text => Input::Text(text.as_str().expect("text").to_owned()),
    };
    expected["examples"].as_array().expect("examples").iter().map(of).collect()
}

/// The fixture's model directory, with what Python would need beside it in the mean-pooled case.
fn load(name: &str, engine: Engine, head: HeadRequest) -> Result<Classifier> {
    let request =
        LoadRequest { engine, device: CPU, weight_dtype: WeightDtype::Float(Kind::Float), head, stages: None };
    Classifier::load(&fixture(name), &request).map(|(classifier, _)| classifier)
}

fn tokenized(name: &str, classifier: &Classifier, expected: &Value) -> TokenizedSet {
    let InputSpec::Text { vocabulary, positions, segments } = classifier.input else { panic!("reads text") };
    let length = expected["max_length"].as_u64().map(|length| length as usize);
    let tokenizer = TextTokenizer::load(&fixture(name), vocabulary, positions, segments, length).expect("tokenizer");
    tokenizer.tokenize(&inputs(expected)).expect("tokens").set
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// Logits of all examples, each in a batch of its own, or all in one.
fn logits(classifier: &Classifier, set: &TokenizedSet, together: bool) -> Tensor {
    let all: Vec<usize> = (0..set.len()).collect();
    let batches: Vec<Vec<usize>> =
        if together { vec![all] } else { all.into_iter().map(|index| vec![index]).collect() };
    let result = Tensor::zeros([set.len() as i64, classifier.head.classes()], (Kind::Float, CPU));
    for examples in batches {
        let batch = set.batch(&examples, CPU).expect("batch");
        let rows = tch::no_grad(|| classifier.logits(&batch, Pass::evaluation(Kind::Float))).expect("logits");
        for (row, &example) in batch.examples.iter().enumerate() {
            result.get(example as i64).copy_(&rows.get(row as i64));
        }
    }
    result
}

/// The fixtures with a head; a line each.
const CLASSIFIERS: &[&str] = &[
    "classifier",
    "large_weights",
    "sharded",
    "mean_pooled",
    "gamma_beta",
    "bf16",
    "fp16_cased",
    "one_segment",
    "roberta/classifier",
    "roberta/padding_third",
    "roberta/mean_pooled",
    "roberta/word_pieces",
    "xlm-roberta/classifier",
    "camembert/classifier",
    "albert/classifier",
    "albert/mean_pooled",
    "distilbert/classifier",
    "distilbert/mean_pooled",
    "electra/classifier",
    "electra/mean_pooled",
    "mpnet/classifier",
    "mpnet/mean_pooled",
    "deberta/classifier",
    "deberta/mean_pooled",
    "deberta-v2/classifier",
    "deberta-v2/mean_pooled",
    "deberta-v2/convolution",
    "modernbert/classifier",
    "modernbert/on_the_mean",
    "fnet/classifier",
    "fnet/mean_pooled",
    "mobilebert/classifier",
    "mobilebert/no_pooler",
    "mobilebert/mean_pooled",
    "xlnet/classifier",
    "xlnet/mean_pooled",
    "longformer/classifier",
    "longformer/mean_pooled",
    "nomic_bert/classifier",
    "nomic_bert/mean_pooled",
    "eurobert/classifier",
    "eurobert/first_token",
    "eurobert/on_the_mean",
    "gte/classifier",
];
/// The bare ones.
#[rustfmt::skip] // a line each
const BARE: &[&str] = &[
    "bare",
    "bare_no_pooler",
    "pretraining",
    "roberta/bare",
    "albert/bare",
    "distilbert/bare",
    "electra/bare",
    "mpnet/bare",
    "deberta/bare",
    "deberta-v2/bare",
    "fnet/bare",
    "mobilebert/bare",
    "xlnet/bare",
    "longformer/bare",
    "modernbert/bare",
    "nomic_bert/on_the_hub",
    "eurobert/bare",
    "gte/bare",
];

/// Those with gradients, all of one batch of unequal lengths.
fn with_gradients() -> impl Iterator<Item = &'static str> {
    CLASSIFIERS.iter().copied().filter(|name| !expected(name)["gradient_batch"].is_null())
}

/// The one that is taken by itself.
fn engine_of(name: &str) -> Engine {
    rehead::model::engines(&fixture(name)).expect(name)[0]
}

/// Some of BERT's fixtures have large weights, with which small errors grow, and MobileBERT's norms only scale.
fn tolerance(name: &str) -> f64 {
    if name.contains('/') && !name.starts_with("mobilebert/") { 1e-5 } else { 1e-4 }
}

#[test]
fn token_ids_equal_transformers() {
    for &name in CLASSIFIERS {
        let expected = expected(name);
        let classifier = load(name, engine_of(name), HeadRequest::FromCheckpoint).expect(name);
        let set = tokenized(name, &classifier, &expected);
        for (index, example) in expected["examples"].as_array().expect("examples").iter().enumerate() {
            let numbers = |key: &str| -> Vec<u32> {
                example[key].as_array().expect(key).iter().map(|id| id.as_u64().expect("id") as u32).collect()
            };
            assert_eq!(set.ids(index), numbers("input_ids"), "{name}: {}", example["text"]);
            let types: Vec<u32> = set.types(index).iter().map(|&t| t.into()).collect();
            assert_eq!(types, numbers("token_type_ids"), "{name}: {}", example["text"]);
        }
    }
}

#[test]
fn logits_equal_transformers_alone_and_in_a_batch() {
    for &name in CLASSIFIERS {
        let expected = expected(name);
        let classifier = load(name, engine_of(name), HeadRequest::FromCheckpoint).expect(name);
        let set = tokenized(name, &classifier, &expected);
        let reference = tensor(&tensors(name), "logits");
        let (alone, together) = (logits(&classifier, &set, false), logits(&classifier, &set, true));
        let difference = largest_difference(&alone, &reference);
        assert!(difference < tolerance(name), "{name}: {difference}");
        // The promise is about probabilities; logits (here up to 8) are judged by their scale.
        let probabilities = |logits: &Tensor| logits.softmax(-1, Kind::Float);
        let difference = largest_difference(&probabilities(&alone), &probabilities(&together));
        assert!(difference < 1e-5, "{name}: probabilities alone and together differ by {difference}");
        let scale = reference.abs().max().double_value(&[]).max(1.0);
        let difference = largest_difference(&alone, &together) / scale;
        assert!(difference < 1e-5, "{name}: logits alone and together differ by {difference} of the largest");
        assert!(reference.std(false).double_value(&[]) > 1e-3, "{name}: the reference says something");
    }
}

#[test]
fn rust_bert_agrees_where_it_can() {
    let mut agreed = 0;
    for &name in CLASSIFIERS {
        let classifier = match load(name, Engine::RustBert, HeadRequest::FromCheckpoint) {
            Ok(classifier) => classifier,
            Err(error) => {
                assert!(error.to_string().contains("rust-bert"), "{name}: {error}");
                continue;
            }
        };
        agreed += 1;
        let expected = expected(name);
        let set = tokenized(name, &classifier, &expected);
        let difference = largest_difference(&logits(&classifier, &set, true), &tensor(&tensors(name), "logits"));
        assert!(difference < 1e-4, "{name}: {difference}");
    }
    assert!(agreed >= 2, "rust-bert took {agreed} fixtures");
}

#[test]
fn features_of_bare_backbones_equal_transformers() {
    let labels = rehead::data::Labels::from_names(["a", "b"]).expect("labels");
    for &name in BARE {
        let (expected, reference) = (expected(name), tensors(name));
        for (pooling, output) in [(Pooling::Cls, "first_token"), (Pooling::Mean, "mean")] {
            let head = HeadRequest::New { labels: &labels, pooling: Some(pooling), dropout: None, seed: 1 };
            let classifier = load(name, engine_of(name), head).expect(name);
            let set = tokenized(name, &classifier, &expected);
            let rows: Vec<Tensor> = (0..set.len())
                .map(|index| {
                    let batch = set.batch(&[index], CPU).expect("batch");
                    let pass = Pass::evaluation(Kind::Float);
                    let features = classifier.backbone.features(0, &batch, None, pooling, pass).expect("features");
                    if pooling == Pooling::Cls && reference.has("pooler_output") {
                        let pooled = classifier.head.penultimate(&features, pass).expect("pooled");
                        let wanted = tensor(&reference, "pooler_output").get(index as i64);
                        assert!(largest_difference(&pooled.get(0), &wanted) < 1e-4, "{name}: pooler");
                    }
                    features.get(0)
                })
                .collect();
            let difference = largest_difference(&Tensor::stack(&rows, 0), &tensor(&reference, output));
            assert!(difference < tolerance(name), "{name}, {output}: {difference}");
        }
    }
}

/// Gradients of every parameter, by the name it is stored under, of the mean cross-entropy over the fixture's batch.
fn gradients(
    classifier: &Classifier,
    set: &TokenizedSet,
    batch: &Value,
    micro: usize,
) -> (f64, BTreeMap<String, Tensor>) {
    let numbers = |key: &str| -> Vec<usize> {
        batch[key].as_array().expect(key).iter().map(|n| n.as_u64().expect("number") as usize).collect()
    };
    let (examples, given) = (numbers("examples"), numbers("labels"));
    let mut labels = vec![0u32; set.len()];
    for (&example, &label) in examples.iter().zip(&given) {
        labels[example] = label as u32;
    }
    let labels = Targets::Classes(labels);
    for parameter in classifier.parameters() {
        let _ = parameter.tensor.set_requires_grad(true);
    }
    let plain = Loss::new(CrossEntropy::new(0.0, None, CPU).expect("loss"));
    let mut loss = 0.0;
    for part in examples.chunks(micro) {
        let batch = set.batch(part, CPU).expect("batch");
        let part = plain
            .of(
                &classifier.logits(&batch, Pass::evaluation(Kind::Float)).expect("logits"),
                &batch,
                &labels,
                examples.len() as f64,
                1.0,
            )
            .expect("loss");
        part.backward();
        loss += part.double_value(&[]);
    }
    let mut gradients = BTreeMap::new();
    for parameter in classifier.parameters() {
        let gradient = parameter.tensor.grad();
        if gradient.defined() {
            gradients.extend(parameter.stored_from(&dense(gradient)).expect("parts"));
        }
    }
    (loss, gradients)
}

#[test]
fn gradients_of_every_parameter_equal_transformers() {
    for name in with_gradients() {
        let (expected, reference) = (expected(name), tensors(name));
        let classifier = load(name, engine_of(name), HeadRequest::FromCheckpoint).expect(name);
        let set = tokenized(name, &classifier, &expected);
        let (loss, found) = gradients(&classifier, &set, &expected["gradient_batch"], usize::MAX);
        assert!(
            (loss - expected["gradient_batch"]["loss"].as_f64().expect("loss")).abs() < 1e-5,
            "{name}: loss {loss}"
        );
        let wanted: Vec<&str> = reference.names().filter_map(|name| name.strip_prefix("gradient.")).collect();
        assert!(wanted.len() > 20);
        for parameter in wanted {
            let reference = tensor(&reference, &format!("gradient.{parameter}"));
            let found = found.get(parameter).unwrap_or_else(|| panic!("{name}: no gradient for {parameter}"));
            let scale = reference.abs().max().double_value(&[]).max(1.0);
            let difference = largest_difference(found, &reference) / scale;
            assert!(difference < tolerance(name), "{name}: {parameter} differs by {difference}");
        }
        assert_eq!(found.len(), reference.names().filter(|name| name.starts_with("gradient.")).count(), "{name}");
    }
}

#[test]
fn accumulated_micro_batches_equal_the_large_batch() {
    let expected = expected("large_weights");
    let load = || load("large_weights", Engine::Packed, HeadRequest::FromCheckpoint).expect("fixture");
    let (one, two) = (load(), load());
    let set = tokenized("large_weights", &one, &expected);
    let (loss, whole) = gradients(&one, &set, &expected["gradient_batch"], usize::MAX);
    let (sum, parts) = gradients(&two, &set, &expected["gradient_batch"], 2);
    assert!((loss - sum).abs() < 1e-6);
    for (name, gradient) in whole {
        let scale = gradient.abs().max().double_value(&[]).max(1.0);
        assert!(largest_difference(&gradient, &parts[&name]) / scale < 1e-5, "{name}");
    }
}

#[test]
fn stage_by_stage_equals_the_whole() -> Result<()> {
    for engine in [Engine::Packed, Engine::RustBert] {
        let expected = expected("classifier");
        let classifier = load("classifier", engine, HeadRequest::FromCheckpoint)?;
        let set = tokenized("classifier", &classifier, &expected);
        let batch = set.batch(&(0..set.len()).collect::<Vec<_>>(), CPU)?;
        let pass = Pass::evaluation(Kind::Float);
        let stages = classifier.backbone.stages().len();
        let whole = classifier.backbone.run(0..stages, &batch, None, pass)?;
        for cut in 1..=stages {
            let prefix = classifier.backbone.run(0..cut, &batch, None, pass)?;
            let rest = classifier.backbone.run(cut..stages, &batch, Some(prefix.shallow_clone()), pass)?;
            assert!(largest_difference(&rest, &whole) < 1e-6);
            for pooling in [Pooling::Cls, Pooling::Mean] {
                let features =
                    classifier.backbone.features(cut, &batch, Some(prefix.shallow_clone()), pooling, pass)?;
                let direct = classifier.backbone.pool(&whole, &batch, pooling)?;
                assert!(largest_difference(&features, &direct) < 1e-5, "{engine:?}, cut {cut}, {pooling:?}");
            }
        }
    }
    Ok(())
}

/// Of the packed encoder; rust-bert draws from the process's one generator, which tests running side by side share.
#[test]
fn dropout_is_drawn_in_training_and_repeats_with_its_keys() -> Result<()> {
    let expected = expected("classifier");
    let classifier = load("classifier", Engine::Packed, HeadRequest::FromCheckpoint)?;
    let set = tokenized("classifier", &classifier, &expected);
    let batch = set.batch(&(0..set.len()).collect::<Vec<_>>(), CPU)?;
    let draw = |step: u64| {
        let keys = DropoutKeys::new(7, step, 0);
        classifier.logits(&batch, Pass { compute: Kind::Float, dropout: Some(&keys) })
    };
    let (first, again, other) = (draw(0)?, draw(0)?, draw(1)?);
    assert_eq!(first, again);
    assert_ne!(first, other);
    Ok(())
}

#[test]
fn bf16_stays_near_fp32() -> Result<()> {
    let expected = expected("classifier");
    let classifier = load("classifier", Engine::Packed, HeadRequest::FromCheckpoint)?;
    let set = tokenized("classifier", &classifier, &expected);
    let batch = set.batch(&(0..set.len()).collect::<Vec<_>>(), CPU)?;
    let full = classifier.logits(&batch, Pass::evaluation(Kind::Float))?;
    let half = classifier.logits(&batch, Pass::evaluation(Kind::BFloat16))?;
    assert_eq!(half.kind(), Kind::Float);
    assert!(largest_difference(&full, &half) < 0.05);
    Ok(())
}

/// Settings that are not computed are refused by name, those of other layouts by the names that they have there.
#[test]
fn what_of_rotary_families_is_not_computed_is_refused_by_name() {
    let directory = std::env::temp_dir().join(format!("rehead-refused-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let labels = rehead::data::Labels::from_names(["a", "b"]).expect("labels");
    let rope = |kind: &str, theta: f64| json!({ "rope_type": kind, "rope_theta": theta });
    for (name, key, value) in [
        ("nomic_bert/on_the_hub", "moe_every_n_layers", json!(2)),
        ("nomic_bert/on_the_hub", "prenorm", json!(true)),
        ("nomic_bert/on_the_hub", "qkv_proj_bias", json!(true)),
        ("nomic_bert/on_the_hub", "mlp_fc1_bias", json!(null)),
        ("nomic_bert/on_the_hub", "rotary_emb_fraction", json!(0.5)),
        ("nomic_bert/on_the_hub", "rotary_emb_interleaved", json!(true)),
        ("nomic_bert/on_the_hub", "rotary_emb_scale_base", json!(512)),
        ("nomic_bert/on_the_hub", "num_heads_kv", json!(1)),
        ("nomic_bert/on_the_hub", "activation_function", json!("gelu")),
        ("nomic_bert/on_the_hub", "img_size", json!(224)),
        // It means the same as `hidden_size`, which says 16.
        ("nomic_bert/on_the_hub", "n_embd", json!(32)),
        ("nomic_bert/classifier", "head_dim", json!(4)),
        ("nomic_bert/classifier", "partial_rotary_factor", json!(0.5)),
        ("nomic_bert/classifier", "rope_parameters", rope("yarn", 1e4)),
        ("nomic_bert/classifier", "rope_parameters", rope("linear", 1e4)),
        ("nomic_bert/classifier", "rope_parameters", rope("default", 0.0)),
        ("nomic_bert/classifier", "rope_scaling", json!({ "type": "dynamic", "factor": 2.0 })),
        ("nomic_bert/classifier", "num_attention_heads", json!(16)),
        ("gte/classifier", "position_embedding_type", json!("absolute")),
        ("gte/classifier", "layer_norm_type", json!("rms_norm")),
        ("gte/classifier", "logn_attention_scale", json!(true)),
        ("gte/classifier", "rope_scaling", json!({ "type": "ntk", "factor": 8.0, "mixed_b": 0.5 })),
        ("gte/classifier", "rope_scaling", json!({ "type": "dynamic", "factor": 8.0 })),
        ("gte/classifier", "rope_scaling", json!({ "type": "ntk", "factor": 0.5 })),
        ("eurobert/bare", "num_key_value_heads", json!(3)),
        ("eurobert/bare", "num_key_value_heads", json!(0)),
        ("eurobert/bare", "head_dim", json!(8)),
        ("eurobert/bare", "rope_scaling", json!({ "rope_type": "llama3", "factor": 8.0 })),
        ("eurobert/bare", "classifier_pooling", json!("max")),
        ("eurobert/bare", "hidden_act", json!("laplace")),
    ] {
        let mut config: Value =
            serde_json::from_slice(&std::fs::read(fixture(name).join("config.json")).expect(name)).expect("settings");
        config[key] = value;
        if key == "n_embd" {
            config["hidden_size"] = json!(16);
        }
        std::fs::write(directory.join("config.json"), config.to_string()).expect("written");
        std::fs::copy(fixture(name).join("model.safetensors"), directory.join("model.safetensors")).expect("copied");
        let head = HeadRequest::New { labels: &labels, pooling: None, dropout: None, seed: 1 };
        let (engine, weight_dtype) = (Engine::Packed, WeightDtype::Float(Kind::Float));
        let request = LoadRequest { engine, device: CPU, weight_dtype, head, stages: None };
        let Err(error) = Classifier::load(&directory, &request) else { panic!("{name}: {key} is taken") };
        assert!(error.to_string().contains(&format!("`{key}`")), "{name}: {key}: {error}");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

/// The kernels for CPUs with fewer instructions than this one give the same: the tests above, once for each set that
/// this CPU can run. Which those are, `native::kernels` says in its own tests.
#[test]
fn every_set_of_kernels_equals_transformers() {
    use rehead::native::kernels::{CHOICE, available};
    if std::env::var_os(CHOICE).is_some() {
        return; // one of those calls
    }
    for set in available() {
        let tests = ["logits_equal_transformers", "gradients_of_every_parameter", "accumulated_micro_batches"];
        let outcome = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(tests)
            .env(CHOICE, set)
            .output()
            .expect("the tests run");
        let printed = String::from_utf8_lossy(&outcome.stdout);
        assert!(outcome.status.success() && printed.contains("3 passed"), "{set}:\n{printed}");
    }
}

/// A word table's gradient has only the rows that were read.
fn dense(gradient: Tensor) -> Tensor {
    if gradient.is_sparse() { gradient.to_dense(None::<Kind>, false) } else { gradient }
}
