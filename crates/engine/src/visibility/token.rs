//! Page tokens: the place after the last row of a page.

use rusqlite::types::Value;

use super::error::Error;

/// A place in an order: the values by which rows are sorted, the last of them the key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place(pub(super) Vec<Value>);

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;

impl Place {
    /// The first two values of a place in the default order: `order_time` and `start_time`.
    pub(super) fn times(&self) -> Option<(i64, i64)> {
        match self.0.as_slice() {
            [Value::Integer(order_time), Value::Integer(start_time), _] => Some((*order_time, *start_time)),
            _ => None,
        }
    }

    /// The place as a token: for each value a tag and its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut token = Vec::with_capacity(9 * self.0.len());
        for value in &self.0 {
            match value {
                Value::Integer(number) => {
                    token.push(INTEGER);
                    token.extend(number.to_be_bytes());
                }
                Value::Real(number) => {
                    token.push(REAL);
                    token.extend(number.to_be_bytes());
                }
                Value::Text(text) => {
                    token.push(TEXT);
                    token.extend((text.len() as u64).to_be_bytes());
                    token.extend(text.as_bytes());
                }
                Value::Null | Value::Blob(_) => token.push(NULL),
            }
        }
        token
    }

    /// The place in an order of `length` values; `None` for the empty token, which is the beginning.
    pub(super) fn decode(token: &[u8], length: usize) -> Result<Option<Place>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let mut rest = token;
        let mut values = Vec::with_capacity(length);
        while let Some((tag, after)) = rest.split_first() {
            let (value, after) = decode_value(*tag, after).ok_or(Error::PageToken)?;
            values.push(value);
            rest = after;
        }
        let key = matches!(values.last(), Some(Value::Integer(_)));
        if values.len() == length && key {
            Ok(Some(Place(values)))
        } else {
            Err(Error::PageToken)
        }
    }
}

fn decode_value(tag: u8, rest: &[u8]) -> Option<(Value, &[u8])> {
    if tag == NULL {
        return Some((Value::Null, rest));
    }
    let (number, rest) = rest.split_first_chunk::<8>()?;
    match tag {
        INTEGER => Some((Value::Integer(i64::from_be_bytes(*number)), rest)),
        REAL => Some((Value::Real(f64::from_be_bytes(*number)), rest)),
        TEXT => {
            let length = usize::try_from(u64::from_be_bytes(*number)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            Some((Value::Text(String::from_utf8(text.to_vec()).ok()?), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_token() {
        let place = Place(vec![
            Value::Null,
            Value::Text("é".into()),
            Value::Real(2.5),
            Value::Integer(-7),
        ]);
        assert_eq!(Place::decode(&place.encode(), 4).unwrap(), Some(place.clone()));
        assert!(Place::decode(&place.encode(), 3).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for token in [
            &[9][..],
            &[1, 2],
            &[3, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            &[0],
            b"abcdefghij",
        ] {
            assert!(
                matches!(Place::decode(token, 1), Err(Error::PageToken)),
                "{token:?}"
            );
        }
        assert_eq!(Place::decode(&[], 3).unwrap(), None);
    }
}
