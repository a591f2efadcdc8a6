//! Mixup and CutMix: every image of a micro-batch is shown together with the one opposite it, and counts for both
//! classes. As timm does it: one lambda per batch, the partner is the batch in reverse, and where both ways are asked
//! for each batch takes one of them.
//!
//! The random draw depends on (seed, step, micro-batch) alone. Lambda is the share of an image itself.

use tch::Tensor;

use crate::batch::{Batch, Inputs};
use crate::error::Result;
use crate::model::layers::copied;
use crate::random::Random;

/// How strongly images are mixed: the parameter α of the Beta(α, α) that lambda is drawn from. 0: not at all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mix {
    /// Weighted means of two images (Zhang et al. 2018).
    pub mixup: f64,
    /// A rectangle of one image in the other (Yun et al. 2019).
    pub cutmix: f64,
}

/// Keeps these draws apart from those of augmentation.
const MIXING: u64 = 1;

/// What is done to one micro-batch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Drawn {
    /// Lambda.
    Mean(f64),
    /// The partner's rectangle: first row and column, rows and columns.
    Rectangle([i64; 4]),
}

impl Mix {
    /// Whether every batch stays as it is: both parameters are 0.
    pub fn is_none(&self) -> bool {
        self.mixup == 0.0 && self.cutmix == 0.0
    }

    /// Mixes a batch of images. Returns lambda, the share of each image itself: 1 when nothing was mixed.
    pub fn apply(&self, batch: Batch, of: [u64; 3]) -> Result<(Batch, f64)> {
        let Batch { examples, inputs } = batch;
        match inputs {
            Inputs::Pixels(pixels) if !self.is_none() && examples.len() > 1 => {
                let (_, _, height, width) = pixels.size4()?;
                let (drawn, lambda) = self.draw(&mut Random::of(&[of[0], of[1], of[2], MIXING]), height, width);
                let pixels = mixed(&pixels, drawn)?;
                Ok((Batch { examples, inputs: Inputs::Pixels(pixels) }, lambda))
            }
            inputs => Ok((Batch { examples, inputs }, 1.0)),
        }
    }

    /// What to do to images of this size, and lambda.
    fn draw(&self, random: &mut Random, height: i64, width: i64) -> (Drawn, f64) {
        let cut = self.mixup == 0.0 || (self.cutmix > 0.0 && random.unit() < 0.5);
        if !cut {
            let lambda = beta(self.mixup, random);
            return (Drawn::Mean(lambda), lambda);
        }
        let side = (1.0 - beta(self.cutmix, random)).sqrt();
        // Around any point of the image; what would lie outside is cut off.
        let mut span = |length: i64| {
            let middle = random.below(length as u64) as i64;
            let half = (length as f64 * side) as i64 / 2;
            let (begin, end) = ((middle - half).max(0), (middle + half).min(length));
            (begin, end - begin)
        };
        let ((top, rows), (left, columns)) = (span(height), span(width));
        (Drawn::Rectangle([top, left, rows, columns]), 1.0 - (rows * columns) as f64 / (height * width).max(1) as f64)
    }
}

/// `pixels` `[N, 3, height, width]`, each with its partner's.
fn mixed(pixels: &Tensor, drawn: Drawn) -> Result<Tensor> {
    let partners = pixels.f_flip([0i64].as_slice())?;
    match drawn {
        Drawn::Mean(lambda) => Ok(pixels.f_lerp(&partners, 1.0 - lambda)?),
        Drawn::Rectangle([top, left, rows, columns]) => {
            let part = |of: &Tensor| of.f_narrow(2, top, rows)?.f_narrow(3, left, columns);
            let shown = copied(pixels)?;
            part(&shown)?.f_copy_(&part(&partners)?)?;
            Ok(shown)
        }
    }
}

/// A draw from Beta(α, α).
fn beta(alpha: f64, random: &mut Random) -> f64 {
    let (a, b) = (gamma(alpha, random), gamma(alpha, random));
    // For the smallest α both may round to 0: then it is one or the other.
    if a + b > 0.0 { a / (a + b) } else { (random.unit() < 0.5) as u8 as f64 }
}

/// A draw from Gamma(α, 1) (Marsaglia and Tsang 2000).
fn gamma(alpha: f64, random: &mut Random) -> f64 {
    if alpha < 1.0 {
        return gamma(alpha + 1.0, random) * (1.0 - random.unit()).powf(1.0 / alpha);
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(random);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - random.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A draw from the standard normal distribution (Box and Muller 1958).
fn normal(random: &mut Random) -> f64 {
    let (radius, angle) = ((-2.0 * (1.0 - random.unit()).ln()).sqrt(), std::f64::consts::TAU * random.unit());
    radius * angle.cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Mean and variance of Beta(α, α) are 1/2 and 1/(4 (2α + 1)).
    #[test]
    fn lambdas_are_beta_distributed() {
        for alpha in [0.2, 0.8, 1.0, 3.0] {
            let mut random = Random::new(5);
            let drawn: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut random)).collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let variance = drawn.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / drawn.len() as f64;
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!(
                (mean - 0.5).abs() < 0.01 && (variance / expected - 1.0).abs() < 0.04,
                "{alpha}: {mean} {variance}"
            );
        }
        assert!((0.0..=1.0).contains(&beta(1e-6, &mut Random::new(1))));
    }

    fn batch() -> Batch {
        let pixels = Tensor::from_slice(&[1f32, 2.0, 3.0]).view([3, 1, 1, 1]).expand([3, 3, 20, 30], true).contiguous();
        Batch { examples: vec![7, 8, 9], inputs: Inputs::Pixels(pixels) }
    }

    #[test]
    fn lambda_says_how_much_of_an_image_is_its_own() -> Result<()> {
        for mix in [Mix { mixup: 0.8, cutmix: 0.0 }, Mix { mixup: 0.0, cutmix: 1.0 }, Mix { mixup: 0.8, cutmix: 1.0 }] {
            for step in 0..30 {
                let (mixed, lambda) = mix.apply(batch(), [1, step, 0])?;
                let means = mixed.inputs.pixels()?.mean_dim([1i64, 2, 3].as_slice(), false, Kind::Double);
                let found = Vec::<f64>::try_from(means)?;
                let expected = [lambda + 3.0 * (1.0 - lambda), 2.0, 3.0 * lambda + 1.0 - lambda];
                assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
                let (again, same) = mix.apply(batch(), [1, step, 0])?;
                assert!(same == lambda && again.inputs.pixels()?.equal(mixed.inputs.pixels()?));
            }
        }
        Ok(())
    }

    #[test]
    fn both_ways_take_turns_and_neither_changes_nothing() -> Result<()> {
        let both = Mix { mixup: 0.8, cutmix: 1.0 };
        let ways: Vec<bool> = (0..100)
            .map(|step| matches!(both.draw(&mut Random::of(&[3, step, 0]), 32, 32).0, Drawn::Rectangle(_)))
            .collect();
        assert!((30..70).contains(&ways.iter().filter(|&&cut| cut).count()));
        let (same, lambda) = Mix::default().apply(batch(), [1, 2, 3])?;
        assert!(lambda == 1.0 && same.inputs.pixels()?.equal(batch().inputs.pixels()?));
        let one = Batch {
            examples: vec![1],
            inputs: Inputs::Pixels(Tensor::zeros([1, 3, 4, 4], (Kind::Float, Device::Cpu))),
        };
        assert_eq!(both.apply(one, [1, 2, 3])?.1, 1.0);
        Ok(())
    }
}
