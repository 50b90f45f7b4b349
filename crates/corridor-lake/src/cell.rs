//! Cell: one value of a batch as JSON, for people and tests; never on a hot path.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use corridor_model::Micros;
use serde_json::Value;

/// The value of `column` in `row`; null when it is null, or when the batch has no such column. Times are ISO 8601 in UTC.
pub fn cell(batch: &RecordBatch, column: &str, row: usize) -> Value {
    let Some(array) = batch.column_by_name(column) else { return Value::Null };
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Micros(array.as_primitive::<TimestampMicrosecondType>().value(row)).to_string().into()
        }
        other => format!("unknown type {other}").into(),
    }
}
