//! Images through the whole program: trained from random numbers, evaluated, labelled, compared, advised on;
//! interrupted and continued; damaged files among them.

mod support;

use std::collections::BTreeSet;

use image::ImageFormat;
use support::pictures::{half_bright, scene_with_net};
use support::{Lottery, Scene, assert_as_uninterrupted, fields, interrupted, weights};

const BASIC: &str =
    "train --train train --valid valid --model net --init random --device cpu --precision fp32 --threads 1";

/// Folders of images whose halves are brighter on the left or on the right.
fn scene() -> Scene {
    let scene = scene_with_net();
    let mut lottery = Lottery(1);
    for (split, count) in [("train", 24), ("valid", 10), ("test", 10)] {
        for (class, left) in [("left", true), ("right", false)] {
            std::fs::create_dir_all(scene.path(format!("{split}/{class}"))).unwrap();
            for index in 0..count {
                let (width, height) = (30 + lottery.below(20) as u32, 30 + lottery.below(20) as u32);
                let picture = half_bright(&mut lottery, width, height, left);
                let (name, format) = match index % 3 {
                    0 => (format!("{index}.png"), ImageFormat::Png),
                    1 => (format!("{index}.jpg"), ImageFormat::Jpeg),
                    _ => (format!("{index}.bmp"), ImageFormat::Bmp),
                };
                picture.save_with_format(scene.path(format!("{split}/{class}/{name}")), format).unwrap();
            }
        }
    }
    scene
}

/// A network that has learned something of another task, to start from.
fn pretrained(scene: &Scene) {
    scene.rehead(&format!("{BASIC} --epochs 2 --batch-size 8 --augment none --out net-trained")).ok();
}

fn accuracy(scene: &Scene, run: &str, split: &str) -> f64 {
    scene.json(&format!("{run}/metrics.json"))[split]["accuracy"].as_f64().unwrap()
}

#[test]
fn a_network_is_trained_and_everything_can_be_done_with_it() {
    let scene = scene();
    // One that cannot be got right, so that there is a mistake to show.
    scene.copy("test/left/0.png", "test/right/wrong.png");
    scene.rehead(&format!("{BASIC} --test test --epochs 6 --batch-size 8 --lr 3e-3 --augment none --out run")).ok();
    assert!(accuracy(&scene, "run", "test") > 0.8, "{}", scene.text("run/metrics.json"));
    let metrics = scene.json("run/metrics.json");
    assert!(metrics["images_per_second"].as_f64().unwrap() > 0.0);
    assert!(metrics["tokens_per_second"].is_null());
    let report = scene.text("run/report.html");
    assert!(report.contains("data:image/jpeg;base64,"), "no thumbnail in the report");
    assert!(report.contains(" of them the places that spoke") && report.contains("<rect "), "no map of a mistake");

    let evaluated = scene.rehead("evaluate --model run --data test --precision fp32 --json").ok().json();
    assert_eq!(evaluated["test"]["accuracy"], metrics["test"]["accuracy"]);

    scene.rehead("label --model run --input test --output labelled.csv --precision fp32").ok();
    let text = scene.text("labelled.csv");
    let rows = fields(&text);
    assert_eq!(rows[0], ["file", "predicted_label", "confidence"]);
    assert_eq!(rows.len(), 22);
    let right = rows[1..].iter().filter(|row| row[0].starts_with(row[1])).count();
    assert_eq!(right as f64 / 21.0, accuracy(&scene, "run", "test"));

    // One image by itself.
    scene.rehead("label --model run --input test/left/3.png --output one.csv --precision fp32").ok();
    let one = scene.text("one.csv");
    let found = rows.iter().find(|row| row[0] == "left/3.png").unwrap();
    assert_eq!(fields(&one)[1], ["3.png", found[1], found[2]]);

    // The same images from a list, with a column that is kept.
    let list: String = rows[1..].iter().map(|row| format!("7,test/{}\n", row[0])).collect();
    scene.write("list.csv", format!("id,image\n{list}"));
    scene.rehead("label --model run --input list.csv --output listed.csv --precision fp32").ok();
    let listed = scene.text("listed.csv");
    for (listed, row) in fields(&listed)[1..].iter().zip(&rows[1..]) {
        assert_eq!(listed[0], "7");
        assert_eq!(listed[2..], row[1..]);
    }
}

