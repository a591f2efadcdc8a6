//! What the convolutional families share: networks by timm's names and settings, checkpoints of torchvision, timm or
//! transformers, and files that timm loads. Each family only says which networks it has and what their stages are
//! ([`ConvFamily`]).

use serde_json::{Map, Value, json};

use super::interface::{Export, Family, FreshNetwork, HeadLayers, HeadSpec, LayerName, Leftovers, Parts, SavedModel};
use crate::data::Modality;
use crate::error::{Error, Result, listed, nearest};
use crate::image::Preprocessing;
use crate::model::backbone::Backbone;
use crate::model::checkpoint::{Checkpoint, Weights};
use crate::model::convolutional::{ConvNet, ConvWeights, Naming, NetworkSpec};
use crate::model::pass::Pooling;
use crate::model::request::{InputSpec, LoadRequest};

/// A family of convolutional networks.
pub trait ConvFamily: Sync {
    /// Its name, with which the names of all its networks begin.
    fn name(&self) -> &'static str;

    /// The names that timm creates its networks under.
    fn networks(&self) -> Vec<String>;

    /// The stages of one of its [`networks`](Self::networks). `settings` are those of timm's `model_args` that are the
    /// family's own; `dropout` takes the place of the usual one.
    ///
    /// # Errors
    /// A setting that is not supported ([`unsupported_setting`]) or makes no sense.
    fn spec(&self, network: &str, settings: &Settings, dropout: Option<f64>) -> Result<NetworkSpec>;

    /// Whether there are tensors that all its networks have and other families do not, by the names in timm's and
    /// torchvision's files.
    fn marks(&self, weights: &Weights) -> bool;

    /// Which network tensors belong to that have such [`marks`](Self::marks), by their names and shapes; none when they
    /// are not a supported one's, or do not tell.
    fn of_weights(&self, weights: &Weights) -> Option<(String, Settings)>;

    /// Which network a `config.json` of transformers describes.
    ///
    /// # Errors
    /// One that timm does not have, or none: most families are not in transformers.
    fn of_transformers(&self, _config: &Value) -> Result<(String, Settings)> {
        Err(Error::request(format!("a `{}` of transformers' is not supported; one of timm's is", self.name()))
            .key("model_type"))
    }

    /// Brings names of a checkpoint of the network into timm's where [`Naming`] does not translate them.
    ///
    /// # Errors
    /// Two tensors would have the same name.
    fn translate(&self, _spec: &NetworkSpec, _weights: &mut Weights) -> Result<()> {
        Ok(())
    }

    /// How a network sees images where nothing is said: as ImageNet's do.
    fn preprocessing(&self, _network: &str) -> Preprocessing {
        Preprocessing::imagenet(224)
    }

    /// The tag of the trained weights on the hub that a network's bare name stands for: torchvision's first ones.
    /// timm's own default was trained with label smoothing or mixing, which make features that serve other classes less
    /// well (Kornblith et al., "Do Better ImageNet Models Transfer Better?", 2019).
    fn trained_tag(&self, _network: &str) -> Option<&'static str> {
        Some("tv_in1k")
    }

    /// The standard deviation of a new head's weights, from `features`: that of torch's `Linear`, as timm and
    /// torchvision start a ResNet's.
    fn head_std(&self, features: i64) -> f64 {
        1.0 / (3.0 * features.max(1) as f64).sqrt()
    }

    /// How the names of parts begin that classification does not use.
    fn auxiliary(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Settings of timm's `model_args`.
pub type Settings = Map<String, Value>;

/// A setting of `model_args` that is refused.
pub fn refused_setting(key: &str, value: &Value, why: &str) -> Error {
    Error::request(format!("{value}: {why}")).key(format!("model_args.{key}"))
}

/// A setting of `model_args` that a family does not have.
pub fn unsupported_setting(key: &str, value: &Value) -> Error {
    refused_setting(key, value, "this setting is not supported").hint("use a network without it")
}

/// The error for a network that a family does not have; `known` are those that it has.
pub fn unknown_network(name: &str, known: &[String]) -> Error {
    let hint = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? Supported: {}", listed(known)),
        None => format!("supported: {}", listed(known)),
    };
    Error::request(format!("`{name}`: this network is not supported")).key("architecture").hint(hint)
}

const MATCHING: &str = "use the config.json that belongs to these weights";

