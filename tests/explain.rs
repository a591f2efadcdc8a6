//! `rehead explain`: what words add to a label equals integrated gradients computed on transformers' model, and a map
//! of an image equals what follows from the head's weights.

mod support;

use std::path::Path;

use rehead::batch::{Batch, Inputs};
use rehead::explanation::{Question, activation_map};
use rehead::model::checkpoint::Weights;
use rehead::model::{Classifier, HeadRequest, LoadRequest, Pass};
use serde_json::Value;
use support::{BASIC, Lottery, Scene, csv, labelling_scene, sentiment, training_scene, weights};
use tch::{Device, Kind, Tensor};

const EXPLAIN: &str = "explain --model large_weights --device cpu --threads 1";

fn lines(scene: &Scene, name: &str) -> Vec<Value> {
    scene.text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn scores(line: &Value) -> Vec<f64> {
    line["words"].as_array().unwrap().iter().map(|word| word["score"].as_f64().unwrap()).collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().map(|score| score.abs()).fold(0.0, f64::max);
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 5e-3 * largest, "{found} {expected}");
    }
}

#[test]
fn words_get_the_scores_that_python_computes() {
    let scene = labelling_scene();
    let file = "tests/fixtures/bert/large_weights/expected.explanations.json";
    let expected = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let expected: Vec<Value> = serde_json::from_slice(&expected).unwrap();
    let row = |text: &Value| match text {
        Value::Array(pair) => format!("\"{}\",\"{}\"\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        text => format!("\"{}\",\n", text.as_str().unwrap()),
    };
    for (file, text, is_pair) in [("texts.csv", "text", false), ("pairs.csv", "text,second", true)] {
        let examples: Vec<&Value> = expected.iter().filter(|example| example["text"].is_array() == is_pair).collect();
        let rows: String = examples.iter().map(|example| row(&example["text"])).collect();
        scene.write(file, format!("text,second\n{rows}"));
        for label in ["bad", "mixed", "good"] {
            let words = format!("{EXPLAIN} --input {file} --text {text} --label {label} --output why.jsonl");
            scene.rehead(&words).ok().says(&["explained: why.jsonl"]);
            for (line, example) in lines(&scene, "why.jsonl").iter().zip(&examples) {
                let expected = example["scores"][label].as_array().unwrap();
                assert_close(&scores(line), &expected.iter().map(|score| score.as_f64().unwrap()).collect::<Vec<_>>());
                assert!(line["unexplained"].as_f64().unwrap() < 0.05 && line["label"] == label);
            }
        }
    }
    // Places are in characters, and words are whole.
    let words = &lines(&scene, "why.jsonl")[0]["words"];
    assert_eq!((&words[0]["word"], &words[0]["start"], &words[0]["end"]), (&"no".into(), &0.into(), &2.into()));
    let of_second: Vec<&Value> = words.as_array().unwrap().iter().filter(|word| word["text"] == 1).collect();
    assert_eq!((&of_second[1]["word"], &of_second[1]["start"]), (&"plot".into(), &4.into()));
}

#[test]
fn a_page_and_printed_lines_show_the_words() {
    let scene = labelling_scene();
    scene.write("in.csv", "text\nThe <film> was café good\n\nnot good\n");
    let page = scene.rehead(&format!("{EXPLAIN} --input in.csv --output why.html")).ok();
    page.says(&["1 row without a text: not explained", "2 rows explained: why.html"]);
    let page = scene.text("why.html");
    assert!(page.contains("Why these labels") && page.contains(">film</mark>"), "{page}");
    assert!(page.contains("title=\"+") && page.contains("title=\"-") && !page.contains("<film>"), "{page}");
    let printed = scene.rehead(&format!("{EXPLAIN} --input in.csv --rows 1")).ok();
    let text = printed.stdout_text();
    assert!(text.starts_with("row 1: ") && text.lines().count() == 8 && !text.contains("row 3"), "{text}");
    // From a pipe, as much.
    let piped = scene.rehead(&format!("{EXPLAIN} --input - --rows 1 --quiet")).input(scene.text("in.csv")).ok();
    assert_eq!(piped.stdout_text(), text);
}