#[test]
fn each_strategy_trains_what_it_should_and_frozen_statistics_stay() {
    let scene = scene();
    pretrained(&scene);
    let before = tensors_of(&scene, "net-trained");
    for (strategy, trained) in [
        ("frozen", &[][..]),
        ("last:1", &["layer4.0"]),
        ("last:2", &["layer3.0", "layer4.0"]),
        ("full", &["conv1", "layer1"]),
    ] {
        let run = format!("run-{}", strategy.replace(':', "-"));
        scene
            .rehead(&format!(
                "train --train train --valid valid --model net-trained --device cpu --precision fp32 --threads 1 \
                 --strategy {strategy} --augment none --batch-size 8 --out {run}"
            ))
            .arg("--epochs")
            .arg("1")
            .ok();
        let after = tensors_of(&scene, &run);
        assert_eq!(before.keys().collect::<BTreeSet<_>>(), after.keys().collect::<BTreeSet<_>>());
        let changed: BTreeSet<&String> = after.keys().filter(|name| before[*name] != after[*name]).collect();
        assert!(changed.iter().any(|name| name.starts_with("fc.")), "{strategy}: the head is as it was");
        for part in trained {
            assert!(
                changed.iter().any(|name| name.starts_with(part) && name.ends_with("running_mean")) || *part == "conv1"
            );
            assert!(
                changed.iter().any(|name| name.starts_with(part) && name.ends_with("weight")),
                "{strategy}: {part}"
            );
        }
        if strategy != "full" {
            let odd: Vec<_> = changed
                .iter()
                .filter(|name| !name.starts_with("fc.") && !trained.iter().any(|part| name.starts_with(part)))
                .collect();
            assert!(odd.is_empty(), "{strategy} changed {odd:?}");
        }
    }
}

