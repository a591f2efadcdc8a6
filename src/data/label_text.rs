//! The text of a label: what is taken off its ends, when two labels look alike, and which say that there is no label.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Characters that nobody sees: white space and control characters, zero-width characters, marks of writing direction,
/// soft hyphens and the byte-order mark.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        )
}

/// A label without what cannot be seen at its ends. Inside, such characters stay: words of some scripts, and composed
/// emoji, are made with them.
pub fn trimmed(label: &str) -> &str {
    label.trim_matches(is_invisible)
}

/// As [`trimmed`], borrowed where the label is.
pub fn trimmed_cow(label: Cow<'_, str>) -> Cow<'_, str> {
    match label {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) if trimmed(&text).len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
    }
}

/// What labels that look alike have in common: the text in Unicode's compatible form (NFKC), in lower case, without
/// invisible characters, and without blanks, underscores and hyphens beside a letter: `BugReport` is `bug-report`.
/// Elsewhere a run of them counts as one blank, since `1-0` is not `10`. `1.0` is `1`.
pub fn folded(label: &str) -> String {
    let lower: String = label.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    let mut folded = String::with_capacity(lower.len());
    let mut between = String::new();
    for character in trimmed(&lower).chars() {
        match character {
            _ if character.is_whitespace() => between.push(' '),
            '_' | '-' | '\u{2010}'..='\u{2015}' => between.push(character),
            _ if is_invisible(character) => {}
            _ => {
                // A sign at the beginning is no blank: `-1` is not `1`.
                if folded.is_empty() {
                    folded.push_str(&between);
                } else if !between.is_empty() && !character.is_alphabetic() && !folded.ends_with(char::is_alphabetic) {
                    folded.push(' ');
                }
                between.clear();
                folded.push(character);
            }
        }
    }
    // Nor is one at the end: `A-` is not `A`.
    folded.push_str(between.trim_end());
    match folded.split_once('.') {
        Some((whole, zeros))
            if whole.parse::<i128>().is_ok() && !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') =>
        {
            whole.to_owned()
        }
        _ => folded,
    }
}

/// The whole number that a label writes, without signs and zeros that change nothing; `None` for other labels.
pub fn whole_number(label: &str) -> Option<String> {
    let digits = label.strip_prefix('+').unwrap_or(label);
    let (whole, zeros) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_whole = !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit());
    let number = whole.trim_start_matches('0');
    let number = if number.is_empty() { "0" } else { number };
    (is_whole && !zeros.is_empty() && zeros.bytes().all(|b| b == b'0')).then(|| number.to_owned())
}

/// A label with Latin letters in place of the Cyrillic and Greek ones that nobody can tell from them.
pub fn in_latin_letters(label: &str) -> String {
    const ALIKE: [(&str, &str); 2] = [
        ("аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅ", "aeopcyxijshdqwABEKMHOPCTYXIJS"),
        ("αονρυικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aovpuikABEZHIKMNOPTYX"),
    ];
    let latin = |letter: char| {
        let pairs = ALIKE.iter().flat_map(|(others, latin)| others.chars().zip(latin.chars()));
        pairs.clone().find(|(other, _)| *other == letter).map_or(letter, |(_, latin)| latin)
    };
    label.chars().map(latin).collect()
}

/// A text without what would steer a terminal.
pub fn visible(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && char != '\n' { ' ' } else { char }).collect()
}

/// A label as messages show it: on one line, and cut when it is long.
pub fn brief(label: &str) -> String {
    const LENGTH: usize = 40;
    let mut shown: String = label.chars().take(LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() < label.len() {
        shown.push('…');
    }
    shown
}

/// In what labels that look alike differ.
pub fn difference<'a>(labels: impl Iterator<Item = &'a str> + Clone) -> &'static str {
    let same = |form: fn(&str) -> String| {
        let mut forms = labels.clone().map(form);
        forms.next().is_some_and(|first| forms.all(|form| form == first))
    };
    let visible = |label: &str| label.chars().filter(|c| c.is_whitespace() || !is_invisible(*c)).collect::<String>();
    if same(str::to_lowercase) {
        "case"
    } else if labels.clone().all(|label| whole_number(label).is_some()) {
        "decimals"
    } else if same(|label| label.nfc().collect()) {
        "Unicode form"
    } else if same(visible) {
        "invisible characters"
    } else {
        "case, blanks, signs or Unicode form"
    }
}

/// Whether a label is what programs write for a missing value.
pub fn looks_missing(label: &str) -> bool {
    const WORDS: [&str; 15] =
        ["na", "n/a", "n.a.", "nan", "null", "none", "nil", "#n/a", "<na>", "missing", "-", "--", "?", ".", "(blank)"];
    WORDS.contains(&label.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_taken_off_the_ends() {
        for label in [" a ", "a\u{A0}", "\u{FEFF}a", "a\u{200B}", "\u{202A}a\u{202C}", "a\r\n", "\u{3000}a\u{AD}"] {
            assert_eq!(trimmed(label), "a", "{label:?}");
        }
        assert_eq!(trimmed("\u{200B} \u{FEFF}"), "");
        let family = "👨\u{200D}👩\u{200D}👧";
        assert_eq!(trimmed(family), family);
    }

    #[test]
    fn messages_say_in_what_they_differ() {
        let of = |labels: &[&'static str]| difference(labels.iter().copied());
        assert_eq!(of(&["Bug", "bug"]), "case");
        assert_eq!(of(&["café", "cafe\u{301}"]), "Unicode form");
        assert_eq!(of(&["a\u{200B}b", "ab"]), "invisible characters");
        assert_eq!(of(&["a b", "a_b"]), "case, blanks, signs or Unicode form");
        assert_eq!(brief("two\nlines"), "two lines");
        assert_eq!(brief(&"x".repeat(99)).chars().count(), 41);
    }

    #[test]
    fn labels_that_look_alike_fold_to_the_same() {
        for alike in [
            &["Very good", "very  good", "VERY_GOOD", "very-good", "very\u{A0}good", "ｖｅｒｙ good"][..],
            &["café", "cafe\u{301}", "CAFÉ", "ca\u{200B}fé"],
            &["1", "1.0", "1.00"],
            &["ﬁne", "fine"],
            &["BugReport", "Bug Report", "bug-report", "bug_ report"],
            &["v2", "V 2"],
        ] {
            assert!(alike.iter().all(|label| folded(label) == folded(alike[0])), "{alike:?}");
        }
        for different in [["1", "-1"], ["A", "A-"], ["C", "C+"], ["1.5", "1"], ["café", "cafe"], ["-", ""], ["_", "-"]]
            .into_iter()
            .chain([["1-0", "10"], ["v1 2", "v12"], ["1 .5", "1.5"], ["+ -", "+-"]])
        {
            assert_ne!(folded(different[0]), folded(different[1]), "{different:?}");
        }
    }
}
