//! Disentangled attention (He et al. 2021): beside the product of query and key, a token's query is multiplied with a
//! vector for the key's distance, and its key with one for the query's. The vectors of distances are one table for all
//! layers; each layer projects them. Written as transformers' `DebertaV2Model` computes it;
//! `DebertaModel` does the same with a row for each distance.

use tch::{Device, Kind, Tensor};

use super::builder::EncoderBuilder;
use super::config::{EncoderConfig, RelativeOptions};
use crate::error::{Error, Result};
use crate::model::builder::Initial;
use crate::model::layers::{LayerNorm, Linear, cast};
use crate::model::pass::{DropoutKeys, Pass};

/// The table of distances, which all layers read. It belongs to stage 0: with that it is trained or frozen.
pub struct RelativeTable {
    /// `[2·span, width]`.
    table: Tensor,
    norm: Option<LayerNorm>,
    options: RelativeOptions,
}

/// What a batch reads of the table.
pub struct RelativeVectors {
    /// `[rows, width]`: those of the distances that occur.
    vectors: Tensor,
    /// For the distances from `1 - longest` to `longest - 1`, the row in `vectors`.
    rows: Vec<i64>,
}

impl RelativeTable {
    /// The table of an encoder that has one.
    pub fn load(config: &EncoderConfig, builder: &mut EncoderBuilder) -> Result<Option<Self>> {
        let (Some(options), Some(names)) = (config.attention.relative, builder.names.relative) else { return Ok(None) };
        let table = builder.take(names.table, &[2 * options.span, config.width], 0, Initial::Normal)?;
        let norm = match options.norm {
            true => Some(builder.norm(names.norm, config.width, config.layer_norm_epsilon, 0)?),
            false => None,
        };
        Ok(Some(Self { table, norm, options }))
    }

    /// The vectors of the distances in sequences of at most `longest` tokens, in the pass's kind.
    pub fn of(&self, longest: i64, pass: Pass) -> Result<RelativeVectors> {
        let mut rows = rows_of_distances(longest, &self.options)?;
        let (first, last) = match rows[..] {
            [first, .., last] => (first, last),
            [only] => (only, only),
            [] => return Err(Error::failure("a batch needs at least one token")),
        };
        for row in &mut rows {
            *row -= first;
        }
        let vectors = cast(&self.table.f_narrow(0, first, last - first + 1)?, pass.compute)?;
        let vectors = match &self.norm {
            Some(norm) => norm.forward(&vectors)?,
            None => vectors,
        };
        Ok(RelativeVectors { vectors, rows })
    }
}

/// The table's row of each distance from `1 - longest` (a key that far after the query) to `longest - 1`, in ascending
/// order, computed with the functions that transformers computes it with.
fn rows_of_distances(longest: i64, options: &RelativeOptions) -> Result<Vec<i64>> {
    let RelativeOptions { span, buckets, farthest, .. } = *options;
    let distances = Tensor::f_arange_start(1 - longest, longest, (Kind::Int64, Device::Cpu))?;
    let kinds = if buckets > 0 && farthest > 0 {
        let middle = buckets / 2;
        let far = distances.f_abs()?;
        let share = |value: Tensor| Ok::<_, Error>(value.f_to_kind(Kind::Float)?.f_div_scalar(middle)?.f_log()?);
        // Near distances keep their own row; their logarithm is not read.
        let scale = share(Tensor::f_from_slice(&[farthest - 1])?)?;
        let coarse = share(far.f_clamp_min(middle.max(1))?)?.f_div(&scale)?.f_mul_scalar(middle - 1)?;
        let coarse = coarse.f_ceil()?.f_add_scalar(middle)?.f_to_kind(Kind::Int64)?;
        distances.f_where_self(&far.f_le(middle)?, &coarse.f_mul(&distances.f_sign()?)?)?
    } else {
        distances
    };
    let rows = kinds.f_add_scalar(span)?.f_clamp(0, 2 * span - 1)?;
    Vec::<i64>::try_from(&rows).map_err(|error| Error::failure(format!("distances of tokens: {error}")))
}

/// A layer's own projections of the vectors, where it has them.
#[derive(Default)]
pub struct RelativeProjections {
    key: Option<Linear>,
    query: Option<Linear>,
}

