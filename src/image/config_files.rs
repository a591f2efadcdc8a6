//! The files of a model directory that say how its images are preprocessed: transformers' preprocessor_config.json and
//! timm's config.json.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::image::preprocessing::Preprocessing;
use crate::json;

impl Preprocessing {
    /// What a model directory says: its preprocessor_config.json, else its config.json where that is timm's, else
    /// nothing.
    ///
    /// # Errors
    /// A file cannot be read, is not JSON, or asks for what is not supported; with the file and the key.
    pub fn of_directory(directory: &Path) -> Result<Option<Self>> {
        let transformers = directory.join("preprocessor_config.json");
        if let Some(config) = read(&transformers)? {
            return Self::from_transformers(&config).map(Some).map_err(|error| error.file(transformers));
        }
        let timm = directory.join("config.json");
        match read(&timm)? {
            Some(config) => Self::from_timm(&config).map_err(|error| error.file(timm)),
            None => Ok(None),
        }
    }
}

/// The object in a JSON file; nothing if there is no such file.
fn read(file: &Path) -> Result<Option<Map<String, Value>>> {
    match json::read(file)? {
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Error::request("must be a JSON object").file(file).hint(json::COMPLETE)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::{Interpolation, Resize};

    fn of_file(name: &str, content: &Value) -> Result<Option<Preprocessing>> {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join(name), content.to_string()).expect("written");
        Preprocessing::of_directory(directory.path())
    }

    fn transformers(content: Value) -> Preprocessing {
        of_file("preprocessor_config.json", &content).expect("read").expect("settings")
    }

    fn timm(content: Value) -> Preprocessing {
        of_file("config.json", &content).expect("read").expect("settings")
    }

    #[test]
    fn processors_of_transformers() {
        // google/vit-base-patch16-224, of before size was an object.
        let vit = transformers(json!({
            "do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5], "size": 224,
        }));
        assert_eq!(vit.resize, Resize::Exact { height: 224, width: 224 });
        assert_eq!((vit.crop, vit.interpolation, vit.mean), ((224, 224), Interpolation::Bilinear, [0.5; 3]));
        // microsoft/resnet-50.
        let resnet = transformers(json!({
            "crop_pct": 0.875, "do_normalize": true, "do_resize": true,
            "feature_extractor_type": "ConvNextFeatureExtractor",
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224,
        }));
        let bicubic = Preprocessing { interpolation: Interpolation::Bicubic, ..Preprocessing::imagenet(224) };
        assert_eq!(resnet, bicubic);
        // facebook/convnext-base-384 squashes.
        let convnext = transformers(json!({
            "image_processor_type": "ConvNextImageProcessor", "size": { "shortest_edge": 384 }, "crop_pct": 1.0,
        }));
        assert_eq!(convnext.resize, Resize::Exact { height: 384, width: 384 });
        assert_eq!(convnext.crop, (384, 384));
        // google/efficientnet-b0 divides by the standard deviation twice.
        let efficient = transformers(json!({
            "crop_size": { "height": 289, "width": 289 }, "do_center_crop": false, "do_normalize": true,
            "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "EfficientNetImageProcessor",
            "image_std": [0.5, 0.4, 0.3], "include_top": true, "resample": 0,
            "size": { "height": 224, "width": 224 },
        }));
        assert_eq!((efficient.resize, efficient.crop), (Resize::Exact { height: 224, width: 224 }, (224, 224)));
        assert_eq!((efficient.mean, efficient.interpolation), ([0.485, 0.456, 0.406], Interpolation::Nearest));
        for (std, expected) in efficient.std.into_iter().zip([0.25, 0.16, 0.09]) {
            assert!((std - expected).abs() < 1e-6, "{std}");
        }
        // facebook/dinov2-base says everything.
        let dino = transformers(json!({
            "crop_size": { "height": 224, "width": 224 }, "do_center_crop": true,
            "image_processor_type": "BitImageProcessor",
            "size": { "shortest_edge": 256 }, "rescale_factor": 0.00392156862745098,
        }));
        assert_eq!((dino.resize, dino.crop), (Resize::Shortest(256), (224, 224)));
    }

    #[test]
    fn other_scales_become_part_of_the_normalisation() {
        let of = |more: Value| {
            let mut config = json!({ "size": 32, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5] });
            config.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            let preprocessing = transformers(config);
            // Of a pixel of 51: (0.2 - mean) / std.
            (0.2 - preprocessing.mean[0]) / preprocessing.std[0]
        };
        let near = |value: f32, expected: f32| assert!((value - expected).abs() < 1e-4, "{value} {expected}");
        near(of(json!({})), (0.2 - 0.5) / 0.5);
        near(of(json!({ "do_normalize": false })), 0.2);
        near(of(json!({ "do_rescale": false })), (51.0 - 0.5) / 0.5);
        near(of(json!({ "rescale_factor": 1.0 / 127.5 })), (0.4 - 0.5) / 0.5);
        near(of(json!({ "rescale_factor": 1.0 / 127.5, "rescale_offset": true })), (0.4 - 1.0 - 0.5) / 0.5);
    }

    #[test]
    fn configurations_of_timm() {
        let settings = json!({
            "input_size": [3, 224, 224], "fixed_input_size": false, "interpolation": "bicubic", "crop_pct": 0.95,
            "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        });
        let nested = timm(json!({ "architecture": "resnet18", "pretrained_cfg": settings }));
        assert_eq!((nested.resize, nested.crop), (Resize::Shortest(235), (224, 224)));
        assert_eq!(nested, timm(settings.clone()));
        let with = |key: &str, value: Value| {
            let mut settings = settings.clone();
            settings[key] = value;
            timm(json!({ "pretrained_cfg": settings }))
        };
        assert_eq!(with("crop_mode", json!("squash")).resize, Resize::Exact { height: 235, width: 235 });
        assert_eq!(with("crop_mode", json!("border")).resize, Resize::Longest(235));
        assert_eq!(with("input_size", json!([3, 128, 160])).resize, Resize::Covering { height: 134, width: 168 });
        let sized = timm(json!({ "pretrained_cfg": settings, "model_args": { "img_size": 48 } }));
        assert_eq!(sized.crop, (48, 48));
        assert_eq!(with("interpolation", json!("bilinear")).interpolation, Interpolation::Bilinear);
        assert_eq!(
            timm(json!({ "pretrained_cfg": {} })),
            Preprocessing { interpolation: Interpolation::Bicubic, ..Preprocessing::imagenet(224) }
        );
        assert!(of_file("config.json", &json!({ "model_type": "bert" })).expect("read").is_none());
        assert!(Preprocessing::of_directory(Path::new("/no/such/directory")).expect("read").is_none());
    }

    #[test]
    fn what_is_not_supported_is_refused_with_its_key() {
        for (name, config, key) in [
            ("preprocessor_config.json", json!({ "size": { "shortest_edge": 224 } }), "do_center_crop"),
            ("preprocessor_config.json", json!({ "size": { "longest_edge": 9, "shortest_edge": 3 } }), "size"),
            ("preprocessor_config.json", json!({ "size": 0 }), "size"),
            ("preprocessor_config.json", json!({ "size": -3 }), "size"),
            ("preprocessor_config.json", json!({ "size": 1e9 }), "size"),
            ("preprocessor_config.json", json!({ "size": [224] }), "size"),
            ("preprocessor_config.json", json!({ "size": {} }), "size"),
            ("preprocessor_config.json", json!({ "resample": 9 }), "resample"),
            ("preprocessor_config.json", json!({ "image_std": [0, 1, 1] }), "image_std"),
            ("preprocessor_config.json", json!({ "image_mean": [1] }), "image_mean"),
            ("preprocessor_config.json", json!({ "rescale_factor": "x" }), "rescale_factor"),
            ("preprocessor_config.json", json!({ "do_pad": true }), "do_pad"),
            ("preprocessor_config.json", json!({ "do_flip_channel_order": true }), "do_flip_channel_order"),
            ("config.json", json!({ "input_size": [1, 28, 28] }), "input_size"),
            ("config.json", json!({ "input_size": [3, 28, 56], "crop_mode": "border" }), "input_size"),
            ("config.json", json!({ "input_size": [3, 28, 28], "crop_pct": 0 }), "crop_pct"),
            ("config.json", json!({ "input_size": [3, 28, 28], "crop_mode": "tile" }), "crop_mode"),
            ("config.json", json!({ "input_size": [3, 28, 28], "interpolation": 3 }), "interpolation"),
        ] {
            let error = of_file(name, &config).expect_err("refused");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(&format!("`{key}`")), "{config}: {text}");
        }
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("preprocessor_config.json"), "{").expect("written");
        assert!(Preprocessing::of_directory(directory.path()).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let exact = |height, width| Resize::Exact { height, width };
        let imagenet = Preprocessing::imagenet(224);
        for (resize, crop) in [
            (Resize::Shortest(256), (224, 224)),
            (Resize::Shortest(235), (224, 224)),
            (Resize::Shortest(224), (224, 224)),
            (Resize::Shortest(200), (224, 224)),
            (Resize::Shortest(331), (299, 299)),
            (Resize::Longest(230), (224, 224)),
            (exact(224, 224), (224, 224)),
            (exact(256, 256), (224, 224)),
            (exact(48, 96), (48, 96)),
        ] {
            for interpolation in
                [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos]
            {
                let preprocessing = Preprocessing { resize, crop, interpolation, ..imagenet };
                assert_eq!(timm(json!({ "pretrained_cfg": preprocessing.to_timm() })), preprocessing);
                assert_eq!(transformers(preprocessing.to_transformers()), preprocessing);
            }
        }
        let unchanged = Preprocessing { resize: Resize::Unchanged, crop: (32, 40), ..imagenet };
        let unequal = Preprocessing { crop: (100, 224), ..imagenet };
        for preprocessing in [imagenet, unchanged, unequal] {
            assert_eq!(transformers(preprocessing.to_transformers()), preprocessing);
            let text = serde_json::to_string(&preprocessing).expect("written");
            assert_eq!(serde_json::from_str::<Preprocessing>(&text).expect("read"), preprocessing);
        }
        assert_eq!(imagenet.to_timm()["mean"].to_string(), "[0.485,0.456,0.406]");
        assert_eq!(imagenet.to_timm()["crop_pct"], json!(0.875));
        // Every size that timm's own configurations may have led to.
        for crop in [32u32, 96, 112, 160, 192, 224, 240, 256, 288, 299, 336, 384, 448, 518] {
            for size in crop..=2 * crop {
                let preprocessing = Preprocessing { resize: Resize::Shortest(size), crop: (crop, crop), ..imagenet };
                let settings = preprocessing.to_timm();
                assert_eq!(Preprocessing::from_timm(&settings).expect("read"), Some(preprocessing), "{settings:?}");
            }
        }
    }
}
