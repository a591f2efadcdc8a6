//! Folders of images as people have them: nothing in them vanishes without a word, names are taken as they are, and a
//! folder that is no set of classes is explained.

mod support;

use image::ImageFormat;
use support::pictures::{half_bright, scene_with_net as scene};
use support::{Lottery, Scene};

const TRAIN: &str =
    "train --model net --init random --device cpu --precision fp32 --threads 1 --epochs 1 --batch-size 8 --train";

/// An image whose halves are brighter on the left or on the right.
fn image(scene: &Scene, name: &str, left: bool) {
    let mut lottery = Lottery(name.bytes().map(u64::from).sum());
    let picture = half_bright(&mut lottery, 32, 32, left);
    std::fs::create_dir_all(scene.path(name).parent().unwrap()).unwrap();
    picture.save_with_format(scene.path(name), ImageFormat::Png).unwrap();
}

fn classes(scene: &Scene, folder: &str, names: [&str; 2]) {
    for index in 0..8 {
        image(scene, &format!("{folder}/{}/{index}.png", names[0]), true);
        image(scene, &format!("{folder}/{}/{index}.png", names[1]), false);
    }
}

fn file(scene: &Scene, name: &str) {
    std::fs::create_dir_all(scene.path(name).parent().unwrap()).unwrap();
    scene.write(name, "not an image that is read");
}

#[test]
fn what_is_ignored_is_counted_and_said() {
    let scene = scene();
    classes(&scene, "data", ["left", "right"]);
    for name in ["left/a.heic", "left/b.HEIC", "right/c.ppm", "right/notes.txt"] {
        file(&scene, &format!("data/{name}"));
    }
    // What systems leave there is nobody's data.
    for name in [".DS_Store", "left/Thumbs.db", "left/._0.png", "__MACOSX/left/0.png", "right/desktop.ini"] {
        file(&scene, &format!("data/{name}"));
    }
    let words = format!("{TRAIN} data --out run --quiet");
    scene.rehead(&words).ok().says(&["4 files ignored: 2 .heic, 1 .ppm, 1 .txt; convert images to JPEG or PNG"]);
    let words = "label --model run --input data --output out.csv --quiet --device cpu --threads 1";
    scene.rehead(words).ok().says(&["4 files ignored"]);
    scene.rehead("inspect data").ok().shows(&["16 images", "4 files ignored: 2 .heic, 1 .ppm, 1 .txt"]);
    assert_eq!(scene.text("out.csv").lines().count(), 17);
}

