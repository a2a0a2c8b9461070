//! A persistence diagram as JSON, which Parquet has no type for.
//!
//! `{"dgms": [[[birth, death], …], …], "entropy": […], "metadata": {…}, "gens": {…}}`. JSON knows no infinity: the death of
//! a bar that never dies is null here, and infinite in the table `pairs`.

use loopscope_core::codec::{Diagram, NpyArray, NpyValues, Scalar};
use serde_json::{Map, Value, json};

pub(super) fn json_of(diagram: &Diagram) -> String {
    let bars = |bars: &Vec<_>| bars.iter().map(pair).collect::<Value>();
    let mut object = Map::new();
    object.insert("dgms".to_owned(), diagram.dgms.iter().map(bars).collect());
    object.insert("entropy".to_owned(), json!(diagram.entropy));
    let metadata: Map<String, Value> =
        diagram.metadata.iter().map(|(name, scalar)| (name.clone(), scalar_json(scalar))).collect();
    object.insert("metadata".to_owned(), Value::Object(metadata));
    let gens: Map<String, Value> = diagram.gens.iter().map(|(name, array)| (name.clone(), array_json(array))).collect();
    object.insert("gens".to_owned(), Value::Object(gens));
    Value::Object(object).to_string()
}

fn pair(bar: &loopscope_core::codec::Bar) -> Value {
    json!([bar.birth, bar.death])
}

fn scalar_json(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Integer(value) => json!(value),
        Scalar::Float(value) => json!(value),
        Scalar::Bool(value) => json!(value),
        Scalar::Text(value) => json!(value),
    }
}

fn array_json(array: &NpyArray) -> Value {
    let (kind, values) = match &array.values {
        NpyValues::F32(values) => ("float32", json!(values)),
        NpyValues::F64(values) => ("float64", json!(values)),
        NpyValues::I64(values) => ("int64", json!(values)),
        NpyValues::U64(values) => ("uint64", json!(values)),
        NpyValues::Bool(values) => ("bool", json!(values)),
        NpyValues::Text(values) => ("str", json!(values)),
        // Kinds to come are named, not guessed at.
        _ => ("unknown", Value::Null),
    };
    json!({ "dtype": kind, "shape": array.shape, "fortran_order": array.fortran_order, "values": values })
}
