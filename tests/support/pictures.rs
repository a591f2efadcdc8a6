//! What stories about images begin with: a network so small that a step takes milliseconds, and drawn pictures.

use image::{Rgb, RgbImage};

use super::{Lottery, Scene};

/// A ResNet for pictures of 32 by 32 pixels, in the folder `net`.
pub fn scene_with_net() -> Scene {
    let scene = Scene::new();
    std::fs::create_dir(scene.path("net")).unwrap();
    scene.write("net/config.json", NET);
    scene
}

const NET: &str = r#"{"architecture": "resnet18", "num_classes": 2, "num_features": 16,
    "model_args": {"layers": [2, 1, 1, 1], "channels": [8, 8, 16, 16]},
    "pretrained_cfg": {"input_size": [3, 32, 32], "crop_pct": 1.0, "interpolation": "bilinear",
                       "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}"#;

/// A picture whose left or right half is the brighter one.
pub fn half_bright(lottery: &mut Lottery, width: u32, height: u32, left: bool) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| {
        let base = if (x < width / 2) == left { 150 } else { 60 };
        Rgb([0, 1, 2].map(|_| (base + lottery.below(60)) as u8))
    })
}
