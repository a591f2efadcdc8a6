//! Which of transformers' tokenizer classes a checkpoint's tokenizer is of, and what that class makes of it.
//!
//! transformers takes the vocabulary alone from `tokenizer.json` (or `vocab.txt`) for the classes that it knows:
//! normalizer, pre-tokenizer and special tokens are those of the class, with the settings of `tokenizer_config.json`.
//! Other classes take all of `tokenizer.json`. Checked against transformers 5.17.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::models::ModelWrapper;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{BertNormalizer, Lowercase, NFC, NFKD, Precompiled, Sequence, Strip, StripAccents};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{
    AddedToken, AddedVocabulary, NormalizerWrapper, PostProcessorWrapper, SplitDelimiterBehavior, Tokenizer,
};

use crate::error::{Error, Result, listed};
use crate::transform::sentencepiece::{Arrangement, sentinel};
use crate::transform::tokenizer_settings::TokenizerSettings;

/// A class of transformers, as far as it tokenises differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenizerClass {
    Bert,
    Mpnet,
    Roberta,
    Albert,
    XlmRoberta,
    Camembert,
    Deberta,
    DebertaV2,
    Xlnet,
    T5,
    /// Takes all of `tokenizer.json`.
    AsStored,
}

const MASK: &str = "[MASK]";

/// Names of BERT's class, and one that derives from it.
const LIKE_BERT: [&str; 7] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "SqueezeBertTokenizer",
    "MobileBertTokenizer",
    "LxmertTokenizer",
    "LayoutLMTokenizer",
];

/// Classes that are Python code of their own, around a vocabulary that says too little by itself.
const PYTHON_ALONE: [&str; 7] = [
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "PhobertTokenizer",
    "FlaubertTokenizer",
    "XLMTokenizer",
    "CanineTokenizer",
    "TapasTokenizer",
];

impl TokenizerClass {
    /// The class that the files name, else that of the family of networks.
    ///
    /// # Errors
    /// It is one that only Python has.
    pub fn of(settings: &TokenizerSettings) -> Result<Self> {
        Ok(match settings.class() {
            Some(name) if LIKE_BERT.contains(&name) => Self::Bert,
            Some("RobertaTokenizer" | "BartTokenizer" | "LongformerTokenizer" | "LEDTokenizer") => Self::Roberta,
            Some("MPNetTokenizer") => Self::Mpnet,
            Some("AlbertTokenizer") => Self::Albert,
            Some("XLMRobertaTokenizer") => Self::XlmRoberta,
            Some("CamembertTokenizer") => Self::Camembert,
            Some("DebertaTokenizer") => Self::Deberta,
            Some("DebertaV2Tokenizer") => Self::DebertaV2,
            Some("XLNetTokenizer") => Self::Xlnet,
            Some("T5Tokenizer") => Self::T5,
            Some(name) if PYTHON_ALONE.contains(&name) => {
                return Err(Error::request(format!(
                    "`{name}` exists in Python alone, so texts cannot be tokenised here"
                ))
                .file(settings.file())
                .key("tokenizer_class")
                .hint("use a model of the same language whose tokenizer is BERT's, RoBERTa's or XLM-RoBERTa's"));
            }
            Some(_) => Self::AsStored,
            None => match settings.model_type() {
                Some("bert" | "distilbert" | "electra" | "mobilebert" | "nomic_bert") => Self::Bert,
                Some("mpnet") => Self::Mpnet,
                Some("roberta" | "longformer") => Self::Roberta,
                Some("albert") => Self::Albert,
                Some("xlm-roberta") => Self::XlmRoberta,
                Some("camembert") => Self::Camembert,
                Some("deberta") => Self::Deberta,
                Some("deberta-v2") => Self::DebertaV2,
                Some("xlnet") => Self::Xlnet,
                Some("t5") => Self::T5,
                _ => Self::AsStored,
            },
        })
    }

