//! The text of a value within the JSON object that it was read from. A number read as a float loses digits of long ids
//! and the zeros of `1.10`; where it becomes text (a label, a field of a table), it is taken from here.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What stands in the source of an object as the value of a key, to the last digit. `None` when there is no such key.
pub fn member<'s>(object: &'s str, key: &str) -> Option<&'s str> {
    let mut rest = object.trim_start().strip_prefix('{')?;
    loop {
        let (name, after) = next_value::<String>(rest)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        let (_, after) = next_value::<IgnoredAny>(value)?;
        if name == key {
            return Some(&value[..value.len() - after.len()]);
        }
        rest = after.trim_start().strip_prefix(',')?;
    }
}

/// The first value of a JSON text, and what follows it.
fn next_value<'s, T: Deserialize<'s>>(text: &'s str) -> Option<(T, &'s str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits() {
        let object =
            r#" { "a" : 1.10, "b\u0041": [ 1e5,"x, }" ],"c":123456789012345678901234 , "d": {"a":2}, "e":true}"#;
        let cases = [
            ("a", "1.10"),
            ("bA", r#"[ 1e5,"x, }" ]"#),
            ("c", "123456789012345678901234"),
            ("d", r#"{"a":2}"#),
            ("e", "true"),
        ];
        for (key, expected) in cases {
            assert_eq!(member(object, key), Some(expected));
        }
        assert_eq!(member(object, "x"), None);
        assert_eq!(member("{}", "a"), None);
        assert_eq!(member(r#"{"a":1}"#, "a"), Some("1"));
    }
}