/// What is not in the numbers of a run is counted in its report and its metrics too.
#[test]
fn what_is_left_out_of_a_run_is_in_its_report() {
    let scene = scene();
    for folder in ["data", "held", "test"] {
        classes(&scene, folder, ["left", "right"]);
    }
    for name in ["data/left/a.heic", "held/left/bad.png", "test/right/bad.png", "test/right/notes.txt"] {
        file(&scene, name);
    }
    let words = format!("{TRAIN} data --valid held --test test --out run --on-bad-input skip");
    scene.rehead(&words).ok().says(&["1 of 17 images cannot be read"]);
    let report = scene.text("run/report.html");
    let metrics = scene.json("run/metrics.json");
    let said = metrics["data_warnings"].to_string();
    for part in [
        "1 file ignored: 1 .heic",
        "test: 1 file ignored: 1 .txt",
        "1 validation image left out, which cannot be read",
        "1 test image left out, which cannot be read",
    ] {
        assert!(report.contains(part), "{part} is not in the report");
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(metrics["unreadable_images"], serde_json::json!({ "validation": 1, "test": 1 }));
    assert_eq!((&metrics["valid"]["rows"], &metrics["test"]["rows"]), (&16.into(), &16.into()));
}

/// The statistics of batch norms are not learned: what `inspect` counts is what the metrics count.
#[test]
fn parameters_are_counted_without_the_statistics_of_batch_norms() {
    let scene = scene();
    classes(&scene, "data", ["left", "right"]);
    scene.rehead(&format!("{TRAIN} data --out run")).ok();
    let report = scene.rehead("inspect run --json").ok().json();
    assert_eq!(report["parameters"], scene.json("run/metrics.json")["total_parameters"]);
    assert!(report["buffers"].as_u64() > Some(0), "{report}");
    scene.rehead("inspect run").ok().shows(&[&format!(" and {} buffers", report["buffers"])]);
}

#[test]
#[cfg(unix)]
fn a_link_to_nothing_is_an_image_that_cannot_be_read() {
    let scene = scene();
    classes(&scene, "data", ["left", "right"]);
    std::os::unix::fs::symlink("/nonexistent/x.png", scene.path("data/left/gone.png")).unwrap();
    scene.rehead("inspect data").ok().shows(&["cannot be read: ", "gone.png"]);
    scene.rehead(&format!("{TRAIN} data --out run")).refused().says(&["gone.png", "--on-bad-input skip"]);
    scene.rehead(&format!("{TRAIN} data --out run --on-bad-input skip")).ok().says(&["gone.png"]);
}

#[test]
fn a_class_without_images_is_named() {
    let scene = scene();
    classes(&scene, "data", ["left", "right"]);
    file(&scene, "data/phones/1.heic");
    file(&scene, "data/phones/2.heic");
    let words = format!("{TRAIN} data --out run");
    scene.rehead(&words).refused().says(&[
        "the class `phones` has no image",
        "2 .heic",
        "convert images to JPEG or PNG",
    ]);
    scene.rehead("inspect data").ok().shows(&["cannot be trained on: ", "the class `phones` has no image"]);
    scene.remove("data/phones");
    std::fs::create_dir(scene.path("data/empty")).unwrap();
    scene.rehead(&words).refused().says(&["the class `empty` has no image", "it is empty"]);
    scene.remove("data/empty");
    std::fs::create_dir(scene.path("data/.hidden")).unwrap();
    scene.rehead(&words).ok();
}

#[test]
fn the_folder_of_doubtful_images_is_told_of_as_a_class() {
    let scene = scene();
    classes(&scene, "data", ["left", "unsure"]);
    let said = "the class `unsure` is named as the folder in which `rehead label --sort-into` puts images";
    scene.rehead(&format!("{TRAIN} data --out run --quiet")).ok().says(&[said]);
}

#[test]
fn names_are_taken_as_they_are() {
    let scene = scene();
    classes(&scene, "data", ["left", " right"]);
    // Beside each other: with the blank and without.
    image(&scene, "data/left/ a.png", true);
    image(&scene, "data/left/a.png", false);
    scene.rehead(&format!("{TRAIN} data --out run")).ok();
    let label = "label --model run --device cpu --threads 1 --probabilities";
    scene.rehead(&format!("{label} --input data --output folder.csv")).ok();
    let folder = scene.text("folder.csv");
    assert!(folder.contains("\n right/0.png,") && folder.contains("\nleft/ a.png,"), "{folder}");
    let answer = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name},"))).unwrap();
        line[name.len()..].to_owned()
    };
    assert_ne!(answer(&folder, "left/ a.png"), answer(&folder, "left/a.png"));
    // A typed name is what it is where there is such a file, and without its blanks where there is none.
    scene.write("data/list.csv", "file\nleft/ a.png\nleft/a.png\n left/0.png \n");
    scene.rehead(&format!("{label} --input data/list.csv --output list.csv")).ok();
    let list = scene.text("list.csv");
    for (typed, name) in [("left/ a.png", "left/ a.png"), ("left/a.png", "left/a.png"), (" left/0.png ", "left/0.png")]
    {
        assert_eq!(answer(&list, typed), answer(&folder, name), "{typed:?}");
    }
}

#[test]
fn folders_that_are_no_classes_are_explained() {
    let scene = scene();
    for split in ["train", "test", "extra"] {
        classes(&scene, &format!("data/{split}"), ["left", "right"]);
    }
    let refused = |folder: &str, parts: &[&str]| {
        scene.rehead(&format!("{TRAIN} {folder} --out run")).refused().says(parts);
    };
    refused("data", &["parts of a data set", "--train data/train --test data/test", "`extra`"]);
    refused("data/train/left", &["the images lie in this folder itself", "data/train"]);
    scene.remove("data/test");
    scene.remove("data/extra");
    refused("data", &["one folder in it, `train`", "`left`, `right`", "name that folder: data/train"]);
    image(&scene, "data/train/stray.png", true);
    refused("data/train", &["stray.png", "not in a class folder"]);
}