/// A network, by the name that timm creates it under.
#[derive(Debug)]
struct Architecture {
    name: String,
    /// Further arguments of timm's `create_model`.
    model_args: Settings,
    spec: NetworkSpec,
}

impl Architecture {
    /// The network that timm creates under `name` (a tag after a point is ignored) with `model_args`. `dropout` wins
    /// over what they say.
    ///
    /// # Errors
    /// A network or a setting that is not supported.
    fn named(family: &dyn ConvFamily, name: &str, model_args: &Settings, dropout: Option<f64>) -> Result<Self> {
        let name = name.split('.').next().unwrap_or(name);
        let known = family.networks();
        if !known.iter().any(|network| network == name) {
            return Err(unknown_network(name, &known));
        }
        let (mut kept, mut own, mut stated) = (Map::new(), Map::new(), None);
        for (key, value) in model_args {
            match key.as_str() {
                "drop_rate" => {
                    let p = value.as_f64().filter(|p| (0.0..1.0).contains(p));
                    stated = Some(p.ok_or_else(|| refused_setting(key, value, "is not a probability below 1"))?);
                }
                // These change nothing.
                "in_chans" if value.as_i64() == Some(3) => continue,
                "global_pool" if value.as_str() == Some("avg") => continue,
                "num_classes" | "aux_logits" => continue,
                _ => {
                    own.insert(key.clone(), value.clone());
                }
            }
            kept.insert(key.clone(), value.clone());
        }
        let spec = family.spec(name, &own, dropout.or(stated))?;
        Ok(Self { name: name.to_owned(), model_args: kept, spec })
    }

    /// The network of a checkpoint.
    ///
    /// # Errors
    /// One that is not supported, or settings that make no sense.
    fn of(family: &dyn ConvFamily, checkpoint: &Checkpoint, dropout: Option<f64>) -> Result<Self> {
        let config = &checkpoint.config;
        let found = match (config.get("architecture").and_then(Value::as_str), config.get("model_type")) {
            (Some(name), _) => Self::named(family, name, &stated_settings(checkpoint)?, dropout),
            (None, Some(_)) => family
                .of_transformers(config)
                .and_then(|(name, settings)| Self::named(family, &name, &settings, dropout)),
            (None, None) => {
                let found = family.of_weights(&checkpoint.weights).ok_or_else(|| {
                    Error::request("names and shapes of the tensors do not say which network this is").hint(format!(
                        "put the model's config.json beside the weights; supported: {}",
                        listed(family.networks())
                    ))
                });
                return found
                    .and_then(|(name, settings)| Self::named(family, &name, &settings, dropout))
                    .map_err(|error| error.file(&checkpoint.directory));
            }
        };
        found.map_err(|error| error.file(checkpoint.config_file()).fallback_hint(MATCHING))
    }

    fn settings(&self) -> String {
        format!("{} {:?}", self.name, self.model_args)
    }

    /// The base of timm's `config.json`.
    fn config(&self) -> Value {
        let mut config = Map::new();
        config.insert("architecture".to_owned(), self.name.clone().into());
        if !self.model_args.is_empty() {
            config.insert("model_args".to_owned(), Value::Object(self.model_args.clone()));
        }
        let pretrained = json!({ "first_conv": self.spec.first, "classifier": self.spec.head });
        config.insert("pretrained_cfg".to_owned(), pretrained);
        Value::Object(config)
    }

    fn parts(
        &self,
        family: &dyn ConvFamily,
        network: ConvNet,
        preprocessing: Preprocessing,
        stored_head: String,
    ) -> Parts {
        let features = network.description().widths.last().copied().unwrap_or(0);
        let auxiliary = family.auxiliary().iter().map(|&part| part.to_owned());
        let unused = std::iter::once(format!("{stored_head}.")).chain(auxiliary).collect();
        Parts {
            backbone: Box::new(network),
            head: HeadSpec {
                pooling: Pooling::Mean,
                first_token: None,
                mean: HeadLayers {
                    hidden: None,
                    dropout: self.spec.dropout,
                    output: LayerName { name: self.spec.head.to_owned(), stored: stored_head },
                    initial_std: family.head_std(features),
                },
                joins: false,
            },
            input: InputSpec::Image(preprocessing),
            config: self.config(),
            leftovers: Leftovers { network: format!("`{}`", self.name), unused, ignored: &[] },
        }
    }
}

