//! Where results go: links are followed, modes kept, places locked, and an output that was interrupted is only continued
//! over the rows that it was made of, and where no bit of it has changed.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use support::{
    LABEL as BASIC, Lottery, Scene, csv, interrupted_when, labelling_scene as scene, sentiment, training_scene,
};

const LONG: &str = "--input in.csv --window 100 --batch-tokens 64";

#[test]
fn a_link_is_followed_and_a_mode_is_kept() {
    let scene = scene();
    scene.write("in.csv", "text\ngood film\n");
    fs::create_dir(scene.path("disk")).unwrap();
    for name in ["real.csv", "real.xlsx"] {
        scene.write(&format!("disk/{name}"), "old\n");
        fs::set_permissions(scene.path(format!("disk/{name}")), Permissions::from_mode(0o600)).unwrap();
        let link = name.replace("real", "link");
        symlink(format!("disk/{name}"), scene.path(&link)).unwrap();
        scene.rehead(&format!("{BASIC} --input in.csv --output {link}")).ok();
        assert!(scene.path(&link).is_symlink(), "{}", scene.listing());
        assert!(scene.bytes(&format!("disk/{name}")).len() > 4);
        let mode = fs::metadata(scene.path(format!("disk/{name}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(scene.text("disk/real.csv").starts_with("text,predicted_label"));
    symlink("disk/new.csv", scene.path("dangling.csv")).unwrap();
    scene.rehead(&format!("{BASIC} --input in.csv --output dangling.csv")).ok();
    assert_eq!(scene.text("disk/new.csv"), scene.text("disk/real.csv"));
    // The input is no output, by whatever name.
    symlink("in.csv", scene.path("alias.csv")).unwrap();
    scene.rehead(&format!("{BASIC} --input in.csv --output alias.csv")).refused().says(&["the output is the input"]);
    assert_eq!(scene.text("in.csv"), "text\ngood film\n");
}

#[test]
fn names_that_collide_are_told_apart() {
    let scene = scene();
    scene.write("in.csv", "text,label_1,p_good\ngood film,a,b\n");
    for flag in ["--top 2", "--probabilities"] {
        let words = format!("{BASIC} --input in.csv --output out.csv {flag}");
        scene.rehead(&words).refused().says(&["the input already has a column of this name", "--column-prefix"]);
        scene.rehead(&format!("{words} --column-prefix new_")).ok();
        assert!(scene.text("out.csv").starts_with("text,label_1,p_good,new_predicted_label,new_confidence,new_"));
    }
}

#[test]
fn an_output_needs_a_folder_and_what_is_unknown_a_name_of_its_own() {
    let scene = scene();
    scene.write("in.csv", "text\ngood film\n");
    let before = scene.everything();
    let words = format!("{BASIC} --input in.csv --output");
    let missing = ["Q/out.csv: there is no folder Q for the output", "hint: mkdir -p Q"];
    scene.rehead(&format!("{words} Q/out.csv")).refused().says(&missing);
    scene.rehead(&format!("{words} Q/out.xlsx")).refused().says(&["Q/out.xlsx: there is no folder Q"]);
    scene.rehead(&format!("{words} in.csv/out.csv")).refused().says(&["error: in.csv/out.csv: ", "--output"]);
    for name in ["good", "Good", " good ", "", "  "] {
        let call = scene.rehead(&format!("{words} out.csv --min-confidence 0.5 --unknown-label")).arg(name);
        call.refused().says(&["unknown-label", "--unknown-label unsure"]);
    }
    assert!(scene.everything() == before, "{}", scene.listing());
}

/// `text` of so many rows, from a seed.
fn many(rows: usize, seed: u64) -> String {
    let mut lottery = Lottery(seed);
    (0..rows).fold("text\n".to_owned(), |text, _| text + &lottery.words(1, 9) + "\n")
}

/// Leaves an output that was interrupted.
fn interrupted(scene: &Scene) {
    let words = format!("{BASIC} {LONG} --output out.csv");
    interrupted_when(scene, &words, libc::SIGKILL, "out.csv", || scene.size("out.partial.csv") > 30_000);
}

#[test]
fn rows_of_two_inputs_never_end_in_one_output() {
    let scene = scene();
    let text = many(6_000, 5);
    scene.write("in.csv", &text);
    scene.rehead(&format!("{BASIC} {LONG} --output whole.csv")).ok();
    interrupted(&scene);
    let before = scene.everything();
    let resume = format!("{BASIC} {LONG} --output out.csv --resume");
    // Another file of this name; one changed row; a row more at the beginning; another column.
    let changed = text.replacen("the", "not the", 1);
    let inserted = text.replacen("text\n", "text\nanother film\n", 1);
    let renamed = text.replacen("text\n", "Text\n", 1);
    for (input, says) in [
        (many(6_000, 6), "are not those that were read before"),
        (changed, "are not those that were read before"),
        (inserted, "are not those that were read before"),
        (renamed, "its columns have changed"),
        (many(3, 5), "fewer rows"),
    ] {
        scene.write("in.csv", &input);
        scene.rehead(&resume).refused().says(&[says, "hint: "]);
        scene.write("in.csv", &text);
        assert!(scene.everything() == before, "{says}: the refusal changed files");
    }
    // Rows that are not labelled yet may still come.
    scene.write("in.csv", format!("{text}a last film\n"));
    scene.rehead(&resume).ok();
    assert!(scene.text("out.csv").starts_with(&scene.text("whole.csv")));
    assert_eq!(scene.text("out.csv").lines().count(), 6_002);
}

#[test]
fn a_damaged_output_is_not_continued() {
    let scene = scene();
    scene.write("in.csv", many(6_000, 5));
    interrupted(&scene);
    let resume = format!("{BASIC} {LONG} --output out.csv --resume");
    let (whole, note) = (scene.bytes("out.partial.csv"), scene.text("out.partial.csv.origin.json"));
    let mut damaged = whole.clone();
    damaged[2_000] ^= 1;
    scene.write("out.partial.csv", &damaged);
    scene.rehead(&resume).refused().says(&["the interrupted output is damaged", "rows 1 to 100"]);
    scene.write("out.partial.csv", &whole);
    scene.write("out.partial.csv.origin.json", note.replacen("\"rows\":100,", "\"rows\":101,", 1));
    scene.rehead(&resume).refused();
    scene.write("out.partial.csv.origin.json", note);
    scene.rehead(&resume).ok();
}

#[test]
fn one_process_writes_at_a_time() {
    let scene = scene();
    scene.write("in.csv", many(6_000, 5));
    let words = format!("{BASIC} {LONG} --output out.csv");
    let mut first = scene.rehead(&words).start();
    assert!(first.wait_until(|_| scene.exists("out.partial.csv")));
    first.signal(libc::SIGSTOP);
    for more in ["", " --resume"] {
        scene.rehead(&format!("{words}{more}")).refused().says(&["another rehead (process ", "is writing here"]);
    }
    first.signal(libc::SIGCONT);
    let outcome = first.wait();
    outcome.check(outcome.status.success(), "the first to be undisturbed");
    assert!(!scene.exists(".out.csv.rehead.lock") && !scene.exists("out.partial.csv"), "{}", scene.listing());
}

#[test]
fn two_runs_never_share_a_directory() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(400, 1)));
    let train = "train --train train.csv --model bare --device cpu --threads 1 --epochs 30 --out run";
    let mut first = scene.rehead(train).start();
    // The lock is held once it names its holder.
    assert!(first.wait_until(|_| scene.size("run/.rehead.lock") > 0));
    first.signal(libc::SIGSTOP);
    let second = scene.rehead(train).refused();
    second.says(&["another rehead (process ", "is writing here", "--out"]);
    let compare = "compare --train train.csv --model bare --strategies frozen --seeds 1 --device cpu --out run";
    scene.rehead(compare).refused().says(&["is writing here"]);
    first.signal(libc::SIGKILL);
    first.wait();
    // What a killed process leaves keeps nobody out.
    scene.rehead(&format!("{train} --resume --set epochs=30")).ok();
    assert!(!scene.exists("run/.rehead.lock"), "{}", scene.listing());
}