    /// Gives the tokenizer, which was read from `file` or has a bare vocabulary, what this class and the settings say:
    /// normalizer, pre-tokenizer, added tokens, and the special ones around a text.
    ///
    /// # Errors
    /// A setting that makes no sense, a special token that the vocabulary lacks, an added token with another id than
    /// it would get.
    ///
    /// Answers with the class that did it: a vocabulary of another kind than the class has is taken as it is stored.
    pub fn apply(self, tokenizer: &mut Tokenizer, settings: &TokenizerSettings, file: &Path) -> Result<Self> {
        let class = if self.suits(tokenizer) { self } else { Self::AsStored };
        class.set_model(tokenizer, settings);
        class.set_normalizer(tokenizer, settings)?;
        class.set_pre_tokenizer(tokenizer, settings)?;
        class.set_added_tokens(tokenizer, settings, file)?;
        class.set_post_processor(tokenizer, settings, file)?;
        tokenizer.set_encode_special_tokens(settings.flag("split_special_tokens")?.unwrap_or(false));
        Ok(class)
    }

    /// The SentencePiece file that this class reads where there is no `tokenizer.json`, and what it makes of it.
    pub fn sentencepiece(self, settings: &TokenizerSettings) -> Option<(&'static str, Arrangement)> {
        match self {
            Self::DebertaV2 => Some(("spm.model", Arrangement::Named { unknown: "[UNK]" })),
            Self::Albert => Some(("spiece.model", Arrangement::Stored { unknown: 1 })),
            Self::XlmRoberta => Some(("sentencepiece.bpe.model", Arrangement::XlmRoberta)),
            Self::Camembert => Some(("sentencepiece.bpe.model", Arrangement::Camembert)),
            Self::Xlnet => Some(("spiece.model", Arrangement::Own)),
            Self::T5 => Some(("spiece.model", Arrangement::T5 { sentinels: settings.sentinels() })),
            Self::Bert | Self::Mpnet | Self::Roberta | Self::Deberta | Self::AsStored => None,
        }
    }

    /// Whether the vocabulary is of the kind that the class works with.
    fn suits(self, tokenizer: &Tokenizer) -> bool {
        match tokenizer.get_model() {
            ModelWrapper::WordPiece(_) => matches!(self, Self::Bert | Self::Mpnet),
            ModelWrapper::BPE(_) => matches!(self, Self::Roberta | Self::Deberta),
            ModelWrapper::Unigram(_) => {
                !matches!(self, Self::Bert | Self::Mpnet | Self::Roberta | Self::Deberta | Self::AsStored)
            }
            ModelWrapper::WordLevel(_) => false,
        }
    }

    /// What the class decides about the pieces, whatever `tokenizer.json` says.
    fn set_model(self, tokenizer: &mut Tokenizer, settings: &TokenizerSettings) {
        let changed: ModelWrapper = match (self, tokenizer.get_model()) {
            (Self::Bert | Self::Mpnet, ModelWrapper::WordPiece(model)) => {
                let usual = WordPiece::default();
                let unknown = settings.token("unk_token").map_or(usual.unk_token, |token| token.content);
                if model.unk_token == unknown
                    && model.continuing_subword_prefix == usual.continuing_subword_prefix
                    && model.max_input_chars_per_word == usual.max_input_chars_per_word
                {
                    return;
                }
                let (prefix, most) = (usual.continuing_subword_prefix, usual.max_input_chars_per_word);
                let mut changed = model.clone();
                changed.unk_token = unknown;
                changed.continuing_subword_prefix = prefix;
                changed.max_input_chars_per_word = most;
                changed.into()
            }
            (Self::Roberta | Self::Deberta, ModelWrapper::BPE(model)) => {
                if model.dropout.is_none() && !model.fuse_unk && !model.ignore_merges && model.unk_token.is_none() {
                    return;
                }
                let mut changed = model.clone();
                (changed.dropout, changed.unk_token) = (None, None);
                (changed.fuse_unk, changed.ignore_merges) = (false, false);
                changed.into()
            }
            _ => return,
        };
        tokenizer.with_model(changed);
    }

