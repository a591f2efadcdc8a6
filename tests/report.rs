//! The pages that runs and comparisons leave behind, opened in headless Chromium at the width of a desk and of a phone,
//! in light and in dark: complete in themselves, readable, and never more than text whatever the data hold.
//!
//! Without Chromium (scripts/setup-browser) these tests say so and end; under CI they fail. With `REHEAD_SCREENSHOTS`
//! set to a folder they leave pictures there, for people to look at.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/page.rs"]
mod page;
mod support;

use browser::{Browser, Look};
use support::python::ci;
use support::{Scene, sentiment};

const LOOKS: [Look; 4] = [
    Look { width: 1280, dark: false },
    Look { width: 1280, dark: true },
    Look { width: 390, dark: false },
    Look { width: 390, dark: true },
];

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        ci::skip("there is no Chromium (scripts/setup-browser installs it)");
    }
    browser
}

/// Texts and labels that try to be more than text.
fn hostile(rows: usize, seed: u64) -> String {
    let endings = [
        "",
        "<script>document.title = 'taken'</script>",
        "</style></title><img src=x onerror=alert(1)>",
        "\"\"quoted\"\" & 'quoted' &amp; <b>bold",
        "שלום עולם 🎉 \u{202e}over\u{202c}",
        "line\nbreak\u{1b}[31m",
        &"unbreakable".repeat(60),
    ];
    let mut file = "text,label\n".to_owned();
    for (index, (text, label)) in sentiment(rows, seed).into_iter().enumerate() {
        let label = if label == "positive" { "<script>alert('good')</script>" } else { label };
        file.push_str(&format!("\"{text} {}\",\"{label}\"\n", endings[index % endings.len()]));
    }
    file
}

fn scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    for (name, rows) in [("train.csv", 64), ("valid.csv", 20), ("test.csv", 40)] {
        scene.write(name, hostile(rows, rows as u64));
    }
    scene
}

/// Opens a page in every look, finds nothing wrong with it, and the headings there.
#[track_caller]
fn check(scene: &Scene, name: &str, page: &str, headings: &[&str]) {
    check_with(scene, name, page, headings, |browser| {
        assert_eq!(browser.value("document.querySelectorAll('script, img, iframe, [onerror]').length"), 0);
    });
}

/// The same, with what else must hold in every look.
#[track_caller]
fn check_with(scene: &Scene, name: &str, page: &str, headings: &[&str], holds: impl Fn(&mut Browser)) {
    let Some(mut browser) = browser() else { return };
    for look in LOOKS {
        browser.open(&scene.path(page), look);
        if let Some(folder) = std::env::var_os("REHEAD_SCREENSHOTS") {
            let name = format!("{name}-{}-{}.png", look.width, if look.dark { "dark" } else { "light" });
            std::fs::write(std::path::Path::new(&folder).join(name), browser.screenshot()).unwrap();
        }
        let problems = page::problems(&mut browser, look);
        assert!(problems.is_empty(), "{page} {look:?}:\n{}", problems.join("\n"));
        let found = browser.value("[...document.querySelectorAll('h2')].map(heading => heading.innerText)");
        for heading in headings {
            assert!(found.as_array().unwrap().iter().any(|found| found == heading), "{heading} is not in {found}");
        }
        assert_ne!(browser.value("document.title"), "taken");
        holds(&mut browser);
    }
}

const TRAIN: &str =
    "train --train train.csv --valid valid.csv --model bare --device cpu --precision fp32 --threads 1 --out run";

const RUN: [&str; 11] = [
    "What to do next",
    "Result",
    "How training went",
    "By label",
    "Confusion matrix: what gets mixed up",
    "How far to trust the confidence",
    "Choosing a confidence threshold",
    "The most confident mistakes",
    "Possible label errors",
    "Data",
    "Settings",
];

#[test]
fn a_run_with_test_data_has_its_page() {
    let scene = scene();
    scene.rehead(&format!("{TRAIN} --test test.csv --epochs 3 --batch-size 8 --lr 1e-3 --log-every 1")).ok();
    check(&scene, "run", "run/report.html", &RUN);
}

