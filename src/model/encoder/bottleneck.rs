//! MobileBERT's layer (Sun et al. 2020): two bottlenecks bring wide vectors to a narrow width, one for queries and keys
//! and one for what attention is added to; values come from the wide vectors. Several feed-forward blocks follow, and a
//! last layer widens their result again.

use tch::Tensor;

use super::attention::{attend, attend_first_tokens};
use super::builder::EncoderBuilder;
use super::config::{AttentionOptions, BottleneckOptions, EncoderConfig};
use super::feed_forward::FeedForward;
use super::layer::{Distances, LinearParts, TokenLayer};
use super::names::Names;
use crate::batch::PackedTokens;
use crate::error::Result;
use crate::model::layers::{LayerNorm, Linear};
use crate::model::pass::{DropoutKeys, Pass};
use crate::native::DropoutSpec;

const QUERY: &str = "encoder.layer.{}.attention.self.query";
const KEY: &str = "encoder.layer.{}.attention.self.key";
const VALUE: &str = "encoder.layer.{}.attention.self.value";
const ATTENTION_OUTPUT: &str = "encoder.layer.{}.attention.output.dense";
const ATTENTION_NORM: &str = "encoder.layer.{}.attention.output.LayerNorm";
/// For what attention is added to, and for queries and keys.
const BOTTLENECKS: [&str; 2] = ["encoder.layer.{}.bottleneck.input", "encoder.layer.{}.bottleneck.attention"];
/// Each feed-forward block but the last, whose number comes after these.
const STACKED: &str = "encoder.layer.{}.ffn.";
const WIDENING: &str = "encoder.layer.{}.output.bottleneck";

/// A linear layer with a norm.
struct Normalised {
    linear: Linear,
    norm: LayerNorm,
}

/// See the [module](self).
pub struct BottleneckLayer {
    residual: Normalised,
    asking: Normalised,
    /// Query and key as one: `[2·narrow, narrow]`.
    query_key: Linear,
    value: Linear,
    attention: AttentionOptions,
    attention_output: Normalised,
    feed_forwards: Vec<FeedForward>,
    widening: Normalised,
    dropout: f64,
}

impl BottleneckLayer {
    /// The layer number `index`.
    pub fn load(
        config: &EncoderConfig,
        options: BottleneckOptions,
        index: usize,
        builder: &mut EncoderBuilder,
    ) -> Result<Self> {
        let BottleneckOptions { width: narrow, feed_forwards } = options;
        let (wide, stage) = (config.width, index + 1);
        let name = |template: &str| template.replace("{}", &index.to_string());
        let mut normalised = |dense: &str, norm: &str, inputs: i64, outputs: i64| {
            let linear = builder.linear(&name(dense), inputs, outputs, stage)?;
            Ok::<_, crate::error::Error>(Normalised {
                linear,
                norm: builder.norm(&name(norm), outputs, config.layer_norm_epsilon, stage)?,
            })
        };
        let [dense, norm] = [".dense", ".LayerNorm"];
        let mut of = |module: &str, inputs: i64, outputs: i64| {
            normalised(&format!("{module}{dense}"), &format!("{module}{norm}"), inputs, outputs)
        };
        let [residual, asking] = [of(BOTTLENECKS[0], wide, narrow)?, of(BOTTLENECKS[1], wide, narrow)?];
        let widening = of(WIDENING, narrow, wide)?;
        let attention_output = normalised(ATTENTION_OUTPUT, ATTENTION_NORM, narrow, narrow)?;
        let query_key = [(name(QUERY), narrow), (name(KEY), narrow)];
        let (query_key, value) = (
            builder.fused_linear(&query_key, narrow, true, stage)?,
            builder.linear(&name(VALUE), wide, narrow, stage)?,
        );
        let block = |number: i64| {
            let [inner, output, norm] = feed_forward_names(number, feed_forwards).map(|template| name(&template));
            FeedForward::load([&inner, &output, &norm], narrow, 0.0, config, stage, builder)
        };
        let feed_forwards = (0..feed_forwards).map(block).collect::<Result<_>>()?;
        Ok(Self {
            residual,
            asking,
            query_key,
            value,
            attention: config.attention,
            attention_output,
            feed_forwards,
            widening,
            dropout: config.hidden_dropout,
        })
    }