    fn set_normalizer(self, tokenizer: &mut Tokenizer, settings: &TokenizerSettings) -> Result<()> {
        let flag = |key: &str, default: bool| settings.flag(key).map(|flag| flag.unwrap_or(default));
        match self {
            Self::AsStored => {}
            Self::Bert | Self::Mpnet => {
                tokenizer.with_normalizer(Some(BertNormalizer::new(
                    true,
                    flag("tokenize_chinese_chars", true)?,
                    settings.flag("strip_accents")?,
                    flag("do_lower_case", true)?,
                )));
            }
            Self::Roberta | Self::Deberta => {
                tokenizer.with_normalizer(None::<NormalizerWrapper>);
            }
            Self::XlmRoberta | Self::Camembert | Self::T5 => {
                let precompiled = precompiled(tokenizer);
                tokenizer.with_normalizer(precompiled);
            }
            Self::DebertaV2 => {
                let spaces = Replace::new(ReplacePattern::Regex(r"\s{2,}|[\n\r\t]".to_owned()), " ")
                    .map_err(|error| Error::failure(format!("no normalizer for spaces: {error}")))?;
                let mut steps: Vec<NormalizerWrapper> = Vec::new();
                if flag("do_lower_case", false)? {
                    steps.push(Lowercase.into());
                }
                // SentencePiece's own normalisation is not used, whatever the files say.
                steps.extend([spaces.into(), NFC.into(), Strip::new(false, true).into()]);
                tokenizer.with_normalizer(Some(Sequence::new(steps)));
            }
            Self::Albert | Self::Xlnet => {
                let quotes = |two: &str| {
                    Replace::new(two.to_owned(), "\"")
                        .map(NormalizerWrapper::from)
                        .map_err(|error| Error::failure(format!("no normalizer for quotation marks: {error}")))
                };
                let mut steps = vec![quotes("``")?, quotes("''")?];
                // XLNet's class has the setting and does not ask for it.
                if self == Self::Xlnet || !flag("keep_accents", false)? {
                    steps.extend([NFKD.into(), StripAccents.into()]);
                }
                if flag("do_lower_case", self == Self::Albert)? {
                    steps.push(Lowercase.into());
                }
                steps.extend(precompiled(tokenizer).map(NormalizerWrapper::from));
                tokenizer.with_normalizer(Some(Sequence::new(steps)));
            }
        }
        Ok(())
    }

