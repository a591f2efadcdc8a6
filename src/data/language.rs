//! In which language a text is, as far as its letters tell, and for a few languages in Latin letters its commonest
//! words; and which supported models read it. Whether a given tokenizer does is measured elsewhere.

use std::collections::BTreeMap;

use serde::Serialize;

/// A language, or a group of languages that cannot be distinguished here.
#[derive(Debug)]
pub struct Language {
    /// For people.
    pub name: &'static str,
    /// Models of supported families that were made for it, and have their weights as safetensors.
    models: &'static [&'static str],
    /// What a tokenizer that knows the language stays below: tokens for a letter, in Latin letters tokens for a word.
    /// docs/log.md has the measurements.
    pub most_tokens: f64,
    script: fn(char) -> bool,
    /// Words that hardly any text does without, with a space between them.
    words: &'static str,
}

/// What reads a hundred languages.
const MULTILINGUAL: [&str; 2] = ["xlm-roberta-base", "bert-base-multilingual-cased"];

/// Tokens for a letter that is a sound; a tokenizer that knows some letters and no words has one for each.
const OF_SOUNDS: f64 = 0.75;
/// Tokens for a letter that is a syllable or a word.
const OF_SYLLABLES: f64 = 1.2;

/// Told by its letters.
const fn of_script(name: &'static str, most_tokens: f64, script: fn(char) -> bool) -> Language {
    Language { name, models: &[], most_tokens, script, words: "" }
}

/// Told by its words; `most_tokens` for a word. Long words are usual where it is high.
const fn of_words(name: &'static str, most_tokens: f64, words: &'static str) -> Language {
    Language { name, models: &[], most_tokens, script: is_latin, words }
}

impl Language {
    const fn models_of_its_own(self, models: &'static [&'static str]) -> Self {
        Self { models, ..self }
    }
}

static ENGLISH: Language = of_words("English", 1.5, "the and is of to it was this you for that with my");

/// Told by their letters.
static SCRIPTS: [Language; 12] = [
    of_script("Japanese", OF_SYLLABLES, |c| matches!(c, 'ぁ'..='ヿ' | 'ㇰ'..='ㇿ' | 'ｦ'..='ﾝ')),
    of_script("Chinese", OF_SYLLABLES, |c| matches!(c, '㐀'..='䶿' | '一'..='鿿' | '豈'..='﫿'))
        .models_of_its_own(&["bert-base-chinese"]),
    of_script("Korean", OF_SYLLABLES, |c| matches!(c, '\u{1100}'..='\u{11ff}' | '가'..='힣' | 'ㄱ'..='ㆎ'))
        .models_of_its_own(&["klue/roberta-base"]),
    of_script("Thai", OF_SYLLABLES, |c| matches!(c, '\u{0e01}'..='\u{0e4e}')),
    of_script("Russian or another language in Cyrillic letters", OF_SOUNDS, |c| matches!(c, 'Ѐ'..='ԯ')),
    of_script("Greek", OF_SOUNDS, |c| matches!(c, 'Ͱ'..='Ͽ' | 'ἀ'..='῿')),
    of_script(
        "Arabic or another language in Arabic letters",
        OF_SOUNDS,
        |c| matches!(c, '\u{0620}'..='\u{06ff}' | '\u{0750}'..='\u{077f}'),
    ),
    of_script("Hebrew", OF_SOUNDS, |c| matches!(c, '\u{05d0}'..='\u{05ea}')),
    of_script("Hindi or another language in Devanagari", OF_SOUNDS, |c| matches!(c, '\u{0900}'..='\u{097f}')),
    of_script("a language of India in its own letters", OF_SOUNDS, |c| matches!(c, '\u{0980}'..='\u{0dff}')),
    of_script("Georgian", OF_SOUNDS, |c| matches!(c, '\u{10a0}'..='\u{10ff}')),
    of_script("Armenian", OF_SOUNDS, |c| matches!(c, '\u{0531}'..='\u{0587}')),
];

/// Told by their commonest words, as their letters are English ones.
static WORDS: [Language; 10] = [
    of_words("French", 1.5, "le les des est une pas que pour dans qui sur très je ce et du avec mais la ne nous")
        .models_of_its_own(&["camembert-base"]),
    of_words("Spanish", 1.5, "el los las que una por con del muy pero para es lo y está mi como la no se"),
    of_words("Portuguese", 1.5, "não uma muito para os da em mais mas é um que meu foi o e"),
    of_words("Italian", 1.5, "il che di non una è sono con della molto gli più anche questo la e"),
    of_words("Vietnamese", 1.4, "và là của không rất được cho này tôi một có"),
    of_words("Dutch", 1.7, "het een niet van ik dat zijn voor maar ook deze heb wij naar met de en"),
    of_words("German", 1.8, "der die das und ist nicht ein eine mit für ich auf den von zu sehr auch es")
        .models_of_its_own(&["bert-base-german-cased"]),
    of_words(
        "Swedish, Danish or Norwegian",
        1.8,
        "och og att det är er inte ikke som på jag jeg ett et med för av en den",
    ),
    of_words("Polish", 2.5, "nie się jest na że bardzo ale jak dla od przez co"),
    of_words("Turkish", 2.5, "bir ve bu çok için ile da ama değil daha gibi"),
];

/// What has letters like `ő` or `ě` in many words, and none of the words above.
static OTHER_LATIN: Language = of_words("another language than English, in Latin letters", 2.3, "");

