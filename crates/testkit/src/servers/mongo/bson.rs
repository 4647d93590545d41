//! As much of MongoDB's encoding as JSON can say; <https://bsonspec.org/spec.html>.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

/// The first bytes of a document are its length.
const LENGTH_BYTES: usize = 4;
const OBJECT_ID_BYTES: usize = 12;

/// A document of these fields in this order.
pub(super) fn encode<'a>(fields: impl Iterator<Item = (&'a str, &'a Value)>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; LENGTH_BYTES];
    for (name, value) in fields {
        let (kind, content) = encode_value(value)?;
        bytes.push(kind);
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(content);
    }
    bytes.push(0);
    let length = i32::try_from(bytes.len())?.to_le_bytes();
    for (to, from) in bytes.iter_mut().zip(length) {
        *to = from;
    }
    Ok(bytes)
}

fn encode_value(value: &Value) -> Result<(u8, Vec<u8>)> {
    Ok(match value {
        Value::Null => (0x0a, Vec::new()),
        Value::Bool(value) => (0x08, vec![u8::from(*value)]),
        Value::Number(number) => encode_number(number)?,
        Value::String(text) => {
            let mut bytes = i32::try_from(text.len() + 1)?.to_le_bytes().to_vec();
            bytes.extend(text.as_bytes());
            bytes.push(0);
            (0x02, bytes)
        }
        Value::Array(items) => {
            let names: Vec<String> = (0..items.len()).map(|index| index.to_string()).collect();
            let names = names.iter().map(String::as_str);
            (0x04, encode(names.zip(items))?)
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.as_str(), value));
            (0x03, encode(fields)?)
        }
    })
}

fn encode_number(number: &serde_json::Number) -> Result<(u8, Vec<u8>)> {
    let Some(whole) = number.as_i64() else {
        let fraction = number.as_f64().context("a number beyond 64 bits")?;
        return Ok((0x01, fraction.to_le_bytes().to_vec()));
    };
    Ok(i32::try_from(whole).map_or_else(
        |_| (0x12, whole.to_le_bytes().to_vec()),
        |small| (0x10, small.to_le_bytes().to_vec()),
    ))
}

/// A document; dates and time stamps become numbers, object ids lists of bytes, and what else JSON
/// has no word for is refused.
pub(super) fn decode(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader(bytes);
    let fields = reader.fields()?;
    Ok(Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn fields(&mut self) -> Result<Vec<(String, Value)>> {
        self.take(LENGTH_BYTES)?;
        let mut fields = Vec::new();
        loop {
            let [kind] = self.array()?;
            if kind == 0 {
                return Ok(fields);
            }
            let end = self.0.iter().position(|&byte| byte == 0);
            let name = self.take(end.context("a name without an end")?)?;
            self.take(1)?;
            let name = String::from_utf8(name.to_vec())?;
            let value = self
                .value(kind)
                .with_context(|| format!("reading the field {name}"))?;
            fields.push((name, value));
        }
    }

    fn value(&mut self, kind: u8) -> Result<Value> {
        Ok(match kind {
            0x01 => f64::from_le_bytes(self.array()?).into(),
            0x02 => {
                let length = usize::try_from(i32::from_le_bytes(self.array()?))?;
                let text = self.take(length)?;
                let text = text.strip_suffix(&[0]).context("a text without an end")?;
                String::from_utf8(text.to_vec())?.into()
            }
            0x03 => Value::Object(self.fields()?.into_iter().collect()),
            0x04 => self.fields()?.into_iter().map(|(_, value)| value).collect(),
            0x07 => self.take(OBJECT_ID_BYTES)?.into(),
            0x08 => (self.array()? != [0]).into(),
            0x09 | 0x11 | 0x12 => i64::from_le_bytes(self.array()?).into(),
            0x0a => Value::Null,
            0x10 => i32::from_le_bytes(self.array()?).into(),
            other => bail!("a value of the kind {other:#04x}"),
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .context("a document ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_can_say_survives() {
        let value = json!({
            "text": "grün", "empty": "", "small": -1, "large": 1_i64 << 40, "half": 0.5,
            "yes": true, "no": false, "null": null, "list": [1, ["a"], {}], "inner": {"x": {"y": 1}},
        });
        let fields = value.as_object().unwrap();
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value));
        assert_eq!(value, decode(&encode(fields).unwrap()).unwrap());
    }

    #[test]
    fn a_document_has_the_bytes_of_the_specification() {
        let world = json!("world");
        assert_eq!(
            b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00".as_slice(),
            encode([("hello", &world)].into_iter()).unwrap()
        );
    }

    #[test]
    fn half_a_document_is_refused() {
        let world = json!("world");
        let mut bytes = encode([("hello", &world)].into_iter()).unwrap();
        bytes.truncate(bytes.len() - 3);
        assert!(decode(&bytes).is_err());
    }
}
