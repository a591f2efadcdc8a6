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

/// What is in a folder, but for the list of what was moved there.
fn images_in(scene: &Scene, folder: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = scene.everything_in(folder);
    found.remove("sorted.csv");
    found
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
    assert!(images_in(&scene, "moved") == sorted);
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
    assert!(images_in(&scene, "moved") == sorted, "{outcome}");
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
    assert!(images_in(&scene, "sorted") == links, "{outcome}\n{}", scene.listing());
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

/// A finished output is no reason to believe that it is of these images and this model.
#[test]
fn a_finished_output_is_sorted_by_for_what_it_was_made_of_alone() {
    let scene = scene();
    let words = "train --train train --model net --init random --device cpu --precision fp32 --threads 1 --seed 9";
    scene.rehead(&format!("{words} --epochs 1 --batch-size 4 --augment none --out other")).ok();
    scene.rehead(&format!("{LABEL} --sort-into sorted")).ok();
    scene.copy("photos", "same-names");
    let resume = format!("{LABEL} --sort-into sorted --resume");
    let before = scene.everything();
    let refused = |words: &str, said: &str| {
        scene.rehead(words).refused().says(&[said, "without --resume"]);
    };
    for (words, said) in [
        (resume.replace("photos", "same-names"), "another input"),
        (resume.replace("--model run", "--model other"), "another model"),
        (format!("{resume} --min-confidence 0.9"), "another set of output options: --min-confidence (0; now 0.9)"),
        (format!("{resume} --on-bad-input skip"), "another set of output options: how the rows are read (--text, "),
    ] {
        refused(&words, said);
        assert!(scene.everything() == before, "{words}\n{}", scene.listing());
    }
    // A new image, a changed one, one that is gone.
    let image = scene.bytes("photos/0.png");
    scene.copy("photos/0.png", "photos/new.png");
    refused(&resume, "photos/new.png: this image is new");
    scene.remove("photos/new.png");
    scene.copy("photos/1.png", "photos/0.png");
    refused(&resume, "photos/0.png: row 1: the image has changed");
    scene.remove("photos/0.png");
    refused(&resume, "photos/0.png: row 1: the image is gone");
    scene.write("photos/0.png", image);
    // Another output, or one of which nothing is known.
    let output = scene.text("out.csv");
    scene.write("out.csv", output.replace("a-dark", "b|light"));
    refused(&resume, "the output has changed");
    scene.write("out.csv", output);
    scene.rehead(&resume).ok().says(&["all were there already"]);
    // Without sorting too, what is certainly complete is, and what another call made is not.
    let plain = format!("{LABEL} --resume");
    scene.rehead(&plain).ok().says(&["out.csv is complete: there is nothing to resume"]);
    refused(&format!("{plain} --probabilities"), "another set of output options: added columns (predicted_label, ");
    scene.copy("photos/0.png", "photos/zz.png");
    refused(&plain, "the input has more rows");
    scene.remove("photos/zz.png");
    scene.remove("out.csv.origin.json");
    refused(&plain, "nothing is recorded of what this output was made from");
    refused(&resume, "nothing is recorded of what this output was made from");
    // Labelled without sorting, none of it is kept.
    scene.rehead(&format!("{LABEL} --sort-into sorted")).ok();
    scene.rehead(LABEL).ok();
    assert!(!scene.exists("out.csv.origin.json"));
    // A list of images.
    scene.write("photos/list.csv", "file\n0.png\n1.png\n");
    let listed = resume.replace("photos", "photos/list.csv");
    scene.rehead(&listed.replace(" --resume", "")).ok();
    for list in ["file\n1.png\n0.png\n", "file\n0.png\n1.png\n2.png\n", "file\n0.png\n"] {
        scene.write("photos/list.csv", list);
        refused(&listed, "the rows are not those that were labelled");
    }
    scene.write("photos/list.csv", "file\n0.png\n1.png\n");
    scene.remove(&format!("sorted/{}/1.png", folder(&labels(&scene)["1.png"].0)));
    scene.rehead(&listed).ok().says(&["2 images copied into sorted (1 was there already)"]);
    for output in ["out.xlsx", "out.parquet"] {
        let words = listed.replace("out.csv", output);
        scene.rehead(&words.replace(" --resume", "")).ok();
        scene.rehead(&words).ok();
        scene.rehead(&format!("{words} --min-confidence 0.9")).refused();
    }
    let moving = listed.replace("out.csv", "moved.csv") + " --move";
    scene.rehead(&moving.replace(" --resume", "")).ok();
    scene.rehead(&moving).ok().says(&["2 images moved into sorted (all were there already)"]);
    scene.rehead(&moving.replace(" --resume", "")).refused().says(&["were moved"]);
}

#[test]
fn an_interrupted_output_is_not_continued_over_changed_images() {
    let scene = scene();
    let rows: String = (0..4).map(|index| format!("{index}.png\n")).collect();
    scene.write("photos/list.csv", format!("file\n{rows}more/9.png\n"));
    scene.write("photos/more/9.png", "no image");
    for input in ["photos", "photos/list.csv"] {
        let words = LABEL.replace("photos", input) + " --window 2";
        scene.rehead(&words).refused().says(&["kept in out.partial.csv"]);
        let before = scene.bytes("photos/1.png");
        scene.copy("photos/0.png", "photos/1.png");
        let resume = format!("{words} --resume --on-bad-input skip").replace(" --on-bad-input skip", "");
        scene.rehead(&resume).refused().says(&["photos/1.png: row 2: the image has changed", "partial output"]);
        scene.write("photos/1.png", before);
        let broken = scene.bytes("photos/more/9.png");
        scene.copy("photos/0.png", "photos/more/9.png");
        scene.rehead(&resume).ok();
        scene.write("photos/more/9.png", broken);
        scene.remove("out.csv");
    }
}

/// In place, an image may come to where another one was.
#[test]
fn sorting_in_place_is_continued() {
    let scene = scene();
    scene.rehead(LABEL).ok();
    let first = folder(&labels(&scene)["0.png"].0);
    let other = if first == "a-dark" { "b_light" } else { "a-dark" };
    // Leaves the folder in which an image of the same name, which comes later, has its place.
    std::fs::create_dir(scene.path(format!("photos/{other}"))).unwrap();
    std::fs::rename(scene.path("photos/0.png"), scene.path(format!("photos/{other}/4.png"))).unwrap();
    if folder(&labels(&scene)["more/4.png"].0) != other {
        let bright = labels(&scene).into_iter().find(|(_, (label, _))| folder(label) == other);
        let (image, _) = bright.unwrap_or_else(|| panic!("one label only: {}", scene.text("out.csv")));
        std::fs::remove_file(scene.path("photos/more/4.png")).unwrap();
        scene.copy(&format!("photos/{image}"), "photos/more/4.png");
    }
    let moving = format!("{LABEL} --sort-into photos --move");
    scene.rehead(&moving).ok();
    let sorted = scene.everything_in("photos");
    assert!(scene.exists(&format!("photos/{other}/4.png")) && !scene.exists("photos/more/4.png"));
    let outcome = scene.rehead(&format!("{moving} --resume")).ok();
    assert!(scene.everything_in("photos") == sorted, "{outcome}");
}

/// Nothing is moved that is not in the input, and no link is left that leads nowhere.
#[test]
fn links_among_images_that_are_moved() {
    let scene = scene();
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, scene.path(name)).unwrap();
    let moving = format!("{LABEL} --sort-into sorted --move");
    std::fs::create_dir(scene.path("elsewhere")).unwrap();
    scene.copy("photos/0.png", "elsewhere/7.png");
    for (target, name, said) in [
        ("1.png", "photos/0-link.png", "1 link leads to images that would be moved: `photos/0-link.png`"),
        ("more/4.png", "photos/z.png", "1 link leads to images that would be moved: `photos/z.png`"),
        ("1.png", "photos/latest", "1 link leads to images that would be moved: `photos/latest`"),
        ("../elsewhere", "photos/album", "1 image is outside the input, reached by a link: `photos/album`"),
    ] {
        link(target, name);
        let before = scene.everything();
        scene.rehead(&moving).refused().says(&[said, "without --move"]);
        assert!(scene.everything() == before, "{}", scene.listing());
        scene.remove_link(name);
    }
    // A link that an earlier sorting has left in the folder of another label.
    scene.rehead(&format!("{LABEL} --sort-into sorted --link")).ok();
    let (from, to) = match folder(&labels(&scene)["0.png"].0).as_str() {
        "a-dark" => ("sorted/a-dark/0.png", "sorted/b_light/0-old.png"),
        _ => ("sorted/b_light/0.png", "sorted/a-dark/0-old.png"),
    };
    std::fs::create_dir_all(scene.path(to).parent().unwrap()).unwrap();
    std::fs::rename(scene.path(from), scene.path(to)).unwrap();
    let before = scene.everything();
    scene.rehead(&format!("{moving} --resume")).refused().says(&["1 link of an earlier sorting leads", to]);
    assert!(scene.everything() == before, "{}", scene.listing());
    scene.remove("sorted");
    // A file has the name of a label's folder.
    let labels_folder = folder(&labels(&scene)["0.png"].0);
    std::fs::create_dir(scene.path("sorted")).unwrap();
    scene.write(&format!("sorted/{labels_folder}"), "");
    scene.rehead(&moving).run().says(&["cannot be placed here", "--resume sorts the others"]);
    scene.remove("sorted");
    // One folder by two paths, and a link to an image that stays.
    link("more", "photos/again");
    link("../elsewhere/7.png", "photos/7.png");
    let outcome = scene.rehead(&moving).ok();
    let sorted = images_in(&scene, "sorted");
    assert_eq!(sorted.values().flatten().count(), 9, "{outcome}\n{}", scene.listing());
    assert!(scene.exists("elsewhere/7.png"), "{outcome}");
    assert!(scene.everything_in("photos").values().flatten().next().is_none(), "{outcome}");
    let said = ["4 images are reached by two paths and moved once", "1 link leads to images that are not in the"];
    outcome.says(&said).says(&["9 images moved into sorted: "]);
    scene.rehead(&format!("{moving} --resume")).ok().says(&["all were there already"]);
    assert!(images_in(&scene, "sorted") == sorted);
}