    fn set_pre_tokenizer(self, tokenizer: &mut Tokenizer, settings: &TokenizerSettings) -> Result<()> {
        let prefix = settings.flag("add_prefix_space")?;
        match self {
            Self::AsStored => {}
            Self::Bert | Self::Mpnet => {
                tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
            }
            Self::Roberta | Self::Deberta => {
                tokenizer.with_pre_tokenizer(Some(ByteLevel::new(prefix.unwrap_or(false), true, true)));
            }
            Self::DebertaV2 => {
                let scheme = if prefix.unwrap_or(true) { PrependScheme::Always } else { PrependScheme::First };
                let punctuation = settings.flag("split_by_punct")?.unwrap_or(false);
                let isolated = punctuation.then(|| Punctuation::new(SplitDelimiterBehavior::Isolated).into());
                let steps = isolated.into_iter().chain([Metaspace::new('▁', scheme, true).into()]);
                tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(steps.collect())));
            }
            Self::Albert | Self::XlmRoberta | Self::Camembert | Self::Xlnet | Self::T5 => {
                let always = matches!(self, Self::Xlnet | Self::T5) || prefix.unwrap_or(true);
                let scheme = if always { PrependScheme::Always } else { PrependScheme::Never };
                tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(vec![
                    WhitespaceSplit.into(),
                    Metaspace::new('▁', scheme, true).into(),
                ])));
            }
        }
        Ok(())
    }

    /// The tokens beside the vocabulary. They come after the normalizer, which some of them are matched behind.
    fn set_added_tokens(self, tokenizer: &mut Tokenizer, settings: &TokenizerSettings, file: &Path) -> Result<()> {
        let mut tokens: BTreeMap<u32, AddedToken> = settings.added_tokens()?.into_iter().collect();
        if self != Self::AsStored {
            if !settings.lists_all_added_tokens() {
                tokens.extend(tokenizer.get_added_tokens_decoder());
            }
            tokenizer.with_added_vocabulary(AddedVocabulary::new());
        }
        let roles: Vec<AddedToken> = settings.role_tokens().collect();
        let is_role = |token: &AddedToken| roles.iter().any(|role| role.content == token.content);
        for token in tokens.values_mut().filter(|token| is_role(token)) {
            token.special = true;
        }
        tokenizer.add_tokens(&tokens.values().cloned().collect::<Vec<_>>());
        let moved: Vec<&str> = tokens
            .iter()
            .filter(|(id, token)| tokenizer.token_to_id(&token.content) != Some(**id))
            .map(|(_, token)| token.content.as_str())
            .collect();
        if !moved.is_empty() {
            return Err(Error::request(format!("the added tokens {} have other ids in the vocabulary", listed(moved)))
                .file(file)
                .hint("use the tokenizer files that belong to this checkpoint, all from one place"));
        }

        let is_new = |tokenizer: &Tokenizer, token: &AddedToken| {
            !tokenizer.get_added_tokens_decoder().values().any(|known| known.content == token.content)
        };
        // A role of which the vocabulary knows nothing is no harm.
        let sentinels = if self == Self::T5 { settings.sentinels() } else { 0 };
        let usual = self.usual_tokens().iter().map(|name| (*name).to_owned()).chain((0..sentinels).map(sentinel));
        let usual = usual.map(|name| AddedToken::from(name, true));
        for token in roles.into_iter().chain(usual) {
            // DeBERTa's files of SentencePiece do not have the mask, which follows them.
            let follows = self == Self::DebertaV2 && token.content == MASK;
            if is_new(tokenizer, &token) && (follows || tokenizer.token_to_id(&token.content).is_some()) {
                tokenizer.add_tokens(&[token]);
            }
        }
        for token in settings.other_special_tokens() {
            if is_new(tokenizer, &token) {
                tokenizer.add_tokens(&[token]);
            }
        }
        Ok(())
    }

    /// What tokens are called whose role no file names.
    fn usual_tokens(self) -> &'static [&'static str] {
        match self {
            Self::AsStored => &[],
            Self::Deberta | Self::DebertaV2 => &["[CLS]", "[SEP]", "[UNK]", "[PAD]", MASK],
            Self::Bert => &["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"],
            Self::Albert => &["[CLS]", "[SEP]", "<unk>", "<pad>", "[MASK]"],
            Self::Mpnet => &["<s>", "</s>", "[UNK]", "<pad>", "<mask>"],
            Self::Roberta | Self::XlmRoberta => &["<s>", "</s>", "<unk>", "<pad>", "<mask>"],
            Self::Xlnet => &["<s>", "</s>", "<unk>", "<sep>", "<pad>", "<cls>", "<mask>", "<eop>", "<eod>"],
            Self::T5 => &["</s>", "<unk>", "<pad>"],
            Self::Camembert => {
                &["<s>", "</s>", "<unk>", "<pad>", "<mask>", "<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"]
            }
        }
    }

    fn set_post_processor(self, tokenizer: &mut Tokenizer, settings: &TokenizerSettings, file: &Path) -> Result<()> {
        let special = |role: &str, usual: &str| {
            let name = settings.token(role).map_or_else(|| usual.to_owned(), |token| token.content);
            let id = tokenizer.token_to_id(&name).ok_or_else(|| {
                Error::request(format!("the vocabulary has no `{name}`"))
                    .file(file)
                    .hint("use the vocabulary that belongs to this checkpoint")
            })?;
            Ok::<_, Error>((name, id))
        };
        match self {
            Self::AsStored => {
                if let Some(template) = beginning_and_end(tokenizer, settings)? {
                    tokenizer.with_post_processor(Some(template));
                }
            }
            Self::Xlnet => {
                let (separator, class) = (special("sep_token", "<sep>")?, special("cls_token", "<cls>")?);
                let single = vec![Part::Text("A", 0), Part::Token(&separator, 0)];
                let pair = [single.clone(), vec![Part::Text("B", 1), Part::Token(&separator, 1)]].concat();
                let ended = |parts: Vec<_>| [parts, vec![Part::Token(&class, 2)]].concat();
                let template = template(&ended(single), &ended(pair))?;
                tokenizer.with_post_processor(Some(template));
            }
            Self::T5 => {
                // It is called so whatever the files call it.
                let end = ("</s>".to_owned(), special("eos_token", "</s>")?.1);
                let single = vec![Part::Text("A", 0), Part::Token(&end, 0)];
                let pair = [single.clone(), vec![Part::Text("B", 0), Part::Token(&end, 0)]].concat();
                let template = template(&single, &pair)?;
                tokenizer.with_post_processor(Some(template));
            }
            Self::Bert | Self::Albert | Self::DebertaV2 => {
                let processor = BertProcessing::new(special("sep_token", "[SEP]")?, special("cls_token", "[CLS]")?);
                tokenizer.with_post_processor(Some(processor));
            }
            Self::Roberta | Self::Mpnet | Self::Deberta => {
                let [usual_separator, usual_class] = match self {
                    Self::Deberta => ["[SEP]", "[CLS]"],
                    _ => ["</s>", "<s>"],
                };
                let (separator, class) = (special("sep_token", usual_separator)?, special("cls_token", usual_class)?);
                let prefix = self != Self::Mpnet && settings.flag("add_prefix_space")?.unwrap_or(false);
                let processor = RobertaProcessing::new(separator, class).trim_offsets(true).add_prefix_space(prefix);
                tokenizer.with_post_processor(Some(processor));
            }
            Self::XlmRoberta | Self::Camembert => {
                let processor = RobertaProcessing::new(special("eos_token", "</s>")?, special("bos_token", "<s>")?);
                tokenizer.with_post_processor(Some(processor));
            }
        }
        Ok(())
    }

    /// Whether texts are lower-cased because no setting says otherwise, though `tokenizer.json` does not do so.
    pub fn lower_cases_unasked(self, stored: Option<&NormalizerWrapper>, settings: &TokenizerSettings) -> bool {
        let keeps_case = matches!(stored, Some(NormalizerWrapper::BertNormalizer(normalizer)) if !normalizer.lowercase);
        matches!(self, Self::Bert | Self::Mpnet) && keeps_case && matches!(settings.flag("do_lower_case"), Ok(None))
    }
}

