//! Stories about unequal classes through the real binary: what each class weighs, the scores that look at all of them,
//! by which the epoch is chosen, and the focal loss.

mod support;

use support::*;

/// Few epochs that move whatever is trained.
const SOME: &str = "--epochs 3 --batch-size 16 --lr 5e-3";

fn train(scene: &Scene, how: &str, out: &str) -> Outcome {
    scene.rehead(&format!("{BASIC} {how} --out {out}")).ok()
}

fn recall(scene: &Scene, run: &str, label: &str) -> f64 {
    scene.json(&format!("{run}/metrics.json"))["valid"]["per_class"][label]["recall"].as_f64().unwrap()
}

#[test]
fn given_weights_decide_for_their_label_in_every_strategy() {
    let scene = training_scene();
    for strategy in ["full", "frozen", "last:1", "lora"] {
        let how = format!("--strategy {strategy} {SOME}");
        let run = |name: &str| format!("{}-{name}", strategy.replace(':', "-"));
        train(&scene, &format!("{how} --class-weights negative=50"), &run("negative"));
        train(&scene, &format!("{how} --class-weights positive=50"), &run("positive"));
        let [negative, positive] = ["negative", "positive"].map(|name| recall(&scene, &run(name), "positive"));
        assert!(positive > negative + 0.2, "{strategy}: {positive} against {negative}");
    }
}