#[test]
fn what_is_explained_before_a_fault_is_kept() {
    let scene = labelling_scene();
    scene.write("in.jsonl", "{\"text\": \"good film\"}\n{\"text\": \"bad film\"}\n{\"text\": {\"a\": 1}}\n");
    let outcome = scene.rehead(&format!("{EXPLAIN} --input in.jsonl --output why.jsonl")).run();
    outcome.check(outcome.status.code() == Some(2), "exit status 2");
    outcome.says(&["2 rows explained: why.jsonl", "row 3"]);
    assert_eq!(lines(&scene, "why.jsonl").len(), 2);
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let scene = Scene::with_models(&["large_weights", "bare", "albert/classifier"]);
    scene.write("in.csv", "text\ngood film\n");
    let albert = EXPLAIN.replace("large_weights", "albert/classifier");
    for (words, says) in [
        (format!("{EXPLAIN} --input in.csv --label god"), "did you mean `good`?"),
        (format!("{EXPLAIN} --input in.csv --precision int8"), "explanations are computed in fp32"),
        (format!("{EXPLAIN} --input in.csv --output why.csv"), "not written in this format"),
        (format!("{EXPLAIN} --input in.csv --output absent/why.html"), "there is no folder absent"),
        (format!("{albert} --input in.csv"), "the layers of a `albert` cannot be taken apart"),
        (format!("{} --input in.csv", EXPLAIN.replace("large_weights", "bare")), "head"),
    ] {
        scene.rehead(&words).refused().says(&[says]);
    }
    scene.edit_json("large_weights/config.json", |config| config["problem_type"] = "regression".into());
    scene.rehead(&format!("{EXPLAIN} --input in.csv")).refused();
}

/// Where a head reads the mean over places, how the answer changes with a channel is known without gradients.
#[test]
fn a_map_is_what_follows_from_the_weights_of_the_head() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/models/small-resnet");
    let (classifier, _) = Classifier::load(&folder, &LoadRequest::plain(HeadRequest::FromCheckpoint)).unwrap();
    // Bright on one side.
    let wave = Tensor::linspace(-2.0, 2.0, 64, (Kind::Float, Device::Cpu)).view([1, 1, 1, 64]);
    let pixels = (wave.expand([1, 3, 64, 64], false) + 1.0).permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
    let batch = Batch { examples: vec![0], inputs: Inputs::Pixels(pixels) };
    let stages = classifier.backbone.stages().len();
    let pass = Pass::evaluation(Kind::Float);
    let maps = tch::no_grad(|| classifier.backbone.run(0..stages, &batch, None, pass)).unwrap().get(0);
    let logits = tch::no_grad(|| classifier.logits(&batch, pass)).unwrap().get(0);
    let weights = Weights::open(&folder, Device::Cpu).unwrap();
    let shape: Vec<i64> = weights.shape("fc.weight").unwrap().iter().map(|&size| size as i64).collect();
    let weights = weights.take("fc.weight", &shape).unwrap();
    let mut telling = 0;
    for class in 0..logits.size()[0] {
        let others = logits.softmax(0, Kind::Float);
        let _ = others.get(class).fill_(0.0);
        let others = &others / others.sum(Kind::Float);
        let by_channel = weights.get(class) - others.unsqueeze(0).matmul(&weights).squeeze_dim(0);
        let expected = (&maps * by_channel.view([-1, 1, 1])).sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
        let expected = expected.relu();
        let most = expected.max().double_value(&[]);
        telling += usize::from(most > 0.0);
        let expected: Vec<f64> =
            Vec::try_from((&expected / most.max(1e-12)).flatten(0, -1).to_kind(Kind::Double)).unwrap();
        let found = activation_map(&classifier, &batch, Question::Class(class as usize)).unwrap();
        assert_eq!([found.rows as i64, found.columns as i64], maps.size()[1..]);
        assert!(found.values.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {expected:?}");
    }
    assert!(telling > 1);
}

