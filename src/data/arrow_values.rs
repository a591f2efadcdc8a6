//! A value of an Arrow column as text or as JSON. What the column's type is for the file is kept by the file's format;
//! here is only what a person would read in the cell.

use std::fmt::Display;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTemporalType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};
use base64::Engine as _;
use serde_json::{Map, Number, Value};

/// A text without copying it; nothing where there is none. `None` for what is not a text.
pub fn text(array: &dyn Array, index: usize) -> Option<&str> {
    if array.is_null(index) {
        return Some("");
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(index)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(index)),
        DataType::Utf8View => Some(array.as_string_view().value(index)),
        // Some writers store texts as bytes.
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            std::str::from_utf8(bytes(array, index)).ok()
        }
        DataType::Dictionary(..) => text(dictionary_values(array)?, dictionary_key(array, index)?),
        DataType::Null => Some(""),
        _ => None,
    }
}

/// A value as JSON: texts, numbers and truth values as such, dates and times as ISO 8601 writes them, lists as arrays.
pub fn value(array: &dyn Array, index: usize) -> Value {
    if array.is_null(index) {
        return Value::Null;
    }
    if let Some(text) = text(array, index) {
        return Value::String(text.to_owned());
    }
    if let Some(integer) = integer(array, index) {
        return Value::Number(integer);
    }
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(index)),
        DataType::Float16 => float(f64::from(array.as_primitive::<Float16Type>().value(index)), None),
        DataType::Float32 => {
            let number = array.as_primitive::<Float32Type>().value(index);
            // The shortest number that means this one: 0.1 rather than 0.10000000149011612.
            float(f64::from(number), number.to_string().parse().ok())
        }
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(index), None),
        DataType::Decimal32(..) => decimal(array.as_primitive::<Decimal32Type>().value_as_string(index)),
        DataType::Decimal64(..) => decimal(array.as_primitive::<Decimal64Type>().value_as_string(index)),
        DataType::Decimal128(..) => decimal(array.as_primitive::<Decimal128Type>().value_as_string(index)),
        DataType::Decimal256(..) => decimal(array.as_primitive::<Decimal256Type>().value_as_string(index)),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Value::String(base64::engine::general_purpose::STANDARD.encode(bytes(array, index)))
        }
        DataType::Dictionary(..) => match (dictionary_values(array), dictionary_key(array, index)) {
            (Some(values), Some(key)) => value(values, key),
            _ => Value::Null,
        },
        DataType::List(_) => list(&array.as_list::<i32>().value(index)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(index)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(index)),
        DataType::ListView(_) => list(&array.as_list_view::<i32>().value(index)),
        DataType::LargeListView(_) => list(&array.as_list_view::<i64>().value(index)),
        DataType::Struct(_) => {
            let fields = array.as_struct();
            let names = fields.column_names().into_iter().map(str::to_owned);
            Value::Object(names.zip(fields.columns().iter().map(|column| value(column.as_ref(), index))).collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(index);
            let part = |column: usize, row: usize| {
                entries.columns().get(column).map_or(Value::Null, |column| value(column.as_ref(), row))
            };
            let key = |row: usize| match part(0, row) {
                Value::String(key) => key,
                other => other.to_string(),
            };
            Value::Object((0..entries.len()).map(|row| (key(row), part(1, row))).collect::<Map<_, _>>())
        }
        other => match moment(array, index) {
            Some(moment) => Value::String(moment),
            // Durations, unions: what they are is said where a value is expected.
            None => Value::Object(Map::from_iter([("type".to_owned(), Value::String(other.to_string()))])),
        },
    }
}

fn list(items: &ArrayRef) -> Value {
    (0..items.len()).map(|index| value(items.as_ref(), index)).collect()
}

fn integer(array: &dyn Array, index: usize) -> Option<Number> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(index).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(index).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(index).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(index).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(index).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(index).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(index).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(index).into(),
        _ => return None,
    })
}

/// `shortest`: a number that is written more briefly and means the same. What is not finite is nothing.
fn float(number: f64, shortest: Option<f64>) -> Value {
    Number::from_f64(shortest.unwrap_or(number)).map_or(Value::Null, Value::Number)
}

/// A decimal number keeps its digits where a floating-point number has them all, and is a text where it has not.
fn decimal(digits: String) -> Value {
    const EXACT_DIGITS: usize = 15;
    match digits.parse::<f64>() {
        Ok(number) if digits.len() <= EXACT_DIGITS => float(number, None),
        _ => Value::String(digits),
    }
}

fn bytes(array: &dyn Array, index: usize) -> &[u8] {
    match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(index),
        DataType::LargeBinary => array.as_binary::<i64>().value(index),
        DataType::BinaryView => array.as_binary_view().value(index),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(index),
        _ => &[],
    }
}