#[test]
fn weights_are_the_same_from_pairs_files_and_toml() {
    let scene = training_scene();
    scene.write("weights.json", r#"{"negative": 3, "positive": 0.5}"#);
    scene.write("weights.csv", "label,weight\npositive,0.5\nnegative,3\n");
    scene.write("table.toml", "[training]\nclass_weights = { negative = 3, positive = 0.5 }\n");
    scene.write("text.toml", "[training]\nclass_weights = 'negative=3,positive=0.5'\n");
    let frozen = "--strategy frozen";
    train(&scene, frozen, "plain");
    train(&scene, &format!("{frozen} --class-weights negative=3,positive=0.5"), "pairs")
        .says(&["class weights: `negative` 3, `positive` 0.5"]);
    // Only their ratio counts.
    train(&scene, &format!("{frozen} --class-weights negative=6"), "one");
    assert!(weights(&scene, "pairs") == weights(&scene, "one"));
    assert!(weights(&scene, "pairs") != weights(&scene, "plain"));
    for (out, how) in [
        ("json", "--class-weights weights.json"),
        ("csv", "--class-weights weights.csv"),
        ("table", "--config table.toml"),
        ("text", "--config text.toml"),
        ("set", "--set class_weights={negative=3,positive=0.5}"),
        // What was saved trains the same again.
        ("again", "--config table/rehead.toml"),
    ] {
        train(&scene, &format!("{frozen} {how}"), out);
        assert!(weights(&scene, out) == weights(&scene, "pairs"), "{out}");
    }
    // As without weights, where all weigh the same.
    train(&scene, &format!("{frozen} --class-weights none"), "none");
    assert!(weights(&scene, "none") == weights(&scene, "plain"));
}

#[test]
fn what_is_no_weight_of_a_label_is_refused_with_the_labels() {
    let scene = training_scene();
    scene.write("bad.csv", "label,weight\npositive,2\nneutral,3\n");
    scene.write("bad.json", r#"{"positive": 0}"#);
    scene.write("bad.toml", "[training]\nclass_weights = { positive = -1.0 }\n");
    for (how, parts) in [
        ("--class-weights negatve=2", ["`negatve` is not a label", "did you mean `negative`?"]),
        ("--class-weights positive=0", ["the weight of `positive` is `0`", "above 0"]),
        ("--class-weights positive=inf", ["the weight of `positive` is `inf`", "above 0"]),
        ("--class-weights positive=much", ["the weight of `positive` is `much`", "above 0"]),
        ("--class-weights positive", ["`positive` is neither a file nor weights", "a=2,b=0.5"]),
        ("--class-weights bad.csv", ["bad.csv: line 3", "`neutral` is not a label"]),
        ("--class-weights bad.json", ["bad.json", "the weight of `positive` is `0`"]),
        ("--config bad.toml", ["class_weights", "the weight of `positive` is `-1`"]),
    ] {
        scene
            .rehead(&format!("{BASIC} {how} --out run"))
            .refused()
            .says(&parts)
            .says(&["hint: ", "the labels are `negative` and `positive`"]);
    }
    scene.write(
        "bad.toml",
        "[training]
class_weights = 3
",
    );
    scene
        .rehead(&format!("{BASIC} --config bad.toml --out run"))
        .refused()
        .says(&["class_weights", "weights by label"]);
    assert!(!scene.exists("run"), "a refused run leaves something");
}

#[test]
fn a_run_is_resumed_with_the_weights_that_it_began_with() {
    let scene = training_scene();
    scene.write("weights.csv", "negative,3\n");
    let words = format!("{BASIC} {LONG} --class-weights weights.csv --out run");
    interrupted(&scene, &words, 2, 3);
    scene.write("weights.csv", "negative,4\n");
    scene.rehead("train --resume --out run").refused().says(&["the class weights changed", "hint: "]);
    scene.rehead("train --resume --out run --class-weights negative=3").refused().says(&["training.class_weights"]);
    // The content counts, not the name.
    scene.write("moved.csv", "negative,3\n");
    scene.rehead("train --resume --out run --class-weights moved.csv").ok();
}

/// The pairs of a row with the second label and one without it that the probability orders correctly, half of those
/// that it holds equal; over all pairs.
fn area_by_pairs(scene: &Scene, predictions: &str) -> f64 {
    let text = scene.text(predictions);
    let rows = fields(&text);
    let column = |name: &str| rows[0].iter().position(|header| *header == name).unwrap();
    let (label, probability) = (column("label"), column("p_positive"));
    let of = |positive: bool| {
        let rows = rows[1..].iter().filter(move |row| (row[label] == "positive") == positive);
        rows.map(|row| row[probability].parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let (positive, negative) = (of(true), of(false));
    let order = |(a, b): (f64, f64)| {
        if a > b {
            1.0
        } else if a == b {
            0.5
        } else {
            0.0
        }
    };
    let pairs = positive.iter().flat_map(|a| negative.iter().map(move |b| (*a, *b)));
    pairs.map(order).sum::<f64>() / (positive.len() * negative.len()) as f64
}

#[test]
fn scores_that_look_at_every_label_are_in_metrics_report_and_detail() {
    let scene = training_scene();
    let outcome = train(&scene, &format!("--test test.csv --strategy last:1 {SOME}"), "run");
    outcome.says(&["Matthews correlation ", "area under ROC ", "average precision of `positive` "]);
    let metrics = scene.json("run/metrics.json");
    for split in ["valid", "test"] {
        let scores = &metrics[split];
        for key in ["mcc", "roc_auc", "average_precision"] {
            assert!(scores[key].is_f64(), "{split} {key}");
        }
        assert!(scores.get("top3_accuracy").is_none(), "of two labels");
        let area = area_by_pairs(&scene, &format!("run/predictions/{split}.csv"));
        assert!((scores["roc_auc"].as_f64().unwrap() - area).abs() < 0.02, "{area} in {scores}");
    }
    assert!(scene.text("run/report.html").contains("Matthews correlation"));

    let evaluate = "evaluate --model run --data test.csv --device cpu --threads 1 --precision fp32";
    let printed = scene.rehead(&format!("{evaluate} --json")).ok().json();
    assert_eq!(printed["test"]["mcc"], metrics["test"]["mcc"]);
    scene.rehead(evaluate).ok().shows(&["Matthews correlation ", "area under ROC "]);

    // Without rows of a label there is no curve.
    let positive: Vec<_> = sentiment(20, 3).into_iter().filter(|(_, label)| *label == "positive").collect();
    scene.write("test.csv", csv(&positive));
    scene.rehead(evaluate).ok().shows(&["area under ROC and average precision undefined (no rows of `negative`)"]);
    let printed = scene.rehead(&format!("{evaluate} --json")).ok().json();
    assert!(printed["test"].get("roc_auc").is_none() && printed["test"]["mcc"] == 0.0, "{printed}");
}

#[test]
fn the_epoch_is_chosen_by_the_score_that_was_asked_for() {
    let scene = training_scene();
    scene.write("train.csv", noisy(64, 1));
    scene.write("valid.csv", noisy(30, 2));
    let mut chosen = Vec::new();
    for (by, said) in [
        ("macro_f1", "(best macro-F1 on validation: "),
        ("accuracy", "(best accuracy on validation: "),
        ("loss", "(lowest loss on validation: "),
        ("mcc", "(best Matthews correlation on validation: "),
        ("f1:positive", "(best F1 of `positive` on validation: "),
    ] {
        let run = by.replace(':', "-");
        let how = format!("--epochs 20 --batch-size 8 --lr 2e-2 --keep-best {by}");
        train(&scene, &how, &run).says(&["weights kept: epoch ", said]);
        let metrics = scene.json(&format!("{run}/metrics.json"));
        assert_eq!(metrics["keep_best"], by);
        let epoch = metrics["best_epoch"].as_u64().unwrap();
        let history = history(&scene, &run);
        let epochs = history.iter().filter(|record| record["kind"] == "evaluation");
        let number = |record: &serde_json::Value, key: &str| record[key].as_f64().unwrap();
        if by != "mcc" && !by.starts_with("f1:") {
            let score = |record| if by == "loss" { -number(record, by) } else { number(record, by) };
            let best = epochs
                .rev()
                .max_by(|a, b| score(a).total_cmp(&score(b)).then(number(b, "loss").total_cmp(&number(a, "loss"))));
            assert_eq!(epoch, best.unwrap()["epoch"].as_u64().unwrap(), "{by}");
        }
        chosen.push(epoch);
        let page = scene.text(&format!("{run}/report.html"));
        assert!(page.contains("were kept for the "), "{by}");
    }
    assert!(chosen.iter().any(|epoch| *epoch != chosen[0]), "{chosen:?}");
}

/// By default the last epoch is kept that is as good as the best, give or take a standard error.
#[test]
fn the_latest_epoch_within_the_noise_is_kept() {
    let scene = training_scene();
    scene.write("train.csv", noisy(64, 1));
    scene.write("valid.csv", noisy(30, 2));
    let said = train(&scene, "--epochs 20 --batch-size 8 --lr 2e-2", "run").says(&["weights kept: epoch "]);
    let metrics = scene.json("run/metrics.json");
    assert_eq!(metrics["keep_best"], "latest");
    let number = |record: &serde_json::Value, key: &str| record[key].as_f64().unwrap();
    let epochs: Vec<_> = history(&scene, "run").into_iter().filter(|record| record["kind"] == "evaluation").collect();
    let scores: Vec<f64> = epochs.iter().map(|epoch| number(epoch, "macro_f1")).collect();
    let best = (0..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best });
    let share = (number(&epochs[best], "accuracy") * 30.0 + 1.0) / 32.0;
    let least = scores[best] - (share * (1.0 - share) / 30.0).sqrt() - 0.5 / 30.0;
    let latest = scores.iter().rposition(|score| *score >= least).unwrap() as u64 + 1;
    assert_eq!(metrics["best_epoch"], latest);
    assert_ne!(latest as usize, best + 1, "nothing was tested: {scores:?}");
    let kept = metrics["valid"]["macro_f1"].as_f64().unwrap();
    if kept < scores[best] {
        let best = format!("within the noise of the best, {:.3} in epoch {}", scores[best], best + 1);
        said.says(&[best.as_str()]);
    }
    assert!(scene.text("run/report.html").contains(", the latest within the noise of the best macro-F1"));
}

/// Texts whose words say the label twice in three times.
fn noisy(rows: usize, seed: u64) -> String {
    let mut lottery = Lottery(seed);
    let row = |_| {
        let positive = lottery.below(3) == 0;
        let word = if positive == (lottery.below(3) > 0) { "good" } else { "bad" };
        (format!("{} {word}", lottery.words(1, 3)), if positive { "positive" } else { "negative" })
    };
    csv(&(0..rows).map(row).collect::<Vec<_>>())
}

#[test]
fn a_score_that_cannot_choose_is_refused_or_said() {
    let scene = training_scene();
    scene.rehead(&format!("{BASIC} --keep-best f1:postive --out run")).refused().says(&[
        "`postive` is not a label",
        "did you mean `positive`?",
        "the labels are `negative` and `positive`",
    ]);
    scene.rehead(&format!("{BASIC} --keep-best auc --out run")).refused().says(&["f1:LABEL"]);
    train(&scene, "--strategy frozen --keep-best loss", "frozen").says(&["`--keep-best` has no effect"]);
    let negative: Vec<_> = sentiment(20, 3).into_iter().filter(|(_, label)| *label == "negative").collect();
    scene.write("valid.csv", csv(&negative));
    train(&scene, "--epochs 2 --keep-best f1:positive --quiet", "unseen")
        .says(&["no validation row has the label `positive`"]);
}

#[test]
fn the_focal_loss_is_trained_with_and_without_focus_is_cross_entropy() {
    let scene = training_scene();
    let loss = |run: &str| {
        let steps = history(&scene, run);
        let step = steps.iter().find(|record| record["kind"] == "step").unwrap();
        step["loss"].as_f64().unwrap()
    };
    let how = "--strategy last:1 --epochs 2 --batch-size 16 --lr 1e-3 --log-every 1";
    train(&scene, how, "plain");
    train(&scene, &format!("{how} --loss cross_entropy"), "named");
    assert!(weights(&scene, "named") == weights(&scene, "plain"));
    train(&scene, &format!("{how} --loss focal --focal-gamma 0"), "without");
    assert!((loss("without") - loss("plain")).abs() < 1e-5);
    train(&scene, &format!("{how} --loss focal"), "focal");
    // Two labels that are told apart by nothing yet: p is about a half, and (1 - p)^2 a quarter.
    assert!((loss("focal") / loss("plain") - 0.25).abs() < 0.1, "{} of {}", loss("focal"), loss("plain"));
    train(&scene, &format!("{how} --loss focal --focal-gamma 2.0"), "two");
    assert!(weights(&scene, "focal") == weights(&scene, "two"));
    assert!(weights(&scene, "focal") != weights(&scene, "plain"));
    train(&scene, &format!("{how} --loss focal --class-weights positive=4"), "weighted");
    assert!(weights(&scene, "weighted") != weights(&scene, "focal"));
    assert_eq!(scene.json("focal/metrics.json")["focal_gamma"], 2.0);
    assert!(scene.json("plain/metrics.json").get("focal_gamma").is_none());
}

#[test]
fn what_has_no_focal_loss_refuses_it() {
    let scene = training_scene();
    for (how, parts) in [
        ("--loss focal --strategy frozen", ["logistic regression", "--class-weights"]),
        ("--loss focal --label-smoothing 0.1", ["no label smoothing", "--label-smoothing"]),
        ("--focal-gamma 2", ["no focal gamma", "--loss focal"]),
        ("--loss focal --focal-gamma -1", ["--focal-gamma", "from 0"]),
        ("--loss fokal", ["did you mean `focal`?", "cross_entropy"]),
    ] {
        scene.rehead(&format!("{BASIC} {how} --out run")).refused().says(&parts);
    }
    let compare = BASIC.replacen("train ", "compare ", 1);
    scene
        .rehead(&format!("{compare} --strategies full,frozen --loss focal --out both"))
        .refused()
        .says(&["logistic regression", "hint: "]);
    assert!(!scene.exists("run") && !scene.exists("both"));
}
