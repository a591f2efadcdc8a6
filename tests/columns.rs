//! Columns that somebody names: names that hold commas, names that are nearly right, and the columns of training in
//! another order.

mod support;

use support::Scene;

const TRAIN: &str =
    "train --model bare --epochs 1 --strategy frozen --threads 1 --valid-fraction 0.25 --out run --train in.csv";

/// A table whose second name holds a comma, of 16 rows.
fn scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    let row = |number: usize| match number % 2 {
        0 => format!("good {number},fun,yes\n"),
        _ => format!("bad {number},dull,no\n"),
    };
    let rows: String = (0..16).map(row).collect();
    scene.write("in.csv", format!("Subject,\"Body (customer, raw)\",label\n{rows}"));
    scene
}

#[test]
fn a_name_that_holds_a_comma_is_found_in_a_list() {
    let scene = scene();
    let listed = scene.rehead("inspect in.csv --text").arg("Subject,Body (customer, raw)").ok();
    let apart = scene.rehead("inspect in.csv --text Subject --text").arg("Body (customer, raw)").ok();
    assert_eq!(listed.stdout_text(), apart.stdout_text());
}

#[test]
fn hints_can_be_pasted_into_a_shell() {
    let scene = scene();
    for given in ["Subject,Body (customer, row)", "Subject,Body customer raw"] {
        let seen = scene.rehead("inspect in.csv --text").arg(given).ok();
        seen.shows(&["did you mean --text Subject --text 'Body (customer, raw)'?"]);
    }
    scene.write("plain.csv", "first part,second,label\na,b,c\n");
    let seen = scene.rehead("inspect plain.csv --text").arg("frist part,second").ok();
    seen.shows(&["did you mean --text 'first part,second'?"]);
    scene.rehead("inspect plain.csv --text second --label lable").ok().shows(&["did you mean --label label?"]);
    // A comma within quotes separates nothing.
    scene.write("semicolons.csv", "\"a, b\";text;c;label\nx;y;z;u\n");
    scene.rehead("inspect semicolons.csv").ok().shows(&["it separates the header's 4 names, and no comma does"]);
}

#[test]
fn the_columns_of_training_in_another_order_are_said() {
    let scene = scene();
    scene.rehead(TRAIN).arg("--text").arg("Subject,Body (customer, raw)").ok();
    for command in ["label --input in.csv --output out.csv", "evaluate --data in.csv"] {
        let words = format!("{command} --model run --threads 1 --quiet --text");
        let outcome = scene.rehead(&words).arg("Body (customer, raw),Subject").ok();
        outcome.says(&[
            "trained on the columns `Subject` and `Body (customer, raw)`, in this order",
            "as in training: --text Subject --text 'Body (customer, raw)'",
        ]);
        for order in [&["--text", "Subject,Body (customer, raw)"][..], &[]] {
            let call = scene.rehead(&format!("{} ", words.trim_end_matches("--text")));
            let outcome = order.iter().fold(call, |call, word| call.arg(*word)).ok();
            outcome.check(!outcome.stderr.contains("order"), "nothing to be said");
        }
    }
}
