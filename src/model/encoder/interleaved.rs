//! Query, key and value from one layer that gives them head by head: a head's query, its key and its value, then the
//! next head's (the first DeBERTa). Queries and values have biases of their own, keys have none.

use tch::Tensor;

use super::builder::EncoderBuilder;
use super::config::EncoderConfig;
use crate::error::Result;
use crate::model::builder::Initial;
use crate::model::layers::cast;

/// See the [module](self).
pub struct Interleaved {
    /// `[width]`.
    query_bias: Tensor,
    /// The same.
    value_bias: Tensor,
    heads: i64,
}

impl Interleaved {
    /// Layer `index` of a family that has it.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Option<Self>> {
        let Some(names) = builder.names.interleaved else { return Ok(None) };
        let [query, value] = names.map(|name| name.replace("{}", &index.to_string()));
        let mut bias = |name: &str| builder.take(name, &[config.width], index + 1, Initial::Filled(0.0));
        Ok(Some(Self { query_bias: bias(&query)?, value_bias: bias(&value)?, heads: config.attention.heads }))
    }

    /// `[T, 3·width]` head by head to all queries, all keys and all values, side by side, with their biases.
    pub fn arranged(&self, projected: &Tensor) -> Result<Tensor> {
        let columns = projected.size().last().copied().unwrap_or(0);
        let by_head = projected.f_view([-1, self.heads, 3, columns / 3 / self.heads])?;
        let arranged = by_head.f_transpose(1, 2)?.f_reshape([-1, columns])?;
        let none = self.query_bias.f_zeros_like()?;
        let bias = Tensor::f_cat(&[&self.query_bias, &none, &self.value_bias], 0)?;
        Ok(arranged.f_add(&cast(&bias, projected.kind())?)?)
    }
}
