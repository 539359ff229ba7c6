//! Values of the project file as text and tables.

use crate::prepare::Constants;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Display, str::FromStr};

#[cfg(feature = "cli")]
pub(crate) fn parse_variable(text: &str) -> Result<(String, usize), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected NAME=VALUE, such as batch_size=1".to_owned())?;
    let value = value.trim().parse().map_err(|error| format!("{value:?}: {error}"))?;
    Ok((name.trim().to_owned(), value))
}

#[cfg(feature = "cli")]
pub(super) fn parse_range(text: &str) -> Result<(i128, i128), String> {
    let (low, high) = text.split_once("..").ok_or("expected MIN..MAX, such as -32768..32768")?;
    let parse =
        |part: &str| part.trim().parse::<i128>().map_err(|error| format!("{part:?}: {error}"));
    let range = (parse(low)?, parse(high)?);
    if range.0 > range.1 { Err("MIN is greater than MAX".to_owned()) } else { Ok(range) }
}

pub(super) fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

pub(super) fn some_from_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    from_text(deserializer).map(Some)
}

pub(super) fn some_to_text<S, T>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    S: serde::Serializer,
    T: Display,
{
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

pub(super) fn to_text<S: serde::Serializer>(
    value: &impl Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(super) fn variables_from_table<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, usize)>, D::Error> {
    Ok(BTreeMap::<String, usize>::deserialize(deserializer)?.into_iter().collect())
}

/// Numbers, booleans and lists of them, nested or not.
pub(super) fn constants_from_table<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Constants, D::Error> {
    fn flatten(value: &toml::Value, into: &mut Vec<f64>) -> Result<(), String> {
        match value {
            toml::Value::Integer(whole) => into.push(*whole as f64),
            toml::Value::Float(number) => into.push(*number),
            toml::Value::Boolean(flag) => into.push(f64::from(u8::from(*flag))),
            toml::Value::Array(list) => list.iter().try_for_each(|it| flatten(it, into))?,
            other => return Err(format!("{other} is no number and no list of numbers")),
        }
        Ok(())
    }
    let table = BTreeMap::<String, toml::Value>::deserialize(deserializer)?;
    let values = table.into_iter().map(|(name, value)| {
        let mut values = Vec::new();
        flatten(&value, &mut values).map_err(serde::de::Error::custom)?;
        Ok((name, values))
    });
    values.collect()
}

pub(super) fn variables_to_table<S: serde::Serializer>(
    variables: &[(String, usize)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(variables.iter().map(|(name, value)| (name, value)))
}