/// The `model_args` of a checkpoint's configuration.
fn stated_settings(checkpoint: &Checkpoint) -> Result<Settings> {
    match checkpoint.config.get("model_args") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(settings)) => Ok(settings.clone()),
        Some(_) => {
            Err(Error::request("must be an object").file(checkpoint.config_file()).key("model_args").hint(MATCHING))
        }
    }
}

/// What the checkpoint says of the images that it was made for, or what is usual for such a network.
fn preprocessing_of(checkpoint: &Checkpoint, family: &dyn ConvFamily, network: &str) -> Result<Preprocessing> {
    let stated = match checkpoint.directory.is_dir() {
        true => Preprocessing::of_directory(&checkpoint.directory)?,
        false => None,
    };
    let preprocessing = stated.unwrap_or_else(|| family.preprocessing(network));
    // torchvision's Inception takes images normalised as ImageNet's and changes them into -1 to 1 itself.
    match checkpoint.config.get("transform_input") {
        Some(Value::Bool(true)) => Ok(Preprocessing { mean: [0.5; 3], std: [0.5; 3], ..preprocessing }),
        _ => Ok(preprocessing),
    }
}

impl<F: ConvFamily> Family for F {
    fn name(&self) -> &'static str {
        ConvFamily::name(self)
    }

    fn modality(&self) -> Modality {
        Modality::Image
    }

    fn recognises(&self, config: &Value) -> bool {
        let text = |key: &str| config.get(key).and_then(Value::as_str);
        match (text("architecture"), text("model_type")) {
            (Some(architecture), _) => Family::makes(self, architecture),
            (None, given) => given == Some(ConvFamily::name(self)),
        }
    }

    fn recognises_weights(&self, weights: &Weights) -> bool {
        self.marks(weights)
    }

    fn architectures(&self) -> Vec<String> {
        self.networks()
    }

    /// Networks with TensorFlow's weights have timm's `tf_` before their names.
    fn makes(&self, architecture: &str) -> bool {
        architecture.strip_prefix("tf_").unwrap_or(architecture).starts_with(ConvFamily::name(self))
    }

    fn pretrained_id(&self, architecture: &str) -> Option<String> {
        let known = self.networks().iter().any(|known| known == architecture);
        let tag = self.trained_tag(architecture).filter(|_| known)?;
        Some(format!("timm/{architecture}.{tag}"))
    }

    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts> {
        let architecture = Architecture::of(self, checkpoint, request.dropout())?;
        self.translate(&architecture.spec, &mut checkpoint.weights)?;
        let weights = &checkpoint.weights;
        let naming = Naming::of(weights);
        let preprocessing = preprocessing_of(checkpoint, self, &architecture.name)?;
        let (name, settings) = (&architecture.name, architecture.settings());
        let source = ConvWeights::Checkpoint { weights, naming };
        let spec = architecture.spec.clone();
        let network = ConvNet::build(ConvFamily::name(self), name, settings, spec, source, request.device)
            .map_err(|error| error.fallback_hint("config.json and the weights must be of the same model"))?;
        let stored = naming.stored(&format!("{}.weight", architecture.spec.head));
        let stored_head = stored.strip_suffix(".weight").unwrap_or(&stored).to_owned();
        Ok(architecture.parts(self, network, preprocessing, stored_head))
    }

    fn fresh(&self, network: &FreshNetwork, request: &LoadRequest) -> Result<Parts> {
        let FreshNetwork { architecture, arguments, preprocessing, seed } = *network;
        let architecture = Architecture::named(self, architecture, arguments, request.dropout())?;
        let preprocessing = preprocessing.unwrap_or_else(|| self.preprocessing(&architecture.name));
        let source = ConvWeights::Random { seed, device: request.device };
        let (name, settings, spec) = (&architecture.name, architecture.settings(), architecture.spec.clone());
        let network = ConvNet::build(ConvFamily::name(self), name, settings, spec, source, request.device)?;
        Ok(architecture.parts(self, network, preprocessing, architecture.spec.head.to_owned()))
    }

    /// timm's `config.json`, so that `timm.create_model('local-dir:RUN', checkpoint_path='RUN/model.safetensors')` and
    /// transformers' `AutoModelForImageClassification` load it. (`pretrained=True` with a folder wants a pickled file
    /// in timm 1.0.22.)
    fn export(&self, model: &SavedModel) -> Export {
        let mut config = model.config.clone();
        let classes = model.labels.len();
        if let Value::Object(map) = &mut config {
            map.insert("num_classes".to_owned(), classes.into());
            map.insert("num_features".to_owned(), model.description.widths.last().copied().unwrap_or(0).into());
            map.insert("label_names".to_owned(), model.labels.names().to_vec().into());
            let mut pretrained = map.remove("pretrained_cfg").unwrap_or_default();
            if let (Value::Object(pretrained), InputSpec::Image(preprocessing)) = (&mut pretrained, model.input) {
                pretrained.extend(preprocessing.to_timm());
                pretrained.insert("fixed_input_size".to_owned(), false.into());
                pretrained.insert("num_classes".to_owned(), classes.into());
            }
            map.insert("pretrained_cfg".to_owned(), pretrained);
        }
        Export { config, files: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::convolutional::ConvSpec;
    use crate::model::family::efficientnet::EfficientNetFamily;
    use crate::model::family::inception::InceptionFamily;
    use crate::model::family::mobilenet::MobileNetFamily;
    use crate::model::family::resnet::ResNetFamily;
    use crate::model::family::vgg::VggFamily;

    const ALL: [&dyn ConvFamily; 5] =
        [&ResNetFamily, &VggFamily, &InceptionFamily, &EfficientNetFamily, &MobileNetFamily];

    fn named(name: &str, model_args: Value, dropout: Option<f64>) -> Result<Architecture> {
        let Value::Object(model_args) = model_args else { panic!("an object") };
        let of = |family: &&&dyn ConvFamily| name.trim_start_matches("tf_").starts_with(family.name());
        Architecture::named(*ALL.iter().find(of).unwrap_or(&ALL[0]), name, &model_args, dropout)
    }

    /// The parameters of each network with 1000 classes, as torchvision and timm count them; Inception's without the
    /// auxiliary classifier.
    #[test]
    fn every_network_has_as_many_parameters_as_torchvisions() {
        let counts = [
            ("resnet18", 11_689_512),
            ("resnet34", 21_797_672),
            ("resnet50", 25_557_032),
            ("resnet101", 44_549_160),
            ("resnet152", 60_192_808),
            ("vgg11", 132_863_336),
            ("vgg11_bn", 132_868_840),
            ("vgg13", 133_047_848),
            ("vgg13_bn", 133_053_736),
            ("vgg16", 138_357_544),
            ("vgg16_bn", 138_365_992),
            ("vgg19", 143_667_240),
            ("vgg19_bn", 143_678_248),
            ("inception_v3", 23_834_568),
            ("efficientnet_b0", 5_288_548),
            ("efficientnet_b1", 7_794_184),
            ("efficientnet_b2", 9_109_994),
            ("efficientnet_b3", 12_233_232),
            ("efficientnet_b4", 19_341_616),
            ("efficientnet_b5", 30_389_784),
            ("efficientnet_b6", 43_040_704),
            ("efficientnet_b7", 66_347_960),
            ("efficientnet_b8", 87_413_142),
            ("efficientnetv2_s", 21_458_488),
            ("efficientnetv2_m", 54_139_356),
            ("efficientnetv2_l", 118_515_272),
            ("efficientnetv2_rw_t", 13_649_388),
            ("efficientnetv2_rw_s", 23_941_296),
            ("tf_efficientnet_b0", 5_288_548),
            ("tf_efficientnet_b1", 7_794_184),
            ("tf_efficientnet_b2", 9_109_994),
            ("tf_efficientnet_b3", 12_233_232),
            ("tf_efficientnet_b4", 19_341_616),
            ("tf_efficientnet_b5", 30_389_784),
            ("tf_efficientnet_b6", 43_040_704),
            ("tf_efficientnet_b7", 66_347_960),
            ("tf_efficientnet_b8", 87_413_142),
            ("tf_efficientnetv2_s", 21_458_488),
            ("tf_efficientnetv2_m", 54_139_356),
            ("tf_efficientnetv2_l", 118_515_272),
            ("tf_efficientnetv2_b0", 7_139_704),
            ("tf_efficientnetv2_b1", 8_141_052),
            ("tf_efficientnetv2_b2", 10_096_086),
            ("tf_efficientnetv2_b3", 14_358_406),
            ("mobilenetv3_large_075", 3_993_528),
            ("mobilenetv3_large_100", 5_483_032),
            ("mobilenetv3_small_050", 1_593_224),
            ("mobilenetv3_small_075", 2_041_872),
            ("mobilenetv3_small_100", 2_542_856),
            ("tf_mobilenetv3_large_075", 3_993_528),
            ("tf_mobilenetv3_large_100", 5_483_032),
            ("tf_mobilenetv3_large_minimal_100", 3_924_288),
            ("tf_mobilenetv3_small_075", 2_041_872),
            ("tf_mobilenetv3_small_100", 2_542_856),
            ("tf_mobilenetv3_small_minimal_100", 2_044_736),
        ];
        assert_eq!(
            counts.map(|(name, _)| name.to_owned()).to_vec(),
            ALL.iter().flat_map(|family| family.networks()).collect::<Vec<_>>()
        );
        for (name, count) in counts {
            let spec = named(name, json!({}), None).unwrap().spec;
            let mut sum = 0;
            for block in spec.stages.iter().flat_map(|stage| &stage.blocks) {
                let mut add = |conv: &ConvSpec| {
                    sum += conv.shape().iter().product::<i64>();
                    sum += conv.outputs * (i64::from(conv.bias) + 2 * i64::from(conv.norm.is_some()));
                    Ok(())
                };
                block.build(&mut add).unwrap();
            }
            let width = spec.channels().pop().unwrap();
            assert_eq!(sum + 1000 * (width + 1), count, "{name}");
        }
    }

    #[test]
    fn extents_are_those_of_the_papers() {
        let last = |name: &str, side: i64| {
            let spec = named(name, json!({}), None).unwrap().spec;
            (spec.extents([side; 2]).and_then(|mut extents| extents.pop()), spec.smallest())
        };
        assert_eq!(last("resnet50", 224), (Some([7, 7]), 1));
        assert_eq!(last("inception_v3", 299), (Some([8, 8]), 75));
        assert_eq!(last("inception_v3", 74), (None, 75));
        assert_eq!(last("vgg16", 224), (Some([1, 1]), 32));
        assert_eq!(last("vgg16", 320), (Some([4, 4]), 32));
        assert_eq!(last("vgg16", 31), (None, 32));
        assert_eq!(last("efficientnet_b0", 224), (Some([7, 7]), 1));
        assert_eq!(last("tf_efficientnet_b2", 260), (Some([9, 9]), 1));
        assert_eq!(last("mobilenetv3_small_050", 224), (Some([1, 1]), 1));
    }

    #[test]
    fn settings_of_timm_are_taken_or_refused() {
        let small = json!({ "layers": [1, 2], "channels": [16, 32], "in_chans": 3 });
        let small = named("resnet18.tag", small, None).unwrap();
        assert_eq!(small.spec.channels(), [3, 64, 16, 32, 32]);
        assert_eq!(Value::Object(small.model_args), json!({ "layers": [1, 2], "channels": [16, 32] }));
        assert_eq!(named("vgg16", json!({ "drop_rate": 0.25 }), None).unwrap().spec.dropout, 0.25);
        assert_eq!(named("vgg16", json!({}), Some(0.0)).unwrap().spec.dropout, 0.0);
        for (name, model_args) in [
            ("resnet18d", json!({})),
            ("resnet18", json!({ "layers": [2, 2] })),
            ("resnet18", json!({ "channels": [16, 32, 64, 0] })),
            ("resnet18", json!({ "channels": [16, 32, 64, 4e9] })),
            ("resnet18", json!({ "stem_type": "deep" })),
            ("vgg11", json!({ "layers": [1] })),
            ("vgg11", json!({ "drop_rate": 1 })),
            ("efficientnet_lite0", json!({})),
            ("efficientnet_b0", json!({ "pad_type": "valid" })),
            ("efficientnet_b0", json!({ "bn_eps": -1 })),
            ("efficientnet_b0", json!({ "act_layer": "mish" })),
            ("tf_mobilenetv3_small_100", json!({ "drop_path_rate": 1 })),
            ("tf_mobilenetv3_small_100", json!({ "se_layer": "gc" })),
            ("resnet18_bn", json!({})),
            ("", json!({})),
        ] {
            let error = named(name, model_args.clone(), None).unwrap_err();
            assert!(
                error.hint_text().is_some() || error.to_string().contains("model_args"),
                "{name} {model_args}: {error}"
            );
        }
    }
}