#[test]
fn images_are_shown_with_the_places_that_count() {
    let scene = Scene::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/models/small-resnet");
    std::fs::create_dir(scene.path("photos")).unwrap();
    let mut lottery = Lottery(1);
    let picture = support::pictures::half_bright(&mut lottery, 60, 60, true);
    picture.save(scene.path("photos/a.png")).unwrap();
    let words = format!("explain --model {} --input photos --device cpu --threads 1 --output", model.display());
    scene.rehead(&format!("{words} why.jsonl")).ok();
    let line = &lines(&scene, "why.jsonl")[0];
    let values: Vec<f64> = line["map"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap().clone())
        .map(|value| value.as_f64().unwrap())
        .collect();
    assert!(values.len() > 3 && values.iter().all(|value| (0.0..=1.0).contains(value)), "{line}");
    scene.rehead(&format!("{words} why.html")).ok();
    let page = scene.text("why.html");
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("<rect ") && page.contains("photos/a.png"));
}

/// The section of a report with the mistakes.
fn mistakes(scene: &Scene, report: &str) -> String {
    let page = scene.text(report);
    let (_, section) = page.split_once("<section id=\"mistakes\"").unwrap_or_else(|| panic!("no mistakes in {report}"));
    section.split_once("</section>").unwrap().0.to_owned()
}

#[test]
fn reports_show_what_spoke_for_the_mistakes_and_nothing_else_changes() {
    let scene = training_scene();
    // Some labels are wrong, so that a good network makes mistakes.
    let mut rows = sentiment(40, 3);
    let other = |label: &str| if label == "positive" { "negative" } else { "positive" };
    rows.iter_mut().take(15).for_each(|row| row.1 = other(row.1));
    scene.write("test.csv", csv(&rows));
    for (run, count) in [("run", "--explain-mistakes 4"), ("none", "--explain-mistakes 0")] {
        scene.rehead(&format!("{BASIC} --test test.csv --epochs 2 --lr 1e-3 {count} --out {run}")).ok();
    }
    let found = mistakes(&scene, "run/report.html");
    assert_eq!(found.matches("<blockquote class=\"why\"").count(), 4, "{found}");
    assert!(found.contains("title=\"+") && found.contains("In 4 of them words are shaded"), "{found}");
    assert!(!mistakes(&scene, "none/report.html").contains("class=\"why\""));
    assert!(weights(&scene, "run") == weights(&scene, "none"));
    for key in ["valid", "test"] {
        assert_eq!(scene.json("run/metrics.json")[key], scene.json("none/metrics.json")[key]);
    }
    scene.rehead("evaluate --model run --data test.csv --threads 1 --precision fp32 --out scores --quiet").ok();
    let (usual, found) = (mistakes(&scene, "scores/report.html"), found.split_once("<ol").unwrap().1.to_owned());
    let first = |section: &str| section.split_once("<blockquote").unwrap().1.split_once("</li>").unwrap().0.to_owned();
    assert_eq!(first(usual.split_once("<ol").unwrap().1), first(&found));
    // Both texts of a pair, though a bar stands in one of them.
    let scene = Scene::with_models(&["large_weights", "albert/classifier"]);
    scene.write("pairs.csv", "a,b,label\ngood | film,not good,good\nnot good,good film,mixed\nawful,bad plot,bad\n");
    let words = "evaluate --threads 1 --data pairs.csv --text a,b --explain-mistakes 3 --out";
    scene.rehead(&format!("{words} scores --model large_weights")).ok();
    let found = mistakes(&scene, "scores/report.html");
    assert!(found.matches("<blockquote class=\"why\"").count() >= 2 && !found.contains("film | not"), "{found}");
    // What cannot be explained costs no more than the explanation.
    let labels = scene.json("albert/classifier/config.json")["label2id"].as_object().unwrap().clone();
    let rows: String = labels.keys().map(|label| format!("good film,bad plot,{label}\n")).collect();
    scene.write("pairs.csv", format!("a,b,label\n{rows}"));
    let outcome = scene.rehead(&format!("{words} refused --model albert/classifier")).ok();
    outcome.says(&["the report does not explain the mistakes", "cannot be taken apart"]);
    assert!(mistakes(&scene, "refused/report.html").contains("What spoke for these answers is not shown"));
}
