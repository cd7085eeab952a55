//! `schema`

use serde_json::Value;

use super::super::Exit;
use super::super::args::SchemaOf;
use super::super::failure::Failure;
use super::super::out::Out;
use crate::point::{policy, schema};

/// Prints one.
pub(super) fn schema(out: &Out, of: SchemaOf) -> Result<Exit, Failure> {
    let schema = match of {
        SchemaOf::Policy => policy::schema(),
        SchemaOf::Point => schema::schema(schema::Kind::Point),
        SchemaOf::Marks => schema::schema(schema::Kind::Marks),
        SchemaOf::Switch => schema::schema(schema::Kind::Switch),
        SchemaOf::Notice => schema::schema(schema::Kind::Notice),
    };
    out.result("schema", &schema, |_| pretty(&schema))?;
    Ok(Exit::Ok)
}

/// As people read it.
pub(super) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
