//! What the command line says of itself: `-h` on one screen, `--help` with everything in groups, completions and manual
//! pages made from the same definition, and suggestions for what was mistyped.

mod support;

use std::collections::BTreeSet;

use support::Scene;

const COMMANDS: [&str; 14] = [
    "train",
    "label",
    "suggest",
    "embed",
    "evaluate",
    "explain",
    "compare",
    "advise",
    "inspect",
    "fetch",
    "models",
    "convert",
    "completions",
    "man",
];

/// What help prints, which must not be coloured: nobody's terminal reads it here.
fn help(words: &str) -> String {
    let text = Scene::new().rehead(words).ok().stdout_text().to_owned();
    assert!(!text.contains('\x1b'), "{words}: {text}");
    text
}

/// The flags of a help text with the heading above each.
fn flags(help: &str) -> Vec<(String, String)> {
    let mut heading = String::new();
    let mut flags = Vec::new();
    for line in help.lines() {
        if let Some(title) = line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
            heading = title.to_owned();
        }
        let flag = line.trim_start().trim_start_matches("-q, ").trim_start_matches("-v, ");
        if line.starts_with("  ") && flag.starts_with("--") && heading != "Examples" {
            let name = flag.split([' ', '=', '[']).next().unwrap();
            flags.push((heading.clone(), name.to_owned()));
        }
    }
    flags
}

#[test]
fn short_help_is_one_screen() {
    for command in [
        "",
        "train",
        "label",
        "suggest",
        "embed",
        "evaluate",
        "explain",
        "compare",
        "advise",
        "inspect",
        "fetch",
        "models",
        "convert",
        "completions",
        "man",
    ] {
        let text = help(&format!("{command} -h"));
        let lines = text.lines().count();
        assert!(lines <= 40, "`rehead {command} -h` has {lines} lines:\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
    for command in ["train", "label", "suggest", "embed", "evaluate", "explain", "compare", "advise", "inspect"] {
        assert!(help(&format!("{command} -h")).contains("--help shows everything."), "{command}");
    }
}

#[test]
fn long_help_shows_every_flag_in_a_group() {
    const GROUPS: [&str; 7] = ["Data", "Model", "Training", "Optimisation", "Output", "Hardware", "Configuration"];
    for command in COMMANDS {
        let long = flags(&help(&format!("{command} --help")));
        for (heading, flag) in &long {
            assert!(flag == "--help" || GROUPS.contains(&heading.as_str()), "{command}: {flag} is under {heading:?}");
        }
        let names: BTreeSet<_> = long.iter().map(|(_, flag)| flag).collect();
        let short = flags(&help(&format!("{command} -h")));
        assert!(short.iter().all(|(_, flag)| names.contains(flag)), "{command}: {short:?}");
    }
    let train = help("train --help");
    for flag in ["--layer-decay", "--max-grad-norm", "--cache-memory", "--reinit-layers", "--cutmix"] {
        assert!(train.contains(flag), "{flag}");
        assert!(!help("train -h").contains(flag), "{flag}");
    }
}

#[test]
fn completions_know_commands_flags_and_words() {
    for shell in ["bash", "zsh", "fish"] {
        let script = help(&format!("completions {shell}"));
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        for part in ["layer-decay", "min-confidence", "bitfit", "rust-bert", "bf16", "int8", "shift_jis"] {
            assert!(script.contains(part), "{shell}: {part}");
        }
    }
    assert!(help("completions bash").contains("full frozen last: gradual lora lora: bitfit"));
    assert!(help("completions zsh").contains("(full frozen last\\: gradual lora lora\\: bitfit)"));
    assert!(help("label --help").replace('\n', " ").contains("CSV, JSON Lines or one text per line"));
    let bash = std::process::Command::new("bash").arg("-n").stdin(std::process::Stdio::piped()).spawn();
    if let Ok(mut bash) = bash {
        use std::io::Write;
        bash.stdin.take().unwrap().write_all(help("completions bash").as_bytes()).unwrap();
        assert!(bash.wait().unwrap().success(), "bash does not read its script");
    }
    Scene::new().rehead("completions tcsh").refused().says(&["bash"]);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let main = help("man");
    assert!(main.contains(".TH") && main.contains("rehead\\-train(1)"), "{main}");
    let scene = Scene::new();
    scene.rehead("man pages/man1").ok();
    for command in COMMANDS {
        let page = scene.text(&format!("pages/man1/rehead-{command}.1"));
        assert!(page.contains(".SH NAME") && page.contains(command), "{page}");
    }
    let train = scene.text("pages/man1/rehead-train.1");
    for command in COMMANDS {
        let page = scene.text(&format!("pages/man1/rehead-{command}.1"));
        let lines: Vec<&str> = page.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("\\fB\\-")) {
            assert!(!pair[1].trim().is_empty(), "{command}: nothing is said of {}", pair[0]);
        }
        assert!(page.contains(".SH \"EXIT STATUS\"") && page.contains("\\fB130\\fR"), "{page}");
    }
    assert!(main.contains(".SH \"EXIT STATUS\""), "{main}");
    assert!(train.contains("layer\\-decay") && train.contains("Continue after an interruption"), "{train}");
    assert_eq!(scene.text("pages/man1/rehead.1"), main);
    scene.write("file", "");
    scene.rehead("man file").refused();
}

#[test]
fn what_was_mistyped_is_suggested() {
    let scene = Scene::new();
    for (words, suggestion) in [
        ("trian", "'train'"),
        ("labels", "'label'"),
        ("train --epoch 3", "'--epochs'"),
        ("label --probabilites", "'--probabilities'"),
        ("compare --strategy full", "'--strategies'"),
    ] {
        scene.rehead(words).refused().says(&[suggestion]);
    }
}