fn tensors_of(scene: &Scene, run: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    let bytes = weights(scene, run);
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

#[test]
fn an_interrupted_run_goes_on_as_if_it_had_not_been() {
    for (how, steps) in [
        ("--augment light --mixup 0.2 --cutmix 1", 20),
        ("--strategy gradual --augment standard", 31),
        ("--strategy last:2", 10),
    ] {
        let scene = scene();
        let words = format!("{BASIC} --epochs 8 --batch-size 6 --lr 1e-3 --log-every 1 {how}");
        scene.rehead(&format!("{words} --out whole")).ok();
        let outcome = interrupted(&scene, &format!("{words} --out run"), libc::SIGINT, steps);
        outcome.check(outcome.status.code() == Some(130), "exit status 130");
        scene.rehead("train --resume --out run").ok();
        assert_as_uninterrupted(&scene, how);
    }
}

#[test]
fn cached_lower_layers_change_no_bit() {
    let scene = scene();
    pretrained(&scene);
    let words = "train --train train --valid valid --model net-trained --device cpu --precision fp32 --threads 1 \
                 --strategy last:2 --augment none --batch-size 8 --epochs 2";
    scene.rehead(&format!("{words} --cache off --out off")).ok();
    for (name, how) in [("memory", "--cache on"), ("file", "--cache-memory 0"), ("kept", "--cache-dir kept")] {
        scene.rehead(&format!("{words} {how} --out {name}-run")).ok();
        assert!(weights(&scene, "off") == weights(&scene, &format!("{name}-run")), "{name}");
    }
    scene.rehead(&format!("{words} --cache-dir kept --out again")).ok().says(&["found in"]);
}

#[test]
fn images_are_mixed_and_shown_in_several_views() {
    let scene = scene();
    pretrained(&scene);
    let words = "train --train train --valid valid --test test --model net-trained --device cpu --precision fp32 \
                 --threads 1 --batch-size 8 --epochs 2 --lr 1e-3";
    for (run, how) in [("plain", ""), ("mixed", "--mixup 0.4"), ("again", "--mixup 0.4"), ("cut", "--cutmix 1")] {
        scene.rehead(&format!("{words} --augment none {how} --out {run}")).ok();
    }
    assert!(weights(&scene, "mixed") == weights(&scene, "again"));
    assert!(weights(&scene, "mixed") != weights(&scene, "plain") && weights(&scene, "mixed") != weights(&scene, "cut"));
    // Frozen stages see what is mixed: nothing is taken from a cache of images as they are.
    for (run, how) in [("last", "--mixup 0.4 --augment none"), ("last-plain", "--augment none")] {
        scene.rehead(&format!("{words} --strategy last:2 {how} --out {run}")).ok();
    }
    assert!(weights(&scene, "last") != weights(&scene, "last-plain"));

    // A head on four views of each image is another than one on the image as it is, and counts every image once.
    for (run, how) in [("one", ""), ("four", "--views 4"), ("again-four", "--views 4")] {
        scene.rehead(&format!("{words} --strategy frozen {how} --out {run}")).ok();
        assert_eq!(scene.json(&format!("{run}/metrics.json"))["train_rows"], 48, "{run}");
    }
    assert!(weights(&scene, "one") != weights(&scene, "four"));
    assert!(weights(&scene, "four") == weights(&scene, "again-four"));
    scene.rehead(&format!("{words} --strategy frozen --mixup 1 --out without")).ok().says(&["mixup = 0"]);
    scene.rehead(&format!("{words} --views 3 --out usual")).ok().says(&["views = 1"]);
    scene.rehead(&format!("{words} --mixup 1 --micro-batch-tokens 1 --out r")).refused().says(&["in pairs"]);
    scene.rehead(&words.replace("--batch-size 8", "--batch-size 1 --mixup 1 --out r")).refused().says(&["in pairs"]);
    // What a strategy leaves out is no other setting when the comparison continues.
    let compared = words.replace("train --train", "compare --train").replace("--epochs 2", "--epochs 1");
    let compared = format!(
        "{compared} --strategies frozen,full --mixup 0.2 --views 2 --augment light --out comparison --threads 64"
    );
    let compared = compared.replace("--threads 1 ", "");
    scene.rehead(&format!("{compared} --seeds 1")).ok();
    scene.rehead(&format!("{compared} --seeds 2")).ok().says(&["finished before"]);
}

#[test]
fn a_damaged_image_is_named_or_left_out() {
    let scene = scene();
    pretrained(&scene);
    let whole = scene.bytes("train/left/0.png");
    scene.write("train/left/0.png", &whole[..whole.len() / 2]);
    scene.write("test/right/1.jpg", b"no image at all");
    let report = scene.rehead("inspect train --json").ok().json();
    assert_eq!((&report["images"], &report["classes"][1]), (&48.into(), &serde_json::json!(["right", 24])));
    assert!(
        report["problems"][0].as_str().unwrap().contains("train/left/0.png: the PNG image is cut short"),
        "{report}"
    );
    let words = "train --train train --valid valid --model net-trained --strategy frozen";
    scene.rehead(&format!("{words} --out run")).refused().says(&[
        "among the images to train on",
        "train/left/0.png",
        "--on-bad-input skip",
    ]);
    scene.rehead(&format!("{words} --on-bad-input skip --out run")).ok().says(&[
        "left out",
        "train/left/0.png",
        "1 of 48 images",
    ]);
    assert_eq!(scene.json("run/metrics.json")["train_rows"], 47);
    assert_eq!(scene.json("run/metrics.json")["unreadable_images"], serde_json::json!({ "training": 1 }));
    assert!(scene.text("run/report.html").contains("1 that cannot be read left out"));
    assert!(scene.text("run/report.html").contains("a kind of image that is missing"));

    scene.rehead("label --model run --input test --output out.csv").refused().says(&["test/right/1.jpg"]);
    scene
        .rehead("label --model run --input test --output out.csv --on-bad-input skip")
        .ok()
        .says(&["left out: ", "1 row could not be read and gets no label"]);
    let text = scene.text("out.csv");
    let bad: Vec<_> = fields(&text).into_iter().filter(|row| row[1].is_empty()).collect();
    assert_eq!(bad, [["right/1.jpg", "", ""]]);
    let evaluated = scene.rehead("evaluate --model run --data test --on-bad-input skip --json").ok().json();
    assert_eq!(evaluated["test"]["rows"], 19);
}

#[test]
fn strategies_are_compared_and_stages_measured() {
    let scene = scene();
    pretrained(&scene);
    scene
        .rehead(
            "compare --train train --valid valid --test test --model net-trained --strategies frozen,last:1 --seeds 2 \
             --epochs 1 --batch-size 8 --threads 1 --out comparison",
        )
        .ok();
    let result = scene.json("comparison/compare.json");
    let names: Vec<_> = result["contenders"].as_array().unwrap().iter().map(|one| one["strategy"].clone()).collect();
    assert_eq!(names, ["frozen", "last:1", "majority"]);
    let advice = scene.rehead("advise --train train --model net-trained --threads 1 --json").ok().json();
    let stages = advice["measurements"]["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 6);
    assert_eq!(stages[0]["name"], "stem");
    // Twice the same file: computed once, counted twice.
    scene.copy("test/left/0.png", "test/left/again.png");
    scene.rehead("label --model net-trained --input test --output twice.csv").ok();
    let text = scene.text("twice.csv");
    let of = |name: &str| fields(&text).into_iter().find(|row| row[0] == name).unwrap()[1..].join(",");
    assert_eq!(of("left/0.png"), of("left/again.png"));
}

/// A table's bytes stay the same when the images that it names are others; damaged ones count for no contender.
#[test]
fn a_comparison_knows_its_images_and_is_made_on_the_readable_ones() {
    let scene = scene();
    pretrained(&scene);
    let table = |split: &str| {
        let rows = (0..10).flat_map(|index| ["left", "right"].map(|class| (class, index)));
        let kinds = ["png", "jpg", "bmp"];
        let rows = rows.map(|(class, index)| format!("{split}/{class}/{index}.{},{class}\n", kinds[index % 3]));
        format!("image,label\n{}", rows.collect::<String>())
    };
    scene.write("train.csv", table("train"));
    scene.write("test.csv", table("test"));
    scene.write("test/right/1.jpg", b"no image at all");
    let command = "compare --train train.csv --valid test.csv --test test.csv --model net-trained --strategies frozen \
                   --threads 1 --on-bad-input skip --out both";
    scene.rehead(&format!("{command} --seeds 2")).ok();
    for run in ["frozen/seed-42", "majority"] {
        assert_eq!(scene.json(&format!("both/{run}/metrics.json"))["test"]["rows"], 19, "{run}");
    }
    // One seed less: the other run is not in the table, and it is said.
    scene
        .rehead(&format!("{command} --seeds 1"))
        .ok()
        .says(&["1 other finished run in both is", "both/frozen/seed-43"]);
    scene.copy("train/left/0.png", "train/right/0.png");
    scene.rehead(&format!("{command} --seeds 3")).refused().says(&["the images changed", "both/frozen/seed-42"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let scene = scene();
    scene.add_model("bare");
    scene.write("texts.csv", "text,label\na,left\nb,right\n");
    scene.rehead("train --train train --model bare --out run").refused().says(&["train: is a directory", "images"]);
    scene.rehead("train --train texts.csv --valid valid --model net --init random --out run").refused().says(&[
        "the first of 2 images that cannot be read",
        "a: ",
        "no such file",
        "--on-bad-input skip",
    ]);
    scene
        .rehead("train --train train --model net --out run")
        .refused()
        .says(&["net: there is neither model.safetensors"]);
    scene.copy("train/left/0.png", "test/left/copy.png");
    scene
        .rehead(&format!("{BASIC} --test test --epochs 1 --lr 1e-60 --out copies"))
        .ok()
        .says(&["1 of the test images is a copy of a training image"]);
    scene.rehead("train --train train --model no-such-net --init random --out run").refused().says(&["no-such-net"]);
    scene.rehead(&format!("{BASIC} --strategy lora --out run")).refused().says(&["lora"]);
    // The smallest size that can be asked for is one that this network takes.
    scene.rehead(&format!("{BASIC} --image-size 8 --strategy full --epochs 1 --out small")).ok();
    scene.rehead(&format!("{BASIC} --stages 2 --out run")).refused().says(&["image networks cannot be cut"]);
    scene.rehead(&format!("{BASIC} --max-length 9 --out run")).refused().says(&["this model reads images"]);
    for how in ["--augment light", "--mixup 0.2", "--cutmix 1", "--views 2"] {
        scene
            .rehead(&format!("train --train texts.csv --valid texts.csv --model bare {how} --out run"))
            .refused()
            .says(&["texts are not augmented"]);
    }
    std::fs::create_dir(scene.path("empty")).unwrap();
    scene.rehead("train --train empty --model net --init random --out run").refused().says(&["no image"]);
}