/// Letters that are looked at: the beginning of a text says enough.
const CHARACTERS: usize = 600;

fn is_latin(letter: char) -> bool {
    matches!(letter, 'a'..='z' | 'A'..='Z' | 'À'..='ɏ' | 'Ḁ'..='ỿ')
}

/// The language of a text; `None` where nothing tells it, as in a few words with Latin letters, and for English.
pub fn language_of(text: &str) -> Option<&'static Language> {
    let beginning = text.char_indices().nth(CHARACTERS).map_or(text, |(end, _)| &text[..end]);
    let count = |script: fn(char) -> bool| beginning.chars().filter(|&letter| script(letter)).count();
    let latin = count(is_latin);
    let other = beginning.chars().any(|letter| !letter.is_ascii() && letter.is_alphabetic() && !is_latin(letter));
    if !other {
        return latin_language(beginning);
    }
    let counts = SCRIPTS.each_ref().map(|language| count(language.script));
    let [kana, han, ..] = counts;
    let most = SCRIPTS.iter().zip(counts).max_by_key(|(_, letters)| *letters);
    match most {
        // Japanese is written with both.
        Some((_, letters))
            if letters > 0 && kana > 0 && kana + han > latin && kana * 10 > han && letters <= kana.max(han) =>
        {
            SCRIPTS.first()
        }
        Some((language, letters)) if letters > latin || (language.most_tokens > 1.0 && letters * 3 > latin) => {
            Some(language)
        }
        _ => latin_language(beginning),
    }
}

fn latin_language(text: &str) -> Option<&'static Language> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    // Different ones: `do` may be English twice.
    let hits = |language: &Language| language.words.split(' ').filter(|common| words.contains(common)).count();
    let english = hits(&ENGLISH);
    let (language, found) = WORDS.iter().map(|language| (language, hits(language))).max_by_key(|(_, found)| *found)?;
    if found >= 2 && found > english * 2 {
        return Some(language);
    }
    let accented = words.iter().filter(|word| !word.is_ascii()).count();
    (words.len() >= 4 && accented * 4 >= words.len() && english == 0).then_some(&OTHER_LATIN)
}

impl Language {
    /// Whether it is written in Latin letters.
    pub fn is_latin(&self) -> bool {
        (self.script)('a')
    }

    /// Models that read it: those made for it, and multilingual ones.
    pub fn models(&self) -> impl Iterator<Item = &'static str> {
        self.models.iter().copied().chain(MULTILINGUAL)
    }
}

/// A language other than English among the texts of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LanguageReport {
    /// For people.
    pub language: &'static str,
    /// Of the texts that were looked at.
    pub share: f64,
    /// Models that know it.
    pub models: Vec<&'static str>,
}

/// Counts the languages of the first texts of a file.
#[derive(Debug, Default)]
pub struct Languages {
    texts: u64,
    counts: BTreeMap<&'static str, (u64, Vec<&'static str>)>,
}

impl Languages {
    /// Texts that are looked at.
    const MOST: u64 = 2000;
    /// Of these texts, for a language to be reported.
    const LEAST_SHARE: f64 = 0.05;

    /// Looks at the texts of a row.
    pub fn add(&mut self, texts: &[&str]) {
        let Some(longest) = texts.iter().max_by_key(|text| text.len()).filter(|_| self.texts < Self::MOST) else {
            return;
        };
        self.texts += 1;
        if let Some(language) = language_of(longest) {
            self.counts.entry(language.name).or_insert_with(|| (0, language.models().collect())).0 += 1;
        }
    }

    /// The languages that more than a few texts are in, the most frequent one first.
    pub fn reports(self) -> Vec<LanguageReport> {
        let share = |count: u64| count as f64 / self.texts.max(1) as f64;
        let reports = self.counts.into_iter().map(|(language, (count, models))| (language, share(count), models));
        let mut reports: Vec<LanguageReport> = reports
            .filter(|(_, share, _)| *share >= Self::LEAST_SHARE)
            .map(|(language, share, models)| LanguageReport { language, share, models })
            .collect();
        reports.sort_by(|a, b| b.share.total_cmp(&a.share));
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_language_that_they_are_written_in() {
        let name = |text: &str| language_of(text).map_or("", |language| language.name);
        for (text, language) in [
            ("이 영화는 정말 재미있었어요", "Korean"),
            ("정말 good film 이었다 추천", "Korean"),
            ("とても良い映画でした", "Japanese"),
            ("東京タワー", "Japanese"),
            ("这部电影很好看", "Chinese"),
            ("ภาพยนตร์ดีมาก", "Thai"),
            ("Очень хороший фильм", "Russian or another language in Cyrillic letters"),
            ("C'est une bonne idée, mais le film est trop long", "French"),
            ("El producto es muy bueno pero llegó tarde", "Spanish"),
            ("Das Gerät ist nicht gut und sehr laut", "German"),
            ("O produto não é muito bom", "Portuguese"),
            ("Sản phẩm rất tốt, không phải hàng giả", "Vietnamese"),
            ("Příliš žluťoučký kůň úpěl ďábelské ódy", "another language than English, in Latin letters"),
        ] {
            assert_eq!(name(text), language, "{text}");
        }
        for text in [
            "a good film",
            "The café was très chic, and the crème brûlée was good",
            "I paid 20 € for it 😀",
            "die hard is the best of them",
            "",
            "12345 !!!",
            "naïve résumé",
            "α = 0.05 is the level of significance",
        ] {
            assert_eq!(name(text), "", "{text}");
        }
    }
}