/// An image that looks like one sorted before is an image of its own; where each went is listed, and stays listed.
#[test]
fn images_that_were_moved_are_listed_and_none_is_taken_for_another() {
    let scene = scene();
    let before = scene.everything_in("photos");
    let moving = format!("{LABEL} --sort-into sorted --move");
    let outcome = scene.rehead(&moving).ok();
    let first = labels(&scene);
    let listed = |text: &str| -> Vec<Vec<String>> {
        let rows = fields(text);
        assert_eq!(rows[0], ["file", "sorted_to", "label", "input", "labelling"]);
        rows[1..].iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    };
    let list = listed(&scene.text("sorted/sorted.csv"));
    assert_eq!(list.len(), 8, "{outcome}");
    for row in &list {
        assert_eq!(row[2], first[&row[0]].0);
        assert_eq!(scene.bytes(&format!("sorted/{}", row[1])), before[&row[0]].clone().unwrap());
        assert!(row[3].ends_with("/photos"), "{row:?}");
    }
    let elsewhere = moving.replace("--sort-into sorted", "--sort-into elsewhere");
    scene.rehead(&format!("{elsewhere} --resume")).refused().says(&["moved into another folder, ", "/sorted"]);
    // The same images again: the only list of the first ones is not replaced.
    for (name, content) in &before {
        content.iter().for_each(|content| scene.write(&format!("photos/{name}"), content));
    }
    let everything = scene.everything();
    scene.rehead(&moving).refused().says(&["were moved", "--resume", "another file with --output"]);
    scene.rehead(LABEL).refused().says(&["were moved"]);
    assert!(scene.everything() == everything);
    let again = moving.replace("out.csv", "more.csv");
    let outcome = scene.rehead(&again).ok();
    outcome.check(!outcome.stderr.contains("already"), "nothing to be there already");
    assert_eq!(images_in(&scene, "sorted").values().flatten().count(), 16, "{}", scene.listing());
    let list = listed(&scene.text("sorted/sorted.csv"));
    assert_eq!(list.len(), 16);
    for row in &list {
        assert_eq!(scene.bytes(&format!("sorted/{}", row[1])), before[&row[0]].clone().unwrap());
    }
    // A move that was killed after the image had its new name.
    let sorted = images_in(&scene, "sorted");
    std::fs::hard_link(scene.path(format!("sorted/{}", list[8][1])), scene.path("photos/0.png")).unwrap();
    assert_eq!(list[8][0], "0.png");
    scene.rehead(&format!("{again} --resume")).ok().says(&["all were there already"]);
    assert!(images_in(&scene, "sorted") == sorted && !scene.exists("photos/0.png"), "{}", scene.listing());
    // Another file of the list's name.
    scene.write("photos/0.png", before["0.png"].clone().unwrap());
    scene.write("sorted/sorted.csv", "mine\n");
    let third = moving.replace("out.csv", "third.csv");
    scene.rehead(&third).refused().says(&["sorted/sorted.csv: this is not the list"]);
    assert!(scene.exists("photos/0.png"));
}