#[test]
fn a_frozen_run_without_test_data_has_its_page() {
    let scene = scene();
    scene.rehead(&format!("{TRAIN} --strategy frozen")).ok();
    check(&scene, "frozen", "run/report.html", &RUN);
}

/// Rows whose text says its label (`word0` …), of so many labels with long names, the last of which is rare.
fn many_labels(rows: usize, labels: usize, shift: usize) -> String {
    let label = |row: usize| if row == 0 { labels - 1 } else { row % (labels - 1) };
    let line = |row: usize| {
        let said = if row.is_multiple_of(7) { label(row) + shift } else { label(row) } % labels;
        let name = format!("balance_not_updated_after_cheque_or_cash_deposit_{}", label(row));
        format!("T{row},{} the film number {said},{name}\n", ["a good", "a bad"][said % 2])
    };
    std::iter::once("ticket_id,text,label\n".to_owned()).chain((0..rows).map(line)).collect()
}

#[test]
fn thirty_labels_are_a_matrix_with_names_and_more_are_a_list() {
    for (labels, is_matrix) in [(30, true), (40, false)] {
        let scene = Scene::with_models(&["bare"]);
        scene.write("train.csv", many_labels(6 * labels, labels, 0));
        scene.write("valid.csv", many_labels(6 * labels, labels, 1));
        scene.rehead(&format!("{TRAIN} --strategy frozen")).ok();
        check_with(&scene, &format!("labels-{labels}"), "run/report.html", &RUN, |browser| {
            let names = browser.value("document.querySelectorAll('.matrix thead th .standing').length");
            assert_eq!(names, if is_matrix { labels } else { 0 });
            let summaries = browser.value("[...document.querySelectorAll('summary')].map(s => s.innerText).join()");
            let summaries = summaries.as_str().unwrap();
            assert!(summaries.contains("The other "), "{summaries}");
        });
        // Mistakes are found again in the file.
        let page = scene.text("run/report.html");
        let (_, mistakes) = page.split_once("<section id=\"mistakes\"").unwrap();
        let (_, row) = mistakes.split_once("\">row ").unwrap();
        let row: usize = row.split_once(" of ").unwrap().0.parse().unwrap();
        assert!(mistakes.contains("<span class=\"name\">valid.csv</span>"));
        assert!(mistakes.contains(&format!("<span>ticket_id <b>T{}</b></span>", row - 1)), "{mistakes}");
    }
}

#[test]
fn what_the_data_ask_for_comes_first_in_the_report_and_on_the_terminal() {
    let scene = Scene::with_models(&["bare"]);
    let mut rows: Vec<(String, &str)> = sentiment(60, 3);
    rows.push((rows[0].0.clone(), if rows[0].1 == "positive" { "negative" } else { "positive" }));
    scene.write("train.csv", support::csv(&rows) + "an odd one,lonely\n");
    let outcome = scene
        .rehead("train --train train.csv --model bare --device cpu --precision fp32 --threads 1 --epochs 2 --out run")
        .ok();
    outcome.check(
        outcome.stderr.lines().any(|line| line.starts_with("Accuracy on ") && line.contains("(95 % interval ")),
        "the score in words",
    );
    outcome.check(outcome.stdout.is_empty(), "standard output to be for data");
    let outcome = outcome.says(&[
        "weights kept: epoch ",
        " of 2 (",
        "report: run/report.html",
        "what to do next",
        "`lonely` has one row in the training data",
        "1 row of the training data has a text that appears with another label too (such as row 61 against row 1)",
        "There were no test data. The score is optimistic",
        "rehead evaluate --model run --data TEST.csv --out run-test",
        "rehead label --model run --input NEW.csv --output LABELLED.csv",
    ]);
    let page = scene.text("run/report.html");
    let (next, _) = page.split_once("<section id=\"result\"").unwrap();
    outcome.check(
        next.contains("What to do next") && next.contains("lonely</bdi> has one row") && next.contains("rehead label"),
        "the report opens with the same",
    );
    // The command, the date and the rows of each label are in the report too.
    let (_, data) = page.split_once("<section id=\"data\"").unwrap();
    outcome.check(data.contains("rehead train --train train.csv") && data.contains(" UTC</p>"), "command and date");
    outcome.check(data.contains("lonely") && data.contains("class=\"length\" style=\"width:100%\""), "bars");
}

