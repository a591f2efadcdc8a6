//! How training images are varied: augmented, mixed, shown in several views. What a strategy cannot do is left out,
//! with the reason.

use crate::config::{Augment, Choices, RunConfig, Strategy, Switch};
use crate::image::Augmentation;
use crate::model::InputSpec;
use crate::training::mix::Mix;

/// How the images that are trained on are shown.
#[derive(Default)]
pub struct Variation {
    /// None: images are shown as inference sees them.
    pub augmentation: Option<Augmentation>,
    /// Applied to a batch after augmentation.
    pub mix: Mix,
    /// How many varied views of an image take its place; 0: every epoch has another.
    pub views: usize,
}

impl Variation {
    /// Whether an image is the same in every epoch.
    pub fn is_none(&self) -> bool {
        self.augmentation.is_none() && self.mix.is_none()
    }
}

/// How the images that are trained on are varied and mixed. What a strategy cannot do is left out, with the reason; the
/// settings keep what was asked for.
pub fn variation(config: &mut RunConfig, input: &InputSpec, choices: &mut Choices) -> Variation {
    let InputSpec::Image(preprocessing) = input else { return Variation::default() };
    let frozen = config.strategy.name == Strategy::Frozen;
    let cached = matches!(config.strategy.name, Strategy::Last(_)) && config.run.cache == Switch::On;
    let training = &mut config.training;
    let mut mix = Mix { mixup: training.mixup, cutmix: training.cutmix };
    if frozen && !mix.is_none() {
        for (name, asked) in
            [("mixup", mix.mixup), ("cutmix", mix.cutmix)].into_iter().filter(|(_, asked)| *asked > 0.0)
        {
            choices.record(name, 0, format!("not {asked}: the head is fitted on features of whole images"));
        }
        mix = Mix::default();
    }
    if cached && !mix.is_none() {
        choices.record("cache", "off", "mixed images differ in every epoch");
    }
    if !frozen && training.views > 1 {
        choices.record("views", 1, format!("not {}: --views is for --strategy frozen", training.views));
    }
    let once = frozen && training.views == 1;
    let (height, _) = preprocessing.output();
    let (usual, reason) = match config.strategy.name {
        _ if once => {
            (Augment::None, "features are computed once per image, without augmentation; --views K augments them")
        }
        _ if cached && mix.is_none() => {
            (Augment::None, "the lower layers are cached, which excludes augmentation; --cache off allows it")
        }
        _ if height < 96 => (Augment::Light, "usual for small images (under 96 pixels)"),
        _ => (Augment::Standard, "usual for photographs"),
    };
    let chosen = match training.augment {
        Augment::Auto => {
            choices.record("augment", usual, reason);
            training.augment = usual;
            usual
        }
        asked if once && asked != Augment::None => {
            choices.record("augment", usual, format!("not {asked}: {reason}"));
            usual
        }
        asked => asked,
    };
    let augmentation = match chosen {
        Augment::Auto | Augment::None => None,
        Augment::Light => Some(Augmentation::light()),
        Augment::Standard => Some(Augmentation::standard()),
        Augment::Strong => Some(Augmentation::strong()),
    };
    if frozen && augmentation.is_none() && training.views > 1 {
        choices.record("views", 1, "images that are not augmented have one view");
    }
    let views = if frozen && augmentation.is_some() { training.views } else { 0 };
    Variation { augmentation, mix, views }
}
