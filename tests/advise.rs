//! `rehead advise` as its users meet it: measurements of every stage, in a table or as JSON, and nothing written.

mod support;

use support::{Scene, csv, sentiment};

const ADVISE: &str = "advise --train train.csv --model bare --device cpu --precision fp32 --threads 1";

fn scene(rows: usize) -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(rows, 1)));
    scene
}

#[test]
fn every_stage_is_measured_and_nothing_is_written() {
    let scene = scene(80);
    let before = scene.everything();
    let outcome = scene.rehead(ADVISE).ok();
    for part in [
        "embeddings",
        "layer.0",
        "linear head",
        "A head on the frozen network, on its last stage, `layer.2`, is correct for",
    ] {
        outcome.check(outcome.stdout_text().contains(part), part);
    }
    let json = scene.rehead(&format!("{ADVISE} --json --quiet")).ok().json();
    // Each accuracy is said with its stage, the expected one with the advised stage.
    let stage = &json["advice"]["stage"].as_str().unwrap();
    let advised = if json["advice"]["last_stage"] == true {
        format!("Trained with all 80 rows, a head on the last stage, `{stage}`, should be correct for about")
    } else {
        format!("Trained with all 80 rows, a head on the features after `{stage}` should be correct for about")
    };
    outcome.check(outcome.stdout_text().contains(&advised), &advised);
    let stages = json["measurements"]["stages"].as_array().unwrap();
    assert!(stages.len() >= 3 && stages[0]["name"] == "embeddings");
    for stage in stages {
        let (correct, rows) = (stage["probe"]["correct"].as_u64().unwrap(), stage["probe"]["rows"].as_u64().unwrap());
        assert!(correct <= rows && rows == 80, "every row is tested once: {stage}");
        assert!(stage["logme"].is_number() && stage["hscore"].is_number());
    }
    // The fixture's words give its labels away.
    assert!(stages[0]["probe"]["correct"].as_u64().unwrap() > 48, "{}", stages[0]);
    assert!(scene.everything() == before, "advice wrote something");
}

#[test]
fn the_same_call_measures_the_same() {
    let scene = scene(60);
    let measured = || scene.rehead(&format!("{ADVISE} --json")).ok().json()["measurements"].clone();
    assert_eq!(measured(), measured());
}

/// Few rows, few different texts, texts of which nothing is left: numbers or a plain sentence, never libtorch's words.
#[test]
fn few_different_texts_are_measured_or_refused_plainly() {
    let scene = scene(60);
    let rows = |texts: &[(&str, &str)], count: usize| -> String {
        let rows = texts.iter().cycle().take(count);
        "text,label\n".to_owned() + &rows.map(|(text, label)| format!("\"{text}\",{label}\n")).collect::<String>()
    };
    for (texts, count) in [
        (vec![("good", "pos"), ("bad", "neg")], 40),
        (vec![("good", "pos"), ("good", "neg")], 40),
        (vec![("good", "pos"), ("bad", "neg"), ("fun", "mid")], 60),
        (vec![("GOOD", "pos"), ("BAD", "neg"), ("good", "pos"), ("bad", "neg")], 40),
        (vec![("\u{1f642}", "pos"), ("\u{1f641}", "neg")], 20),
        (vec![("?", "pos"), ("!!", "neg"), ("???", "pos")], 30),
        (vec![("", "pos"), ("", "neg")], 32),
        (vec![("good", "a"), ("bad", "b"), ("fun", "a"), ("bore", "b"), ("great", "b")], 5),
        (vec![("good", "a"), ("bad", "b"), ("fun", "c")], 3),
        (vec![("good", "a"), ("bad", "b")], 2),
        (vec![("good", "a"), ("bad", "a")], 20),
    ] {
        scene.write("train.csv", rows(&texts, count));
        let outcome = scene.rehead(ADVISE).run();
        let said = format!("{}{}", outcome.stdout_text(), outcome.stderr);
        outcome.check(matches!(outcome.status.code(), Some(0 | 2)), "a number or a refusal");
        outcome.check(!said.contains("torch") && !said.contains("cholesky") && !said.contains("NaN"), "our words");
        if outcome.status.code() == Some(0) && texts.len() < 10 {
            outcome.check(outcome.stderr.contains("the measurements say little"), "a warning");
        }
    }
}

/// One recommendation, with the numbers that decided, and nothing beside it that says otherwise.
#[test]
fn advice_has_one_voice() {
    let scene = scene(200);
    let said = scene.rehead(ADVISE).ok();
    let text = said.stdout_text();
    let json = scene.rehead(&format!("{ADVISE} --json")).ok().json();
    let advice = &json["advice"];
    let gain = advice["gain"]["points"].as_f64().unwrap();
    let full = gain >= advice["worth_points"].as_f64().unwrap();
    assert_eq!(advice["strategy"], if full { "full" } else { "frozen" });
    let head = if full { "advice: full" } else { "advice: frozen" };
    for expected in [head, &format!("by {gain:+.1} points (90 % range"), "times as long", "1 point or more"] {
        said.check(text.contains(expected), expected);
    }
    let best = advice["stage"].as_str().unwrap();
    assert_eq!(text.contains("does best on the last one"), advice["last_stage"].as_bool().unwrap(), "{text}");
    assert!(text.matches(" points better").count() <= 1 && text.contains(best), "{text}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let scene = scene(60);
    scene.write("train.csv", "text,label\ngood,a\nbad,b\n");
    scene.rehead(ADVISE).refused().says(&["hint: "]);
    scene.write("train.csv", "text,label\n");
    scene.rehead(ADVISE).refused().says(&["train.csv", "hint: "]);
}
