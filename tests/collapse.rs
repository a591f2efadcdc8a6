//! Training that collapses: noticed, begun again once with a lower learning rate, and said everywhere.

mod support;

use serde_json::Value;
use support::{BASIC, assert_as_uninterrupted, history, interrupted_when, logged_steps, training_scene, weights};

const SHORT: &str = "--epochs 4 --batch-size 4 --log-every 1";

/// What of a history came after the restart.
fn second_attempt(lines: &[Value]) -> &[Value] {
    let at = lines.iter().position(|line| line["kind"] == "restart").expect("a restart");
    &lines[at + 1..]
}

#[test]
fn a_collapsed_run_is_begun_again_and_is_then_the_run_with_the_lower_rate() {
    let scene = training_scene();
    let said = "training collapsed at --lr 0.01 (after epoch 2 the network gives every row the same answer";
    let outcome = scene.rehead(&format!("{BASIC} {SHORT} --lr 0.01 --out run --json")).ok();
    let outcome =
        outcome.says(&[&format!("warning: {said}"), "alone give, 0.693); it was begun again with --lr 0.002"]);
    let metrics = outcome.json();
    assert_eq!(metrics["ended"]["reason"], "all_epochs");
    let restart = &metrics["restart"];
    assert_eq!((restart["lr_before"].as_f64(), restart["lr"].as_f64()), (Some(0.01), Some(0.002)));
    assert_eq!(restart["after_step"], 32);
    assert!(scene.text("run/report.html").contains(&format!("What is shown is the second attempt: {said}")));

    scene.rehead(&format!("{BASIC} {SHORT} --lr 0.002 --out direct")).ok();
    assert!(weights(&scene, "run") == weights(&scene, "direct"), "other weights");
    assert_eq!(second_attempt(&history(&scene, "run")), history(&scene, "direct"));
    assert_eq!(scene.json("direct/metrics.json")["restart"], Value::Null);
    assert_eq!(scene.json("direct/metrics.json")["valid"], metrics["valid"]);
}

#[test]
fn what_is_trained_again_on_all_rows_has_the_lower_rate_at_once() {
    let scene = training_scene();
    let command = format!("{BASIC} {SHORT} --refit");
    scene.rehead(&format!("{command} --lr 0.01 --out run")).ok().says(&["it was begun again with --lr 0.002"]);
    scene.rehead(&format!("{command} --lr 0.002 --out direct")).ok();
    assert!(weights(&scene, "run") == weights(&scene, "direct"), "other weights");
}

#[test]
fn what_collapses_twice_ends_with_a_warning() {
    let scene = training_scene();
    let outcome = scene.rehead(&format!("{BASIC} {SHORT} --lr 0.05 --quiet --out run --json")).ok().says(&[
        "warning: training collapsed at --lr 0.05 (after epoch 2 ",
        "warning: training collapsed again, at --lr 0.01: the network gives every row the same answer",
    ]);
    assert_eq!(outcome.json()["ended"]["reason"], "collapsed");
    assert!(scene.text("run/report.html").contains("Train it with a lower <code>--lr</code>"));
}

#[test]
fn an_interrupted_attempt_is_continued_whichever_it_is() {
    let scene = training_scene();
    const FIRST: usize = 48;
    // A head from the probe is fitted again when the run is.
    let command = format!("{BASIC} {SHORT} --lr 0.05 --set strategy.head_init=probe");
    scene.rehead(&format!("{command} --out whole")).ok().says(&["it was begun again with --lr 0.01"]);
    assert_eq!(scene.json("whole/metrics.json")["restart"]["after_step"], FIRST);

    let interrupt = |command: &str, signal: i32, steps: usize| {
        interrupted_when(&scene, command, signal, "nothing", || logged_steps(&scene, "run") >= steps);
    };
    interrupt(&format!("{command} --out run"), libc::SIGINT, 20);
    // Killed in the second attempt, when all that is saved is of the first.
    interrupt("train --resume --out run", libc::SIGKILL, FIRST + 10);
    interrupt("train --resume --out run", libc::SIGINT, FIRST + 40);
    scene
        .rehead("train --resume --out run")
        .ok()
        .says(&["continuing after step ", "; training collapsed at --lr 0.05"]);
    assert_as_uninterrupted(&scene, "three interruptions");
}