impl RelativeProjections {
    /// Those of layer `index`.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Self> {
        let (Some(options), Some(names)) = (config.attention.relative, builder.names.relative) else {
            return Ok(Self::default());
        };
        if options.shares_projection {
            return Ok(Self::default());
        }
        let width = config.width;
        let mut linear = |wanted: bool, name: &str, bias: bool| {
            let name = name.replace("{}", &index.to_string());
            wanted.then(|| builder.linear_with(bias, &name, width, width, index + 1)).transpose()
        };
        Ok(Self {
            key: linear(options.content_to_position, names.key, options.key_bias)?,
            query: linear(options.position_to_content, names.query, true)?,
        })
    }

    /// What a layer adds to its scores: `qkv` is its layer of tokens' queries, keys and values, `dropout` that of the
    /// vectors.
    pub fn scores<'a>(
        &self,
        relative: &'a RelativeVectors,
        options: &RelativeOptions,
        qkv: &Linear,
        heads: i64,
        dropout: f64,
        pass: Pass,
    ) -> Result<RelativeScores<'a>> {
        let vectors = DropoutKeys::apply(pass.dropout, relative.vectors.shallow_clone(), dropout)?;
        let width = vectors.size().last().copied().unwrap_or(0);
        let by_head = |own: &Option<Linear>, shared: i64, wanted: bool| -> Result<Option<Tensor>> {
            let projected = match own {
                _ if !wanted => return Ok(None),
                Some(own) => own.forward(&vectors, pass)?,
                None => qkv.forward_part(&vectors, shared * width..(shared + 1) * width, pass)?,
            };
            Ok(Some(projected.f_view([-1, heads, width / heads])?.f_transpose(0, 1)?))
        };
        Ok(RelativeScores {
            query: by_head(&self.query, 0, options.position_to_content)?,
            key: by_head(&self.key, 1, options.content_to_position)?,
            rows: &relative.rows,
            scale: 1.0 / ((width / heads * options.products()) as f64).sqrt(),
        })
    }
}

/// The vectors of distances as a layer projects them.
pub struct RelativeScores<'a> {
    /// `[heads, rows, d]`, what a key is multiplied with.
    query: Option<Tensor>,
    /// The same for a query.
    key: Option<Tensor>,
    rows: &'a [i64],
    /// What every product is multiplied by, that of query and key too.
    pub scale: f64,
}

impl<'a> RelativeScores<'a> {
    /// Those of which the query alone meets the distances: their vectors, `[heads, rows, d]`, and the row of each.
    pub fn of_keys(vectors: Tensor, rows: &'a [i64], scale: f64) -> Self {
        Self { query: None, key: Some(vectors), rows, scale }
    }

    /// `[count, heads, queries, length]`, of `query` `[count, heads, queries, d]`, the first tokens of each sequence,
    /// and `key` `[count, heads, length, d]`.
    pub fn of(&self, query: &Tensor, key: &Tensor) -> Result<Tensor> {
        let (asking, asked) = (query.size(), key.size());
        let (&[count, heads, queries, _], &[.., length, _]) = (&asking[..], &asked[..]) else {
            return Err(Error::failure("attention by distance got tables that are none"));
        };
        // The distances between the tokens of so long a sequence are in the middle of all.
        let middle = (self.rows.len() / 2) as i64;
        let rows = (middle - (length - 1)).try_into().ok().and_then(|start: usize| self.rows.get(start..));
        let rows = rows.and_then(|rows| rows.get(..(2 * length - 1) as usize)).unwrap_or_default();
        let [first, last] = [rows.first(), rows.last()].map(|row| row.copied().unwrap_or(0));
        let local: Vec<i64> = rows.iter().map(|row| row - first).collect();
        // A window of the distances for each query, the keys from the last to the first.
        let index = Tensor::f_from_slice(&local)?.f_unfold(0, length, 1)?.f_flip([1i64])?.f_narrow(0, 0, queries)?;
        let index = index.f_to_device(query.device())?;
        let read = |table: &Tensor| table.f_narrow(1, first, last - first + 1)?.f_transpose(1, 2);
        let mut sum: Option<Tensor> = None;
        if let Some(table) = &self.key {
            let products = query.f_matmul(&read(table)?)?;
            sum = Some(products.f_gather(-1, &index.f_expand([count, heads, queries, length], false)?, false)?);
        }
        if let Some(table) = &self.query {
            let products = key.f_matmul(&read(table)?)?;
            let index = index.f_transpose(0, 1)?.f_expand([count, heads, length, queries], false)?;
            let term = products.f_gather(-1, &index, false)?.f_transpose(-1, -2)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&term)?,
                None => term,
            });
        }
        let sum = sum.ok_or_else(|| Error::failure("attention by distance without a product"))?;
        Ok(sum.f_mul_scalar(self.scale)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of transformers' `build_relative_position` plus the span, as its attention clamps them.
    #[test]
    fn rows_are_those_of_transformers() -> Result<()> {
        let options = RelativeOptions {
            span: 8,
            buckets: 8,
            farthest: 16,
            content_to_position: true,
            position_to_content: true,
            shares_projection: true,
            key_bias: true,
            norm: false,
        };
        let rows = rows_of_distances(20, &options)?;
        let of = |distance: i64| rows[(distance + 19) as usize];
        let found = [-19, -16, -9, -5, -4, -1, 0, 1, 4, 5, 7, 9, 15, 16, 19].map(of);
        assert_eq!(found, [0, 0, 2, 3, 4, 7, 8, 9, 12, 13, 14, 14, 15, 15, 15]);
        Ok(())
    }
}
