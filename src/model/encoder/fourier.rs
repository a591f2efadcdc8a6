//! FNet's layer (Lee-Thorp et al. 2022): in place of attention, the real part of a Fourier transform over a text's
//! tokens and over the values of their vectors mixes them. It has no weights.
//!
//! The transform is of a text as long as it is. transformers does not mask the padding of a batch, which there changes
//! what a text gets; here each is as if it were alone.

use tch::{Kind, Tensor};

use super::builder::EncoderBuilder;
use super::config::EncoderConfig;
use super::feed_forward::FeedForward;
use super::layer::{Distances, LinearParts, TokenLayer};
use super::names::Names;
use crate::batch::PackedTokens;
use crate::error::Result;
use crate::model::layers::{LayerNorm, cast};
use crate::model::layout::filled_as;
use crate::model::pass::Pass;
use crate::native::DropoutSpec;

/// See the [module](self).
pub struct FourierLayer {
    norm: LayerNorm,
    feed_forward: FeedForward,
}

impl FourierLayer {
    /// The layer number `index`.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Self> {
        let (width, stage, names) = (config.width, index + 1, builder.names);
        let name = |template: &str| template.replace("{}", &index.to_string());
        Ok(Self {
            norm: builder.norm(&name(names.attention_norm), width, config.layer_norm_epsilon, stage)?,
            feed_forward: FeedForward::load(
                [names.inner, names.output, names.output_norm].map(name).each_ref().map(String::as_str),
                width,
                config.hidden_dropout,
                config,
                stage,
                builder,
            )?,
        })
    }

    /// The transforms, text by text, `[T, width]`.
    fn mixed(x: &Tensor, tokens: &PackedTokens) -> Result<Tensor> {
        let width = x.size().last().copied().unwrap_or(0);
        let mut texts = Vec::new();
        for (group, rows) in tokens.groups.iter().zip(tokens.split(x)?) {
            // One at a time: what a library makes of many at once may differ in the last bits.
            for text in cast(&rows, Kind::Float)?.f_view([group.count, group.length, width])?.f_unbind(0)? {
                texts.push(text.f_fft_fft2(None::<&[i64]>, [0i64, 1], "backward")?.f_real()?);
            }
        }
        cast(&filled_as(Tensor::f_cat(&texts, 0)?, x)?, x.kind())
    }

    /// What follows on the mixing, token by token.
    fn after_mixing(&self, mixed: &Tensor, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let x = self.norm.add_forward(mixed, x, DropoutSpec::default())?;
        self.feed_forward.forward(&x, pass)
    }
}

impl TokenLayer for FourierLayer {
    fn forward(&self, x: &Tensor, tokens: &PackedTokens, _: Option<&Distances>, pass: Pass) -> Result<Tensor> {
        self.after_mixing(&Self::mixed(x, tokens)?, x, pass)
    }

    fn forward_first_tokens(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        _: Option<&Distances>,
        pass: Pass,
    ) -> Result<Tensor> {
        let first = |x: &Tensor| x.f_index_select(0, &tokens.first);
        let mixed = first(&Self::mixed(x, tokens)?)?;
        Ok(self.after_mixing(&mixed, &first(x)?, pass)?.f_narrow(0, 0, tokens.sequences())?)
    }

    fn linears_mut(&mut self, names: &Names) -> Vec<LinearParts<'_>> {
        self.feed_forward.linears_mut([names.inner, names.output]).into()
    }
}