/// A part of what becomes of a text or of two.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// The text, and its segment.
    Text(&'static str, u32),
    /// A special token and its id, and its segment.
    Token(&'a (String, u32), u32),
}

/// How special tokens stand around a text, and around two.
fn template(single: &[Part], pair: &[Part]) -> Result<PostProcessorWrapper> {
    let described = |part: &Part| match *part {
        Part::Text(id, segment) => json!({ "Sequence": { "id": id, "type_id": segment } }),
        Part::Token((name, _), segment) => json!({ "SpecialToken": { "id": name, "type_id": segment } }),
    };
    let token = |part: &Part| match *part {
        Part::Token((name, id), _) => Some((name.clone(), json!({ "id": name, "ids": [id], "tokens": [name] }))),
        Part::Text(..) => None,
    };
    let tokens: Map<String, Value> = pair.iter().filter_map(token).collect();
    let [single, pair] = [single, pair].map(|parts| parts.iter().map(described).collect::<Vec<_>>());
    let described = json!({ "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens });
    serde_json::from_value(described).map_err(|error| Error::failure(format!("no template: {error}")))
}

/// The tokens that `tokenizer_config.json` asks for before and after each text, which count more than those of
/// `tokenizer.json`; None where it says nothing of them.
fn beginning_and_end(tokenizer: &Tokenizer, settings: &TokenizerSettings) -> Result<Option<PostProcessorWrapper>> {
    let asked = [settings.flag("add_bos_token")?, settings.flag("add_eos_token")?];
    if asked == [None, None] {
        return Ok(None);
    }
    let token = |role: &str, asked: Option<bool>| {
        let name = settings.token(role).filter(|_| asked == Some(true))?.content;
        Some((tokenizer.token_to_id(&name)?, name))
    };
    let [begin, end] =
        [token("bos_token", asked[0]), token("eos_token", asked[1])].map(|token| token.map(|(id, name)| (name, id)));
    let around = |text: &'static str, segment: u32| {
        let part = |token| Option::iter(token).map(move |token| Part::Token(token, segment));
        part(&begin).chain([Part::Text(text, segment)]).chain(part(&end)).collect::<Vec<_>>()
    };
    template(&around("A", 0), &[around("A", 0), around("B", 1)].concat()).map(Some)
}

/// SentencePiece's own normalisation, where the tokenizer has it.
fn precompiled(tokenizer: &Tokenizer) -> Option<Precompiled> {
    let find = |step: &NormalizerWrapper| match step {
        NormalizerWrapper::Precompiled(precompiled) => Some(precompiled.clone()),
        _ => None,
    };
    match tokenizer.get_normalizer()? {
        NormalizerWrapper::Sequence(steps) => steps.as_ref().iter().find_map(find),
        one => find(one),
    }
}
