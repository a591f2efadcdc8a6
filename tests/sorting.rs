//! `rehead label --sort-into`: labelled images in a folder for each label, without losing or overwriting one.

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use image::{ImageFormat, Rgb, RgbImage};
use support::pictures::scene_with_net;
use support::{Lottery, Scene, fields};

const LABEL: &str = "label --model run --device cpu --precision fp32 --threads 1 --input photos --output out.csv";

/// A run with the labels `a-dark` and `b|light`, and ten images to label, in folders, two of them of the same name.
fn scene() -> Scene {
    let scene = scene_with_net();
    let mut lottery = Lottery(2);
    let mut picture = |path: &str, base: usize| {
        let path = scene.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let picture = RgbImage::from_fn(36, 36, |_, _| Rgb([0, 1, 2].map(|_| (base + lottery.below(60)) as u8)));
        picture.save_with_format(path, ImageFormat::Png).unwrap();
    };
    for index in 0..8 {
        picture(&format!("train/a-dark/{index}.png"), 0);
        picture(&format!("train/b|light/{index}.png"), 190);
    }
    for index in 0..4 {
        picture(&format!("photos/{index}.png"), 190 * (index % 2));
        picture(&format!("photos/more/{}.png", index + 2), 190 * (index % 2));
    }
    let words = "train --train train --valid train --model net --init random --device cpu --precision fp32 --threads 1";
    scene.rehead(&format!("{words} --epochs 4 --batch-size 4 --lr 3e-3 --augment none --out run")).ok();
    scene
}

/// By image its label and confidence.
fn labels(scene: &Scene) -> BTreeMap<String, (String, String)> {
    let text = scene.text("out.csv");
    fields(&text)[1..].iter().map(|row| (row[0].to_owned(), (row[1].to_owned(), row[2].to_owned()))).collect()
}

/// The folder of a label.
fn folder(label: &str) -> String {
    if label.is_empty() { "unsure".to_owned() } else { label.replace('|', "_") }
}

#[test]
fn images_are_copied_linked_or_moved_and_nothing_is_overwritten() {
    let scene = scene();
    let before = scene.everything_in("photos");
    let outcome = scene.rehead(&format!("{LABEL} --sort-into sorted")).ok();
    let labels = labels(&scene);
    assert_eq!(labels.len(), 8);
    assert!(scene.everything_in("photos") == before, "copies leave the images");
    let sorted = scene.everything_in("sorted");
    assert_eq!(sorted.values().flatten().count(), 8, "{outcome}");
    for (image, (label, _)) in &labels {
        let name = image.rsplit('/').next().unwrap().trim_end_matches(".png").to_owned();
        let candidates = [format!("{name}.png"), format!("{name}-2.png")];
        let content = before[image].clone().unwrap();
        let found = candidates.iter().any(|name| {
            scene.exists(&format!("sorted/{}/{name}", folder(label)))
                && scene.bytes(&format!("sorted/{}/{name}", folder(label))) == content
        });
        assert!(found, "{image} as {label}\n{outcome}");
    }
    outcome.says(&["8 images copied into sorted: "]);
    // Again: all are there already. Another file of the same name stays what it is.
    let outcome = scene.rehead(&format!("{LABEL} --sort-into sorted")).ok();
    assert!(scene.everything_in("sorted") == sorted, "{outcome}");
    outcome.says(&["all were there already"]);
    let first = folder(&labels["0.png"].0);
    std::fs::create_dir_all(scene.path(format!("linked/{first}"))).unwrap();
    scene.write(&format!("linked/{first}/0.png"), "mine");
    scene.rehead(&format!("{LABEL} --sort-into linked --link")).ok().says(&["8 images linked into linked: "]);
    assert_eq!(scene.text(&format!("linked/{first}/0.png")), "mine");
    assert_eq!(scene.bytes(&format!("linked/{first}/0-2.png")), before["0.png"].clone().unwrap());
    assert!(scene.path(format!("linked/{first}/0-2.png")).symlink_metadata().unwrap().is_symlink());
    scene.remove("linked");
    // Moved, and continued after a kill in the middle of it.
    let moved = scene.rehead(&format!("{LABEL} --sort-into moved --move")).ok();
    assert!(scene.everything_in("photos").values().flatten().next().is_none(), "{moved}");
    assert!(scene.everything_in("moved") == sorted);
    moved.says(&["8 images moved into moved: "]);
    for image in ["1.png", "more/4.png"] {
        let name = format!("moved/{}/{}", folder(&labels[image].0), image.rsplit('/').next().unwrap());
        scene.write(&format!("photos/{image}"), before[image].clone().unwrap());
        if image == "1.png" {
            scene.remove(&name);
        }
    }
    let outcome = scene.rehead(&format!("{LABEL} --sort-into moved --move --resume")).ok();
    assert!(scene.everything_in("photos").values().flatten().next().is_none(), "{outcome}");
    assert!(scene.everything_in("moved") == sorted, "{outcome}");
    outcome.says(&["(7 were there already)"]);
}