/// A run that ended too early is to be trained longer; what a poor network doubts is not to be looked at.
#[test]
fn training_that_was_not_finished_is_told_of() {
    let scene = Scene::with_models(&["bare"]);
    for (name, rows) in [("train", 240), ("valid", 60), ("test", 61)] {
        scene.write(&format!("{name}.csv"), support::csv(&sentiment(rows, rows as u64)));
    }
    let words = "train --train train.csv --valid valid.csv --test test.csv --model bare --device cpu --precision fp32 \
                 --threads 1 --epochs 3";
    let outcome = scene.rehead(&format!("{words} --batch-size 4 --lr 3e-3 --out run")).ok();
    let outcome = outcome.says(&["The last of the 3 epochs was the best, and the validation loss still fell clearly"]);
    outcome.says(&["rehead train --config run/rehead.toml --epochs 6 --out run-longer"]);
    let outcome = scene.rehead(&format!("{words} --lr 1e-12 --out poor")).ok();
    outcome.check(!outcome.stderr.contains("still fell clearly"), "nothing fell");
    outcome.check(!outcome.stderr.contains("may have a wrong label"), "no doubt of a network that knows nothing");
    outcome.says(&["`frozen`, which needs no epochs", "rehead compare --train train.csv"]);
}

#[test]
fn images_are_a_gallery_that_opens_larger() {
    let scene = Scene::new();
    let mut seed = 1u32;
    for (split, count) in [("train", 8), ("test", 6)] {
        for class in ["<b>left", "right"] {
            std::fs::create_dir_all(scene.path(format!("{split}/{class}"))).unwrap();
            for index in 0..count {
                let picture = image::RgbImage::from_fn(400, 300, |x, y| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    image::Rgb([(x / 2) as u8, (y / 2) as u8, (seed >> 24) as u8])
                });
                picture.save(scene.path(format!("{split}/{class}/{index}.png"))).unwrap();
            }
        }
    }
    let words = "train --train train --test test --init random --model resnet18 --image-size 32 --device cpu \
                 --precision fp32 --threads 1 --strategy frozen --out run";
    scene.rehead(words).ok();
    let mut headings = RUN.to_vec();
    headings.push("Correct examples");
    check_with(&scene, "images", "run/report.html", &headings, |browser| {
        let count = |browser: &mut Browser, what: &str| {
            browser.value(&format!("document.querySelectorAll('{what}').length")).as_u64().unwrap()
        };
        assert_eq!(count(browser, "script, iframe, [onerror]"), 0);
        let (small, large) = (count(browser, ".picture > button img"), count(browser, ".large img"));
        assert!(small >= 12 && small == large, "{small} small, {large} large");
        assert_eq!(count(browser, "img:not([alt])"), 0);
        let widths = "(() => { const b = document.querySelector('.picture > button'); b.click(); \
                      const l = document.getElementById(b.getAttribute('popovertarget')); \
                      const width = l.querySelector('img').getBoundingClientRect().width; \
                      const open = l.matches(':popover-open'); l.hidePopover(); \
                      return [open, b.getBoundingClientRect().width, width, innerWidth]; })()";
        let seen = browser.value(widths);
        assert_eq!(seen[0], true, "{seen}");
        let number = |index: usize| seen[index].as_f64().unwrap();
        assert!(number(2) > 1.5 * number(1) && number(2) <= number(3), "{seen}");
    });
}

#[test]
fn a_comparison_has_its_page() {
    let scene = scene();
    scene
        .rehead(
            "compare --train train.csv --valid valid.csv --test test.csv --model bare --device cpu --precision fp32 \
             --threads 1 --epochs 2 --strategies frozen,full --seeds 2 --out both",
        )
        .ok();
    let headings = [
        "Verdict",
        "Scores and costs",
        "Differences",
        "Score against time",
        "Learning curves",
        "Choosing a confidence threshold",
        "How far to trust the confidence",
        "Confusion matrix: what gets mixed up",
        "Data",
    ];
    check(&scene, "comparison", "both/report.html", &headings);
}
