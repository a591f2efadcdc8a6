//! A run directory loads in Python's transformers and gives the probabilities that `rehead label` writes: a full run as
//! it is, a mean-pooled one with its own module. Needs Python's packages (`make test` puts them into .python).

#[path = "support/python.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::{has_python, python};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Trains on a small real set with the pretrained model, labels the test texts, and has Python check every probability.
/// `others`: arguments of more checks, made in the same process.
fn python_agrees(strategy: &str, flags: &[&str], others: &[Vec<String>]) {
    if !has_python("transformers") {
        return;
    }
    let model = root(".models/all-MiniLM-L6-v2");
    assert!(model.is_dir(), "scripts/setup-model has not run");
    let directory = tempfile::tempdir().expect("a directory");
    let (run, labelled) = (directory.path().join("run"), directory.path().join("labelled.csv"));
    let train_file = directory.path().join("train.csv");
    let reviews = std::fs::read_to_string(root("data/reviews/train.csv")).expect("data/reviews");
    // A fifth is enough to make the head say something.
    let few: String = reviews.lines().take(100).map(|line| format!("{line}\n")).collect();
    std::fs::write(&train_file, few).expect("written");

    let rehead = |arguments: &[&std::ffi::OsStr]| -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_rehead")).args(arguments).output().expect("rehead runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
        said
    };
    let test = root("data/reviews/test.csv");
    let said = rehead(&[
        "train".as_ref(),
        "--train".as_ref(),
        train_file.as_os_str(),
        "--model".as_ref(),
        model.as_os_str(),
        "--strategy".as_ref(),
        strategy.as_ref(),
        "--epochs".as_ref(),
        "1".as_ref(),
        "--precision".as_ref(),
        "fp32".as_ref(),
        "--out".as_ref(),
        run.as_os_str(),
    ]);
    rehead(&[
        "label".as_ref(),
        "--model".as_ref(),
        run.as_os_str(),
        "--input".as_ref(),
        test.as_os_str(),
        "--probabilities".as_ref(),
        "--precision".as_ref(),
        "fp32".as_ref(),
        "--output".as_ref(),
        labelled.as_os_str(),
    ]);
    let check = |flags: &[&str]| {
        let files = [&run, &test, &labelled].map(|path| path.as_os_str());
        let flags = flags.iter().map(std::ffi::OsStr::new);
        println!(
            "{}",
            python("transformers", "check_run.py", files.into_iter().chain(flags)).expect("Python is there")
        );
    };
    match others {
        [] => check(flags),
        others => {
            let own = [&run, &test, &labelled].map(|path| path.display().to_string()).to_vec();
            let lines = std::iter::once(&own).chain(others).map(|check| format!("{}\n", serde_json::json!(check)));
            let list = directory.path().join("checks.jsonl");
            std::fs::write(&list, lines.collect::<String>()).expect("written");
            println!(
                "{}",
                python("transformers", "check_run.py", ["--list".as_ref(), list.as_os_str()]).expect("Python")
            );
        }
    }
    // The lines that the end of training shows do it without a question and without a warning.
    let is_shown = |line: &&str| ["from transformers", "tokenizer = ", "model = "].iter().any(|w| line.starts_with(w));
    let code: Vec<&str> = said.lines().map(str::trim).filter(is_shown).collect();
    assert_eq!(code.len(), 3, "{said}");
    let printed = python("transformers", "run_code.py", [code.join("\n")]).expect("Python is there");
    assert!(!printed.contains("custom code") && !printed.contains("instantiate"), "{printed}");
    if flags.contains(&"--trust-remote-code") {
        check(&["--expect-refusal"]);
    }
}

/// A regression whose numbers are far from 0, labelled: the arguments of its check.
fn regression(folder: &Path) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let row = |row: usize| {
        format!("a {} film of {row},{}.25\n", ["bad", "fair", "good", "great"][row % 4], 500 + 100 * (row % 4))
    };
    let rows: String = (0..40).map(row).collect();
    std::fs::write(folder.join("numbers.csv"), format!("text,stars\n{rows}")).expect("written");
    let (data, run, out) = (path("numbers.csv"), path("numbers"), path("numbers-labelled.csv"));
    let model = root("tests/fixtures/bert/bare").display().to_string();
    let train = format!("train --task regression --label stars --epochs 2 --lr 1e-3 --precision fp32 --train {data}");
    for words in [
        format!("{train} --model {model} --out {run}"),
        format!("label --model {run} --input {data} --precision fp32 --output {out}"),
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_rehead")).args(words.split(' ')).output().expect("rehead runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    vec![run, data, out]
}