fn dictionary_values(array: &dyn Array) -> Option<&dyn Array> {
    Some(array.as_any_dictionary_opt()?.values().as_ref())
}

fn dictionary_key(array: &dyn Array, index: usize) -> Option<usize> {
    let key = integer(array.as_any_dictionary_opt()?.keys(), index)?;
    usize::try_from(key.as_u64()?).ok()
}

/// A date or a time as ISO 8601 writes it, with a blank between the two; `None` where the column holds neither.
pub fn moment(array: &dyn Array, index: usize) -> Option<String> {
    if array.is_null(index) {
        return None;
    }
    fn date<T: ArrowTemporalType>(array: &dyn Array, index: usize) -> Option<String>
    where
        i64: From<T::Native>,
    {
        shown(array.as_primitive::<T>().value_as_date(index))
    }
    fn time<T: ArrowTemporalType>(array: &dyn Array, index: usize) -> Option<String>
    where
        i64: From<T::Native>,
    {
        shown(array.as_primitive::<T>().value_as_time(index))
    }
    fn both<T: ArrowTemporalType>(array: &dyn Array, index: usize) -> Option<String>
    where
        i64: From<T::Native>,
    {
        let values: &PrimitiveArray<T> = array.as_primitive::<T>();
        shown(values.value_as_datetime(index))
    }
    match array.data_type() {
        DataType::Date32 => date::<Date32Type>(array, index),
        DataType::Date64 => date::<Date64Type>(array, index),
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(array, index),
        DataType::Time32(_) => time::<Time32MillisecondType>(array, index),
        DataType::Time64(TimeUnit::Microsecond) => time::<Time64MicrosecondType>(array, index),
        DataType::Time64(_) => time::<Time64NanosecondType>(array, index),
        DataType::Timestamp(unit, zone) => {
            let moment = match unit {
                TimeUnit::Second => both::<TimestampSecondType>(array, index),
                TimeUnit::Millisecond => both::<TimestampMillisecondType>(array, index),
                TimeUnit::Microsecond => both::<TimestampMicrosecondType>(array, index),
                TimeUnit::Nanosecond => both::<TimestampNanosecondType>(array, index),
            }?;
            // Moments of every zone are stored in UTC.
            Some(if zone.is_some() { format!("{moment}+00:00") } else { moment })
        }
        _ => None,
    }
}

fn shown(moment: Option<impl Display>) -> Option<String> {
    moment.map(|moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
        Int64Array, StringViewArray, StructArray, TimestampMillisecondArray,
    };
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn values_are_what_a_person_would_read() {
        let shown = |array: &dyn Array| value(array, 0).to_string();
        assert_eq!(shown(&Int64Array::from(vec![-3])), "-3");
        assert_eq!(shown(&BooleanArray::from(vec![true])), "true");
        assert_eq!(shown(&Float32Array::from(vec![0.1])), "0.1");
        assert_eq!(shown(&Float64Array::from(vec![f64::NAN])), "null");
        assert_eq!(shown(&Float64Array::from(vec![None, Some(1.0)])), "null");
        assert_eq!(shown(&Date32Array::from(vec![19_000])), "\"2022-01-08\"");
        let moment = TimestampMillisecondArray::from(vec![1_700_000_000_123]);
        assert_eq!(shown(&moment), "\"2023-11-14 22:13:20.123\"");
        assert_eq!(shown(&moment.with_timezone("Europe/Berlin")), "\"2023-11-14 22:13:20.123+00:00\"");
        let price = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(shown(&price), "12.5");
        assert_eq!(shown(&BinaryArray::from(vec![&b"\xff\xfe"[..]])), "\"//4=\"");
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a"), None]);
        assert_eq!(shown(&lists.finish()), "[\"a\",null]");
        let field = Arc::new(Field::new("x", DataType::Int64, true));
        assert_eq!(
            shown(&StructArray::from(vec![(field, Arc::new(Int64Array::from(vec![1])) as ArrayRef)])),
            "{\"x\":1}"
        );
    }

    #[test]
    fn texts_of_every_kind_are_read_without_copying() {
        assert_eq!(text(&StringViewArray::from(vec!["a text longer than twelve bytes"]), 0).unwrap().len(), 31);
        assert_eq!(text(&BinaryArray::from(vec!["é".as_bytes()]), 0), Some("é"));
        let words: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("b")].into_iter().collect();
        assert_eq!([0, 1, 2].map(|index| text(&words, index)), [Some("a"), Some(""), Some("b")]);
        assert_eq!(value(&words, 2), Value::from("b"));
        assert_eq!(text(&Int64Array::from(vec![1]), 0), None);
    }
}
