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
        assert_eq!(browser.value("document.querySelectorAll('script, img, iframe, [onerror]').length"), 0);
    }
}

const TRAIN: &str =
    "train --train train.csv --valid valid.csv --model bare --device cpu --precision fp32 --threads 1 --out run";

const RUN: [&str; 10] = [
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