/// Copies are found by what is in the files. Where their labels agree they make scores too good; where they do not,
/// one of the labels is wrong.
#[test]
fn copies_of_images_are_counted_and_named() {
    let scene = scene();
    for folder in ["data", "test"] {
        classes(&scene, folder, ["left", "right"]);
    }
    scene.copy("data/left/1.png", "data/right/copy.png");
    scene.copy("data/left/2.png", "data/left/again.png");
    scene.copy("data/left/3.png", "test/right/copy.png");
    let said = scene.rehead(&format!("{TRAIN} data --test test --out run")).ok().says(&[
        "training data: 1 image repeated\n",
        "training data: 1 image repeated with another label (data/",
        "of the test images is a copy of a training image with another label (test/right/copy.png against \
         data/left/3.png): correct the wrong ones",
    ]);
    said.check(!said.stderr.contains("too optimistic"), "no praise for labels that contradict each other");
    let report = scene.text("run/report.html");
    for part in [
        "1 image of the training data appears with another label too (such as",
        "1 image repeated with another label (data/",
        "is a copy of a training image with another label",
    ] {
        assert!(report.contains(part), "{part} is not in the report");
    }
}

#[test]
fn an_image_is_named_by_its_file_and_what_is_held_out_is_what_is_used() {
    let scene = scene();
    for folder in ["data", "test"] {
        classes(&scene, folder, ["left", "right"]);
    }
    image(&scene, "test/giraffe/1.png", true);
    let said = scene.rehead(&format!("{TRAIN} data --test test --out run")).refused();
    let said = said.says(&["test/giraffe/1.png: the label `giraffe` is unknown"]);
    said.check(!said.stderr.contains("line "), "no rows and lines of a folder");
    // The start of a JPEG and no more.
    let start = [0xFF, 0xD8, 0xFF, 0xE0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 1];
    for folder in ["left", "right"] {
        for index in 0..8 {
            scene.write(&format!("data/{folder}/{index}.jpg"), start);
        }
    }
    let said = scene.rehead(&format!("{TRAIN} data --out run")).refused();
    said.says(&["the JPEG image is cut short\n", "replace the file by a good copy, or leave such images out with"]);
    let words = format!("{TRAIN} data --valid-fraction 0.5 --out run --on-bad-input skip");
    let said = scene.rehead(&words).ok().says(&["16 of the training rows held out"]);
    let valid = scene.json("run/metrics.json")["valid"]["rows"].as_u64().unwrap();
    let expected = format!("16 of the training rows held out: {valid} used, {} that cannot be read", 16 - valid);
    said.check(scene.text("run/report.html").contains(&expected), &expected);
}

/// The commands that are printed take the data as the run did: with all options that were given.
#[test]
fn next_steps_repeat_the_options_of_the_data() {
    let scene = scene();
    classes(&scene, "data", ["left", "right"]);
    let list: String = ["left", "right"]
        .iter()
        .flat_map(|side| (0..8).map(move |index| format!("data/{side}/{index}.png;{side}\n")))
        .collect();
    scene.write("list.csv", format!("path;side\n{list}data/gone.png;left\n"));
    scene.write("test.csv", format!("path;side\n{list}"));
    let options = "--image path --label side --delimiter ';' --min-rows-per-label 2 --on-bad-input skip --init random";
    let words = "--model net --strategy frozen --device cpu --precision fp32 --threads 1 --out run";
    let given = options.replace('\'', "");
    scene.rehead(&format!("train --train list.csv --test test.csv {given} {words}")).ok().says(&[
        &format!("rehead compare --train list.csv --test test.csv {options} --model net --strategies"),
        "rehead evaluate --model run --data TEST.csv ",
        "rehead label --model run --input NEW.csv ",
    ]);
    let compare = "compare --train data --model net --init random --strategies frozen --seeds 1 --threads 1 --out both";
    scene.rehead(compare).ok().says(&["--input IMAGES/ --output labelled.csv"]);
}