    /// What follows on attention, token by token: of the narrow vectors that it is added to, and of the wide ones.
    fn after_attention(&self, context: &Tensor, narrow: &Tensor, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let Normalised { linear, norm } = &self.attention_output;
        let mut narrow = norm.add_forward(&linear.forward(context, pass)?, narrow, DropoutSpec::default())?;
        for block in &self.feed_forwards {
            narrow = block.forward(&narrow, pass)?;
        }
        let drop = DropoutKeys::drop(pass.dropout, self.dropout);
        self.widening.norm.add_forward(&self.widening.linear.forward(&narrow, pass)?, x, drop)
    }
}

impl Normalised {
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        self.norm.forward(&self.linear.forward(x, pass)?)
    }
}

impl TokenLayer for BottleneckLayer {
    fn forward(&self, x: &Tensor, tokens: &PackedTokens, _: Option<&Distances>, pass: Pass) -> Result<Tensor> {
        let query_key = self.query_key.forward(&self.asking.forward(x, pass)?, pass)?;
        let projected = Tensor::f_cat(&[query_key, self.value.forward(x, pass)?], 1)?;
        let context = attend(&projected, tokens, None, &self.attention, pass)?;
        self.after_attention(&context, &self.residual.forward(x, pass)?, x, pass)
    }

    fn forward_first_tokens(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        _: Option<&Distances>,
        pass: Pass,
    ) -> Result<Tensor> {
        let query_key = self.query_key.forward(&self.asking.forward(x, pass)?, pass)?;
        let width = query_key.size().last().copied().unwrap_or(0) / 2;
        let query = query_key.f_narrow(1, 0, width)?.f_index_select(0, &tokens.first)?;
        let key_value = Tensor::f_cat(&[query_key.f_narrow(1, width, width)?, self.value.forward(x, pass)?], 1)?;
        let context = attend_first_tokens(&query, &key_value, tokens, None, &self.attention, pass)?;
        let first = x.f_index_select(0, &tokens.first)?;
        let after = self.after_attention(&context, &self.residual.forward(&first, pass)?, &first, pass)?;
        Ok(after.f_narrow(0, 0, tokens.sequences())?)
    }

    fn linears_mut(&mut self, _: &Names) -> Vec<LinearParts<'_>> {
        let [narrow, blocks] = [self.value.outputs(), self.feed_forwards.len() as i64];
        let dense = |module: &str| format!("{module}.dense");
        let one = |linear: &'_ Linear, name: String| vec![(name, linear.outputs())];
        let mut linears: Vec<LinearParts> = Vec::new();
        let query_key = vec![(QUERY.to_owned(), narrow), (KEY.to_owned(), narrow)];
        linears.push((&mut self.query_key, query_key));
        for (linear, name) in [
            (&mut self.residual.linear, dense(BOTTLENECKS[0])),
            (&mut self.asking.linear, dense(BOTTLENECKS[1])),
            (&mut self.value, VALUE.to_owned()),
            (&mut self.attention_output.linear, ATTENTION_OUTPUT.to_owned()),
            (&mut self.widening.linear, dense(WIDENING)),
        ] {
            let parts = one(linear, name);
            linears.push((linear, parts));
        }
        for (number, block) in self.feed_forwards.iter_mut().enumerate() {
            let [inner, output, _] = feed_forward_names(number as i64, blocks);
            linears.extend(block.linears_mut([&inner, &output]));
        }
        linears
    }
}

/// The linear layers and the norm of a block; the last one's are BERT's.
fn feed_forward_names(number: i64, blocks: i64) -> [String; 3] {
    let module = if number + 1 == blocks { "encoder.layer.{}.".to_owned() } else { format!("{STACKED}{number}.") };
    ["intermediate.dense", "output.dense", "output.LayerNorm"].map(|name| format!("{module}{name}"))
}
