//! Text that means nothing to the formats of a model card: in Markdown's tables and paragraphs, and in YAML.

use std::fmt::Write;

/// A text for a paragraph or the cell of a table: on one line, and with nothing that Markdown or HTML would act on.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            _ if char.is_control() => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '>' | '|' | '~' | '#' | '$' => escaped.extend(['\\', char]),
            _ => escaped.push(char),
        }
    }
    escaped
}

/// A string of YAML: bare where it can be nothing else, otherwise as JSON writes it.
pub fn yaml(text: &str) -> String {
    let is_word = |reserved: &&str| text.eq_ignore_ascii_case(reserved);
    let is_reserved = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"].iter().any(is_word);
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-/".contains(char);
    if text.starts_with(|char: char| char.is_ascii_alphabetic()) && text.chars().all(plain) && !is_reserved {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            // What YAML does not count as printable, or as the end of a line.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04x}", char as u32);
            }
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_format_would_act_on_is_escaped() {
        assert_eq!(markdown("a|b\n*c* <d> _e_"), r"a\|b \*c\* &lt;d\> \_e\_");
        assert_eq!(yaml("apache-2.0"), "apache-2.0");
        for (text, quoted) in [
            ("no", "\"no\""),
            ("1.0", "\"1.0\""),
            ("", "\"\""),
            ("a: b # c", "\"a: b # c\""),
            ("\"\\\n\u{85}", r#""\"\\\u000a\u0085""#),
        ] {
            assert_eq!(yaml(text), quoted);
        }
    }
}