#[test]
fn what_has_no_label_has_its_own_place() {
    let scene = scene();
    scene.write("photos/broken.png", "no image");
    scene.rehead(LABEL).refused();
    scene.rehead(&format!("{LABEL} --on-bad-input skip")).ok();
    let mut confidences: Vec<f64> =
        labels(&scene).values().filter_map(|(_, confidence)| confidence.parse().ok()).collect();
    confidences.sort_by(f64::total_cmp);
    let threshold = confidences[4];
    let words = format!("{LABEL} --on-bad-input skip --min-confidence {threshold}");
    let outcome = scene.rehead(&format!("{words} --sort-into sorted")).ok();
    let unsure =
        labels(&scene).values().filter(|(label, confidence)| label.is_empty() && !confidence.is_empty()).count();
    assert!(unsure > 0 && scene.everything_in("sorted/unsure").len() == unsure, "{outcome}");
    assert!(scene.everything_in("sorted").keys().all(|name| !name.contains("broken")));
    outcome.says(&["1 image without a label stays where it is", &format!("unsure {unsure}")]);
    // With another threshold, what lies where it was put before is not silently there twice.
    let again = format!("{LABEL} --on-bad-input skip --sort-into sorted");
    scene.rehead(&again).ok().says(&[
        &format!("{unsure} image"),
        "in the folder of another label too",
        "delete sorted",
    ]);
    scene.rehead(&format!("{words} --unknown-label a/look --sort-into named")).ok();
    assert_eq!(scene.everything_in("named/a_look").len(), unsure);
    // In place.
    scene.remove("photos/broken.png");
    let nodes: u64 = scene.path("photos/0.png").metadata().unwrap().ino();
    scene.rehead(&format!("{LABEL} --sort-into photos --move")).ok();
    let (label, _) = &labels(&scene)["0.png"];
    assert_eq!(scene.path(format!("photos/{}/0.png", folder(label))).metadata().unwrap().ino(), nodes);
}

/// A link to an image is not another image with the same content: the image must not go for it.
#[test]
fn an_image_is_not_lost_for_a_way_that_leads_to_it() {
    let scene = scene();
    let before = scene.everything_in("photos");
    let images: Vec<&Vec<u8>> = before.values().flatten().collect();
    // Moved to where links to them are.
    scene.rehead(&format!("{LABEL} --sort-into sorted --link")).ok();
    let links = scene.everything_in("sorted");
    let outcome = scene.rehead(&format!("{LABEL} --sort-into sorted --move --resume")).ok();
    assert!(scene.everything_in("sorted") == links, "{outcome}\n{}", scene.listing());
    assert!(scene.everything_in("photos").values().flatten().next().is_none(), "{outcome}");
    for name in links.iter().filter(|(_, content)| content.is_some()).map(|(name, _)| name) {
        assert!(!scene.path(format!("sorted/{name}")).is_symlink(), "{name}");
    }
    // Moved into the folder that they are in, by another way.
    for (name, content) in &before {
        content.iter().for_each(|content| scene.write(&format!("photos/{name}"), content));
    }
    std::fs::create_dir(scene.path("same")).unwrap();
    for label in ["a-dark", "b_light"] {
        std::os::unix::fs::symlink(scene.path("photos"), scene.path(format!("same/{label}"))).unwrap();
    }
    let outcome = scene.rehead(&format!("{LABEL} --sort-into same --move --resume")).ok();
    let after = scene.everything_in("photos");
    let mut found: Vec<&Vec<u8>> = after.values().flatten().collect();
    assert_eq!(found.len(), images.len(), "{outcome}\n{}", scene.listing());
    found.retain(|content| !images.contains(content));
    assert!(found.is_empty(), "{outcome}");
}

/// The output is read again as it was written, not as the input was read.
#[test]
fn an_output_with_other_delimiters_and_quotes_is_sorted_by() {
    let scene = scene();
    let rows: String = (0..4).map(|index| format!("{index}.png;\"a\n")).collect();
    scene.write("photos/list.csv", format!("file;note\n{rows}"));
    let label = LABEL.replace("photos", "photos/list.csv");
    for (output, options) in [("out.tsv", ""), ("out.csv", ""), ("out.csv", "--no-header --text 1")] {
        if !options.is_empty() {
            scene.write("photos/list.csv", &rows);
        }
        let words = label.replace("out.csv", output) + " --delimiter ; --quote none --text file " + options;
        let words = if options.is_empty() { words } else { words.replace(" --text file", "") };
        let outcome = scene.rehead(&format!("{words} --sort-into sorted")).ok();
        assert_eq!(scene.everything_in("sorted").values().flatten().count(), 4, "{outcome}");
        scene.remove("sorted");
    }
}

#[test]
fn what_cannot_be_sorted_is_refused() {
    let scene = scene();
    scene.add_model("classifier");
    scene.write("in.csv", "text\ngood\n");
    let before = scene.everything();
    for (words, said) in [
        (format!("{LABEL} --sort-into photos/sorted"), "within the input"),
        (LABEL.replace("out.csv", "-") + " --sort-into sorted", "finished output"),
        (format!("{LABEL} --sort-into sorted --link --move"), "cannot be used with"),
        (format!("{LABEL} --move"), "--sort-into"),
        ("label --model classifier --input in.csv --output out.csv --sort-into sorted".to_owned(), "only images"),
    ] {
        scene.rehead(&words).refused().says(&[said]);
        assert!(scene.everything() == before, "{words}\n{}", scene.listing());
    }
}
