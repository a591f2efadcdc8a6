//! Longformer's attention (Beltagy et al. 2020): every token sees the tokens near it and the first one. The first token
//! sees all, with projections of its own, which read the others too.

use tch::Tensor;

use super::attention::attend_first_tokens;
use super::builder::EncoderBuilder;
use super::config::{AttentionOptions, EncoderConfig};
use crate::batch::PackedTokens;
use crate::error::Result;
use crate::model::layers::Linear;
use crate::model::pass::Pass;

/// See the [module](self).
pub struct GlobalFirst {
    /// Query, key and value as one, `[3·width, width]`: of the first token's attention alone.
    pub qkv: Linear,
    /// How far from a token those may be that it sees, in tokens.
    pub window: i64,
}

impl GlobalFirst {
    /// That of layer `index`, in a family that has it.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Option<Self>> {
        let (Some(names), Some(&window)) = (builder.names.global, config.windows.get(index)) else { return Ok(None) };
        let parts = names.map(|name| (name.replace("{}", &index.to_string()), config.width));
        Ok(Some(Self { qkv: builder.fused_linear(&parts, config.width, true, index + 1)?, window }))
    }

    /// `[N, width]` and filling: what the first token of each sequence gets of the tokens `x` `[T, width]`.
    pub fn contexts(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        options: &AttentionOptions,
        pass: Pass,
    ) -> Result<Tensor> {
        let width = x.size().last().copied().unwrap_or(0);
        let (query, key_value) = if self.qkv.int8.is_some() {
            let projected = self.qkv.forward(x, pass)?;
            let query = projected.f_narrow(1, 0, width)?.f_index_select(0, &tokens.first)?;
            (query, projected.f_narrow(1, width, 2 * width)?)
        } else {
            let query = self.qkv.forward_part(&x.f_index_select(0, &tokens.first)?, 0..width, pass)?;
            (query, self.qkv.forward_part(x, width..3 * width, pass)?)
        };
        attend_first_tokens(&query, &key_value, tokens, None, options, pass)
    }

    /// `context` `[T, width]` with the first tokens' own in place of what they got as all others do.
    pub fn put(
        &self,
        context: &Tensor,
        x: &Tensor,
        tokens: &PackedTokens,
        options: &AttentionOptions,
        pass: Pass,
    ) -> Result<Tensor> {
        let sequences = tokens.sequences();
        let first = self.contexts(x, tokens, options, pass)?.f_narrow(0, 0, sequences)?;
        Ok(context.f_index_copy(0, &tokens.first.f_narrow(0, 0, sequences)?, &first)?)
    }
}