#[test]
fn a_full_run_loads_as_it_is() {
    let folder = tempfile::tempdir().expect("a directory");
    python_agrees("full", &[], &[regression(folder.path())]);
}

#[test]
fn a_mean_pooled_run_loads_with_its_own_module_and_is_refused_without() {
    python_agrees("frozen", &["--trust-remote-code"], &[]);
}

/// The pretrained encoder itself, not a small random one: logits, and the gradient of every parameter.
#[test]
fn logits_and_gradients_of_minilm_equal_transformers() {
    use rehead::batch::ExampleSet;
    use rehead::data::{Input, Labels};
    use rehead::model::{Classifier, HeadRequest, InputSpec, LoadRequest, Pass, Pooling, checkpoint};
    use rehead::task::single_label::CrossEntropy;
    use rehead::task::{Loss, Targets};
    use rehead::transform::text::TextTokenizer;
    use tch::{Device, Kind, Tensor};

    if !has_python("transformers") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let texts = ["a stirring, funny film", "it's so laddish and juvenile that it hurts", "no", "Café, très bon!"];
    let given = [1u32, 0, 0, 1];

    let labels = Labels::from_names(["bad", "good"]).expect("labels");
    let head = HeadRequest::New { labels: &labels, pooling: Some(Pooling::Cls), dropout: None, seed: 5 };
    let request = LoadRequest::plain(head);
    let (classifier, _) = Classifier::load(&root(".models/all-MiniLM-L6-v2"), &request).expect("the model");
    let InputSpec::Text { vocabulary, positions, segments } = classifier.input else { panic!("reads text") };
    let tokenizer =
        TextTokenizer::load(&classifier.directory, vocabulary, positions, segments, None).expect("a tokenizer");
    let inputs = texts.map(|text| Input::Text(text.to_owned()));
    let set = tokenizer.tokenize(&inputs).expect("tokens").set;
    classifier.save(directory.path()).expect("saved");
    tokenizer.save(directory.path()).expect("saved");

    for parameter in classifier.parameters() {
        let _ = parameter.tensor.set_requires_grad(true);
    }
    let batch = set.batch(&[0, 1, 2, 3], Device::Cpu).expect("a batch");
    let logits = classifier.logits(&batch, Pass::evaluation(Kind::Float)).expect("logits");
    let plain = Loss::new(CrossEntropy::new(0.0, None, Device::Cpu).expect("a loss"));
    plain.of(&logits, &batch, &Targets::Classes(given.to_vec()), given.len() as f64, 1.0).expect("a loss").backward();
    let ordered = Tensor::zeros_like(&logits.detach());
    for (row, &example) in batch.examples.iter().enumerate() {
        ordered.get(example as i64).copy_(&logits.detach().get(row as i64));
    }
    let mut results = vec![("logits".to_owned(), ordered)];
    for parameter in classifier.parameters() {
        for (name, gradient) in parameter.stored_from(&dense(parameter.tensor.grad())).expect("parts") {
            results.push((format!("gradient.{name}"), gradient));
        }
    }
    let (results_file, texts_file) =
        (directory.path().join("results.safetensors"), directory.path().join("texts.json"));
    checkpoint::save_tensors(&results_file, results).expect("saved");
    std::fs::write(&texts_file, serde_json::json!({ "texts": texts, "labels": given }).to_string()).expect("saved");

    println!(
        "{}",
        python("transformers", "check_gradients.py", [directory.path(), &results_file, &texts_file])
            .expect("Python is there")
    );
}

/// A word table's gradient has only the rows that were read.
fn dense(gradient: tch::Tensor) -> tch::Tensor {
    if gradient.is_sparse() { gradient.to_dense(None::<tch::Kind>, false) } else { gradient }
}
